"""What Wallgent charges (contract 1.6)."""

from decimal import Decimal

from wallgent import money

RATE = Decimal("0.005")
MINIMUM = Decimal("0.25")


def on_payment(amount: Decimal) -> Decimal:
    """0.5 % of `amount`, at least 0.25, in its currency; on top, paid by the sender."""
    return max(money.round_half_up(amount * RATE), MINIMUM)
