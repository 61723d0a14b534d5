"""What happened to one thing, as components/timeline.html shows it."""

from wallgent.actors import Actor
from wallgent.events import descriptions
from wallgent.events.models import Event

_LONGEST = 50

_LOOKS = {
    "payment.completed": ("circle-check", "success"),
    "payment.failed": ("circle-alert", "error"),
    "payment.reversed": ("undo-2", "neutral"),
    "approval.created": ("user-check", "warning"),
    "approval.approved": ("circle-check", "success"),
    "approval.rejected": ("circle-x", "error"),
    "approval.expired": ("timer-off", "neutral"),
    "api_key.created": ("key-round", "success"),
    "api_key.updated": ("pencil", "info"),
    "api_key.revoked": ("ban", "neutral"),
}


def of(subject_id: str, *, actor: Actor) -> list[dict]:
    """The latest facts about a thing that the actor's organization may see, oldest first."""
    latest = Event.objects.visible_to(actor).filter(subject=subject_id)[:_LONGEST]
    events = list(latest)[::-1]
    told = descriptions.happenings(events, actor=actor)
    return [
        {"title": happening.sentence, "at": happening.at, "who": happening.who} | _look(event.type)
        for event, happening in zip(events, told, strict=True)
    ]


def _look(type: str) -> dict:
    icon, tone = _LOOKS.get(type, ("circle-dot", "neutral"))
    return {"icon": icon, "tone": tone}
