"""Tables as CSV (RFC 4180) that spreadsheets open without running anything."""

import csv
import io
from collections.abc import AsyncIterator, Iterable

from starlette.responses import StreamingResponse

BOM = "\ufeff"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class CsvResponse(StreamingResponse):
    """A table that is sent row by row.

    Invariants: UTF-8; lines end with CR LF; an answer that is broken off has no end, so that nobody takes it for whole.
    """

    media_type = "text/csv"

    def __init__(self, lines: AsyncIterator[str], file_name: str) -> None:
        """`file_name` is ASCII without quotes."""
        super().__init__(lines, headers={"Content-Disposition": f'attachment; filename="{file_name}"'})


def text_cell(text: str) -> str:
    """A cell of text; what a spreadsheet would run as a formula begins with an apostrophe."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def csv_line(cells: Iterable[str]) -> str:
    """One line, its cells quoted where they need it."""
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
