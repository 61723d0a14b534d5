"""The history of a claim, and the name by which others know what is for a link."""

from datetime import datetime

from links.payment_links.models import Claim, ClaimStep

PURPOSE = "payment_link"  # of transfers, approvals and holds


def note(claim: Claim, status: str, *, at: datetime, reason: str = "") -> None:
    """Write a line of a claim's history."""
    ClaimStep.objects.create(claim=claim, status=status, at=at, reason=reason)
