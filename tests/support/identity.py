"""Identity for tests: stores on every engine, and accounts made by public verbs."""

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from chassis.crypto import FieldCipher
from chassis.database import Database
from chassis.keyring import FileKeyring
from chassis.outbox import Saved
from chassis.principal import Call, Principal
from contexts.identity.domain.account import Account, AccountId, Grant, GrantId, Login, Role, Scope
from contexts.identity.repository.memory import MemoryIdentity
from contexts.identity.repository.port import AccountList, IdentityWork
from contexts.identity.repository.sql import SqlAccountList, SqlIdentityWork
from contexts.identity.repository.tables import metadata
from kernel.ids import EmployeeId, TenantId
from kernel.period import FOREVER, Period

START = datetime(2026, 11, 23, 1, 2, 3, 456789, tzinfo=UTC)  # 09:02 in Shanghai
TODAY = date(2026, 11, 23)


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
    """Identity's repositories on one engine."""

    clock: TestClock
    saved: list[Saved]

    def work(self, tenant_id: TenantId, actor: str = "process:test") -> AbstractAsyncContextManager[IdentityWork]: ...

    def view(self, tenant_id: TenantId) -> AbstractAsyncContextManager[AccountList]: ...


@dataclass
class MemoryStore:
    """In dictionaries."""

    clock: TestClock = field(default_factory=TestClock)

    def __post_init__(self) -> None:
        self._identity = MemoryIdentity(self.clock.now, lambda: UUID(int=next(_ids)))
        self.saved = self._identity.saved

    def work(self, tenant_id: TenantId, actor: str = "process:test") -> AbstractAsyncContextManager[IdentityWork]:
        return self._identity.work(tenant_id, actor)

    @asynccontextmanager
    async def view(self, tenant_id: TenantId) -> AsyncIterator[AccountList]:
        yield self._identity.view(tenant_id)


@dataclass
class SqlStore:
    """In a database."""

    database: Database
    cipher: FieldCipher
    clock: TestClock = field(default_factory=TestClock)
    saved: list[Saved] = field(default_factory=list)

    @asynccontextmanager
    async def work(self, tenant_id: TenantId, actor: str = "process:test") -> AsyncIterator[IdentityWork]:
        call = Call(Principal(tenant_id, actor, frozenset()), "test", None, None, float("inf"))
        async with self.database.write(tenant_id) as tx:
            work = SqlIdentityWork(tx, call, self.clock, self.cipher)
            yield work
        self.saved += work.outbox.saved

    @asynccontextmanager
    async def view(self, tenant_id: TenantId) -> AsyncIterator[AccountList]:
        async with self.database.read(tenant_id) as tx:
            yield SqlAccountList(tx, self.cipher)


@asynccontextmanager
async def sql_store(url: str) -> AsyncIterator[SqlStore]:
    """A store in a fresh database of that address."""
    database = Database(url, metadata, synchronous="OFF")
    try:
        await database.create_tables()
        yield SqlStore(database, FieldCipher(a_keyring()))
    finally:
        await database.close()


def a_keyring() -> FileKeyring:
    """Keys of a test."""
    return FileKeyring(1, {1: b"f" * 32}, b"i" * 32)


def a_grant(
    role: Role = Role.EMPLOYEE,
    *,
    scope: Scope | None = None,
    start: date = TODAY,
    end: date | None = None,
    id: UUID | None = None,
) -> Grant:
    """A grant from today on, for the whole tenant unless it is limited."""
    return Grant(
        GrantId(id or UUID(int=next(_ids))), role, scope or Scope(), Period(start, end or FOREVER), "process:test"
    )


def an_account(
    login: str = "li.wei@example.com",
    *roles: Role,
    password_hash: str | None = "$argon2id$of-a-test",
    employee_id: EmployeeId | None = None,
    id: UUID | None = None,
) -> Account:
    """A new account that holds these roles for the whole tenant."""
    account = Account.create(
        AccountId(id or UUID(int=next(_ids))), Login(login), START, password_hash=password_hash, employee_id=employee_id
    )
    for role in roles:
        account.grant(a_grant(role))
    return account


def events_of(saved: Sequence[Saved]) -> list[Any]:
    """The events in the order in which they were saved."""
    return [one.event for one in saved]
