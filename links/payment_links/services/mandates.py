"""Mandates: what a payer agrees to before a link debits their bank account."""

import base64
from dataclasses import dataclass

from django.utils.translation import gettext_lazy

from links.payment_links.models import Claim, PaymentLink
from links.payment_links.models.claims import Mandate as Kept
from links.payment_links.services import display_names
from wallgent import clock, credentials
from wallgent.environments import Environment
from wallgent.errors import ValidationError
from wallgent.web import languages

# Of what we ask for, in all languages. What was agreed to is kept word by word, as it was read.
_TERMS = "2026-11"
_WORDING = gettext_lazy(
    "I authorize {organization} to debit the bank account given here once, by ACH, for"
    " {amount} {currency}. I confirm that I may use this account. The debit may take place on the"
    " next banking day. I can revoke this authorization by telling {organization} before the debit"
    " is sent, and I can dispute an unauthorized debit with my bank."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mandate:
    """What to show before somebody agrees."""

    version: str  # of these very words
    wording: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """That somebody has agreed to a version, and from where.

    Without a version it is a test authorization, which the API gives in the sandbox for a claim
    that has no mandate.
    """

    version: str
    ip: str
    user_agent: str = ""
    wording: str = ""  # as it was read, where we know; else as it is now

    @property
    def is_test(self) -> bool:
        return not self.version


def is_required(link: PaymentLink) -> bool:
    """Whether the API, too, asks for a mandate before a bank is debited; pages always do."""
    return link.environment != Environment.SANDBOX


def current(link: PaymentLink) -> Mandate:
    """The mandate that a payer of this link is asked for."""
    wording = str(_WORDING).format(
        organization=display_names.plain(link.organization),
        amount=languages.spoken().number(link.amount),
        currency="USD",  # what banks carry
    )
    return Mandate(version=_version(wording), wording=wording)


def _version(wording: str) -> str:
    """What stands for words that name others by now, such as an organization's former name.

    Its digest is keyed, so that nobody makes up a name with the same one.
    """
    digest = base64.urlsafe_b64encode(credentials.digest(wording)[:6]).decode()
    return f"{_TERMS}.{digest}"


def check(link: PaymentLink, acceptance: Acceptance | None) -> None:
    """Raises ValidationError, which says what to agree to, unless that was done."""
    if acceptance and acceptance.is_test and not is_required(link):
        return
    mandate = current(link)
    read = acceptance and (acceptance.wording or mandate.wording)
    if not read or acceptance.version != _version(read):
        raise ValidationError(
            "Debiting a bank account needs a mandate. Show the payer details.mandate.wording, and"
            " send its version as mandate.version with mandate.accepted once they agree.",
            fields={"mandate": "must be accepted as it reads now"},
            mandate={"version": mandate.version, "wording": mandate.wording},
        )


def keep(claim: Claim, acceptance: Acceptance) -> None:
    """Keep what was agreed to, when and from where."""
    wording = acceptance.wording or current(claim.link).wording
    Kept.objects.create(
        claim=claim,
        is_test=acceptance.is_test,
        version=acceptance.version,
        wording="" if acceptance.is_test else wording,
        ip=acceptance.ip or None,
        user_agent=acceptance.user_agent[:500],
        accepted_at=clock.real_now(),
    )
