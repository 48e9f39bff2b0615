"""The feeds of several data services read as one: nothing lost, nothing twice, an aggregate's events in order."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from muster.event.v1 import event_feed_pb2 as wire

from application.edge.refusal import Overloaded
from application.events import feeds as module
from application.events.cursor import Cursor
from application.events.feeds import CursorExpired, Feeds, FeedWatch, merged
from chassis.bus.consumer import feed_principal
from chassis.bus.in_process import InProcessFastPath
from chassis.principal import Principal
from chassis.rpc.channels import Client
from kernel.ids import TenantId
from tests.chassis.bus.publisher import TENANT, Publisher, a_publisher, served

OTHER = TenantId(UUID(int=2))
AMY = Principal(TENANT, "amy", frozenset({"owner"}))
NAMES = ("attendance", "organization", "payroll")


# ---------------------------------------------------------------------------------------------- pages, by property

History = Mapping[
    str, Sequence[tuple[int, bool]]
]  # per service: when by the writer's clock, whether it is the reader's


def listed(history: History, name: str, after: int, limit: int) -> wire.ListResponse:
    """What a feed answers: those of the reader's company only, positions from 1."""
    mine = [
        wire.Entry(position=position, occurred_time=Timestamp(seconds=at), aggregate_id=name)
        for position, (at, of_reader) in enumerate(history[name], 1)
        if of_reader and position > after
    ]
    head = len(history[name])
    cut_off = len(mine) >= limit
    return wire.ListResponse(
        entries=mine[:limit], next_position=mine[limit - 1].position if cut_off else head, head_position=head
    )


def walk(history: History, limit: int) -> list[list[tuple[str, int]]]:
    cursor, pages = Cursor(), []
    while True:
        page = merged({name: listed(history, name, cursor.at(name), limit) for name in history}, cursor, limit)
        pages.append([(name, entry.position) for name, entry in page.entries])
        cursor = Cursor.parse(str(page.cursor))
        if not page.has_more:
            return pages


histories = st.fixed_dictionaries(
    {name: st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=25) for name in NAMES}
)


@given(histories, st.integers(1, 9))
def test_following_the_cursor_gives_each_event_once_and_in_order(history: History, limit: int) -> None:
    pages = walk(history, limit)

    seen = [event for page in pages for event in page]
    for name in NAMES:
        wanted = [position for position, (_, of_reader) in enumerate(history[name], 1) if of_reader]
        assert [position for service, position in seen if service == name] == wanted
    assert all(len(page) <= limit for page in pages)
    assert all(pages[:-1]), "a page that says there is more holds something"


@given(histories)
def test_events_of_different_services_stand_by_time_where_clocks_agree(history: History) -> None:
    agreed = {name: sorted(events) for name, events in history.items()}

    pages = walk(agreed, 4)

    times = [agreed[name][position - 1][0] for page in pages for name, position in page]
    assert times == sorted(times)


def test_a_cursor_that_is_a_time_would_lose_events() -> None:
    late_writer: History = {"payroll": [(10, True), (12, True), (11, True)]}  # one replica's clock is behind

    def by_time(limit: int) -> list[int]:
        after, seen = 0, list[int]()
        while found := [at for at, _ in sorted(late_writer["payroll"][: len(seen) + limit]) if at > after]:
            seen += found[:limit]
            after = seen[-1]
        return seen

    assert len([event for page in walk(late_writer, 2) for event in page]) == 3
    assert len(by_time(2)) < 3


# ---------------------------------------------------------------------------------------------- over the wire


@dataclass
class Two:
    """Two data services with their clients."""

    publishers: dict[str, Publisher]
    clients: dict[str, Client]


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    async with AsyncExitStack() as stack:
        made = Two({}, {})
        for name in ("organization", "payroll"):
            url = f"sqlite:///{tmp_path}/{name}.sqlite3"
            publisher = await stack.enter_async_context(a_publisher(url, InProcessFastPath()))
            made.publishers[name] = publisher
            made.clients[name] = await stack.enter_async_context(served(publisher, tmp_path / name))
        yield made


