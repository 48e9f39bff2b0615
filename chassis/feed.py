"""A context's durable feed of published events: the sequencer that gives positions, and the service that reads them."""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
import structlog
from muster.event.v1 import event_feed_pb2, event_feed_pb2_grpc
from sqlalchemy.engine import RowMapping

from chassis.assertion import ALL_TENANTS
from chassis.bus.port import FastPath
from chassis.clock import SystemClock
from chassis.connections import Duplicate, Unavailable
from chassis.database import Database, Lock, Prepared, PreparedChange, SystemScope, SystemTx
from chassis.paging import from_token, page_size, to_token
from chassis.principal import Call, current_call
from chassis.tables import consumer, feed_head, outbox, parked
from chassis.telemetry import EVENTS_PUBLISHED, OUTBOX_DELAY_SECONDS
from chassis.unit_of_work import Commands, UnitOfWork
from kernel.clock import Clock
from kernel.errors import DomainError, Kind

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=15)
BATCH = 500
UPDATE_ROWS = 100
BRIEF_ROWS = 32  # that are numbered without a thread
DEFAULT_LIMIT = 100
PAGE_BYTES = 2 * 1024 * 1024
QUIET_S = 1.0
GATHER_S = 0.002  # commits of the same instant share one transaction of the sequencer
PACE_S = 0.1  # between two transactions of it: where commits come fast, it must not take every other turn to write
WATCH_S = 0.05  # how late a waiting reader hears of what another process sequenced
ALONE_S = 1.0  # no other process writes into a SQLite file
WAIT_SPARE_S = 0.5  # of a call's deadline, for the answer
KEPT = timedelta(days=30)
LIVE = timedelta(days=30)
PURGE_ROWS = 1000

_ASIDE = parked.join(outbox, (outbox.c.tenant_id == parked.c.tenant_id) & (outbox.c.event_id == parked.c.event_id))
_ONE_WAITING = Prepared(sa.select(outbox.c.event_id).where(outbox.c.position.is_(None)).limit(1))
# Lowest versions first: a version that is visible has all its predecessors visible, so a page that is cut off never
# holds one without them.
_WAITING = Prepared(
    sa.select(outbox)
    .where(outbox.c.position.is_(None))
    .order_by(outbox.c.aggregate_version, outbox.c.ordinal, outbox.c.event_id)
    .limit(BATCH)
)
_HEAD = Prepared(sa.select(feed_head.c.position).where(feed_head.c.id == 1))
_WHOLE_HEAD = Prepared(sa.select(feed_head).where(feed_head.c.id == 1))
_CONSUMER = Prepared(sa.select(consumer).where(consumer.c.name == sa.bindparam("consumer")))
_AFTER = Prepared(
    sa.select(outbox)
    .where(outbox.c.position > sa.bindparam("after"))
    .order_by(outbox.c.position)
    .limit(sa.bindparam("most", type_=sa.Integer))
)
_REPLAYS = Prepared(
    sa.select(outbox)
    .select_from(_ASIDE)
    .where(parked.c.consumer == sa.bindparam("consumer"), parked.c.replay_time.is_not(None))
    .order_by(parked.c.position)
    .limit(sa.bindparam("most", type_=sa.Integer))
)
_HEAD_MOVED = PreparedChange(
    sa.update(feed_head).where(feed_head.c.id == 1).values(position=sa.bindparam("to_position"))
)

_EPOCH, _SECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(seconds=1)
_SCOPE = SystemScope("the feed serves every tenant's events in one order")


class LeaseLost(DomainError):
    """Another worker reads for this consumer now."""

    kind, reason = Kind.RULE, "LEASE_LOST"


class AheadOfFeed(DomainError):
    """A position that the feed has not given yet."""

    kind, reason = Kind.INVALID, "AHEAD_OF_FEED"


class EventNotParked(DomainError):
    """The consumer has not set this event aside."""

    kind, reason = Kind.NOT_FOUND, "EVENT_NOT_PARKED"


