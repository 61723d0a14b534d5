"""Forms of approvals."""

from django import forms
from django.db.models import Q, QuerySet

from accounts.controls.models import Approval
from wallgent import ids
from wallgent.web.forms import PageForm
from wallgent.web.listing import Filters

REASON_LENGTH = 1024


class ApproveForm(PageForm):
    """Confirms an approval. It adds no fields."""


class RejectForm(PageForm):
    """Rejects an approval, with an optional reason."""

    reason = forms.CharField(
        label="Reason",
        max_length=REASON_LENGTH,
        required=False,
        help_text="For your own records. Whoever asked does not see it.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class ApprovalFilters(Filters):
    """Filters approvals by status, wallet and text."""

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
        choices = [(wallet.id, wallet.name) for wallet in wallets]
        self.fields["wallet"].choices = [("", "Every wallet"), *choices]

    def apply(self, rows: QuerySet) -> QuerySet:
        data = self.cleaned_data
        if data["status"]:
            rows = rows.filter(status=data["status"])
        if data["wallet"]:
            rows = rows.filter(wallet=data["wallet"])
        if text := data["q"].strip():
            rows = rows.filter(_matching(text))
        return rows


def _matching(text: str) -> Q:
    """The condition for a search: an approval id, or part of a name or of the description."""
    if uuid := ids.parse(text, *Approval.PREFIXES):
        return Q(pk=uuid)
    names = Q(asked_by_organization__name__icontains=text)
    names |= Q(recipient_organization__name__icontains=text)
    return names | Q(description__icontains=text) | Q(subject_id=text)
