"""How a data service starts: its database, feed, loops and gRPC server, the same for every context."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chassis import feed, idempotency
from chassis.bus.open import fast_path_of
from chassis.clock import SystemClock
from chassis.crypto import FieldCipher
from chassis.database import Database
from chassis.feed import EventFeed, HeadWatch, Sequencer
from chassis.health import Readiness, clock_check
from chassis.jobs.job import Firing, Job
from chassis.jobs.service import Jobs
from chassis.jobs.times import Every
from chassis.jobs.work import Consumers, LongWork
from chassis.jobs.worker import Worker
from chassis.jobs.worker import purge as purge_runs
from chassis.keyring import FileKeyring
from chassis.lifecycle import Lifecycle, Listener, Running
from chassis.rpc import server
from chassis.safety import open_database
from chassis.settings import Settings

LOOPS_GRACE_S = 1.0
CLOCK_CHECK_S = 60.0
RETENTION_MINUTES = 10
PURGES_AT_A_TIME = 100

Registration = tuple[Callable[[Any, Any], None], object]


@dataclass(frozen=True, slots=True)
class Opened:
    """What a context is wired from: `committed` is called after a commit that published something."""

    settings: Settings
    database: Database
    committed: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a context runs: its servicers, its loops by name, what to close after the last call, its jobs and long work.

    A loop looks again and again at what there is to do; a job has times of its own, of which each is done once.
    """

    servicers: Sequence[Registration]
    loops: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=dict)
    close: Callable[[], Awaitable[None]] | None = None
    jobs: Sequence[Job] = ()
    long_work: Sequence[LongWork] = ()


@dataclass(frozen=True, slots=True)
class DataService:
    """One context as a process part.

    Invariants: the feed is served and sequenced beside the context's own calls; old answers and events are purged.
    """

    name: str
    metadata: sa.MetaData
    versions: Path  # the folder of its migrations
    build: Callable[[Opened], Awaitable[Parts]]

    async def serve(self, settings: Settings, listener: Listener) -> Running:
        """Serve until stopped. Raises UnsafeDatabase, SchemaBehind, KeyringProblem, KeyFileProblem, AddressTaken."""
        database = await open_database(settings, self.name, self.metadata, self.versions)
        fast_path = fast_path_of(settings)
        head = HeadWatch(database)
        sequencer = Sequencer(database, self.name, fast_path, head.tell)
        readiness = Readiness()
        readiness.add("clock", clock_check(SystemClock(), database.now), every_s=CLOCK_CHECK_S)
        loops = Lifecycle(grace_s=LOOPS_GRACE_S)
        readiness.add("loops", loops.check_loops)
        parts: Parts | None = None

        async def close() -> None:
            await loops.drain()
            if parts is not None and parts.close is not None:
                await parts.close()
            await fast_path.close()
            await database.close()

        try:
            parts = await self.build(Opened(settings, database, sequencer.wake))
            jobs = (_retention(database), *parts.jobs)
            seen = Jobs(database, jobs, (*parts.long_work, Consumers(database)))
            plumbing = (EventFeed(database, head=head).registration, seen.registration)
            servicers = [*parts.servicers, *plumbing]
            running = await server.start(listener, servicers, name=self.name, settings=settings, readiness=readiness)
        except BaseException:
            await close()
            raise
        loops.spawn(f"{self.name} sequencer", sequencer.run)
        loops.spawn(f"{self.name} jobs", Worker(database, self.name, jobs).run)
        for name, loop in parts.loops.items():
            loops.spawn(f"{self.name} {name}", loop)
        return running.followed_by(close)


def open_cipher(settings: Settings, name: str) -> FieldCipher:
    """The cipher of encrypted fields. Raises KeyringProblem.

    Only the embedded form makes its keyring: replicas with a fresh one each could not read each other's fields.
    """
    embedded = settings.database_url(name).startswith("sqlite")
    return FieldCipher((FileKeyring.open_or_create if embedded else FileKeyring.open)(settings.keyring))


def _retention(database: Database) -> Job:
    """Deletes what is past its retention, in small transactions."""

    async def work(firing: Firing) -> None:
        for purge in (idempotency.purge, feed.purge, purge_runs):
            for _ in range(PURGES_AT_A_TIME):
                if not await purge(database, SystemClock().now()):
                    break
                await asyncio.sleep(0)

    return Job("retention", Every(minutes=RETENTION_MINUTES), work)
