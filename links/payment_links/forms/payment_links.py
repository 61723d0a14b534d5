"""Forms of payment links in the dashboard."""

from datetime import timedelta

from django import forms
from django.db.models import Exists, OuterRef, Q

from accounts.organizations.models import LinkDirection
from accounts.wallets.models import Wallet
from links.payment_links.forms import fields
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.models.payment_links import MAX_USES_LIMIT
from links.payment_links.services import methods, payment_links
from wallgent import clock, ids, money
from wallgent.actors import Actor
from wallgent.environments import Environment
from wallgent.errors import DomainError, InvalidState
from wallgent.mail import addresses
from wallgent.web.forms import AmountField, PageForm
from wallgent.web.listing import Filters

DESCRIPTION_LENGTH = 1024
_MOST_CHOICES = 200  # wallets in a menu; others can be selected by the URL

_SEND, _RECEIVE = LinkDirection.SEND, LinkDirection.RECEIVE
_DIRECTIONS = [
    (_SEND, "You pay. Whoever opens the link gets the money."),
    (_RECEIVE, "You are paid. Whoever opens the link is asked for the money."),
]
_PROOFS = [
    (PaymentLink.Proof.CODE, "By a code that is sent to it"),
    (PaymentLink.Proof.TYPED, "Whoever types the address is believed"),
]
_DAYS = {"1": "1 day", "7": "7 days", "30": "30 days"}
_NEVER, _AT = "", "at"
_USES = f"Write a whole number from 1 to {MAX_USES_LIMIT:,}."


class LinkForm(PageForm):
    """The details of a new link."""

    refusal_fields = {"expiresAt": "expires_at", "recipientRestrictions": "emails"}

    direction = forms.ChoiceField(
        label="Which way does the money go?", choices=_DIRECTIONS, widget=forms.RadioSelect
    )
    wallet = forms.ChoiceField(label="Wallet")
    amount = AmountField(
        label="Amount", help_text="What each use of the link pays, in the wallet's currency."
    )
    description = fields.ProseField(
        label="Description",
        required=False,
        max_length=DESCRIPTION_LENGTH,
        help_text="The other side reads this.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    expires = forms.ChoiceField(
        label="Expires",
        required=False,
        choices=[
            (_NEVER, "Never"),
            *((days, f"After {text}") for days, text in _DAYS.items()),
            (_AT, "At a time of your own"),
        ],
    )
    expires_at = forms.DateTimeField(
        label="Date and time",
        required=False,
        help_text="For a time of your own.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    max_uses = forms.IntegerField(
        label="Uses",
        min_value=1,
        max_value=MAX_USES_LIMIT,
        initial=1,
        help_text="How many people may use it, each once.",
        error_messages=dict.fromkeys(("required", "invalid", "min_value", "max_value"), _USES),
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
    )
    emails = fields.LineListField(
        parse=fields.email,
        label="Only for these e-mail addresses",
        help_text="One on each line. Without any, whoever has the link may use it.",
    )
    proof = forms.ChoiceField(
        label="How do they prove their address?",
        required=False,
        choices=_PROOFS,
        widget=forms.RadioSelect,
    )
    wallet_ids = fields.LineListField(
        parse=fields.wallet_id,
        label="Only for these wallets",
        help_text="Wallet ids, one on each line.",
    )

    def __init__(self, *args, actor: Actor, **kwargs):
        super().__init__(*args, **kwargs)
        self._actor = actor
        own = Wallet.objects.visible_to(actor).exclude(account__state=Wallet.Status.CLOSED)
        selected = self.data.get("wallet") or self.initial.get("wallet")
        self.wallets = {wallet.id: wallet for wallet in _wallet_choices(own, selected)}
        choices = [(id, _wallet_label(wallet)) for id, wallet in self.wallets.items()]
        # A duplicated link may have a closed wallet: no other one is selected instead of it.
        is_missing = bool(selected) and selected not in self.wallets
        self.fields["wallet"].choices = [("", "Choose a wallet")] * is_missing + choices
        self.fields["direction"].initial = actor.organization.default_link_direction
        is_live = actor.environment == Environment.PRODUCTION
        default = PaymentLink.Proof.CODE if is_live else PaymentLink.Proof.TYPED
        self.fields["proof"].initial = default

    def clean(self):
        data = super().clean()
        choice, custom = data.get("expires"), data.get("expires_at")
        if "expires_at" in self.errors:
            return data
        if choice == _AT and not custom:
            self.add_error("expires_at", "Give the date and the time, or choose another.")
        elif choice == _NEVER and custom:
            data["expires"] = _AT  # a given time overrides the default choice
        elif choice in _DAYS and custom:
            self.add_error("expires_at", "Leave this empty, or choose “At a time of your own”.")
        return data

    @property
    def methods(self) -> dict[str, str]:
        """The methods of an unrestricted link of 1.00, by the currency of its wallet."""
        terms = {"organization": self._actor.organization, "environment": self._actor.environment}
        currencies = sorted({wallet.currency for wallet in self.wallets.values()})
        links = [PaymentLink(**terms, amount=1, currency=currency) for currency in currencies]
        return {link.currency: ", ".join(methods.labels(link)) for link in links}

    @property
    def sends(self) -> bool:
        return self.cleaned_data["direction"] == _SEND

    @property
    def chosen_wallet(self) -> Wallet:
        return self.wallets[self.cleaned_data["wallet"]]

    @property
    def total(self):
        """The amount of all uses together."""
        return self.cleaned_data["amount"] * self.cleaned_data["max_uses"]

    @property
    def expiry(self):
        """When the link will expire by the organization's clock; None for never."""
        choice = self.cleaned_data["expires"]
        if choice in _DAYS:
            return clock.now(self._actor) + timedelta(days=int(choice))
        return self.cleaned_data["expires_at"] if choice == _AT else None

    @property
    def restrictions(self) -> payment_links.Restrictions:
        data = self.cleaned_data
        return payment_links.Restrictions(
            emails=tuple(data["emails"]),
            wallet_ids=tuple(data["wallet_ids"]),
            proof=data["proof"] or None,
        )

    def refuse(self, error: DomainError) -> None:
        if error.code in ("WALLET_FROZEN", "INVALID_STATE"):
            self.add_error("wallet", error.message)
        elif error.code == "INSUFFICIENT_FUNDS":
            self.add_error("amount", error.message)
        else:
            super().refuse(error)


