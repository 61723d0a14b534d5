"""The types of events there are. Each app declares its own in its events.py, at start."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

# (subject, *, organization, **extra) -> what that organization may see of it, in JSON's own types.
Renderer = Callable[..., dict]

_NAME = re.compile(r"[a-z_]+(\.[a-z_]+){1,2}")
_declared: dict[str, "EventType"] = {}


@dataclass(frozen=True, slots=True)
class EventType:
    """A type of event. Without a renderer its capability is not built yet."""

    name: str
    render: Renderer | None
    is_public: bool
    secrets: frozenset[str]  # of its data: for its organization, not for our support

    @property
    def is_available(self) -> bool:
        return self.render is not None


def declare(
    type: str, render: Renderer | None = None, *, public: bool = True, secrets: Iterable[str] = ()
) -> None:
    """Make `type` known. A type that is not public stays in the organization's audit log.

    `secrets` are the keys of its data that open something to whoever knows them.
    """
    assert _NAME.fullmatch(type), f"{type} is not an event name"
    assert type not in _declared, f"{type} is declared twice"
    assert render is not None or public, f"{type} has neither a renderer nor a promise to keep"
    _declared[type] = EventType(type, render, public, frozenset(secrets))


def get(type: str) -> EventType:
    """The declared type, which must be available to be recorded."""
    found = _declared.get(type)
    assert found is not None, f"{type} is not declared"
    assert found.render is not None, f"{type} is not built yet"
    return found


def without_secrets(type: str, data: dict) -> dict:
    """The data of an event as our own support may see it."""
    declared = _declared.get(type)
    secrets = declared.secrets if declared else ()
    return {key: "…" if key in secrets else value for key, value in data.items()}


def types() -> list[EventType]:
    """Every declared type, in the order of declaration."""
    return list(_declared.values())
