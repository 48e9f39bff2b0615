"""A consumer applies every committed event once, in order per aggregate, whatever happens to Redis or to an event."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from muster.event.v1 import event_feed_pb2 as feed_pb2
from muster.event.v1 import event_feed_pb2_grpc as feed_grpc
from muster.event.v1.event_feed_pb2 import Entry

from chassis import tables
from chassis.bus import consumer as consumer_module
from chassis.bus.consumer import Consumer, Patience, _Window, event_of, feed_principal, request_id_of
from chassis.bus.in_process import InProcessFastPath
from chassis.bus.port import FastPath
from chassis.bus.redis_streams import RedisFastPath
from chassis.rpc.channels import Client
from chassis.rpc.error_map import RemoteError, Trouble
from kernel.errors import DomainError, Kind
from tests.chassis.bus.publisher import SCOPE, Publisher, a_publisher, served
from tests.support.servers import PrivateRedis

QUICK = Patience((0.01, 0.01, 0.01, 0.01))


class Locked(DomainError):
    """A rule for tests."""

    kind, reason = Kind.RULE, "TIMESHEET_LOCKED"


class Effects:
    """A target with an inbox: what was delivered, and what took effect."""

    def __init__(self) -> None:
        self.delivered: Counter[int] = Counter()
        self.texts: list[str] = []
        self.by_aggregate: defaultdict[str, list[int]] = defaultdict(list)
        self.running: Counter[str] = Counter()
        self.most_at_once = 0
        self.fails: dict[str, Exception] = {}
        self.takes_s = 0.0
        self.batches = 0
        self.batch_takes_s = 0.0

    async def apply(self, entry: Entry) -> None:
        text: str = event_of(entry).text  # type: ignore[attr-defined]
        self.delivered[entry.position] += 1
        self.running[entry.aggregate_id] += 1
        self.most_at_once = max(self.most_at_once, self.running.total())
        assert self.running[entry.aggregate_id] == 1, "two events of one aggregate at once"
        try:
            await asyncio.sleep(self.takes_s)
            if text in self.fails:
                raise self.fails[text].with_traceback(None)  # or it grows with each raise, and the log with it
        finally:
            self.running[entry.aggregate_id] -= 1
        self.texts.append(text)
        self.by_aggregate[entry.aggregate_id].append(entry.aggregate_version)

    async def together(self, entries: Sequence[Entry]) -> None:
        """As a transaction would: all of them or none."""
        self.batches += 1
        assert not [entry for entry in entries if self.running[entry.aggregate_id]], "a lane runs beside its batch"
        await asyncio.sleep(self.batch_takes_s)
        for entry in entries:
            if (error := self.fails.get(event_of(entry).text)) is not None:  # type: ignore[attr-defined]
                raise error
        for entry in entries:
            await self.apply(entry)


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about in time")


@pytest.fixture(params=["in process", "redis"])
async def fast_path(request: pytest.FixtureRequest) -> AsyncIterator[FastPath]:
    made: FastPath = InProcessFastPath()
    if request.param == "redis":
        server: PrivateRedis = request.getfixturevalue("redis_server")
        server.flush()
        made = RedisFastPath(server.url)
    yield made
    await made.close()


@pytest.fixture
async def publisher(fast_path: FastPath, tmp_path: Path) -> AsyncIterator[Publisher]:
    async with a_publisher(f"sqlite:///{tmp_path}/probe.sqlite3", fast_path) as made:
        yield made


@pytest.fixture
async def client(publisher: Publisher, tmp_path: Path) -> AsyncIterator[Client]:
    async with served(publisher, tmp_path) as made:
        yield made


@asynccontextmanager
async def consuming(
    client: Client,
    fast_path: FastPath,
    effects: Effects,
    name: str = "time.roster",
    kind: type[Consumer] = Consumer,
    **options: Any,
) -> AsyncIterator[Consumer]:
    consumer = kind(name, client, fast_path, effects.apply, **{"patience": QUICK, **options})
    running = asyncio.create_task(consumer.run())
    try:
        yield consumer
    finally:
        running.cancel()
        await asyncio.wait({running})


async def acked(publisher: Publisher, name: str = "time.roster") -> int:
    async with publisher.database.system_read(SCOPE) as tx:
        row = await tx.row(sa.select(tables.consumer).where(tables.consumer.c.name == name))
    return 0 if row is None else int(row["acked_position"])


async def until_acked(publisher: Publisher, position: int) -> None:
    for _ in range(4000):
        if await acked(publisher) >= position:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"only {await acked(publisher)} of {position} acknowledged")


async def test_events_before_and_after_the_start_are_applied_once_and_in_order(
    publisher: Publisher, client: Client, fast_path: FastPath
) -> None:
    effects = Effects()
    for version in range(1, 6):
        await publisher.commit(version % 2, version, "before")

    async with consuming(client, fast_path, effects):
        await until(lambda: len(effects.texts) == 5)
        for version in range(6, 21):
            await publisher.commit(version % 2, version, "after")
        await until_acked(publisher, 20)

    assert set(effects.delivered.values()) == {1}
    assert effects.texts == ["before"] * 5 + ["after"] * 15
    assert all(versions == sorted(versions) for versions in effects.by_aggregate.values())


async def test_an_event_is_heard_within_a_moment(publisher: Publisher, client: Client, fast_path: FastPath) -> None:
    effects = Effects()
    async with consuming(client, fast_path, effects):
        await publisher.commit(1, 1, "first")
        await until(lambda: bool(effects.texts))
        waits = []
        for version in range(2, 12):
            started = asyncio.get_running_loop().time()
            await publisher.commit(1, version, "next")
            await until(lambda version=version: len(effects.texts) == version)  # type: ignore[misc]
            waits.append(asyncio.get_running_loop().time() - started)

    assert sorted(waits)[5] < 0.5


async def test_different_aggregates_run_at_once_and_one_aggregate_never(
    publisher: Publisher, client: Client, fast_path: FastPath
) -> None:
    effects = Effects()
    effects.takes_s = 0.02
    for version in range(1, 6):
        for aggregate in range(10):
            await publisher.commit(aggregate, version)

    async with consuming(client, fast_path, effects, at_once=4):
        await until_acked(publisher, 50)

    assert effects.most_at_once == 4
    assert all(versions == [1, 2, 3, 4, 5] for versions in effects.by_aggregate.values())


async def test_a_worker_that_dies_is_replaced_and_nothing_is_lost(
    publisher: Publisher, client: Client, fast_path: FastPath
) -> None:
    effects = Effects()
    effects.takes_s = 0.005
    for version in range(1, 101):
        await publisher.commit(version % 7, version)

    for _ in range(6):
        async with consuming(client, fast_path, effects):
            await asyncio.sleep(0.08)
    async with consuming(client, fast_path, effects):
        await until_acked(publisher, 100)

    assert set(effects.delivered) == set(range(1, 101))
    assert max(effects.delivered.values()) <= 7


async def test_two_workers_share_no_event(publisher: Publisher, client: Client, fast_path: FastPath) -> None:
    first, second = Effects(), Effects()
    async with consuming(client, fast_path, first), consuming(client, fast_path, second):
        for version in range(1, 51):
            await publisher.commit(version % 5, version)
        await until_acked(publisher, 50)

    assert len(first.texts) + len(second.texts) == 50
    assert 0 in (len(first.texts), len(second.texts))


async def test_two_consumers_each_hear_everything(publisher: Publisher, client: Client, fast_path: FastPath) -> None:
    first, second = Effects(), Effects()
    async with consuming(client, fast_path, first, "time.roster"), consuming(client, fast_path, second, "pay.retro"):
        for version in range(1, 21):
            await publisher.commit(version % 5, version)
        await until(lambda: len(first.texts) == len(second.texts) == 20)


async def test_a_consumer_may_choose_its_types(publisher: Publisher, client: Client, fast_path: FastPath) -> None:
    effects = Effects()
    for version in range(1, 6):
        await publisher.commit(1, version)

    async with consuming(client, fast_path, effects, types={"probe.v1.SomethingElse"}):
        await until_acked(publisher, 5)

    assert effects.texts == []


async def listed(client: Client) -> list[Any]:
    stub = client.stub(_feed_stub())
    answer = await client.call(stub.ListParked, feed_pb2.ListParkedRequest(), principal=feed_principal("ops"))
    return list(answer.parked_events)


def _feed_stub() -> Any:
    from muster.event.v1 import event_feed_pb2_grpc

    return event_feed_pb2_grpc.EventFeedServiceStub


async def test_a_poisonous_event_is_parked_after_five_tries_mended_and_replayed(
    publisher: Publisher, client: Client, fast_path: FastPath
) -> None:
    await listed_mended_and_replayed(publisher, client, fast_path, Consumer)


async def test_a_poisonous_event_of_a_batch_is_parked_alone_mended_and_replayed(
    publisher: Publisher, client: Client, fast_path: FastPath
) -> None:
    await listed_mended_and_replayed(publisher, client, fast_path, Consumer, together=True)


async def listed_mended_and_replayed(
    publisher: Publisher, client: Client, fast_path: FastPath, kind: type[Consumer], *, together: bool = False
) -> None:
    """One event of ten cannot be applied: it is told of without its values, and applied once when it is mended."""
    effects = Effects()
    effects.fails["poison"] = ValueError("secret 110101199003077758")
    async with consuming(client, fast_path, effects, kind=kind, together=effects.together if together else None):
        for version in range(1, 11):
            await publisher.commit(version, 1, "poison" if version == 4 else "fine")
        await until_acked(publisher, 10)
        parked = await listed(client)
        assert [(event_of(one.entry).text, one.attempts) for one in parked] == [("poison", 5)]  # type: ignore[attr-defined]
        assert "ValueError" in parked[0].reason
        assert "110101199003077758" not in parked[0].reason

        effects.fails.clear()
        stub = client.stub(_feed_stub())
        request = feed_pb2.ReplayRequest(consumer="time.roster", event_id=parked[0].entry.event_id)
        await client.call(stub.Replay, request, principal=feed_principal("ops"))
        await until_nothing_is_parked(publisher)
        assert effects.texts.count("poison") == 1
        await asyncio.sleep(1.2)  # another page of the feed

    poisonous = parked[0].entry.position  # events of different aggregates may be numbered in any order
    assert effects.delivered == {**dict.fromkeys(range(1, 11), 1), poisonous: 6}
    assert effects.texts.count("poison") == 1


async def until_nothing_is_parked(publisher: Publisher) -> None:
    for _ in range(4000):
        async with publisher.database.system_read(SCOPE) as tx:
            if not await tx.rows(sa.select(tables.parked.c.event_id)):
                return
        await asyncio.sleep(0.01)
    raise AssertionError("the replayed event is still parked")


class Dropping(Consumer):
    """A planted bug: what cannot be applied is left behind."""

    async def _park(self, entry: Entry, error: Exception, attempts: int) -> None:
        pass


class Forgetful(Consumer):
    """A planted bug: a replay is struck off the list and not carried out."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._seen: set[str] = set()

    async def _apply(self, entry: Entry) -> bool:
        if entry.event_id in self._seen:
            return True
        self._seen.add(entry.event_id)
        return await super()._apply(entry)


