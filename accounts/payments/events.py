"""The events of payments: their payloads and how they are described (contract 4.2)."""

from accounts.organizations.models import Organization
from accounts.payments.models import Payment
from wallgent import money
from wallgent.api.schemas import timestamp_text
from wallgent.events.catalogue import declare
from wallgent.events.descriptions import (
    Description,
    Names,
    money_text,
    register_page,
    with_reason,
)


def _payment(payment: Payment, *, organization: Organization) -> dict:
    data = {
        "transactionId": payment.id,
        "from": payment.sender_id,
        "to": payment.recipient_id,
        "amount": money.amount_text(payment.amount),
        "currency": payment.currency,
        "status": payment.status,
        "description": payment.description or None,
        "merchantId": None,
        "createdAt": timestamp_text(payment.created_at),
    }
    if organization.id == payment.organization_id:  # only the sender sees the fee
        data["fee"] = money.amount_text(payment.fee)
    return data


def _payment_failed(payment: Payment, *, organization: Organization) -> dict:
    return _payment(payment, organization=organization) | {
        "code": payment.failure_code,
        "reason": payment.failure_reason,
    }


def _payment_reversed(
    payment: Payment, *, organization: Organization, reversal: Payment, reason: str
) -> dict:
    return _payment(payment, organization=organization) | {
        "reversalTransactionId": reversal.id,
        "reason": reason or None,
    }


def _describe_completed(data: dict, names: Names) -> str:
    sender, recipient = names.of(data["from"]), names.of(data["to"])
    if names.owns(data["from"]) and names.owns(data["to"]):
        return f"{money_text(data)} moved from {sender} to {recipient}"
    if names.owns(data["from"]):
        return f"{money_text(data)} paid from {sender} to {recipient}"
    return f"{money_text(data)} received in {recipient} from {sender}"


def _describe_failed(data: dict, names: Names) -> str:
    return with_reason(f"Payment of {money_text(data)} from {names.of(data['from'])} failed", data)


def _describe_reversed(data: dict, names: Names) -> str:
    if names.owns(data["from"]):
        return with_reason(f"{money_text(data)} given back to {names.of(data['from'])}", data)
    return with_reason(f"{money_text(data)} given back from {names.of(data['to'])}", data)


def declare_all() -> None:
    """Declare the events of payments. Called once, at start."""
    register_page("txn", "payment")
    declare(
        "payment.completed",
        _payment,
        Description(_describe_completed, "arrow-left-right", "success"),
    )
    declare(
        "payment.failed",
        _payment_failed,
        Description(_describe_failed, "circle-alert", "error"),
    )
    declare("payment.reversed", _payment_reversed, Description(_describe_reversed, "undo-2"))
