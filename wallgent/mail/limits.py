"""Limits how many emails an organization, a person or a visitor can have us send.

Counts all emails under one lock and in real time. Call the counting functions in the
transaction that sends the email.
"""

from datetime import timedelta
from typing import Any

from django.db.models import Q

from wallgent import clock, credentials, turns
from wallgent.actors import Actor
from wallgent.errors import RateLimitExceeded
from wallgent.mail import addresses
from wallgent.mail.models import EmailSendLog

MESSAGES_PER_HOUR = 60  # of one person, and of one organization
MESSAGES_PER_ADDRESS = 5  # a day, of one organization
# A day, of all organizations: more than one can send, so that none can block an address for others.
MESSAGES_PER_ADDRESS_OF_ALL = 20
RECEIPTS_PER_SUBJECT = 10  # a day
RECEIPTS_PER_ADDRESS = 5  # a day, not counting messages to that address
_TURN = "emails"

_Kind = EmailSendLog.Kind


def count_message(*, subject_id: str, actor: Actor, address: str, address_refusal: str) -> None:
    """Count an email that the actor sends on behalf of their organization.

    Raises RateLimitExceeded; its message is `address_refusal` if the address had too many.
    """
    turns.acquire(_TURN)
    organization, environment = actor.organization, actor.environment
    messages = EmailSendLog.objects.filter(kind=_Kind.MESSAGE)
    # Per person too, because organizations cost nothing to create. Visitors request the receipts,
    # so those do not count here.
    ours = messages.filter(Q(organization=organization) | Q(sender_id=actor.id))
    hour_ago = clock.real_now() - timedelta(hours=1)
    if ours.filter(created_at__gt=hour_ago).count() >= MESSAGES_PER_HOUR:
        raise RateLimitExceeded("Many letters were sent within an hour. Go on a little later.")
    # Per environment, because anyone can send from a sandbox.
    received = _sent_today(address, _Kind.MESSAGE).filter(environment=environment)
    if (
        received.filter(organization=organization).count() >= MESSAGES_PER_ADDRESS
        or received.count() >= MESSAGES_PER_ADDRESS_OF_ALL
    ):
        raise RateLimitExceeded(address_refusal)
    _record(_Kind.MESSAGE, subject_id, organization, environment, address, sender_id=actor.id)


def count_receipt(*, subject_id: str, organization: Any, environment: str, address: str) -> None:
    """Count a receipt that a visitor requests. Raises RateLimitExceeded."""
    turns.acquire(_TURN)
    day_ago = clock.real_now() - timedelta(days=1)
    sent = EmailSendLog.objects.filter(
        kind=_Kind.RECEIPT, subject_id=subject_id, created_at__gt=day_ago
    )
    if sent.count() >= RECEIPTS_PER_SUBJECT:
        raise RateLimitExceeded("This receipt was sent several times today. Go on tomorrow.")
    if _sent_today(address, _Kind.RECEIPT).count() >= RECEIPTS_PER_ADDRESS:
        raise RateLimitExceeded("This address was sent several letters today. Go on tomorrow.")
    _record(_Kind.RECEIPT, subject_id, organization, environment, address)


def _sent_today(address: str, kind: str):
    day_ago = clock.real_now() - timedelta(days=1)
    return EmailSendLog.objects.filter(
        kind=kind, address_digest=_digest(address), created_at__gt=day_ago
    )


def _record(
    kind: str, subject_id: str, organization: Any, environment: str, address: str, **sender: str
) -> None:
    EmailSendLog.objects.create(
        kind=kind,
        organization=organization,
        environment=environment,
        subject_id=subject_id,
        address_digest=_digest(address),
        created_at=clock.real_now(),
        **sender,
    )


def _digest(address: str) -> bytes:
    return credentials.digest(f"sending\n{addresses.normalize(address)}")
