"""One vocabulary of statuses: which word each status of each model has, and when it is green."""

import pytest
from django.apps import apps
from django.db.models import TextChoices

from wallgent.events import catalogue
from wallgent.web.statuses import LOOKS

# Statuses by which money has arrived, or a thing is in good order. Nothing else is green.
GREEN = {
    ("PaymentLink.Status", "SETTLED", "Paid"),
    ("ClaimStatus", "SETTLED", "Paid"),
    ("Payment.Status", "POSTED", "Completed"),
    ("Transfer.Status", "COMPLETED", "Completed"),
    ("SimulatorOrder.State", "COMPLETED", "Completed"),
    ("Approval.Status", "APPROVED", "Approved"),
    ("LedgerAccount.State", "ACTIVE", "Active"),
    ("ApiKey.Status", "ACTIVE", "Active"),
}
GREEN_EVENTS = {
    *("payment.completed", "payment_link.settled", "transfer.completed", "wallet.funded"),
    "approval.approved",
}
# The tone of what the guide names, whatever it stands for.
TONES = {
    "neutral": {"Draft", "Expired", "Canceled", "Void", "Uncollectible", "Revoked", "Closed"},
    "info": {"Open", "Processing"},
    "warning": {
        *("Needs approval", "Returned", "Refunded", "Past due", "Disputed", "Under review"),
        *("Paused", "Retrying", "Frozen", "Suspended"),
    },
    "success": {"Paid", "Completed", "Approved", "Verified", "Delivered", "Active"},
    "error": {"Failed", "Declined"},
}
# The word of what an event reports, by the end of its type.
REPORTED = {
    "approved": "Approved",
    "cancelled": "Canceled",
    "closed": "Closed",
    "completed": "Completed",
    "expired": "Expired",
    "failed": "Failed",
    "frozen": "Frozen",
    "processing": "Processing",
    "rejected": "Declined",
    "returned": "Returned",
    "revoked": "Revoked",
    "settled": "Paid",
}


def _all(kind: type) -> list[type]:
    return [found for sub in kind.__subclasses__() for found in (sub, *_all(sub))]


# Each enumeration of statuses by its name; those of the API alone keep the contract's words.
STATUSES = {
    kind.__qualname__: kind
    for kind in _all(TextChoices)
    if kind.__name__.endswith(("Status", "State"))
    and kind.__module__.partition(".")[0] in ("accounts", "billing", "issuing", "links", "wallgent")
    and ".api." not in kind.__module__
}


def test_every_field_with_a_status_is_walked():
    fields = {
        tuple(field.choices)
        for model in apps.get_models()
        for field in model._meta.fields
        if field.name in ("status", "state") and field.choices
    }

    assert len(fields) >= 10
    assert fields <= {tuple(kind.choices) for kind in STATUSES.values()}


@pytest.mark.parametrize("name", STATUSES)
def test_every_status_has_a_word_of_the_vocabulary(name):
    labels = STATUSES[name].labels

    assert set(labels) <= set(LOOKS)
    assert len(set(labels)) == len(labels), "a filter could not tell them apart"


def test_same_status_has_the_same_word_everywhere():
    words = {}
    for kind in STATUSES.values():
        for status in kind:
            words.setdefault(status.value, set()).add(status.label)

    assert {value: found for value, found in words.items() if len(found) > 1} == {
        "ACTIVE": {"Active", "Open"},  # a link waits for the other side
        # A payment or transfer, an approval, a hold, a file being prepared.
        "PENDING": {"Pending", "Needs approval", "On hold", "Processing"},
        "REVERSED": {"Refunded", "Released"},  # a payment, a hold
    }


def test_tones_are_those_of_the_guide():
    for tone, words in TONES.items():
        assert {LOOKS[word].tone for word in words} == {tone}
        assert {word for word, look in LOOKS.items() if look.tone == "success"} == TONES["success"]


def test_only_arrived_money_and_things_in_good_order_are_green():
    green = {
        (name, status.value, status.label)
        for name, kind in STATUSES.items()
        for status in kind
        if LOOKS[status.label].tone == "success"
    }

    assert green == GREEN


def test_events_have_the_tone_of_the_status_that_they_report():
    types = {type.name: type for type in catalogue.types() if type.is_available}

    for name, type in types.items():
        word = REPORTED.get(name.rpartition(".")[2])
        assert not word or type.tone == LOOKS[word].tone, name
    assert {name for name, type in types.items() if type.tone == "success"} == GREEN_EVENTS
