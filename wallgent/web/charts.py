"""Charts drawn by the server: shapes in percent and pixels, which a template renders as SVG.

Widths are percentages, so that a chart fits any screen while its text keeps its size. All values
are `Decimal`: a bar is rounded to a hundredth of a pixel, an amount of money never.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

HEIGHT = 240
_TOP, _BOTTOM = 18, 30  # space for the highest label and for the dates
_STEPS = [Decimal(step) for step in ("1", "2", "2.5", "5", "10")]
_PLACES = Decimal("0.01")
_SHARE = Decimal("0.64")  # of a day's width that its bar takes
_SUFFIXES = ((12, "T"), (9, "B"), (6, "M"), (3, "k"))


@dataclass(frozen=True, slots=True)
class Day:
    """Money in and money out on one day. Both are zero or more."""

    date: datetime.date
    incoming: Decimal
    outgoing: Decimal


@dataclass(frozen=True, slots=True)
class Bar:
    """One day as drawn: its column, a bar up for money in and a bar down for money out."""

    day: Day
    left: Decimal
    column: Decimal
    x: Decimal
    width: Decimal
    in_y: Decimal
    in_height: Decimal
    out_height: Decimal


@dataclass(frozen=True, slots=True)
class Mark:
    """A label on an axis, at a height or at a percentage."""

    at: Decimal
    label: str
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Bars:
    """Money in and out by day, ready to draw, with totals."""

    currency: str
    bars: list[Bar]
    zero: Decimal
    lines: list[Mark]
    dates: list[Mark]
    incoming: Decimal
    outgoing: Decimal
    height: int = HEIGHT
    top: int = _TOP
    plot: int = HEIGHT - _TOP - _BOTTOM
    baseline: int = HEIGHT - 8

    @property
    def is_empty(self) -> bool:
        return not self.incoming and not self.outgoing


def bars(days: Sequence[Day], currency: str) -> Bars:
    """Return the chart of days, oldest first. Both directions share one scale."""
    highest = max((day.incoming for day in days), default=Decimal(0))
    lowest = max((day.outgoing for day in days), default=Decimal(0))
    step = _step(max(highest, lowest))
    ups, downs = _steps(highest, step), _steps(lowest, step)
    unit = Decimal(HEIGHT - _TOP - _BOTTOM) / (max(ups + downs, 1) * step)
    zero = _TOP + ups * step * unit
    column = Decimal(100) / max(len(days), 1)
    return Bars(
        currency=currency,
        bars=[_bar(day, place, column, zero, unit) for place, day in enumerate(days)],
        zero=_px(zero),
        lines=[
            Mark(_px(zero - count * step * unit), short(abs(count) * step))
            for count in range(-downs, ups + 1)
        ],
        dates=_dates(days, column),
        incoming=sum((day.incoming for day in days), Decimal(0)),
        outgoing=sum((day.outgoing for day in days), Decimal(0)),
    )


def _bar(day: Day, place: int, column: Decimal, zero: Decimal, unit: Decimal) -> Bar:
    left = place * column
    return Bar(
        day=day,
        left=_px(left),
        column=_px(column),
        x=_px(left + column * (1 - _SHARE) / 2),
        width=_px(column * _SHARE),
        in_y=_px(zero) - _height(day.incoming * unit),
        in_height=_height(day.incoming * unit),
        out_height=_height(day.outgoing * unit),
    )


def _height(pixels: Decimal) -> Decimal:
    """Return a bar's height: at least one pixel for any amount above zero."""
    return max(_px(pixels), Decimal(1)) if pixels else Decimal(0)


def _step(most: Decimal) -> Decimal:
    """Return a round step of which about two reach the largest amount."""
    if not most:
        return Decimal(1)
    rough = most / 2
    scale = Decimal(1).scaleb(rough.adjusted())
    return next(step * scale for step in _STEPS if step * scale >= rough)


def _steps(amount: Decimal, step: Decimal) -> int:
    return int((amount / step).to_integral_value(rounding=ROUND_CEILING))


def _dates(days: Sequence[Day], column: Decimal) -> list[Mark]:
    """Return labels of the first, the middle and the last day. More would not fit a phone."""
    if not days:
        return []
    last = len(days) - 1
    places = {0: "start", last // 2: "middle", last: "end"} if last > 1 else {0: "start"}
    edges = {"start": Decimal(0), "end": Decimal(100)}
    return [
        Mark(
            _px(edges.get(anchor, (place + Decimal("0.5")) * column)),
            f"{days[place].date.day} {days[place].date:%b}",
            anchor,
        )
        for place, anchor in places.items()
    ]


def short(amount: Decimal) -> str:
    """Format a round amount for an axis: 1500 is `1.5k`."""
    for exponent, suffix in _SUFFIXES:
        if amount >= Decimal(1).scaleb(exponent):
            return f"{_plain(amount.scaleb(-exponent))}{suffix}"
    return _plain(amount)


def _plain(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _px(value: Decimal) -> Decimal:
    return value.quantize(_PLACES)
