"""Running a service for a door that is not the API: a page, the admin, a task."""

from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, transaction

from wallgent.actors import Actor
from wallgent.api.errors import is_passing, translate
from wallgent.errors import DomainError

Result = TypeVar("Result")


def run(work: Callable[[], Result], *, actor: Actor) -> Result:
    """What `work()` answers, done in one transaction.

    A refusal rolls all of it back; then what must outlive it is written in a second transaction,
    and the refusal is raised. Raises ServiceUnavailable while the database is away, whichever of
    the two it leaves.
    """
    try:
        with transaction.atomic():
            return work()
    except (DomainError, DatabaseError, InterfaceError) as error:
        refusal = _refusal(error)
    if refusal.has_record:
        try:
            with transaction.atomic():
                refusal.record(actor=actor)
        except (DatabaseError, InterfaceError) as error:
            refusal = _refusal(error)
    raise refusal


def _refusal(error: Exception) -> DomainError:
    """The refusal that an error amounts to. A bug is raised as it is."""
    if isinstance(error, DomainError) or is_passing(error):
        return translate(error)
    raise error
