"""Paying into a wallet: by debiting a bank account, in USDC, or from another wallet."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial

from accounts.pay_ins.services import mandates
from accounts.payments.models import Payment
from accounts.payments.services import payments
from accounts.payments.services.payments import PaymentRequest
from accounts.transfers.models import RailType, Transfer
from accounts.transfers.rails.base import Bank
from accounts.transfers.services import orders
from accounts.wallets.models import Wallet
from wallgent.actors import Actor
from wallgent.errors import DomainError


@dataclass(frozen=True, slots=True, kw_only=True)
class PayIn:
    """An amount to be paid into a wallet, in the wallet's currency, and what it is for.

    `purpose` and `reference` name the object that is paid: the outcome of a transfer is reported
    to the handler of the purpose, and its approvals are of the kind of that name.
    """

    wallet: Wallet
    amount: Decimal
    purpose: str
    reference: str
    description: str = ""
    may_convert: bool = False  # USD and USDC, 1:1, between a rail and the wallet


def debit_bank(
    pay_in: PayIn, source: Bank, *, acceptance: mandates.Acceptance | None, actor: Actor
) -> Transfer:
    """Order the debit of a bank account whose owner accepted the mandate, and record the mandate.

    Raises ValidationError, InvalidAmount, NotAvailable, InvalidState.
    """
    mandates.check(acceptance, wallet=pay_in.wallet, amount=pay_in.amount)
    transfer = orders.deposit(
        actor=actor, source=source, rail_type=RailType.ACH, **_transfer_fields(pay_in)
    )
    mandates.record(
        acceptance,
        wallet=pay_in.wallet,
        amount=pay_in.amount,
        purpose=pay_in.purpose,
        reference=pay_in.reference,
    )
    return transfer


def expect_usdc(pay_in: PayIn, *, chain: str, expires_at: datetime, actor: Actor) -> Transfer:
    """Create an address for this payment alone, and wait for USDC there until `expires_at`.

    Raises ValidationError, InvalidAmount, NotAvailable, InvalidState.
    """
    return orders.expect(
        actor=actor, chain=chain, expires_at=expires_at, **_transfer_fields(pay_in)
    )


def _transfer_fields(pay_in: PayIn) -> dict:
    return {
        "wallet": pay_in.wallet,
        "amount": pay_in.amount,
        "purpose": pay_in.purpose,
        "reference": pay_in.reference,
        "description": pay_in.description,
        "may_convert": pay_in.may_convert,
    }


def may_spend(actor: Actor, wallet: Wallet) -> bool:
    """Whether an API key or a member may make payments from a wallet."""
    return (
        actor.organization.id == wallet.organization_id
        and actor.environment == wallet.environment
        and actor.may("payments:write")
        and actor.covers(wallet.id)
    )


def pay_from_wallet(pay_in: PayIn, sender: Wallet, *, kind: str, actor: Actor) -> Payment:
    """Pay now from another wallet, which `actor` may spend from.

    Raises InsufficientFunds, WalletFrozen, InvalidState, ValidationError.
    """
    request = PaymentRequest(
        sender=sender,
        recipient=pay_in.wallet,
        amount=pay_in.amount,
        currency=pay_in.wallet.currency,
        description=pay_in.description,
    )
    try:
        return payments.create(request, actor=actor, kind=kind)
    except DomainError as error:
        if record_failure := error.after_rollback:
            # The request may come from another actor, such as a public page. The failed payment
            # is recorded for the organization that pays, not for the one to be paid.
            error.after_rollback = partial(_record_as, record_failure, actor)
        raise


def _record_as(record_failure: Callable, payer: Actor, *, actor: Actor) -> None:
    record_failure(actor=payer)
