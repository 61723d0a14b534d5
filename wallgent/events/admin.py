"""The events in the admin."""

import json

from django.contrib import admin

from wallgent import ids
from wallgent.admin import SupportAdmin
from wallgent.events import catalogue
from wallgent.events.models import Event


@admin.register(Event)
class EventAdmin(SupportAdmin):
    """The event log, read-only."""

    list_display = ["id", "created_at", "organization", "environment", "type", "subject", "actor"]
    list_select_related = ["organization", "origin", "place"]
    list_filter = ["environment"]
    search_fields = ["subject__exact"]
    search_help_text = "The id of an event, of an organization, or of what the event is about."
    fields = [
        *("id", "position", "type", "subject", "organization", "environment", "actor"),
        *("request_id", "is_public", "created_at", "shown_data", "request_origin"),
    ]

    @admin.display
    def actor(self, event):
        return f"{event.actor_type} {event.actor_id}"

    @admin.display(description="data")
    def shown_data(self, event):
        shown = catalogue.find(event.type).without_secrets(event.data)
        return json.dumps(shown, ensure_ascii=False)

    @admin.display
    def position(self, event):
        return event.place.position if hasattr(event, "place") else None

    @admin.display(description="came from")
    def request_origin(self, event):
        return f"{event.origin.ip} {event.origin.user_agent}" if hasattr(event, "origin") else None

    def get_search_results(self, request, queryset, search_term):
        # Each search is one index lookup; Django's default search would read the whole log.
        term = search_term.strip()
        if not term:
            return queryset, False
        if event_id := ids.parse(term, "evt"):
            return queryset.filter(pk=event_id), False
        if organization_id := ids.parse(term, "org"):
            return queryset.filter(organization_id=organization_id), False
        return queryset.filter(subject=term), False
