"""The feed: positions without gaps, order per aggregate, leases, parked events and retention."""

import asyncio
import contextlib
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from muster.event.v1 import event_feed_pb2 as feed_pb2

from chassis.bus.consumer import feed_principal
from chassis.bus.in_process import InProcessFastPath
from chassis.database import Unavailable
from chassis.feed import AheadOfFeed, EventNotParked, FeedNeedsProcess, LeaseLost, Sequencer, purge
from chassis.principal import Call, Principal, serving
from chassis.tables import audit, consumer, lock_row, outbox
from kernel.ids import TenantId
from tests.chassis.bus.publisher import SCOPE, TENANT, Publisher, a_publisher

ROOT = Path(__file__).parents[2]
OTHER = TenantId(UUID(int=2))


@pytest.fixture(params=["sqlite", "mariadb"])
async def publisher(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Publisher]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/probe.sqlite3"
    else:
        url = request.getfixturevalue("mariadb").create_database("feed")
    async with a_publisher(url, InProcessFastPath()) as made:
        yield made


def calling(principal: Principal | None = None, request_id: UUID | None = None) -> Any:
    deadline = asyncio.get_running_loop().time() + 10
    fingerprint = None if request_id is None else bytes(32)
    return serving(Call(principal or feed_principal("pay"), "test", request_id, fingerprint, deadline))


async def read(publisher: Publisher, worker: str = "w1", name: str = "pay.run", limit: int = 0) -> Any:
    with calling():
        return await publisher.feed.Read(feed_pb2.ReadRequest(consumer=name, worker_id=worker, limit=limit), None)


async def ack(publisher: Publisher, position: int, worker: str = "w1") -> int:
    with calling():
        request = feed_pb2.AckRequest(consumer="pay.run", worker_id=worker, position=position)
        answer = await publisher.feed.Ack(request, None)
        return answer.acked_position


async def test_positions_have_no_gap_and_keep_the_order_of_versions_with_many_sequencers(publisher: Publisher) -> None:
    sequencers = [Sequencer(publisher.database, "probe", publisher.fast_path) for _ in range(3)]
    written = 0

    async def write(aggregate: int) -> None:
        nonlocal written
        for version in range(1, 11):
            skewed = datetime.now(UTC) + timedelta(seconds=random.uniform(-900, 900))  # each replica has its own clock
            await publisher.commit(aggregate, version, "first", "second", at=skewed)
            written += 2

    async def sequence(sequencer: Sequencer) -> None:
        done = False
        while not done:
            last = written >= 160
            with contextlib.suppress(Unavailable):  # the first of all race for the first row; who lost comes again
                done = not await sequencer.sequence() and last
            await asyncio.sleep(0.001)

    await asyncio.gather(*(write(aggregate) for aggregate in range(1, 9)), *(sequence(one) for one in sequencers))

    rows = await publisher.rows()
    assert [row["position"] for row in rows] == list(range(1, 161))
    for aggregate in range(1, 9):
        mine = [(r["aggregate_version"], r["ordinal"]) for r in rows if r["aggregate_id"] == UUID(int=aggregate)]
        assert mine == [(version, ordinal) for version in range(1, 11) for ordinal in (0, 1)]


async def test_a_backlog_larger_than_a_batch_keeps_the_order_of_versions(publisher: Publisher) -> None:
    for version in range(1, 22):
        await publisher.commit(version % 3, version, *(["x"] * 30))

    while await publisher.sequencer.sequence():
        pass

    rows = await publisher.rows()
    assert [row["position"] for row in rows] == list(range(1, 631))
    for aggregate in range(3):
        versions = [row["aggregate_version"] for row in rows if row["aggregate_id"] == UUID(int=aggregate)]
        assert versions == sorted(versions)


async def test_a_transaction_that_is_rolled_back_publishes_nothing(publisher: Publisher) -> None:
    await publisher.commit(1, 1)

    async def fail() -> None:
        async with publisher.database.write(TENANT) as tx:
            values = {"event_id": uuid4(), "aggregate_type": "thing", "aggregate_id": UUID(int=1)}
            more = {"aggregate_version": 2, "ordinal": 0, "type": "x", "occurred_time": datetime.now(UTC)}
            await tx.insert(outbox, {**values, **more, "payload": b"", "position": None})
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await fail()
    await publisher.sequencer.sequence()

    assert [row["aggregate_version"] for row in await publisher.rows()] == [1]


