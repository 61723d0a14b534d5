"""Rows of a file as its kind reads them: headings matched to columns, then row by row."""

import re
from dataclasses import dataclass

from wallgent.errors import ValidationError
from wallgent.imports.kinds import Kind, Problem, ReadRow

PROBLEM = "problem"  # a column of ours in files to correct: accepted in an upload, and not read
_OWN_NAME_LENGTH = 64


@dataclass(frozen=True, slots=True)
class RowDraft:
    """A row that was read: the terms of its object, or its problems."""

    number: int
    cells: list[str]
    terms: dict | None
    problems: list[Problem]


def match_columns(headings: list[str], *, kind: Kind) -> list[str]:
    """The kind's column for each heading.

    Raises ValidationError for an unknown, repeated, missing or empty heading.
    """
    columns = [_column_of(heading, kind) for heading in headings]
    unknown = [h for h, column in zip(headings, columns, strict=True) if not column]
    if "" in headings:
        raise ValidationError("A column of the first line has no name. Name it, or take it out.")
    if unknown:
        names = ", ".join(name for name in kind.columns if not name.endswith("…"))
        own = "".join(f", and {name} for your own" for name in kind.columns if name.endswith("…"))
        raise ValidationError(
            f"There is no column “{unknown[0][:80]}”. The first line names the columns:"
            f" {names}{own}."
        )
    repeated = next((column for column in columns if columns.count(column) > 1), None)
    if repeated:
        raise ValidationError(f"The column “{repeated[:80]}” is there twice.")
    for name in kind.required_columns:
        if name not in columns:
            raise ValidationError(f"The column “{name}” is missing. The first line names them.")
    return columns


def _column_of(heading: str, kind: Kind) -> str:
    text = heading.lower()
    if text == PROBLEM:
        return PROBLEM
    for name in kind.columns:
        if name.endswith("…") and text.startswith(prefix := name.removesuffix("…")):
            own = heading[len(prefix) :].strip()
            return f"{prefix}{own}" if 0 < len(own) <= _OWN_NAME_LENGTH else ""
    spelled = re.sub(r"[\s_-]", "", text)
    return next((name for name in kind.columns if name.replace("_", "") == spelled), "")


def read(number: int, cells: list[str], *, columns: list[str], read_row: ReadRow) -> RowDraft:
    """Read one row, whose cells belong to `columns`."""
    if any(cells[len(columns) :]):
        problem = ("", "This row has more cells than the heading.")
        return RowDraft(number, cells, None, [problem])
    terms, problems = read_row(dict(zip(columns, cells, strict=False)))
    return RowDraft(number, cells, terms, problems)
