"""Dashboard pages that list, send, show and reverse payments."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q

from accounts.ledger.models import Entry
from accounts.organizations.models import Organization
from accounts.payments.forms import PaymentFilters, ReverseForm, SendForm
from accounts.payments.models import Payment
from accounts.payments.services import internal_payments, payments
from accounts.payments.services.payments import PaymentRequest
from accounts.wallets.models import Wallet
from wallgent import ids
from wallgent.actors import Actor
from wallgent.api.errors import translate
from wallgent.errors import DomainError
from wallgent.events import timeline
from wallgent.web import pages
from wallgent.web.access import dashboard
from wallgent.web.listing import Column, Listing

_MOST_CHOICES = 200  # wallets in a menu; the page of any other wallet links to this form

_STEPS = ("Details", "Review")

_COLUMNS = {
    "party": Column(label="To or from"),
    "wallet": Column(label="Own wallet"),
    "created": Column(label="When", sort="pk"),
    "status": Column(label="Status"),
    "amount": Column(label="Amount", sort="amount", numeric=True),
}


@dataclass(frozen=True, slots=True)
class Party:
    """The sender or recipient as the viewer may see it. `name` is empty for unknown parties."""

    wallet_id: str
    name: str
    is_own: bool

    @classmethod
    def of(cls, wallet: Wallet, organization: Organization, *, known: bool, actor: Actor):
        """`known` means that money has moved between the two organizations before."""
        if organization.id == actor.organization.id:
            return cls(wallet.id, wallet.name, is_own=True)
        # Wallet names are private to their organization.
        return cls(wallet.id, organization.name if known else "", is_own=False)

    @property
    def label(self) -> str:
        """The name, or a shortened wallet id."""
        return self.name or f"{self.wallet_id[:8]}…{self.wallet_id[-4:]}"


@dataclass(frozen=True, slots=True)
class Line:
    """A payment as the viewer's organization sees it."""

    payment: Payment
    direction: str  # IN, OUT or WITHIN
    sender: Party
    recipient: Party
    created_at: datetime
    settled_at: datetime | None

    @classmethod
    def of(cls, payment: Payment, *, actor: Actor, wallet_id: str = ""):
        """`wallet_id` is the own wallet that the list is filtered by, if it is."""
        party_of = partial(Party.of, known=payment.settled_at is not None, actor=actor)
        sender = party_of(payment.sender, payment.organization)
        recipient = party_of(payment.recipient, payment.recipient_organization)
        direction = "OUT" if sender.is_own else "IN"
        if sender.is_own and recipient.is_own:
            directions = {sender.wallet_id: "OUT", recipient.wallet_id: "IN"}
            direction = directions.get(wallet_id, "WITHIN")
        return cls(payment, direction, sender, recipient, *payment.dates_for(actor.organization))

    @property
    def own(self) -> Party:
        return self.recipient if self.direction == "IN" else self.sender

    @property
    def other(self) -> Party:
        return self.sender if self.direction == "IN" else self.recipient

    @property
    def sign(self) -> str:
        """The sign of the amount; none for unsettled payments and between own wallets."""
        is_signed = self.payment.settled_at and self.direction != "WITHIN"
        return self.direction.lower() if is_signed else ""

    @property
    def fee(self):
        """The fee on top of the amount; None for the recipient, who does not see it."""
        return self.payment.fee if self.sender.is_own else None

    @property
    def total(self):
        return self.payment.amount + (self.fee or 0)


def _with_parties(rows):
    return rows.select_related("sender", "recipient", "organization", "recipient_organization")


def _wallet_choices(actor: Actor, *selected_ids: str) -> list[Wallet]:
    """The actor's open wallets by name, as many as a menu can show, and the selected ones."""
    own = Wallet.objects.visible_to(actor)
    wanted = {uuid for id in selected_ids if (uuid := ids.parse(id, "wal"))}
    first = own.exclude(account__state=Wallet.Status.CLOSED).order_by("name", "pk")
    found = list(first[:_MOST_CHOICES])
    missing = wanted - {ids.to_uuid(wallet.id) for wallet in found}
    return found + list(own.filter(pk__in=missing)) if missing else found


