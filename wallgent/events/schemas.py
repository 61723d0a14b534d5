"""Schemas of events: the data of each type derives from `Payload`."""

from typing import Any, ClassVar

from wallgent.api.schemas import Schema, TimeText, one_of, spelled
from wallgent.environments import Environment


class Secret:
    """Annotates a field that grants access to something, so that our support may not see it."""


class Payload(Schema):
    """The base of the data of all event types."""

    environment: one_of(Environment)

    secrets: ClassVar[frozenset[str]]  # the names in JSON of its secret fields

    @classmethod
    def __pydantic_init_subclass__(cls, **options) -> None:
        super().__pydantic_init_subclass__(**options)
        fields = cls.model_fields.values()
        cls.secrets = frozenset(f.serialization_alias for f in fields if Secret in f.metadata)

    @classmethod
    def seen_by(cls, organization: Any, subject: Any, data: dict) -> dict:
        """Return the part of an event's data that one of its organizations may see."""
        return data


class EventOutput(Schema):
    """An event as webhooks and the realtime feed send it."""

    id: str
    event: str = spelled("event", "type")
    timestamp: TimeText = spelled("timestamp", "createdAt")
    organization_id: str
    environment: one_of(Environment)
    data: dict[str, Any]