async def test_a_reader_starts_at_the_beginning_and_goes_on_from_its_acknowledgement(publisher: Publisher) -> None:
    for version in range(1, 6):
        await publisher.commit(1, version, f"text {version}")
    await publisher.sequencer.sequence()

    first = await read(publisher, limit=3)
    await ack(publisher, 2)
    second = await read(publisher)

    assert [entry.position for entry in first.entries] == [1, 2, 3]
    assert (first.head_position, first.acked_position) == (5, 0)
    assert [entry.position for entry in second.entries] == [3, 4, 5]
    entry = second.entries[0]
    assert (entry.type, entry.aggregate_type, entry.aggregate_version) == ("probe.v1.DoResponse", "thing", 3)
    assert (entry.tenant_id, entry.aggregate_id) == (str(TENANT), str(UUID(int=1)))


async def test_an_acknowledgement_never_goes_back_nor_ahead(publisher: Publisher) -> None:
    await publisher.commit(1, 1, "a", "b", "c")
    await publisher.sequencer.sequence()
    await read(publisher)

    assert await ack(publisher, 3) == 3
    assert await ack(publisher, 1) == 3
    with pytest.raises(AheadOfFeed):
        await ack(publisher, 4)


async def test_one_worker_reads_at_a_time(publisher: Publisher) -> None:
    await publisher.commit()
    await publisher.sequencer.sequence()
    await read(publisher, "w1")

    other = await read(publisher, "w2")

    assert (other.leased_elsewhere, list(other.entries), other.head_position) == (True, [], 1)
    with pytest.raises(LeaseLost):
        await ack(publisher, 1, "w2")


async def test_of_two_workers_that_come_at_once_one_reads(publisher: Publisher) -> None:
    answers = await asyncio.gather(*(read(publisher, f"w{number}") for number in range(8)))

    assert [answer.leased_elsewhere for answer in answers].count(False) == 1


async def test_a_lease_that_ran_out_is_taken_over_and_its_holder_finds_out(publisher: Publisher) -> None:
    await publisher.commit()
    await publisher.sequencer.sequence()
    await read(publisher, "w1")
    async with publisher.database.system(SCOPE) as tx:
        past = datetime.now(UTC) - timedelta(seconds=1)
        await tx.execute(sa.update(consumer).values(lease_until=past))

    taken = await read(publisher, "w2")

    assert not taken.leased_elsewhere
    with pytest.raises(LeaseLost):
        await ack(publisher, 1, "w1")
    assert (await read(publisher, "w1")).leased_elsewhere


async def test_a_released_lease_is_free_at_once(publisher: Publisher) -> None:
    await read(publisher, "w1")
    with calling():
        await publisher.feed.Release(feed_pb2.ReleaseRequest(consumer="pay.run", worker_id="w2"), None)
        assert (await read(publisher, "w2")).leased_elsewhere
        await publisher.feed.Release(feed_pb2.ReleaseRequest(consumer="pay.run", worker_id="w1"), None)

    assert not (await read(publisher, "w2")).leased_elsewhere


async def test_a_person_cannot_read_the_feed_of_all_tenants(publisher: Publisher) -> None:
    amy = Principal(TENANT, "amy", frozenset({"owner"}))

    calls: list[tuple[Any, Any]] = [
        (publisher.feed.Read, feed_pb2.ReadRequest(consumer="x", worker_id="w")),
        (publisher.feed.Ack, feed_pb2.AckRequest(consumer="x", worker_id="w", position=1)),
        (publisher.feed.Park, feed_pb2.ParkRequest(consumer="x", event_id=str(uuid4()), position=1)),
        (publisher.feed.Resolve, feed_pb2.ResolveRequest(consumer="x", event_id=str(uuid4()))),
        (publisher.feed.Release, feed_pb2.ReleaseRequest(consumer="x", worker_id="w")),
    ]
    for method, request in calls:
        with calling(amy), pytest.raises(FeedNeedsProcess):
            await method(request, None)


