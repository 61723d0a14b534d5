"""The form of what an organization allows for its payment links."""

from django import forms

from wallgent.forms import PageForm


class LinkSettingsForm(PageForm):
    """What holds for all links of the organization."""

    converts_currencies = forms.BooleanField(
        label="Exchange USD and USDC, one for one",
        required=False,
        help_text=(
            "Links in USD can then be claimed or paid in USDC, too, and links in USDC over banks."
            " You bear it if one is worth less than the other."
        ),
    )
