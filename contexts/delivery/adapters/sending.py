"""The loop that delivers: takes turns of endpoints that are due, sends outside of any transaction, writes down."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

import structlog
from prometheus_client import Counter, Gauge

from chassis.database import Database, Unavailable
from chassis.unit_of_work import OwnWork
from contexts.delivery.domain.delivery import JITTER_PERCENT, RETRY_AFTER, Attempt, Delivery, DeliveryId
from contexts.delivery.domain.destination import Destination
from contexts.delivery.domain.secret import signatures
from contexts.delivery.handlers.turns import KEPT, Room, Sent, Turn, end_turn, take_turns, tidy
from kernel.clock import Clock
from kernel.ids import TenantId

log = structlog.get_logger(__name__)

TURNS = 32  # endpoints that one process sends to at once
AILING_TURNS = 8  # of them at most so many whose last turn failed
WIDTH = 4  # messages on their way to one endpoint
QUIET_S = 1.0
TIDY_MINUTES = 5
GRACE_S = 0.8
MOST_BATCHES = 20  # of one tenant before the next is tidied
OPERATION = "muster.delivery.v1/Sending"
PROCESS = "process:webhooks"
MEDIA_TYPE = "application/cloudevents+json"
AGENT = "Muster-Webhooks/1"

ATTEMPTS = Counter("muster_webhook_attempts_total", "Attempts to deliver a webhook", ("outcome",))
RUNNING = Gauge("muster_webhook_turns", "Endpoints that are being sent to")

Waiting = Callable[[Database, datetime], Awaitable[Sequence[TenantId]]]
"""The tenants that have something to do at an instant."""


class Receivers(Protocol):
    """Whatever brings a message to a receiver."""

    async def __call__(self, place: Destination, headers: Sequence[tuple[str, str]], body: bytes) -> Attempt:
        """One attempt; it never raises."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class Sender:
    """Delivers what is due, for all tenants, beside other processes that do the same.

    Invariants: nothing is written about a delivery before its attempt is over, so that a process that is killed leaves
    it due; an endpoint has one turn at a time in the whole fleet; endpoints whose last turn failed hold at most a
    quarter of the turns, so that receivers that hang delay the others by nothing once they are known.
    """

    def __init__(
        self,
        database: Database,
        own: "OwnWork[Any]",
        waiting: Waiting,
        untidy: Waiting,
        receivers: Callable[[], Receivers],
        clock: Clock,
        *,
        timeout_s: float,
        schedule: Sequence[timedelta] = RETRY_AFTER,
    ) -> None:
        """`receivers` is asked once, when the first message is sent."""
        self._database = database
        self._own = own
        self._waiting = waiting
        self._untidy = untidy
        self._open = receivers
        self._clock = clock
        self._lease = timedelta(seconds=timeout_s * 1.5 + 2)
        self._schedule = schedule
        self._receivers: Receivers | None = None
        self._woken = asyncio.Event()
        self._turns: dict[asyncio.Task[None], bool] = {}  # and whether their endpoint is ailing

    def wake(self) -> None:
        """There may be something to send."""
        self._woken.set()

    async def run(self) -> None:
        """Look on every wake, and every second for what other processes left. For `Lifecycle.spawn`."""
        try:
            while True:
                self._woken.clear()
                taken = 0
                try:
                    taken = await self.look()
                except Unavailable as error:
                    log.warning("webhooks wait for their database", error=type(error).__name__)
                if not taken:
                    await self._rest()
        finally:
            await self._stop()

    async def look(self) -> int:
        """Begin the turns that there is room for; how many. Raises Unavailable."""
        if self._room().working <= 0:
            return 0
        tenants = list(await self._waiting(self._database, self._clock.now()))
        random.shuffle(tenants)
        taken = 0
        for tenant_id in tenants:
            room = self._room()
            if room.working <= 0:
                break
            for turn in await self._own.run(tenant_id, OPERATION, partial(take_turns, room)):
                task = asyncio.create_task(self._turn(tenant_id, turn), name=f"webhooks to {turn.endpoint.id}")
                self._turns[task] = turn.ailing
                task.add_done_callback(self._ended)
                taken += 1
        RUNNING.set(len(self._turns))
        return taken

    async def tidy(self) -> None:
        """Delete deliveries of 30 days ago and what deleted endpoints left. Raises Unavailable."""
        before = self._clock.now() - KEPT
        for tenant_id in await self._untidy(self._database, before):
            for _ in range(MOST_BATCHES):
                if not await self._own.run(tenant_id, OPERATION, lambda work: tidy(before, work)):
                    break

    def _room(self) -> Room:
        ailing = sum(self._turns.values())
        free = TURNS - len(self._turns)
        return Room(free, min(AILING_TURNS - ailing, free), WIDTH, self._lease)

    async def _turn(self, tenant_id: TenantId, turn: Turn) -> None:
        at = self._clock.now()
        secrets = [one for one in turn.endpoint.secrets if one.signs_at(at)]

        async def send(delivery: Delivery, body: bytes) -> Sent:
            headers = (
                ("content-type", MEDIA_TYPE),
                ("user-agent", AGENT),
                ("webhook-id", str(delivery.id)),
                ("webhook-timestamp", str(int(at.timestamp()))),
                ("webhook-signature", signatures(secrets, str(delivery.id), at, body)),
            )
            attempt = await self._to(turn.endpoint.place, headers, body)
            ATTEMPTS.labels("delivered" if attempt.error is None else attempt.error.value).inc()
            return Sent(DeliveryId(delivery.id), attempt, random.randint(-JITTER_PERCENT, JITTER_PERCENT))

        sent = await asyncio.gather(*(send(delivery, body) for delivery, body in turn.deliveries))
        await self._own.run(
            tenant_id, OPERATION, lambda work: end_turn(turn.endpoint.id, turn.lease_id, sent, self._schedule, work)
        )

    async def _to(self, place: Destination, headers: Sequence[tuple[str, str]], body: bytes) -> Attempt:
        if self._receivers is None:
            self._receivers = self._open()
        return await self._receivers(place, headers, body)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._turns[task]
        RUNNING.set(len(self._turns))
        self._woken.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # Not written down: it is due again when the lease is over.
            log.warning("turn of a webhook endpoint not ended", error=type(error).__name__, exc_info=error)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(QUIET_S):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _stop(self) -> None:
        """Let what is on its way arrive for a moment; the rest is due again when its lease is over."""
        if self._turns:
            await asyncio.wait(list(self._turns), timeout=GRACE_S)
        for task in list(self._turns):
            task.cancel()
        if self._receivers is not None:
            await self._receivers.close()
