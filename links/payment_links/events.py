"""The events of this app: each type with what it says (contract 4.2).

A type without a renderer is promised by the public catalogue and not built yet.
"""

from datetime import datetime

from accounts.organizations.models import Organization
from links.payment_links.models import Claim, LinkBatch, PaymentLink
from wallgent import money
from wallgent.api.schemas import timestamp_text
from wallgent.events.catalogue import declare

_SECRETS = ("slug", "url")  # not for our support


def _link(link: PaymentLink, *, organization: Organization) -> dict:
    # An event is written once for all who will ever read it, with or without payments:write.
    address = link.address_for(None)
    return {
        "paymentLinkId": link.id,
        "slug": address.slug,
        "url": address.url,
        "walletId": link.wallet_id,
        "amount": money.amount_text(link.amount),
        "currency": link.currency,
        "direction": link.direction,
        "status": link.status,
        "expiresAt": link.expires_at and timestamp_text(link.expires_at),
    }


def _claimed(
    link: PaymentLink,
    *,
    organization: Organization,
    claim: Claim,
    transaction_id: str | None,
    at: datetime,
) -> dict:
    return _link(link, organization=organization) | {
        "claimId": claim.id,
        "method": claim.method.lower(),
        "transactionId": transaction_id,  # to a wallet the money is there at once
        "transferId": claim.transfer_id,
        "claimedAt": timestamp_text(at),  # not when a pay request was made
    }


def _settled(link: PaymentLink, *, organization: Organization, claim: Claim) -> dict:
    return _link(link, organization=organization) | {
        "claimId": claim.id,
        "transactionId": claim.transaction_id,
        "transferId": claim.transfer_id,
        "settledAt": timestamp_text(claim.settled_at),
    }


def _reopened(link: PaymentLink, *, organization: Organization, claim: Claim) -> dict:
    return _link(link, organization=organization) | {
        "claimId": claim.id,
        "method": claim.method.lower(),
        "claimStatus": claim.status,
        "transferId": claim.transfer_id,
        "reason": claim.failure_reason,
        "reopenedAt": timestamp_text(link.reopened_at),
    }


def _sent(link: PaymentLink, *, organization: Organization, recipient: str) -> dict:
    return {"paymentLinkId": link.id, "recipient": recipient}


def _confirmed(batch: LinkBatch, *, organization: Organization, rows: int) -> dict:
    return {"batchId": batch.id, "rows": rows}


def declare_all() -> None:
    """Make this app's event types known. Called once, at start."""
    declare("payment_link.created", _link, secrets=_SECRETS)
    declare("payment_link.claimed", _claimed, secrets=_SECRETS)
    declare("payment_link.settled", _settled, secrets=_SECRETS)
    declare("payment_link.expired", _link, secrets=_SECRETS)
    declare("payment_link.cancelled", _link, secrets=_SECRETS)
    declare("payment_link.reopened", _reopened, secrets=_SECRETS)
    declare("payment_link.sent", _sent, public=False)
    declare("payment_link_batch.confirmed", _confirmed, public=False)
