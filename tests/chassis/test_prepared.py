"""Prepared queries: what they find is what the same statement finds, on every database."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from chassis.database import (
    Database,
    Duplicate,
    Lock,
    Prepared,
    PreparedChange,
    SystemScope,
    TenantMissing,
    select,
    update,
)
from tests.chassis.test_database import BADGE, METADATA, NOW, OURS, PAIRS, PHOTO, THEIRS, badge

_ids = sa.bindparam("ids", expanding=True, type_=BADGE.c.id.type)

BY_IDS = select(BADGE).where(BADGE.c.id.in_(_ids)).order_by(BADGE.c.code)
BY_CODE_AND_TIME = (
    select(BADGE, BADGE.c.code, BADGE.c.count, BADGE.c.id, sa.type_coerce(BADGE.c.id, sa.LargeBinary).label("bytes"))
    .where(BADGE.c.code.in_(sa.bindparam("codes", expanding=True)), BADGE.c.seen_time >= sa.bindparam("since"))
    .where(BADGE.c.id.in_(_ids), BADGE.c.seen_time < NOW + timedelta(days=1))
    .order_by(BADGE.c.code)
)
PHOTOS = select(PHOTO).where(PHOTO.c.number < 10).order_by(PHOTO.c.number).limit(20)
TUPLES = select(BADGE).where(
    sa.tuple_(BADGE.c.code, BADGE.c.code).in_(sa.bindparam("pairs", expanding=True))
)  # that only Core can write


@pytest.fixture(params=["sqlite", "mariadb"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A database of each kind with ten badges of ours, one of theirs and some photos."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'badges.sqlite3'}"
    else:
        url = request.getfixturevalue("mariadb").create_database("prepared")
    opened = Database(url, METADATA)
    await opened.create_tables()
    images = [None, b"", b"\x00'\\", "工资条".encode()]
    async with opened.write(OURS) as tx:
        await tx.insert(BADGE, [badge(f"B{number}", f"{number}.0001") for number in range(10)])
        await tx.insert(
            PHOTO,
            [
                {
                    "id": uuid4(),
                    "number": number,
                    "image": image,
                    "digest": None if image is None else hashlib.sha256(image).digest(),
                    "taken_on": None if image is None else date(2026, 11, 30),
                }
                for number, image in enumerate(images)
            ],
        )
    async with opened.write(THEIRS) as tx:
        await tx.insert(BADGE, badge("B1"))
    yield opened
    await opened.close()


async def found_alike(database: Database, statement: sa.Select[Any], values: dict[str, Any]) -> list[dict[str, Any]]:
    """What a statement finds, made sure that it finds it prepared, twice and under locks too."""
    prepared = Prepared(statement)
    async with database.write(OURS) as tx:
        expected = [dict(row) for row in await tx.rows(statement, values)]
        for lock in (None, None, Lock.UPDATE, Lock.SHARE):
            assert [dict(row) for row in await tx.rows(prepared, values, lock=lock)] == expected
    return expected


async def test_rows_are_found_and_converted_as_the_statement_does(database: Database) -> None:
    async with database.read(OURS) as tx:
        ids = [row["id"] for row in await tx.rows(select(BADGE).order_by(BADGE.c.code))]
    values = {"codes": ["B1", "B2", "B3"], "since": NOW, "ids": ids[2:]}

    for some in ([], ids[:1], ids[:3], ids[4:], [*ids, uuid4()]):
        assert len(await found_alike(database, BY_IDS, {"ids": some})) == min(len(some), 10)
    assert [row["code"] for row in await found_alike(database, BY_CODE_AND_TIME, values)] == ["B2", "B3"]
    assert await found_alike(database, BY_CODE_AND_TIME, {**values, "codes": []}) == []
    assert len(await found_alike(database, PHOTOS, {})) == 4
    assert len(await found_alike(database, TUPLES, {"pairs": [("B1", "B1"), ("B2", "B3")]})) == 1


async def test_a_prepared_change_does_what_its_statement_does(database: Database) -> None:
    statement = (
        update(BADGE)
        .where(BADGE.c.id.in_(_ids))
        .values(count=BADGE.c.count + sa.bindparam("more"), seen_time=sa.bindparam("at", type_=BADGE.c.seen_time.type))
    )
    prepared = PreparedChange(statement)
    everything = select(BADGE).order_by(BADGE.c.code)
    async with database.write(OURS) as tx:
        ids = [row["id"] for row in await tx.rows(everything)]
        before = await tx.rows(everything)
        for some in ([], ids[:1], ids[3:7], [*ids, uuid4()]):
            values = {"ids": some, "more": Decimal(3), "at": NOW + timedelta(microseconds=1)}
            by_statement = await tx.execute(statement, values)
            assert await tx.execute(prepared, values) == by_statement == min(len(some), 10)
        after = await tx.rows(everything)

    # the ends once more than the middle, each time by both
    gained = [new["count"] - old["count"] for new, old in zip(after, before, strict=True)]
    assert gained == [12, 6, 6, 12, 12, 12, 12, 6, 6, 6]
    assert {row["seen_time"] for row in after} == {NOW + timedelta(microseconds=1)}
    async with database.write(THEIRS) as tx:
        assert await tx.execute(prepared, {"ids": ids, "more": Decimal(1), "at": NOW}) == 0


async def test_a_prepared_query_without_its_tenant_is_never_sent(database: Database) -> None:
    everything = Prepared(sa.select(BADGE))

    with pytest.raises(TenantMissing):
        async with database.read(OURS) as tx:
            await tx.rows(everything)
    async with database.system(SystemScope("a test of the door")):
        pass
    with pytest.raises(TenantMissing):
        async with database.write(OURS) as tx:
            await tx.rows(everything)


async def test_more_than_one_row_is_not_taken_for_the_only_one(database: Database) -> None:
    async with database.read(OURS) as tx:
        with pytest.raises(RuntimeError, match="gave 4"):
            await tx.row(Prepared(PHOTOS))


async def test_a_value_that_is_missing_is_told(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'badges.sqlite3'}", METADATA)
    await database.create_tables()

    with pytest.raises(KeyError):
        async with database.read(OURS) as tx:
            await tx.rows(Prepared(BY_IDS))
    await database.close()


async def test_a_prepared_scan_does_not_hold_the_loop_nor_undo_what_was_written_before_it(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'badges.sqlite3'}", METADATA)
    await database.create_tables()
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    async with database.write(OURS) as tx:
        await tx.insert(BADGE, [badge(f"B{number}") for number in range(1500)])
        counting = asyncio.create_task(count_turns())
        found = await tx.row(Prepared(PAIRS))
        counting.cancel()
        with pytest.raises(Duplicate):
            await tx.insert(BADGE, badge("B7"))

    assert found is not None
    assert found["pairs"] == 1500 * 1499 // 2
    assert turns > 3
    await database.close()
