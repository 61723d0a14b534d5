"""The event types of payments (contract 4.2)."""

from functools import partial
from typing import Annotated

from pydantic import ConfigDict, Field

from accounts.organizations.models import Organization
from accounts.payments.models import Payment
from wallgent.api.schemas import AmountText, From, TimeText, one_of, timestamp_text
from wallgent.events.catalogue import event
from wallgent.events.descriptions import Names, money_text, register_page, with_reason
from wallgent.events.schemas import Payload
from wallgent.money import Currency

register_page("txn", "payment")
payment_event = partial(event, permission="payments:read")


def _describe_completed(data: dict, names: Names) -> str:
    sender, recipient = names.of(data["from"]), names.of(data["to"])
    if names.owns(data["from"]) and names.owns(data["to"]):
        return f"{money_text(data)} moved from {sender} to {recipient}"
    if names.owns(data["from"]):
        return f"{money_text(data)} paid from {sender} to {recipient}"
    return f"{money_text(data)} received in {recipient} from {sender}"


def _describe_reversed(data: dict, names: Names) -> str:
    if names.owns(data["from"]):
        return with_reason(f"{money_text(data)} refunded to {names.of(data['from'])}", data)
    return with_reason(f"{money_text(data)} refunded from {names.of(data['to'])}", data)


@payment_event("payment.completed", _describe_completed, icon="arrow-left-right", tone="success")
class PaymentEvent(Payload):
    model_config = ConfigDict(json_schema_extra=lambda schema: schema["required"].remove("fee"))

    transaction_id: Annotated[str, From("id")]
    sender_id: str = Field(alias="from")
    recipient_id: str = Field(alias="to")
    amount: AmountText
    currency: one_of(Currency)
    fee: AmountText
    status: one_of(Payment.Status)
    description: str | None
    merchant_id: str | None = None
    created_at: TimeText

    @classmethod
    def seen_by(cls, organization: Organization, payment: Payment, data: dict) -> dict:
        if organization.id == payment.organization_id:
            return data
        created_at, _ = payment.dates_for(organization)
        seen = {key: data[key] for key in data if key != "fee"}  # only the sender sees it
        return seen | {"createdAt": timestamp_text(created_at)}


@payment_event(
    "payment.failed",
    "Payment of {money} from {from} failed{because}",
    icon="circle-alert",
    tone="error",
)
class PaymentFailed(PaymentEvent):
    failure_code: str = Field(alias="code")
    failure_reason: str = Field(alias="reason")


@payment_event("payment.reversed", _describe_reversed, icon="undo-2")
class PaymentReversed(PaymentEvent):
    reversal_transaction_id: str
    reason: str | None
