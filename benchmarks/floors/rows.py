"""The floor of what writes many rows: the same rows, written again with nothing computed or asked.

The same bytes into tables of the same shape, SQLAlchemy Core executemany, 500 employees (or punches) per transaction,
one connection, the same durability.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

PER_TRANSACTION = 500
MOST_PUNCHES = 100_000
DURABLE_SQLITE = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Written:
    """What was left in some tables: how each is made, its rows in the order they were written, and of how many."""

    schema: Mapping[str, str]
    rows: Mapping[str, Rows]
    count: int

    @property
    def size(self) -> int:
        """Bytes of all values."""
        return sum(_size(value) for rows in self.rows.values() for row in rows for value in row.values())


def _size(value: Any) -> int:
    return len(value) if isinstance(value, bytes | str) else 8


def read_sqlite(path: Path, run_id: bytes) -> Written:
    """The rows of a run in payroll's file."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        tables = _run_tables(connection)
        rows = {
            name: [dict(row) for row in connection.execute(_of_run(table, run_id)).mappings()]
            for name, table in tables.items()
        }
        schema = _made(connection, tables)
    engine.dispose()
    return _written(schema, rows)


def read_punches(path: Path) -> Written:
    """Up to 100,000 punches in attendance's file."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        punch = sa.Table("punch", sa.MetaData(), autoload_with=connection)
        rows = [dict(row) for row in connection.execute(sa.select(punch).limit(MOST_PUNCHES)).mappings()]
        schema = _made(connection, ("punch",))
    engine.dispose()
    return Written(schema, {"punch": rows}, len(rows))


def _made(connection: sa.Connection, tables: Collection[str]) -> dict[str, str]:
    """The statements that make these tables of SQLite and their indexes, in order."""
    made = connection.exec_driver_sql(
        "SELECT tbl_name, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type = 'index'"
    ).all()
    return {name: sql for owner, name, sql in made if owner in tables}


async def read_mariadb(url: str, run_id: bytes) -> Written:
    """The rows of a run in payroll's database."""
    engine = create_async_engine(url)
    schema, rows = {}, {}
    async with engine.connect() as connection:
        tables = await connection.run_sync(_run_tables)
        for name, table in tables.items():
            made = (await connection.exec_driver_sql(f"SHOW CREATE TABLE {name}")).mappings().one()
            schema[name] = made["Create Table"]
            found = await connection.execute(_of_run(table, run_id))
            rows[name] = [dict(row) for row in found.mappings()]
    await engine.dispose()
    return _written(schema, rows)


def _run_tables(connection: sa.Connection) -> dict[str, sa.Table]:
    """The tables that hold something of a run, pay inputs apart: a run marks those, it does not write them."""
    metadata = sa.MetaData()
    metadata.reflect(connection)
    return {name: table for name, table in metadata.tables.items() if "run_id" in table.columns and name != "pay_input"}


def _of_run(table: sa.Table, run_id: bytes) -> sa.Select[Any]:
    return sa.select(table).where(table.c.run_id == run_id)


def _written(schema: Mapping[str, str], rows: Mapping[str, Rows]) -> Written:
    kept = {table: sorted(found, key=_employee) for table, found in rows.items() if found}
    return Written(schema, kept, len(kept["payslip"]))


def _employee(row: Mapping[str, Any]) -> bytes:
    """Rows are written in the order of the employees, as the run wrote them."""
    found: bytes = row.get("employee_id", b"")
    return found


def write_sqlite(written: Written, folder: Path) -> float:
    """Seconds to write the rows to a new file."""
    path = folder / f"floor-{time.monotonic_ns()}.sqlite3"
    engine = sa.create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for pragma in DURABLE_SQLITE:
            connection.exec_driver_sql(f"PRAGMA {pragma}")
        for sql in written.schema.values():
            connection.exec_driver_sql(sql)
        inserts = _inserts(written, connection)
        transactions = _transactions(written)
        started = time.perf_counter()
        for transaction in transactions:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            for table, rows in transaction:
                connection.execute(inserts[table], rows)
            connection.exec_driver_sql("COMMIT")
        seconds = time.perf_counter() - started
    engine.dispose()
    for file in folder.glob(f"{path.name}*"):
        file.unlink()
    return seconds


async def write_mariadb(written: Written, url: str) -> float:
    """Seconds to write the rows to an empty database."""
    engine = create_async_engine(url, isolation_level="READ COMMITTED")
    async with engine.connect() as connection:
        for sql in written.schema.values():
            await connection.exec_driver_sql(sql)
        await connection.commit()
        inserts = await connection.run_sync(lambda sync: _inserts(written, sync))
        transactions = _transactions(written)
        started = time.perf_counter()
        for transaction in transactions:
            for table, rows in transaction:
                await connection.execute(inserts[table], rows)
            await connection.commit()
        seconds = time.perf_counter() - started
        for table in written.schema:
            await connection.exec_driver_sql(f"DROP TABLE {table}")
    await engine.dispose()
    return seconds


def _inserts(written: Written, bind: sa.Connection) -> dict[str, sa.Insert]:
    metadata = sa.MetaData()
    metadata.reflect(bind, only=list(written.rows))
    return {table: sa.insert(metadata.tables[table]) for table in written.rows}


def _transactions(written: Written) -> list[list[tuple[str, Rows]]]:
    """Each table's rows dealt to transactions in proportion: 500 employees' payslips, slots and ranges together."""
    count = max(-(-written.count // PER_TRANSACTION), 1)
    return [
        [(table, share) for table, rows in written.rows.items() if (share := _share(rows, number, count))]
        for number in range(count)
    ]


def _share(rows: Rows, number: int, count: int) -> Rows:
    return rows[len(rows) * number // count : len(rows) * (number + 1) // count]
