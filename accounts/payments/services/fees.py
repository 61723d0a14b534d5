"""The fees that Wallgent charges (contract 1.6)."""

from decimal import Decimal

from wallgent import money

RATE = Decimal("0.005")
MINIMUM = Decimal("0.25")


def on_payment(amount: Decimal) -> Decimal:
    """Return the fee that the sender pays on top: 0.5 % of `amount`, at least 0.25."""
    return max(money.round_half_up(amount * RATE), MINIMUM)
