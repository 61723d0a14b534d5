"""The history of a claim."""

from datetime import datetime

from links.payment_links.models import Claim, ClaimStep


def add_step(claim: Claim, status: str, *, at: datetime, reason: str = "") -> None:
    """Add a step to the history of a claim."""
    ClaimStep.objects.create(claim=claim, status=status, at=at, reason=reason)
