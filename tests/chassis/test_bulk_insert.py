"""Inserts of many rows: the same bytes as Core's own executemany would store."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from chassis.bulk_insert import BulkInserts
from chassis.columns import Code, Document, ExactDecimal, Id, Instant, tenant_column
from chassis.database import Database, select
from chassis.tables import context_metadata
from kernel.ids import TenantId

METADATA = context_metadata()
TICKET = sa.Table(
    "ticket",
    METADATA,
    tenant_column(),
    sa.Column("id", Id, primary_key=True),
    sa.Column("code", Code(20), nullable=False),
    sa.Column("price", ExactDecimal(18, 4)),
    sa.Column("day", sa.Date),
    sa.Column("sold_time", Instant),
    sa.Column("other", Id),
    sa.Column("document", Document()),
)
NUMBERED = sa.Table("numbered", METADATA, tenant_column(), sa.Column("number", sa.Integer, default=7))


def rows(count: int) -> list[dict[str, object]]:
    """Rows with values of every kind, some of them missing, some the same object in every row."""
    same = uuid4()
    return [
        {
            "id": uuid4(),
            "code": f"T{number}",
            "price": Decimal(number) / 4 if number % 3 else None,
            "day": date(2026, 1, 1 + number % 28),
            "sold_time": datetime(2026, 1, 1, 9, number % 60, 1, 5, tzinfo=UTC),
            "other": same if number % 2 else None,
            "document": bytes([number % 256]) * number,
        }
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [1, 2, 137])
def test_rows_are_stored_as_core_would_store_them(count: int) -> None:
    engine = sa.create_engine("sqlite://")
    tenant, given = uuid4(), rows(count)

    with engine.connect() as connection:
        METADATA.create_all(connection)
        bulk = BulkInserts(engine.dialect).of(TICKET, (*given[0], "tenant_id"))
        connection.exec_driver_sql(bulk.sql, bulk.values(given, {"tenant_id": tenant}))
        ours = connection.exec_driver_sql("SELECT * FROM ticket ORDER BY code").all()
        connection.exec_driver_sql("DELETE FROM ticket")
        connection.execute(sa.insert(TICKET), [{**row, "tenant_id": tenant} for row in given])
        cores = connection.exec_driver_sql("SELECT * FROM ticket ORDER BY code").all()

    assert ours == cores


def test_a_column_with_a_default_cannot_be_left_out() -> None:
    inserts = BulkInserts(sa.create_engine("sqlite://").dialect)

    with pytest.raises(TypeError, match="numbered"):
        inserts.of(NUMBERED, ("tenant_id",))


def test_an_insert_is_made_once_for_the_same_columns() -> None:
    inserts = BulkInserts(sa.create_engine("sqlite://").dialect)

    again = inserts.of(TICKET, ("tenant_id", "id", "code"))

    assert inserts.of(TICKET, ("tenant_id", "id", "code")) is again
    assert inserts.of(TICKET, ("tenant_id", "code", "id")) is not again
    assert isinstance(again.values([{"id": UUID(int=1), "code": "A"}], {"tenant_id": UUID(int=2)}), list)


@pytest.mark.parametrize("count", [1, 10, 11, 99, 487, 500, 637, 1003])
async def test_no_row_is_lost_between_two_statements(tmp_path: Path, count: int) -> None:
    database = Database(f"sqlite:///{tmp_path / 'tickets.sqlite3'}", METADATA)
    await database.create_tables()
    tenant, given = TenantId(uuid4()), rows(count)

    async with database.write(tenant) as tx:
        await tx.insert(TICKET, given)

    async with database.read(tenant) as tx:
        found = await tx.rows(select(TICKET))
    await database.close()
    assert sorted(row["code"] for row in found) == sorted(str(row["code"]) for row in given)
    assert {row["id"]: row["document"] for row in found} == {row["id"]: row["document"] for row in given}


async def test_a_table_of_many_columns_is_given_fewer_rows_at_once(tmp_path: Path) -> None:
    wide = sa.MetaData()
    for table in METADATA.tables.values():
        table.to_metadata(wide)
    columns = [sa.Column(f"c{number}", sa.Integer) for number in range(90)]
    broad = sa.Table("broad", wide, tenant_column(), sa.Column("id", Id, primary_key=True), *columns)
    database = Database(f"sqlite:///{tmp_path / 'broad.sqlite3'}", wide)
    await database.create_tables()
    tenant = TenantId(uuid4())

    async with database.write(tenant) as tx:
        await tx.insert(broad, [{"id": uuid4(), **{f"c{number}": row for number in range(90)}} for row in range(600)])

    async with database.read(tenant) as tx:
        found = await tx.rows(select(broad, broad.c.c89))
    await database.close()
    assert sorted(row["c89"] for row in found) == list(range(600))