def _wallet_choices(wallets, selected: str | None) -> list[Wallet]:
    """The wallets of a menu, the default one first, and always the selected one."""
    choices = list(wallets.order_by("-is_default", "name", "pk")[:_MOST_CHOICES])
    uuid = ids.parse(selected or "", "wal")
    listed = {wallet.id for wallet in choices}
    if uuid and len(choices) == _MOST_CHOICES and selected not in listed:
        choices += wallets.filter(pk=uuid)
    return choices


def _wallet_label(wallet: Wallet) -> str:
    """A wallet's name with its available balance."""
    available = money.display(wallet.account.available, wallet.currency)
    frozen = ", frozen" if wallet.status == Wallet.Status.FROZEN else ""
    return f"{wallet.name} ({available} available{frozen})"


def duplicate_values(link: PaymentLink) -> dict:
    """The initial values of a form that duplicates a link."""
    matching = (days for days in _DAYS if _lasts(link, int(days)))
    # A custom date has passed or soon will, so it is not copied and the form asks for another.
    expires = next(matching, _AT) if link.expires_at else _NEVER
    values = {
        "direction": link.direction,
        "wallet": link.wallet_id,
        "amount": money.amount_text(link.amount),
        "description": link.description,
        "expires": expires,
        "max_uses": link.max_uses,
        "emails": "\n".join(link.emails),
        "wallet_ids": "\n".join(link.wallet_ids),
    }
    return values | {"proof": link.proof} if link.emails else values


def _lasts(link: PaymentLink, days: int) -> bool:
    # The link is created shortly after its form computed the expiry.
    return abs(link.expires_at - link.created_at - timedelta(days=days)) < timedelta(minutes=1)


class CancelForm(PageForm):
    """Confirms the cancellation of a link. It has no fields."""

    def refuse(self, error: DomainError) -> None:
        if isinstance(error, InvalidState):
            self.add_error(
                None,
                "This link was over before: it had been used, cancelled, or had expired. Nothing"
                " was changed.",
            )
        else:
            super().refuse(error)


class LinkFilters(Filters):
    """Filters of the list of links."""

    status = forms.ChoiceField(
        label="Status",
        required=False,
        choices=[("", "Every status"), *((s.value, s.label) for s in PaymentLink.Status)],
    )
    direction = forms.ChoiceField(
        label="Direction",
        required=False,
        choices=[("", "Both ways"), (_SEND, "You pay"), (_RECEIVE, "You are paid")],
    )
    wallet = forms.ChoiceField(label="Wallet", required=False)
    method = forms.ChoiceField(
        label="Used by",
        required=False,
        choices=[("", "Any method"), *Claim.Method.choices],
    )
    since = forms.DateField(label="Made from", required=False, widget=fields.day())
    until = forms.DateField(label="Made until", required=False, widget=fields.day())
    q = forms.CharField(
        label="Search",
        required=False,
        max_length=200,
        widget=forms.TextInput(
            attrs={"type": "search", "placeholder": "Description, id, address or e-mail"}
        ),
    )

    def __init__(self, *args, actor: Actor, **kwargs):
        super().__init__(*args, **kwargs)
        wallets = _wallet_choices(Wallet.objects.visible_to(actor), self.data.get("wallet"))
        named = [(wallet.id, wallet.name) for wallet in wallets]
        self.fields["wallet"].choices = [("", "Every wallet"), *named]

    def apply(self, rows):
        data = self.cleaned_data
        if data["status"]:
            rows = rows.in_status(data["status"])
        if data["direction"]:
            rows = rows.filter(direction=data["direction"])
        if data["wallet"]:
            rows = rows.filter(wallet=data["wallet"])
        if data["method"]:
            claims = Claim.objects.filter(link=OuterRef("pk"), method=data["method"])
            rows = rows.filter(Exists(claims))
        if data["since"]:
            rows = rows.filter(created_at__gte=fields.start_of(data["since"]))
        if data["until"]:
            rows = rows.filter(created_at__lt=fields.end_of(data["until"]))
        if data["q"]:
            rows = rows.filter(_matching(data["q"].strip()))
        return rows


def _matching(text: str) -> Q:
    """The filter for a search text: an id, an address, or a part of the description or an email."""
    if uuid := ids.parse(text, *PaymentLink.PREFIXES):
        return Q(pk=uuid)
    if "/pay/" in text:
        return Q(slug=text.rpartition("/pay/")[2])
    return Q(description__icontains=text) | Q(emails__contains=[addresses.normalize(text)])
