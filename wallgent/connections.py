"""Detection of database connections that the server has closed, before a request uses them."""

import select

from django.db import connections


def close_dead(**_signal) -> None:
    """Close this thread's connections that the server has closed. A receiver of request_started.

    Threads keep their connections indefinitely. Without this, after a restart of the database each
    thread would fail its next request, even hours later.
    """
    for wrapper in connections.all(initialized_only=True):
        idle = wrapper.connection is not None and not wrapper.in_atomic_block
        # A server sends unrequested data mostly when it closes. Polling costs no round trip.
        if idle and _has_unread_data(wrapper.connection) and not wrapper.is_usable():
            wrapper.close()


def _has_unread_data(connection) -> bool:
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
