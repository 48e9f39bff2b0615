"""Lists: how a page is asked for and how it is answered."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Generic, TypeVar

from pydantic import Field

from application.edge.fields import CivilDate, Instant, Query, View
from kernel.errors import InvalidValue

T = TypeVar("T")

Source = Callable[[int, str], Awaitable[tuple[Sequence[T], str]]]
"""A list of one kind: at most so many from a token on, and the token of what follows ("" at the end)."""


class PageQuery(Query):
    """Which page of a list."""

    limit: Annotated[int, Field(description="How many at most.", ge=1, le=1000, examples=[50])] = 50
    cursor: Annotated[
        str,
        Field(
            description="Where to go on: `next_cursor` of the page before, with the same filters; empty for the first.",
            max_length=1000,
            pattern="^[A-Za-z0-9_=+/.~:-]*$",
            examples=["b2Zmc2V0"],
        ),
    ] = ""


class AsOfQuery(Query):
    """Which facts of a read: valid on a day, recorded by an instant."""

    as_of: Annotated[
        CivilDate | None, Field(description="The facts that hold on this day; today in the tenant's home zone.")
    ] = None
    known_at: Annotated[
        Instant | None, Field(description="The facts that were recorded by this instant; all where it is not given.")
    ] = None


class DatedQuery(Query):
    """Which day of a read."""

    as_of: Annotated[
        CivilDate | None, Field(description="What holds on this day; today in the tenant's home zone.")
    ] = None


class Page(View, Generic[T]):
    """A page of a list in a stable order."""

    data: Annotated[list[T], Field(description="The items.", max_length=1000)]
    next_cursor: Annotated[
        str | None,
        Field(description="`cursor` of the next page, null at the end.", max_length=1000, examples=["b2Zmc2V0"]),
    ]


async def one_after_the_other(sources: Mapping[str, Source[T]], limit: int, cursor: str) -> tuple[list[T], str | None]:
    """A page over several lists, the first one to its end, then the next; each is asked once at most.

    A source may give fewer than asked for and still go on. Raises InvalidValue for a cursor that is not of these lists.
    """
    names = list(sources)
    begun, _, token = cursor.partition(".")
    if cursor and begun not in sources:
        raise InvalidValue("this cursor belongs to another search: begin without one", field="cursor")
    first = names.index(begun) if cursor else 0
    found: list[T] = []
    for name in names[first:]:
        if len(found) == limit:
            return found, f"{name}."
        items, token = await sources[name](limit - len(found), token)
        found += items
        if token:
            return found, f"{name}.{token}"
    return found, None
