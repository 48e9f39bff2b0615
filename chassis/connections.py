"""Connections to SQLite (a thread beside the loop) and to MySQL or MariaDB (asyncmy): pools, deadlines, clean-up."""

import asyncio
import contextlib
import re
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from chassis.bulk_insert import Blob, BulkInserts, blob_literal
from chassis.prepared import Prepared, PreparedChange
from chassis.waiting import settle
from chassis.write_turns import Turns, Writer

T = TypeVar("T")
Check = Callable[[str], None]

OLDEST_WRITE_S = 5.0  # a write transaction older than this is refused at commit: known_at reads rest on it
SQLITE_READERS = 4
ROWS_AT_ONCE = (500, 250, 120, 60, 30, 12, 5, 2, 1)  # by one statement of SQLite, as many as there are
MOST_VALUES = 32_000  # of one statement
MANY_VALUES = 520  # looked up by one query: no look that is short
FEW_ROWS = 32  # that are inserted or changed without a thread, a millisecond
CHECKPOINT_S = 5.0  # what was committed moves from the log to the file at most so often, beside the writer,
CHECKPOINT_ROWS = 5_000  # or once so many rows were added: the disk is busy with it meanwhile, and commits wait longer,
CHECKPOINT_COMMITS = 100  # or after so many commits: a small one may touch sixteen pages, one of each index
WRITER_CACHE_KIB, READER_CACHE_KIB = 32_768, 8_192  # pages kept in memory; SQLite's own 2 MiB hold no index of a year
BUSY_WAIT_MS = 5_000
LONGEST_LOG_PAGES = 16_384  # 64 MiB; a log that grew so long is moved by the writer itself, and all wait for it
SHORT_STEPS = 16_000  # of the virtual machine of SQLite, a millisecond or two: what may run without a thread
LOCK_WAIT_S = 2
CLEAN_UP_S = 0.1
# Close together, so that a statement never outlives its caller by much (a deadline of 1 s arrives as 1.001 s).
_STATEMENT_TIMES_S = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.5, 16.0, 20.0, 32.0)
_UNGUARDED = "muster_unguarded"
_TRY_AGAIN = {1213, 1205, 1020}  # deadlock, lock wait, snapshot changed
_AWAY = {1040, 1053, 1129, 1158, 1159, 1160, 1161, 1317, 1927, 1969, 2002, 2003, 2006, 2013, 2014, 3024}
_CLOSED = {1044, 1045, 1049}  # another password, no right, no such database: the operator mends it while we try


class Duplicate(Exception):
    """A unique key refused a row; `touches` tells which."""

    def __init__(self, key: str) -> None:
        super().__init__(f"duplicate row for {key}")
        self.key = key

    def touches(self, name: str) -> bool:
        """Whether the key's name holds this column or table name."""
        return name in self.key


class Unavailable(Exception):
    """The database cannot be used now; the same call may succeed later."""


class Contention(Unavailable):
    """A deadlock or lock wait: the whole transaction may be tried again at once."""


@dataclass(frozen=True, slots=True)
class Pool:
    """How many connections to a server are kept, how many more are made in a rush, and how long one waits for one."""

    size: int = 10
    overflow: int = 5
    timeout_s: float = 2.0


