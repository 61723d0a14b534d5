"""Dashboard pages that list, show and decide approvals."""

from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Case, Value, When

from accounts.controls.forms.approvals import ApprovalFilters, ApproveForm, RejectForm
from accounts.controls.models import Approval
from accounts.controls.services import approvals
from accounts.wallets.models import Wallet
from wallgent import ids
from wallgent.actors import Actor
from wallgent.api.errors import translate
from wallgent.errors import DomainError
from wallgent.events import descriptions, timeline
from wallgent.web import pages
from wallgent.web.access import dashboard
from wallgent.web.listing import Column, Listing

_MOST_CHOICES = 200  # wallets in a menu; any other can be given in the URL

_COLUMNS = {
    "asked": Column(label="Who asks", sort="pk"),  # ids are in order of creation
    "wallet": Column(label="From wallet"),
    "ends": Column(label="Ends", sort="expires_at"),
    "status": Column(label="Status", sort="is_waiting"),
    "amount": Column(label="Amount", sort="amount", numeric=True),
}
_IS_WAITING = Case(When(status=Approval.Status.PENDING, then=Value(1)), default=Value(0))


@dashboard("approvals", GET="payments:read")
def index(request):
    """List approvals: pending ones first, then decided ones, each newest first."""
    actor = request.actor
    listing = Listing(
        request,
        approvals.visible_to(actor).annotate(is_waiting=_IS_WAITING),
        columns=_COLUMNS,
        default="-status",
        filters=partial(
            ApprovalFilters, wallets=_wallet_choices(actor, request.GET.get("wallet", ""))
        ),
    )
    context = {"listing": listing, "may_decide": _may_decide(actor)}
    return pages.render(request, "accounts/controls/approvals.html", context)


def _wallet_choices(actor: Actor, selected_id: str) -> list[Wallet]:
    """The actor's wallets by name, as many as a menu can show, and the selected one."""
    own = Wallet.objects.visible_to(actor)
    found = list(own.order_by("name", "pk")[:_MOST_CHOICES])
    uuid = ids.parse(selected_id, "wal")
    if uuid and selected_id not in {wallet.id for wallet in found}:
        found += own.filter(pk=uuid)
    return found


def _may_decide(actor: Actor) -> bool:
    """Whether buttons are shown. Each action checks its permission again."""
    return actor.may("payments:write") and not actor.is_locked


def _approval_context(approval: Approval) -> dict:
    """The template context that all pages of an approval share."""
    asker, is_stranger = approval.asked_by_organization, approval.is_asked_by_stranger
    return {
        "approval": approval,
        "asker": asker.name,
        # Wallet names are private to their organization.
        "recipient": approval.recipient.name
        if approval.recipient_organization_id == approval.organization_id
        else approval.recipient_organization.name,
        "is_stranger": is_stranger,
        "is_unverified": is_stranger and asker.production_activated_at is None,
        "kind": approvals.kind_of(approval),
        # The subject of another organization cannot be opened.
        "subject_page": "" if is_stranger else descriptions.page_of(approval.subject_id),
    }


@dashboard("approvals", GET="payments:read")
def show(request, id):
    """Show an approval and its timeline."""
    approval = approvals.access(id, actor=request.actor)
    context = _approval_context(approval) | {
        "may_decide": approval.is_open and _may_decide(request.actor),
        "events": timeline.of(approval.id, actor=request.actor),
    }
    return pages.render(request, "accounts/controls/approval.html", context)


@dashboard("approvals", GET="payments:write", POST="payments:write")
def approve(request, id):
    """Approve, after a preview of the payment."""
    return _decide(
        request,
        approvals.access(id, actor=request.actor),
        ApproveForm,
        "accounts/controls/approval_approve.html",
        lambda approval, data: approvals.approve(approval, actor=request.actor),
        say="Approved and paid.",
        preview=_preview,
    )


@dashboard("approvals", GET="payments:write", POST="payments:write")
def reject(request, id):
    """Reject, with an optional reason."""
    return _decide(
        request,
        approvals.access(id, actor=request.actor),
        RejectForm,
        "accounts/controls/approval_reject.html",
        lambda approval, data: approvals.reject(
            approval, actor=request.actor, reason=data["reason"]
        ),
        say="Rejected. Nothing was paid.",
    )


def _decide(request, approval, form_class, template, decide, *, say, preview=None):
    """Show the form of a decision, or carry it out with `decide(approval, form data)`."""
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
        approval = approvals.access(
            approval.id, actor=request.actor
        )  # reloaded: it may have changed
    context = _approval_context(approval) | {"form": form}
    if preview and approval.is_open and not form.errors:
        context["preview"] = preview(approval, request.actor)
    status = pages.UNPROCESSABLE if form.errors else 200
    return pages.render(request, template, context, status=status)


@dataclass(frozen=True, slots=True)
class _Preview:
    """The effect of approving now: a payment and what remains in the wallet, or a refusal."""

    refusal: DomainError | None = None
    payment: Any = None
    remaining: Decimal | None = None

    @property
    def total(self):
        return self.payment.amount + self.payment.fee


def _preview(approval: Approval, actor: Actor) -> _Preview:
    """Approve under the real rules, then roll it back."""
    try:
        with transaction.atomic():
            approved = approvals.approve(approval, actor=actor)
            remaining = Wallet.objects.get(pk=approved.wallet_id).account.available
            transaction.set_rollback(True)
    except (DomainError, OperationalError, InterfaceError) as error:
        return _Preview(refusal=translate(error))
    return _Preview(payment=approved.payment, remaining=remaining)
