"""Money: `Decimal` in Python, decimal strings in the API, never a float.

Amounts have at most 8 decimals and 12 digits before the point, as numeric(20, 8) holds them.
"""

import re
from decimal import ROUND_HALF_UP, Decimal

from django.db import models

from wallgent.errors import InvalidAmount

PLACES = 8
UNIT = Decimal(1).scaleb(-PLACES)
CEILING = Decimal(10) ** 12  # exclusive
ZERO = Decimal(0)

_PLAIN = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,8})?", re.ASCII)


class Currency(models.TextChoices):
    USD = "USD", "USD"
    USDC = "USDC", "USDC"


class MoneyField(models.DecimalField):
    """A numeric(20, 8) column."""

    DIGITS = 20

    def __init__(self, **options):
        super().__init__(**options | {"max_digits": self.DIGITS, "decimal_places": PLACES})

    def deconstruct(self):
        name, path, args, options = super().deconstruct()
        del options["max_digits"], options["decimal_places"]
        return name, path, args, options


class TotalField(MoneyField):
    """A numeric(38, 8) column for sums of amounts, large enough for every amount there can be."""

    DIGITS = 38


class CurrencyField(models.CharField):
    """A column that holds a currency code, USD or USDC."""

    def __init__(self, **options):
        super().__init__(**options | {"max_length": 4, "choices": Currency})

    def deconstruct(self):
        name, path, args, options = super().deconstruct()
        del options["max_length"], options["choices"]
        return name, path, args, options


def round_half_up(value: Decimal) -> Decimal:
    """Round half up at 8 decimals. Money is rounded only here."""
    return value.quantize(UNIT, rounding=ROUND_HALF_UP)


def read(value: str | int | Decimal) -> Decimal:
    """Return a signed amount from a plain decimal string or a JSON number. Raises InvalidAmount.

    Nothing is rounded: more decimals or digits than the column holds are an error.
    """
    if isinstance(value, str):
        if not _PLAIN.fullmatch(value):
            raise InvalidAmount()
        value = Decimal(value)
    elif isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise InvalidAmount()
    value = Decimal(value)
    # A comparison is exact; arithmetic would round or overflow on extreme digits and exponents.
    if not value.is_finite() or not -CEILING < value < CEILING:
        raise InvalidAmount()
    if value.as_tuple().exponent < -PLACES:
        raise InvalidAmount()
    return value.quantize(UNIT)


def amount_text(value: Decimal) -> str:
    """Print money: at least 2 decimals, no further trailing zeros (`25.00`, `0.125`)."""
    text = f"{value:.8f}"
    keep = text.rstrip("0")
    return text[: max(len(keep), len(text) - 6)]