USUAL_POOL = Pool()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement gave: its rows, or how many rows it matched."""

    rows: Sequence[RowMapping]
    matched: int

    def only_row(self) -> RowMapping | None:
        """The one row, None for none. Raises RuntimeError for more."""
        if len(self.rows) > 1:
            raise RuntimeError(f"a query for one row gave {len(self.rows)}")
        return self.rows[0] if self.rows else None


def _answer(result: sa.CursorResult[Any]) -> Answer:
    if result.returns_rows:
        return Answer(result.mappings().all(), 0)
    return Answer((), result.rowcount)


class Connection(Protocol):
    """One connection, in the hands of one task."""

    async def run(self, statement: Any, values: Any, *, brief: bool = False) -> Answer:
        """Execute one statement (executemany for a list of values). Raises Duplicate, Contention, Unavailable.

        `brief`: a change that reaches a few rows by their keys.
        """
        ...

    async def ask(self, query: Prepared, values: Mapping[str, Any], *, lock: str | None) -> Answer:
        """The rows of a prepared query, locked until the transaction ends for "UPDATE" or "SHARE". Raises as `run`."""
        ...

    async def change(self, change: PreparedChange, values: Mapping[str, Any]) -> int:
        """How many rows a prepared update matched. Raises as `run`."""
        ...

    async def insert(
        self, table: sa.Table, rows: Sequence[Mapping[str, Any]], same: Mapping[str, Any], *, later: bool = False
    ) -> None:
        """Add rows that name the same columns; `same` are values that all of them have. Raises as `run`.

        `later`: the caller goes on while they are written; what refuses them is raised by a later statement of the
        transaction, by its commit at the latest.
        """
        ...

    def unguarded(self, reason: str) -> contextlib.AbstractContextManager[None]:
        """Lift the tenant guard inside the block."""
        ...


class Engine(Protocol):
    """The connections of one database."""

    def reading(self, deadline: float | None) -> contextlib.AbstractAsyncContextManager[Connection]: ...

    def writing(
        self, deadline: float | None, *, together: bool = False
    ) -> contextlib.AbstractAsyncContextManager[Connection]: ...

    async def now(self) -> datetime: ...

    async def settled(self) -> datetime: ...

    async def run_sync(self, work: Callable[[sa.Connection], Any]) -> None: ...

    async def close(self) -> None: ...


def _guard(engine: sa.Engine, check: Check) -> None:
    @event.listens_for(engine, "before_cursor_execute")
    def before(connection: sa.Connection, _cursor: Any, sql: str, *_rest: Any) -> None:
        if not connection.info.get(_UNGUARDED):
            check(sql)


@contextmanager
def _lifted(info: Any, reason: str) -> Iterator[None]:
    info[_UNGUARDED] = reason
    try:
        yield
    finally:
        info[_UNGUARDED] = None


def translated(error: exc.DBAPIError) -> Exception:
    """The driver's error in words that callers act on; what is not known stays as it is."""
    if isinstance(error, exc.IntegrityError):
        text = str(error.orig.args[-1]) if error.orig is not None else ""
        found = re.search(r"for key '([^']+)'", text) or re.search(r"UNIQUE constraint failed: ([^)]+)", text)
        return error if found is None else Duplicate(found.group(1))
    number = error.orig.args[0] if error.orig is not None and error.orig.args else None
    if number in _TRY_AGAIN or "database is locked" in str(error.orig):
        return Contention(f"the database asked for another try ({number})")
    if error.connection_invalidated or isinstance(error, exc.InterfaceError) or number in _AWAY | _CLOSED:
        return Unavailable(f"the database cannot answer now ({number})")
    if "interrupted" in str(error.orig) or "disk is full" in str(error.orig):
        return Unavailable("the statement was given up")
    return error


def _of_sqlite(error: sqlite3.Error) -> Exception:
    """An error of SQLite's own driver, as `translated` has it."""
    kind = exc.IntegrityError if isinstance(error, sqlite3.IntegrityError) else exc.DBAPIError
    return translated(kind(None, None, error))


def _refuse_old(started: float, oldest_s: float) -> None:
    if time.monotonic() - started > oldest_s:
        raise Unavailable(f"the transaction took longer than {oldest_s:g} s and was rolled back")


# ------------------------------------------------------------------------------------------------ SQLite


