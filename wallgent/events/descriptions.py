"""The sentences that describe events to people, and the names and pages of the objects in them.

The package that owns a kind of object registers the names and the page of its ids.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.text import Truncator

from wallgent import money
from wallgent.actors import Actor

NAMED_KEYS = ("walletId", "closedWalletId", "from", "to")  # of the data; they hold ids

_NAME_LENGTH = 60
# Around a name, so that a name in a right-to-left script does not reorder the rest of the sentence.
_ISOLATE, _END_ISOLATE = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"


def isolate(name: str) -> str:
    """Return a name for use in a sentence: shortened, and isolated from the text direction."""
    return f"{_ISOLATE}{Truncator(name).chars(_NAME_LENGTH)}{_END_ISOLATE}"


def money_text(data: dict) -> str:
    """Return the amount in an event's data, such as $1,250.00."""
    return money.display(Decimal(data["amount"]), data["currency"])


def with_reason(sentence: str, data: dict) -> str:
    """Return the sentence, followed by the event's reason if it has one."""
    return f"{sentence}: {data['reason']}" if data.get("reason") else sentence


@dataclass(frozen=True, slots=True)
class Name:
    """The name of an object for one organization, and whether the organization owns the object."""

    text: str
    is_own: bool


# (ids, actor) -> a name for each id that exists.
Resolver = Callable[[set[str], Actor], dict[str, Name]]

_resolvers: dict[str, Resolver] = {}
_pages: dict[str, str] = {}


def register_names(prefix: str, resolver: Resolver) -> None:
    """Register how ids with a prefix are named. Called once for each prefix, at start."""
    assert prefix not in _resolvers, f"names of {prefix} are registered twice"
    _resolvers[prefix] = resolver


def register_page(prefix: str, page: str) -> None:
    """Register the URL name of the page of ids with a prefix. Called once for each, at start."""
    assert prefix not in _pages, f"the page of {prefix} is registered twice"
    _pages[prefix] = page


def page_of(id: str) -> str:
    """Return the URL name of an object's page, or an empty string."""
    return _pages.get(_prefix(id), "")


class Names:
    """Names of objects as the actor's organization may see them.

    The names that another organization gives its objects are private: the resolver returns the
    name of that organization instead. Takes one query for each kind of id.
    """

    def __init__(self, ids: Iterable[str], *, actor: Actor):
        by_prefix: dict[str, set[str]] = {}
        for id in ids:
            by_prefix.setdefault(_prefix(id), set()).add(id)
        self._names: dict[str, Name] = {}
        for prefix, found in by_prefix.items():
            if resolver := _resolvers.get(prefix):
                self._names |= resolver(found, actor)

    def owns(self, id: str) -> bool:
        """Return whether the object belongs to the actor's organization."""
        return id in self._names and self._names[id].is_own

    def of(self, id: str) -> str:
        """Return the object's name for use in a sentence. Raises KeyError for an unknown id."""
        return isolate(self._names[id].text)

    def get(self, id: str) -> str:
        """Return the object's name unchanged, or an empty string for an unknown id."""
        return self._names[id].text if id in self._names else ""


def _prefix(id: str) -> str:
    return id.partition("_")[0]


@dataclass(frozen=True, slots=True)
class _Words:
    """What the words in braces in a sentence stand for."""

    data: dict
    names: Names

    def __getitem__(self, key: str) -> Any:
        if key == "money":
            return money_text(self.data)
        if key == "because":
            return with_reason("", self.data)
        value = self.data[key]
        if key in NAMED_KEYS:
            return self.names.of(value)
        return isolate(value) if isinstance(value, str) else value


def fill(sentence: str, data: dict, names: Names) -> str:
    """Return a sentence with an event's data in the place of the words in braces.

    `{money}` is the amount, `{because}` the reason after a colon, if there is one; others are keys
    of the data. An id is replaced by its object's name.
    """
    return sentence.format_map(_Words(data, names))