async def published(feeds: Feeds, count: int) -> None:
    """Until the sequencers have given so many positions."""
    for _ in range(1000):
        if sum((await feeds.heads(AMY)).positions.values()) >= count:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the events got no positions")


async def test_a_company_reads_its_own_and_a_process_reads_all(two: Two) -> None:
    feeds = Feeds(two.clients)
    for version in range(1, 8):
        tenant = OTHER if version % 3 == 0 else TENANT
        await two.publishers["organization"].commit(1, version, tenant=tenant)
        await two.publishers["payroll"].commit(2, version, tenant=tenant)
    await published(feeds, 14)

    mine, everything = list[wire.Entry](), list[wire.Entry]()
    for principal, seen in ((AMY, mine), (feed_principal("test"), everything)):
        cursor, more = Cursor(), True
        while more:
            page = await feeds.page(principal, cursor, 3)
            seen += [entry for _, entry in page.entries]
            cursor, more = page.cursor, page.has_more
        assert str(cursor) == str(Cursor({"organization": 7, "payroll": 7}))

    assert [len(mine), len(everything)] == [10, 14]
    assert {entry.tenant_id for entry in mine} == {str(TENANT)}


async def test_a_cursor_ahead_of_a_feed_that_was_set_back_is_refused(two: Two) -> None:
    with pytest.raises(CursorExpired):
        await Feeds(two.clients).page(AMY, Cursor({"payroll": 1}), 10)


async def test_a_cursor_older_than_what_is_kept_is_refused() -> None:
    gone = wire.ListResponse(oldest_position=101, head_position=200)

    for after in (1, 99):
        with pytest.raises(CursorExpired):
            module._refuse_what_is_gone(after, gone)
    for after in (0, 100, 200):
        module._refuse_what_is_gone(after, gone)


async def test_who_waits_is_woken_by_an_event_of_the_company_only(two: Two) -> None:
    feeds, watch = Feeds(two.clients), FeedWatch(two.clients)
    heads = (await feeds.page(AMY, Cursor(), 10)).heads
    waiting = asyncio.create_task(watch.news(TENANT, heads, 20))
    others = asyncio.create_task(watch.news(OTHER, heads, 20))
    await asyncio.sleep(0.1)

    await two.publishers["payroll"].commit(1, 1, tenant=TENANT)
    async with asyncio.timeout(10):
        await waiting
    still_waiting = not others.done()
    others.cancel()
    await asyncio.wait({others})

    assert still_waiting
    assert watch._followers == {}


async def test_what_was_published_before_the_wait_began_is_not_waited_for(two: Two) -> None:
    feeds, watch = Feeds(two.clients), FeedWatch(two.clients)
    heads = (await feeds.page(AMY, Cursor(), 10)).heads
    held = asyncio.create_task(watch.news(OTHER, heads, 20))  # the watch runs already
    await two.publishers["organization"].commit(1, 1, tenant=TENANT)
    await published(feeds, 1)
    await asyncio.sleep(0.3)

    async with asyncio.timeout(10):
        await watch.news(TENANT, heads, 20)

    held.cancel()
    await asyncio.wait({held})


async def test_more_than_a_company_may_have_waiting_are_turned_away(two: Two) -> None:
    feeds, watch = Feeds(two.clients), FeedWatch(two.clients)
    heads = (await feeds.page(AMY, Cursor(), 10)).heads
    waiting = [asyncio.create_task(watch.news(TENANT, heads, 20)) for _ in range(module.MOST_OF_A_TENANT)]
    await asyncio.sleep(0)

    with pytest.raises(Overloaded):
        await watch.news(TENANT, heads, 20)

    for one in waiting:
        one.cancel()
    await asyncio.wait(waiting)
