"""A context in miniature: its database, sequencer and feed, and a way to commit events."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from google.protobuf.message import Message
from sqlalchemy.engine import RowMapping

from chassis.assertion import Signer, prepare_keys
from chassis.bus.port import FastPath
from chassis.database import Database, SystemScope
from chassis.feed import EventFeed, Sequencer
from chassis.lifecycle import Listener
from chassis.outbox import PendingOutbox
from chassis.rpc import server
from chassis.rpc.channels import Channels, Client
from chassis.settings import Settings
from chassis.tables import context_metadata, outbox
from kernel.ids import TenantId, uuid7
from tests.chassis.rpc.probe import messages

TENANT = TenantId(UUID(int=1))
SCOPE = SystemScope("a test looks at everything")


class Publisher:
    """Commits events as a data service does."""

    def __init__(self, database: Database, fast_path: FastPath) -> None:
        self.database = database
        self.fast_path = fast_path
        self.sequencer = Sequencer(database, "probe", fast_path)
        self.feed = EventFeed(database)

    async def commit(
        self, aggregate: int = 1, version: int = 1, *texts: str, tenant: TenantId = TENANT, at: datetime | None = None
    ) -> None:
        """One transaction with the events of one new version."""
        events = [messages.DoResponse(text=text) for text in texts or ("",)]
        await self.publish("thing", UUID(int=aggregate), version, *events, tenant=tenant, at=at)

    async def publish(
        self,
        kind: str,
        aggregate_id: UUID,
        version: int,
        *events: Message,
        tenant: TenantId = TENANT,
        at: datetime | None = None,
    ) -> None:
        """The same with events of a context's own."""
        pending = PendingOutbox()
        pending.add(kind, aggregate_id, version, events)
        now = at or datetime.now(UTC)
        async with self.database.write(tenant) as tx:
            await pending.write(tx, lambda event: event, lambda: uuid7(now, os.urandom(10)), now)  # type: ignore[return-value,arg-type]
        self.sequencer.wake()

    async def rows(self) -> list[RowMapping]:
        """The outbox in order of position."""
        async with self.database.system_read(SCOPE) as tx:
            return list(await tx.rows(sa.select(outbox).order_by(outbox.c.position)))


@asynccontextmanager
async def a_publisher(url: str, fast_path: FastPath) -> AsyncIterator[Publisher]:
    """On an empty database."""
    database = Database(url, context_metadata(), synchronous="OFF")
    await database.create_tables()
    try:
        yield Publisher(database, fast_path)
    finally:
        await database.close()


@asynccontextmanager
async def served(publisher: Publisher, folder: Path) -> AsyncIterator[Client]:
    """The publisher's feed on the wire, with its sequencer running; a client of it."""
    settings = Settings.embedded(folder / "data")
    prepare_keys(settings)
    running = await server.start(Listener(), [publisher.feed.registration], name="probe", settings=settings)
    sequencing = asyncio.create_task(publisher.sequencer.run())
    channels = Channels(settings, Signer.open(settings), {"probe": running.address})
    try:
        yield channels.to("probe")
    finally:
        sequencing.cancel()
        await asyncio.wait({sequencing})
        await channels.close()
        await running.stop(1.0)
