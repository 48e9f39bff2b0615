"""Delivery in dictionaries: for tests and trials, with the same promises as SQL."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from chassis.database import Duplicate
from chassis.in_memory import RowsInMemory, TenantsInMemory, WorkInMemory
from chassis.outbox import Outbox
from contexts.delivery.domain.delivery import Attempt, Delivery, DeliveryId, DeliveryStatus
from contexts.delivery.domain.endpoint import EndpointId, EndpointState, Status, WebhookEndpoint
from contexts.delivery.domain.errors import WebhookDeliveryNotFound, WebhookEndpointNotFound
from contexts.delivery.domain.lane import Lane
from contexts.delivery.repository.port import Message
from kernel.errors import Stale
from kernel.ids import TenantId, Version


@dataclass(slots=True)
class Rows(RowsInMemory):
    """What one tenant has stored."""

    endpoints: dict[UUID, EndpointState] = field(default_factory=dict)
    lanes: dict[UUID, Lane] = field(default_factory=dict)
    messages: dict[UUID, Message] = field(default_factory=dict)
    deliveries: dict[UUID, Delivery] = field(default_factory=dict)
    attempts: dict[tuple[UUID, UUID], Attempt] = field(default_factory=dict)

    def endpoint(self, id: UUID) -> EndpointState:
        """Raises WebhookEndpointNotFound."""
        state = self.endpoints.get(id)
        if state is None or state.status is Status.DELETED:
            raise WebhookEndpointNotFound(
                "there is no such endpoint; check the id", field="endpoint_id", endpoint_id=id
            )
        return state

    def delivery(self, endpoint_id: UUID, id: UUID) -> Delivery:
        """Raises WebhookDeliveryNotFound."""
        found = self.deliveries.get(id)
        if found is None or found.endpoint_id != endpoint_id:
            words = "the endpoint has no such delivery; check the id"
            raise WebhookDeliveryNotFound(words, field="delivery_id", delivery_id=id)
        return found


class MemoryEndpoints:
    """Endpoints by id."""

    def __init__(self, rows: Rows, outbox: Outbox) -> None:
        self._rows = rows
        self._outbox = outbox

    async def get(self, id: EndpointId, seen: Version | None = None) -> WebhookEndpoint:
        state = self._rows.endpoint(id)
        if seen is not None and state.version != seen:
            raise Stale("the endpoint was changed meanwhile; read it again", version=state.version)
        return WebhookEndpoint(state)

    async def enabled(self) -> Sequence[EndpointState]:
        return [one for _, one in sorted(self._rows.endpoints.items()) if one.status is Status.ENABLED]

    async def count(self) -> int:
        return sum(one.status is not Status.DELETED for one in self._rows.endpoints.values())

    async def add(self, endpoint: WebhookEndpoint) -> None:
        self._rows.lanes[endpoint.state.id] = Lane(endpoint.state.id)
        self._saved(endpoint, Version(1))

    async def save(self, endpoint: WebhookEndpoint) -> None:
        stored = self._rows.endpoints.get(endpoint.state.id)
        if stored is None or stored.version != endpoint.state.version:
            raise Stale("the endpoint was changed meanwhile; read it again", endpoint_id=endpoint.state.id)
        self._saved(endpoint, Version(endpoint.state.version + 1))

    async def forget_deleted(self) -> int:
        carried = {one.endpoint_id for one in self._rows.deliveries.values()}
        gone = [id for id, one in self._rows.endpoints.items() if one.status is Status.DELETED and id not in carried]
        for id in gone:
            del self._rows.endpoints[id], self._rows.lanes[id]
        return len(gone)

    def _saved(self, endpoint: WebhookEndpoint, version: Version) -> None:
        state = replace(endpoint.state, version=version)
        self._rows.endpoints[state.id] = state
        self._outbox.add("webhook_endpoint", state.id, version, endpoint.pull_events())
        endpoint.state = state


class MemoryLanes:
    """Lanes by endpoint."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows.lanes

    async def locked(self, ids: Collection[EndpointId]) -> Sequence[Lane]:
        return [self._rows[id] for id in sorted(ids) if id in self._rows]

    async def waiting(self, at: datetime, limit: int, *, ailing: bool) -> Sequence[Lane]:
        due = [
            (lane.due_time, lane)
            for lane in self._rows.values()
            if lane.due_time is not None and lane.due_time <= at and lane.ailing is ailing
        ]
        return [lane for _, lane in sorted(due, key=lambda one: one[0])][:limit]

    async def save(self, lane: Lane) -> None:
        self._rows[lane.endpoint_id] = lane


