"""How fast one consumer follows a data service's events, each with an effect in a database of its own."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from benchmarks.figure import Figure, at_least
from chassis.bus.consumer import Consumer, event_of
from chassis.bus.in_process import InProcessFastPath
from chassis.bus.port import Entry
from chassis.database import Database
from chassis.outbox import PendingOutbox
from kernel.ids import uuid7
from tests.chassis.bus.publisher import TENANT, Publisher, a_publisher, served
from tests.chassis.rpc.probe import messages
from tests.support.servers import PrivateMariaDB
from tests.support.storm import EFFECTS, effect

EVENTS, SMALL = 10_000, 1_000
AGGREGATES, TOGETHER = 24, 200
LIMIT_S = 300.0
LEAST = 0.05  # of the rate of bare rows


def row_of(entry: Entry) -> dict[str, Any]:
    """The effect of an event: it was seen."""
    event_of(entry)
    return {
        "event_id": UUID(entry.event_id),
        "aggregate_id": UUID(entry.aggregate_id),
        "version": entry.aggregate_version,
        "ordinal": entry.position,
        "applied_ns": 0,
    }


async def publish(publisher: Publisher, numbers: range) -> list[dict[str, Any]]:
    """Events of a few aggregates, committed by the hundred; the rows of the effects of all that there are."""
    now = datetime.now(UTC)
    for start in numbers[::100]:
        pending = PendingOutbox()
        for number in numbers[start - numbers.start : start - numbers.start + 100]:
            event = messages.DoResponse(text="fine")
            pending.add("thing", UUID(int=number % AGGREGATES), number // AGGREGATES + 1, [event])
        async with publisher.database.write(TENANT) as tx:
            await pending.write(tx, lambda event: event, lambda: uuid7(now, os.urandom(10)), now)  # type: ignore[arg-type,return-value]
    while await publisher.sequencer.sequence():
        pass
    return [row_of(Entry(position=0, **_ids(row))) for row in await publisher.rows()]


def _ids(row: Any) -> dict[str, Any]:
    return {
        "event_id": str(row["event_id"]),
        "aggregate_id": str(row["aggregate_id"]),
        "aggregate_version": row["aggregate_version"],
        "type": row["type"],
        "payload": bytes(row["payload"]),
    }


class Effects:
    """Where events have their effects.

    Invariants: `all_there` is set once `count` of them came.
    """

    def __init__(self, database: Database, count: int) -> None:
        self._database = database
        self._left = count
        self.all_there = asyncio.Event()

    async def one(self, entry: Entry) -> None:
        """A transaction for it alone."""
        await self.together([entry])

    async def together(self, entries: Sequence[Entry]) -> None:
        """One transaction for all."""
        await self.write([row_of(entry) for entry in entries])

    async def bare(self, rows: Sequence[dict[str, Any]]) -> None:
        """The least that leaves the same rows."""
        for start in range(0, len(rows), TOGETHER):
            await self.write(rows[start : start + TOGETHER])

    async def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """The rows in one transaction."""
        async with self._database.write(TENANT) as tx:
            await tx.insert(effect, rows)
        self._left -= len(rows)
        if self._left <= 0:
            self.all_there.set()


async def following(*, small: bool = False) -> AsyncIterator[Figure]:
    """In batches and one by one, beside the rows of all effects written bare, 200 per transaction."""
    count = SMALL if small else EVENTS
    loop, path = asyncio.get_running_loop(), InProcessFastPath()
    with tempfile.TemporaryDirectory(prefix="muster-bench-") as folder, PrivateMariaDB() as mariadb:
        database = Database(mariadb.create_database("effects"), EFFECTS)
        await database.create_tables()
        async with (
            a_publisher(mariadb.create_database("publisher"), path) as publisher,
            served(publisher, Path(folder)) as client,
        ):

            async def rate(count: int, effects: Effects, work: Any) -> float:
                began = loop.time()
                task = asyncio.ensure_future(work)
                async with asyncio.timeout(LIMIT_S):
                    await effects.all_there.wait()
                seconds = loop.time() - began
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
                async with database.write(TENANT) as tx:
                    await tx.execute(tx.delete(effect))
                return count / seconds

            few = count // 10
            await publish(publisher, range(few))
            effects = Effects(database, few)
            singly = await rate(few, effects, Consumer("bench.singly", client, path, effects.one).run())
            rows = await publish(publisher, range(few, count))
            effects = Effects(database, count)
            floor = await rate(count, effects, effects.bare(rows))
            effects = Effects(database, count)
            consumer = Consumer("bench.batches", client, path, effects.one, together=effects.together)
            batches = await rate(count, effects, consumer.run())
            name = f"events followed by one consumer, MariaDB, {count:,}"
            yield at_least(f"{name} in batches", batches, "/s", floor=floor, ratio=LEAST)
            yield Figure(f"{name} one by one", singly, "/s", floor)
        await database.close()
