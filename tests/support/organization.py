"""Organization for tests: stores on every engine, and employees and charts made by public verbs."""

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID, uuid4

from chassis.crypto import FieldCipher
from chassis.database import Database
from chassis.keyring import FileKeyring
from chassis.outbox import Saved
from chassis.principal import Call, Principal
from contexts.organization.adapters.documents import ProtoDocuments
from contexts.organization.adapters.vault import CipherVault
from contexts.organization.container import SqlUnit, SqlView
from contexts.organization.domain.employee import Employee, EmployeeState, Recording
from contexts.organization.domain.org_chart import (
    Department,
    Detail,
    Entry,
    EntryChange,
    LegalEntity,
    Location,
    Position,
)
from contexts.organization.domain.values import Assignment, Compensation, FieldValue, PayUnit, Work
from contexts.organization.handlers import chart, hire
from contexts.organization.repository.memory import MemoryTenant, MemoryUnit, MemoryView
from contexts.organization.repository.port import Unit, View
from contexts.organization.repository.tables import metadata
from kernel.ids import AssignmentId, EmployeeId, TenantId

START = datetime(2026, 11, 23, 1, 2, 3, 456789, tzinfo=UTC)
FIRST_DAY = date(2026, 1, 5)
FOUNDED = date(2020, 1, 1)


@dataclass
class TestClock:
    """A clock that moves one second at each look, so that every record time is another."""

    __test__ = False
    instant: datetime = START

    def now(self) -> datetime:
        self.instant += timedelta(seconds=1)
        return self.instant


class Store(Protocol):
    """Organization's repositories on one engine."""

    clock: TestClock
    saved: list[Saved]

    def unit(self, tenant_id: TenantId) -> AbstractAsyncContextManager[Unit]: ...

    def view(self, tenant_id: TenantId) -> AbstractAsyncContextManager[View]: ...


@dataclass
class MemoryStore:
    """In dictionaries."""

    clock: TestClock = field(default_factory=TestClock)
    saved: list[Saved] = field(default_factory=list)
    cipher: FieldCipher = field(default_factory=lambda: FieldCipher(a_keyring()))
    tenants: dict[TenantId, MemoryTenant] = field(default_factory=dict)

    def _tenant(self, tenant_id: TenantId) -> MemoryTenant:
        return self.tenants.setdefault(tenant_id, MemoryTenant(tenant_id))

    @asynccontextmanager
    async def unit(self, tenant_id: TenantId) -> AsyncIterator[Unit]:
        vault = CipherVault(self.cipher, tenant_id)
        unit = MemoryUnit(self._tenant(tenant_id), vault, self.clock.now, uuid4)
        yield unit
        unit.commit()
        self.saved += unit.outbox.saved

    @asynccontextmanager
    async def view(self, tenant_id: TenantId) -> AsyncIterator[View]:
        vault = CipherVault(self.cipher, tenant_id)
        yield MemoryView(self._tenant(tenant_id), ProtoDocuments(), vault, self.clock.now)


@dataclass
class SqlStore:
    """In a database."""

    database: Database
    clock: TestClock = field(default_factory=TestClock)
    saved: list[Saved] = field(default_factory=list)
    cipher: FieldCipher = field(default_factory=lambda: FieldCipher(a_keyring()))

    @asynccontextmanager
    async def unit(self, tenant_id: TenantId) -> AsyncIterator[Unit]:
        call = Call(Principal(tenant_id, "process:test", frozenset()), "test", None, None, float("inf"))
        async with self.database.write(tenant_id) as tx:
            unit = SqlUnit(tx, call, self.clock, self.cipher)
            yield unit
        self.saved += unit.outbox.saved

    @asynccontextmanager
    async def view(self, tenant_id: TenantId) -> AsyncIterator[View]:
        async with self.database.read(tenant_id) as tx:
            yield SqlView(tx, self.cipher, self.database.now, self.database.settle_margin_s)


@asynccontextmanager
async def sql_store(url: str) -> AsyncIterator[SqlStore]:
    """A store in a fresh database of that address."""
    database = Database(url, metadata, synchronous="OFF")
    try:
        await database.create_tables()
        yield SqlStore(database)
    finally:
        await database.close()


