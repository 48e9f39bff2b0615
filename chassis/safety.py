"""What must be true of a database before a service uses it; each refusal says what to change."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from chassis import schema_version
from chassis.database import CLOCK_DIFFERENCE_S, Database, Pool
from chassis.lifecycle import CannotStart
from chassis.settings import Settings

FIRST_ANSWER_S = 30.0


class UnsafeDatabase(CannotStart):
    """The database would lose or bend data; the text names every setting and what it must be."""


async def open_database(settings: Settings, context: str, metadata: sa.MetaData, versions: Path) -> Database:
    """The context's database, ready to serve: safe settings, this program's schema.

    The embedded form brings its own files up to date; a server's schema is changed by `muster migrate` only.
    Raises UnsafeDatabase, SchemaBehind, Unavailable.
    """
    database = Database(
        settings.database_url(context),
        metadata,
        pool=Pool(settings.pool_size, settings.pool_overflow, settings.pool_timeout_s),
        oldest_write_s=settings.server_settle_margin_s - CLOCK_DIFFERENCE_S,
    )
    try:
        async with asyncio.timeout(FIRST_ANSWER_S):
            if database.sqlite:
                if await schema_version.found(database, context) != schema_version.wanted(versions):
                    from chassis import migrations  # a quarter of a service's start, and most starts need none of it

                    await migrations.upgrade(database, context, versions)
            else:
                await refuse_unsafe(database, context)
                await schema_version.check(database, context, versions)
    except BaseException:
        await database.close()
        raise
    return database


async def refuse_unsafe(database: Database, context: str) -> None:
    """Raises UnsafeDatabase, listing everything at once. SQLite's settings are ours and always safe."""
    if database.sqlite:
        return
    found: dict[str, object] = {}

    def read(connection: sa.Connection) -> None:
        row = connection.execute(
            sa.text(
                "SELECT @@global.innodb_flush_log_at_trx_commit AS flush, @@session.sql_mode AS mode, "
                "@@character_set_database AS charset, @@session.time_zone AS zone, "
                "@@session.innodb_lock_wait_timeout AS lock_wait"
            )
        )
        found.update(row.mappings().one())

    await database.run_schema(read)
    wrong = []
    if int(str(found["flush"])) != 1:
        wrong.append("innodb_flush_log_at_trx_commit is not 1: set it, or a power cut loses what was acknowledged")
    if "STRICT_ALL_TABLES" not in str(found["mode"]) and "STRICT_TRANS_TABLES" not in str(found["mode"]):
        wrong.append("sql_mode is not strict: add STRICT_ALL_TABLES, or values are cut without a word")
    if found["charset"] != "utf8mb4":
        wrong.append("the database's character set is not utf8mb4: ALTER DATABASE ... CHARACTER SET utf8mb4")
    if found["zone"] != "+00:00":
        wrong.append("the session's time_zone is not +00:00")
    difference = abs(await clock_difference_s(database))
    if difference > CLOCK_DIFFERENCE_S:
        wrong.append(f"this machine's clock and the database's are {difference:.1f} s apart: synchronise them")
    if wrong:
        raise UnsafeDatabase(f"{context}: the database cannot be used:\n" + "\n".join(f"- {line}" for line in wrong))


async def clock_difference_s(database: Database) -> float:
    """Seconds by which the database's clock is ahead, half the round trip taken off."""
    before = datetime.now(UTC)
    theirs = await database.now()
    after = datetime.now(UTC)
    return (theirs - before - (after - before) / 2).total_seconds()
