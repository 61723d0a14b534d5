"""Verifies an email address with a code that is sent to it.

Wrong codes are counted for each visitor, so a stranger who knows the link and the address uses up
their own tries only. All visitors together have SHORT_CODE_TRIES with a code of six digits; the
next code is too long to be guessed, and so is the last one that the address gets on a day. The code
in the newest email to the address stays valid until another can be sent, so strangers who request
emails for a link cannot lock its recipient out.

What is counted is committed before the answer, so neither a later refusal nor concurrent guesses
give another try. Therefore these functions must run outside a transaction, except `use`. All times
are real time.
"""

import re
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils.crypto import salted_hmac

from links.payment_links.errors import (
    CodeExpired,
    CodeSentAlready,
    TooManyCodes,
    VerificationRequired,
    WrongCode,
)
from links.payment_links.models import CodeVisitor, EmailVerification, PaymentLink
from links.payment_links.models.email_verifications import TRIES
from links.payment_links.services import display_names, restrictions
from wallgent import clock, credentials, money
from wallgent.errors import DomainError, InvalidState
from wallgent.mail import addresses, emails, limits
from wallgent.mail.models import Email

CODE_DIGITS = 6
LONG_CODE_LENGTH = 12  # of 32 characters: 60 bits
# Wrong codes of all visitors for one link and address after which a code of six digits is refused.
# They are counted until a day after the last code.
SHORT_CODE_TRIES = 50
TRIES_KEPT_FOR = timedelta(days=1)
LIFETIME = timedelta(minutes=10)
VERIFIED_FOR = timedelta(hours=1)  # after the code was entered
RESEND_AFTER = timedelta(seconds=60)
_NAME_LENGTH = 80
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS = str.maketrans("OIL", "011")


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeSent:
    """A code that was sent, and when another can be."""

    email: str
    expires_at: datetime
    resend_after_seconds: int


def is_needed(link: PaymentLink) -> bool:
    """Return whether a claim has to verify an email address with a code."""
    return bool(link.emails) and link.proof == PaymentLink.Proof.CODE


def normalize(code: str) -> str:
    """Return a code as it is compared: without separators, in one script and upper case."""
    return re.sub(r"[\s\-.]+", "", unicodedata.normalize("NFKC", code)).upper()


def is_well_formed(code: str) -> bool:
    """Return whether a normalized text has the form of a code."""
    if len(code) == LONG_CODE_LENGTH:
        return set(code.translate(_READ_AS)) <= set(_ALPHABET)
    return re.fullmatch(rf"[0-9]{{{CODE_DIGITS}}}", code, re.ASCII) is not None


def send_code(link: PaymentLink, *, email: str) -> CodeSent:
    """Send the current code again while it is valid, else a new one, and reset visitors' tries.

    Raises PermissionDenied if the link is restricted to other addresses, InvalidState if it is no
    longer active, CodeSentAlready, RateLimitExceeded.
    """
    email = addresses.normalize(email)
    restrictions.check_email(link, email)
    if not link.is_open:
        raise InvalidState("This payment link is over: no code is needed.", status=link.status)
    with transaction.atomic(durable=True):
        return _send(link, email, clock.real_now())


def _send(link: PaymentLink, email: str, now: datetime) -> CodeSent:
    address = limits.digest(email)
    limits.lock(address)
    next_in = limits.wait_for(address, Email.Kind.CODE, link.environment, after=1)
    fresh = EmailVerification(
        link=link,
        email=email,
        seed=secrets.token_hex(16),
        is_long=bool(next_in),  # no other email could replace a code that was guessed at too often
        sent_at=now,
        expires_at=now + max(LIFETIME, next_in),
    )
    # Waits for a concurrent insert of the same row to commit; only one of them is stored.
    EmailVerification.objects.bulk_create([fresh], ignore_conflicts=True)
    verification = EmailVerification.objects.select_for_update().get(link=link, email=email)
    verification.link = link
    if verification.pk != fresh.pk:
        _renew(verification, fresh)
    subject, text = _render(verification, verification.expires_at - now)
    emails.queue(
        Email.Kind.CODE,
        to=email,
        subject=subject,
        text=text,
        about=link.id,
        organization=link.organization,
        environment=link.environment,
        valid_until=verification.expires_at,
    )
    wait = max(RESEND_AFTER, next_in)
    return CodeSent(
        email=email,
        expires_at=verification.expires_at,
        resend_after_seconds=int(wait.total_seconds()),
    )


def _renew(verification: EmailVerification, fresh: EmailVerification) -> None:
    """Update a stored verification for another email. Raises CodeSentAlready."""
    now = fresh.sent_at
    is_usable = not (
        _is_exhausted(verification) or verification.used_at or now >= verification.expires_at
    )
    # A code that is not usable is replaced without a wait.
    if is_usable and (wait := _wait(verification, now)):
        raise CodeSentAlready(wait)
    # A usable code is sent again: a new one would void the code that the recipient may be typing.
    if not is_usable or fresh.is_long > verification.is_long:
        verification.seed, verification.used_at = fresh.seed, None
        verification.is_long = fresh.is_long or verification.tries >= SHORT_CODE_TRIES
    verification.sent_at, verification.expires_at = now, fresh.expires_at
    verification.save()
    verification.visitors.update(tries=0)


def _is_exhausted(verification: EmailVerification) -> bool:
    """Return whether so many wrong codes were entered that six digits are no longer accepted."""
    return verification.tries >= SHORT_CODE_TRIES and not verification.is_long


def _wait(verification: EmailVerification, now: datetime) -> timedelta:
    """Return how long until another email can be sent."""
    address = limits.digest(verification.email)
    wait = limits.wait_for(address, Email.Kind.CODE, verification.link.environment)
    if not _is_exhausted(verification):  # a long code ends the guessing, so it is sent at once
        wait = max(wait, verification.sent_at + RESEND_AFTER - now)
    return wait


