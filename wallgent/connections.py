"""A database connection that the server has left is noticed before a request trips over it."""

import select

from django.db import connections


def drop_dead(**_signal) -> None:
    """Close this thread's connections that are closed at the other end.

    Threads keep theirs for ever. Without this, after a restart of the database each thread would
    refuse the one request in which it finds out, be that hours later.
    """
    for wrapper in connections.all(initialized_only=True):
        idle = wrapper.connection is not None and not wrapper.in_atomic_block
        # Asked nothing, a server has only a farewell to say. Looking costs no round trip.
        if idle and _has_spoken(wrapper.connection) and not wrapper.is_usable():
            wrapper.close()


def _has_spoken(connection) -> bool:
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
