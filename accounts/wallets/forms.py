"""Forms of wallets."""

from django import forms
from django.db.models import Q, QuerySet

from accounts.wallets.models import Wallet
from wallgent import ids
from wallgent.money import Currency
from wallgent.web.forms import AmountField, PageForm
from wallgent.web.listing import Filters


class WalletForm(PageForm):
    """Changes the name of a wallet and of its agent."""

    refusal_fields = {"agentName": "agent_name"}

    name = forms.CharField(label="Name", max_length=256)
    agent_name = forms.CharField(
        label="Agent name",
        max_length=256,
        required=False,
        help_text="The program that spends from it, if one does.",
    )


class NewWalletForm(WalletForm):
    """Creates a wallet."""

    currency = forms.ChoiceField(
        label="Currency",
        choices=[(Currency.USD, "USD: US dollars"), (Currency.USDC, "USDC: digital dollars")],
        initial=Currency.USD,
        widget=forms.RadioSelect,
        help_text="A wallet keeps one currency for good.",
    )


class FundForm(PageForm):
    """Asks for an amount of sandbox money."""

    amount = AmountField(label="Amount")


class FreezeForm(PageForm):
    """Asks for the reason of a freeze."""

    reason = forms.CharField(
        label="Reason",
        max_length=1024,
        required=False,
        help_text="Stands in the wallet's activity, so that others know.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class WalletFilters(Filters):
    """Filters wallets by name, agent, address or ID, and by status."""

    q = forms.CharField(
        label="Search",
        max_length=256,
        required=False,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Name, agent, address, id"}),
    )
    status = forms.ChoiceField(
        label="Status",
        required=False,
        choices=[("", "Any"), *((state.value, state.label) for state in Wallet.Status)],
    )

    def apply(self, rows: QuerySet) -> QuerySet:
        if status := self.cleaned_data["status"]:
            rows = rows.filter(account__state=status)
        query = self.cleaned_data["q"]
        if uuid := ids.parse(query, "wal"):
            return rows.filter(pk=uuid)
        if query:
            named = Q(name__icontains=query) | Q(agent_name__icontains=query)
            rows = rows.filter(named | Q(address__icontains=query))
        return rows