async def park(publisher: Publisher, entry: Any, reason: str = "broken", attempts: int = 5) -> None:
    request = feed_pb2.ParkRequest(
        consumer="pay.run", event_id=entry.event_id, position=entry.position, reason=reason, attempts=attempts
    )
    with calling():
        await publisher.feed.Park(request, None)


async def parked_events(publisher: Publisher, principal: Principal | None = None, **fields: Any) -> Any:
    with calling(principal):
        return await publisher.feed.ListParked(feed_pb2.ListParkedRequest(**fields), None)


async def test_a_parked_event_is_listed_replayed_and_resolved(publisher: Publisher) -> None:
    await publisher.commit(1, 1, "a", "b", "c")
    await publisher.sequencer.sequence()
    entries = (await read(publisher)).entries
    await park(publisher, entries[1], "timesheet is locked", 1)
    await ack(publisher, 3)
    listed = (await parked_events(publisher)).parked_events

    with calling():
        await publisher.feed.Replay(feed_pb2.ReplayRequest(consumer="pay.run", event_id=entries[1].event_id), None)
    handed_out = (await read(publisher)).entries
    again = (await read(publisher)).entries
    with calling():
        await publisher.feed.Resolve(feed_pb2.ResolveRequest(consumer="pay.run", event_id=entries[1].event_id), None)

    assert [(one.reason, one.attempts, one.entry) for one in listed] == [("timesheet is locked", 1, entries[1])]
    assert list(handed_out) == list(again) == [entries[1]]
    assert list((await read(publisher)).entries) == []
    assert list((await parked_events(publisher)).parked_events) == []


async def test_a_replay_comes_before_newer_entries_and_may_be_parked_anew(publisher: Publisher) -> None:
    await publisher.commit(1, 1, "a", "b")
    await publisher.sequencer.sequence()
    first = (await read(publisher)).entries[0]
    await park(publisher, first)
    await ack(publisher, 1)
    with calling():
        await publisher.feed.Replay(feed_pb2.ReplayRequest(consumer="pay.run", event_id=first.event_id), None)

    assert [entry.position for entry in (await read(publisher)).entries] == [1, 2]
    await park(publisher, first, "still broken", 6)
    assert [entry.position for entry in (await read(publisher)).entries] == [2]
    assert [one.reason for one in (await parked_events(publisher)).parked_events] == ["still broken"]


async def test_parked_events_are_paged_and_shown_to_their_tenant_only(publisher: Publisher) -> None:
    await publisher.commit(1, 1, *["mine"] * 5)
    await publisher.commit(2, 1, *["theirs"] * 2, tenant=OTHER)
    await publisher.sequencer.sequence()
    for entry in (await read(publisher)).entries:
        await park(publisher, entry)
    amy = Principal(TENANT, "amy", frozenset({"owner"}))

    seen, token = [], ""
    while True:
        page = await parked_events(publisher, amy, page_size=2, page_token=token, consumer="pay.run")
        seen += [one.entry.position for one in page.parked_events]
        token = page.next_page_token
        if not token:
            break

    theirs = [one.entry for one in (await parked_events(publisher)).parked_events if one.entry.tenant_id == str(OTHER)]
    assert len(seen) == len(set(seen)) == 5
    assert len(theirs) == 2
    with calling(amy, uuid4()), pytest.raises(EventNotParked):
        await publisher.feed.Replay(feed_pb2.ReplayRequest(consumer="pay.run", event_id=theirs[0].event_id), None)


async def test_a_replay_that_a_tenant_asks_for_is_done_once_and_noted(publisher: Publisher) -> None:
    await publisher.commit(1, 1)
    await publisher.sequencer.sequence()
    entry = (await read(publisher)).entries[0]
    await park(publisher, entry)
    amy, request_id = Principal(TENANT, "amy", frozenset({"owner"})), uuid4()
    request = feed_pb2.ReplayRequest(consumer="pay.run", event_id=entry.event_id)

    with calling(amy, request_id):
        first = await publisher.feed.Replay(request, None)
    with calling():
        await publisher.feed.Resolve(feed_pb2.ResolveRequest(consumer="pay.run", event_id=entry.event_id), None)
    with calling(amy, request_id):
        again = await publisher.feed.Replay(request, None)
    with calling(amy, uuid4()), pytest.raises(EventNotParked):
        await publisher.feed.Replay(request, None)

    async with publisher.database.system_read(SCOPE) as tx:
        [noted] = await tx.rows(sa.select(audit))
    assert first == again
    assert (noted["actor"], noted["subject"], noted["reason"]) == (
        "amy", f"event/{entry.event_id}", "replay for pay.run",
    )  # fmt: skip


