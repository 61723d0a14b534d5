"""Payments on the dashboard: listed, sent after a review, looked at, given back."""

from dataclasses import dataclass
from functools import partial

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q

from accounts.activity import overview
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

_MOST_CHOICES = 200  # wallets in a menu; any other is reached from its own page

_STEPS = ("Details", "Review")

_KINDS = {
    Payment.Kind.PAYMENT: "Payment",
    Payment.Kind.INTERNAL: "Transfer between wallets of one organization",
    Payment.Kind.REVERSAL: "A payment given back",
    Payment.Kind.PAYMENT_LINK: "Payment by link",
}

_COLUMNS = {
    "party": Column(label="To or from"),
    "wallet": Column(label="Own wallet"),
    "created": Column(label="When", sort="pk"),
    "status": Column(label="Status"),
    "amount": Column(label="Amount", sort="amount", numeric=True),
}


@dataclass(frozen=True, slots=True)
class Party:
    """One side of a payment, as far as the viewer may know it: `name` may be empty."""

    wallet_id: str
    name: str
    is_own: bool

    @classmethod
    def of(cls, wallet: Wallet, organization: Organization, *, known: bool, actor: Actor):
        """`known` tells whether the two sides have dealt with each other."""
        if organization.id == actor.organization.id:
            return cls(wallet.id, wallet.name, is_own=True)
        # What somebody else calls their wallet is their own affair.
        return cls(wallet.id, organization.name if known else "", is_own=False)

    @property
    def label(self) -> str:
        """Something to call it by."""
        return self.name or f"{self.wallet_id[:8]}…{self.wallet_id[-4:]}"


@dataclass(frozen=True, slots=True)
class Line:
    """A payment as the viewer's organization sees it."""

    payment: Payment
    direction: str  # IN, OUT or WITHIN
    sender: Party
    recipient: Party

    @classmethod
    def of(cls, payment: Payment, *, actor: Actor, wallet_id: str = ""):
        """`wallet_id` is one's own wallet that is looked at, if it is only one."""
        party = partial(Party.of, known=payment.settled_at is not None, actor=actor)
        sender = party(payment.sender, payment.organization)
        recipient = party(payment.recipient, payment.recipient_organization)
        if sender.is_own and recipient.is_own:
            ends = {sender.wallet_id: "OUT", recipient.wallet_id: "IN"}
            return cls(payment, ends.get(wallet_id, "WITHIN"), sender, recipient)
        return cls(payment, "OUT" if sender.is_own else "IN", sender, recipient)

    @property
    def own(self) -> Party:
        return self.recipient if self.direction == "IN" else self.sender

    @property
    def other(self) -> Party:
        return self.sender if self.direction == "IN" else self.recipient

    @property
    def sign(self) -> str:
        """How the amount is marked; what was never paid, or stays within, changes nothing."""
        moved = self.payment.settled_at and self.direction != "WITHIN"
        return self.direction.lower() if moved else ""

    @property
    def fee(self):
        """What the payment cost on top; to its recipient that is the sender's affair."""
        return self.payment.fee if self.sender.is_own else None

    @property
    def total(self):
        return self.payment.amount + (self.fee or 0)


def _with_parties(found):
    return found.select_related("sender", "recipient", "organization", "recipient_organization")


def _choices(actor: Actor, *asked: str) -> list[Wallet]:
    """The actor's open wallets by name, as many as a menu can show, and those asked for."""
    own = Wallet.objects.visible_to(actor)
    wanted = {uuid for id in asked if (uuid := ids.parse(id, "wal"))}
    first = own.exclude(account__state=Wallet.Status.CLOSED).order_by("name", "pk")
    found = list(first[:_MOST_CHOICES])
    missing = wanted - {ids.to_uuid(wallet.id) for wallet in found}
    return found + list(own.filter(pk__in=missing)) if missing else found


def _may_write(actor: Actor) -> bool:
    """Whether buttons are offered. What is sent is judged anew."""
    return actor.may("payments:write") and not overview.is_locked(actor)


@dashboard(GET="payments:read")
def index(request):
    """What was paid and received."""
    actor = request.actor
    wallet_id = request.GET.get("wallet", "")
    own = _choices(actor, wallet_id)
    listing = Listing(
        request,
        _with_parties(Payment.objects.visible_to(actor)),
        columns=_COLUMNS,
        default="-created",
        filters=partial(PaymentFilters, actor=actor, wallets=own),
    )
    context = {
        "listing": listing,
        "lines": [Line.of(payment, actor=actor, wallet_id=wallet_id) for payment in listing.rows],
        "may_send": _may_write(actor),
    }
    return pages.render(request, "accounts/payments/payments.html", context)