def _may_write(actor: Actor) -> bool:
    """Whether buttons are shown. Each action checks its permission again."""
    return actor.may("payments:write") and not actor.is_locked


@dashboard("payments", GET="payments:read")
def index(request):
    """List payments sent and received."""
    actor = request.actor
    wallet_id = request.GET.get("wallet", "")
    own_wallets = _wallet_choices(actor, wallet_id)
    listing = Listing(
        request,
        _with_parties(Payment.objects.visible_to(actor)),
        columns=_COLUMNS,
        default="-created",
        filters=partial(PaymentFilters, actor=actor, wallets=own_wallets),
    )
    context = {
        "listing": listing,
        "lines": [Line.of(payment, actor=actor, wallet_id=wallet_id) for payment in listing.rows],
        "may_send": _may_write(actor),
    }
    return pages.render(request, "accounts/payments/payments.html", context)


@dashboard("payments", GET="payments:write", POST="payments:write")
def new(request):
    """Send a payment: first a form, then a review, then the payment."""
    review = pages.draft(request, request.GET.get("review", ""))
    prefill = pages.draft(request, request.GET.get("draft", "")) or request.GET
    data = request.POST if request.method == "POST" else review
    shown = data or prefill
    own_wallets = _wallet_choices(request.actor, shown.get("sender", ""), shown.get("own", ""))
    if data is None:
        initial = _initial(shown)
        if shown is request.GET:
            initial.pop("submission", None)  # the author of a link must not choose the key
        return _render_form(request, SendForm(initial=initial, wallets=own_wallets))
    form = SendForm(data, wallets=own_wallets)
    if form.is_valid():
        if data.get("step") == "send":
            answer = _send(request, form)
        else:
            answer = _review(request, form)
            if answer and request.method == "POST":
                answer = pages.save_draft(request, form)
        if answer:
            return answer
    return _render_form(request, form)


def _initial(data) -> dict:
    """The values to edit, with the one-time key, so that an edited form cannot pay twice."""
    names = ("sender", "own", "other", "amount", "description", "submission")
    return {name: data[name] for name in names if data.get(name)}


def _render_form(request, form: SendForm):
    details = form.refusal.details if form.refusal else {}
    context = {
        "form": form,
        "steps": _STEPS,
        "is_locked": request.actor.is_locked,
        "failed_id": details.get("transactionId"),
        "short_of_funds": form.refusal and form.refusal.code == "INSUFFICIENT_FUNDS",
        "frozen": form.refusal and form.refusal.code == "WALLET_FROZEN",
        "sender_id": form.cleaned_data.get("sender") if form.refusal else None,
        "menu_is_full": len(form.fields["sender"].choices) > _MOST_CHOICES,
    }
    status = pages.UNPROCESSABLE if form.errors else 200
    return pages.render(request, "accounts/payments/payment_new.html", context, status=status)


def _send(request, form: SendForm):
    return pages.submit(
        request,
        form,
        partial(_pay, form, request.actor),
        done=lambda payment: pages.to(request, "payment", id=payment.id),
        say="Payment sent.",
    )


def _pay(form: SendForm, actor: Actor) -> Payment:
    data = form.cleaned_data
    sender, recipient = payments.resolve_wallets(data["sender"], data["recipient"], actor=actor)
    payment_request = PaymentRequest(
        sender=sender,
        recipient=recipient,
        amount=data["amount"],
        description=data["description"],
    )
    if recipient.organization_id == actor.organization.id:
        return internal_payments.create(payment_request, actor=actor)  # free of charge
    return payments.create(payment_request, actor=actor)


