"""The forms of a payment link's public page, in the reader's language."""

import re
import unicodedata

from django import forms
from django.core.exceptions import ValidationError
from django.forms.utils import ErrorDict
from django.utils.translation import gettext_lazy as _

from accounts.transfers import banking, ethereum
from links.pay_page import error_messages
from links.payment_links.errors import VerificationRequired
from links.payment_links.services import email_verification
from wallgent import ids
from wallgent.errors import (
    DomainError,
    IdempotencyKeyReuse,
    InvalidState,
    NotAvailable,
    ServiceUnavailable,
)
from wallgent.mail import addresses
from wallgent.web.forms import PageForm

EMAIL_INPUT = forms.TextInput(
    attrs={"type": "email", "inputmode": "email", "autocomplete": "email"}
)
_IDENTIFIER = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
_DIGITS = {"inputmode": "numeric", **_IDENTIFIER}
_SEPARATORS = re.compile(r"[\s\-.]+")  # between groups of digits
_MAX_NUMBER_LENGTH = 80  # separators included

WRONG_ROUTING_NUMBER = _(
    "This is not a routing number of a bank. It has nine digits and stands on your cheques and in"
    " your bank's app."
)
WRONG_ACCOUNT_NUMBER = _("An account number has 4 to 17 digits. Write the digits only.")
WRONG_ADDRESS = _("This is not an address of Ethereum. It begins with 0x and has 42 characters.")
WRONG_CHECKSUM = _(
    "One of the characters of this address is wrong: its capital letters do not fit. Copy it once"
    " more from your wallet."
)
SAID_BEFORE = _(
    "You sent this form before with other details, and that was carried out. Look at what it did;"
    " if you want this as well, send it again."
)


def _digits(text: str) -> str:
    """Return a number without separators, its digits of any script in compatible form."""
    # No number is longer, and normalizing a long run of combining marks takes seconds.
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", text[:_MAX_NUMBER_LENGTH]))


def check_routing_number(text: str) -> str:
    """Return the nine digits of a routing number. Raises ValidationError."""
    number = _digits(text)
    if not banking.is_routing_number(number):
        raise ValidationError(WRONG_ROUTING_NUMBER)
    return number


def check_address(text: str) -> str:
    """Return an Ethereum address with its EIP-55 checksum. Raises ValidationError."""
    address = text.strip()
    if not ethereum.is_address(address):
        is_misspelt = ethereum.is_address(address.lower())
        raise ValidationError(WRONG_CHECKSUM if is_misspelt else WRONG_ADDRESS)
    return ethereum.checksum(address)


class PublicForm(PageForm):
    """A form for visitors: shows refusals in their language, beside the field they are about."""

    def refuse(self, error: DomainError) -> None:
        if isinstance(error, IdempotencyKeyReuse):
            self.renew()
            self.add_error(None, SAID_BEFORE)
            return
        if isinstance(error, VerificationRequired):
            raise error  # the view asks for a code on another page
        self.add_error(self.field_of(error), error_messages.of(error))

    def field_of(self, error: DomainError) -> str | None:
        """Return the name of the field that a refusal is about, or None."""
        names = [name.rpartition(".")[2] for name in error.details.get("fields", {})]
        return next((self.refusal_fields[n] for n in names if n in self.refusal_fields), None)


class EmailForm(PublicForm):
    """The visitor's email address, for a link that is restricted to some addresses."""

    email = forms.CharField(
        label=_("E-mail address"),
        max_length=addresses.MAX_LENGTH,
        error_messages={"required": _("Type the e-mail address this payment was sent to.")},
        widget=EMAIL_INPUT,
    )


class CodeForm(PublicForm):
    """The code that was sent to the visitor's address."""

    code = forms.CharField(
        label=_("Code"),
        max_length=40,
        error_messages={"required": _("Type the code from the email.")},
        widget=forms.TextInput(attrs=_IDENTIFIER | {"autocomplete": "one-time-code"}),
    )

    def field_of(self, error: DomainError) -> str | None:
        return "code"

    def refuse_resend(self, error: DomainError) -> None:
        """Show why no other code was sent, without errors about the field itself."""
        self.cleaned_data, self._errors = {}, ErrorDict()
        self.add_error(None, error_messages.of(error))

    def clean_code(self):
        code = email_verification.normalize(self.cleaned_data["code"])
        if not email_verification.is_well_formed(code):
            raise ValidationError(_("This is not a code. Copy it from the newest email."))
        return code


_OTHER = "other"


