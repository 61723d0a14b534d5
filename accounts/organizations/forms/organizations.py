"""Forms of organizations."""

from django import forms

from accounts.organizations.models import LinkDirection
from wallgent.environments import Environment
from wallgent.web.forms import PageForm


def _name() -> forms.CharField:
    return forms.CharField(
        label="Name",
        max_length=256,
        error_messages={"required": "Give the organization a name."},
        help_text="Whoever you pay, or who pays you, sees it.",
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )


class OrganizationForm(PageForm):
    """The settings that an organization may change itself."""

    name = _name()
    default_link_direction = forms.ChoiceField(
        label="New payment links",
        widget=forms.RadioSelect,
        choices=[
            (LinkDirection.RECEIVE, "Receive money: whoever opens the link pays you"),
            (LinkDirection.SEND, "Send money: whoever opens the link is paid by you"),
        ],
        help_text="For links that do not say so themselves, such as those made through the API.",
    )
    pay_requests = forms.MultipleChoiceField(
        label="Requests to pay",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[
            (Environment.SANDBOX, "In the sandbox"),
            (Environment.PRODUCTION, "In production"),
        ],
        help_text=(
            "Whoever sends you a payment link may ask one of your wallets to pay it. The request"
            " waits under Approvals, and nothing is paid unless somebody of yours approves it."
        ),
    )


class NewOrganizationForm(PageForm):
    name = _name()
