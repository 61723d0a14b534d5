"""A kind of approval for tests: what is approved is an ordinary payment, its fee included."""

from decimal import Decimal

from accounts.controls.models import Approval
from accounts.controls.services import approvals
from accounts.payments.models import Payment
from accounts.payments.services import payments
from accounts.payments.services.payments import PaymentRequest
from accounts.wallets.models import Wallet
from tests import world

KIND = "test"
ended: list[tuple[str, str]] = []  # what was told of: (approval, its status)


def _pay(approval: Approval, *, actor) -> Payment:
    order = PaymentRequest(
        sender_id=approval.wallet_id,
        recipient_id=approval.recipient_id,
        amount=approval.amount,
        description=approval.description,
    )
    return payments.create(payments.parties(order, actor=actor), actor=actor)


def _lock(approval: Approval) -> None:
    """The wallet stands for the subject: whoever withdraws has it locked."""
    Wallet.objects.locked(approval.wallet_id)


def _ended(approval: Approval, *, actor) -> None:
    ended.append((approval.id, approval.status))


approvals.register(KIND, _pay, lock=_lock, ended=_ended)


def ask(wallet: Wallet, recipient: Wallet, amount: str = "25", *, by=None, **more) -> Approval:
    """Ask the organization of `wallet` to pay, as an organization that is paid would."""
    asked = {"kind": KIND, "subject_id": "lnk_1", "description": "Design work"} | more
    return approvals.request(
        actor=by or world.actor_for(recipient.organization, recipient.environment),
        wallet=wallet,
        recipient=recipient,
        amount=Decimal(amount),
        currency=wallet.currency,
        **asked,
    )


def lapse(approval: Approval) -> None:
    """Let its time have passed, by real time, without anybody having looked."""
    ago = approvals.LIFETIME
    Approval.objects.filter(pk=approval.pk).update(
        created_at=approval.created_at - 2 * ago, expires_at=approval.expires_at - ago
    )


def stored(approval: Approval) -> Approval:
    return Approval.objects.get(pk=approval.pk)
