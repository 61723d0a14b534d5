"""The events of payment links: their payloads and how they are described (contract 4.2)."""

from datetime import datetime

from accounts.organizations.models import LinkDirection, Organization
from links.payment_links.models import Claim, PaymentLink
from wallgent import money
from wallgent.api.schemas import timestamp_text
from wallgent.events.catalogue import declare
from wallgent.events.descriptions import (
    Description,
    Names,
    isolate,
    money_text,
    register_page,
)
from wallgent.imports.models import ImportFile

_SECRETS = ("slug", "url")  # hidden from support


def _link(link: PaymentLink, *, organization: Organization) -> dict:
    # An event is written once for all its readers, with or without payments:write.
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
        "transactionId": transaction_id,  # set at once for a claim by wallet
        "transferId": claim.transfer_id,
        "claimedAt": timestamp_text(at),  # a pay request is claimed when it is approved
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


def _confirmed(file: ImportFile, *, organization: Organization, rows: int) -> dict:
    return {"batchId": file.id, "rows": rows}


def _describe_as(result: str):
    return lambda data, names: f"Link over {money_text(data)} {result}"


def _describe_created(data: dict, names: Names) -> str:
    if data["direction"] == LinkDirection.SEND:
        return f"Link made that pays {money_text(data)} from {names.of(data['walletId'])}"
    return f"Link made that asks for {money_text(data)} into {names.of(data['walletId'])}"


def _describe_settled(data: dict, names: Names) -> str:
    result = "paid out" if data["direction"] == LinkDirection.SEND else "paid"
    return f"Link over {money_text(data)} {result}"


def _describe_reopened(data: dict, names: Names) -> str:
    return f"Link over {money_text(data)} open again: {isolate(data['reason'])}"


def _describe_sent(data: dict, names: Names) -> str:
    return f"Link sent to {isolate(data['recipient'])}"


def _describe_confirmed(data: dict, names: Names) -> str:
    return f"{data['rows']:,} links ordered by file"


def declare_all() -> None:
    """Declare the events of payment links. Called once, at start."""
    register_page("lnk", "payment-link")
    register_page("imp", "payment-link-batch")
    for type, render, description in (
        ("payment_link.created", _link, Description(_describe_created, "link")),
        (
            "payment_link.claimed",
            _claimed,
            Description(_describe_as("claimed"), "hand-coins", "info"),
        ),
        (
            "payment_link.settled",
            _settled,
            Description(_describe_settled, "circle-check", "success"),
        ),
        ("payment_link.expired", _link, Description(_describe_as("expired"), "timer-off")),
        ("payment_link.cancelled", _link, Description(_describe_as("cancelled"), "circle-x")),
        ("payment_link.reopened", _reopened, Description(_describe_reopened, "undo-2", "warning")),
    ):
        declare(type, render, description, secrets=_SECRETS)
    declare("payment_link.sent", _sent, Description(_describe_sent, "mail", "info"), public=False)
    declare(
        "payment_link_batch.confirmed",
        _confirmed,
        Description(_describe_confirmed, "list", "info"),
        public=False,
    )
