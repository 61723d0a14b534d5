"""CSV files in every spelling, and CSV without formulas."""

import csv
import io
import re

import pytest

from wallgent.imports import tables


class TestRead:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    @pytest.mark.parametrize("line", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("delimiter", [",", ";"])
    def test_formats_of_spreadsheets_are_read(self, read, encoding, line, delimiter):
        rows = [["wallet", "amount", "description"], ["Research agent", "5", '"Grüße, „שלום“; 🦉"']]
        text = line.join(delimiter.join(row) for row in rows) + line + line

        (row,) = read(text.encode(encoding))

        assert row.terms["description"] == "Grüße, „שלום“; 🦉"

    def test_rows_are_numbered_as_in_a_spreadsheet(self, read):
        text = 'wallet,amount,description\nResearch agent,5,"two\nlines"\n,,\nResearch agent,6,\n'

        assert [row.number for row in read(text)] == [2, 4]

    def test_more_cells_than_headings_are_a_problem(self, read):
        (row,) = read("wallet,amount\nResearch agent,5,\nResearch agent,5,6\n")[1:]

        assert "more cells" in row.problems[0][1]


class TestToCsv:
    @pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "＝1", "\t=1", "\r=1"])
    def test_a_formula_is_escaped(self, cell):
        ((read,),) = csv.reader(io.StringIO(tables.to_csv([[cell]]), newline=""))

        assert read == f"'{cell}"

    @pytest.mark.parametrize("cell", ["x;=1+1", "x\n=1+1;", 'x;"=1+1"', "x\t@SUM(A1)", "x; +1"])
    def test_a_formula_is_escaped_where_another_locale_splits_cells(self, cell):
        line = tables.to_csv([["a", cell]])

        assert not re.search(r"""[;\t\r\n][\s"]*[=+@-]""", line)
