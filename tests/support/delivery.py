"""Delivery for tests: stores on every engine, and endpoints made by public verbs."""

import itertools
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from chassis.crypto import FieldCipher
from chassis.database import Database
from chassis.keyring import FileKeyring
from chassis.outbox import Saved
from chassis.principal import Call, Principal
from contexts.delivery.domain.destination import Destination
from contexts.delivery.domain.endpoint import EndpointId, EventTypes, WebhookEndpoint
from contexts.delivery.domain.secret import Secret, SecretId
from contexts.delivery.repository.memory import MemoryDelivery
from contexts.delivery.repository.port import DeliveryLog, DeliveryWork, Message
from contexts.delivery.repository.sql import SqlDeliveryLog, SqlDeliveryWork
from contexts.delivery.repository.tables import metadata
from kernel.ids import TenantId

START = datetime(2026, 11, 23, 1, 2, 3, 456789, tzinfo=UTC)
HIRED = "muster.organization.v1.EmployeeHiredEvent"
PUNCHED = "muster.attendance.v1.PunchRecordedEvent"

_ids = itertools.count(1)  # rising, as ids made from a clock are


@dataclass
class TestClock:
    """A clock that a test moves."""

    __test__ = False
    instant: datetime = START

    def now(self) -> datetime:
        return self.instant

    def pass_(self, **time: float) -> None:
        self.instant += timedelta(**time)


class Store(Protocol):
    """Delivery's repositories on one engine."""

    clock: TestClock
    saved: list[Saved]

    def work(self, tenant_id: TenantId) -> AbstractAsyncContextManager[DeliveryWork]: ...

    def view(self, tenant_id: TenantId) -> AbstractAsyncContextManager[DeliveryLog]: ...


@dataclass
class MemoryStore:
    """In dictionaries."""

    clock: TestClock = field(default_factory=TestClock)

    def __post_init__(self) -> None:
        self._delivery = MemoryDelivery(self.clock.now, lambda: UUID(int=next(_ids)))
        self.saved = self._delivery.saved

    def work(self, tenant_id: TenantId) -> AbstractAsyncContextManager[DeliveryWork]:
        return self._delivery.work(tenant_id)

    @asynccontextmanager
    async def view(self, tenant_id: TenantId) -> AsyncIterator[DeliveryLog]:
        yield self._delivery.view(tenant_id)


@dataclass
class SqlStore:
    """In a database."""

    database: Database
    cipher: FieldCipher
    clock: TestClock = field(default_factory=TestClock)
    saved: list[Saved] = field(default_factory=list)

    @asynccontextmanager
    async def work(self, tenant_id: TenantId) -> AsyncIterator[DeliveryWork]:
        call = Call(Principal(tenant_id, "process:test", frozenset()), "test", None, None, float("inf"))
        async with self.database.write(tenant_id) as tx:
            work = SqlDeliveryWork(tx, call, self.clock, self.cipher)
            yield work
        self.saved += work.outbox.saved

    @asynccontextmanager
    async def view(self, tenant_id: TenantId) -> AsyncIterator[DeliveryLog]:
        async with self.database.read(tenant_id) as tx:
            yield SqlDeliveryLog(tx, self.cipher)


@asynccontextmanager
async def sql_store(url: str) -> AsyncIterator[SqlStore]:
    """A store in a fresh database of that address."""
    database = Database(url, metadata, synchronous="OFF")
    try:
        await database.create_tables()
        yield SqlStore(database, FieldCipher(FileKeyring(1, {1: b"f" * 32}, b"i" * 32)))
    finally:
        await database.close()


def a_secret(fill: bytes = b"s", at: datetime = START) -> Secret:
    """A secret of 32 equal bytes."""
    return Secret(SecretId(UUID(int=next(_ids))), fill * 32, at)


def an_endpoint(
    *event_types: str, host: str = "hooks.example.com", secret: Secret | None = None, disabled: bool = False
) -> WebhookEndpoint:
    """A new endpoint that wants these types, all where none is named."""
    return WebhookEndpoint.create(
        EndpointId(UUID(int=next(_ids))),
        Destination(True, host, 443, "/muster?key=1"),
        secret or a_secret(),
        START,
        description="Book-keeping",
        event_types=EventTypes(event_types),
        disabled=disabled,
    )


def a_message(event_type: str = HIRED, body: bytes = b'{"id":"1"}') -> Message:
    """An event as it is sent."""
    return Message(UUID(int=next(_ids)), event_type, body)
