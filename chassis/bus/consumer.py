"""A consumer of one data service's events: in order per aggregate, several aggregates at once, never past a failure."""

import asyncio
import contextlib
import os
import random
import secrets
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message
from muster.event.v1 import event_feed_pb2, event_feed_pb2_grpc
from prometheus_client import Counter, Gauge

from chassis.assertion import ALL_TENANTS
from chassis.bus.port import Entry, FastPath
from chassis.principal import Principal
from chassis.rpc.channels import Client, spending
from chassis.rpc.error_map import RemoteError, kind_of
from kernel.errors import DomainError, Kind
from kernel.ids import derived_id

log = structlog.get_logger(__name__)

Handler = Callable[[Entry], Awaitable[None]]
Together = Callable[[Sequence[Entry]], Awaitable[None]]
"""Applies several entries in one go, all of them or none, an aggregate's in the order in which they stand."""
Sift = Callable[[Sequence[Entry]], Awaitable[Collection[str]]]

SILENCE_S = 1.0
TOUCH_S = 4.0  # the lease of 15 s is extended at least so often
ELSEWHERE_S = 3.0
PAGE = 100
WINDOW = 500
AT_ONCE = 8
MOST_TOGETHER = 200
HANDLER_LIMIT_S = 30.0
CALL_LIMIT_S = 5.0
RELEASE_LIMIT_S = 0.5
ACK_EVERY_S = 0.05
ENOUGH = WINDOW // 2  # done and not acknowledged: then a slow acknowledgement waits no longer
BACKOFF_S = (0.2, 1.0, 5.0, 30.0)  # between five tries

LAG = Gauge("muster_consumer_lag", "Events published but not yet acknowledged", ("consumer",))
HANDLED = Counter("muster_consumer_events_total", "Events handled", ("consumer", "outcome"))


def event_of(entry: Entry) -> Message:
    """The publisher's message. Raises KeyError where this program does not know the type."""
    descriptor = descriptor_pool.Default().FindMessageTypeByName(entry.type)
    kind: Any = message_factory.GetMessageClass(descriptor)
    event: Message = kind.FromString(entry.payload)
    return event


def request_id_of(entry: Entry, step: str) -> UUID:
    """The request id of what a step does about this event: the same at every delivery."""
    return derived_id("event", entry.event_id, step)


def feed_principal(name: str) -> Principal:
    """Who reads a feed: the process, for all tenants, with no right but that."""
    return Principal(ALL_TENANTS, f"process:{name}", frozenset({"process"}))


@dataclass(frozen=True, slots=True)
class Patience:
    """How a failing event is tried: pauses in seconds between tries, one fewer than the tries; then it is parked."""

    pauses_s: Sequence[float] = BACKOFF_S

    @property
    def tries(self) -> int:
        """How often an event is tried at most."""
        return len(self.pauses_s) + 1


