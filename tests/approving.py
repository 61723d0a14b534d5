"""A kind of approval for tests: approving it makes an ordinary payment, with its fee."""

from decimal import Decimal

from accounts.controls.models import Approval
from accounts.controls.services import approvals
from accounts.payments.api.payments import PaymentOutput
from accounts.payments.models import Payment
from accounts.payments.services import payments
from accounts.payments.services.payments import PaymentRequest
from accounts.wallets.models import Wallet
from tests import due, world
from wallgent.due_work import worker

KIND = "test"
ended: list[tuple[str, str]] = []  # the calls of `_on_ended`: (approval id, status)


def _pay(approval: Approval, *, actor) -> Payment:
    sender, recipient = payments.resolve_wallets(
        approval.wallet_id, approval.recipient_id, actor=actor
    )
    payment_request = PaymentRequest(
        sender=sender,
        recipient=recipient,
        amount=approval.amount,
        description=approval.description,
    )
    return payments.create(payment_request, actor=actor)


def _lock(approval: Approval) -> None:
    """Lock the wallet, which is the subject here: `withdraw` is called with it locked."""
    Wallet.objects.locked(approval.wallet_id)


def _on_ended(approval: Approval, *, actor) -> None:
    ended.append((approval.id, approval.status))


def _result_json(approval: Approval) -> dict | None:
    return approval.payment and PaymentOutput.of(approval.payment).to_json()


approvals.register(
    KIND,
    approvals.Kind(
        label="Commission",
        effect="The designer is paid.",
        execute=_pay,
        lock=_lock,
        on_ended=_on_ended,
        result_json=_result_json,
    ),
)


def ask(wallet: Wallet, recipient: Wallet, amount: str = "25", *, by=None, **fields) -> Approval:
    """Ask the organization of `wallet` to pay; the organization of `recipient` asks by default."""
    fields = {"kind": KIND, "subject_id": "lnk_1", "description": "Design work"} | fields
    return approvals.request(
        actor=by or world.actor_for(recipient.organization, recipient.environment),
        wallet=wallet,
        recipient=recipient,
        amount=Decimal(amount),
        currency=wallet.currency,
        **fields,
    )


def lapse(approval: Approval) -> None:
    """Move the approval into the past, so that its time is over while it is still PENDING."""
    lifetime = approvals.LIFETIME
    Approval.objects.filter(pk=approval.pk).update(
        created_at=approval.created_at - 2 * lifetime, expires_at=approval.expires_at - lifetime
    )
    due.make_due(approval.id)


def expire_approvals() -> int:
    """Do the due work of approvals. Return how many rows it handled."""
    return worker.work(approvals.DUE_WORK)


def stored(approval: Approval) -> Approval:
    return Approval.objects.get(pk=approval.pk)
