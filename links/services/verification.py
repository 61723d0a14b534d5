"""Proving an e-mail address: six digits, sent to it.

Everything here commits what it counts before it answers, so that a refusal afterwards, or many
guesses at once, give nobody another try. So none of it runs inside a transaction, `use` aside.
All times are real ones.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string
from django.utils.crypto import salted_hmac

from links.errors import CodeExpired, VerificationRequired, WrongCode
from links.models import EmailProof, PaymentLink
from links.models.email_proofs import TRIES
from links.services import emails, names, restrictions
from wallgent import clock, credentials, languages, mail
from wallgent.errors import DomainError, InvalidState, RateLimitExceeded

CODE_DIGITS = 6
LIFETIME = timedelta(minutes=10)
GOOD_FOR = timedelta(hours=1)  # once it was typed, for the rest of the way
RESEND_AFTER = timedelta(seconds=60)
LETTERS_AN_HOUR = 6
_NAME_LENGTH = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A code is on its way."""

    email: str
    expires_at: datetime
    resend_after_seconds: int


def is_needed(link: PaymentLink) -> bool:
    """Whether a claim has to prove an e-mail address by a code."""
    return bool(link.emails) and link.proof == PaymentLink.Proof.CODE


def send_code(link: PaymentLink, *, email: str) -> Sent:
    """Send a new code; an older one is void.

    Raises PermissionDenied (the link is for others), InvalidState (it is over),
    RateLimitExceeded.
    """
    email = emails.normalized(email)
    restrictions.check_email(link, email)
    if link.status != PaymentLink.Status.ACTIVE or link.is_past_expiry:
        raise InvalidState("This payment link is over: no code is needed.", status=link.status)
    with transaction.atomic(durable=True):
        return _send(link, email, clock.real_now())


def _send(link: PaymentLink, email: str, now: datetime) -> Sent:
    fresh = EmailProof(
        link=link, email=email, sent_at=now, expires_at=now + LIFETIME, letters_since=now
    )
    code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
    fresh.code_digest = _digest(link, email, code)
    # Waits for a twin that is about to commit; one of them is stored.
    EmailProof.objects.bulk_create([fresh], ignore_conflicts=True)
    stored = EmailProof.objects.select_for_update().get(link=link, email=email)
    if stored.pk != fresh.pk:
        _check_rate(stored, now)
        if now - stored.letters_since < timedelta(hours=1):
            fresh.letters, fresh.letters_since = stored.letters + 1, stored.letters_since
        fresh.pk = stored.pk
        fresh.save(force_update=True)
    letter = _letter(link, email, code)
    mail.send(letter, organization=link.organization, environment=link.environment)
    return Sent(
        email=email,
        expires_at=fresh.expires_at,
        resend_after_seconds=int(RESEND_AFTER.total_seconds()),
    )


def _check_rate(stored: EmailProof, now: datetime) -> None:
    wait = stored.sent_at + RESEND_AFTER - now
    within_hour = stored.letters_since + timedelta(hours=1) - now
    if stored.letters >= LETTERS_AN_HOUR:
        wait = max(wait, within_hour)
    if wait > timedelta(0):
        seconds = int(wait.total_seconds()) + 1
        error = RateLimitExceeded(
            "A code was sent to this e-mail address just now. Look for it, also among unwanted"
            f" mail. A new one can be sent in {seconds} seconds.",
            retryAfterSeconds=seconds,
        )
        error.headers = {"Retry-After": str(seconds)}
        raise error


def _letter(link: PaymentLink, email: str, code: str) -> EmailMessage:
    context = {
        "code": code,
        "amount": languages.spoken().number(link.amount),
        "currency": link.currency,
        "organization": names.in_letter(link.organization)[:_NAME_LENGTH],
        "sends": link.direction == PaymentLink.Direction.SEND,
        "minutes": int(LIFETIME.total_seconds()) // 60,
    }
    subject = render_to_string("links/letters/code_subject.txt", context).strip()
    return EmailMessage(subject, render_to_string("links/letters/code.txt", context), to=[email])


def check_code(link: PaymentLink, *, email: str, code: str) -> None:
    """Believe that whoever types this code reads this address's mail. Each wrong one is counted.

    A right one stays good for an hour, until a claim uses it. Raises WrongCode, CodeExpired.
    """
    with transaction.atomic(durable=True):
        refusal = _judge(link, emails.normalized(email), code, clock.real_now())
    if refusal:
        raise refusal


def _judge(link: PaymentLink, email: str, code: str, now: datetime) -> DomainError | None:
    proof = EmailProof.objects.select_for_update().filter(link=link, email=email).first()
    if proof is None:
        return CodeExpired("No code was sent to this e-mail address. Ask for one first.")
    if proof.tries >= TRIES:
        return CodeExpired("Too many wrong codes were given. Ask for a new one.")
    if not _is_right(proof, code):
        proof.tries += 1
        proof.save(update_fields=["tries"])
        return WrongCode(triesLeft=TRIES - proof.tries)
    if proof.used_at:
        return CodeExpired("This code was used already. Ask for a new one.")
    if now >= (proof.verified_at + GOOD_FOR if proof.verified_at else proof.expires_at):
        return CodeExpired()
    if proof.verified_at is None:
        proof.verified_at = now
        proof.save(update_fields=["verified_at"])
    return None


def is_verified(link: PaymentLink, *, email: str, code: str) -> bool:
    """Whether a claim could still use this code, which was checked before. Counts nothing."""
    proof = EmailProof.objects.filter(link=link, email=emails.normalized(email)).first()
    return proof is not None and _is_good(proof, code)


def use(link: PaymentLink, *, email: str, code: str) -> None:
    """Use up a checked code, in the transaction of the claim. Raises VerificationRequired."""
    proofs = EmailProof.objects.select_for_update(no_key=True)
    proof = proofs.filter(link=link, email=email).first()
    if proof is None or not _is_good(proof, code):
        raise VerificationRequired(
            "The e-mail address has to be proven first: by a code that is sent to it."
        )
    proof.used_at = clock.real_now()
    proof.save(update_fields=["used_at"])


def forget_old() -> int:
    """Delete the codes that nobody can use any more; how many."""
    long_ago = clock.real_now() - GOOD_FOR - LIFETIME
    deleted, _ = EmailProof.objects.filter(expires_at__lt=long_ago).delete()
    return deleted


def _is_good(proof: EmailProof, code: str) -> bool:
    return (
        proof.verified_at is not None
        and proof.used_at is None
        and proof.tries < TRIES
        and clock.real_now() < proof.verified_at + GOOD_FOR
        and _is_right(proof, code)
    )


def _is_right(proof: EmailProof, code: str) -> bool:
    return credentials.equal(proof.code_digest, _digest(proof.link_id, proof.email, code))


def _digest(link: PaymentLink | str, email: str, code: str) -> str:
    link_id = link if isinstance(link, str) else link.id
    written = "".join(code.split())  # people copy spaces along
    return salted_hmac(
        "links.email_code", f"{link_id}:{email}:{written}", algorithm="sha256"
    ).hexdigest()
