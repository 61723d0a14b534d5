"""Rows of a CSV file as payment links: the terms of a link, or what is wrong in which column."""

import json
import re
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal

from django.core import exceptions
from django.core.validators import validate_email

from accounts.organizations.models import LinkDirection
from accounts.wallets.models import Wallet
from links.payment_links.models.payment_links import EMAIL_LENGTH, MAX_USES_LIMIT
from wallgent import clock, money
from wallgent.actors import Actor
from wallgent.api.schemas import METADATA_LIMIT_BYTES
from wallgent.errors import InvalidAmount
from wallgent.imports.kinds import Problem, ReadRow
from wallgent.mail import addresses

COLUMNS = {
    "direction": "SEND pays whoever opens the link, RECEIVE asks them. Empty: your own default.",
    "wallet": "The id of your wallet, or its exact name.",
    "amount": "What each use pays, such as 25.00.",
    "currency": "USD or USDC. Empty: the wallet's.",
    "description": "What the other side reads, up to 1,024 characters.",
    "email": "Only who has this address may use the link. Empty: whoever has the link.",
    "expires_at": "2026-12-31, which ends with that day, or 2026-12-31 17:00. Empty: never.",
    "max_uses": "How many people may use it, each once. Empty: 1.",
    "metadata.…": "Any columns of your own, kept with the link: metadata.invoice.",
}
REQUIRED = ("wallet", "amount")
_METADATA = "metadata."
_DIRECTIONS = frozenset(LinkDirection.values)  # searching an enumeration 50,000 times is slow
_DESCRIPTION_LENGTH = 1024
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# Python reads more formats, such as a week; a day without hyphens would begin where this one ends.
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*", re.ASCII)


class _WrongCell(Exception):
    """A cell that cannot be read; its text says what to write instead."""


def reader(*, actor: Actor, zone: tzinfo) -> ReadRow:
    """How the rows of one file are read. Times without a zone are in `zone`."""
    return _Reader(actor, zone).read


class _Reader:
    """Reads the rows of one file, with the actor's wallets and defaults loaded once."""

    def __init__(self, actor: Actor, zone: tzinfo):
        self._zone = zone
        self._now = clock.now(actor)
        self._direction = str(actor.organization.default_link_direction)
        self._by_id = {wallet.id: wallet for wallet in Wallet.objects.visible_to(actor)}
        self._by_name: dict[str, list[Wallet]] = defaultdict(list)
        for wallet in self._by_id.values():
            self._by_name[wallet.name.casefold()].append(wallet)

    def read(self, values: dict[str, str]) -> tuple[dict | None, list[Problem]]:
        """The terms of a link from a row's values by column, or what is wrong with them."""
        problems: list[Problem] = []

        def cell(column: str, read: Callable[[str], object]):
            try:
                return read(values.get(column, ""))
            except _WrongCell as wrong:
                problems.append((column, str(wrong)))
                return None

        wallet = cell("wallet", self._wallet)
        terms = {
            "direction": cell("direction", self._read_direction),
            "wallet": wallet and wallet.id,
            "amount": cell("amount", _amount),
            "currency": cell("currency", lambda text: _currency(text, wallet)),
            "description": cell("description", _description),
            "email": cell("email", _email),
            "expires_at": cell("expires_at", self._expiry),
            "max_uses": cell("max_uses", _uses),
            "metadata": cell("metadata", lambda _: _metadata(values)),
        }
        if not problems:
            problems += _total_problem(terms)
        return (None if problems else terms), problems

    def _wallet(self, text: str) -> Wallet:
        if not text:
            raise _WrongCell("Name the wallet, by its id or its exact name.")
        named = [self._by_id[text]] if text in self._by_id else self._by_name[text.casefold()]
        if not named:
            raise _WrongCell(
                "You have no wallet of this name or id. Copy it from the wallet's page."
            )
        if len(named) > 1:
            raise _WrongCell("Several wallets have this name. Write the id of the one you mean.")
        if named[0].status == Wallet.Status.CLOSED:
            raise _WrongCell("This wallet is closed. Name another.")
        return named[0]

    def _read_direction(self, text: str) -> str:
        direction = text.upper() or self._direction
        if direction not in _DIRECTIONS:
            raise _WrongCell("Write SEND or RECEIVE.")
        return direction

    def _expiry(self, text: str) -> str | None:
        if not text:
            return None
        try:
            if _DAY.fullmatch(text):
                moment = datetime.combine(date.fromisoformat(text), time.max.replace(microsecond=0))
            elif _TIME.fullmatch(text):
                moment = datetime.fromisoformat(text)
            else:
                raise ValueError(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=self._zone)
            moment = moment.astimezone(UTC)
        except (ValueError, OverflowError):
            raise _WrongCell("Write a day such as 2026-12-31, or 2026-12-31 17:00.") from None
        if moment <= self._now:
            raise _WrongCell("This time is over. Write one that lies ahead.")
        return moment.isoformat()


def _amount(text: str) -> str:
    try:
        amount = money.read(text)
    except InvalidAmount:
        amount = money.ZERO
    if amount <= 0:
        raise _WrongCell(
            "Write an amount above zero with a point before its decimals, and nothing between"
            " thousands: 1250.00."
        )
    return money.amount_text(amount)


def _currency(text: str, wallet: Wallet | None) -> str | None:
    if not wallet:
        return None
    if text and text.upper() != wallet.currency:
        raise _WrongCell(f"The wallet holds {wallet.currency}. Write that, or leave it empty.")
    return wallet.currency


def _description(text: str) -> str:
    if len(text) > _DESCRIPTION_LENGTH:
        raise _WrongCell(f"Shorten it to {_DESCRIPTION_LENGTH:,} characters; it has {len(text):,}.")
    return text.replace("\r\n", "\n")


def _email(text: str) -> str:
    if not text:
        return ""
    address = addresses.normalize(text)
    try:
        validate_email(address)
    except exceptions.ValidationError:
        address = ""
    if not address or len(address) > EMAIL_LENGTH:
        raise _WrongCell("This is not an e-mail address. Write one, or leave it empty.")
    return address


def _uses(text: str) -> int:
    uses = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    if text and not 1 <= uses <= MAX_USES_LIMIT:
        raise _WrongCell(f"Write a whole number from 1 to {MAX_USES_LIMIT:,}.")
    return uses or 1


def _metadata(values: dict[str, str]) -> dict[str, str] | None:
    """The owner's own columns, without empty ones."""
    own = {
        column.removeprefix(_METADATA): text
        for column, text in values.items()
        if text and column.startswith(_METADATA)
    }
    if len(json.dumps(own).encode()) > METADATA_LIMIT_BYTES:
        raise _WrongCell("All metadata of a row together must stay below 16 KiB.")
    return own or None


def _total_problem(terms: dict) -> list[Problem]:
    if Decimal(terms["amount"]) * terms["max_uses"] < money.CEILING:
        return []
    return [("amount", "All uses of a link together must stay below 1,000,000,000,000.")]