def _wait_seconds(verification: EmailVerification, now: datetime) -> int:
    seconds = _wait(verification, now).total_seconds()
    return int(seconds) + 1 if seconds else 0


def _render(verification: EmailVerification, lifetime: timedelta) -> tuple[str, str]:
    link = verification.link
    context = {
        "code": _code(verification),
        "amount": money.display(link.amount, link.currency),
        "organization": display_names.in_email(link.organization)[:_NAME_LENGTH],
        "sends": link.direction == PaymentLink.Direction.SEND,
        "minutes": int(lifetime.total_seconds()) // 60,
        "hours": int(lifetime.total_seconds()) // 3600,
    }
    subject = render_to_string("links/pay_page/code_email_subject.txt", context).strip()
    return subject, render_to_string("links/pay_page/code_email.txt", context)


def visitor_of_session(session_key: str) -> str:
    """Return the digest that identifies a visitor of the pay page."""
    return _visitor(f"session:{session_key}")


def visitor_of_network(network: str) -> str:
    """Return the digest that identifies an API caller, of whom only the network is known."""
    return _visitor(f"network:{network}")


def _visitor(identity: str) -> str:
    return salted_hmac("links.code_visitor", identity, algorithm="sha256").hexdigest()


def check_code(link: PaymentLink, *, email: str, code: str, visitor: str) -> None:
    """Verify that a visitor reads the mail of this address, or count a wrong code.

    The address stays verified for this visitor for an hour, until a claim uses it. Raises
    WrongCode, CodeExpired, TooManyCodes.
    """
    with transaction.atomic(durable=True):
        refusal = _check(link, addresses.normalize(email), code, visitor, clock.real_now())
    if refusal:
        raise refusal


def _check(
    link: PaymentLink, email: str, code: str, visitor: str, now: datetime
) -> DomainError | None:
    """Return the error to raise after the commit, or None for a right code."""
    verifications = EmailVerification.objects.select_for_update()
    verification = verifications.filter(link=link, email=email).first()
    if verification is None:
        return CodeExpired("No code was sent to this e-mail address. Ask for one first.")
    state, _ = CodeVisitor.objects.get_or_create(verification=verification, visitor=visitor)
    has_no_try = state.tries >= TRIES and not verification.is_long
    if has_no_try or _is_exhausted(verification):
        return TooManyCodes(resendAfterSeconds=_wait_seconds(verification, now))
    if not _is_right(verification, code):
        verification.tries, state.tries = verification.tries + 1, min(state.tries + 1, TRIES)
        verification.save(update_fields=["tries"])
        state.save(update_fields=["tries"])
        # A long code cannot be guessed and may be the last of a day, so its tries never end.
        return WrongCode(triesLeft=max(TRIES - state.tries, int(verification.is_long)))
    if verification.used_at:
        return CodeExpired("This code was used already. Ask for a new one.")
    verified_until = state.verified_at and state.verified_at + VERIFIED_FOR
    if now >= max(verified_until or now, verification.expires_at):
        return CodeExpired()
    if verified_until is None or now >= verified_until:
        state.verified_at = now
        state.save(update_fields=["verified_at"])
    return None


def is_verified(link: PaymentLink, *, email: str, visitor: str) -> bool:
    """Return whether the visitor has verified the address and no claim has used that.

    Counts no try.
    """
    email = addresses.normalize(email)
    verification = EmailVerification.objects.filter(link=link, email=email).first()
    return verification is not None and _is_verified_for(verification, visitor)


def use(link: PaymentLink, *, email: str, visitor: str) -> None:
    """Use up a visitor's verification, in the claim's transaction. Raises VerificationRequired."""
    verifications = EmailVerification.objects.select_for_update(no_key=True)
    verification = verifications.filter(link=link, email=email).first()
    if verification is None or not _is_verified_for(verification, visitor):
        raise VerificationRequired(
            "The e-mail address has to be proven first: by a code that is sent to it."
        )
    verification.used_at = clock.real_now()
    verification.save(update_fields=["used_at"])
    verification.visitors.update(verified_at=None)


def _is_verified_for(verification: EmailVerification, visitor: str) -> bool:
    since = clock.real_now() - VERIFIED_FOR
    return verification.visitors.filter(visitor=visitor, verified_at__gt=since).exists()


def delete_expired() -> int:
    """Delete codes that can no longer be used; after wrong tries, a day later. Return how many."""
    now = clock.real_now()
    is_over = Q(expires_at__lt=now - VERIFIED_FOR - LIFETIME, tries=0)
    is_over |= Q(expires_at__lt=now - TRIES_KEPT_FOR)
    _, deleted = EmailVerification.objects.filter(is_over).delete()
    return deleted.get(EmailVerification._meta.label, 0)


def _code(verification: EmailVerification) -> str:
    """Return the code as it is sent. It is not stored, because six digits could be tried out."""
    parts = f"{verification.link_id}:{verification.email}:{verification.seed}"
    number = int(salted_hmac("links.email_code", parts, algorithm="sha256").hexdigest(), 16)
    if not verification.is_long:
        return f"{number % 10**CODE_DIGITS:0{CODE_DIGITS}}"
    characters = [_ALPHABET[number >> 5 * place & 31] for place in range(LONG_CODE_LENGTH)]
    return "-".join("".join(characters[start : start + 4]) for start in (0, 4, 8))


def _is_right(verification: EmailVerification, code: str) -> bool:
    entered = normalize(code)
    entered = entered.translate(_READ_AS) if verification.is_long else entered
    return credentials.equal(normalize(_code(verification)), entered)
