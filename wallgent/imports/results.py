"""A file as CSV again, with the result of each row."""

from collections.abc import Iterator

from django.db.models import QuerySet

from wallgent.actors import Actor
from wallgent.imports import kinds, rows, tables
from wallgent.imports.models import ImportFile, ImportRow

ROWS_AT_A_TIME = 2_000  # read with one query

_Row = ImportRow.Status


def of(file: ImportFile, *, left_out: bool) -> QuerySet[ImportRow]:
    """The rows of a CSV file to download."""
    if not left_out:
        return file.rows.all()
    # Rows that may still be created must not be uploaded again meanwhile.
    is_creating = file.status == ImportFile.Status.CREATING
    return file.rows.exclude(
        status__in=[_Row.CREATED, _Row.READY] if is_creating else [_Row.CREATED]
    )


def csv_parts(file: ImportFile, *, actor: Actor, left_out: bool = False) -> Iterator[str]:
    """The whole file as CSV in parts; see `csv_part`."""
    last = 0
    while part := csv_part(file, after=last, actor=actor, left_out=left_out):
        text, last = part
        yield text


def csv_part(
    file: ImportFile, *, after: int, actor: Actor, left_out: bool = False
) -> tuple[str, int] | None:
    """A part of the file as CSV and the number of its last row, or None after the last part.

    The first part, after 0, is the heading, and is row 1. Results are shown as far as `actor` may
    know them. With `left_out`, only the rows that created no object, to be corrected and uploaded
    again.
    """
    kind = kinds.of(file)
    added = ["row", "status", "problem", *kind.result_columns]
    if left_out:
        added = [rows.PROBLEM]
    columns = [
        index
        for index, column in enumerate(file.columns)
        if not left_out or column.lower() != rows.PROBLEM  # from the last download
    ]
    if not after:
        # The byte order mark lets spreadsheets recognize UTF-8.
        heading = [*(file.columns[index] for index in columns), *added]
        return "\ufeff" + tables.to_csv([heading]), 1
    shown = ("file", "number", "status", "cells", "problems", "object_id")
    remaining = of(file, left_out=left_out).only(*shown).order_by("number")
    found = list(remaining.filter(number__gt=after)[:ROWS_AT_A_TIME])
    if not found:
        return None
    created = [row.object_id for row in found if row.object_id]
    known = kind.results(created, actor=actor) if created else {}
    none = [""] * len(kind.result_columns)
    text = tables.to_csv(
        _left_out_line(row, columns)
        if left_out
        else _line(row, columns, known.get(row.object_id, none))
        for row in found
    )
    return text, found[-1].number


def _line(row: ImportRow, columns: list[int], results: list[str]) -> list[str]:
    return [
        *_cells(row, columns),
        *(str(row.number), row.get_status_display(), _problems(row)),
        *results,
    ]


def _left_out_line(row: ImportRow, columns: list[int]) -> list[str]:
    # Only what is to be corrected: reasons of refusals would make a large file too large to upload.
    return [*_cells(row, columns), _problems(row) if row.status == _Row.WRONG else ""]


def _cells(row: ImportRow, columns: list[int]) -> list[str]:
    return [row.cells[index] if index < len(row.cells) else "" for index in columns]


def _problems(row: ImportRow) -> str:
    return " ".join(f"{column}: {what}" if column else what for column, what in row.problems)
