"""Admin pages of transfers, money in suspense, and the simulator's records."""

from django import forms
from django.contrib import admin

from accounts.transfers.models import (
    IncomingPayment,
    SimulatorEntry,
    SimulatorOrder,
    SimulatorPayment,
    Suspended,
    Transfer,
)
from accounts.transfers.services import orders, suspense
from wallgent import ids
from wallgent.admin import (
    SupportAdmin,
    SupportInline,
    amount,
    link,
    search_links,
    service_action,
    status,
    support_actor,
)
from wallgent.money import Currency


class WalletForm(forms.Form):
    wallet_id = forms.CharField(
        max_length=64, help_text="Of the same organization, environment and currency."
    )


class IncomingPaymentInline(SupportInline):
    model = IncomingPayment
    fields = [
        "id",
        "arrived_at",
        "kind",
        amount("amount", "transfer.currency"),
        "chain",
        "external_id",
        "credited",
    ]
    show_change_link = False

    @admin.display(description="ledger transaction")
    def credited(self, payment):
        return link("ledger.transaction", payment.transaction_id)


@admin.register(Transfer)
class TransferAdmin(SupportAdmin):
    """Transfers over rails. Shows only the last four digits of account numbers."""

    list_display = [
        *("id", "created_at", "environment", "provider", "direction", "rail_type", status()),
        *("wallet", amount("amount"), "currency", "attempts"),
    ]
    list_select_related = ["wallet"]
    list_filter = ["environment", "provider", "direction", "rail_type", "status", "purpose"]
    id_fields = {
        **{
            "xfr": ["pk"],
            "wal": ["wallet", "charged_wallet"],
            "org": ["organization"],
            "hld": ["hold"],
        },
        **{"txn": ["transaction", "return_transaction"]},
    }
    search_fields = ["external_id__exact", "reference__exact", "address__exact"]
    search_help_text = (
        "The id of a transfer, of its wallet, organization, hold or ledger transaction; what the"
        " rail calls it; what it is for; an address."
    )
    fields = [
        *("id", "organization", "environment", "wallet", "direction", "rail_type", "provider"),
        *(status(), amount("amount"), amount("fee"), "currency", amount("received")),
        *("account_name", "account", "bank_name", "address", "chain", "description"),
        *("purpose", "reference", "hold", "owns_hold", "external_id"),
        *("failure_code", "failure_reason", "completed_by", "returned_by", "charged_wallet"),
        *("created_at", "submitted_at", "cancel_requested_at", "completed_at", "failed_at"),
        *("cancelled_at", "returned_at", "deadline_at", "attempts", "see_also"),
    ]
    inlines = [IncomingPaymentInline]
    actions = ["check_now_with_rail"]

    @admin.display
    def account(self, transfer):
        return f"…{transfer.account_last4}" if transfer.account_last4 else ""

    @admin.display(description="completed by")
    def completed_by(self, transfer):
        return link("ledger.transaction", transfer.transaction_id)

    @admin.display(description="returned by")
    def returned_by(self, transfer):
        return link("ledger.transaction", transfer.return_transaction_id)

    @admin.display
    def see_also(self, transfer):
        return search_links(
            transfer.id,
            due_work="wallgent.duework",
            suspended="accounts.suspended",
            simulated="accounts.simulatororder",
            events="wallgent.event",
        )

    @service_action("Ask the rail now")
    def check_now_with_rail(self, transfer, *, actor):
        orders.check_now_with_rail(transfer, actor=actor)


@admin.register(Suspended)
class SuspendedAdmin(SupportAdmin):
    """Money for wallets that were closed or full. Support pays it into another wallet."""

    list_display = [
        *("id", "created_at", "transfer", "organization", "environment", amount("amount")),
        *("currency", "ended_at", "wallet"),
    ]
    list_select_related = ["transfer__organization", "wallet"]
    list_filter = [
        *(("ended_at", admin.EmptyFieldListFilter), "transfer__environment", "currency"),
    ]
    id_fields = {
        **{"sus": ["pk"], "xfr": ["transfer"], "txn": ["transaction", "end_transaction"]},
        **{"wal": ["transfer__wallet"], "org": ["transfer__organization"]},
    }
    search_help_text = (
        "The id of what waits, of its transfer or ledger transaction, or of the wallet or"
        " organization that it came for."
    )
    fields = [
        *("id", "transfer", "organization", "environment", amount("amount"), "currency"),
        *("suspended_by", "created_at", "wallet", "ended_by", "ended_at"),
    ]
    actions = ["pay_out"]

    @admin.display
    def organization(self, suspended):
        return suspended.transfer.organization

    @admin.display
    def environment(self, suspended):
        return suspended.transfer.environment

    @admin.display(description="kept by")
    def suspended_by(self, suspended):
        return link("ledger.transaction", suspended.transaction_id)

    @admin.display(description="ended by")
    def ended_by(self, suspended):
        return link("ledger.transaction", suspended.end_transaction_id)

    def actor_for(self, request, obj):
        transfer = obj.transfer
        return support_actor(request, transfer.organization, transfer.environment)

    @service_action("Pay into a wallet", form=WalletForm)
    def pay_out(self, suspended, *, actor, wallet_id):
        suspense.pay_out(suspended, actor=actor, wallet_id=wallet_id)


class SimulatorEntryInline(SupportInline):
    model = SimulatorEntry
    fields = ["id", "made_at", amount("amount"), "currency", "payment"]
    show_change_link = False


@admin.register(SimulatorOrder)
class SimulatorOrderAdmin(SupportAdmin):
    """The orders at the simulated banks and chain. No real money."""

    list_display = [
        *("id", "accepted_at", "transfer", "direction", "rail_type", status("state")),
        *(amount("amount"), "currency", "party", "fault"),
    ]
    list_filter = ["direction", "rail_type", "state", "fault"]
    id_fields = {"sim": ["pk"], "xfr": ["reference"], "org": ["organization"]}
    search_fields = ["party__exact"]
    search_help_text = "The id of an order, transfer or organization; an address."
    fields = [
        *("id", "transfer", "organization", "direction", "rail_type", status("state")),
        *(amount("amount"), "currency", "party", "fault", "silences", "repeats"),
        *("accepted_at", "settles_at", "returns_at", "ended_at"),
    ]
    inlines = [SimulatorEntryInline]

    @admin.display
    def transfer(self, order):
        return link("accounts.transfer", ids.to_text("xfr", order.reference))


@admin.register(SimulatorPayment)
class SimulatorPaymentAdmin(SupportAdmin):
    list_display = ["id", "paid_at", "address", "chain", amount("amount", Currency.USDC)]
    list_filter = ["chain"]
    id_fields = {"sim": ["pk"]}
    search_fields = ["address__exact"]
    search_help_text = "The id of a payment; the address it went to."
    fields = ["id", "address", "chain", amount("amount", Currency.USDC), "paid_at"]
