import re

from django.contrib import admin
from django.urls import Resolver404, resolve

from wallgent import ids
from wallgent.admin import SupportAdmin
from wallgent.api.models import IdempotencyRecord
from wallgent.environments import Environment

_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


@admin.register(IdempotencyRecord)
class IdempotencyRecordAdmin(SupportAdmin):
    """Idempotency keys in the admin. The stored answers are private to their organizations."""

    list_display = ["id", "created_at", "organization", "method", "called", "key", "status"]
    list_select_related = ["organization"]
    ordering = ["-created_at"]  # the id is a hash
    id_fields = {"org": ["organization"]}
    search_fields = ["key__exact"]
    search_help_text = "An idempotency key, or the id of an organization."
    fields = ["id", "organization", "method", "called", "key", "status", "created_at"]

    @admin.display(description="path")
    def called(self, record):
        """Return the path with its IDs only, because its other parts may be secrets."""
        try:
            match = resolve(record.path)
        except Resolver404:  # a path of an older version, or a truncated one
            return "…"
        values = {name: str(value) for name, value in match.captured_kwargs.items()}
        return "/" + _PARAMETER.sub(lambda found: _shown(values.get(found[1], "")), match.route)


def _shown(value: str) -> str:
    return value if value.upper() in Environment.values or ids.read(value) else "…"
