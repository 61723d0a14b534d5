"""The forms of a payment link's public page."""

from django import forms

from links.forms import fields
from links.models.payment_links import EMAIL_LENGTH
from wallgent.errors import DomainError, InvalidState, NotAvailable, ServiceUnavailable
from wallgent.forms import PageForm


class EmailForm(PageForm):
    """Whose e-mail address it is, where a link is for certain people."""

    email = forms.CharField(
        label="E-mail address",
        max_length=EMAIL_LENGTH,
        error_messages={"required": "Type the e-mail address this payment was sent to."},
        widget=forms.TextInput(
            attrs={"type": "email", "inputmode": "email", "autocomplete": "email"}
        ),
    )


_OTHER = "other"


class WalletForm(PageForm):
    """Where the money goes: one of the visitor's own wallets, or one named by its id."""

    own = forms.ChoiceField(label="Your wallets", required=False, widget=forms.RadioSelect)
    wallet_id = forms.CharField(
        label="Wallet id",
        required=False,
        max_length=80,
        help_text="It begins with wal_ and stands on the page of your wallet.",
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
        ),
    )

    def __init__(self, *args, wallets=(), **kwargs):
        super().__init__(*args, **kwargs)
        if not wallets:
            del self.fields["own"]
            self.fields["wallet_id"].required = True
            missing = "Type the id of the wallet that gets the money."
            self.fields["wallet_id"].error_messages["required"] = missing
            return
        named = [(w.id, f"{w.name}, {w.organization.name}") for w in wallets]
        self.fields["own"].choices = [*named, (_OTHER, "Another wallet, by its id")]
        self.fields["own"].initial = wallets[0].id

    def clean_wallet_id(self):
        text = self.cleaned_data["wallet_id"].strip()
        return fields.wallet_id(text) if text else ""

    def clean(self):
        said = super().clean()
        is_named = said.get("own") not in ("", None, _OTHER) or said.get("wallet_id")
        if not is_named and not self.errors:
            self.add_error("wallet_id", "Choose a wallet above, or type the id of one.")
        return said

    def refuse(self, error: DomainError) -> None:
        """Beside the wallet, unless it is the link that does not allow it."""
        is_about_link = (
            isinstance(error, InvalidState | NotAvailable | ServiceUnavailable)
            and "walletId" not in error.details
        )
        chosen = "own" if self.cleaned_data.get("own") not in ("", None, _OTHER) else "wallet_id"
        self.add_error(None if is_about_link else chosen, error.message)

    @property
    def chosen_id(self) -> str:
        own = self.cleaned_data.get("own")
        return own if own and own != _OTHER else self.cleaned_data["wallet_id"]


class ClaimForm(PageForm):
    """The last step: the wallet that the visitor has looked at."""

    wallet_id = forms.CharField(max_length=80, widget=forms.HiddenInput)

    def refuse(self, error: DomainError) -> None:
        self.add_error(None, error.message)
