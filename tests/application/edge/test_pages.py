"""One page over several lists: nothing is left out or told twice, whatever the lists give at a time."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.edge.pages import Source, one_after_the_other
from kernel.errors import InvalidValue


def a_list(items: Sequence[int], hidden: int = 0) -> Source[int]:
    """A list whose token is the place to go on; multiples of `hidden` are left out of its pages."""

    async def page(limit: int, token: str) -> tuple[list[int], str]:
        start = int(token or 0)
        end = start + limit
        shown = [item for item in items[start:end] if not hidden or item % hidden]
        return shown, str(end) if end < len(items) else ""

    return page


def walk(sources: dict[str, Source[int]], limit: int) -> tuple[list[int], int]:
    """Everything page by page, and the longest page."""
    found: list[int] = []
    longest, cursor = 0, ""
    for _ in range(200):
        page, then = asyncio.run(one_after_the_other(sources, limit, cursor))
        found += page
        longest = max(longest, len(page))
        if then is None:
            return found, longest
        cursor = then
    raise AssertionError("the pages have no end")


@given(st.lists(st.integers(0, 9), max_size=4), st.integers(1, 7), st.sampled_from([0, 2, 3]))
def test_all_pages_together_are_all_lists(sizes: list[int], limit: int, hidden: int) -> None:
    numbers = [list(range(1, size + 1)) for size in sizes]
    sources = {f"L{index}": a_list(items, hidden) for index, items in enumerate(numbers)}

    found, longest = walk(sources, limit)

    assert found == [item for items in numbers for item in items if not hidden or item % hidden]
    assert longest <= limit


async def test_a_cursor_of_other_lists_is_refused() -> None:
    with pytest.raises(InvalidValue):
        await one_after_the_other({"MINE": a_list([1])}, 10, "THEIRS.3")
