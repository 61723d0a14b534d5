"""Limits how many emails an address receives, and how many others can have us send.

Counts in real time, and under locks that last until the email is stored.
"""

from datetime import datetime, timedelta

from django.db.models import Q

from wallgent import clock, credentials, turns
from wallgent.environments import Environment
from wallgent.errors import RateLimitExceeded
from wallgent.mail import addresses
from wallgent.mail.models import Email

# A day, to one address: everything that strangers or other organizations can cause.
EMAILS_PER_ADDRESS = 5
# The last of those is left for a code of production, which the recipient has to receive.
EMAILS_PER_ADDRESS_BEFORE_A_CODE = 4
# Anyone can have a sandbox, and must not use up what production needs.
EMAILS_PER_ADDRESS_OF_SANDBOXES = 3
LINKS_PER_HOUR = 60  # of one person, and of one organization
RECEIPTS_PER_SUBJECT = 10  # a day
# Of a kind, to one address, while the link in the first of them works: an address that gets no more
# has one.
ACCOUNT_EMAILS = 3
DAY = timedelta(days=1)

_Kind = Email.Kind
_FROM_OTHERS = [_Kind.LINK, _Kind.CODE, _Kind.RECEIPT, _Kind.INVITATION]
# The same request causes one or the other, so the limit is the same and uses up nothing else:
# otherwise another refusal would show whether the address has an account.
_ABOUT_ACCOUNTS = [_Kind.ACCOUNT, _Kind.HINT]


class TooManyEmails(RateLimitExceeded):
    """The address had as many emails as it may. Does not say whether it has an account."""

    message = "This address was sent several letters today. Go on tomorrow."

    def __init__(self, wait: timedelta):
        seconds = int(wait.total_seconds()) + 1
        super().__init__(retryAfterSeconds=seconds)
        self.headers = {"Retry-After": str(seconds)}


def digest(address: str) -> bytes:
    """Return the keyed digest by which emails to an address are counted."""
    return credentials.digest(f"sending\n{addresses.normalize(address)}")


def lock(address_digest: bytes, *others: str) -> None:
    """Wait for other emails to the same address, or of the same others, to be stored."""
    for subject in filter(None, (*others, address_digest.hex())):
        turns.acquire("emails", subject)


def check(email: Email) -> None:
    """Raise RateLimitExceeded if the email, which is not stored yet, would be one too many."""
    if email.kind == _Kind.LINK:
        lock(email.address_digest, email.organization_id, email.sender_id)
        _check_sender(email)
    elif email.kind == _Kind.RECEIPT:
        lock(email.address_digest, email.subject_id)
        sent = _since(DAY).filter(kind=email.kind, subject_id=email.subject_id)
        if sent.count() >= RECEIPTS_PER_SUBJECT:
            raise RateLimitExceeded("This receipt was sent several times today. Go on tomorrow.")
    else:
        lock(email.address_digest)
    if email.kind in _FROM_OTHERS:
        if wait := wait_for(email.address_digest, email.kind, email.environment):
            raise TooManyEmails(wait)
    elif email.kind in _ABOUT_ACCOUNTS:
        sent = _since(email.expires_at - email.created_at, email.address_digest)
        if sent.filter(kind=email.kind, subject_id=email.subject_id).count() >= ACCOUNT_EMAILS:
            raise TooManyEmails(email.expires_at - email.created_at)


def wait_for(address_digest: bytes, kind: str, environment: str, *, after: int = 0) -> timedelta:
    """Return how long until others may cause an email of this kind to an address: none to a day.

    `after`: as if so many more were sent now. Exact if the address is locked.
    """
    now = clock.real_now()
    sent = _since(DAY, address_digest).filter(kind__in=_FROM_OTHERS).order_by("-created_at")
    rows = [(now, environment)] * after + list(sent.values_list("created_at", "environment"))
    is_production = environment == Environment.PRODUCTION
    may_be_last = kind == _Kind.CODE and is_production
    most = EMAILS_PER_ADDRESS if may_be_last else EMAILS_PER_ADDRESS_BEFORE_A_CODE
    times = [_free_at([at for at, _ in rows], most, now)]
    if not is_production:
        of_sandboxes = [at for at, place in rows if place != Environment.PRODUCTION]
        times.append(_free_at(of_sandboxes, EMAILS_PER_ADDRESS_OF_SANDBOXES, now))
    return max(*times, now) - now


def _free_at(latest_first: list[datetime], most: int, now: datetime) -> datetime:
    return latest_first[most - 1] + DAY if len(latest_first) >= most else now


def _check_sender(email: Email) -> None:
    # Per person too, because organizations cost nothing to create.
    ours = Q(organization=email.organization_id)
    if email.sender_id:
        ours |= Q(sender_id=email.sender_id)
    sent = _since(timedelta(hours=1)).filter(ours, kind=email.kind)
    if sent.count() >= LINKS_PER_HOUR:
        raise RateLimitExceeded("Many letters were sent within an hour. Go on a little later.")


def _since(period: timedelta, address_digest: bytes | None = None):
    emails = Email.objects.filter(created_at__gt=clock.real_now() - period)
    emails = emails.exclude(reason=Email.Reason.LIMITED)
    return emails.filter(address_digest=address_digest) if address_digest else emails
