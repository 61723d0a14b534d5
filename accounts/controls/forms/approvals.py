"""Forms of approvals."""

from django import forms
from django.db.models import Q, QuerySet

from accounts.controls.models import Approval
from wallgent import ids
from wallgent.web.forms import PageForm
from wallgent.web.listing import Filters

REASON_LENGTH = 1024


class ApproveForm(PageForm):
    """A yes. It asks for nothing."""


class RejectForm(PageForm):
    """A no, and why."""

    reason = forms.CharField(
        label="Reason",
        max_length=REASON_LENGTH,
        required=False,
        help_text="For your own records. Whoever asked does not see it.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class ApprovalFilters(Filters):
    """Finds approvals by state, by wallet, and by what they say."""

    status = forms.ChoiceField(
        label="Status",
        required=False,
        choices=[("", "Every status"), *((s.value, s.label) for s in Approval.Status)],
    )
    wallet = forms.ChoiceField(label="Wallet", required=False)
    q = forms.CharField(
        label="Search",
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Who, what for, or id"}),
    )

    def __init__(self, data=None, *, wallets: list):
        super().__init__(data)
        named = [(wallet.id, wallet.name) for wallet in wallets]
        self.fields["wallet"].choices = [("", "Every wallet"), *named]

    def apply(self, rows: QuerySet) -> QuerySet:
        said = self.cleaned_data
        if said["status"]:
            rows = rows.filter(status=said["status"])
        if said["wallet"]:
            rows = rows.filter(wallet=said["wallet"])
        if text := said["q"].strip():
            rows = rows.filter(_matching(text))
        return rows


def _matching(text: str) -> Q:
    if uuid := ids.parse(text, *Approval.PREFIXES):
        return Q(pk=uuid)
    asks = Q(asked_by_organization__name__icontains=text)
    asks |= Q(recipient_organization__name__icontains=text)
    return asks | Q(description__icontains=text) | Q(subject_id=text)
