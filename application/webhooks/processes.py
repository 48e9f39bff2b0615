"""What follows from everything that is published: delivery hears of it, where its tenant wants to be told."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import orjson
from muster.delivery.v1 import webhook_delivery_pb2 as wire
from muster.delivery.v1 import webhook_delivery_pb2_grpc

from application.edge.calls import Calls
from application.events.cloud_events import cloud_event
from chassis.bus.consumer import BACKOFF_S, Consumer, Patience, each_at_once
from chassis.bus.port import Entry, FastPath
from chassis.principal import Principal
from chassis.rpc.channels import Client
from chassis.waiting import settle
from kernel.ids import INSTALLATION, TenantId, derived_id

SUBJECT = "process:webhooks"
GATHER_S = 0.25  # events are looked at at most so often; "a second or so" is what receivers were promised
TOGETHER_S = 0.05  # events of so long are asked about with one call
AT_ONCE = 400  # events in hand of one service
ACK_EVERY_S = 2.0  # a storm of punches must not meet twenty writes a second of ours
ASK_LIMIT_S = 5.0  # well within a consumer's lease
MOST_EVENTS = 100  # of one tenant in one call
MOST_BYTES = 2 * 1024 * 1024
LARGEST_BODY = 256 * 1024
# An hour without delivery is waited for, in order, before events park; once it is back, feeding goes on within 10 s.
PATIENCE = Patience((*BACKOFF_S[:3], *([10.0] * 360)))

Told = tuple[str, Entry]  # the service whose event it is


def process_of(tenant_id: TenantId) -> Principal:
    """Who tells delivery: a process with no right but that."""
    return Principal(tenant_id, SUBJECT, frozenset({"process"}))


class Deliveries:
    """Gives delivery the events of tenants that have an endpoint.

    Invariants: events that come within 50 ms are asked about with one call, and those of tenants without an endpoint
    are neither encoded nor sent nor looked at one by one, so that a storm of punches costs nobody anything who does not
    listen; nothing is remembered between two calls, so that an endpoint hears of what was published once it is there.
    """

    def __init__(self, delivery: Client) -> None:
        self._calls = Calls(delivery)
        self._stub = delivery.stub(webhook_delivery_pb2_grpc.WebhookDeliveryServiceStub)
        self._waiting: list[tuple[Told, asyncio.Future[None]]] = []

    async def wanted(self, entries: Sequence[Entry]) -> frozenset[str]:
        """The ids of those events whose tenants have an endpoint. Raises RemoteError."""
        found: set[str] = set()
        tenants = sorted({entry.tenant_id for entry in entries})
        for start in range(0, len(tenants), MOST_EVENTS):
            found |= await self._interested(tenants[start : start + MOST_EVENTS])
        return frozenset(entry.event_id for entry in entries if entry.tenant_id in found)

    async def ensure(self, service: str, entry: Entry) -> None:
        """Return once delivery has the event, or nobody of its tenant wants any. Raises RemoteError."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(((service, entry), done))
        if len(self._waiting) == 1:
            await self._together()
        await done

    async def _together(self) -> None:
        """The first who waits asks for all who came within 50 ms."""
        try:
            await asyncio.sleep(TOGETHER_S)
        except asyncio.CancelledError:
            self._give_up(ConnectionError("given up"))
            raise
        batch, self._waiting = self._waiting, []
        by_tenant: dict[str, list[tuple[Told, asyncio.Future[None]]]] = defaultdict(list)
        for one in batch:
            by_tenant[one[0][1].tenant_id].append(one)
        try:
            tenants = sorted(by_tenant)
            for start in range(0, len(tenants), MOST_EVENTS):
                part = tenants[start : start + MOST_EVENTS]
                interested = await self._interested(part)
                for tenant_id in part:
                    if tenant_id in interested:
                        await self._send(tenant_id, by_tenant[tenant_id])
                    else:
                        settle(done for _, done in by_tenant[tenant_id])
        except BaseException as error:
            why = error if isinstance(error, Exception) else ConnectionError("given up")
            settle((done for _, done in batch), why)
            raise

    def _give_up(self, error: Exception) -> None:
        batch, self._waiting = self._waiting, []
        settle((done for _, done in batch), error)

    async def _interested(self, tenant_ids: Sequence[str]) -> frozenset[str]:
        request = wire.ListInterestedTenantsRequest(tenant_ids=tenant_ids)
        answer = await self._calls.read_as(
            process_of(INSTALLATION), self._stub.ListInterestedTenants, request, timeout_s=ASK_LIMIT_S
        )
        return frozenset(answer.tenant_ids)

    async def _send(self, tenant_id: str, waiting: Sequence[tuple[Told, asyncio.Future[None]]]) -> None:
        """All events of one tenant, in calls of a bounded size; one that fails tells its own events only."""
        events = [(outgoing(*told), one) for one in waiting for told in (one[0],)]
        while events:
            size, count = 0, 0
            for event, _ in events[:MOST_EVENTS]:
                size += event.ByteSize()
                if count and size > MOST_BYTES:
                    break
                count += 1
            part, events = events[:count], events[count:]
            request = wire.EnsureDeliveriesRequest(events=[event for event, _ in part])
            ids = sorted(event.event_id for event, _ in part)
            try:
                await self._calls.write_as(
                    process_of(TenantId(UUID(tenant_id))),
                    self._stub.EnsureDeliveries,
                    request,
                    derived_id("webhooks", *ids),
                )
            except Exception as error:
                settle((done for _, (_, done) in part), error)
            else:
                settle(done for _, (_, done) in part)


def outgoing(service: str, entry: Entry) -> wire.OutgoingEvent:
    """An event as it is sent; one that is larger than any of ours goes without its data."""
    event: dict[str, Any] = cloud_event(service, entry)
    body = orjson.dumps(event)
    if len(body) > LARGEST_BODY:
        event.pop("data", None)
        body = orjson.dumps(event)
    return wire.OutgoingEvent(event_id=entry.event_id, type=entry.type, body=body)


def delivery_consumers(
    clients: Callable[[str], Client], services: Sequence[str], fast_path: FastPath
) -> list[Consumer]:
    """One consumer per data service, all of which tell one `Deliveries`."""
    deliveries = Deliveries(clients("delivery"))

    def telling(service: str) -> Callable[[Entry], Awaitable[None]]:
        async def tell(entry: Entry) -> None:
            await deliveries.ensure(service, entry)

        return tell

    return [
        Consumer(
            f"webhooks.{name}",
            clients(name),
            fast_path,
            telling(name),
            at_once=AT_ONCE,
            patience=PATIENCE,
            ack_every_s=ACK_EVERY_S,
            together=each_at_once(telling(name)),
            sift=deliveries.wanted,
            gather_s=GATHER_S,
        )
        for name in services
    ]
