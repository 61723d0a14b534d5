"""Wallets, payments, and what a person has to decide."""

from django import forms
from django.contrib import admin

from accounts.controls.models import Approval
from accounts.payments.models import Payment
from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from wallgent.admin import SupportAdmin, amount, link, lists_about, service_action


class ReasonForm(forms.Form):
    reason = forms.CharField(
        required=False, max_length=256, help_text="The wallet's owner can read it."
    )


@admin.register(Wallet)
class WalletAdmin(SupportAdmin):
    list_display = [
        *("id", "organization", "environment", "name", "type", "status", "currency"),
        *(amount("account.balance"), "created_at"),
    ]
    list_select_related = ["organization", "account"]
    list_filter = ["environment", "type", "account__state", "account__currency"]
    date_hierarchy = "created_at"
    id_fields = {"wal": ["pk"], "org": ["organization"], "acc": ["account"]}
    search_fields = ["name", "agent_name", "address__exact"]
    search_help_text = "The id of a wallet, organization or ledger account; an address; a name."
    fields = [
        *("id", "organization", "environment", "name", "agent_name", "type", "is_default"),
        *("address", "status", "currency"),
        amount("account.balance"),
        amount("account.held"),
        amount("account.available"),
        amount("account.debt"),
        amount("sandbox_funds"),
        *("metadata", "ledger_account", "created_at", "updated_at", "see_also"),
    ]
    actions = ["freeze", "unfreeze", "close"]

    @admin.display(description="ledger account")
    def ledger_account(self, wallet):
        return link("ledger.ledgeraccount", wallet.account_id)

    @admin.display
    def see_also(self, wallet):
        links = {"payments": "accounts.payment", "transfers": "accounts.transfer"}
        links |= {"suspended": "accounts.suspended", "organization": "accounts.organization"}
        return lists_about(wallet.id, **links, events="events.event")

    @service_action("Freeze", form=ReasonForm)
    def freeze(self, wallet, *, actor, reason):
        wallets.freeze(wallet, actor=actor, reason=reason)

    @service_action("Unfreeze")
    def unfreeze(self, wallet, *, actor):
        wallets.unfreeze(wallet, actor=actor)

    @service_action("Close for good")
    def close(self, wallet, *, actor):
        wallets.close(wallet, actor=actor)


@admin.register(Payment)
class PaymentAdmin(SupportAdmin):
    list_display = [
        *("id", "created_at", "environment", "kind", "status", "sender", "recipient"),
        *(amount("amount"), amount("fee"), "currency"),
    ]
    list_select_related = ["sender", "recipient"]
    list_filter = ["environment", "kind", "status", "currency"]
    id_fields = {
        "txn": ["pk", "reversal_of"],
        "wal": ["sender", "recipient"],
        "org": ["organization", "recipient_organization"],
    }
    search_help_text = "The id of a payment, of either wallet or of either organization."
    fields = [
        *("id", "organization", "sender", "recipient", "recipient_organization"),
        *("environment", "kind", "status", amount("amount"), amount("fee"), "currency"),
        *("description", "idempotency_key", "failure_code", "failure_reason"),
        *("reversal_of", "ledger_transaction", "created_at", "settled_at"),
    ]

    @admin.display(description="ledger transaction")
    def ledger_transaction(self, payment):
        return link("ledger.transaction", payment.id if payment.settled_at else None)


@admin.register(Approval)
class ApprovalAdmin(SupportAdmin):
    """Decisions are the organization's own: support looks, and decides nothing."""

    list_display = [
        *("id", "created_at", "organization", "environment", "kind", "status", "wallet"),
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
        *("id", "organization", "environment", "kind", "subject_id", "rule", "status"),
        *("wallet", "recipient", "recipient_organization", amount("amount"), "currency"),
        *("description", "asked_by_organization", "asked_by_type", "asked_by"),
        *("decided_by_type", "decided_by", "reason", "payment"),
        *("created_at", "expires_at", "decided_at", "expired_at"),
    ]
