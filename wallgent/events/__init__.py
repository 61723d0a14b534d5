"""Events. A service calls `events.record` in the transaction of the change."""

from wallgent.events.recording import record, record_all

__all__ = ["record", "record_all"]