class FeedNeedsProcess(DomainError):
    """The feed of all tenants is for processes only."""

    kind, reason = Kind.FORBIDDEN, "FEED_NEEDS_PROCESS"


def entry_of(row: RowMapping, position: int | None = None) -> event_feed_pb2.Entry:
    """An outbox row as it is published."""
    entry = event_feed_pb2.Entry(
        position=row["position"] if position is None else position,
        event_id=str(row["event_id"]),
        tenant_id=str(row["tenant_id"]),
        type=row["type"],
        aggregate_type=row["aggregate_type"],
        aggregate_id=str(row["aggregate_id"]),
        aggregate_version=row["aggregate_version"],
        payload=bytes(row["payload"]),
    )
    since = row["occurred_time"] - _EPOCH  # FromDatetime takes three times as long
    entry.occurred_time.seconds, entry.occurred_time.nanos = since // _SECOND, since.microseconds * 1000
    return entry


# ---------------------------------------------------------------------------------------------- the sequencer


class Sequencer:
    """Gives committed outbox rows their positions and announces them on the fast path.

    Invariants: positions of a context start at 1 and have no gap; an aggregate's rows stand in the order of their
    versions; any number of processes may run one, the head row's lock lets them take turns.
    """

    def __init__(
        self, database: Database, context: str, fast_path: FastPath, moved: Callable[[], None] = lambda: None
    ) -> None:
        """`moved` is called after new positions were given."""
        self._database = database
        self._context = context
        self._fast_path = fast_path
        self._moved = moved
        self._woken = asyncio.Event()
        self._clock = SystemClock()
        self._delay = OUTBOX_DELAY_SECONDS.labels(context)
        self._numbered = EVENTS_PUBLISHED.labels(context)

    def wake(self) -> None:
        """There may be new rows (the `committed` of Commands)."""
        self._woken.set()

    async def run(self) -> None:
        """Sequence on every wake and, for rows of processes that died, every second. For `Lifecycle.spawn`."""
        clock = asyncio.get_running_loop()
        adopted = told = False
        while True:
            started = clock.time()
            try:
                if not adopted:
                    await self._fast_path.adopt(self._context, await self.head())
                    adopted = True
                while await self.sequence(told=told) == BATCH:
                    pass
            except Unavailable as error:
                log.warning("sequencer waits for its database", context=self._context, error=type(error).__name__)
                adopted = False  # positions may have been given that nobody was told of
                await asyncio.sleep(QUIET_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(QUIET_S):
                    await self._woken.wait()
                    await asyncio.sleep(max(started + PACE_S - clock.time(), GATHER_S))
            told = self._woken.is_set()
            self._woken.clear()

    async def head(self) -> int:
        """The newest position, 0 at the beginning."""
        async with self._database.system_read(_SCOPE) as tx:
            return await _head(tx)

    async def sequence(self, *, told: bool = False) -> int:
        """Give positions to at most 500 waiting rows and announce them; how many. Raises Unavailable.

        `told`: there are some, so that it need not look before it takes its turn to write.
        """
        if not told:
            async with self._database.system_read(_SCOPE) as tx:
                if not await tx.rows(_ONE_WAITING):
                    return 0
        entries = await self._assign()
        if entries:
            self._moved()
            await self._fast_path.publish(self._context, entries)
        return len(entries)

    async def _assign(self) -> list[event_feed_pb2.Entry]:
        # With few rows it takes part in the commit that is under way, if any.
        async with self._database.system(_SCOPE, together=True) as tx:
            head = await tx.row(_HEAD, lock=Lock.UPDATE)
            if head is None:
                with contextlib.suppress(Duplicate):
                    await tx.execute(sa.insert(feed_head).values(id=1, position=0))
                head = await tx.row(_HEAD, lock=Lock.UPDATE)
            assert head is not None
            rows = in_order(await tx.rows(_WAITING))
            numbered = list(enumerate(rows, head["position"] + 1))
            for start in range(0, len(numbered), UPDATE_ROWS):
                part = numbered[start : start + UPDATE_ROWS]
                values: dict[str, Any] = {}
                for index, (position, row) in enumerate(part):
                    values[f"p{index}"] = position
                    values[f"t{index}"], values[f"e{index}"] = row["tenant_id"].bytes, row["event_id"].bytes
                await tx.execute(_positions(len(part)), values, brief=len(part) <= BRIEF_ROWS)
            if numbered:
                await tx.execute(_HEAD_MOVED, {"to_position": numbered[-1][0]})
        if numbered:
            oldest = min(row["occurred_time"] for row in rows)
            self._delay.observe((self._clock.now() - oldest).total_seconds())
            self._numbered.inc(len(numbered))
        return [entry_of(row, position) for position, row in numbered]


def in_order(rows: Sequence[RowMapping]) -> list[RowMapping]:
    """By time across aggregates (event ids are UUIDv7), by version and ordinal within one."""
    lanes: dict[UUID, deque[RowMapping]] = defaultdict(deque)
    for row in sorted(rows, key=lambda row: (row["aggregate_version"], row["ordinal"])):
        lanes[row["aggregate_id"]].append(row)
    return [lanes[row["aggregate_id"]].popleft() for row in sorted(rows, key=lambda row: row["event_id"].bytes)]


@lru_cache(UPDATE_ROWS)
def _positions(count: int) -> sa.TextClause:
    """One statement for many rows: executemany would send each update alone, under the lock."""
    cases = " ".join(f"WHEN :e{index} THEN :p{index}" for index in range(count))
    keys = " OR ".join(f"(tenant_id = :t{index} AND event_id = :e{index})" for index in range(count))
    return sa.text(f"UPDATE outbox SET position = CASE event_id {cases} END WHERE {keys}")


async def _head(tx: SystemTx) -> int:
    row = await tx.row(_HEAD)
    return 0 if row is None else int(row["position"])


async def purge(database: Database, now: datetime) -> int:
    """Delete up to 1,000 events older than 30 days that every live consumer has acknowledged; how many.

    Parked events stay. A consumer that nobody has seen for 30 days holds nothing back.
    """
    slowest = sa.select(sa.func.min(consumer.c.acked_position).label("position")).where(
        consumer.c.seen_time > now - LIVE
    )
    aside = sa.select(parked.c.event_id).where(parked.c.event_id == outbox.c.event_id)
    old = (
        sa.select(outbox.c.tenant_id, outbox.c.event_id, outbox.c.position)
        .where(outbox.c.position.is_not(None), outbox.c.occurred_time < now - KEPT, ~aside.exists())
        .order_by(outbox.c.position)
        .limit(PURGE_ROWS)
    )
    async with database.system(SystemScope("retention of published events")) as tx:
        least = (await tx.rows(slowest))[0]["position"]
        rows = await tx.rows(old if least is None else old.where(outbox.c.position <= least))
        for row in rows:
            await tx.execute(
                sa.delete(outbox).where(outbox.c.tenant_id == row["tenant_id"], outbox.c.event_id == row["event_id"])
            )
        if rows:
            gone = rows[-1]["position"]
            behind = (feed_head.c.id == 1) & (feed_head.c.purged_position < gone)
            await tx.execute(sa.update(feed_head).where(behind).values(purged_position=gone))
    return len(rows)


# ---------------------------------------------------------------------------------------------- who waits for more


class HeadWatch:
    """The newest position, looked at for all readers that wait in this process together.

    Invariants: the database is asked only while somebody waits, once per pause however many do; the process's own
    sequencer tells of new positions at once, others' are seen after a pause.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pause_s = ALONE_S if database.sqlite else WATCH_S
        self._told = asyncio.Event()
        self._next = asyncio.Event()  # set and replaced whenever the head moved
        self._head = 0
        self._readers = 0
        self._watching: asyncio.Task[None] | None = None

    def tell(self) -> None:
        """The head moved: look at once."""
        self._told.set()

    async def beyond(self, position: int, wait_s: float) -> None:
        """Return once the head is beyond the position, or after `wait_s` seconds."""
        self._readers += 1
        if self._watching is None:
            self._head = 0
            self._watching = asyncio.create_task(self._watch(), name="feed head")
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    while self._head <= position:
                        await self._next.wait()
        finally:
            self._readers -= 1
            if not self._readers and self._watching is not None:
                self._watching.cancel()
                self._watching = None

    async def _watch(self) -> None:
        while True:
            self._told.clear()
            with contextlib.suppress(Unavailable):
                async with self._database.system_read(_SCOPE) as tx:
                    head = await _head(tx)
                if head != self._head:
                    self._head = head
                    self._next.set()
                    self._next = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s):
                    await self._told.wait()


# ---------------------------------------------------------------------------------------------- the service


class EventFeed(event_feed_pb2_grpc.EventFeedServiceServicer):
    """EventFeedService over one context's database; see the proto for each method.

    Invariants: one worker at a time reads for a consumer (a lease by the database's clock); an acknowledged position
    never goes back; only processes that act for all tenants read, acknowledge and park; a tenant lists its own only.
    """

    def __init__(self, database: Database, clock: Clock | None = None, head: HeadWatch | None = None) -> None:
        """`head`: what the sequencer of this process tells of new positions."""
        self._database = database
        self._head = head or HeadWatch(database)
        self._clock = clock or SystemClock()
        self._commands = Commands(database, UnitOfWork, lambda event: None, self._clock)

    @property
    def registration(self) -> tuple[Callable[[Any, Any], None], object]:
        """For `rpc.server.start`."""
        return event_feed_pb2_grpc.add_EventFeedServiceServicer_to_server, self

    async def Read(self, request: event_feed_pb2.ReadRequest, context: Any) -> event_feed_pb2.ReadResponse:
        """Entries after the acknowledged position, replays first. Takes or extends the lease."""
        call = _process_call()
        limit = request.limit or DEFAULT_LIMIT
        held = await self._hold(call, request.consumer, request.worker_id)
        async with self._database.system_read(_SCOPE, call.deadline) as tx:
            state = await tx.row(_CONSUMER, {"consumer": request.consumer})
            acked = 0 if state is None else int(state["acked_position"])
            answer = event_feed_pb2.ReadResponse(
                head_position=await _head(tx), acked_position=acked, leased_elsewhere=not held
            )
            if not held:
                return answer
            replays = await tx.rows(_REPLAYS, {"consumer": request.consumer, "most": limit})
            newer = await tx.rows(_AFTER, {"after": acked, "most": limit - len(replays)})
            rows = [*replays, *newer]
        answer.entries.extend(_bounded(rows))
        return answer

    async def Ack(self, request: event_feed_pb2.AckRequest, context: Any) -> event_feed_pb2.AckResponse:
        """Move the consumer forward. Raises LeaseLost, AheadOfFeed."""
        call = _process_call()
        now = await self._database.now()
        async with self._database.system(_SCOPE, call.deadline) as tx:
            state = await tx.row(sa.select(consumer).where(consumer.c.name == request.consumer), lock=Lock.UPDATE)
            if state is None or state["lease_owner"] != request.worker_id:
                raise LeaseLost(f"another worker reads for {request.consumer}: stop and read again")
            if request.position > await _head(tx):
                raise AheadOfFeed("this position was not given yet: read again", field="position")
            acked = max(int(state["acked_position"]), request.position)
            await tx.execute(
                sa.update(consumer)
                .where(consumer.c.name == request.consumer)
                .values(acked_position=acked, lease_until=now + LEASE, seen_time=now)
            )
        return event_feed_pb2.AckResponse(acked_position=acked)

    async def Park(self, request: event_feed_pb2.ParkRequest, context: Any) -> event_feed_pb2.ParkResponse:
        """Set an event aside, or say anew why it still is."""
        call = _process_call()
        now = await self._database.now()
        event_id = UUID(request.event_id)
        async with self._database.system(_SCOPE, call.deadline) as tx:
            event = await tx.row(
                sa.select(outbox.c.tenant_id).where(
                    outbox.c.position == request.position, outbox.c.event_id == event_id
                )
            )
            if event is None:
                raise EventNotParked("the feed has no such event at that position", field="event_id")
            values = {"reason": request.reason, "attempts": request.attempts, "parked_time": now, "replay_time": None}
            key = (parked.c.consumer == request.consumer) & (parked.c.event_id == event_id)
            if await tx.row(sa.select(parked.c.event_id).where(key), lock=Lock.UPDATE) is not None:
                await tx.execute(sa.update(parked).where(key).values(**values))
            else:
                new = {"consumer": request.consumer, "event_id": event_id, "position": request.position}
                await tx.execute(sa.insert(parked).values(**new, tenant_id=event["tenant_id"], **values))
        return event_feed_pb2.ParkResponse()

    async def ListParked(
        self, request: event_feed_pb2.ListParkedRequest, context: Any
    ) -> event_feed_pb2.ListParkedResponse:
        """Parked events that nobody has asked to replay, oldest position first; of the caller's tenant only."""
        call = current_call()
        size = page_size(request.page_size)
        statement = (
            sa.select(outbox, parked.c.consumer, parked.c.reason, parked.c.attempts, parked.c.parked_time)
            .select_from(_ASIDE)
            .where(parked.c.replay_time.is_(None))
            .order_by(parked.c.position, parked.c.consumer)
            .limit(size + 1)
        )
        if request.consumer:
            statement = statement.where(parked.c.consumer == request.consumer)
        if call.tenant_id != ALL_TENANTS:
            statement = statement.where(parked.c.tenant_id == call.tenant_id)
        after = from_token(request.page_token, (int, str))
        if after is not None:
            position, name = after
            later = (parked.c.position == position) & (parked.c.consumer > name)
            statement = statement.where((parked.c.position > position) | later)
        async with self._database.system_read(_SCOPE, call.deadline) as tx:
            rows = await tx.rows(statement)
        answer = event_feed_pb2.ListParkedResponse()
        for row in rows[:size]:
            one = answer.parked_events.add(consumer=row["consumer"], reason=row["reason"], attempts=row["attempts"])
            one.entry.CopyFrom(entry_of(row))
            one.parked_time.FromDatetime(row["parked_time"])
        if len(rows) > size:
            last = rows[size - 1]
            answer.next_page_token = to_token(last["position"], last["consumer"])
        return answer

    async def Replay(self, request: event_feed_pb2.ReplayRequest, context: Any) -> event_feed_pb2.ReplayResponse:
        """Hand a parked event out again; what a tenant asks for is a command of it. Raises EventNotParked."""
        call = current_call()
        now = await self._database.now()
        if call.tenant_id == ALL_TENANTS:
            async with self._database.system(_SCOPE, call.deadline) as system:
                if not await system.execute(sa.update(parked).where(_key(request)).values(replay_time=now)):
                    raise _not_parked()
            return event_feed_pb2.ReplayResponse()

        async def replay(unit: UnitOfWork) -> None:
            if not await unit.tx.execute(unit.tx.update(parked).where(_key(request)).values(replay_time=now)):
                raise _not_parked()
            unit.note(f"event/{request.event_id}", f"replay for {request.consumer}")

        done = await self._commands.run(replay, lambda _: event_feed_pb2.ReplayResponse())
        return cast(event_feed_pb2.ReplayResponse, done)

    async def Resolve(self, request: event_feed_pb2.ResolveRequest, context: Any) -> event_feed_pb2.ResolveResponse:
        """The replayed event was applied."""
        call = _process_call()
        statement = sa.delete(parked).where(_key(request))
        async with self._database.system(_SCOPE, call.deadline) as tx:
            await tx.execute(statement)
        return event_feed_pb2.ResolveResponse()

    async def Release(self, request: event_feed_pb2.ReleaseRequest, context: Any) -> event_feed_pb2.ReleaseResponse:
        """Give up the lease, so that another worker need not wait for its end."""
        call = _process_call()
        mine = (consumer.c.name == request.consumer) & (consumer.c.lease_owner == request.worker_id)
        async with self._database.system(_SCOPE, call.deadline) as tx:
            await tx.execute(sa.update(consumer).where(mine).values(lease_owner=None, lease_until=None))
        return event_feed_pb2.ReleaseResponse()

    async def List(self, request: event_feed_pb2.ListRequest, context: Any) -> event_feed_pb2.ListResponse:
        """Entries after a position, of the caller's tenant or all."""
        call, loop = current_call(), asyncio.get_running_loop()
        until = min(loop.time() + request.wait_ms / 1000, call.deadline - WAIT_SPARE_S)
        after, limit = request.after_position, request.limit or DEFAULT_LIMIT
        while True:
            answer = await self._list(call, after, limit, request.types)
            wait_s = until - loop.time()
            if answer.entries or wait_s <= 0:
                return answer
            after = answer.next_position
            await self._head.beyond(answer.head_position, wait_s)

    async def _list(self, call: Call, after: int, limit: int, types: Collection[str]) -> event_feed_pb2.ListResponse:
        async with self._database.system_read(_SCOPE, call.deadline) as tx:
            head = await tx.row(_WHOLE_HEAD)
            newest, purged = (0, 0) if head is None else (int(head["position"]), int(head["purged_position"]))
            after = max(after, purged)
            wanted = sa.select(outbox).where(outbox.c.position > after, outbox.c.position <= newest)
            if call.tenant_id != ALL_TENANTS:
                wanted = wanted.where(outbox.c.tenant_id == call.tenant_id)
            if types:
                wanted = wanted.where(outbox.c.type.in_(sorted(types)))
            behind = newest > after
            rows = await tx.rows(wanted.order_by(outbox.c.position).limit(limit)) if behind else []
        answer = event_feed_pb2.ListResponse(head_position=newest, oldest_position=purged + 1)
        answer.entries.extend(_bounded(rows))
        cut_off = len(rows) == limit or len(answer.entries) < len(rows)
        answer.next_position = answer.entries[-1].position if cut_off else max(after, newest)
        return answer

    async def _hold(self, call: Call, name: str, worker_id: str) -> bool:
        """Take or extend the lease; a write only where half of it has passed."""
        async with self._database.system_read(_SCOPE, call.deadline) as tx:
            state = await tx.row(_CONSUMER, {"consumer": name})
        fresh = self._clock.now() + LEASE / 2
        if state is not None and state["lease_until"] is not None and state["lease_until"] > fresh:
            return bool(state["lease_owner"] == worker_id)
        now = await self._database.now()
        lease = {"lease_owner": worker_id, "lease_until": now + LEASE, "seen_time": now}
        async with self._database.system(_SCOPE, call.deadline) as tx:
            state = await tx.row(_CONSUMER, {"consumer": name}, lock=Lock.UPDATE)
            if state is None:
                try:
                    await tx.execute(sa.insert(consumer).values(name=name, acked_position=0, **lease))
                except Duplicate:
                    return False  # another worker came at the same moment
                return True
            owner = state["lease_owner"]
            if owner not in (None, worker_id) and state["lease_until"] > now:
                return False
            await tx.execute(sa.update(consumer).where(consumer.c.name == name).values(**lease))
        return True


def _key(request: event_feed_pb2.ReplayRequest | event_feed_pb2.ResolveRequest) -> sa.ColumnElement[bool]:
    return (parked.c.consumer == request.consumer) & (parked.c.event_id == UUID(request.event_id))


def _not_parked() -> EventNotParked:
    return EventNotParked("this consumer has not set that event aside", field="event_id")


def _process_call() -> Call:
    call = current_call()
    if call.tenant_id != ALL_TENANTS:
        raise FeedNeedsProcess("only a process that acts for all tenants reads the feed")
    return call


def _bounded(rows: Iterable[RowMapping]) -> Iterable[event_feed_pb2.Entry]:
    """Entries until a page is full; what is left over comes with the next one."""
    room = PAGE_BYTES
    for row in rows:
        entry = entry_of(row)
        yield entry
        room -= entry.ByteSize()
        if room <= 0:
            return
