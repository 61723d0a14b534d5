"""The payments pages of the support admin."""

from django.contrib import admin

from accounts.payments.models import Payment, kinds
from wallgent.admin import SupportAdmin, amount, link, status


class KindFilter(admin.SimpleListFilter):
    """The declared kinds, because reading them from the table would take long."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, request, model_admin):
        return [(kind, kind) for kind in kinds()]

    def queryset(self, request, queryset):
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(Payment)
class PaymentAdmin(SupportAdmin):
    list_display = [
        *("id", "created_at", "environment", "kind", status(), "sender", "recipient"),
        *(amount("amount"), amount("fee"), "currency"),
    ]
    list_select_related = ["sender", "recipient"]
    list_filter = ["environment", KindFilter, "status", "currency"]
    id_fields = {
        "txn": ["pk", "reversal_of"],
        "wal": ["sender", "recipient"],
        "org": ["organization", "recipient_organization"],
    }
    search_help_text = "The id of a payment, of either wallet or of either organization."
    fields = [
        *("id", "organization", "sender", "recipient", "recipient_organization"),
        *("environment", "kind", status(), amount("amount"), amount("fee"), "currency"),
        *("description", "idempotency_key", "failure_code", "failure_reason"),
        *("reversal_of", "ledger_transaction", "created_at", "settled_at", "received_at"),
    ]

    @admin.display(description="ledger transaction")
    def ledger_transaction(self, payment):
        return link("ledger.transaction", payment.id if payment.settled_at else None)
