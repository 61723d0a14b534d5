"""The vocabulary of statuses: each word that people read, with its tone and icon.

A model's status declares its word as its label: `ACTIVE = "ACTIVE", "Open"`. So pages, filters and
the admin show the same word, and the API keeps the value. Green is for money that has arrived and
for things in good order.
"""

from dataclasses import dataclass

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _


@dataclass(frozen=True, slots=True)
class Look:
    word: str
    icon: str
    tone: str

    @property
    def label(self) -> str:
        """The word in the reader's language."""
        return gettext(self.word)


_ICONS = {
    "neutral": {
        _("Draft"): "circle-dashed",
        _("Done"): "circle-dot",  # an import was worked through, whatever its rows became
        _("Created"): "circle-dot",
        _("Captured"): "receipt",
        _("Released"): "lock-open",
        _("Not received"): "circle-help",
        _("Expired"): "timer-off",
        _("Canceled"): "circle-x",
        _("Void"): "ban",
        _("Uncollectible"): "ban",
        _("Revoked"): "ban",
        _("Closed"): "lock",
    },
    "info": {
        _("Open"): "circle-dot",
        _("Ready"): "circle-dot",
        _("Pending"): "clock",  # continues by itself
        _("On hold"): "hourglass",
        _("Processing"): "refresh-cw",
        _("Sent"): "mail",  # and not yet known to have arrived
    },
    "warning": {
        _("Needs approval"): "user-check",
        _("Returned"): "undo-2",
        _("Refunded"): "undo-2",
        _("Past due"): "clock-alert",
        _("Disputed"): "shield-alert",
        _("Under review"): "search",
        _("Paused"): "pause",
        _("Stopped"): "pause",
        _("Retrying"): "rotate-ccw",
        _("Frozen"): "snowflake",
        _("Suspended"): "pause",
    },
    "success": {
        _("Paid"): "circle-check",
        _("Completed"): "circle-check",
        _("Approved"): "circle-check",
        _("Verified"): "badge-check",
        _("Delivered"): "circle-check",
        _("Active"): "circle-check",
    },
    "error": {
        _("Failed"): "circle-alert",
        _("Declined"): "circle-x",
        _("Has errors"): "circle-alert",
    },
}
LOOKS = {
    word: Look(word, icon, tone) for tone, icons in _ICONS.items() for word, icon in icons.items()
}


def look_of(word: str) -> Look:
    """Return the look of a status by its word. An unknown word is shown as it is, in gray."""
    return LOOKS.get(word) or Look(str(word or "Unknown"), "circle", "neutral")