@pytest.mark.parametrize(
    ("kind", "finding"), [(Dropping, r"assert \[\] =="), (Forgetful, "assert 0 == 1")], ids=["dropped", "forgotten"]
)
async def test_an_event_that_is_dropped_or_never_replayed_would_be_seen(
    kind: type[Consumer], finding: str, tmp_path: Path
) -> None:
    fast_path = InProcessFastPath()
    async with (
        a_publisher(f"sqlite:///{tmp_path}/probe.sqlite3", fast_path) as publisher,
        served(publisher, tmp_path) as client,
    ):
        with pytest.raises(AssertionError, match=finding):
            await listed_mended_and_replayed(publisher, client, fast_path, kind)


async def applied_in_batches(publisher: Publisher, client: Client, fast_path: FastPath) -> Effects:
    """Three hundred events of three aggregates wait; one of them cannot be applied for half a second."""
    effects = Effects()
    effects.batch_takes_s = 0.3  # so that others wait behind it
    effects.fails["away"] = RemoteError.of(Trouble.UNAVAILABLE)
    for version in range(1, 101):
        for aggregate in range(1, 4):
            await publisher.commit(aggregate, version, "away" if (aggregate, version) == (2, 2) else "fine")

    slow = Patience((0.5,) * 200)
    async with consuming(client, fast_path, effects, together=effects.together, patience=slow):
        await until(lambda: len(effects.texts) >= 300 - 99, 30.0)
        effects.fails.clear()
        await until_acked(publisher, 300)
    return effects