def _review(request, form: SendForm):
    """Show what the payment would do: make it under the real rules, then roll it back.

    Returns None after a refusal, which the form shows.
    """
    actor = request.actor
    try:
        with transaction.atomic():
            payment = _pay(form, actor)
            remaining = Wallet.objects.get(pk=payment.sender_id).account.available
            transaction.set_rollback(True)
    except (DomainError, OperationalError, InterfaceError) as error:
        refusal = translate(error)
        refusal.details.pop("transactionId", None)  # of a payment that the user did not make
        form.refuse(refusal)
        return None
    parties = Wallet.objects.in_bulk([payment.sender_id, payment.recipient_id])
    sender, recipient = parties[payment.sender_id], parties[payment.recipient_id]
    known = _have_paid_each_other(actor, recipient.organization)
    context = {
        "form": form,
        "steps": _STEPS,
        "payment": payment,
        "sender": Party.of(sender, sender.organization, known=True, actor=actor),
        "recipient": Party.of(recipient, recipient.organization, known=known, actor=actor),
        "total": payment.amount + payment.fee,
        "remaining": remaining,
    }
    return pages.render(request, "accounts/payments/payment_review.html", context)


def _have_paid_each_other(actor: Actor, other: Organization) -> bool:
    """Whether money moved between the two before; then each sees the other's name."""
    between = Payment.objects.visible_to(actor).filter(
        Q(organization=other) | Q(recipient_organization=other), settled_at__isnull=False
    )
    return between.exists()


@dashboard("payments", GET="payments:read")
def show(request, id):
    """Show a payment with its entries and its timeline."""
    actor = request.actor
    payment = payments.access(id, actor=actor)
    line = _line(payment, actor)
    reversal = next(iter(payment.reversals.all()), None)
    context = {
        "title": f"{'From' if line.direction == 'IN' else 'To'} {line.other.label}",
        "line": line,
        "payment": payment,
        "reversal": reversal,
        "entries": _entries(line, actor),
        "events": timeline.of(payment.id, actor=actor),
        "may_reverse": _may_write(actor)
        and payments.reversal_blocker(payment, actor=actor) is None,
    }
    return pages.render(request, "accounts/payments/payment.html", context)


def _line(payment: Payment, actor: Actor) -> Line:
    return Line.of(_with_parties(Payment.objects.filter(pk=payment.pk)).get(), actor=actor)


def _entries(line: Line, actor: Actor) -> list[dict]:
    """The ledger entries: all of them for the sender, only its own for a recipient.

    A balance is shown to its owner only.
    """
    owner = ids.to_uuid(actor.organization.id)
    parties = {
        line.payment.sender.account_id: line.sender,
        line.payment.recipient.account_id: line.recipient,
    }
    entries = Entry.objects.filter(transaction=line.payment.id).select_related("account")
    return [
        {
            "entry": entry,
            "party": parties.get(entry.account_id),  # None for our own account, which gets the fee
            "balance_after": entry.balance_after if entry.account.owner == owner else None,
        }
        for entry in entries.order_by("-type", "pk")
        if line.sender.is_own or entry.account.owner == owner
    ]


@dashboard("payments", GET="payments:write", POST="payments:write")
def reverse(request, id):
    """Reverse a payment, after a confirmation."""
    actor = request.actor
    payment = payments.access(id, actor=actor)
    form = ReverseForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        answer = pages.submit(
            request,
            form,
            lambda: payments.reverse(payment, actor=actor, reason=form.cleaned_data["reason"]),
            done=lambda payment: pages.to(request, "payment", id=payment.id),
            say="The payment was given back.",
        )
        if answer:
            return answer
    context = {
        "form": form,
        "line": _line(payment, actor),
        "payment": payment,
        "blocker": payments.reversal_blocker(payment, actor=actor),
    }
    status = pages.UNPROCESSABLE if form.errors else 200
    return pages.render(request, "accounts/payments/payment_reverse.html", context, status=status)
