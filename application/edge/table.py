"""Tables as CSV (RFC 4180) that spreadsheets open without running anything."""

import csv
import io
from collections.abc import AsyncIterator, Iterable

from starlette.responses import StreamingResponse

from kernel.money import Money

BOM = "\ufeff"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class TableBroken(Exception):
    """The rows changed while they were sent, or took too long or were too many: what was sent is not whole."""


class CsvResponse(StreamingResponse):
    """A table that is sent row by row.

    Invariants: UTF-8; lines end with CR LF; an answer that is broken off has no end, so that nobody takes it for whole.
    """

    media_type = "text/csv"

    def __init__(self, lines: AsyncIterator[str], file_name: str, *, bom: bool) -> None:
        """`file_name` is ASCII without quotes; `bom` for spreadsheets that misread a file without it."""
        headers = {"Content-Disposition": f'attachment; filename="{file_name}"'}
        super().__init__(_marked(lines) if bom else lines, headers=headers)


async def _marked(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    yield BOM
    async for line in lines:
        yield line


def text_cell(text: str) -> str:
    """A cell of text; what a spreadsheet would run as a formula begins with an apostrophe."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def amount_cell(minor: int, currency: str) -> str:
    """A cell of money: the amount of so many minor units."""
    return str(Money(minor, currency).amount)


def csv_line(cells: Iterable[str]) -> str:
    """One line, its cells quoted where they need it."""
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