def in_order(effects: Effects) -> bool:
    return all(versions == list(range(1, 101)) for versions in effects.by_aggregate.values())


async def test_what_waits_is_applied_together_in_order_and_a_failure_keeps_up_its_own_aggregate_only(
    publisher: Publisher, client: Client, fast_path: FastPath
) -> None:
    effects = await applied_in_batches(publisher, client, fast_path)

    assert in_order(effects)
    assert len(effects.texts) == 300
    assert effects.batches < 30


async def test_behind_a_batch_that_failed_nobody_of_its_aggregates_is_in_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chassis.bus.consumer.MOST_TOGETHER", 2)
    window = _Window(0, together=True)
    for position, aggregate in enumerate("ABACBC", 1):
        window.add(Entry(position=position, tenant_id="t", aggregate_id=aggregate))

    lanes = list(window.apart(window.batch()))
    behind = [window.next_of(("t", "A")) for _ in range(2)]

    assert lanes == [("t", "A"), ("t", "B")]
    assert [entry and entry.position for entry in behind] == [1, 3]
    assert [entry.position for entry in window.batch()] == [4, 6]
    assert not window.loose.is_set()


async def test_an_event_that_breaks_a_rule_is_parked_at_once_with_the_mend(
    publisher: Publisher, client: Client, fast_path: FastPath
) -> None:
    effects = Effects()
    effects.fails["late"] = Locked("the timesheet is locked: adjust it, then replay")
    async with consuming(client, fast_path, effects):
        await publisher.commit(1, 1, "late")
        await until_acked(publisher, 1)
        parked = await listed(client)

    assert effects.delivered == {1: 1}
    assert parked[0].reason == "time.roster: TIMESHEET_LOCKED: the timesheet is locked: adjust it, then replay"


