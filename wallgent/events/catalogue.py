"""The event types. Each package declares its own in its events.py, imported at start."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from wallgent.events.descriptions import Names, fill
from wallgent.events.schemas import Payload

_NAME = re.compile(r"[a-z_]+(\.[a-z_]+){1,2}")
_declared: dict[str, "EventType"] = {}


@dataclass(frozen=True, slots=True)
class EventType:
    """An event type. One without a payload is announced and cannot be recorded yet."""

    name: str
    sentence: str | Callable[[dict, Names], str] = ""
    icon: str = "circle-dot"
    tone: str = "neutral"
    page: str = ""
    is_by_system: bool = True
    permission: str = ""
    payload: type[Payload] | None = None

    @property
    def title(self) -> str:
        """The name for people: approval.created becomes "Approval created"."""
        return self.name.replace("_", " ").replace(".", " ").capitalize()

    @property
    def is_public(self) -> bool:
        return bool(self.permission)

    @property
    def is_available(self) -> bool:
        return self.payload is not None

    def render(
        self, subject: Any, organizations: Iterable[Any], **values: Any
    ) -> Iterator[tuple[Any, dict]]:
        """Yield each organization with the data that it may see, in JSON types."""
        data = self.payload.of(subject, **values).to_json()
        for organization in organizations:
            yield organization, self.payload.seen_by(organization, subject, data)

    def describe(self, data: dict, names: Names) -> str:
        """Return the sentence about an event, without a full stop."""
        if callable(self.sentence):
            return self.sentence(data, names)
        return fill(self.sentence, data, names) if self.sentence else self.title

    def without_secrets(self, data: dict) -> dict:
        """Return the data of an event as our support may see it."""
        secrets = self.payload.secrets if self.payload else ()
        return {key: "…" if key in secrets else value for key, value in data.items()}


def event(name: str, sentence: str | Callable[[dict, Names], str] = "", **declared) -> Callable:
    """Declare an event type whose data has the decorated schema. Several may share one.

    `sentence`: describes an event to people: a text that `descriptions.fill` completes, or a
    function of the data and the names in it.
    `icon`, `tone`: how lists show it; the tones are those of components/notice.html.
    `page`: the URL name of the page that it opens, if not the page of its subject.
    `permission`: what a key needs to read it. Without one, the type is not public: it stays in the
    organization's audit log.
    `is_by_system`: whether Wallgent itself causes an event without a person or key; false if a
    stranger may cause it, such as the payer of a link.
    """

    def decorate(payload: type[Payload]) -> type[Payload]:
        _declare(name, sentence=sentence, payload=payload, **declared)
        return payload

    return decorate


def announce(*names: str, permission: str) -> None:
    """Declare public event types that are not built yet."""
    for name in names:
        _declare(name, permission=permission)


def _declare(name: str, **declared) -> None:
    assert _NAME.fullmatch(name), f"{name} is not an event name"
    assert name not in _declared, f"{name} is declared twice"
    _declared[name] = EventType(name, **declared)


def get(name: str) -> EventType:
    """Return a declared type that can be recorded. Raises AssertionError for any other."""
    assert name in _declared, f"{name} is not declared"
    assert _declared[name].is_available, f"{name} is not built yet"
    return _declared[name]


def find(name: str) -> EventType:
    """Return the type of a stored event, whose declaration may be gone by now."""
    return _declared.get(name) or EventType(name)


def types() -> list[EventType]:
    """Return every declared type, in the order of declaration."""
    return list(_declared.values())
