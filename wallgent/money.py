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


_SPACE = "\N{NO-BREAK SPACE}"


class Currency(models.TextChoices):
    USD = "USD", "USD"
    USDC = "USDC", "USDC"


_SYMBOLS = {Currency.USD: "$"}


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
    """Print money for programs: at least 2 decimals, no further trailing zeros (`1250.00`)."""
    text = f"{value:.8f}"
    keep = text.rstrip("0")
    return text[: max(len(keep), len(text) - 6)]


def display(amount: Decimal, currency: str, *, sign: str = "") -> str:
    """Format money for people: `$1,250.00`, `1,250.00 USDC`, `-$5.00`. Nothing is rounded.

    `sign` stands before an amount above zero. No line breaks inside an amount.
    """
    if isinstance(amount, bool) or not isinstance(amount, Decimal | int):
        raise TypeError(f"Money is a Decimal, not {type(amount).__name__}.")
    amount = Decimal(amount)
    sign = "-" if amount < 0 else sign if amount else ""
    # Not abs(), which rounds to 28 digits.
    whole, fraction = amount_text(amount.copy_abs()).split(".")
    number = f"{int(whole):,}.{fraction}"
    if symbol := _SYMBOLS.get(currency):
        return f"{sign}{symbol}{number}"
    return f"{sign}{number}{_SPACE}{currency}"
