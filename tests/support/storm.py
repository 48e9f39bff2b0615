"""The processes of the event storm: a relay that numbers and serves events, a second sequencer, consumers with effects.

python -m tests.support.storm relay|sequencer|consumer '{"...": "..."}'
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from muster.event.v1.event_feed_pb2 import Entry

from chassis.assertion import Signer
from chassis.bus.consumer import Consumer, Patience, event_of
from chassis.bus.redis_streams import RedisFastPath
from chassis.columns import Id, tenant_column
from chassis.database import Database, Duplicate, Lock
from chassis.feed import EventFeed, HeadWatch, Sequencer, entry_of
from chassis.lifecycle import Listener
from chassis.rpc import server
from chassis.rpc.channels import Channels
from chassis.settings import Settings
from chassis.tables import context_metadata, feed_head, outbox
from kernel.ids import TenantId
from tests.chassis.bus.publisher import SCOPE
from tests.chassis.rpc.probe import messages

CONSUMER = "storm.effects"
POISON = "poison"
QUICK = Patience((0.05, 0.05, 0.05, 0.05))

EFFECTS = context_metadata()
effect = sa.Table(
    "effect",
    EFFECTS,
    tenant_column(),
    sa.Column("event_id", Id, primary_key=True),
    sa.Column("aggregate_id", Id, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("ordinal", sa.BigInteger, nullable=False),
    sa.Column("applied_ns", sa.BigInteger, nullable=False),
)
assert messages.DoResponse.DESCRIPTOR is not None  # events are of the probe's type


@dataclass(frozen=True)
class Storm:
    """Where everything is, and which planted bug is in it, if any."""

    publisher_url: str
    effects_url: str
    redis_url: str
    folder: str
    bug: str = ""  # "trusts redis", "id > last"

    @property
    def socket(self) -> Listener:
        """Where the relay serves the feed."""
        return Listener.parse(f"unix:{self.folder}/feed.sock")

    @property
    def mended(self) -> Path:
        """There once poisonous events can be applied."""
        return Path(self.folder) / "mended"

    @property
    def settings(self) -> Settings:
        """Of every process of it."""
        return Settings.embedded(Path(self.folder) / "data")

    def command(self, role: str) -> Sequence[str]:
        """Starts one of its processes."""
        return [sys.executable, "-m", "tests.support.storm", role, json.dumps(asdict(self))]


class HighestFirst(Sequencer):
    """A planted bug: goes on after the highest id that it saw, so that what commits late is never published."""

    async def _assign(self) -> list[Entry]:
        async with self._database.system(SCOPE) as tx:
            done = sa.select(sa.func.max(outbox.c.event_id)).where(outbox.c.position.is_not(None)).scalar_subquery()
            newer = outbox.c.position.is_(None) & (sa.func.coalesce(done, b"") < outbox.c.event_id)
            with contextlib.suppress(Duplicate):
                await tx.execute(sa.insert(feed_head).values(id=1, position=0))
            head = await tx.row(sa.select(feed_head.c.position), lock=Lock.UPDATE)
            first = 1 if head is None else int(head["position"]) + 1
            rows = await tx.rows(sa.select(outbox).where(newer).order_by(outbox.c.event_id).limit(500))
            numbered = list(enumerate(rows, first))
            for position, row in numbered:
                mine = (outbox.c.tenant_id == row["tenant_id"]) & (outbox.c.event_id == row["event_id"])
                await tx.execute(sa.update(outbox).where(mine).values(position=position))
            if numbered:
                await tx.execute(sa.update(feed_head).values(position=numbered[-1][0]))
        return [entry_of(row, position) for position, row in numbered]


class Gullible(Consumer):
    """A planted bug: takes Redis for the truth."""

    async def _take_in(self, window: Any, page: Any, tasks: asyncio.TaskGroup) -> None:
        while True:
            heard = await self._fast_path.read(self._client.service, window.taken, 100, 0.2)
            for entry in heard:
                window.taken = entry.position - 1  # gaps are not noticed
                await self._admit(window, [entry], 0, tasks)


def sequencer_of(storm: Storm, database: Database) -> Sequencer:
    """The relay's part that numbers and announces."""
    kind = HighestFirst if storm.bug == "id > last" else Sequencer
    return kind(database, "probe", RedisFastPath(storm.redis_url))


async def relay(storm: Storm) -> None:
    """Serve the feed and sequence."""
    database = Database(storm.publisher_url, context_metadata())
    feed = EventFeed(database, head=HeadWatch(database))
    running = await server.start(storm.socket, [feed.registration], name="probe", settings=storm.settings)
    try:
        await sequencer_of(storm, database).run()
    finally:
        await running.stop(1.0)


async def sequencer(storm: Storm) -> None:
    """Sequence beside the relay."""
    await sequencer_of(storm, Database(storm.publisher_url, context_metadata())).run()


async def consumer(storm: Storm) -> None:
    """Apply every event once: the effect's own key is the inbox."""
    effects = Database(storm.effects_url, EFFECTS)
    channels = Channels(storm.settings, Signer.open(storm.settings), {"probe": storm.socket.target})

    def row_of(entry: Entry) -> dict[str, Any]:
        text: str = event_of(entry).text  # type: ignore[attr-defined]
        if text == POISON and not storm.mended.exists():
            raise ValueError("cannot be applied")
        return {
            "event_id": UUID(entry.event_id),
            "aggregate_id": UUID(entry.aggregate_id),
            "version": entry.aggregate_version,
            "ordinal": entry.position,
            "applied_ns": time.time_ns(),
        }

    async def apply(entry: Entry) -> None:
        async with effects.write(TenantId(UUID(entry.tenant_id))) as tx:
            with contextlib.suppress(Duplicate):  # delivered again
                await tx.insert(effect, row_of(entry))

    async def together(entries: Sequence[Entry]) -> None:
        async with effects.write(TenantId(UUID(entries[0].tenant_id))) as tx:
            await tx.insert(effect, [row_of(entry) for entry in entries])

    kind = Gullible if storm.bug == "trusts redis" else Consumer
    fast_path = RedisFastPath(storm.redis_url)
    await kind(CONSUMER, channels.to("probe"), fast_path, apply, patience=QUICK, together=together).run()


if __name__ == "__main__":
    role = {"relay": relay, "sequencer": sequencer, "consumer": consumer}[sys.argv[1]]
    try:
        asyncio.run(role(Storm(**json.loads(sys.argv[2]))))
    except KeyboardInterrupt:
        os._exit(0)