async def test_old_events_go_once_every_live_consumer_has_them(publisher: Publisher) -> None:
    now = datetime.now(UTC)
    for version in range(1, 5):
        await publisher.commit(1, version, at=now - timedelta(days=31))
    await publisher.commit(1, 5)
    await publisher.sequencer.sequence()
    entries = (await read(publisher)).entries
    await park(publisher, entries[0])

    await ack(publisher, 3)
    await purge(publisher.database, now)
    left = [row["position"] for row in await publisher.rows()]
    await ack(publisher, 5)
    await purge(publisher.database, now)

    assert left == [1, 4, 5]  # one is parked, one is not acknowledged, one is young
    assert [row["position"] for row in await publisher.rows()] == [1, 5]


async def test_positions_go_on_after_a_purge(publisher: Publisher) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=31)
    await publisher.commit(1, 1, at=long_ago)
    await publisher.sequencer.sequence()
    await purge(publisher.database, datetime.now(UTC))
    await publisher.commit(1, 2)
    await publisher.sequencer.sequence()

    assert [entry.position for entry in (await read(publisher)).entries] == [2]


PROGRAM = """
import asyncio, os, sys
from datetime import UTC, datetime
from uuid import UUID
from chassis.clock import SystemClock
from chassis.database import Database
from chassis.outbox import PendingOutbox
from chassis.principal import Call, Principal, serving
from chassis.tables import context_metadata, lock_row
from chassis.unit_of_work import Commands, UnitOfWork
from tests.chassis.bus.publisher import TENANT
from tests.chassis.rpc.probe import messages

url, crash, first = sys.argv[1], sys.argv[2], int(sys.argv[3])

async def naive(database, number):
    # The planted bug: state first, event in a transaction of its own.
    async with database.write(TENANT) as tx:
        await tx.insert(lock_row, {"name": f"state {number}"})
    at("naive", number)
    pending = PendingOutbox()
    pending.add("thing", UUID(int=number), 1, [messages.DoResponse(text=str(number))])
    async with database.write(TENANT) as tx:
        await pending.write(tx, lambda event: event, lambda: UUID(int=number), datetime.now(UTC))

def at(point, number):
    if crash == point and number == first + 2:
        os._exit(9)

async def main():
    database = Database(url, context_metadata())
    current = [first]

    def publish(event):
        at("between state and outbox", current[0])
        return event

    commands = Commands(database, UnitOfWork, publish, SystemClock(), lambda: at("after the commit", current[0]))
    for number in range(first, first + 5):
        current[0] = number
        if crash == "naive":
            await naive(database, number)
            continue

        async def handler(uow):
            await uow.tx.insert(lock_row, {"name": f"state {number}"})
            uow.outbox.add("thing", UUID(int=number), 1, [messages.DoResponse(text=str(number))])
            at("before the outbox", number)

        principal = Principal(TENANT, "amy", frozenset())
        call = Call(principal, "x", UUID(int=number), b"f" * 32, asyncio.get_running_loop().time() + 10)
        with serving(call):
            await commands.run(handler, lambda _: messages.DoResponse())
    os._exit(0)

asyncio.run(main())
"""
POINTS = {"before the outbox": 2, "between state and outbox": 2, "after the commit": 3}


async def crash(publisher: Publisher, point: str, first: int) -> None:
    """Five commands in a process that dies at that point of the third."""
    url = publisher.database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", PROGRAM, url, point, str(first)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'gen'}"}
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 9, done.stderr


async def states_and_events(publisher: Publisher) -> tuple[set[int], set[int]]:
    """The numbers whose state is there, and those that the feed gives."""
    while await publisher.sequencer.sequence():
        pass
    async with publisher.database.system_read(SCOPE) as tx:
        states = await tx.rows(sa.select(lock_row.c.name))
    return {int(row["name"].removeprefix("state ")) for row in states}, {
        UUID(entry.aggregate_id).int for entry in (await read(publisher)).entries
    }