class _SqliteConnection:
    """A connection whose short statements run where they are awaited, and all others in a thread.

    A hop to a thread and back costs ten times what a look into an index costs. What is short shows itself: a query
    that takes more than `SHORT_STEPS` is given up and asked again in a thread, cursor and fetch included.

    Invariants: the loop is held by no query longer than some milliseconds, nor by a commit or a lock; no statement runs
    before what was to be written `later` than the caller, and no transaction ends while it is being written.
    """

    def __init__(self, engine: sa.Engine, inserts: BulkInserts, threads: ThreadPoolExecutor, check: Check) -> None:
        self.rows_added = 0
        self._check = check
        self._inserts = inserts
        self._threads = threads
        self._connection = engine.connect()
        driver = self._connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        self._driver = driver
        self._later: deque[Callable[[], None]] = deque()
        self._behind: Future[None] | None = None  # does what is in `_later`

    async def run(self, statement: Any, values: Any, *, brief: bool = False) -> Answer:
        def run() -> Answer:
            return _answer(self._connection.execute(statement, values))

        await self.caught_up()
        try:
            if statement.is_select:
                try:
                    return self._short(run)
                except _Long:
                    return await self.call(run)
            short = brief or (statement.is_insert and not isinstance(values, list))
            return run() if short else await self.call(run)
        except exc.DBAPIError as error:
            raise translated(error) from error

    async def ask(self, query: Prepared, values: Mapping[str, Any], *, lock: str | None) -> Answer:
        plan = query.plan(self._connection.dialect)
        if plan is None:
            return await self.run(query.statement, values)
        sql, bound = plan.asked(values)
        self._guarded(sql)
        await self.caught_up()

        def ask() -> Answer:
            return Answer(plan.rows(self._driver.execute(sql, bound).fetchall()), 0)

        try:
            if len(bound) > MANY_VALUES:
                return await self.call(ask)
            try:
                return self._short(ask)
            except _Long:
                return await self.call(ask)
        except sqlite3.Error as error:
            raise _of_sqlite(error) from error

    async def change(self, change: PreparedChange, values: Mapping[str, Any]) -> int:
        plan = change.plan(self._connection.dialect)
        if plan is None:
            return (await self.run(change.statement, values, brief=True)).matched
        sql, bound = plan.asked(values)
        self._guarded(sql)
        await self.caught_up()
        try:
            return self._driver.execute(sql, bound).rowcount
        except sqlite3.Error as error:
            raise _of_sqlite(error) from error

    def _guarded(self, sql: str) -> None:
        if not self._connection.info.get(_UNGUARDED):
            self._check(sql)

    def _short(self, run: Callable[[], Answer]) -> Answer:
        """What a query gives within so many steps. Raises _Long."""
        self._driver.set_progress_handler(_give_up, SHORT_STEPS)
        try:
            return run()
        except (exc.OperationalError, sqlite3.OperationalError) as error:
            if "interrupted" in str(error):
                raise _Long from None
            raise
        finally:
            self._driver.set_progress_handler(None, 0)

    async def insert(
        self, table: sa.Table, rows: Sequence[Mapping[str, Any]], same: Mapping[str, Any], *, later: bool = False
    ) -> None:
        sql, values = self._inserts.statement(table, rows, same)
        self._guarded(sql)
        self.rows_added += len(rows)
        if later and (len(rows) > FEW_ROWS or self._behind is not None):
            self._do_later(lambda: self._insert_later(sql, values))
            return
        await self.caught_up()
        if len(rows) <= FEW_ROWS:
            self._insert_many(sql, values)
        else:
            await self.call(lambda: self._insert_many(sql, values))

    def _do_later(self, work: Callable[[], None]) -> None:
        """In a thread, after all that is to be done later already."""
        self._later.append(work)
        if self._behind is None or self._behind.done():
            self._behind = self._threads.submit(self._catch_up, self._behind)

    def _catch_up(self, before: "Future[None] | None") -> None:
        """What is to be done later, after what went `before`. Raises what that raised, and as what is done."""
        if before is not None:
            before.result()
        while self._later:
            self._later.popleft()()

    async def caught_up(self) -> None:
        """Return once everything is done that was to be done later. Raises as `run`."""
        while self._behind is not None:
            behind = self._behind
            await self._ended(behind)
            if self._behind is behind:
                self._behind = self._threads.submit(self._catch_up, behind) if self._later else None

    async def give_up(self) -> None:
        """Nothing is written later any more: the transaction is undone."""
        behind, self._behind = self._behind, None
        self._later.clear()
        if behind is not None:
            await self._interrupted(asyncio.wrap_future(behind))

    def _insert_later(self, sql: str, values: Sequence[tuple[Any, ...]]) -> None:
        if not self._driver.in_transaction:
            raise Unavailable("the transaction was given up")  # an interrupted statement ends all of it
        self._insert_many(sql, values)

    def _insert_many(self, sql: str, values: Sequence[tuple[Any, ...]]) -> None:
        # Each statement gives up the interpreter; to win it back from a busy loop takes longer than the work does. One
        # of just so many rows would do, but the driver keeps 128 statements with their last values: a MiB each, or so.
        start = 0
        try:
            for size in ROWS_AT_ONCE:
                if size * len(values[0]) > MOST_VALUES:
                    continue
                while start + size <= len(values):
                    flat = tuple(chain.from_iterable(values[start : start + size]))
                    self._driver.execute(self._inserts.repeated(sql, size), flat)
                    start += size
        except sqlite3.Error as error:
            raise _of_sqlite(error) from error

    def unguarded(self, reason: str) -> contextlib.AbstractContextManager[None]:
        return _lifted(self._connection.info, reason)

    async def call(self, work: Callable[[], T]) -> T:
        """Run in a thread; a cancelled caller interrupts the statement and leaves only when it has ended."""
        return await self._ended(self._threads.submit(work))

    async def _ended(self, running: "Future[T]") -> T:
        # `shield(wrap_future(running))` would wake the caller two turns of the loop later.
        loop = asyncio.get_running_loop()
        told = loop.create_future()

        def tell(_: object) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, (told,))

        running.add_done_callback(tell)
        try:
            await told
        except asyncio.CancelledError:
            await self._interrupted(asyncio.wrap_future(running))
            raise
        return running.result()

    async def _interrupted(self, future: asyncio.Future[Any]) -> None:
        """Return once it has ended, however often the caller is cancelled: nothing runs beside what comes next."""
        cancelled = False
        while not future.done():
            self._driver.interrupt()
            try:
                await asyncio.wait({future})
            except asyncio.CancelledError:
                cancelled = True
        if not future.cancelled():
            future.exception()
        if cancelled:
            raise asyncio.CancelledError

    async def begin(self) -> None:
        # Nobody else writes to the file, but an operator's tool may; then a thread waits for it, not the loop.
        self._driver.execute("PRAGMA busy_timeout=0")
        try:
            self._driver.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError:
            pass
        finally:
            self._driver.execute(f"PRAGMA busy_timeout={BUSY_WAIT_MS}")
        await self.call(lambda: self._connection.exec_driver_sql("BEGIN IMMEDIATE"))

    def mark(self) -> None:
        self._driver.execute("SAVEPOINT command")

    def keep(self) -> None:
        self._driver.execute("RELEASE command")

    def undo(self) -> None:
        self._driver.execute("ROLLBACK TO command")
        self._driver.execute("RELEASE command")

    async def commit(self) -> None:
        def commit() -> None:
            self._driver.commit()
            self._connection.commit()

        self._do_later(commit)
        await self.caught_up()

    def rollback(self) -> None:
        self._later.clear()
        self._behind = None
        self._driver.rollback()
        self._connection.rollback()

    @property
    def in_transaction(self) -> bool:
        return self._driver.in_transaction

    def run_sync(self, work: Callable[[sa.Connection], Any]) -> None:
        work(self._connection)

    def close(self) -> None:
        self._connection.close()


