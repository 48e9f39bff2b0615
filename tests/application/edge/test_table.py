"""Tables that people open in a spreadsheet: nothing in them runs, and every text comes back as it was."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.edge.table import csv_line, text_cell


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_text_that_a_spreadsheet_would_run_begins_with_an_apostrophe(text: str) -> None:
    cell = next(csv.reader(io.StringIO(csv_line([text_cell(text)]), newline="")))[0]

    assert cell == f"'{text}"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=2, max_size=5))
def test_every_other_text_comes_back_as_it_was(texts: list[str]) -> None:
    line = csv_line([text_cell(text) for text in texts])

    read = list(csv.reader(io.StringIO(line, newline="")))

    assert len(read) == 1
    for text, cell in zip(texts, read[0], strict=True):
        assert cell in (text, f"'{text}")
        assert not cell.startswith(("=", "+", "-", "@"))
