"""CSV files as other programs write them: bytes read as a table, and rows written as CSV."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wallgent.errors import ValidationError

FILE_LIMIT_BYTES = 5 * 1024 * 1024
ROWS_LIMIT = 50_000
COLUMNS_LIMIT = 60

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", ""),  # UTF-32, which no spreadsheet writes
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# A spreadsheet calculates a cell that begins so, also in full-width characters.
_FORMULA = tuple("=+-@\t\r＝＋－＠")
# The same behind a character that separates cells in another locale, where a spreadsheet splits the
# file elsewhere. It matches whole runs of blanks, with or without a formula behind: searching for a
# formula from each blank anew would take minutes for a cell full of line ends.
_FORMULA_INSIDE = re.compile(r"""([;\t\r\n][\s"']*+)([=+\-@＝＋－＠]?)""")
_SAVE_AS = "In a spreadsheet, save it as “CSV UTF-8”, then choose it again."


@dataclass(frozen=True, slots=True)
class Table:
    """A heading, and the rows below it with their numbers. Empty rows are left out."""

    columns: list[str]
    rows: list[tuple[int, list[str]]]


def read(content: bytes) -> Table:
    """Read the table in a CSV file. Raises ValidationError for anything else."""
    if len(content) > FILE_LIMIT_BYTES:
        raise ValidationError("This file is larger than 5 MB. Split it into several.")
    text = _decoded(content)
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not first:
        raise ValidationError("This file is empty.")
    delimiter = ";" if first.count(";") > first.count(",") else ","
    records = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return _table(enumerate(records, start=1))
    except csv.Error as error:
        raise ValidationError(
            f"This is not a CSV file we can read: near line {records.line_num}, {error}. Check the"
            " quotation marks there."
        ) from None


def _decoded(content: bytes) -> str:
    encoding = next((name for mark, name in _BOMS if content.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in content[:4_096]:
        raise ValidationError(
            f"This file is not text, or in an encoding we cannot tell. {_SAVE_AS}"
        )
    try:
        text = content.decode(encoding) if encoding else None
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise ValidationError(f"The letters of this file are not in UTF-8. {_SAVE_AS}")
    if "\0" in text:
        raise ValidationError(f"This file holds what is not text. {_SAVE_AS}")
    return text


def _table(records: Iterator[tuple[int, list[str]]]) -> Table:
    columns, rows = None, []
    for number, record in records:
        cells = [cell.strip() for cell in record]
        if not any(cells):
            continue
        if columns is None:
            columns = _without_empty_end(cells)
            if len(columns) > COLUMNS_LIMIT:
                raise ValidationError(f"This file has more than {COLUMNS_LIMIT} columns.")
            continue
        if len(rows) == ROWS_LIMIT:
            raise ValidationError(f"This file has more than {ROWS_LIMIT:,} rows. Split it.")
        rows.append((number, cells))
    if not rows:
        raise ValidationError("There is no row below the heading.")
    return Table(columns, rows)


def _without_empty_end(cells: list[str]) -> list[str]:
    while cells and not cells[-1]:
        cells = cells[:-1]
    return cells


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet would calculate the cell instead of showing it."""
    return cell.startswith(_FORMULA)


def escaped(cell: str) -> str:
    """The cell with an apostrophe before each formula, so that spreadsheets show it as text.

    Also where a spreadsheet of another locale would split the cell.
    """
    if is_formula(cell):
        return f"'{cell[0]}{_FORMULA_INSIDE.sub(_escaped_match, cell[1:])}"
    return _FORMULA_INSIDE.sub(_escaped_match, cell)


def _escaped_match(match: re.Match) -> str:
    blanks, formula = match.groups()
    return f"{blanks}'{formula}" if formula else blanks


def to_csv(rows: Iterable[Iterable[str]]) -> str:
    """Lines of CSV in which spreadsheets find no formula."""
    lines = io.StringIO(newline="")
    csv.writer(lines).writerows([escaped(cell) for cell in row] for row in rows)
    return lines.getvalue()
