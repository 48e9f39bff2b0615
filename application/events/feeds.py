"""The feeds of all data services read as one, from a cursor on."""

import asyncio
import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from uuid import UUID

import structlog
from muster.event.v1 import event_feed_pb2 as wire
from muster.event.v1 import event_feed_pb2_grpc

from application.edge.refusal import Overloaded, Refusal
from application.events.cloud_events import event_types
from application.events.cursor import Cursor
from chassis.assertion import ALL_TENANTS
from chassis.bus.consumer import feed_principal
from chassis.principal import Principal
from chassis.rpc.channels import Client
from chassis.rpc.error_map import RemoteError
from kernel.ids import TenantId

log = structlog.get_logger(__name__)

DATA_SERVICES = ("identity", "organization", "attendance", "payroll", "delivery")
WATCH_MS = 20_000
WATCH_SPARE_S = 2.0
WATCH_PAGE = 500
RETRY_S = 1.0
LAST_POSITION = 2**63 - 1
MOST_WAITING = 128
MOST_OF_A_TENANT = 16


class CursorExpired(Refusal):
    """A place in the feed whose events are not kept any more."""

    status, reason = 410, "CURSOR_EXPIRED"


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Entries with their data services, and where to go on.

    Invariants: an aggregate's entries stand in the order of its versions; following `cursor` loses none and repeats
    none; `heads` are the newest positions that the page took into account.
    """

    entries: Sequence[tuple[str, wire.Entry]]
    cursor: Cursor
    has_more: bool
    heads: Mapping[str, int]


class Feeds:
    """The feeds of all data services as one stream, in each caller's right.

    Invariants: a service's entries keep their order, those of different services stand roughly by time.
    """

    def __init__(self, clients: Mapping[str, Client]) -> None:
        """`clients`: the data services by name."""
        self._clients = dict(clients)
        self._stubs = {name: client.stub(event_feed_pb2_grpc.EventFeedServiceStub) for name, client in clients.items()}

    async def page(self, principal: Principal, cursor: Cursor, limit: int, types: Collection[str] = ()) -> FeedPage:
        """At most `limit` entries (1 to 500) after the cursor. Raises CursorExpired, RemoteError."""
        names = [name for name in self._stubs if not types or not set(types).isdisjoint(event_types(name))]
        lists = await asyncio.gather(*(self._list(principal, name, cursor.at(name), limit, types) for name in names))
        answers = dict(zip(names, lists, strict=True))
        for name, answer in answers.items():
            _refuse_what_is_gone(cursor.at(name), answer)
        return merged(answers, cursor, limit)

    async def _list(
        self, principal: Principal, name: str, after: int, limit: int, types: Collection[str]
    ) -> wire.ListResponse:
        request = wire.ListRequest(after_position=after, limit=limit, types=sorted(types))
        return await self._clients[name].call(self._stubs[name].List, request, principal=principal)

    async def heads(self, principal: Principal) -> Cursor:
        """The cursor behind all that was published so far. Raises RemoteError."""
        names = list(self._stubs)
        lists = await asyncio.gather(*(self._list(principal, name, LAST_POSITION, 1, ()) for name in names))
        return Cursor({name: answer.head_position for name, answer in zip(names, lists, strict=True)})


def _refuse_what_is_gone(after: int, answer: wire.ListResponse) -> None:
    if 0 < after < answer.oldest_position - 1:
        raise CursorExpired(
            "events after this cursor were deleted at the end of their 30 days: read the state anew, then go on from"
            " the cursor of GET /v1/events without `after`",
            field="after",
        )
    if after > answer.head_position:
        raise CursorExpired(
            "this cursor is ahead of the feed, which was set back to a backup: read the state anew, then go on from"
            " the cursor of GET /v1/events without `after`",
            field="after",
        )


def merged(answers: Mapping[str, wire.ListResponse], cursor: Cursor, limit: int) -> FeedPage:
    """One page of several lists: each in its own order, together by time as far as each reaches."""
    taken: dict[str, int] = dict.fromkeys(answers, 0)
    entries: list[tuple[str, wire.Entry]] = []
    cut_off = {name for name, answer in answers.items() if answer.next_position < answer.head_position}
    lanes = [_by_time(order, name, answer.entries) for order, (name, answer) in enumerate(answers.items())]
    for _, _, _, name, entry in heapq.merge(*lanes):
        if len(entries) == limit:
            break
        entries.append((name, entry))
        taken[name] += 1
        if name in cut_off and taken[name] == len(answers[name].entries):
            break  # what follows in this list may be older than what the others have next
    has_more = False
    for name, answer in answers.items():
        if taken[name] == len(answer.entries):
            cursor = cursor.moved(name, answer.next_position)
            has_more = has_more or name in cut_off
        else:
            has_more = True
            if taken[name]:
                cursor = cursor.moved(name, answer.entries[taken[name] - 1].position)
    return FeedPage(entries, cursor, has_more, {name: answer.head_position for name, answer in answers.items()})


def _by_time(
    order: int, name: str, entries: Iterable[wire.Entry]
) -> Iterator[tuple[tuple[int, int], int, int, str, wire.Entry]]:
    """Sort keys that never fall along the list, whatever the clocks of its writers said."""
    latest = (0, 0)
    for entry in entries:
        latest = max(latest, (entry.occurred_time.seconds, entry.occurred_time.nanos))
        yield latest, order, entry.position, name, entry


class FeedWatch:
    """Wakes those who wait for their company's next event; one call per data service waits for all of them.

    Invariants: the feeds are asked only while somebody waits; at most 128 wait in one process and 16 of one company.
    """

    def __init__(self, clients: Mapping[str, Client]) -> None:
        self._clients = dict(clients)
        self._stubs = {name: client.stub(event_feed_pb2_grpc.EventFeedServiceStub) for name, client in clients.items()}
        self._waiting: dict[TenantId, set[asyncio.Event]] = {}
        self._positions: dict[str, int] = {}
        self._followers: dict[str, asyncio.Task[None]] = {}
        self._principal = feed_principal("events.watch")

    async def news(self, tenant_id: TenantId, heads: Mapping[str, int], wait_s: float) -> None:
        """Return soon after the company published beyond `heads`, at the latest after `wait_s`; perhaps early.

        Raises Overloaded where too many wait already.
        """
        mine = self._waiting.setdefault(tenant_id, set())
        if len(mine) >= MOST_OF_A_TENANT or sum(map(len, self._waiting.values())) >= MOST_WAITING:
            raise Overloaded(
                "too many wait for events here: ask again, or without `wait`", headers={"Retry-After": "1"}
            )
        woken = asyncio.Event()
        mine.add(woken)
        try:
            for name, head in heads.items():
                if name not in self._followers:
                    self._positions[name] = head
                    # Of nobody's request: it outlives the one that began it.
                    following = asyncio.create_task(self._follow(name), name=f"events of {name}", context=Context())
                    self._followers[name] = following
            if any(self._positions[name] > head for name, head in heads.items()):
                return  # what was published between the caller's look and ours woke nobody
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await woken.wait()
        finally:
            mine.discard(woken)
            if not mine:
                self._waiting.pop(tenant_id, None)
            if not self._waiting:
                for follower in self._followers.values():
                    follower.cancel()
                self._followers.clear()

    async def _follow(self, name: str) -> None:
        client, stub = self._clients[name], self._stubs[name]
        while True:
            request = wire.ListRequest(after_position=self._positions.get(name, 0), limit=WATCH_PAGE, wait_ms=WATCH_MS)
            try:
                page = await client.call(
                    stub.List, request, principal=self._principal, timeout_s=WATCH_MS / 1000 + WATCH_SPARE_S
                )
            except RemoteError as error:
                log.warning("events cannot be waited for", service=name, reason=error.reason)
                await asyncio.sleep(RETRY_S)
                continue
            self._positions[name] = min(page.next_position, page.head_position)
            tenants = {TenantId(UUID(entry.tenant_id)) for entry in page.entries}
            for tenant in (*tenants, ALL_TENANTS) if tenants else ():
                for woken in self._waiting.get(tenant, ()):
                    woken.set()
