"""Mandates: what a payer agrees to before their bank account is debited, and the record of it."""

import base64
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext_lazy

from accounts.organizations.models import Organization
from accounts.pay_ins.models import USER_AGENT_LENGTH, Mandate
from accounts.wallets.models import Wallet
from wallgent import clock, credentials, money
from wallgent.environments import Environment
from wallgent.errors import ValidationError
from wallgent.mail import plain_text
from wallgent.money import Currency

# The version of the wording below, the same in all languages. Change it whenever the wording
# changes, and update locale/.
_WORDING_VERSION = "2026-12"
_WORDING = gettext_lazy(
    "I authorize {organization} to debit the bank account given here once, by ACH, for"
    " {amount}. I confirm that I may use this account. The debit may take place on the"
    " next banking day. I can revoke this authorization by telling {organization} before the debit"
    " is sent, and I can dispute an unauthorized debit with my bank."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The text of a mandate, to show to a payer."""

    version: str  # identifies the exact wording
    wording: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """A payer's agreement to one version of the terms.

    Without a version it is a test authorization, for a debit in the sandbox without a mandate.
    """

    version: str
    ip: str
    user_agent: str = ""
    wording: str = ""  # as the payer read it, if known; else the current wording

    @property
    def is_test(self) -> bool:
        return not self.version


def is_required(environment: str) -> bool:
    """Whether the API requires a mandate before a bank is debited; pages always do."""
    return environment != Environment.SANDBOX


def terms(organization: Organization, *, amount: Decimal) -> Terms:
    """The terms for one debit of `amount` USD by an organization, in the active language."""
    wording = str(_WORDING).format(
        organization=plain_text.one_line(organization.name),
        amount=money.display(amount, Currency.USD),  # what banks carry
    )
    return Terms(version=_version(wording), wording=wording)


def _version(wording: str) -> str:
    """The version of an exact wording, which includes the organization's name and the amount.

    The digest is keyed, so that an organization cannot find a name that gives the same version.
    """
    digest = base64.urlsafe_b64encode(credentials.digest(wording)[:6]).decode()
    return f"{_WORDING_VERSION}.{digest}"


def check(acceptance: Acceptance | None, *, wallet: Wallet, amount: Decimal) -> None:
    """Check that the payer agreed to the debit of `amount` into a wallet.

    Raises ValidationError with the current terms in its details.
    """
    if acceptance and acceptance.is_test and not is_required(wallet.environment):
        return
    current = terms(wallet.organization, amount=amount)
    read = acceptance and (acceptance.wording or current.wording)
    if not read or acceptance.version != _version(read):
        raise ValidationError(
            "Debiting a bank account needs a mandate. Show the payer details.mandate.wording, and"
            " send its version as mandate.version with mandate.accepted once they agree.",
            fields={"mandate": "must be accepted as it reads now"},
            mandate={"version": current.version, "wording": current.wording},
        )


def record(
    acceptance: Acceptance, *, wallet: Wallet, amount: Decimal, purpose: str, reference: str
) -> Mandate:
    """Store what the payer agreed to, when and from where."""
    wording = acceptance.wording or terms(wallet.organization, amount=amount).wording
    return Mandate.objects.create(
        organization=wallet.organization,
        environment=wallet.environment,
        purpose=purpose,
        reference=reference,
        amount=amount,
        is_test=acceptance.is_test,
        version=acceptance.version,
        wording="" if acceptance.is_test else wording,
        ip=acceptance.ip or None,
        user_agent=acceptance.user_agent[:USER_AGENT_LENGTH],
        accepted_at=clock.real_now(),
    )
