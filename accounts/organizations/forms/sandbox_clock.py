"""The form of the sandbox clock."""

from django import forms

from wallgent.web.forms import PageForm


class AdvanceForm(PageForm):
    """By how much the sandbox clock is advanced."""

    hours = forms.ChoiceField(
        label="Advance by",
        widget=forms.RadioSelect,
        choices=[("1", "1 hour"), ("24", "1 day"), ("168", "7 days"), ("720", "30 days")],
        initial="24",
    )