async def test_others_go_on_while_one_event_waits_for_its_next_try(
    publisher: Publisher, client: Client, fast_path: FastPath
) -> None:
    effects = Effects()
    effects.fails["away"] = RemoteError.of(Trouble.UNAVAILABLE)
    async with consuming(client, fast_path, effects, patience=Patience((30.0, 30.0, 30.0, 30.0))):
        await publisher.commit(1, 1, "away")
        for version in range(1, 51):
            await publisher.commit(1 + version, 1, "fine")
        await until(lambda: len(effects.texts) == 50)

    assert await acked(publisher) == 0


async def test_a_slow_event_bounds_how_far_the_others_run_ahead(
    publisher: Publisher, client: Client, fast_path: FastPath
) -> None:
    effects = Effects()
    effects.fails["away"] = RemoteError.of(Trouble.UNAVAILABLE)
    await publisher.commit(1, 1, "away", at=datetime.now(UTC) - timedelta(seconds=1))  # the first of them all
    for aggregate in range(2, 8):
        await publisher.commit(aggregate, 1, *["fine"] * 100)
    async with consuming(client, fast_path, effects, patience=Patience((5.0,))):
        await until(lambda: len(effects.texts) >= 499)
        await asyncio.sleep(0.3)
        ahead = len(effects.texts)
        await until_acked(publisher, 601)

    assert ahead == 499


async def test_the_request_id_of_a_step_is_the_same_at_every_delivery() -> None:
    entry = Entry(event_id="0192f0c0-0000-7000-8000-000000000001")

    assert request_id_of(entry, "roster") == request_id_of(entry, "roster")
    assert request_id_of(entry, "roster") != request_id_of(entry, "leave")


