"""The form for the settings of payment links."""

from django import forms

from wallgent.web.forms import PageForm


class LinkSettingsForm(PageForm):
    """The settings of all links of the organization in one environment."""

    converts_currencies = forms.BooleanField(
        label="Exchange USD and USDC 1:1",
        required=False,
        help_text=(
            "Links in USD can also be claimed or paid in USDC, and links in USDC through a bank."
            " You carry the risk if one is worth less than the other."
        ),
    )
