"""Lists: how a page is asked for and how it is answered."""

from typing import Annotated, Generic, TypeVar

from pydantic import Field

from application.edge.fields import CivilDate, Instant, Query, View

T = TypeVar("T")


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
