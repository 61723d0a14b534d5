"""Runs services for the entry points other than the API: pages, the admin and tasks."""

from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, transaction

from wallgent.actors import Actor
from wallgent.api.errors import is_temporary, translate
from wallgent.errors import DomainError

Result = TypeVar("Result")


def run(work: Callable[[], Result], *, actor: Actor) -> Result:
    """Return `work()`, run in one transaction.

    A DomainError rolls the work back; then what it must keep is written in a second transaction,
    and the error is raised. Raises ServiceUnavailable when the database is unavailable in either of
    the two.
    """
    try:
        with transaction.atomic():
            return work()
    except (DomainError, DatabaseError, InterfaceError) as error:
        failure = _domain_error(error)
    if failure.has_record:
        try:
            with transaction.atomic():
                failure.record(actor=actor)
        except (DatabaseError, InterfaceError) as error:
            failure = _domain_error(error)
    raise failure


def _domain_error(error: Exception) -> DomainError:
    """Return the DomainError for an expected error. Raises any other error unchanged."""
    if isinstance(error, DomainError) or is_temporary(error):
        return translate(error)
    raise error
