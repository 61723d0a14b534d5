"""Admin pages of wallets."""

from django import forms
from django.contrib import admin

from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from wallgent.admin import SupportAdmin, amount, link, search_links, service_action, status


class ReasonForm(forms.Form):
    reason = forms.CharField(
        required=False, max_length=256, help_text="The wallet's owner can read it."
    )


@admin.register(Wallet)
class WalletAdmin(SupportAdmin):
    list_display = [
        *("id", "organization", "environment", "name", "type", status("account.state"), "currency"),
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
        *("address", status("account.state"), "currency"),
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
        return search_links(wallet.id, **links, events="wallgent.event")

    @service_action("Freeze", form=ReasonForm)
    def freeze(self, wallet, *, actor, reason):
        wallets.freeze(wallet, actor=actor, reason=reason)

    @service_action("Unfreeze")
    def unfreeze(self, wallet, *, actor):
        wallets.unfreeze(wallet, actor=actor)

    @service_action("Close for good")
    def close(self, wallet, *, actor):
        wallets.close(wallet, actor=actor)
