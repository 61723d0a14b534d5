"""The forms of files of links: one is sent, looked at, and confirmed."""

from django import forms

from links.payment_links.models import BatchRow
from links.payment_links.services.import_files import FILE_LIMIT_BYTES
from wallgent.errors import DomainError
from wallgent.web.forms import PageForm
from wallgent.web.listing import Filters

TOO_LARGE = "This file is larger than 5 MB. Split it into several, and send one after the other."
# Why a file did not arrive, by what the server adds to the form's address.
STOPPED = {
    "too-large": TOO_LARGE,
    "busy": "Many files arrive at this moment. Send yours again.",
}


class FileForm(PageForm):
    """A CSV file."""

    file = forms.FileField(
        label="CSV file",
        help_text="At most 50,000 rows and 5 MB, in UTF-8, with commas or semicolons.",
        error_messages={
            "required": "Choose a file.",
            "missing": "Choose a file.",
            "invalid": "Choose a file.",
            "empty": "This file is empty.",
        },
        widget=forms.ClearableFileInput(
            # A script leads to the form's own words about a file that is larger, before it is sent.
            attrs={"accept": ".csv,text/csv,text/plain", "data-limit-bytes": FILE_LIMIT_BYTES}
        ),
    )

    def clean_file(self):
        file = self.cleaned_data["file"]
        if file.size > FILE_LIMIT_BYTES:
            raise forms.ValidationError(TOO_LARGE)
        return file

    def refuse(self, error: DomainError) -> None:
        self.add_error("file" if error.status == 400 else None, error.message)


class ConfirmForm(PageForm):
    """The word that the links of a file are to be made."""

    # Which earlier use of the same file the page told of.
    warned_of = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)


class RowFilters(Filters):
    """What narrows the rows of a file."""

    status = forms.ChoiceField(
        label="Rows",
        required=False,
        choices=[("", "Every row"), *((s.value, s.label) for s in BatchRow.Status)],
    )

    def apply(self, rows):
        status = self.cleaned_data["status"]
        return rows.filter(status=status) if status else rows
