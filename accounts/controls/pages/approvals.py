"""Approvals in the dashboard: what waits for a decision, and taking it."""

from dataclasses import dataclass
from functools import partial

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Case, Value, When

from accounts.activity import overview
from accounts.controls.forms.approvals import ApprovalFilters, ApproveForm, RejectForm
from accounts.controls.models import Approval
from accounts.controls.services import approvals
from accounts.payments.models import Payment
from accounts.wallets.models import Wallet
from wallgent import ids
from wallgent.actors import Actor
from wallgent.api.errors import translate
from wallgent.errors import DomainError
from wallgent.events import timeline
from wallgent.web import pages
from wallgent.web.access import dashboard
from wallgent.web.listing import Column, Listing

_MOST_CHOICES = 200  # wallets in a menu; any other is reached by an address that names it

_COLUMNS = {
    "asked": Column(label="Who asks", sort="pk"),  # in the order they were made
    "wallet": Column(label="From wallet"),
    "ends": Column(label="Ends", sort="expires_at"),
    "status": Column(label="Status", sort="is_waiting"),
    "amount": Column(label="Amount", sort="amount", numeric=True),
}
_IS_WAITING = Case(When(status=Approval.Status.PENDING, then=Value(1)), default=Value(0))


@dashboard(GET="payments:read")
def index(request):
    """What waits, newest first, and below it what was decided."""
    actor = request.actor
    listing = Listing(
        request,
        approvals.visible_to(actor).annotate(is_waiting=_IS_WAITING),
        columns=_COLUMNS,
        default="-status",
        filters=partial(ApprovalFilters, wallets=_choices(actor, request.GET.get("wallet", ""))),
    )
    context = {"listing": listing, "may_decide": _may_decide(actor)}
    return pages.render(request, "accounts/controls/approvals.html", context)


def _choices(actor: Actor, asked: str) -> list[Wallet]:
    """The actor's wallets by name, as many as a menu can show, and the one asked for."""
    own = Wallet.objects.visible_to(actor)
    found = list(own.order_by("name", "pk")[:_MOST_CHOICES])
    uuid = ids.parse(asked, "wal")
    if uuid and asked not in {wallet.id for wallet in found}:
        found += own.filter(pk=uuid)
    return found


def _may_decide(actor: Actor) -> bool:
    """Whether buttons are offered. What is sent is judged anew."""
    return actor.may("payments:write") and not overview.is_locked(actor)


def _about(approval: Approval) -> dict:
    """What every page of an approval says of it."""
    asker = approval.asked_by_organization
    return {
        "approval": approval,
        "asker": asker.name,
        # What another organization calls its wallet is its own affair.
        "recipient": approval.recipient.name
        if approval.recipient_organization_id == approval.organization_id
        else approval.recipient_organization.name,
        "is_stranger": approval.is_asked_by_stranger,
        "is_unverified": approval.is_asked_by_stranger and asker.production_activated_at is None,
        "kind": approval.kind.replace("_", " ").capitalize(),
    }


@dashboard(GET="payments:read")
def show(request, id):
    """What is asked, by whom, for what, until when; and what became of it."""
    approval = approvals.access(id, actor=request.actor)
    context = _about(approval) | {
        "may_decide": approval.is_open and _may_decide(request.actor),
        "facts": timeline.of(approval.id, actor=request.actor),
    }
    return pages.render(request, "accounts/controls/approval.html", context)


@dashboard(GET="payments:write", POST="payments:write")
def approve(request, id):
    """Agree, after a look at what it comes to."""
    return _decide(
        request,
        approvals.access(id, actor=request.actor),
        ApproveForm,
        "accounts/controls/approval_approve.html",
        lambda approval, said: approvals.approve(approval, actor=request.actor),
        say="Approved and paid.",
        look=_look,
    )


@dashboard(GET="payments:write", POST="payments:write")
def reject(request, id):
    """Say no, and why."""
    return _decide(
        request,
        approvals.access(id, actor=request.actor),
        RejectForm,
        "accounts/controls/approval_reject.html",
        lambda approval, said: approvals.reject(
            approval, actor=request.actor, reason=said["reason"]
        ),
        say="Rejected. Nothing was paid.",
    )


def _decide(request, approval, form_class, template, decide, *, say, look=None):
    form = form_class(request.POST if request.method == "POST" else None)
    if form.is_valid():
        answer = pages.submit(
            request,
            form,
            lambda: decide(approval, form.cleaned_data),
            done=lambda approval: pages.to(request, "approval", id=approval.id),
            say=say,
        )
        if answer:
            return answer
        approval = approvals.access(approval.id, actor=request.actor)  # as it is by now
    context = _about(approval) | {"form": form}
    if look and approval.is_open and not form.errors:
        context["look"] = look(approval, request.actor)
    status = pages.UNPROCESSABLE if form.errors else 200
    return pages.render(request, template, context, status=status)


@dataclass(frozen=True, slots=True)
class _Look:
    """What approving would come to now."""

    refusal: DomainError | None = None
    payment: Payment | None = None
    remaining: object = None

    @property
    def total(self):
        return self.payment.amount + self.payment.fee


def _look(approval: Approval, actor: Actor) -> _Look:
    """By the rules themselves: it is done in full, and taken back."""
    try:
        with transaction.atomic():
            approved = approvals.approve(approval, actor=actor)
            remaining = Wallet.objects.get(pk=approved.wallet_id).account.available
            transaction.set_rollback(True)
    except (DomainError, OperationalError, InterfaceError) as error:
        return _Look(refusal=translate(error))
    return _Look(payment=approved.payment, remaining=remaining)
