from django.contrib import admin
from django.urls import Resolver404, resolve

from wallgent.admin import SupportAdmin
from wallgent.api.models import IdempotencyRecord
from wallgent.api.public import PublicView


@admin.register(IdempotencyRecord)
class IdempotencyRecordAdmin(SupportAdmin):
    """Which keys were used. The answers are their owners' business."""

    list_display = ["id", "created_at", "organization", "method", "called", "key", "status"]
    list_select_related = ["organization"]
    ordering = ["-created_at"]  # the id is a hash
    id_fields = {"org": ["organization"]}
    search_fields = ["key__exact"]
    search_help_text = "An idempotency key, or the id of an organization."
    fields = ["id", "organization", "method", "called", "key", "status", "created_at"]

    @admin.display(description="path")
    def called(self, record):
        try:
            match = resolve(record.path)
        except Resolver404:  # a path of a former version, or one cut short
            return "…"
        # What is public is opened by the secret in its path.
        is_public = issubclass(getattr(match.func, "view_class", object), PublicView)
        return f"/{match.route}" if is_public else record.path
