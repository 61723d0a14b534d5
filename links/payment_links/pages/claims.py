"""The claims of a link, as its page shows them."""

from collections.abc import Iterable

from django.db.models import Exists, OuterRef

from accounts.pay_ins.models import Mandate
from links.payment_links.models import Claim, ClaimStep, PaymentLink
from wallgent.web.statuses import look_of

_SHOWN = 50


def rows(link: PaymentLink) -> list[dict]:
    """The latest claims of a link with their history, in a constant number of queries."""
    test_mandates = Mandate.objects.filter(
        is_test=True,
        purpose=OuterRef("transfer__purpose"),
        reference=OuterRef("transfer__reference"),
    )
    claims = link.claims.annotate(is_test_authorization=Exists(test_mandates))
    claims = claims.select_related("transfer").prefetch_related("history")
    return [_row(link, claim) for claim in claims.order_by("-pk")[:_SHOWN]]


def _row(link: PaymentLink, claim: Claim) -> dict:
    history = list(claim.history.all())
    return {
        "claim": claim,
        "counterparty": _counterparty(link, claim),
        "history": [_event(step) for step in history],
        "is_open": claim.is_open,
    }


def _counterparty(link: PaymentLink, claim: Claim) -> dict:
    """Where the money goes to or comes from, as far as the link's organization may know."""
    sends = link.direction == PaymentLink.Direction.SEND
    if claim.method == Claim.Method.WALLET:
        return {"label": "To wallet" if sends else "From wallet", "code": claim.wallet_id}
    transfer = claim.transfer
    if claim.method == Claim.Method.ACH:
        bank = transfer.bank_name or "A bank"
        account = f"{bank}, account ending in {transfer.account_last4}"
        return {"label": "To" if sends else "From", "text": account}
    label = "To address" if sends else "Paid to address"
    return {"label": label, "code": _shortened(transfer.address), "text": transfer.chain.title()}


def _shortened(address: str) -> str:
    return f"{address[:6]}…{address[-4:]}"


def _event(step: ClaimStep) -> dict:
    look = look_of(step.get_status_display())
    return {
        "title": look.label,
        "text": step.reason,
        "at": step.at,
        "icon": look.icon,
        "tone": look.tone,
    }


def under_way(claims: Iterable[dict]) -> list[dict]:
    """The claims that continue when the link ends: transfers, and addresses shown to payers."""
    return [row for row in claims if row["is_open"] and row["claim"].consumes_use]