def a_keyring() -> FileKeyring:
    """Keys of a test."""
    return FileKeyring(1, {1: b"f" * 32}, b"i" * 32)


# --------------------------------------------------------------------------------------------- the org chart


def an_entry(code: str, detail: Detail, effective_date: date = FOUNDED, name: str = "") -> EntryChange:
    """An entry to publish."""
    entry = Entry(code, name or code.title(), detail)
    return EntryChange(entry.kind, code, effective_date, entry)


def acme() -> list[EntryChange]:
    """A company in Shanghai and London with three departments."""
    return [
        an_entry("ACME-CN", LegalEntity("CN", "CNY")),
        an_entry("ACME-UK", LegalEntity("GB", "GBP")),
        an_entry("SHANGHAI", Location("Asia/Shanghai", "CN")),
        an_entry("LONDON", Location("Europe/London", "GB")),
        an_entry("HQ", Department()),
        an_entry("ENG", Department("HQ")),
        an_entry("OPS", Department("HQ")),
        an_entry("ENGINEER", Position("ENG", 10)),
    ]


async def publish(store: Store, tenant_id: TenantId, *changes: EntryChange) -> int:
    """The chart's version after publishing the changes, of acme where none are given."""
    async with store.unit(tenant_id) as unit:
        state = await chart.publish(chart.Publish(changes or acme()), unit)
    return state.version


# --------------------------------------------------------------------------------------------- employees

_numbers = itertools.count(1)


def monthly(amount: str, currency: str = "CNY") -> Compensation:
    """An amount per month."""
    return Compensation(Decimal(amount), currency, PayUnit.MONTH)


def some_assignment(**changes: Any) -> dict[str, FieldValue]:
    """An engineer in Shanghai."""
    return {
        "legal_entity": "ACME-CN",
        "department": "ENG",
        "location": "SHANGHAI",
        "position": "ENGINEER",
        "work_schedule": "STANDARD-5X8",
        "pay_group": "CN-MONTHLY",
        **changes,
    }


def some_terms(amount: str = "20000.00", **changes: Any) -> hire.Terms:
    """An engineer's terms."""
    statutory = (("CN", (("housing_fund_rate", "0.07"), ("social_insurance_city", "SHANGHAI"))),)
    return hire.Terms(some_assignment(**changes), monthly(amount), (), statutory)


def a_hire(
    number: str = "",
    name: str = "Li Wei",
    hire_date: date = FIRST_DAY,
    end_date: date | None = None,
    person: dict[str, Any] | None = None,
    **changes: Any,
) -> hire.Hire:
    """Somebody to hire; `changes` are of the assignment."""
    told = {"legal_name": name, **(person or {})}
    return hire.Hire(number or f"E{next(_numbers):05}", told, hire_date, end_date, some_terms(**changes))


async def hired(store: Store, tenant_id: TenantId, item: hire.Hire | None = None, **changes: Any) -> EmployeeState:
    """Somebody who was hired through the handler."""
    async with store.unit(tenant_id) as unit:
        state, _ = await hire.hire_employee(hire.HireEmployee(item or a_hire(**changes)), unit)
    return state


def a_recording(day: int = 0, seconds: int = 0, reason: str = "") -> Recording:
    """A new change, recorded so many days after START."""
    return Recording(uuid4(), START + timedelta(days=day, seconds=seconds), reason)


def some_work(amount: str = "20000.00", **changes: Any) -> Work:
    """An engineer's work facts."""
    fields: dict[str, Any] = some_assignment(**changes)
    return Work(Assignment(AssignmentId(uuid4()), **fields), monthly(amount))


def an_employee(hire_date: date = FIRST_DAY, id: UUID | None = None, **changes: Any) -> Employee:
    """Somebody who was hired, without storage; their events are pulled."""
    employee = Employee.hire(
        EmployeeId(id or uuid4()), "E1", {"legal_name": "Li Wei"}, hire_date, some_work(**changes), a_recording()
    )
    employee.pull_events()
    return employee


def events_of(saved: Sequence[Saved]) -> list[Any]:
    """The events alone."""
    return [each.event for each in saved]
