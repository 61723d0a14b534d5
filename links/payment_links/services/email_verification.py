"""Proving an email address by a code that is sent to it.

Wrong codes are counted for each visitor, so that a stranger who knows link and address uses up
their own tries and nobody else's. All visitors together have SHORT_TRIES with a code of six digits;
the next code is then too long to be guessed. The code in the newest email works until another can
be sent, so strangers who ask for emails lock nobody out either.

Everything here commits what it counts before it answers, so that a refusal afterwards, or many
guesses at once, give nobody another try. So none of it runs inside a transaction, `use` aside.
All times are real ones.
"""

import re
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils.crypto import salted_hmac

from links.payment_links.errors import CodeExpired, TooManyCodes, VerificationRequired, WrongCode
from links.payment_links.models import CodeVisitor, EmailProof, PaymentLink
from links.payment_links.models.email_verifications import TRIES
from links.payment_links.services import addresses, display_names, restrictions
from wallgent import clock, credentials
from wallgent.errors import DomainError, InvalidState, RateLimitExceeded
from wallgent.mail import emails
from wallgent.web import languages

CODE_DIGITS = 6
LONG_CODE_LENGTH = 12  # of 32 letters: 60 bits
# Wrong codes of all visitors for one link and address, before six digits are believed no more; they
# are counted for a day after the last code.
SHORT_TRIES = 50
COUNTED_FOR = timedelta(days=1)
LIFETIME = timedelta(minutes=10)
GOOD_FOR = timedelta(hours=1)  # once it was typed, for the rest of the way
RESEND_AFTER = timedelta(seconds=60)
LETTERS_AN_HOUR = 6
_NAME_LENGTH = 80
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS = str.maketrans("OIL", "011")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A code is on its way."""

    email: str
    expires_at: datetime
    resend_after_seconds: int


def is_needed(link: PaymentLink) -> bool:
    """Whether a claim has to prove an e-mail address by a code."""
    return bool(link.emails) and link.proof == PaymentLink.Proof.CODE


def normalized(code: str) -> str:
    """A code as it is compared: without what groups it, in any script and case."""
    return re.sub(r"[\s\-.]+", "", unicodedata.normalize("NFKC", code)).upper()


def is_well_formed(code: str) -> bool:
    """Whether a normalized text can be a code at all."""
    if len(code) == LONG_CODE_LENGTH:
        return set(code.translate(_READ_AS)) <= set(_ALPHABET)
    return re.fullmatch(rf"[0-9]{{{CODE_DIGITS}}}", code, re.ASCII) is not None


def send_code(link: PaymentLink, *, email: str) -> Sent:
    """Send a code: the one that was sent before while it works, else a new one.

    Everybody's tries begin again. Raises PermissionDenied (the link is for others), InvalidState
    (it is over), RateLimitExceeded.
    """
    email = addresses.normalized(email)
    restrictions.check_email(link, email)
    if link.status != PaymentLink.Status.ACTIVE or link.is_past_expiry:
        raise InvalidState("This payment link is over: no code is needed.", status=link.status)
    with transaction.atomic(durable=True):
        return _send(link, email, clock.real_now())


def _send(link: PaymentLink, email: str, now: datetime) -> Sent:
    fresh = EmailProof(
        link=link,
        email=email,
        seed=secrets.token_hex(16),
        sent_at=now,
        expires_at=now + LIFETIME,
        letters_since=now,
    )
    # Waits for a twin that is about to commit; one of them is stored.
    EmailProof.objects.bulk_create([fresh], ignore_conflicts=True)
    proof = EmailProof.objects.select_for_update().get(link=link, email=email)
    if proof.pk != fresh.pk:
        _send_again(proof, fresh)
    code = _code(proof)
    letter = _letter(link, email, code, proof.expires_at - now)
    emails.send(letter, organization=link.organization, environment=link.environment)
    return Sent(
        email=email,
        expires_at=proof.expires_at,
        resend_after_seconds=int(RESEND_AFTER.total_seconds()),
    )


def _send_again(proof: EmailProof, fresh: EmailProof) -> None:
    now = fresh.sent_at
    is_worn_out = _is_worn_out(proof)
    if not is_worn_out:  # else the next code ends that for good, and is not kept waiting
        _check_rate(proof, now)
    if now - proof.letters_since < timedelta(hours=1):
        proof.letters += 1
    else:
        proof.letters, proof.letters_since = 1, now
    # A code that works is sent again: a new one would void what the recipient is about to type.
    if is_worn_out or proof.used_at or now >= proof.expires_at:
        proof.seed, proof.used_at = fresh.seed, None
        proof.is_long = proof.tries >= SHORT_TRIES
    proof.sent_at = now
    proof.expires_at = max(fresh.expires_at, now + _wait(proof, now))
    proof.save()
    proof.visitors.update(tries=0)


def _is_worn_out(proof: EmailProof) -> bool:
    """Whether so many wrong codes were typed that six digits prove nothing any more."""
    return proof.tries >= SHORT_TRIES and not proof.is_long


def _wait(proof: EmailProof, now: datetime) -> timedelta:
    """How long until another email can be sent."""
    wait = proof.sent_at + RESEND_AFTER - now
    if proof.letters >= LETTERS_AN_HOUR:
        wait = max(wait, proof.letters_since + timedelta(hours=1) - now)
    return timedelta(0) if _is_worn_out(proof) else max(wait, timedelta(0))


def _wait_seconds(proof: EmailProof, now: datetime) -> int:
    seconds = _wait(proof, now).total_seconds()
    return int(seconds) + 1 if seconds else 0


def _check_rate(proof: EmailProof, now: datetime) -> None:
    if seconds := _wait_seconds(proof, now):
        error = RateLimitExceeded(
            "A code was sent to this e-mail address just now. Look for it, also among unwanted"
            f" mail. A new one can be sent in {seconds} seconds.",
            retryAfterSeconds=seconds,
        )
        error.headers = {"Retry-After": str(seconds)}
        raise error


def _letter(link: PaymentLink, email: str, code: str, lifetime: timedelta) -> EmailMessage:
    context = {
        "code": code,
        "amount": languages.spoken().number(link.amount),
        "currency": link.currency,
        "organization": display_names.in_letter(link.organization)[:_NAME_LENGTH],
        "sends": link.direction == PaymentLink.Direction.SEND,
        "minutes": int(lifetime.total_seconds()) // 60,
    }
    subject = render_to_string("links/pay_page/code_email_subject.txt", context).strip()
    return EmailMessage(
        subject, render_to_string("links/pay_page/code_email.txt", context), to=[email]
    )


def visitor_of_session(session_key: str) -> str:
    """Who types codes on a page."""
    return _visitor(f"session:{session_key}")


def visitor_of_network(network: str) -> str:
    """Who sends codes by the API, where nothing else is known of a caller."""
    return _visitor(f"network:{network}")


def _visitor(who: str) -> str:
    return salted_hmac("links.code_visitor", who, algorithm="sha256").hexdigest()


def check_code(link: PaymentLink, *, email: str, code: str, visitor: str) -> None:
    """Believe that a visitor who types this code reads this address's mail. Counts wrong ones.

    It stays proven to them for an hour, until a claim uses it. Raises WrongCode, CodeExpired,
    TooManyCodes.
    """
    with transaction.atomic(durable=True):
        refusal = _judge(link, addresses.normalized(email), code, visitor, clock.real_now())
    if refusal:
        raise refusal


def _judge(
    link: PaymentLink, email: str, code: str, visitor: str, now: datetime
) -> DomainError | None:
    proof = EmailProof.objects.select_for_update().filter(link=link, email=email).first()
    if proof is None:
        return CodeExpired("No code was sent to this e-mail address. Ask for one first.")
    typed, _ = CodeVisitor.objects.get_or_create(proof=proof, visitor=visitor)
    if typed.tries >= TRIES or _is_worn_out(proof):
        return TooManyCodes(resendAfterSeconds=_wait_seconds(proof, now))
    if not _is_right(proof, code):
        proof.tries, typed.tries = proof.tries + 1, typed.tries + 1
        proof.save(update_fields=["tries"])
        typed.save(update_fields=["tries"])
        return WrongCode(triesLeft=TRIES - typed.tries)
    if proof.used_at:
        return CodeExpired("This code was used already. Ask for a new one.")
    if now >= (typed.verified_at + GOOD_FOR if typed.verified_at else proof.expires_at):
        return CodeExpired()
    if typed.verified_at is None:
        typed.verified_at = now
        typed.save(update_fields=["verified_at"])
    return None


def is_verified(link: PaymentLink, *, email: str, visitor: str) -> bool:
    """Whether a visitor has proven the address, and no claim has used that. Counts nothing."""
    proof = EmailProof.objects.filter(link=link, email=addresses.normalized(email)).first()
    return proof is not None and _has_proven(proof, visitor)


def use(link: PaymentLink, *, email: str, visitor: str) -> None:
    """Use up what a visitor has proven, in the claim's transaction. Raises VerificationRequired."""
    proofs = EmailProof.objects.select_for_update(no_key=True)
    proof = proofs.filter(link=link, email=email).first()
    if proof is None or not _has_proven(proof, visitor):
        raise VerificationRequired(
            "The e-mail address has to be proven first: by a code that is sent to it."
        )
    proof.used_at = clock.real_now()
    proof.save(update_fields=["used_at"])
    proof.visitors.update(verified_at=None)


