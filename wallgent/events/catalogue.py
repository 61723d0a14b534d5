"""The event types. Each package declares its own in its events.py, at start."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wallgent.events.descriptions import Description

# (subject, *, organization, **extra) -> the data that this organization may see, in JSON types.
Renderer = Callable[..., dict]

_NAME = re.compile(r"[a-z_]+(\.[a-z_]+){1,2}")
_declared: dict[str, "EventType"] = {}


@dataclass(frozen=True, slots=True)
class EventType:
    """An event type. One without a renderer is announced and cannot be recorded yet."""

    name: str
    render: Renderer | None
    is_public: bool
    secrets: frozenset[
        str
    ]  # keys of the data that the organization may see and our support may not
    description: Description | None

    @property
    def is_available(self) -> bool:
        return self.render is not None


def declare(
    type: str,
    render: Renderer | None = None,
    description: Description | None = None,
    *,
    public: bool = True,
    secrets: Iterable[str] = (),
) -> None:
    """Declare an event type. One that is not public stays in the organization's audit log.

    `secrets` are the keys of its data that grant access to something.
    """
    assert _NAME.fullmatch(type), f"{type} is not an event name"
    assert type not in _declared, f"{type} is declared twice"
    assert render is not None or public, f"{type} has no renderer and is not public"
    _declared[type] = EventType(type, render, public, frozenset(secrets), description)


def get(type: str) -> EventType:
    """Return a declared type that can be recorded. Raises AssertionError for any other."""
    found = _declared.get(type)
    assert found is not None, f"{type} is not declared"
    assert found.render is not None, f"{type} is not built yet"
    return found


def description_of(type: str) -> Description | None:
    """Return the description of an event type, or None."""
    found = _declared.get(type)
    return found and found.description


def without_secrets(type: str, data: dict) -> dict:
    """Return the data of an event as our support may see it."""
    declared = _declared.get(type)
    secrets = declared.secrets if declared else ()
    return {key: "…" if key in secrets else value for key, value in data.items()}


def types() -> list[EventType]:
    """Return every declared type, in the order of declaration."""
    return list(_declared.values())