@dashboard(GET="payments:write", POST="payments:write")
def new(request):
    """Pay: a form, a look at what it comes to, and only then the payment."""
    looked_at = pages.draft(request, request.GET.get("review", ""))
    written = pages.draft(request, request.GET.get("draft", "")) or request.GET
    said = request.POST if request.method == "POST" else looked_at
    asked = said or written
    own = _choices(request.actor, asked.get("sender", ""), asked.get("own", ""))
    if said is None:
        initial = _initial(asked)
        if asked is request.GET:
            initial.pop("submission", None)  # whoever made the link has it, too
        return _ask(request, SendForm(initial=initial, wallets=own))
    form = SendForm(said, wallets=own)
    if form.is_valid():
        if said.get("step") == "send":
            answer = _send(request, form)
        else:
            answer = _review(request, form)
            if answer and request.method == "POST":
                answer = pages.keep_draft(request, form)
        if answer:
            return answer
    return _ask(request, form)


def _initial(asked) -> dict:
    """What was written already; the one-time key with it, so that a change cannot pay twice."""
    names = ("sender", "own", "other", "amount", "description", "submission")
    return {name: asked[name] for name in names if asked.get(name)}


def _ask(request, form: SendForm):
    details = form.refusal.details if form.refusal else {}
    context = {
        "form": form,
        "steps": _STEPS,
        "is_locked": overview.is_locked(request.actor),
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
    said = form.cleaned_data
    order = PaymentRequest(
        sender_id=said["sender"],
        recipient_id=said["recipient"],
        amount=said["amount"],
        description=said["description"],
    )
    parties = payments.parties(order, actor=actor)
    if parties.recipient.organization_id == actor.organization.id:
        return internal_payments.internal(parties, actor=actor)  # free of charge
    return payments.create(parties, actor=actor)


def _review(request, form: SendForm):
    """What sending would come to, by the rules themselves: it is done in full, and taken back."""
    actor = request.actor
    try:
        with transaction.atomic():
            payment = _pay(form, actor)
            remaining = Wallet.objects.get(pk=payment.sender_id).account.available
            transaction.set_rollback(True)
    except (DomainError, OperationalError, InterfaceError) as error:
        refusal = translate(error)
        refusal.details.pop("transactionId", None)  # of a payment that nobody tried to make
        form.refuse(refusal)
        return None
    sides = Wallet.objects.in_bulk([payment.sender_id, payment.recipient_id])
    sender, recipient = sides[payment.sender_id], sides[payment.recipient_id]
    known = _have_dealt(actor, recipient.organization)
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


def _have_dealt(actor: Actor, other: Organization) -> bool:
    """Whether money went between the two before: then they know each other by name."""
    between = Payment.objects.visible_to(actor).filter(
        Q(organization=other) | Q(recipient_organization=other), settled_at__isnull=False
    )
    return between.exists()


@dashboard(GET="payments:read")
def show(request, id):
    """A payment, its entries and what happened to it."""
    actor = request.actor
    payment = payments.access(id, actor=actor)
    line = _line(payment, actor)
    reversal = next(iter(payment.reversals.all()), None)
    context = {
        "title": f"{'From' if line.direction == 'IN' else 'To'} {line.other.label}",
        "kind": _KINDS[payment.kind],
        "line": line,
        "payment": payment,
        "reversal": reversal,
        "entries": _entries(line, actor),
        "facts": timeline.of(payment.id, actor=actor),
        "may_give_back": _may_write(actor)
        and payments.why_irreversible(payment, actor=actor) is None,
    }
    return pages.render(request, "accounts/payments/payment.html", context)


def _line(payment: Payment, actor: Actor) -> Line:
    return Line.of(_with_parties(Payment.objects.filter(pk=payment.pk)).get(), actor=actor)


def _entries(line: Line, actor: Actor) -> list[dict]:
    """Both sides of the book for the sender, who paid all of it; for a recipient, what came in.

    A balance is shown to its owner only.
    """
    owner = ids.to_uuid(actor.organization.id)
    names = {
        line.payment.sender.account_id: line.sender,
        line.payment.recipient.account_id: line.recipient,
    }
    entries = Entry.objects.filter(transaction=line.payment.id).select_related("account")
    return [
        {
            "entry": entry,
            "party": names.get(entry.account_id),  # none: it is ours, the fee
            "balance_after": entry.balance_after if entry.account.owner == owner else None,
        }
        for entry in entries.order_by("-type", "pk")
        if line.sender.is_own or entry.account.owner == owner
    ]


@dashboard(GET="payments:write", POST="payments:write")
def reverse(request, id):
    """Give a payment back to its sender, after a question."""
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
        "refusal": payments.why_irreversible(payment, actor=actor),
    }
    status = pages.UNPROCESSABLE if form.errors else 200
    return pages.render(request, "accounts/payments/payment_reverse.html", context, status=status)