def _has_proven(proof: EmailProof, visitor: str) -> bool:
    since = clock.real_now() - GOOD_FOR
    return proof.visitors.filter(visitor=visitor, verified_at__gt=since).exists()


def forget_old() -> int:
    """Delete the codes that nobody can use any more, a day later where some were wrong."""
    now = clock.real_now()
    over = Q(expires_at__lt=now - GOOD_FOR - LIFETIME, tries=0)
    over |= Q(expires_at__lt=now - COUNTED_FOR)
    _, deleted = EmailProof.objects.filter(over).delete()
    return deleted.get(EmailProof._meta.label, 0)


def _code(proof: EmailProof) -> str:
    """The code, as it is sent. It is stored nowhere: six digits could be tried out."""
    said = f"{proof.link_id}:{proof.email}:{proof.seed}"
    number = int(salted_hmac("links.email_code", said, algorithm="sha256").hexdigest(), 16)
    if not proof.is_long:
        return f"{number % 10**CODE_DIGITS:0{CODE_DIGITS}}"
    letters = [_ALPHABET[number >> 5 * place & 31] for place in range(LONG_CODE_LENGTH)]
    return "-".join("".join(letters[start : start + 4]) for start in (0, 4, 8))


def _is_right(proof: EmailProof, code: str) -> bool:
    written = normalized(code)
    written = written.translate(_READ_AS) if proof.is_long else written
    return credentials.equal(normalized(_code(proof)), written)