@pytest.mark.second_process
async def test_a_crash_between_state_and_outbox_loses_neither(publisher: Publisher) -> None:
    expected: set[int] = set()
    for number, (point, survived) in enumerate(POINTS.items()):
        first = 100 * (number + 1)
        await crash(publisher, point, first)
        expected |= set(range(first, first + survived))

    assert await states_and_events(publisher) == (expected, expected)


@pytest.mark.second_process
async def test_two_transactions_for_state_and_event_would_lose_the_event(publisher: Publisher) -> None:
    await crash(publisher, "naive", 100)

    assert await states_and_events(publisher) == ({100, 101, 102}, {100, 101})


# ---------------------------------------------------------------------------------------------- reading without a lease

AMY = Principal(TENANT, "amy", frozenset({"owner"}))
BOB = Principal(OTHER, "bob", frozenset({"owner"}))


async def listed(publisher: Publisher, principal: Principal | None = None, **fields: Any) -> Any:
    with calling(principal):
        return await publisher.feed.List(feed_pb2.ListRequest(**fields), None)


async def all_pages(publisher: Publisher, principal: Principal | None, limit: int) -> list[int]:
    seen, after = [], 0
    while True:
        page = await listed(publisher, principal, after_position=after, limit=limit)
        seen += [entry.position for entry in page.entries]
        after = page.next_position
        if after == page.head_position:
            return seen


async def test_a_process_lists_everything_and_a_tenant_its_own_page_by_page(publisher: Publisher) -> None:
    for version in range(1, 13):
        await publisher.commit(version % 2, version, "text", tenant=OTHER if version % 3 == 0 else TENANT)
    await publisher.sequencer.sequence()
    rows = await publisher.rows()
    mine = [row["position"] for row in rows if row["tenant_id"] == TENANT]
    others = [row["position"] for row in rows if row["tenant_id"] == OTHER]

    pages = [await all_pages(publisher, who, 3) for who in (None, AMY, BOB)]
    nobody = await listed(publisher, Principal(TenantId(UUID(int=9)), "eve", frozenset({"owner"})))

    assert pages == [list(range(1, 13)), mine, others]
    assert (len(mine), len(others)) == (8, 4)
    assert (list(nobody.entries), nobody.next_position) == ([], 12)
    async with publisher.database.system_read(SCOPE) as tx:
        assert not await tx.rows(sa.select(consumer))


async def test_a_reader_that_waits_hears_of_its_own_event_only(publisher: Publisher) -> None:
    waiting = asyncio.create_task(listed(publisher, BOB, wait_ms=9_000))
    await asyncio.sleep(0.2)

    await publisher.commit(1, 1, tenant=TENANT)
    await publisher.sequencer.sequence()
    await asyncio.sleep(0.2)
    still_waiting = not waiting.done()
    await publisher.commit(2, 1, tenant=OTHER)
    await publisher.sequencer.sequence()
    page = await waiting

    assert still_waiting
    assert [(entry.position, entry.tenant_id) for entry in page.entries] == [(2, str(OTHER))]


async def test_a_reader_that_waits_in_vain_is_answered_at_its_limit_and_nobody_looks_on(publisher: Publisher) -> None:
    started = asyncio.get_running_loop().time()

    page = await listed(publisher, wait_ms=300)

    assert (list(page.entries), page.head_position, page.oldest_position) == ([], 0, 1)
    assert asyncio.get_running_loop().time() - started >= 0.3
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "feed head" and not task.cancelling()]


async def test_a_position_that_was_deleted_is_told_by_the_oldest_that_is_kept(publisher: Publisher) -> None:
    old, young = datetime.now(UTC) - timedelta(days=31), datetime.now(UTC)
    for version, at in enumerate((old, old, old, young), 1):
        await publisher.commit(1, version, at=at)
    await publisher.sequencer.sequence()
    entries = (await read(publisher, name="pay.run")).entries
    await park(publisher, entries[0])
    await ack(publisher, 4)

    deleted = await purge(publisher.database, young)
    page = await listed(publisher, AMY, after_position=1)

    assert deleted == 2  # what is parked stays for its replay, and is not listed alone
    assert page.oldest_position == 4
    assert [entry.position for entry in page.entries] == [4]
    assert [entry.position for entry in (await listed(publisher)).entries] == [4]
