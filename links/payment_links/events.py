"""The event types of payment links (contract 4.2)."""

from functools import partial
from typing import Annotated

from accounts.organizations.models import LinkDirection
from links.payment_links.models import Claim, PaymentLink
from wallgent.api.schemas import AmountText, From, TimeText, one_of
from wallgent.events.catalogue import event
from wallgent.events.descriptions import Names, money_text, register_page
from wallgent.events.schemas import Payload, Secret
from wallgent.money import Currency

register_page("lnk", "payment-link")
link_event = partial(event, permission="payments:read")


def _describe_created(data: dict, names: Names) -> str:
    if data["direction"] == LinkDirection.SEND:
        return f"Link made that pays {money_text(data)} from {names.of(data['walletId'])}"
    return f"Link made that asks for {money_text(data)} into {names.of(data['walletId'])}"


def _describe_settled(data: dict, names: Names) -> str:
    result = "paid out" if data["direction"] == LinkDirection.SEND else "paid"
    return f"Link over {money_text(data)} {result}"


@link_event("payment_link.created", _describe_created, icon="link")
@link_event("payment_link.expired", "Link over {money} expired", icon="timer-off")
@link_event("payment_link.cancelled", "Link over {money} cancelled", icon="circle-x")
class PaymentLinkEvent(Payload):
    payment_link_id: Annotated[str, From("id")]
    slug: Annotated[str | None, Secret]
    url: Annotated[str | None, Secret]
    wallet_id: str
    amount: AmountText
    currency: one_of(Currency)
    direction: one_of(LinkDirection)
    status: one_of(PaymentLink.Status)
    expires_at: TimeText | None

    @classmethod
    def of(cls, link: PaymentLink, /, **values) -> "PaymentLinkEvent":
        # An event is written once for all its readers, with or without payments:write.
        return super().of(link, **link.address_for(None)._asdict(), **values)


@link_event("payment_link.claimed", "Link over {money} claimed", icon="hand-coins", tone="info")
class PaymentLinkClaimed(PaymentLinkEvent):
    claim_id: str
    method: str
    transaction_id: str | None  # set at once for a claim by wallet
    transfer_id: str | None
    claimed_at: TimeText  # a pay request is claimed when it is approved


@link_event("payment_link.settled", _describe_settled, icon="circle-check", tone="success")
class PaymentLinkSettled(PaymentLinkEvent):
    claim_id: str
    transaction_id: str
    transfer_id: str | None
    settled_at: TimeText


@link_event(
    "payment_link.reopened", "Link over {money} open again: {reason}", icon="undo-2", tone="warning"
)
class PaymentLinkReopened(PaymentLinkEvent):
    claim_id: str
    method: str
    claim_status: one_of(Claim.Status)
    transfer_id: str | None
    reason: str
    reopened_at: TimeText


@event("payment_link.sent", "Link sent to {recipient}", icon="mail", tone="info")
class PaymentLinkSent(Payload):
    payment_link_id: Annotated[str, From("id")]
    recipient: str


@event(
    "payment_link_batch.confirmed",
    "{rows:,} links ordered by file",
    icon="list",
    tone="info",
    page="payment-link-batch",
)
class PaymentLinkBatchConfirmed(Payload):
    batch_id: Annotated[str, From("id")]
    rows: int
