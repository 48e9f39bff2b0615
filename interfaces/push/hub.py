"""The hub of one process: who listens to what, the newest events, and the loop that looks after the connections."""

import asyncio
import contextlib
import random
import time
from collections import Counter as Tally
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import Counter, Gauge

from application.edge.refusal import Overloaded
from application.events.cursor import Cursor
from application.events.topics import Key, TooManyStreams
from chassis.bus.port import Entry
from chassis.principal import Principal
from interfaces.push.listener import Listener
from interfaces.push.message import RESET, Message, Published, heartbeat, told

log = structlog.get_logger(__name__)

REMEMBERED = 4096  # events, and
REMEMBERED_BYTES = 32 * 1024 * 1024  # of them in all
TICK_S = 1.0
HEARTBEAT_TICKS = 15
SLICE = 200  # deliveries before others get their turn
LONGEST_RETRY_MS = 5000

LISTENERS = Gauge("muster_push_listeners", "Open streams")
PUBLISHED = Counter("muster_push_events_total", "Events that the hub took in", ("service",))
DELIVERED = Counter("muster_push_deliveries_total", "Messages handed to listeners")
ENDED = Counter("muster_push_ended_total", "Streams ended by the hub", ("reason",))

TOO_SLOW, EXPIRED, DISABLED, REVOKED, DRAINING = (
    "TOO_SLOW", "TOKEN_EXPIRED", "ACCOUNT_DISABLED", "GRANTS_CHANGED", "DRAINING",
)  # fmt: skip
ENDS_ACCOUNT = {
    "muster.identity.v1.AccountDisabledEvent": DISABLED,
    "muster.identity.v1.AccountRevokedEvent": REVOKED,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """How many streams one process holds: in all, of one tenant, of one principal."""

    in_all: int = 10_000
    of_tenant: int = 5_000
    of_principal: int = 20


class Hub:
    """Hands what is published to those who may hear it.

    Invariants: `cursor` covers exactly what was handed out; a listener that joined hears each event after that once
    and in the order of `publish`; a message to one user costs as much as they have connections.
    """

    def __init__(self, limits: Limits | None = None, *, now_s: Callable[[], float] = time.time) -> None:
        self.limits = limits or Limits()
        self.draining = False
        self.reached = asyncio.Event()  # set and replaced with every event
        self._now_s = now_s
        self._positions: dict[str, int] = {}
        self._floor: dict[str, int] = {}  # by service: the newest position that is not remembered
        self._cursor: Cursor | None = None
        self._newest: deque[Published] = deque()
        self._newest_bytes = 0
        self._hearing: dict[Key, set[Listener]] = {}
        self._listeners: dict[Listener, int] = {}  # with the tick at which each gets its heartbeat
        self._places: Tally[str] = Tally()  # taken, by tenant and by principal
        self._taken = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self._turn = asyncio.Lock()
        self._joined = 0

    # ------------------------------------------------------------------------------------------ what was published

    @property
    def cursor(self) -> Cursor:
        """How far the feeds were handed out."""
        if self._cursor is None:
            self._cursor = Cursor(dict(self._positions))
        return self._cursor

    def begins(self, service: str, position: int) -> None:
        """What the service publishes after `position` will be handed out."""
        self._positions[service] = self._floor[service] = position
        self._cursor = None

    async def publish(self, service: str, entries: Sequence[Entry]) -> None:
        """Hand out events that follow, without a gap, on those before."""
        async with self._turn:
            for entry in entries:
                await self._publish(Published(service, entry))
        PUBLISHED.labels(service).inc(len(entries))

    async def _publish(self, event: Published) -> None:
        self._positions[event.service] = event.position
        self._cursor = None
        self._newest.append(event)
        self._newest_bytes += event.size
        while len(self._newest) > REMEMBERED or self._newest_bytes > REMEMBERED_BYTES:
            forgotten = self._newest.popleft()
            self._newest_bytes -= forgotten.size
            self._floor[forgotten.service] = forgotten.position
        hearers = [one for one in self._of(event.keys) if one.wants(event.entry.type)]
        self.reached.set()
        self.reached = asyncio.Event()
        if hearers:
            await self._hand_out(event.after(self.cursor), hearers)
        why = ENDS_ACCOUNT.get(event.entry.type)
        if why is not None:
            self.end_account(event.entry.tenant_id, event.entry.aggregate_id, why)

    async def tell(self, key: Key, message: Message) -> None:
        """Hand out what is no event and need not arrive: a busy listener goes without."""
        async with self._turn:
            hearers = [one for one in self._of((key,)) if one.wants(message.type) and not one.busy]
            await self._hand_out(message, hearers)

    async def _hand_out(self, message: Message, hearers: Sequence[Listener]) -> None:
        for start in range(0, len(hearers), SLICE):
            if start:
                await asyncio.sleep(0)
            for listener in hearers[start : start + SLICE]:
                if not listener.deliver(message):
                    self._end(listener, TOO_SLOW)
        DELIVERED.inc(len(hearers))

    def _of(self, keys: Iterable[Key]) -> Iterable[Listener]:
        found = [hearing for key in keys if (hearing := self._hearing.get(key))]
        return found[0] if len(found) == 1 else set().union(*found)

    def missed(self, cursor: Cursor) -> list[Published] | None:
        """What was handed out after the cursor, in order; None where the oldest of it is no longer remembered."""
        behind = 0
        for service, position in self._positions.items():
            at = cursor.at(service)
            if at < self._floor[service]:
                return None
            behind += max(position - at, 0)
        found = []
        for event in reversed(self._newest):
            if not behind:
                break
            if event.position > cursor.at(event.service):
                found.append(event)
                behind -= 1
        found.reverse()
        return found

    def is_behind(self, cursor: Cursor) -> bool:
        """Whether the cursor knows more than was handed out here."""
        return any(cursor.at(service) > position for service, position in self._positions.items())

    # ------------------------------------------------------------------------------------------ who listens

    def take_place(self, principal: Principal) -> None:
        """Count a stream before it begins. Raises Overloaded, TooManyStreams; else `leave_place` must follow."""
        retry = {"Retry-After": str(random.randint(1, 5))}
        if self.draining or self._taken >= self.limits.in_all:
            raise Overloaded("this process holds as many streams as it can; try again", headers=retry)
        tenant, person = _places(principal)
        if self._places[tenant] >= self.limits.of_tenant:
            raise TooManyStreams("your company has as many open streams as it may; close some", headers=retry)
        if self._places[person] >= self.limits.of_principal:
            raise TooManyStreams(f"you have {self.limits.of_principal} open streams; close some", headers=retry)
        self._taken += 1
        self._empty.clear()
        self._places[tenant] += 1
        self._places[person] += 1
        LISTENERS.set(self._taken)

    def leave_place(self, principal: Principal) -> None:
        """The stream is over."""
        self._taken -= 1
        if not self._taken:
            self._empty.set()
        for place in _places(principal):
            self._places[place] -= 1
            if not self._places[place]:
                del self._places[place]
        LISTENERS.set(self._taken)

    def join(self, listener: Listener) -> None:
        """From now on it hears what is published."""
        self._joined += 1
        self._listeners[listener] = self._joined % HEARTBEAT_TICKS
        for key in listener.keys:
            self._hearing.setdefault(key, set()).add(listener)
        if self.draining:
            self._end(listener, DRAINING)

    def leave(self, listener: Listener) -> None:
        """It hears nothing any more; may be called twice."""
        if self._listeners.pop(listener, None) is None:
            return
        for key in listener.keys:
            hearing = self._hearing[key]
            hearing.discard(listener)
            if not hearing:
                del self._hearing[key]

    def heard(self, key: Key) -> bool:
        """Whether anybody listens to the key."""
        return key in self._hearing

    def keys_heard(self) -> Iterable[Key]:
        """Every key that somebody listens to."""
        return self._hearing.keys()

    def end_account(self, tenant_id: str, account_id: str, reason: str) -> None:
        """End all streams of an account."""
        for listener in list(self._listeners):
            principal = listener.principal
            if principal.subject == account_id and str(principal.tenant_id) == tenant_id:
                self._end(listener, reason)

    def start_over(self, reason: str) -> None:
        """The feeds are not what they were (a backup was restored): everybody has to read again."""
        self._newest.clear()
        self._newest_bytes = 0
        self._floor = dict(self._positions)
        message = told(RESET, {"reason": reason}, cursor=str(self.cursor))
        for listener in list(self._listeners):
            if not listener.deliver(message):
                self._end(listener, TOO_SLOW)

    def _end(self, listener: Listener, reason: str) -> None:
        self.leave(listener)
        ENDED.labels(reason).inc()
        if reason == TOO_SLOW:
            listener.cut(reason)
        else:
            listener.close(reason, retry_ms() if reason == DRAINING else 0)

    # ------------------------------------------------------------------------------------------ looking after them

    async def watch(self) -> None:
        """Heartbeats, tokens that expire, readers that stall. For `Lifecycle.spawn`."""
        tick = 0
        while True:
            await asyncio.sleep(TICK_S)
            tick = (tick + 1) % HEARTBEAT_TICKS
            async with self._turn:
                self.look(tick)

    def look(self, tick: int) -> None:
        """One look at every connection; those whose tick it is get a heartbeat."""
        now_s, now = self._now_s(), asyncio.get_running_loop().time()
        beat = heartbeat(str(self.cursor))
        for listener, its_tick in list(self._listeners.items()):
            if listener.expires_s <= now_s:
                self._end(listener, EXPIRED)
            elif listener.stalled(now):
                self._end(listener, TOO_SLOW)
            elif its_tick == tick:
                if listener.transport.is_closing():
                    # The peer of a connection that cannot be flushed never lets it end.
                    if listener.shutting:
                        listener.transport.abort()
                    listener.shutting = True
                elif not listener.busy:
                    listener.deliver(beat)

    async def drain(self, grace_s: float) -> None:
        """Take nobody any more and end all streams; clients come back to another process, not all at once."""
        self.draining = True
        async with self._turn:
            for number, listener in enumerate(list(self._listeners)):
                self._end(listener, DRAINING)
                if number % SLICE == SLICE - 1:
                    await asyncio.sleep(0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._empty.wait()


def retry_ms() -> int:
    """When to come back, different for each: those who lost their hub together must not return together."""
    return random.randint(500, LONGEST_RETRY_MS)


def _places(principal: Principal) -> tuple[str, str]:
    tenant = str(principal.tenant_id)
    return tenant, f"{tenant}/{principal.subject}"
