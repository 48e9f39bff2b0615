"""The questions that delivery's handlers ask of what is stored."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from contexts.delivery.domain.delivery import Attempt, Delivery, DeliveryId, DeliveryStatus
from contexts.delivery.domain.endpoint import EndpointId, EndpointState, WebhookEndpoint
from contexts.delivery.domain.lane import Lane
from kernel.ids import TenantId, Version


@dataclass(frozen=True, slots=True)
class Message:
    """An event as it is sent, stored once for all endpoints."""

    event_id: UUID
    event_type: str
    body: bytes


class Endpoints(Protocol):
    """The endpoints of one tenant; a deleted one is not there."""

    async def get(self, id: EndpointId, seen: Version | None = None) -> WebhookEndpoint:
        """Raises WebhookEndpointNotFound, and Stale where its version is not the one that was seen."""
        ...

    async def enabled(self) -> Sequence[EndpointState]:
        """All that hear of events."""
        ...

    async def count(self) -> int:
        """How many there are."""
        ...

    async def add(self, endpoint: WebhookEndpoint) -> None:
        """Keep a new endpoint with its lane; its version becomes 1."""
        ...

    async def save(self, endpoint: WebhookEndpoint) -> None:
        """Keep a changed endpoint; its version rises by one. Raises Stale."""
        ...

    async def forget_deleted(self) -> int:
        """Drop deleted endpoints of which no delivery is left; how many."""
        ...


class Lanes(Protocol):
    """Whose turn it is."""

    async def locked(self, ids: Collection[EndpointId]) -> Sequence[Lane]:
        """These lanes, which no other transaction changes until this one ends."""
        ...

    async def waiting(self, at: datetime, limit: int, *, ailing: bool) -> Sequence[Lane]:
        """At most `limit` lanes that are due and that nobody changes now, longest due first, held as by `locked`."""
        ...

    async def save(self, lane: Lane) -> None:
        """Keep a changed lane."""
        ...


class Deliveries(Protocol):
    """The deliveries of one tenant, with what they carry."""

    async def known(self, ids: Collection[DeliveryId]) -> Collection[DeliveryId]:
        """Those of them that exist."""
        ...

    async def add(self, messages: Sequence[Message], deliveries: Sequence[Delivery]) -> None:
        """Keep new deliveries and those of the messages that are new. Raises Duplicate for a delivery that exists."""
        ...

    async def due(self, endpoint_id: EndpointId, at: datetime, limit: int) -> Sequence[tuple[Delivery, bytes]]:
        """At most `limit` that are due, longest due first, with what is sent."""
        ...

    async def next_due(self, endpoint_id: EndpointId) -> datetime | None:
        """When the endpoint's next delivery is due, None where none waits."""
        ...

    async def get(self, endpoint_id: EndpointId, id: DeliveryId) -> Delivery:
        """One, which no other transaction changes until this one ends. Raises WebhookDeliveryNotFound."""
        ...

    async def save(self, delivery: Delivery) -> None:
        """Keep a changed delivery."""
        ...

    async def note(self, delivery_id: DeliveryId, attempt: Attempt, attempt_id: UUID) -> None:
        """Write an attempt into the log."""
        ...

    async def purge(self, before: datetime, limit: int) -> int:
        """Drop at most `limit` deliveries that came before that instant or whose endpoint was deleted, with their
        attempts, and messages that nobody carries any more; how many deliveries."""
        ...


class DeliveryLog(Protocol):
    """Endpoints and deliveries of one tenant, for reading."""

    async def endpoint(self, id: EndpointId) -> tuple[EndpointState, Lane]:
        """Raises WebhookEndpointNotFound."""
        ...

    async def endpoints(self, after: EndpointId | None, limit: int) -> Sequence[tuple[EndpointState, Lane]]:
        """At most `limit` in the order of their ids, those after `after`."""
        ...

    async def deliveries(
        self, endpoint_id: EndpointId, status: DeliveryStatus | None, before: UUID | None, limit: int
    ) -> Sequence[Delivery]:
        """At most `limit`, newest event first, those of events before `before`. Raises WebhookEndpointNotFound."""
        ...

    async def delivery(self, endpoint_id: EndpointId, id: DeliveryId, limit: int) -> tuple[Delivery, Sequence[Attempt]]:
        """One with its newest attempts, newest first. Raises WebhookDeliveryNotFound."""
        ...


class DeliveryWork(Protocol):
    """One command's work in one tenant: everything commits together or not at all."""

    @property
    def tenant_id(self) -> TenantId:
        """The tenant of the call."""
        ...

    @property
    def endpoints(self) -> Endpoints:
        """Its endpoints."""
        ...

    @property
    def lanes(self) -> Lanes:
        """Whose turn it is."""
        ...

    @property
    def deliveries(self) -> Deliveries:
        """What is sent."""
        ...

    def now(self) -> datetime:
        """The current instant."""
        ...

    def new_id(self) -> UUID:
        """A new UUIDv7."""
        ...

    async def lock(self, name: str) -> None:
        """Hold the tenant's named lock until the work ends."""
        ...

    def note(self, subject: UUID | str, reason: str | None = None) -> None:
        """What the audit row says."""
        ...
