"""The database's promises: tenants apart, writers in turn, deadlines kept, exact values."""

import asyncio
import contextlib
import hashlib
import itertools
import random
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from chassis.columns import Code, Digest, Document, ExactDecimal, Id, Instant, tenant_column
from chassis.connections import ROWS_AT_ONCE, SqliteEngine, _SqliteConnection
from chassis.database import Database, Duplicate, Lock, Pool, SystemScope, TenantMissing, Unavailable, select
from chassis.tables import context_metadata
from kernel.ids import TenantId
from tests.support.servers import PrivateMariaDB

METADATA = context_metadata()
BADGE = sa.Table(
    "badge",
    METADATA,
    tenant_column(),
    sa.Column("id", Id, primary_key=True),
    sa.Column("code", Code(20), nullable=False),
    sa.Column("count", ExactDecimal(18, 4), nullable=False),
    sa.Column("seen_time", Instant, nullable=False),
    sa.UniqueConstraint("tenant_id", "code"),
)
PHOTO = sa.Table(
    "photo",
    METADATA,
    tenant_column(),
    sa.Column("id", Id, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("image", Document()),
    sa.Column("digest", Digest()),
    sa.Column("taken_on", sa.Date),
)
OTHER = BADGE.alias("other")
OURS, THEIRS = TenantId(uuid4()), TenantId(uuid4())
NOW = datetime(2026, 11, 23, 9, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "mariadb"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'badges.sqlite3'}"
    else:
        url = request.getfixturevalue("mariadb").create_database("badges")
    opened = Database(url, METADATA)
    await opened.create_tables()
    yield opened
    await opened.close()


def badge(code: str, count: str = "0") -> dict[str, object]:
    """A row to insert."""
    return {"id": uuid4(), "code": code, "count": Decimal(count), "seen_time": NOW}


async def count_of(database: Database, tenant: TenantId) -> int:
    """How many badges the tenant has."""
    async with database.read(tenant) as tx:
        [row] = await tx.rows(tx.select(BADGE, sa.func.count().label("badges")))
        return int(row["badges"])


async def test_what_is_written_is_read_back_exactly(database: Database) -> None:
    written = badge("A", "12345678901234.5678")

    async with database.write(OURS) as tx:
        await tx.insert(BADGE, written)

    async with database.read(OURS) as tx:
        row = await tx.row(tx.select(BADGE).where(BADGE.c.id == written["id"]))
    assert row is not None
    assert dict(row) == {"tenant_id": OURS, **written}


async def test_any_bytes_are_read_back_exactly_however_many_rows_are_written_at_once(database: Database) -> None:
    images = [
        bytes(range(256)), b"\\'\"%s%%\0\n\r\x1a;--", b"\\", b"'", b"", "工资条 ü".encode(), b"it''s\\\\'", None,
        *(random.Random(seed).randbytes(5000) for seed in range(300)),
    ]  # fmt: skip
    written = [
        {
            "id": uuid4(),
            "number": number,
            "image": image,
            "digest": None if image is None else hashlib.sha256(image).digest(),
            "taken_on": None if number % 2 else date(2026, 11, 30),
        }
        for number, image in enumerate(images)
    ]

    async with database.write(OURS) as tx:
        await tx.insert(PHOTO, written)

    async with database.read(OURS) as tx:
        rows = await tx.rows(tx.select(PHOTO).order_by(PHOTO.c.number).limit(1000))
    assert [dict(row) for row in rows] == [{"tenant_id": OURS, **one} for one in written]


async def test_rows_that_do_not_name_the_same_columns_are_refused_together(database: Database) -> None:
    whole = badge("A")

    with pytest.raises(KeyError):
        async with database.write(OURS) as tx:
            await tx.insert(BADGE, [whole, {"id": uuid4(), "code": "B"}])
    with pytest.raises(ValueError, match="badge is given"):
        async with database.write(OURS) as tx:
            await tx.insert(BADGE, [{**whole, "colour": "red"}])

    assert await count_of(database, OURS) == 0


async def test_a_tenant_sees_changes_and_deletes_only_its_own_rows(database: Database) -> None:
    theirs = badge("A")
    async with database.write(THEIRS) as tx:
        await tx.insert(BADGE, theirs)

    async with database.write(OURS) as tx:
        seen = await tx.row(tx.select(BADGE).where(BADGE.c.id == theirs["id"]))
        changed = await tx.execute(tx.update(BADGE).where(BADGE.c.id == theirs["id"]).values(code="B"))
        deleted = await tx.execute(tx.delete(BADGE).where(BADGE.c.id == theirs["id"]))

    assert (seen, changed, deleted) == (None, 0, 0)
    assert await count_of(database, THEIRS) == 1


@pytest.mark.parametrize(
    "statement",
    [
        sa.select(BADGE),
        sa.select(BADGE).where(BADGE.c.code == "A"),
        sa.update(BADGE).values(code="B"),
        sa.delete(BADGE).where(BADGE.c.code == "A"),
        sa.text("SELECT code FROM badge"),
        sa.text("SELECT b.code FROM badge AS b WHERE b.code = 'A'"),
        sa.text("INSERT INTO badge (id, code) VALUES ('1', '2')"),
        sa.select(OTHER).where(OTHER.c.code == "A"),
        select(BADGE).join(OTHER, OTHER.c.code == BADGE.c.code),
    ],
    ids=str,
)
async def test_a_query_without_its_tenant_is_never_sent(database: Database, statement: sa.Select[tuple[UUID]]) -> None:
    await never_sent(database, statement)


async def never_sent(database: Database, statement: sa.Select[Any]) -> None:
    """The database refuses the statement before anything reads it."""
    with pytest.raises(TenantMissing, match="badge without its tenant"):
        async with database.write(OURS) as tx:
            await tx.rows(statement)


class Unguarded(Database):
    """The planted bug: sends whatever it is given."""

    def __init__(self, url: str) -> None:
        super().__init__(url, METADATA)
        self._engine = SqliteEngine(self.url, lambda sql: None, synchronous="OFF", oldest_write_s=5.0)


async def test_without_the_guard_another_tenants_rows_would_be_read(tmp_path: Path) -> None:
    database = Unguarded(f"sqlite:///{tmp_path / 'badges.sqlite3'}")
    await database.create_tables()
    async with database.write(THEIRS) as tx:
        await tx.insert(BADGE, badge("A"))

    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        await never_sent(database, sa.select(BADGE))

    async with database.read(OURS) as tx:
        assert [row["tenant_id"] for row in await tx.rows(sa.select(BADGE))] == [THEIRS]
    await database.close()


async def test_the_plumbing_may_reach_all_tenants_when_it_says_why(database: Database) -> None:
    for tenant in (OURS, THEIRS):
        async with database.write(tenant) as tx:
            await tx.insert(BADGE, badge("A"))

    async with database.system(SystemScope("a test of the door")) as system:
        assert len(await system.rows(sa.select(BADGE))) == 2

    with pytest.raises(TenantMissing):
        async with database.read(OURS) as tx:
            await tx.rows(sa.select(BADGE))


async def test_a_refused_row_names_the_key_that_refused_it(database: Database) -> None:
    async with database.write(OURS) as tx:
        await tx.insert(BADGE, badge("A"))

    with pytest.raises(Duplicate) as refused:
        async with database.write(OURS) as tx:
            await tx.insert(BADGE, [badge("B"), badge("A")])

    assert refused.value.touches("code")
    assert not refused.value.touches("seen_time")
    assert await count_of(database, OURS) == 1


async def test_many_writers_lose_no_increment(database: Database) -> None:
    counter = badge("COUNTER")
    async with database.write(OURS) as tx:
        await tx.insert(BADGE, counter)

    async def add_one() -> None:
        async with database.write(OURS) as tx:
            row = await tx.row(tx.select(BADGE).where(BADGE.c.id == counter["id"]), lock=Lock.UPDATE)
            assert row is not None
            await tx.execute(tx.update(BADGE).where(BADGE.c.id == counter["id"]).values(count=row["count"] + 1))

    await asyncio.gather(*(add_one() for _ in range(60)))

    async with database.read(OURS) as tx:
        row = await tx.row(tx.select(BADGE).where(BADGE.c.id == counter["id"]))
    assert row is not None
    assert row["count"] == 60


async def test_a_named_lock_is_held_by_one_transaction_at_a_time(database: Database) -> None:
    inside: list[str] = []

    async def enter() -> None:
        async with database.write(OURS) as tx:
            await tx.lock("manager chain")
            inside.append("in")
            assert inside == ["in"]
            await tx.rows(tx.select(BADGE).limit(1))
            inside.clear()

    await asyncio.gather(*(enter() for _ in range(12)))


async def test_what_is_settled_is_older_than_anything_that_is_still_being_written(database: Database) -> None:
    margin = timedelta(seconds=database.settle_margin_s)
    before = await database.settled() - margin

    async with database.write(OURS) as tx:
        stamped = datetime.now(UTC)
        await tx.insert(BADGE, badge("A"))
        meanwhile = await database.settled() - margin
    after = await database.settled()

    assert before <= meanwhile < stamped <= after


async def test_a_cancelled_write_leaves_nothing_and_the_next_writer_goes_on(database: Database) -> None:
    async def slow_write() -> None:
        async with database.write(OURS) as tx:
            await tx.insert(BADGE, badge("A"))
            await asyncio.sleep(30)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await slow_write()

    async with asyncio.timeout(2), database.write(OURS) as tx:
        await tx.insert(BADGE, badge("A"))
    assert await count_of(database, OURS) == 1


def badges(count: int, prefix: str = "L") -> list[dict[str, object]]:
    """As many rows as no insert writes at once."""
    return [badge(f"{prefix}{number}") for number in range(count)]


async def codes_of(database: Database) -> set[str]:
    """The codes of our badges."""
    async with database.read(OURS) as tx:
        return {row["code"] for row in await tx.rows(tx.select(BADGE).limit(10_000))}


async def test_rows_that_may_be_written_later_are_there_for_whatever_comes_after_them(database: Database) -> None:
    async with database.write(OURS) as tx:
        await tx.insert(BADGE, badges(1200), later=True)
        await tx.insert(BADGE, badge("FEW"), later=True)
        among = tx.select(BADGE).where(BADGE.c.code.in_(["L0", "L1199", "FEW"]))
        seen = await tx.rows(among)
        await tx.insert(BADGE, badges(30, "M"), later=True)
        changed = await tx.execute(tx.update(BADGE).values(count=Decimal(7)).where(BADGE.c.code == "M29"))
        await tx.insert(BADGE, badges(30, "N"), later=True)
        await tx.insert(BADGE, badge("LAST"))
        await tx.insert(BADGE, badges(30, "O"), later=True)

    assert len(seen) == 3
    assert changed == 1
    whole = [badges(1200), badges(30, "M"), badges(30, "N"), badges(30, "O")]
    assert await codes_of(database) == {"FEW", "LAST", *(row["code"] for rows in whole for row in rows)}


@pytest.mark.parametrize("then", ["commit", "read", "insert"])
async def test_a_row_written_later_that_is_refused_is_told_by_what_follows_and_undoes_everything(
    database: Database, then: str
) -> None:
    async with database.write(OURS) as tx:
        await tx.insert(BADGE, badge("L17"))

    async def written() -> None:
        async with database.write(OURS) as tx:
            await tx.insert(BADGE, badge("BEFORE"))
            await tx.insert(BADGE, badges(600), later=True)
            if then == "read":
                await tx.rows(tx.select(BADGE).limit(1))
            elif then == "insert":
                await tx.insert(BADGE, badge("AFTER"))

    with pytest.raises(Duplicate):
        await written()

    assert await codes_of(database) == {"L17"}
    async with database.write(OURS) as tx:
        await tx.insert(BADGE, badges(30, "M"), later=True)
    assert len(await codes_of(database)) == 31


async def test_a_refusal_that_somebody_overlooks_is_told_again_by_the_commit(tmp_path: Path) -> None:
    async with opened(tmp_path) as database:
        async with database.write(OURS) as tx:
            await tx.insert(BADGE, badge("L17"))

        async def written() -> None:
            async with database.write(OURS) as tx:
                await tx.insert(BADGE, badges(600), later=True)
                with contextlib.suppress(Duplicate):
                    await tx.rows(tx.select(BADGE).limit(1))

        with pytest.raises(Duplicate):
            await written()

        assert await codes_of(database) == {"L17"}


@pytest.mark.parametrize("together", [False, True])
async def test_work_that_fails_while_rows_are_written_leaves_none_of_them(database: Database, together: bool) -> None:
    async def failing() -> None:
        async with database.write(OURS, together=together) as tx:
            await tx.insert(BADGE, badges(3000), later=True)
            raise ZeroDivisionError

    for _ in range(10):
        with pytest.raises(ZeroDivisionError):
            await failing()

    assert await count_of(database, OURS) == 0
    async with database.write(OURS, together=together) as tx:
        await tx.insert(BADGE, badges(30), later=True)
    assert await count_of(database, OURS) == 30


async def test_a_caller_who_leaves_while_rows_are_written_leaves_none_of_them(tmp_path: Path) -> None:
    async with opened(tmp_path) as database:

        async def write() -> None:
            async with database.write(OURS) as tx:
                await tx.insert(BADGE, badges(20_000), later=True)

        for pause_s in (0.0, 0.001, 0.005, 0.02, 0.05) * 5:
            writing = asyncio.create_task(write())
            await asyncio.sleep(pause_s)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            # It may have been too late to undo; then all are there.
            assert await count_of(database, OURS) in (0, 20_000)
            async with database.write(OURS) as tx:
                await tx.execute(tx.delete(BADGE))
            assert await count_of(database, OURS) == 0


async def test_commands_that_share_a_commit_may_write_later_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as database:

        async def command(number: int) -> None:
            async with database.write(OURS, together=True) as tx:
                await tx.insert(BADGE, badges(30, f"C{number}-"), later=True)
                if number % 3 == 2:
                    raise ZeroDivisionError

        done = await asyncio.gather(*(command(number) for number in range(12)), return_exceptions=True)

        good = [number for number, one in enumerate(done) if one is None]
        assert good == [number for number in range(12) if number % 3 != 2]
        assert await codes_of(database) == {row["code"] for number in good for row in badges(30, f"C{number}-")}


async def test_a_commit_that_does_not_wait_for_rows_written_later_would_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = threading.Event()
    left: list[Future[None]] = []
    insert_many = _SqliteConnection._insert_many

    async def commit(self: Any) -> None:
        if self._behind is not None:
            left.append(self._behind)
        self._behind = None
        await self.call(self._driver.commit)

    def insert_many_late(self: Any, *given: Any) -> None:
        counted.wait(10.0)
        insert_many(self, *given)

    monkeypatch.setattr(_SqliteConnection, "commit", commit)
    monkeypatch.setattr(_SqliteConnection, "_insert_many", insert_many_late)
    async with opened(tmp_path) as database:
        async with database.write(OURS) as tx:
            await tx.insert(BADGE, badges(1000), later=True)
        when_answered = await count_of(database, OURS)
        counted.set()
        await asyncio.wait([asyncio.wrap_future(one) for one in left])

    assert when_answered == 0


async def test_lists_of_any_length_are_written_by_statements_of_few_sizes(tmp_path: Path) -> None:
    async with opened(tmp_path) as database:
        engine = database._engine
        assert isinstance(engine, SqliteEngine)
        async with database.write(OURS) as tx:
            for length in range(1, 130):
                await tx.insert(BADGE, badges(length, f"L{length}-"), later=True)
        statements = len(engine._inserts._repeated)

        assert await count_of(database, OURS) == sum(range(1, 130))

    assert statements <= len(ROWS_AT_ONCE)


@pytest.mark.parametrize("rows", [1, 600])
async def test_a_commit_that_sqlite_refuses_may_be_tried_again(tmp_path: Path, rows: int) -> None:
    lent = sa.Table("lent", sa.MetaData(), tenant_column(), sa.Column("code", sa.String(40)))

    def tables(raw: sa.Connection) -> None:
        raw.exec_driver_sql("CREATE TABLE shelf (code TEXT PRIMARY KEY)")
        raw.exec_driver_sql(
            "CREATE TABLE lent (tenant_id BLOB, code TEXT REFERENCES shelf (code) DEFERRABLE INITIALLY DEFERRED)"
        )

    async with opened(tmp_path) as database:
        await database.run_schema(tables)

        async def lend() -> None:
            async with database.write(OURS) as tx:
                await tx.insert(BADGE, badges(rows), later=True)
                await tx.insert(lent, {"code": "on no shelf"}, later=True)

        with pytest.raises(Unavailable, match="cannot commit now"):
            await lend()

        assert await count_of(database, OURS) == 0


@contextlib.asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database of SQLite."""
    database = Database(f"sqlite:///{tmp_path / 'later.sqlite3'}", METADATA)
    await database.create_tables()
    yield database
    await database.close()


async def test_a_waiting_writer_gives_up_with_its_caller(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'badges.sqlite3'}", METADATA)
    await database.create_tables()

    async with database.write(OURS) as tx:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), database.write(OURS):
                pass
        await tx.insert(BADGE, badge("A"))

    assert await count_of(database, OURS) == 1
    await database.close()


@pytest.fixture
async def thousands(tmp_path: Path) -> AsyncIterator[Database]:
    """An SQLite file with 3,000 badges of ours."""
    opened = Database(f"sqlite:///{tmp_path / 'badges.sqlite3'}", METADATA)
    await opened.create_tables()
    async with opened.write(OURS) as tx:
        await tx.insert(BADGE, [badge(f"B{number}") for number in range(3000)])
    yield opened
    await opened.close()


PAIRS = (
    select(BADGE, sa.func.count().label("pairs"))
    .join(OTHER, (OTHER.c.tenant_id == BADGE.c.tenant_id) & (OTHER.c.code > BADGE.c.code))
    .where(OTHER.c.tenant_id == sa.bindparam("tenant_id"))
)  # of 3,000 badges 4,498,500: some tenths of a second


async def test_a_look_into_an_index_of_sqlite_needs_no_thread(thousands: Database) -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with thousands.read(OURS) as tx:
        counting = asyncio.create_task(count_turns())
        found = await tx.row(tx.select(BADGE).where(BADGE.c.code == "B17"))
        turns_of_the_look = turns
        listed = await tx.rows(tx.select(BADGE).limit(3000))
        turns_of_the_list = turns
        counting.cancel()

    assert found is not None
    assert turns_of_the_look == 0
    assert len(listed) == 3000
    assert turns_of_the_list > 0


async def test_a_scan_of_sqlite_does_not_hold_the_loop_nor_undo_what_was_written_before_it(thousands: Database) -> None:
    clock = asyncio.get_running_loop()
    pauses: list[float] = []

    async def watch() -> None:
        while True:
            before = clock.time()
            await asyncio.sleep(0.005)
            pauses.append(clock.time() - before)

    async with thousands.write(OURS) as tx:
        await tx.insert(BADGE, badge("A"))
        watching = asyncio.create_task(watch())
        started = clock.time()
        found = await tx.row(PAIRS)
        taken = clock.time() - started
        watching.cancel()

    assert found is not None
    assert found["pairs"] == 3001 * 3000 // 2
    assert max(pauses) < max(0.1, taken / 2)
    async with thousands.read(OURS) as tx:
        assert await tx.row(tx.select(BADGE).where(BADGE.c.code == "A")) is not None


async def test_what_is_committed_to_sqlite_moves_from_the_log_to_the_file_beside_the_writer(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'badges.sqlite3'}", METADATA)
    await database.create_tables()
    sizes = partial(_sizes, tmp_path)
    size = sizes()["badges.sqlite3"]
    clock = asyncio.get_running_loop()
    until = clock.time() + 10

    written = 0
    while sizes()["badges.sqlite3"] <= size + 100_000 and clock.time() < until:
        async with database.write(OURS) as tx:
            await tx.insert(BADGE, [badge(f"B{written + number}") for number in range(100)])
        written += 100
        await asyncio.sleep(0.02)
    meanwhile = sizes()
    await database.close()

    assert meanwhile["badges.sqlite3"] > size + 100_000  # its log is well below what the writer moves by itself
    assert meanwhile["badges.sqlite3-wal"] > 0
    assert list(sizes()) == ["badges.sqlite3"]


def _sizes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in folder.iterdir()}


async def test_a_long_statement_on_sqlite_ends_with_its_caller(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'badges.sqlite3'}", METADATA)
    await database.create_tables()
    endless = sa.text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) SELECT sum(i) FROM n"
    )
    clock = asyncio.get_running_loop()
    started = clock.time()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), database.read(OURS) as tx:
            await tx.rows(endless)  # type: ignore[arg-type]

    assert clock.time() - started < 1.2
    assert await count_of(database, OURS) == 0
    await database.close()


async def test_a_transaction_that_grew_old_is_refused_at_commit(tmp_path: Path, mariadb: PrivateMariaDB) -> None:
    for url in (f"sqlite:///{tmp_path / 'badges.sqlite3'}", mariadb.create_database("old_writes")):
        patient = Database(url, METADATA)
        await patient.create_tables()
        await patient.close()
        database = Database(url, METADATA, oldest_write_s=0.05)

        async def dawdle(database: Database = database) -> None:
            async with database.write(OURS) as tx:
                await tx.insert(BADGE, badge("A"))
                await asyncio.sleep(0.1)

        with pytest.raises(Unavailable, match="took longer"):
            await dawdle()

        assert await count_of(database, OURS) == 0
        await database.close()


@pytest.mark.parametrize("writing", [False, True], ids=["read", "write"])
async def test_who_finds_the_pool_full_is_refused_after_the_time_that_was_set(
    mariadb: PrivateMariaDB, writing: bool
) -> None:
    pool = Pool(size=1, overflow=1, timeout_s=0.2)
    database = Database(mariadb.create_database("full_pool"), METADATA, pool=pool)
    connect = database.write if writing else database.read
    clock = asyncio.get_running_loop()

    async with connect(OURS), connect(OURS):
        started = clock.time()
        with pytest.raises(Unavailable, match="in time"):
            async with connect(OURS):
                pass
        waited = clock.time() - started
    async with connect(OURS):
        pass

    assert 0.2 <= waited < 1.0
    await database.close()


@pytest.mark.parametrize("writing", [False, True], ids=["read", "write"])
async def test_a_frozen_server_costs_the_caller_no_more_than_the_deadline(
    mariadb: PrivateMariaDB, writing: bool
) -> None:
    database = Database(mariadb.create_database("frozen"), METADATA)
    await database.create_tables()
    clock = asyncio.get_running_loop()
    slow = sa.text("SELECT SLEEP(3)")

    async def work(deadline: float) -> None:
        async with asyncio.timeout_at(deadline):
            if writing:
                async with database.write(OURS, deadline) as tx:
                    await tx.insert(BADGE, badge("A"))
                    await asyncio.sleep(0.1)
                    await tx.rows(slow)  # type: ignore[arg-type]
            else:
                async with database.read(OURS, deadline) as tx:
                    await tx.rows(slow)  # type: ignore[arg-type]

    async def ask() -> float:
        """Seconds after its deadline that the caller had its answer."""
        deadline = clock.time() + 1.0
        with pytest.raises((TimeoutError, Unavailable)):
            await work(deadline)
        return clock.time() - deadline

    asking = [asyncio.create_task(ask()) for _ in range(4)]
    await asyncio.sleep(0.3)
    mariadb.sigstop()
    try:
        late = asyncio.create_task(lateness(1.2))
        asking += [asyncio.create_task(ask()) for _ in range(40)]  # more than the pool holds
        overdue = await asyncio.gather(*asking)
    finally:
        mariadb.sigcont()
    await asyncio.sleep(1.0)
    alive = mariadb.execute(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%SLEEP(3)%' AND info NOT LIKE '%list%'"
    )

    assert max(overdue) - await late < 0.2
    assert alive.strip() == "0"
    assert await count_of(database, OURS) == 0
    await database.close()


@pytest.mark.parametrize("writing", [False, True], ids=["read", "write"])
async def test_no_answer_that_was_given_up_is_taken_for_the_next_one(mariadb: PrivateMariaDB, writing: bool) -> None:
    """Who leaves a frozen server in mid-question leaves no connection behind that still hears the answer."""
    database = Database(mariadb.create_database("given_up"), METADATA)
    clock = asyncio.get_running_loop()
    numbered = itertools.count()

    async def ask(seconds: float) -> tuple[int, int]:
        number, deadline = next(numbered), clock.time() + seconds
        async with asyncio.timeout_at(deadline):
            async with (database.write if writing else database.read)(OURS, deadline) as tx:
                rows = await tx.rows(sa.select(sa.literal(number).label("number")))
        return number, rows[0]["number"]

    await asyncio.gather(*(ask(30.0) for _ in range(15)))
    for seconds in (0.2, 0.4, 0.7):  # each sends another limit to the server before its question
        mariadb.sigstop()
        try:
            given_up = await asyncio.gather(*(ask(seconds) for _ in range(15)), return_exceptions=True)
        finally:
            mariadb.sigcont()
        answers = await asyncio.gather(*(ask(30.0) for _ in range(60)))

        # While it is being stopped the server may still answer a first question.
        early = [each for each in given_up if isinstance(each, tuple)]
        assert {type(each) for each in given_up} - {tuple} <= {TimeoutError, Unavailable}
        assert len(early) < len(given_up)
        assert all(asked == heard for asked, heard in [*early, *answers])
    await database.close()


async def lateness(seconds: float) -> float:
    """By how much this machine wakes a sleeper too late, at worst: what no code of ours can be blamed for."""
    clock = asyncio.get_running_loop()
    end, worst = clock.time() + seconds, 0.0
    while (now := clock.time()) < end:
        await asyncio.sleep(0.02)
        worst = max(worst, clock.time() - now - 0.02)
    return worst


async def test_a_restarted_server_is_found_again(mariadb: PrivateMariaDB) -> None:
    database = Database(mariadb.create_database("restarted"), METADATA)
    await database.create_tables()
    async with database.write(OURS) as tx:
        await tx.insert(BADGE, badge("A"))

    mariadb.kill()
    with pytest.raises(Unavailable):
        await count_of(database, OURS)
    mariadb.start()

    assert await count_of(database, OURS) == 1
    await database.close()


async def test_a_killed_server_is_away_whatever_is_asked_first(mariadb: PrivateMariaDB) -> None:
    database = Database(mariadb.create_database("killed"), METADATA)
    await database.create_tables()
    clock = asyncio.get_running_loop()

    async def count_within(seconds: float) -> int:
        async with database.read(OURS, clock.time() + seconds) as tx:
            return len(await tx.rows(tx.select(BADGE).limit(10)))

    await asyncio.gather(*(count_within(30.0) for _ in range(10)))
    mariadb.kill()
    first = await asyncio.gather(*(count_within(5.0) for _ in range(10)), return_exceptions=True)
    mariadb.start()
    with contextlib.suppress(Unavailable):  # the one that finds the pool's last connection dead
        await count_within(5.0)

    assert {type(each) for each in first} == {Unavailable}
    assert await asyncio.gather(*(count_within(5.0) for _ in range(10))) == [0] * 10
    await database.close()


async def test_work_on_the_schema_may_take_longer_than_a_write(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'badges.sqlite3'}", METADATA, oldest_write_s=0.0)

    await database.create_tables()

    assert await count_of(database, OURS) == 0
    await database.close()