class _Long(Exception):
    """A query that is not short."""


def _give_up() -> bool:
    return True


_BEFORE = timedelta(microseconds=1)


class SqliteEngine:
    """One file: readers that never wait for the writer (WAL), and one writer at a time (BEGIN IMMEDIATE).

    Invariants: a commit waits for the log's disk only; moving the log into the file goes on beside it.
    """

    def __init__(self, url: URL, check: Check, *, synchronous: str, oldest_write_s: float) -> None:
        self._check = check
        url = url.set(drivername="sqlite+pysqlite")
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
        self._reads = self._engine(url, check, query_only=True, synchronous=synchronous)
        self._writes = self._engine(url, check, query_only=False, synchronous=synchronous)
        self._inserts = BulkInserts(self._writes.dialect)
        # One for each reader, what is written later, its commit, and the log on its way to the file.
        self._threads = ThreadPoolExecutor(SQLITE_READERS + 3, thread_name_prefix="sqlite")
        self._read_turns = Turns(SQLITE_READERS)
        self._idle: list[_SqliteConnection] = []
        self._writer = Writer(
            lambda: self._connection(self._writes),
            check=lambda began: _refuse_old(began, oldest_write_s),
            lost=lambda: Unavailable("the transaction that it shared was undone"),
            committed=self._move_log,
        )
        self._checkpointer: _SqliteConnection | None = None
        self._checkpoint: asyncio.Future[None] | None = None
        self._checkpoint_due = 0.0
        self._commits = 0  # since the last checkpoint began

    @staticmethod
    def _engine(url: URL, check: Check, *, query_only: bool, synchronous: str) -> sa.Engine:
        engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"check_same_thread": False})
        _guard(engine, check)

        @event.listens_for(engine, "connect")
        def connected(raw: sqlite3.Connection, _record: Any) -> None:
            raw.isolation_level = None
            for pragma in (
                "journal_mode=WAL",
                f"synchronous={synchronous}",
                f"busy_timeout={BUSY_WAIT_MS}",
                f"cache_size=-{READER_CACHE_KIB if query_only else WRITER_CACHE_KIB}",
                "foreign_keys=ON",
                f"query_only={'ON' if query_only else 'OFF'}",
                f"wal_autocheckpoint={LONGEST_LOG_PAGES}",
            ):
                raw.execute(f"PRAGMA {pragma}")

        return engine

    def _connection(self, engine: sa.Engine) -> _SqliteConnection:
        return _SqliteConnection(engine, self._inserts, self._threads, self._check)

    @asynccontextmanager
    async def reading(self, deadline: float | None) -> AsyncIterator[Connection]:
        async with self._read_turns.turn():
            connection = self._idle.pop() if self._idle else self._connection(self._reads)
            try:
                yield connection
            finally:
                connection.rollback()
                self._idle.append(connection)

    @asynccontextmanager
    async def writing(self, deadline: float | None, *, together: bool = False) -> AsyncIterator[Connection]:
        try:
            async with self._writer.turn(together=together) as connection:
                try:
                    yield connection
                    if together:
                        await connection.caught_up()
                except BaseException:
                    await connection.give_up()
                    raise
        except exc.DBAPIError as error:
            raise translated(error) from error
        except sqlite3.Error as error:
            raise Unavailable(f"the database cannot commit now ({error})") from error

    def _move_log(self) -> None:
        writer = self._writer.connection
        assert writer is not None
        self._commits += 1
        many = self._commits >= CHECKPOINT_COMMITS or writer.rows_added >= CHECKPOINT_ROWS
        due = many or time.monotonic() >= self._checkpoint_due
        if not due or (self._checkpoint is not None and not self._checkpoint.done()):
            return
        self._checkpoint_due = time.monotonic() + CHECKPOINT_S
        writer.rows_added = self._commits = 0
        self._checkpoint = asyncio.get_running_loop().run_in_executor(self._threads, self._moved)

    def _moved(self) -> None:
        if self._checkpointer is None:
            self._checkpointer = self._connection(self._writes)
        # It waits for nobody and nobody waits for it; what it could not move the next one does.
        with contextlib.suppress(exc.DBAPIError):
            self._checkpointer.run_sync(lambda raw: raw.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").all())
            self._checkpointer.rollback()

    async def now(self) -> datetime:
        return datetime.now(UTC)

    async def settled(self) -> datetime:
        # What is being written has the times of its own turn, and is not to be read before it is committed.
        return datetime.now(UTC) if self._writer.since is None else self._writer.since - _BEFORE

    async def run_sync(self, work: Callable[[sa.Connection], Any]) -> None:
        async with self._writer.turn(together=False, patient=True) as connection:
            with connection.unguarded("schema"):
                await connection.call(lambda: connection.run_sync(work))

    async def close(self) -> None:
        await self._writer.settled()
        if self._checkpoint is not None:
            await asyncio.wait({self._checkpoint})
        for connection in (*self._idle, self._writer.connection, self._checkpointer):
            if connection is not None:
                connection.close()
        self._idle, self._checkpointer = [], None
        self._threads.shutdown(wait=False)


# ------------------------------------------------------------------------------------------------ MySQL, MariaDB


class _MySqlConnection:
    def __init__(self, connection: AsyncConnection, inserts: BulkInserts) -> None:
        self._connection = connection
        self._inserts = inserts

    async def run(self, statement: Any, values: Any, *, brief: bool = False) -> Answer:
        try:
            return _answer(await self._connection.execute(statement, values))
        except exc.DBAPIError as error:
            raise translated(error) from error

    async def ask(self, query: Prepared, values: Mapping[str, Any], *, lock: str | None) -> Answer:
        return await self.run(query.statement if lock is None else query.locking(share=lock == "SHARE"), values)

    async def change(self, change: PreparedChange, values: Mapping[str, Any]) -> int:
        return (await self.run(change.statement, values)).matched

    async def insert(
        self, table: sa.Table, rows: Sequence[Mapping[str, Any]], same: Mapping[str, Any], *, later: bool = False
    ) -> None:
        try:
            await self._connection.exec_driver_sql(*self._inserts.statement(table, rows, same))
        except exc.DBAPIError as error:
            raise translated(error) from error

    def unguarded(self, reason: str) -> contextlib.AbstractContextManager[None]:
        return _lifted(self._connection.sync_connection.info, reason)  # type: ignore[union-attr]


class MySqlEngine:
    """A server: one pool to read in autocommit, one to write at READ COMMITTED."""

    def __init__(self, url: URL, check: Check, *, pool: Pool, oldest_write_s: float) -> None:
        self._oldest_write_s = oldest_write_s
        self._reads = self._engine(url, check, pool, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True)
        self._writes = self._engine(url, check, pool, isolation_level="READ COMMITTED")
        self._inserts = BulkInserts(self._writes.dialect)

    @staticmethod
    def _engine(url: URL, check: Check, pool: Pool, **options: Any) -> AsyncEngine:
        from asyncmy.converters import conversions  # as late as the driver itself: SQLite does not need it

        engine = create_async_engine(
            url,
            pool_size=pool.size,
            max_overflow=pool.overflow,
            pool_timeout=pool.timeout_s,
            pool_recycle=1800,
            connect_args={
                "charset": "utf8mb4",
                "conv": {**conversions, Blob: blob_literal},
                "init_command": f"SET SESSION innodb_lock_wait_timeout={LOCK_WAIT_S}, time_zone='+00:00', sql_mode='"
                "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE'",
            },
            **options,
        )
        _guard(engine.sync_engine, check)
        return engine

    @asynccontextmanager
    async def reading(self, deadline: float | None) -> AsyncIterator[Connection]:
        async with self._connected(self._reads, deadline) as connection:
            yield _MySqlConnection(connection, self._inserts)

    @asynccontextmanager
    async def writing(self, deadline: float | None, *, together: bool = False) -> AsyncIterator[Connection]:
        # The server itself asks its disk once for commits that come together.
        async with self._connected(self._writes, deadline) as connection:
            started = time.monotonic()
            yield _MySqlConnection(connection, self._inserts)
            _refuse_old(started, self._oldest_write_s)
            await connection.commit()

    @asynccontextmanager
    async def _connected(self, engine: AsyncEngine, deadline: float | None) -> AsyncIterator[AsyncConnection]:
        try:
            connection = await engine.connect()
            try:
                await self._limit_statements(connection, deadline)
                yield connection
            except BaseException as error:
                # The rollback of a read sends nothing, so it cannot tell whether the connection still works.
                away = isinstance(error, Unavailable) and not isinstance(error, Contention)
                await self._clean_up(connection, usable=not away)
                raise
            else:
                await connection.close()
        except exc.DBAPIError as error:
            raise translated(error) from error
        except (exc.TimeoutError, ConnectionError) as error:
            raise Unavailable("no database connection was to be had in time") from error

    @staticmethod
    async def _limit_statements(connection: AsyncConnection, deadline: float | None) -> None:
        """The server itself ends what outlives the caller; the limit is sent again only when it changes."""
        left = _STATEMENT_TIMES_S[-1] if deadline is None else deadline - asyncio.get_running_loop().time()
        limit = next((step for step in _STATEMENT_TIMES_S if left <= step), _STATEMENT_TIMES_S[-1])
        raw = await connection.get_raw_connection()
        if raw.info.get("statement_time") == limit:
            return
        mariadb = getattr(connection.dialect, "is_mariadb", False)
        setting = f"max_statement_time={limit}" if mariadb else f"max_execution_time={int(limit * 1000)}"

        # By SQLAlchemy, which closes a connection left in mid-question, and the whole pool when the server has gone.
        with _lifted(connection.sync_connection.info, "statement time"):  # type: ignore[union-attr]
            await connection.exec_driver_sql(f"SET SESSION {setting}")
        raw.info["statement_time"] = limit

    @staticmethod
    async def _clean_up(connection: AsyncConnection, *, usable: bool) -> None:
        """Roll back and give the connection back; a server that does not answer at once loses it."""

        async def rolled_back() -> bool:
            try:
                async with asyncio.timeout(CLEAN_UP_S):
                    await connection.rollback()
            except (Exception, asyncio.CancelledError):
                return False
            return True

        async def give_back() -> None:
            # The driver says goodbye to the server before it closes; a frozen one would never let it go.
            if not (usable and await rolled_back()):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CLEAN_UP_S):
                        await connection.invalidate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLEAN_UP_S):
                    await connection.close()

        with contextlib.suppress(Exception):
            await asyncio.shield(asyncio.ensure_future(give_back()))

    async def now(self) -> datetime:
        async with self._connected(self._reads, None) as connection:
            value: datetime = (await connection.execute(sa.text("SELECT UTC_TIMESTAMP(6)"))).scalar_one()
            return value.replace(tzinfo=UTC)

    async def settled(self) -> datetime:
        return await self.now()

    async def run_sync(self, work: Callable[[sa.Connection], Any]) -> None:
        async with self._connected(self._writes, None) as connection:
            with _lifted(connection.sync_connection.info, "schema"):  # type: ignore[union-attr]
                await connection.run_sync(work)
                await connection.commit()

    async def close(self) -> None:
        await self._reads.dispose()
        await self._writes.dispose()
