"""The approvals pages of the support admin."""

from django.contrib import admin

from accounts.controls.models import Approval
from wallgent.admin import SupportAdmin, amount, status


@admin.register(Approval)
class ApprovalAdmin(SupportAdmin):
    """Read-only: only the organization itself decides about its approvals."""

    list_display = [
        *("id", "created_at", "organization", "environment", "kind", status(), "wallet"),
        *(amount("amount"), "currency", "expires_at"),
    ]
    list_select_related = ["organization", "wallet"]
    list_filter = ["environment", "kind", "status", "currency"]
    id_fields = {
        **{key: ["pk"] for key in Approval.PREFIXES},
        **{"wal": ["wallet", "recipient"], "txn": ["payment"]},
        "org": ["organization", "recipient_organization", "asked_by_organization"],
    }
    search_fields = ["subject_id__exact"]
    search_help_text = (
        "The id of an approval, of what it is about, of either wallet or organization, or of its"
        " payment."
    )
    fields = [
        *("id", "organization", "environment", "kind", "subject_id", "rule", status()),
        *("wallet", "recipient", "recipient_organization", amount("amount"), "currency"),
        *("description", "asked_by_organization", "asked_by_type", "asked_by"),
        *("decided_by_type", "decided_by", "reason", "payment"),
        *("created_at", "expires_at", "decided_at", "expired_at"),
    ]
