"""One context's database: the only road to SQL, which puts the tenant into every statement."""

import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from enum import Enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping, make_url

from chassis.connections import (
    FEW_ROWS,
    OLDEST_WRITE_S,
    USUAL_POOL,
    Answer,
    Connection,
    Contention,
    Duplicate,
    Engine,
    MySqlEngine,
    Pool,
    SqliteEngine,
    Unavailable,
)
from chassis.prepared import Prepared, PreparedChange
from kernel.ids import TenantId

__all__ = [
    "FEW_ROWS",
    "Contention",
    "Database",
    "Duplicate",
    "Lock",
    "Pool",
    "Prepared",
    "PreparedChange",
    "SystemScope",
    "SystemTx",
    "TenantMissing",
    "Tx",
    "Unavailable",
    "delete",
    "select",
    "update",
]

CLOCK_DIFFERENCE_S = 1.0  # between this process and the database; readiness allows no more
CHUNK_ROWS = 1000
TENANT = "tenant_id"


class Lock(Enum):
    """How rows are locked on reading; SQLite needs none, its writers take turns."""

    UPDATE = "UPDATE"
    SHARE = "SHARE"


class TenantMissing(Exception):
    """A statement that would reach rows of every tenant: a bug, refused before it is sent."""


class SystemScope:
    """The one way past the tenant builder, with its reason; chassis modules on a tested list may make one."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


# ---------------------------------------------------------------------------------------------- the guard

_TABLE_USE = re.compile(r'\b(?:FROM|JOIN|UPDATE|INTO|,)\s+[`"]?(\w+)[`"]?(?:\s+AS\s+[`"]?(\w+)[`"]?)?', re.IGNORECASE)
_GUARDED_MAX = 4096


class TenantGuard:
    """Refuses SQL text that touches a tenant's table without naming the tenant; a text is read once and remembered."""

    def __init__(self, tables: Sequence[sa.Table]) -> None:
        self._tables = {table.name for table in tables if TENANT in table.c}
        self._passed: set[str] = set()

    def check(self, sql: str) -> None:
        """Raises TenantMissing."""
        if sql in self._passed:
            return
        insert = sql.lstrip().upper().startswith(("INSERT", "REPLACE"))
        for name, alias in _TABLE_USE.findall(sql):
            if name not in self._tables:
                continue
            if insert and re.search(rf"INTO\s+[`\"]?{name}[`\"]?\s*\([^)]*\b{TENANT}\b", sql, re.IGNORECASE):
                continue
            if not re.search(rf"[`\"]?\b{alias or name}[`\"]?\.[`\"]?{TENANT}[`\"]?\s*=", sql):
                raise TenantMissing(f"the statement reads or writes {name} without its tenant")
        if len(self._passed) >= _GUARDED_MAX:
            self._passed.clear()
        self._passed.add(sql)


# ------------------------------------------------------------------------------------------ building statements


def select(table: sa.Table, *columns: Any) -> sa.Select[Any]:
    """Rows of the tenant's own: `SELECT columns (or all) WHERE tenant_id = :tenant_id`, to be narrowed by `.where`.

    May be built once at import time; the transaction binds the tenant. Joined tables need their own tenant equality.
    """
    wanted = sa.select(*(columns or (table,))).select_from(table)
    return wanted.where(table.c[TENANT] == sa.bindparam(TENANT, type_=table.c[TENANT].type))


def update(table: sa.Table) -> sa.Update:
    """`UPDATE ... WHERE tenant_id = :tenant_id`."""
    return sa.update(table).where(table.c[TENANT] == sa.bindparam("tenant_id_", type_=table.c[TENANT].type))


def delete(table: sa.Table) -> sa.Delete:
    """`DELETE ... WHERE tenant_id = :tenant_id`."""
    return sa.delete(table).where(table.c[TENANT] == sa.bindparam("tenant_id_", type_=table.c[TENANT].type))


