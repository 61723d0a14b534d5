"""The claims of a link as its page tells them: who, over what, how far, and why not."""

from collections.abc import Iterable

from links.payment_links.models import Claim, ClaimStep, PaymentLink
from wallgent.web.templatetags.statuses import look_of

_SHOWN = 50


def of(link: PaymentLink) -> list[dict]:
    """The latest claims of a link, each with its history; in as many queries however many."""
    claims = link.claims.select_related("transfer", "mandate").prefetch_related("history")
    return [_told(link, claim) for claim in claims.order_by("-pk")[:_SHOWN]]


def _told(link: PaymentLink, claim: Claim) -> dict:
    history = list(claim.history.all())
    return {
        "claim": claim,
        "other_side": _other_side(link, claim),
        "facts": [_fact(step) for step in history],
        "is_open": claim.is_open,
    }


def _other_side(link: PaymentLink, claim: Claim) -> dict:
    """Where the money goes to or comes from, as far as its maker may know."""
    sends = link.direction == PaymentLink.Direction.SEND
    if claim.method == Claim.Method.WALLET:
        return {"label": "To wallet" if sends else "From wallet", "code": claim.wallet_id}
    transfer = claim.transfer
    if claim.method == Claim.Method.ACH:
        bank = transfer.bank_name or "A bank"
        account = f"{bank}, account ending in {transfer.account_last4}"
        return {"label": "To" if sends else "From", "words": account}
    label = "To address" if sends else "Paid to address"
    return {"label": label, "code": _shortened(transfer.address), "words": transfer.chain.title()}


def _shortened(address: str) -> str:
    return f"{address[:6]}…{address[-4:]}"


def _fact(step: ClaimStep) -> dict:
    look = look_of(step.status)
    return {
        "title": look.label,
        "text": step.reason,
        "at": step.at,
        "icon": look.icon,
        "tone": look.tone,
    }


def under_way(claims: Iterable[dict]) -> list[dict]:
    """Those that go on even when the link ends: a rail is at work, or a payer was shown where."""
    return [told for told in claims if told["is_open"] and told["claim"].takes_use]
