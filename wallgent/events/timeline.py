"""Events as shown in activity lists and timelines."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from wallgent.actors import Actor, ActorType
from wallgent.events import catalogue, descriptions
from wallgent.events.descriptions import Description, Names
from wallgent.events.models import Event

_MAX_LENGTH = 50
_NAMED_KEYS = ("walletId", "closedWalletId", "from", "to")


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """An event as shown in a list."""

    sentence: str
    page: str  # the URL name of its subject's page, or an empty string
    id: str  # of its subject
    who: str  # empty where another organization acted
    at: datetime
    icon: str
    tone: str

    @property
    def title(self) -> str:
        """The sentence, by the name that components/timeline.html uses."""
        return self.sentence


def activities(events: Iterable[Event], *, actor: Actor) -> list[Activity]:
    """Describe events for the actor's organization, in a constant number of queries."""
    events = list(events)
    named_ids = {id for event in events for id in _named_ids(event)}
    names = Names(named_ids, actor=actor)
    return [_activity(event, names) for event in events]


def of(subject_id: str, *, actor: Actor) -> list[Activity]:
    """Describe the latest events about one object, as the actor may see them, oldest first."""
    latest = Event.objects.visible_to(actor).filter(subject=subject_id)[:_MAX_LENGTH]
    return activities(list(latest)[::-1], actor=actor)


def _named_ids(event: Event) -> list[str]:
    """Return the ids whose names the description may need, the actor's included."""
    found = [value for key in _NAMED_KEYS if (value := event.data.get(key))]
    return [*found, event.actor_id] if event.actor_id else found


def _activity(event: Event, names: Names) -> Activity:
    description = catalogue.description_of(event.type) or _undescribed(event.type)
    system = "Wallgent" if description.is_by_system else ""
    is_system = event.actor_type == ActorType.SYSTEM
    return Activity(
        sentence=description.sentence(event.data, names),
        page=descriptions.page_of(event.subject),
        id=event.subject,
        who=system if is_system else names.get(event.actor_id),
        at=event.created_at,
        icon=description.icon,
        tone=description.tone,
    )


def _undescribed(type: str) -> Description:
    # Readable without a description: approval.created becomes "Approval created".
    text = type.replace("_", " ").replace(".", " ").capitalize()
    return Description(lambda data, names: text)
