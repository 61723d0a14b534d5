import re

from django.contrib import admin
from django.urls import Resolver404, resolve

from wallgent import ids
from wallgent.admin import SupportAdmin
from wallgent.api.models import IdempotencyRecord
from wallgent.environments import Environment

_PART = re.compile(r"<(?:\w+:)?(\w+)>")


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
        """The path as far as it is ids: other parts may open something to whoever knows them."""
        try:
            match = resolve(record.path)
        except Resolver404:  # a path of a former version, or one cut short
            return "…"
        said = {name: str(value) for name, value in match.captured_kwargs.items()}
        return "/" + _PART.sub(lambda part: _known(said.get(part[1], "")) or "…", match.route)


def _known(value: str) -> str:
    return value if value.upper() in Environment.values or ids.read(value) else ""
