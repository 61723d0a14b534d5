"""Emails in the admin: what became of them, not what they say."""

from django.contrib import admin

from wallgent.admin import SupportAdmin, status
from wallgent.mail.models import Email


@admin.register(Email)
class EmailAdmin(SupportAdmin):
    list_display = [
        *("id", "created_at", "kind", "address", "organization", "environment", "subject_id"),
        *(status(), "reason", "reply", "attempts"),
    ]
    list_select_related = ["organization"]
    list_filter = ["status", "reason", "kind", "environment"]
    date_hierarchy = "created_at"
    id_fields = {"eml": ["pk"], "org": ["organization"]}
    search_fields = ["subject_id__exact"]
    search_help_text = "The id of an email, of its organization or of what it is about."
    fields = [
        *("id", "kind", "address", "organization", "environment", "subject_id", "sender_id"),
        *(status(), "reason", "reply", "attempts", "created_at", "expires_at", "ended_at"),
    ]