class Gullible(Consumer):
    """The planted bug: takes the fast path for the truth."""

    async def _take_in(self, window: Any, page: Any, tasks: asyncio.TaskGroup) -> None:
        while True:
            heard = await self._fast_path.read(self._client.service, window.taken, 100, 0.2)
            for entry in heard:
                window.taken = entry.position - 1  # gaps are not noticed
                await self._admit(window, [entry], 0, tasks)


async def with_redis_killed_flushed_and_set_back(tmp_path: Path, kind: type[Consumer]) -> tuple[Effects, int]:
    """What was applied of how many committed events; waits until all are, or for 3 s without progress."""
    effects = Effects()
    total = 0
    with PrivateRedis() as redis:
        fast_path, publishing = RedisFastPath(redis.url), RedisFastPath(redis.url)
        url = f"sqlite:///{tmp_path}/probe.sqlite3"
        async with (
            a_publisher(url, publishing) as publisher,
            served(publisher, tmp_path) as client,
            consuming(client, fast_path, effects, kind=kind),
        ):

            async def some(count: int) -> None:
                nonlocal total
                for _ in range(count):
                    total += 1
                    await publisher.commit(total % 7, total)

            await some(30)
            old = await asyncio.to_thread(redis.snapshot)
            await some(30)
            await asyncio.to_thread(redis.kill)
            await some(30)
            await asyncio.to_thread(redis.start)
            await some(30)
            await asyncio.to_thread(redis.flush)
            await some(30)
            await asyncio.to_thread(redis.restart_from, old)
            await some(30)
            seen = -1
            while len(effects.texts) < total and seen != len(effects.texts):
                seen = len(effects.texts)
                await asyncio.sleep(3.0)
        await fast_path.close()
        await publishing.close()
    return effects, total


@pytest.mark.usefixtures("redis_server")  # `--fast` leaves out what needs a server
async def test_every_event_is_applied_once_although_redis_is_killed_flushed_and_set_back(tmp_path: Path) -> None:
    effects, total = await with_redis_killed_flushed_and_set_back(tmp_path, Consumer)

    assert total == 180
    assert effects.delivered == dict.fromkeys(range(1, 181), 1)
    assert all(versions == sorted(versions) for versions in effects.by_aggregate.values())


@pytest.mark.usefixtures("redis_server")  # `--fast` leaves out what needs a server
async def test_a_consumer_that_trusts_redis_would_lose_events(tmp_path: Path) -> None:
    effects, total = await with_redis_killed_flushed_and_set_back(tmp_path, Gullible)

    assert len(effects.delivered) < total


async def test_a_lying_fast_path_cannot_make_a_consumer_skip_or_repeat(tmp_path: Path) -> None:
    """The planted bug: a fast path that drops, repeats and reorders. The feed must put it right."""

    class Lying(InProcessFastPath):
        async def publish(self, context: str, entries: Any) -> None:
            shuffled = [entry for entry in entries if entry.position % 3] + list(entries[:1])
            await super().publish(context, shuffled[::-1])

    effects = Effects()
    fast_path = Lying()
    async with (
        a_publisher(f"sqlite:///{tmp_path}/probe.sqlite3", fast_path) as publisher,
        served(publisher, tmp_path) as client,
        consuming(client, fast_path, effects),
    ):
        for version in range(1, 41):
            await publisher.commit(version % 3, version, "one", "two")
        await until_acked(publisher, 80)

    assert effects.delivered == dict.fromkeys(range(1, 81), 1)


class Asked:
    """What a sift was asked, and what it lets through: events whose text ends so."""

    def __init__(self, ending: str, fails: Exception | None = None) -> None:
        self.ending, self.fails = ending, fails
        self.batches: list[int] = []

    async def __call__(self, entries: Sequence[Entry]) -> Collection[str]:
        self.batches.append(len(entries))
        if self.fails is not None:
            raise self.fails
        return {entry.event_id for entry in entries if event_of(entry).text.endswith(self.ending)}  # type: ignore[attr-defined]


