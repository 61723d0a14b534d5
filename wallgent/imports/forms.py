"""The forms of CSV files: upload, confirmation, and the filter of rows."""

from django import forms

from wallgent.errors import DomainError
from wallgent.imports.models import ImportRow
from wallgent.imports.tables import FILE_LIMIT_BYTES
from wallgent.web.forms import PageForm
from wallgent.web.listing import Filters

TOO_LARGE = "This file is larger than 5 MB. Split it into several, and send one after the other."
# Why an upload was not received, by the parameter that the server adds to the form's URL.
NOT_RECEIVED = {
    "too-large": TOO_LARGE,
    "busy": "Many files arrive at this moment. Send yours again.",
}


class FileForm(PageForm):
    """A CSV file to upload."""

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
            # A script shows this form's own error for a larger file before it is sent.
            attrs={"accept": ".csv,text/csv,text/plain", "data-limit-bytes": FILE_LIMIT_BYTES}
        ),
    )

    def clean_file(self):
        file = self.cleaned_data["file"]
        if file.size > FILE_LIMIT_BYTES:
            raise forms.ValidationError(TOO_LARGE)
        return file

    def refuse(self, error: DomainError) -> None:
        """Show a refusal: beside the file if the file is wrong, otherwise above the form."""
        self.add_error("file" if error.status == 400 else None, error.message)


class ConfirmForm(PageForm):
    """Confirms that the objects of a file are created."""

    # The earlier upload of the same file that the page warned of.
    warned_of = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)


class RowFilters(Filters):
    """Filters the rows of a file."""

    status = forms.ChoiceField(
        label="Rows",
        required=False,
        choices=[("", "Every row"), *((s.value, s.label) for s in ImportRow.Status)],
    )

    def apply(self, rows):
        status = self.cleaned_data["status"]
        return rows.filter(status=status) if status else rows