class Tx:
    """One connection on behalf of one tenant, inside a transaction when it was opened to write.

    Invariants: every statement carries the tenant; nothing is awaited inside a write but SQL.
    """

    def __init__(self, connection: Connection, lock_row: sa.Table, tenant_id: TenantId) -> None:
        self.tenant_id = tenant_id
        self._connection = connection
        self._lock_row = lock_row

    def select(self, table: sa.Table, *columns: Any) -> sa.Select[Any]:
        """See `chassis.database.select`."""
        return select(table, *columns)

    def update(self, table: sa.Table) -> sa.Update:
        """See `chassis.database.update`."""
        return update(table)

    def delete(self, table: sa.Table) -> sa.Delete:
        """See `chassis.database.delete`."""
        return delete(table)

    async def rows(
        self, statement: sa.Select[Any] | Prepared, values: Mapping[str, Any] | None = None, *, lock: Lock | None = None
    ) -> Sequence[RowMapping]:
        """All rows of a bounded query."""
        return (await self._asked(statement, values, lock)).rows

    async def row(
        self, statement: sa.Select[Any] | Prepared, values: Mapping[str, Any] | None = None, *, lock: Lock | None = None
    ) -> RowMapping | None:
        """The only row, None where there is none. Raises MultipleResultsFound where there are two."""
        return (await self._asked(statement, values, lock)).only_row()

    async def _asked(
        self, statement: sa.Select[Any] | Prepared, values: Mapping[str, Any] | None, lock: Lock | None
    ) -> Answer:
        return await _asked(self._connection, statement, {TENANT: self.tenant_id, **(values or {})}, lock)

    async def execute(
        self,
        statement: sa.Update | sa.Delete | PreparedChange,
        values: Mapping[str, Any] | None = None,
        *,
        brief: bool = False,
    ) -> int:
        """How many rows an update or delete matched. `brief`: it reaches a few by their keys. Raises Duplicate."""
        values = {"tenant_id_": self.tenant_id, **(values or {})}
        if isinstance(statement, PreparedChange):
            return await self._connection.change(statement, values)
        return (await self._connection.run(statement, values, brief=brief)).matched

    async def execute_many(self, statement: sa.Update | sa.Delete, values: Sequence[Mapping[str, Any]]) -> int:
        """The same update or delete for many bound rows; how many rows matched in all."""
        if not values:
            return 0
        return (await self._run(statement, [{"tenant_id_": self.tenant_id, **row} for row in values])).matched

    async def insert(
        self, table: sa.Table, rows: Mapping[str, Any] | Sequence[Mapping[str, Any]], *, later: bool = False
    ) -> None:
        """Add rows (the tenant is put in), by executemany in chunks of 1,000. Raises Duplicate.

        `later`: the caller need not wait where they are many; what refuses them is raised at the end of the
        transaction, or by a statement before it.
        """
        if isinstance(rows, Mapping):
            rows = (rows,)
        for start in range(0, len(rows), CHUNK_ROWS):
            part = rows[start : start + CHUNK_ROWS]
            await self._connection.insert(table, part, {TENANT: self.tenant_id}, later=later)

    async def lock(self, name: str) -> None:
        """Hold the tenant's named lock until the transaction ends: the row that guards a rule over many rows."""
        table = self._lock_row
        named = select(table, table.c.name).where(table.c.name == name)
        if await self.row(named, lock=Lock.UPDATE) is not None:
            return
        # Two first users race here: one of them waits for the other's insert and then finds its row.
        with contextlib.suppress(Duplicate):
            await self.insert(table, {"name": name})
        await self.row(named, lock=Lock.UPDATE)

    async def _run(self, statement: Any, values: Any) -> Answer:
        return await self._connection.run(statement, values)


async def _asked(
    connection: Connection,
    statement: sa.Select[Any] | Prepared,
    values: Mapping[str, Any] | None,
    lock: Lock | None,
) -> Answer:
    if isinstance(statement, Prepared):
        return await connection.ask(statement, values or {}, lock=None if lock is None else lock.value)
    if lock is not None:
        statement = statement.with_for_update(read=lock is Lock.SHARE)
    return await connection.run(statement, values)


