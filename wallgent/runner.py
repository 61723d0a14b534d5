"""Running a service for a door that is not the API: a page, the admin, a task."""

from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, transaction

from wallgent.actors import Actor
from wallgent.api.errors import translate
from wallgent.errors import DomainError

Result = TypeVar("Result")


def run(work: Callable[[], Result], *, actor: Actor) -> Result:
    """What `work()` answers, done in one transaction.

    A refusal rolls all of it back; then what must outlive it is written, and it is raised.
    """
    try:
        with transaction.atomic():
            return work()
    except (DomainError, OperationalError, InterfaceError) as error:
        refusal = translate(error)
        with transaction.atomic():
            refusal.record(actor=actor)
        raise refusal from None
