"""The log of staff actions in the admin."""

from django.contrib import admin

from wallgent.admin import SupportAdmin
from wallgent.staff.models import StaffAction


@admin.register(StaffAction)
class StaffActionAdmin(SupportAdmin):
    """The log of staff actions. Only superusers see it: there is no permission to grant."""

    list_display = ["created_at", "user", "kind", "detail", "model", "object_id"]
    list_select_related = ["user"]
    list_filter = ["kind"]
    date_hierarchy = "created_at"
    id_fields = {"sta": ["pk"], "usr": ["user"]}
    search_fields = ["object_id__exact"]
    search_help_text = "The id of an action, of a staff member, or of what they looked at."
    fields = [
        *("id", "created_at", "user", "kind", "model", "object_id", "detail", "value_length"),
        "request_id",
    ]

    def has_module_permission(self, request):
        return request.user.is_superuser

    def has_view_permission(self, request, obj=None):
        return request.user.is_superuser