class MemoryDeliveries:
    """Deliveries, messages and attempts by id."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def known(self, ids: Collection[DeliveryId]) -> Collection[DeliveryId]:
        return {id for id in ids if id in self._rows.deliveries}

    async def add(self, messages: Sequence[Message], deliveries: Sequence[Delivery]) -> None:
        for message in messages:
            self._rows.messages.setdefault(message.event_id, message)
        for one in deliveries:
            if one.id in self._rows.deliveries:
                raise Duplicate("webhook_delivery")
            self._rows.deliveries[one.id] = one

    async def due(self, endpoint_id: EndpointId, at: datetime, limit: int) -> Sequence[tuple[Delivery, bytes]]:
        found = sorted(
            (one.due_time, one.event_id, one.id)
            for one in self._rows.deliveries.values()
            if one.endpoint_id == endpoint_id and one.due_time is not None and one.due_time <= at
        )
        return [(self._rows.deliveries[id], self._rows.messages[event].body) for _, event, id in found[:limit]]

    async def next_due(self, endpoint_id: EndpointId) -> datetime | None:
        own = (one.due_time for one in self._rows.deliveries.values() if one.endpoint_id == endpoint_id)
        return min((due for due in own if due is not None), default=None)

    async def get(self, endpoint_id: EndpointId, id: DeliveryId) -> Delivery:
        return self._rows.delivery(endpoint_id, id)

    async def save(self, delivery: Delivery) -> None:
        self._rows.deliveries[delivery.id] = delivery

    async def note(self, delivery_id: DeliveryId, attempt: Attempt, attempt_id: UUID) -> None:
        self._rows.attempts[delivery_id, attempt_id] = replace(attempt, retry_after=None)

    async def purge(self, before: datetime, limit: int) -> int:
        deleted = {id for id, one in self._rows.endpoints.items() if one.status is Status.DELETED}
        old = [
            one for one in self._rows.deliveries.values() if one.created_time < before or one.endpoint_id in deleted
        ][:limit]
        ids = {one.id for one in old}
        for id in ids:
            del self._rows.deliveries[id]
        for key in [key for key in self._rows.attempts if key[0] in ids]:
            del self._rows.attempts[key]
        carried = {one.event_id for one in self._rows.deliveries.values()}
        for event in {one.event_id for one in old} - carried:
            del self._rows.messages[event]
        return len(old)


class MemoryDeliveryLog:
    """Endpoints and deliveries as they are read."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def endpoint(self, id: EndpointId) -> tuple[EndpointState, Lane]:
        return self._rows.endpoint(id), self._rows.lanes[id]

    async def endpoints(self, after: EndpointId | None, limit: int) -> Sequence[tuple[EndpointState, Lane]]:
        shown = (
            (one, self._rows.lanes[id])
            for id, one in sorted(self._rows.endpoints.items())
            if one.status is not Status.DELETED and (after is None or id > after)
        )
        return list(shown)[:limit]

    async def deliveries(
        self, endpoint_id: EndpointId, status: DeliveryStatus | None, before: UUID | None, limit: int
    ) -> Sequence[Delivery]:
        self._rows.endpoint(endpoint_id)
        found = (
            one
            for one in self._rows.deliveries.values()
            if one.endpoint_id == endpoint_id
            and status in (None, one.status)
            and (before is None or one.event_id < before)
        )
        return sorted(found, key=lambda one: one.event_id, reverse=True)[:limit]

    async def delivery(self, endpoint_id: EndpointId, id: DeliveryId, limit: int) -> tuple[Delivery, Sequence[Attempt]]:
        found = self._rows.delivery(endpoint_id, id)
        own = sorted((key for key in self._rows.attempts if key[0] == id), reverse=True)
        return found, [self._rows.attempts[key] for key in own[:limit]]


class MemoryDeliveryWork(WorkInMemory):
    """A unit of work over a copy of the tenant's rows."""

    def __init__(
        self, rows: Rows, tenant_id: TenantId, now: Callable[[], datetime], new_id: Callable[[], UUID]
    ) -> None:
        super().__init__(tenant_id, now, new_id)
        self.endpoints = MemoryEndpoints(rows, self.outbox)
        self.lanes = MemoryLanes(rows)
        self.deliveries = MemoryDeliveries(rows)


class MemoryDelivery(TenantsInMemory[Rows]):
    """Every tenant's endpoints and deliveries."""

    def __init__(self, now: Callable[[], datetime], new_id: Callable[[], UUID]) -> None:
        super().__init__(Rows)
        self._now = now
        self._new_id = new_id

    def work(self, tenant_id: TenantId) -> AbstractAsyncContextManager[MemoryDeliveryWork]:
        """One command's work, kept when the block ends without an error."""
        return self.changed(tenant_id, lambda rows: MemoryDeliveryWork(rows, tenant_id, self._now, self._new_id))

    def view(self, tenant_id: TenantId) -> MemoryDeliveryLog:
        """The tenant's log as it is now."""
        return MemoryDeliveryLog(self._rows[tenant_id])
