"""Events as shown in activity lists and timelines."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from wallgent.actors import Actor, ActorType
from wallgent.events import catalogue, descriptions
from wallgent.events.descriptions import NAMED_KEYS, Names
from wallgent.events.models import Event

_MAX_LENGTH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """An event as shown in a list."""

    sentence: str
    page: str  # the URL name of the page that it opens, or an empty string
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
    found = [value for key in NAMED_KEYS if (value := event.data.get(key))]
    return [*found, event.actor_id] if event.actor_id else found


def _activity(event: Event, names: Names) -> Activity:
    type = catalogue.find(event.type)
    system = "Wallgent" if type.is_by_system else ""
    is_system = event.actor_type == ActorType.SYSTEM
    return Activity(
        sentence=type.describe(event.data, names),
        page=type.page or descriptions.page_of(event.subject),
        id=event.subject,
        who=system if is_system else names.get(event.actor_id),
        at=event.created_at,
        icon=type.icon,
        tone=type.tone,
    )
