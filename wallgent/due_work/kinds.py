"""The kinds of due work. Each package registers its own, at start."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db import models

from wallgent.due_work.models import DueWork

Handler = Callable[[list[DueWork]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How the rows of one kind are handled; see the package."""

    name: str  # stored with each row
    handle: Handler
    subject: type[models.Model]  # its primary key is a PrefixedIdField
    label: str  # what support sees
    set_size: int
    lease: timedelta
    deadline: timedelta


_kinds: dict[str, Kind] = {}


def register(
    name: str,
    handle: Handler,
    *,
    subject: type[models.Model],
    label: str,
    set_size: int = 1,
    lease: timedelta = timedelta(minutes=1),
    deadline: timedelta = timedelta(seconds=30),
) -> None:
    """Register a kind of work. Called once for each, at start.

    A worker has at most `set_size` rows for the time of `lease`, and begins nothing new after
    `deadline`.
    """
    assert name not in _kinds, f"{name} is registered twice"
    assert deadline < lease, "a worker must stop before another one takes its rows"
    _kinds[name] = Kind(
        name=name,
        handle=handle,
        subject=subject,
        label=label,
        set_size=set_size,
        lease=lease,
        deadline=deadline,
    )


def of(name: str) -> Kind | None:
    """Return a registered kind; None for one of another version of the code."""
    return _kinds.get(name)


def names() -> list[str]:
    """Return the names of all kinds."""
    return list(_kinds)
