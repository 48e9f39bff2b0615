"""Redis is disposable: events survive a storm in which Redis, relays and consumers are killed, flushed and set back.

100,000 events and 50 kills instead of a few: STORM_EVENTS=100000 STORM_KILLS=50. The same storm again:
STORM_SEED=<the printed seed>.
"""

import asyncio
import os
import random
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis
import sqlalchemy as sa
from muster.event.v1 import event_feed_pb2 as feed_pb2
from muster.event.v1 import event_feed_pb2_grpc

from chassis.assertion import Signer, prepare_keys
from chassis.bus.consumer import feed_principal
from chassis.database import Database, Unavailable
from chassis.outbox import PendingOutbox
from chassis.rpc.channels import Channels
from chassis.tables import context_metadata, outbox, parked
from interfaces.cli.private_servers import dies_with_parent
from kernel.ids import uuid7
from tests.chassis.bus.publisher import SCOPE, TENANT
from tests.chassis.rpc.probe import messages
from tests.support.servers import PrivateMariaDB, PrivateRedis
from tests.support.storm import CONSUMER, EFFECTS, POISON, Storm, effect

ROOT = Path(__file__).parents[3]
EVENTS = int(os.environ.get("STORM_EVENTS", "1500"))
KILLS = int(os.environ.get("STORM_KILLS", "8"))
SEED = int(os.environ.get("STORM_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
WRITERS, AGGREGATES = 8, 3
STREAM = "muster:probe:events"
UNREAD = 20  # events in a stream that is flushed with a planted bug
POISONOUS = 1000  # one event of so many cannot be applied
BACKLOG = 1000  # writers wait while more than so many are not applied: what is drained is the storm's, not a race's
STORMS = 12  # at most, for a planted bug: one in two or three shows it
DRAIN_S = 60.0  # without any progress; the promise is 30 s in all, of which a killed consumer's lease takes 15

pytestmark = [
    pytest.mark.second_process,
    pytest.mark.usefixtures("redis_server"),
    pytest.mark.timeout(300 + EVENTS / 10 + 10 * KILLS),
]


@dataclass
class Field:
    """Where the storm blows: servers, processes, and what was committed."""

    storm: Storm
    redis: PrivateRedis
    publisher: Database
    effects: Database
    dice: random.Random
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    acknowledged: set[UUID] = field(default_factory=set)
    phantoms: set[UUID] = field(default_factory=set)
    poisonous: set[UUID] = field(default_factory=set)
    harms: list[str] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    room: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self, name: str) -> None:
        """Start one of its processes: "relay", "sequencer", "consumer 1", "consumer 2"."""
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'gen'}"}
        with (Path(self.storm.folder) / "log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                dies_with_parent(list(self.storm.command(name.partition(" ")[0]))),
                env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self, name: str) -> None:
        """SIGKILL, and start it anew."""
        self.processes[name].kill()
        self.processes[name].wait()
        self.start(name)

    def end(self) -> None:
        """Nothing of it goes on."""
        for process in self.processes.values():
            process.kill()
            process.wait()

    def harm(self, what: str, old: Path) -> None:
        """One blow."""
        self.harms.append(what)
        if what == "kill redis":
            self.redis.kill()
            self.redis.start()
        elif what == "set redis back":
            self.redis.restart_from(old)
        elif what.startswith("kill "):
            self.kill(what.removeprefix("kill "))
        else:
            with redis.Redis(port=self.redis.port) as client:
                if what == "flush" and self.storm.bug:
                    self.flush_unread(client)
                elif what == "flush":
                    client.flushall()
                elif what == "trim":
                    client.xtrim(STREAM, maxlen=1)
                else:
                    client.delete(STREAM)

    def flush_unread(self, client: Any) -> None:
        """Flush while the consumers stand still and more was announced than can be on its way to them."""
        consumers = [process for name, process in self.processes.items() if name.startswith("consumer")]
        for process in consumers:
            process.send_signal(signal.SIGSTOP)
        [(last, _)] = client.xrevrange(STREAM, count=1) or [(b"0-0", {})]
        for _ in range(500):
            if len(client.xrange(STREAM, min=b"(" + last, count=UNREAD)) == UNREAD:
                break
            time.sleep(0.02)
        client.flushall()
        for process in consumers:
            process.send_signal(signal.SIGCONT)

    async def write(self, writer: int, share: int) -> None:
        """Commit so many events, one version after the other; a fifth of the transactions is rolled back."""
        versions: defaultdict[int, int] = defaultdict(int)
        written = 0
        while written < share:
            if written:
                await self.begun.wait()
            await self.room.wait()
            count = min(self.dice.randint(1, 4), share - written)
            poison = self.dice.random() < count / POISONOUS or (writer == 0 and written == 0)
            # What is parked is applied after its successors: it has an aggregate of its own.
            aggregate = self.dice.getrandbits(60) if poison else writer * AGGREGATES + self.dice.randrange(AGGREGATES)
            made: list[UUID] = []

            def new_id(made: list[UUID] = made) -> UUID:
                made.append(uuid7(datetime.now(UTC), os.urandom(10)))
                return made[-1]

            pending = PendingOutbox()
            texts = [POISON] if poison else ["fine"] * count
            events = [messages.DoResponse(text=text) for text in texts]
            pending.add("thing", UUID(int=aggregate), versions[aggregate] + 1, events)
            rolled_back = self.dice.random() < 0.2
            try:
                async with self.publisher.write(TENANT) as tx:
                    await pending.write(tx, lambda event: event, new_id, datetime.now(UTC))  # type: ignore[arg-type,return-value]
                    if self.dice.random() < 0.1:
                        await asyncio.sleep(0.05)  # commits late, beside others with higher ids
                    if rolled_back:
                        raise _RolledBack
            except _RolledBack:
                self.phantoms.update(made)
                continue
            except Unavailable:
                continue  # a lost race for locks: whether it committed is looked up at the end
            versions[aggregate] += 1
            written += len(texts)
            self.acknowledged.update(made)
            if poison:
                self.poisonous.update(made)

    async def pace(self) -> None:
        """Let the writers go on while the consumer keeps up."""
        while True:
            behind = len(self.acknowledged) - await self.count()
            (self.room.clear if behind > BACKLOG else self.room.set)()
            await asyncio.sleep(0.2)

    async def blow(self, kills: int, total: int) -> None:
        """Spread the blows over the writing."""
        for _ in range(600):  # processes that are not up yet cannot be hurt
            if await self.count() or await self.parked_events():
                break
            await asyncio.sleep(0.1)
        self.start("sequencer")  # it may take the first's announcements for those of a lost database, and forget them
        self.begun.set()
        old = await asyncio.to_thread(self.redis.snapshot)
        kinds = ["kill redis", "flush", "kill relay", "trim", "kill sequencer", "delete stream", "set redis back"]
        wanted = [kinds[number % len(kinds)] for number in range(kills - 1)]
        self.dice.shuffle(wanted)
        wanted.insert(len(wanted) // 4, "kill consumer 1")
        wanted += ["kill consumer 2"] * (kills // 20)
        for number, what in enumerate(wanted):
            due = total * (number + 1) / (len(wanted) + 1)
            while len(self.acknowledged) < due:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.to_thread(self.harm, what, old)

    async def applied(self) -> list[Any]:
        """Effects in the order in which they came about."""
        async with self.effects.read(TENANT) as tx:
            columns = (effect.c.event_id, effect.c.aggregate_id, effect.c.version, effect.c.ordinal)
            return list(await tx.rows(tx.select(effect, *columns).order_by(effect.c.applied_ns)))

    async def count(self) -> int:
        """How many effects there are."""
        async with self.effects.read(TENANT) as tx:
            return int((await tx.rows(tx.select(effect, sa.func.count().label("count"))))[0]["count"])

    async def published(self) -> set[UUID]:
        """Everything that is in the outbox: what was committed, whoever knows."""
        async with self.publisher.system_read(SCOPE) as tx:
            return {row["event_id"] for row in await tx.rows(sa.select(outbox.c.event_id))}

    async def parked_events(self) -> list[Any]:
        """Those that were set aside."""
        async with self.publisher.system_read(SCOPE) as tx:
            return list(await tx.rows(sa.select(parked.c.event_id, parked.c.attempts)))

    async def drain(self, count: int, patience_s: float) -> float:
        """Wait until so many effects are there, or nothing moves for so long; how many seconds it took."""
        clock = asyncio.get_running_loop()
        started = moved = clock.time()
        seen = -1
        while clock.time() - moved < patience_s:
            now = await self.count()
            if now >= count:
                break
            if now != seen:
                seen, moved = now, clock.time()
            await asyncio.sleep(0.2)
        return clock.time() - started

    async def replay(self) -> None:
        """Mend what was wrong and hand every parked event out again, as the operator does."""
        self.storm.mended.touch()
        settings = self.storm.settings
        channels = Channels(settings, Signer.open(settings), {"probe": self.storm.socket.target})
        stub = channels.to("probe").stub(event_feed_pb2_grpc.EventFeedServiceStub)
        for row in await self.parked_events():
            request = feed_pb2.ReplayRequest(consumer=CONSUMER, event_id=str(row["event_id"]))
            await channels.to("probe").call(stub.Replay, request, principal=feed_principal("operator"))
        await channels.close()


class _RolledBack(Exception):
    """On purpose."""


@asynccontextmanager
async def a_field(mariadb: PrivateMariaDB, folder: Path, seed: int, bug: str = "") -> AsyncIterator[Field]:
    name = f"storm_{seed}_{len(bug)}"
    with PrivateRedis() as server:
        urls = mariadb.create_database(f"{name}_publisher"), mariadb.create_database(f"{name}_effects")
        storm = Storm(*urls, server.url, str(folder), bug)
        prepare_keys(storm.settings)
        publisher, effects = Database(urls[0], context_metadata()), Database(urls[1], EFFECTS)
        await publisher.create_tables()
        await effects.create_tables()
        made = Field(storm, server, publisher, effects, random.Random(seed))
        try:
            yield made
        finally:
            made.end()
            await publisher.close()
            await effects.close()


async def blown(made: Field, events: int, kills: int) -> None:
    """Everything written and every blow struck."""
    for name in ("relay", "consumer 1", "consumer 2"):
        made.start(name)
    share = -(-events // WRITERS)
    pacing = asyncio.create_task(made.pace())
    if made.storm.bug:
        pacing.cancel()  # what is lost never comes
        made.room.set()
    async with asyncio.TaskGroup() as tasks:
        for writer in range(WRITERS):
            tasks.create_task(made.write(writer, share))
        tasks.create_task(made.blow(kills, events))
    pacing.cancel()
    await asyncio.wait({pacing})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Short enough for a socket's path."""
    made = Path(os.path.relpath(tmp_path))
    made.mkdir(exist_ok=True)
    return tmp_path if len(str(tmp_path)) < 80 else made


async def test_no_event_is_lost_or_applied_twice_in_a_storm(mariadb: PrivateMariaDB, folder: Path) -> None:
    print(f"STORM_SEED={SEED} STORM_EVENTS={EVENTS} STORM_KILLS={KILLS}")
    async with a_field(mariadb, folder, SEED) as made:
        await blown(made, EVENTS, KILLS)
        committed = await made.published()

        seconds = await made.drain(len(committed - made.poisonous), DRAIN_S)
        applied = await made.applied()
        aside = await made.parked_events()
        print(f"{len(committed)} events, {len(made.phantoms)} rolled back, drained in {seconds:.1f} s; {made.harms}")

        assert made.acknowledged <= committed
        assert not made.phantoms & committed
        assert {row["event_id"] for row in applied} == committed - made.poisonous
        assert len(applied) == len({row["event_id"] for row in applied})
        assert {row["event_id"]: row["attempts"] for row in aside} == dict.fromkeys(made.poisonous, 5)
        assert len(aside) == len(made.poisonous) >= 1
        assert out_of_order(applied) == []
        await made.replay()
        await made.drain(len(committed), DRAIN_S)
        for _ in range(100):
            if not await made.parked_events():
                break
            await asyncio.sleep(0.1)

        assert {row["event_id"] for row in await made.applied()} == committed
        assert await made.parked_events() == []


def out_of_order(applied: list[Any]) -> list[Any]:
    """Effects that came after one of a later version of their aggregate."""
    latest: dict[UUID, tuple[int, int]] = {}
    found = []
    for row in applied:
        place = (row["version"], row["ordinal"])
        if place < latest.get(row["aggregate_id"], (0, 0)):
            found.append(row)
        latest[row["aggregate_id"]] = max(place, latest.get(row["aggregate_id"], (0, 0)))
    return found


@pytest.mark.parametrize("bug", ["trusts redis", "id > last"])
async def test_a_consumer_of_redis_alone_and_a_relay_by_id_would_lose_events(
    mariadb: PrivateMariaDB, folder: Path, bug: str
) -> None:
    for number in range(STORMS):  # a consumer that happens to keep up with everything is not harmed by one storm
        (folder / str(number)).mkdir()
        async with a_field(mariadb, folder / str(number), SEED + number, bug) as made:
            await blown(made, 400, 4)
            expected = len(await made.published() - made.poisonous)

            await made.drain(expected, 4.0)
            applied = await made.count()

        assert applied > 0
        if applied < expected:
            return
    pytest.fail(f"no storm of {STORMS} lost an event")