class SystemTx:
    """A connection past the tenant builder, for plumbing that serves all tenants (sequencer, purge, feeds)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def rows(
        self, statement: sa.Select[Any] | Prepared, values: Mapping[str, Any] | None = None, *, lock: Lock | None = None
    ) -> Sequence[RowMapping]:
        """All rows of a bounded query."""
        return (await _asked(self._connection, statement, values, lock)).rows

    async def row(
        self, statement: sa.Select[Any] | Prepared, values: Mapping[str, Any] | None = None, *, lock: Lock | None = None
    ) -> RowMapping | None:
        """The only row, None where there is none."""
        return (await _asked(self._connection, statement, values, lock)).only_row()

    async def execute(self, statement: Any, values: Any = None, *, brief: bool = False) -> int:
        """How many rows matched. `brief`: a change that reaches a few rows by their keys. Raises Duplicate."""
        if isinstance(statement, PreparedChange):
            return await self._connection.change(statement, values or {})
        return (await self._connection.run(statement, values, brief=brief)).matched


class Database:
    """One context's database.

    Invariants: every statement passes the tenant guard, or a SystemScope says why not.
    """

    def __init__(
        self,
        url: str,
        metadata: sa.MetaData,
        *,
        synchronous: str = "FULL",
        pool: Pool = USUAL_POOL,
        oldest_write_s: float = OLDEST_WRITE_S,
    ) -> None:
        self.url = make_url(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.metadata = metadata
        self.settle_margin_s = 0.0 if self.sqlite else oldest_write_s + CLOCK_DIFFERENCE_S
        self._lock_row = metadata.tables["lock_row"]
        check = TenantGuard(list(metadata.tables.values())).check
        self._engine: Engine = (
            SqliteEngine(self.url, check, synchronous=synchronous, oldest_write_s=oldest_write_s)
            if self.sqlite
            else MySqlEngine(self.url, check, pool=pool, oldest_write_s=oldest_write_s)
        )

    @asynccontextmanager
    async def read(self, tenant_id: TenantId, deadline: float | None = None) -> AsyncIterator[Tx]:
        """A connection to read with, each statement seeing what is committed when it starts.

        `deadline` is a reading of the loop's clock; the server gives up a statement soon after it.
        """
        async with self._engine.reading(deadline) as connection:
            yield Tx(connection, self._lock_row, tenant_id)

    @asynccontextmanager
    async def write(
        self, tenant_id: TenantId, deadline: float | None = None, *, together: bool = False
    ) -> AsyncIterator[Tx]:
        """A write transaction, committed when the block ends and rolled back when it raises.

        `together`: the block is short and waits for nothing but SQL, and may share its commit with others like it.
        Raises Contention, Unavailable; Unavailable too when it is older than 5 s at its end.
        """
        async with self._engine.writing(deadline, together=together) as connection:
            yield Tx(connection, self._lock_row, tenant_id)

    @asynccontextmanager
    async def system(
        self, scope: SystemScope, deadline: float | None = None, *, together: bool = False
    ) -> AsyncIterator[SystemTx]:
        """A write transaction past the tenant builder; `together` as for `write`."""
        async with self._engine.writing(deadline, together=together) as connection:
            with connection.unguarded(scope.reason):
                yield SystemTx(connection)

    @asynccontextmanager
    async def system_read(self, scope: SystemScope, deadline: float | None = None) -> AsyncIterator[SystemTx]:
        """A connection to read with, past the tenant builder."""
        async with self._engine.reading(deadline) as connection:
            with connection.unguarded(scope.reason):
                yield SystemTx(connection)

    async def now(self) -> datetime:
        """The database's clock in UTC, for leases and the skew check."""
        return await self._engine.now()

    async def settled(self) -> datetime:
        """What was recorded up to this instant, less `settle_margin_s`, is committed: no later write adds to it."""
        return await self._engine.settled()

    async def run_schema(self, work: Callable[[sa.Connection], None]) -> None:
        """Run synchronous schema work (migrations) on a connection past the tenant guard."""
        await self._engine.run_sync(work)

    async def create_tables(self) -> None:
        """Make every table at once, for tests; services run their migrations."""
        await self._engine.run_sync(self.metadata.create_all)

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.close()