class WalletForm(PublicForm):
    """A wallet of the visitor's, or another by its ID."""

    refusal_fields = {"walletId": "wallet_id"}

    own = forms.ChoiceField(label=_("Your wallets"), required=False, widget=forms.RadioSelect)
    wallet_id = forms.CharField(
        label=_("Wallet id"),
        required=False,
        max_length=80,
        help_text=_("It begins with wal_ and stands on the page of your wallet."),
        widget=forms.TextInput(attrs=_IDENTIFIER),
    )

    def __init__(self, *args, wallets=(), is_paying=False, **kwargs):
        super().__init__(*args, **kwargs)
        if not wallets:
            del self.fields["own"]
            self.fields["wallet_id"].required = True
            missing = (
                _("Type the id of the wallet that pays.")
                if is_paying
                else _("Type the id of the wallet that gets the money.")
            )
            self.fields["wallet_id"].error_messages["required"] = missing
            return
        choices = [(w.id, f"{w.name}, {w.organization.name}") for w in wallets]
        self.fields["own"].choices = [*choices, (_OTHER, _("Another wallet, by its id"))]
        # The draft stores only the ID of the wallet that was chosen before.
        chosen_id = self.initial.get("wallet_id") or wallets[0].id
        is_own = any(wallet.id == chosen_id for wallet in wallets)
        chosen = {"own": chosen_id, "wallet_id": ""} if is_own else {"own": _OTHER}
        self.initial = self.initial | chosen

    def clean_wallet_id(self):
        text = self.cleaned_data["wallet_id"].strip()
        if not text:
            return ""
        if ids.parse(text, "wal") is None:
            raise ValidationError(
                _("“%(text)s” is not a wallet id. One begins with wal_ and is 30 characters long."),
                params={"text": text},
            )
        return text

    def clean(self):
        data = super().clean()
        is_own, is_other = data.get("own") not in ("", None, _OTHER), data.get("wallet_id")
        if is_own and is_other:  # we must not guess which of them gets or pays the money
            self.add_error(
                "wallet_id",
                _(
                    "You chose one of your wallets above and typed an id as well. Choose “Another"
                    " wallet, by its id”, or clear this field."
                ),
            )
        elif not (is_own or is_other or self.errors):
            self.add_error("wallet_id", _("Choose a wallet above, or type the id of one."))
        return data

    def field_of(self, error: DomainError) -> str | None:
        about_link = isinstance(error, InvalidState | NotAvailable | ServiceUnavailable)
        if about_link and "walletId" not in error.details:
            return None
        is_own = self.cleaned_data.get("own") not in ("", None, _OTHER)
        return "own" if is_own and "own" in self.fields else "wallet_id"

    @property
    def draft(self) -> dict:
        """The data of the review page."""
        own = self.cleaned_data.get("own")
        wallet_id = own if own and own != _OTHER else self.cleaned_data["wallet_id"]
        return {"method": "WALLET", "wallet_id": wallet_id}


class BankForm(PublicForm):
    """A bank account in the United States that receives or pays the money."""

    refusal_fields = {
        "routingNumber": "routing_number",
        "accountNumber": "account_number",
        "accountName": "account_name",
    }

    account_name = forms.CharField(
        label=_("Name on the account"),
        max_length=140,
        error_messages={"required": _("Type whose account it is.")},
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    routing_number = forms.CharField(
        label=_("Routing number"),
        max_length=40,
        help_text=_("Nine digits. They say which bank it is."),
        error_messages={"required": _("Type the routing number of the bank.")},
        widget=forms.TextInput(attrs=_DIGITS | {"data-check": "routing"}),
    )
    account_number = forms.CharField(
        label=_("Account number"),
        max_length=40,
        error_messages={"required": _("Type the account number.")},
        # The script checks this field itself: a full account number must not be in any URL.
        widget=forms.TextInput(
            attrs=_DIGITS | {"data-pattern": "^[0-9]{4,17}$", "data-wrong": WRONG_ACCOUNT_NUMBER}
        ),
    )

    def clean_account_name(self):
        name = " ".join(self.cleaned_data["account_name"].split())
        if not any(character.isalnum() for character in name):
            raise ValidationError(_("Type whose account it is."))
        return name

    def clean_routing_number(self):
        return check_routing_number(self.cleaned_data["routing_number"])

    def clean_account_number(self):
        number = _digits(self.cleaned_data["account_number"])
        if not banking.is_account_number(number):
            raise ValidationError(WRONG_ACCOUNT_NUMBER)
        return number

    @property
    def draft(self) -> dict:
        """The data of the review page."""
        names = ("routing_number", "account_number", "account_name")
        return {"method": "ACH"} | {name: self.cleaned_data[name] for name in names}


class AddressForm(PublicForm):
    """An Ethereum address that receives USDC."""

    refusal_fields = {"address": "address"}

    address = forms.CharField(
        label=_("Your address on Ethereum"),
        max_length=80,
        help_text=_("42 characters, beginning with 0x. USDC sent to a wrong address is lost."),
        error_messages={"required": _("Type the address that gets the USDC.")},
        widget=forms.TextInput(attrs=_IDENTIFIER | {"data-check": "address"}),
    )

    def clean_address(self):
        return check_address(self.cleaned_data["address"])

    @property
    def draft(self) -> dict:
        """The data of the review page."""
        return {"method": "USDC", "address": self.cleaned_data["address"]}


class ExpectForm(PublicForm):
    """A payment in USDC. The payer does not have to enter anything."""

    draft = {"method": "USDC"}


class ReviewForm(PublicForm):
    """The review step: the sealed draft that the page shows, and the sealed mandate if any."""

    draft = forms.CharField(max_length=4000, widget=forms.HiddenInput)
    read = forms.CharField(max_length=20_000, required=False, widget=forms.HiddenInput)
    accepted = forms.BooleanField(
        label=_("I authorize this payment from my bank account as written above."),
        error_messages={
            "required": _("Tick the box if you agree. Without it we may not ask your bank.")
        },
    )

    def __init__(self, *args, needs_mandate=False, **kwargs):
        super().__init__(*args, **kwargs)
        if not needs_mandate:
            del self.fields["accepted"], self.fields["read"]
        self.is_temporary = False  # whether the claim may be sent again after a refusal

    def refuse(self, error: DomainError) -> None:
        self.is_temporary = isinstance(error, ServiceUnavailable)
        super().refuse(error)

    def field_of(self, error: DomainError) -> str | None:
        return None