async def test_a_sift_is_asked_once_about_many_events_and_the_handler_sees_what_it_wants(
    publisher: Publisher, client: Client, fast_path: FastPath
) -> None:
    effects, sift = Effects(), Asked("wanted")
    for version in range(1, 41):
        await publisher.commit(version % 4, version, "wanted" if version % 5 == 0 else "not")
    while await publisher.sequencer.sequence():
        pass

    async with consuming(client, fast_path, effects, sift=sift, gather_s=0.05):
        await until_acked(publisher, 40)
        await publisher.commit(1, 41, "also wanted")
        await publisher.commit(1, 42, "not")
        await until_acked(publisher, 42)

    assert sum(sift.batches) == 42
    assert len(sift.batches) < 6
    assert sorted(effects.texts) == ["also wanted", *["wanted"] * 8]


async def test_where_the_sift_fails_the_handler_sees_everything(
    publisher: Publisher, client: Client, fast_path: FastPath
) -> None:
    effects = Effects()
    for version in range(1, 6):
        await publisher.commit(1, version, "any")

    async with consuming(client, fast_path, effects, sift=Asked("none", fails=RuntimeError("away"))):
        await until_acked(publisher, 5)

    assert effects.by_aggregate == {str(UUID(int=1)): [1, 2, 3, 4, 5]}


async def test_a_replay_is_seen_by_the_handler_though_the_sift_wants_nothing(
    publisher: Publisher, client: Client, fast_path: FastPath
) -> None:
    effects, sift = Effects(), Asked("")
    effects.fails["bad"] = Locked("not now")
    await publisher.commit(1, 1, "bad")
    async with consuming(client, fast_path, effects, sift=sift):
        await until_acked(publisher, 1)
        effects.fails.clear()
        sift.ending = "nothing"
        stub = client.stub(feed_grpc.EventFeedServiceStub)
        [one] = (
            await client.call(stub.ListParked, feed_pb2.ListParkedRequest(), principal=feed_principal("test"))
        ).parked_events

        await client.call(
            stub.Replay,
            feed_pb2.ReplayRequest(consumer="time.roster", event_id=one.entry.event_id),
            principal=feed_principal("test"),
        )

        await until(lambda: effects.texts == ["bad"], seconds=20.0)


class Counting(Consumer):
    """Counts how often it asks the feed, and what it was given."""

    asked = given = 0

    async def _read(self, limit: int) -> feed_pb2.ReadResponse:
        type(self).asked += 1
        page = await super()._read(limit)
        type(self).given += len(page.entries)
        return page


@pytest.mark.parametrize("fast_path", ["in process"], indirect=True)  # of a silent Redis, the feed knows more
async def test_who_acknowledges_seldom_is_not_given_everything_again_with_each_look_after_the_lease(
    publisher: Publisher, client: Client, fast_path: FastPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "TOUCH_S", 0.2)
    effects = Effects()
    async with consuming(client, fast_path, effects, kind=Counting, ack_every_s=60.0):
        await until(lambda: Counting.asked > 0)
        for version in range(1, 31):
            await publisher.commit(1, version, "next")
        await until(lambda: len(effects.texts) == 30)
        Counting.asked = Counting.given = 0

        await until(lambda: Counting.asked >= 5)

    assert Counting.given <= Counting.asked
    assert len(effects.texts) == 30


async def test_in_one_process_silence_needs_no_look_at_the_feed(
    publisher: Publisher, client: Client, fast_path: FastPath
) -> None:
    Counting.asked = Counting.given = 0
    await publisher.commit(1, 1, "one")

    async with consuming(client, fast_path, Effects(), kind=Counting):
        await until_acked(publisher, 1)
        before = Counting.asked
        if fast_path.head_of("probe") is None:
            await until(lambda: Counting.asked >= before + 2)
        else:
            await asyncio.sleep(2.5)
            assert Counting.asked <= before + 1


async def test_what_the_fast_path_was_never_told_is_found_all_the_same(
    publisher: Publisher, client: Client, fast_path: FastPath
) -> None:
    effects = Effects()
    async with consuming(client, fast_path, effects):
        await publisher.commit(1, 1, "told")
        await until_acked(publisher, 1)
        publisher.sequencer._fast_path = InProcessFastPath()  # nobody reads it

        await publisher.commit(1, 2, "not told")

        await until(lambda: effects.texts == ["told", "not told"], seconds=20.0)
