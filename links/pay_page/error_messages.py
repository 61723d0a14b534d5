"""Error messages for visitors of the public pages, in their language.

Services write their errors in English for users of the API. For errors that a visitor can cause,
this module has messages that they can act on. Any other error keeps its message in English and
gets a general one in other languages.
"""

from django.utils.translation import get_language, gettext, gettext_lazy
from django.utils.translation import gettext_noop as _

from accounts.wallets.errors import InsufficientFunds, WalletFrozen
from links.payment_links.errors import CodeExpired, CodeSentAlready, TooManyCodes, WrongCode
from wallgent.errors import (
    DomainError,
    RateLimitExceeded,
    ServiceUnavailable,
    Unauthorized,
    ValidationError,
)

# Messages of services that suit visitors as they are.
_SUITABLE = {
    _("This payment link was claimed already."),
    _("This payment link was cancelled. Ask whoever made it for a new one."),
    _("This payment link has expired. Ask whoever made it for a new one."),
    _("This payment link cannot be paid out right now. Try again later, or ask whoever made it."),
    _("A payment link cannot pay the wallet it is paid from."),
    _("A payment link cannot be paid from its own wallet."),
    _("This payment link is not for that wallet."),
    _("This payment link is not for that e-mail address."),
    _("This payment link is for certain wallets only."),
    _("This wallet has claimed this payment link already."),
    _("This bank account was used for this payment link already."),
    _("This address was used for this payment link already."),
    _("This e-mail address was used for this payment link already."),
    _("This wallet's owner has a pending request for this link and hasn't decided yet."),
    _("This payment link takes no money any more. Ask whoever made it for a new one."),
    _("This payment link is over: no code is needed."),
    _("This address was sent several letters today. Go on tomorrow."),
    _("This receipt was sent several times today. Go on tomorrow."),
    _("There is no such wallet to pay to."),
    _("The wallet is closed."),
    _("This code was used already. Ask for a new one."),
    _("This code is no longer valid. Ask for a new one."),
    _("No code was sent to this e-mail address. Ask for one first."),
}

# Reasons of banks that the account holder can act on, by Nacha return code.
BANK_REASONS = {
    "R01": gettext_lazy("The bank says that there is not enough money in the account."),
    "R02": gettext_lazy("The bank says that this account is closed."),
    "R03": gettext_lazy("The bank knows no such account. Compare its number and the name."),
    "R04": gettext_lazy("The bank says that this is not an account number."),
    "R07": gettext_lazy("The bank says that the authorization was taken back."),
    "R08": gettext_lazy("The bank says that this payment was stopped."),
    "R10": gettext_lazy("The bank says that its customer did not authorize this."),
    "R16": gettext_lazy("The bank says that this account is frozen."),
    "R20": gettext_lazy("The bank says that this account takes no such payments."),
    "EXPIRED": gettext_lazy("There was no answer in time."),
}


def of(error: DomainError) -> str:
    """Return the message for a visitor."""
    if isinstance(error, TooManyCodes):
        return _too_many_codes(error.details.get("resendAfterSeconds"))
    if isinstance(error, WrongCode):
        return _wrong_code(error.details.get("triesLeft"))
    if isinstance(error, CodeSentAlready):
        return _sent_already(error.details["retryAfterSeconds"])
    if isinstance(error, RateLimitExceeded) and error.message not in _SUITABLE:
        return gettext("Too many tries. Wait a minute, then try again. Nothing was lost.")
    if isinstance(error, ServiceUnavailable):
        return gettext("We are very busy just now. Wait a moment, then try again.")
    if isinstance(error, Unauthorized):
        return gettext(
            "This wallet takes no requests to pay. If it is yours, sign in; else choose another"
            " way to pay."
        )
    if isinstance(error, InsufficientFunds):
        return gettext("There is not enough money in that wallet. Nothing was paid.")
    if isinstance(error, WalletFrozen):
        return gettext("That wallet is frozen and cannot pay. Nothing was paid.")
    if isinstance(error, ValidationError) and "holds" in error.message:
        return _other_currency(error)
    if error.message in _SUITABLE or get_language() == "en":
        return gettext(error.message)
    if isinstance(error, CodeExpired):
        return gettext("This code is no longer valid. Ask for a new one.")
    return gettext("This was not possible. Nothing was paid. Look at the details and try again.")


def _wrong_code(tries_left: int | None) -> str:
    message = gettext("This is not the code that was sent. Look at the newest letter.")
    if not tries_left:
        return _too_many_codes(None)
    left = gettext("One try is left.")
    if tries_left > 1:
        left = gettext("%(count)s tries are left.") % {"count": tries_left}
    return f"{message} {left}"


def _too_many_codes(seconds: int | None) -> str:
    if not seconds:
        return gettext("Too many wrong codes. Choose “Send a new code” and type that one.")
    return gettext(
        "Too many wrong codes. In %(seconds)s seconds, choose “Send a new code” and type that one."
    ) % {"seconds": seconds}


def _sent_already(seconds: int) -> str:
    return gettext(
        "A code was sent to this e-mail address just now. Look for it, also among unwanted mail. A"
        " new one can be sent in %(seconds)s seconds."
    ) % {"seconds": seconds}


def _other_currency(error: ValidationError) -> str:
    """Return the message for a wallet in another currency. In English the service names both."""
    if get_language() == "en":
        return error.message
    return gettext("That wallet holds another currency than this link.")