def each_at_once(handler: Handler) -> Together:
    """For a handler that gathers what comes at once by itself, in the order in which it came."""

    async def together(entries: Sequence[Entry]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for entry in entries:
                tasks.create_task(_handled(handler, entry))

    return together


async def _handled(handler: Handler, entry: Entry) -> None:
    await handler(entry)


class _LeaseLost(Exception):
    """Another worker reads for this consumer now."""


class _Window:
    """The entries between what is acknowledged and what was taken in.

    Invariants: an entry is taken in once; an aggregate's entries run one after the other in order of position, or
    stand so in one batch; `acked` never passes an entry that is not done.
    """

    def __init__(self, acked: int, *, together: bool = False) -> None:
        """`together`: what is taken in waits for a batch, not for its lane."""
        self.acked = acked  # as the feed knows it
        self.taken = acked  # newest position taken in
        self.progress = asyncio.Event()
        self._done: set[int] = set()
        self._done_up_to = acked
        self._lanes: dict[tuple[str, str], deque[Entry]] = {}
        self.replaying: set[str] = set()
        self._together = together
        self._loose: deque[Entry] = deque()  # of no lane that runs; for a batch
        self.loose = asyncio.Event()

    def add(self, entry: Entry) -> tuple[str, str] | None:
        """Take an entry in; the name of a lane that has to be started for it, if any."""
        lane = _lane(entry)
        waiting = self._lanes.get(lane)
        if waiting is not None:
            waiting.append(entry)
            return None
        if self._together:
            self._loose.append(entry)
            self.loose.set()
            return None
        self._lanes[lane] = deque((entry,))
        return lane

    def batch(self) -> Sequence[Entry]:
        """The next entries to apply together, in the order in which they were taken in; none: wait for `loose`."""
        found = [self._loose.popleft() for _ in range(min(len(self._loose), MOST_TOGETHER))]
        if not self._loose:
            self.loose.clear()
        return found

    def apart(self, batch: Sequence[Entry]) -> Iterable[tuple[str, str]]:
        """Give each aggregate of a batch, with what waits behind it, a lane of its own; the lanes to start."""
        for entry in batch:
            self._lanes.setdefault(_lane(entry), deque()).append(entry)
        waiting, self._loose = self._loose, deque()
        for entry in waiting:
            self._lanes.get(_lane(entry), self._loose).append(entry)
        if not self._loose:
            self.loose.clear()
        return dict.fromkeys(_lane(entry) for entry in batch)

    def next_of(self, lane: tuple[str, str]) -> Entry | None:
        """The lane's next entry, None when it is empty and ends."""
        waiting = self._lanes[lane]
        if not waiting:
            del self._lanes[lane]
            return None
        return waiting.popleft()

    def done(self, position: int) -> None:
        """The entry was applied or parked."""
        self._done.add(position)
        while self._done_up_to + 1 in self._done:
            self._done_up_to += 1
            self._done.remove(self._done_up_to)
        self.progress.set()

    @property
    def ready_to_ack(self) -> int:
        """Everything up to here is done."""
        return self._done_up_to

    @property
    def full(self) -> bool:
        """Whether to wait for the oldest entry before taking more."""
        return self.taken - self._done_up_to >= WINDOW


def _lane(entry: Entry) -> tuple[str, str]:
    return entry.tenant_id, entry.aggregate_id


class Consumer:
    """Applies the events of one data service, one worker of the fleet at a time.

    Invariants: an event is acknowledged only after its handler returned or it was parked; a handler may see an event
    again after a crash, so it is idempotent; one that breaks a rule is parked at once, one that fails otherwise after
    five tries; at most 500 events are in memory and `at_once` run at once, never two of one aggregate; a batch is
    applied whole or its events one by one.
    """

    def __init__(
        self,
        name: str,
        client: Client,
        fast_path: FastPath,
        handler: Handler,
        *,
        types: Collection[str] = (),
        at_once: int = AT_ONCE,
        patience: Patience | None = None,
        ack_every_s: float = ACK_EVERY_S,
        together: Together | None = None,
        sift: Sift | None = None,
        gather_s: float = 0.0,
    ) -> None:
        """`name`: "time.roster"; `types`: full names of the messages to hear of, none for all.

        `together` is asked first, for up to 200 events of any aggregates; where it fails, the handler is, for each.
        `ack_every_s`: each acknowledgement is a write of the publisher's database; a consumer that hears of everything
        makes few, and hears of more again after a crash. `sift` is asked once about all events that came together, and
        gives the ids of those that the handler has to see; where it fails, the handler sees all, with its tries.
        `gather_s`: how long to wait after events, so that more of the next ones come together.
        """
        self.name = name
        self.worker_id = f"{socket.gethostname()[:60]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._client = client
        self._stub = client.stub(event_feed_pb2_grpc.EventFeedServiceStub)
        self._fast_path = fast_path
        self._handler = handler
        self._together = together
        self._types = frozenset(types)
        self._slots = asyncio.Semaphore(at_once)
        self._patience = patience or Patience()
        self._ack_every_s = ack_every_s
        self._sift, self._gather_s = sift, gather_s
        self._principal = feed_principal(name)
        self._lag = LAG.labels(name)

    async def run(self) -> None:
        """Consume until cancelled. For `Lifecycle.spawn`."""
        try:
            while True:
                try:
                    page = await self._read(PAGE)
                    if page.leased_elsewhere:
                        await asyncio.sleep(ELSEWHERE_S)
                        continue
                    await self._consume(page)
                except _LeaseLost:
                    log.info("another worker took over", consumer=self.name)
                except RemoteError as error:
                    log.warning("the feed cannot be read", consumer=self.name, reason=error.reason)
                await asyncio.sleep(SILENCE_S)
        finally:
            with contextlib.suppress(RemoteError):
                await self._release()

    async def _consume(self, page: event_feed_pb2.ReadResponse) -> None:
        """Work as long as the lease is ours. Raises _LeaseLost, RemoteError."""
        window = _Window(page.acked_position, together=self._together is not None)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._acknowledge(window))
                if self._together is not None:
                    tasks.create_task(self._run_batches(window, self._together, tasks))
                await self._take_in(window, page, tasks)
        except BaseExceptionGroup as group:
            # One failure cancels all lanes; it alone says why.
            raise _first(group) from None

    async def _take_in(self, window: _Window, page: event_feed_pb2.ReadResponse, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if page.leased_elsewhere:
                raise _LeaseLost
            # Consumers that began together must not ask together for ever.
            touched, before = loop.time() - random.uniform(0.0, TOUCH_S / 4), window.taken
            await self._admit(window, page.entries, page.acked_position, tasks)
            self._lag.set(max(page.head_position - window.ready_to_ack, 0))
            behind = before < window.taken < page.head_position
            while loop.time() - touched < TOUCH_S:
                if window.full:
                    await self._progress(window)
                    behind = window.taken < page.head_position
                    continue
                if behind:
                    break
                heard = await self._fast_path.read(self._client.service, window.taken, WINDOW, SILENCE_S)
                if not heard and self._fast_path.head_of(self._client.service) == window.taken:
                    continue  # nothing happened
                if not heard or heard[0].position != window.taken + 1:
                    break  # silence, or a gap: the feed knows
                await self._admit(window, heard, 0, tasks)
                if self._gather_s:
                    await asyncio.sleep(self._gather_s)
            else:
                page = await self._touch()
                continue
            page = await self._read(WINDOW)

    async def _admit(self, window: _Window, entries: Sequence[Entry], acked: int, tasks: asyncio.TaskGroup) -> None:
        """Start what is next in line. `acked`: where the feed stood when it gave them; what lies below is a replay."""
        wanted = await self._wanted(window, entries)
        for entry in entries:
            if entry.position <= acked:
                if entry.event_id in window.replaying:
                    continue
                window.replaying.add(entry.event_id)
            elif entry.position != window.taken + 1 or window.full:
                continue  # known already, after a gap, or more than there is room for: it is read again
            else:
                window.taken = entry.position
                if entry.event_id not in wanted:
                    window.done(entry.position)
                    continue
            lane = window.add(entry)
            if lane is not None:
                tasks.create_task(self._run_lane(window, lane))

    async def _run_batches(self, window: _Window, together: Together, tasks: asyncio.TaskGroup) -> None:
        while True:
            await window.loose.wait()
            batch = window.batch()
            if window.replaying.isdisjoint(entry.event_id for entry in batch) and await self._apply_together(
                together, batch
            ):
                for entry in batch:
                    window.done(entry.position)
                continue
            for lane in window.apart(batch):
                tasks.create_task(self._run_lane(window, lane))

    async def _apply_together(self, together: Together, batch: Sequence[Entry]) -> bool:
        """Whether the whole batch was applied; why it was not, its entries say when they are applied one by one."""
        try:
            with spending(HANDLER_LIMIT_S, trace_id=f"event-{batch[0].event_id}"):
                async with asyncio.timeout(HANDLER_LIMIT_S):
                    await together(batch)
        except Exception as error:
            log.info("events are applied one by one", consumer=self.name, count=len(batch), reason=_reason(error))
            return False
        HANDLED.labels(self.name, "applied").inc(len(batch))
        return True

    async def _wanted(self, window: _Window, entries: Sequence[Entry]) -> Collection[str]:
        """The ids of the new entries that the handler has to see."""
        new = [entry for entry in entries if entry.position > window.taken]
        if self._types:
            new = [entry for entry in new if entry.type in self._types]
        if self._sift is not None and new:
            try:
                return frozenset(await self._sift(new))
            except Exception as error:
                log.info("events not sifted", consumer=self.name, reason=_reason(error))
        return frozenset(entry.event_id for entry in new)

    async def _run_lane(self, window: _Window, lane: tuple[str, str]) -> None:
        while (entry := window.next_of(lane)) is not None:
            replay = entry.event_id in window.replaying
            applied = await self._apply(entry)
            if replay:
                if applied:
                    await self._persist(lambda entry=entry: self._resolve(entry))  # type: ignore[misc]
                window.replaying.discard(entry.event_id)
            else:
                window.done(entry.position)

    async def _apply(self, entry: Entry) -> bool:
        """True once the handler returned; False once the event was parked instead."""
        tries = self._patience.tries
        for attempt in range(1, tries + 1):
            try:
                async with self._slots:
                    with spending(HANDLER_LIMIT_S, trace_id=f"event-{entry.event_id}"):
                        async with asyncio.timeout(HANDLER_LIMIT_S):
                            await self._handler(entry)
            except Exception as error:
                kind = kind_of(error)
                by_rule = isinstance(kind, Kind) and kind is not Kind.STALE
                # A long outage is told at its beginning and its end, not 500 times every few seconds.
                tell = log.warning if by_rule or attempt in (1, tries) else log.debug
                tell(
                    "event not applied", consumer=self.name, event_id=entry.event_id, type=entry.type,
                    position=entry.position, attempt=attempt, kind=kind.name, reason=_reason(error), exc_info=error,
                )  # fmt: skip
                if by_rule or attempt == tries:
                    await self._persist(lambda error=error, attempt=attempt: self._park(entry, error, attempt))  # type: ignore[misc]
                    HANDLED.labels(self.name, "parked").inc()
                    return False
                await asyncio.sleep(self._patience.pauses_s[attempt - 1])
            else:
                HANDLED.labels(self.name, "applied").inc()
                return True
        raise AssertionError("unreachable")

    async def _acknowledge(self, window: _Window) -> None:
        while True:
            await window.progress.wait()
            waited = 0.0
            while waited < self._ack_every_s and window.ready_to_ack - window.acked < ENOUGH:
                await asyncio.sleep(ACK_EVERY_S)
                waited += ACK_EVERY_S
            window.progress.clear()
            position = window.ready_to_ack
            if position > window.acked:
                await self._call_ack(position)
                window.acked = position

    @staticmethod
    async def _progress(window: _Window) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SILENCE_S):
                await window.progress.wait()
                await asyncio.sleep(ACK_EVERY_S)

    # ------------------------------------------------------------------------------------------ the feed's methods

    async def _touch(self) -> event_feed_pb2.ReadResponse:
        """Keep the lease, and hear of replays; what was taken in and is not acknowledged yet is not read again."""
        page = await self._read(1)
        replays = any(entry.position <= page.acked_position for entry in page.entries)
        return await self._read(WINDOW) if replays else page

    async def _read(self, limit: int) -> event_feed_pb2.ReadResponse:
        request = event_feed_pb2.ReadRequest(consumer=self.name, worker_id=self.worker_id, limit=limit)
        return await self._client.call(self._stub.Read, request, principal=self._principal, timeout_s=CALL_LIMIT_S)

    async def _call_ack(self, position: int) -> None:
        request = event_feed_pb2.AckRequest(consumer=self.name, worker_id=self.worker_id, position=position)
        try:
            await self._client.call(self._stub.Ack, request, principal=self._principal, timeout_s=CALL_LIMIT_S)
        except RemoteError as error:
            if isinstance(error.kind, Kind):
                raise _LeaseLost from error
            raise

    async def _park(self, entry: Entry, error: Exception, attempts: int) -> None:
        request = event_feed_pb2.ParkRequest(
            consumer=self.name,
            event_id=entry.event_id,
            position=entry.position,
            reason=why(self.name, error)[:500],
            attempts=attempts,
        )
        await self._client.call(self._stub.Park, request, principal=self._principal, timeout_s=CALL_LIMIT_S)

    async def _resolve(self, entry: Entry) -> None:
        request = event_feed_pb2.ResolveRequest(consumer=self.name, event_id=entry.event_id)
        await self._client.call(self._stub.Resolve, request, principal=self._principal, timeout_s=CALL_LIMIT_S)

    async def _release(self) -> None:
        request = event_feed_pb2.ReleaseRequest(consumer=self.name, worker_id=self.worker_id)
        await self._client.call(self._stub.Release, request, principal=self._principal, timeout_s=RELEASE_LIMIT_S)

    async def _persist(self, work: Callable[[], Awaitable[None]]) -> None:
        """Until it works or the lease is lost, which cancels us: what a handler did must be remembered."""
        while True:
            try:
                await work()
                return
            except RemoteError as error:
                if isinstance(error.kind, Kind):
                    raise
                await asyncio.sleep(SILENCE_S)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", type(error).__name__))


def why(step: str, error: BaseException) -> str:
    """For the person who mends it; the text of an unexpected exception may hold values and stays in the log."""
    if isinstance(error, DomainError | RemoteError):
        return f"{step}: {error.reason}: {error.message}"
    return f"{step}: failed unexpectedly ({type(error).__name__}); see the log"
