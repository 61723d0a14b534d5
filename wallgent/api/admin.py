from django.contrib import admin

from wallgent.admin import SupportAdmin
from wallgent.api.models import IdempotencyRecord


@admin.register(IdempotencyRecord)
class IdempotencyRecordAdmin(SupportAdmin):
    """Which keys were used. The answers are their owners' business."""

    list_display = ["id", "created_at", "organization", "method", "path", "key", "status"]
    list_select_related = ["organization"]
    ordering = ["-created_at"]  # the id is a hash
    id_fields = {"org": ["organization"]}
    search_fields = ["key__exact"]
    search_help_text = "An idempotency key, or the id of an organization."
    fields = ["id", "organization", "method", "path", "key", "status", "created_at"]
