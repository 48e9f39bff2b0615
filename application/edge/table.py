"""Tables as CSV (RFC 4180) that spreadsheets open without running anything."""

from collections.abc import AsyncIterator, Iterable

from starlette.responses import StreamingResponse

BOM = "\ufeff"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_QUOTED = ('"', ",", "\n", "\r")


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
    if text.startswith(_FORMULA):
        text = f"'{text}"
    if any(mark in text for mark in _QUOTED):
        return '"' + text.replace('"', '""') + '"'
    return text


def csv_line(cells: Iterable[str]) -> str:
    """One line of cells that are written already."""
    return ",".join(cells) + "\r\n"
