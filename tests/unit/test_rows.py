"""Rows as CSV: what a spreadsheet would take for a formula, and what stays a number."""

from __future__ import annotations

import csv
from decimal import Decimal

import pytest

from tasks.lake.answers import csv_lines, plain

NUMBERS = [-1.5, Decimal("-1.5"), -(2**63), Decimal("-170141183460469231731687303715884105728"), -1e300, 0, True, None]


def cells(*values, formulas=False):
    _, line = csv_lines(["a"] * len(values), [values], formulas=formulas)
    return next(csv.reader([line]))


def test_numbers_stay_numbers_however_they_are_held():
    expected = [
        "-1.5",
        "-1.5",
        "-9223372036854775808",
        "-170141183460469231731687303715884105728",
        "-1e+300",
        "0",
        "True",
        "",
    ]
    assert cells(*NUMBERS) == expected
    assert cells(*map(plain, NUMBERS)) == expected  # the web app has made them plain before


@pytest.mark.parametrize("text", ["=1+1", "+1", "-x", "-1+2", "-1.5|cmd", "-", "@SUM(1)", "\t=1", "\n=1", "-١"])
def test_formulas_are_made_text(text):
    assert cells(text) == [f"'{text}"]
    assert cells(text, formulas=True) == [text]


def test_names_of_columns_are_no_formulas_either():
    assert list(csv_lines(["=cmd()", "b"], [], formulas=False)) == ["'=cmd(),b\n"]
    assert list(csv_lines(["=cmd()", "b"], [])) == ["=cmd(),b\n"]


def test_lines_are_whole_however_a_row_is_written():
    rows = [["a,b", 'say "x"'], ["two\nlines", [1, "é"]], [None, {"k": 1}]]
    lines = list(csv_lines(["x", "y"], rows))
    assert len(lines) == 4
    assert list(csv.reader("".join(lines).splitlines(keepends=True)))[1:] == [
        ["a,b", 'say "x"'], ["two\nlines", '[1, "é"]'], ["", '{"k": 1}'],
    ]  # fmt: skip
