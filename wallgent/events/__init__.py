"""What happened: `events.record` in the transaction that made it true."""

from wallgent.events.recording import record, record_all

__all__ = ["record", "record_all"]
