"""A service refuses to start on a database that would lose or bend data, and says which setting."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from chassis import migrations
from chassis.database import Database, Unavailable
from chassis.safety import UnsafeDatabase, open_database
from chassis.schema_version import SchemaBehind
from chassis.settings import Settings
from chassis.tables import context_metadata
from kernel.ids import INSTALLATION
from tests.support.servers import PrivateMariaDB

STEP = """
from alembic import op

from chassis.migrations import create_plumbing
from chassis.schema_version import SchemaBehind

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_plumbing(op)
"""


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """A migration tree with one step."""
    folder = tmp_path / "versions"
    folder.mkdir()
    (folder / "0001_first.py").write_text(STEP)
    return folder


@pytest.fixture
def careless() -> Iterator[PrivateMariaDB]:
    """A server that acknowledges before it has written."""
    with PrivateMariaDB(flush_at_commit=2) as server:
        yield server


def settings_for(url: str, tmp_path: Path) -> Settings:
    """Settings of one context on that database."""
    return Settings(data_dir=tmp_path / "data", database_urls={"organization": url})


async def test_a_server_that_acknowledges_before_writing_is_refused(
    careless: PrivateMariaDB, versions: Path, tmp_path: Path
) -> None:
    url = careless.create_database("careless")
    careless.execute("ALTER DATABASE careless CHARACTER SET latin1")

    with pytest.raises(UnsafeDatabase) as refused:
        await open_database(settings_for(url, tmp_path), "organization", context_metadata(), versions)

    assert "innodb_flush_log_at_trx_commit" in str(refused.value)
    assert "utf8mb4" in str(refused.value)


async def test_a_server_with_another_schema_is_refused_until_it_is_migrated(
    mariadb: PrivateMariaDB, versions: Path, tmp_path: Path
) -> None:
    settings = settings_for(mariadb.create_database("unmigrated"), tmp_path)

    with pytest.raises(SchemaBehind, match="muster migrate organization"):
        await open_database(settings, "organization", context_metadata(), versions)

    database = Database(settings.database_url("organization"), context_metadata())
    await migrations.upgrade(database, "organization", versions)
    await migrations.upgrade(database, "organization", versions)
    assert await migrations.differences(database, "organization") == []
    await database.close()
    opened = await open_database(settings, "organization", context_metadata(), versions)
    await opened.close()


LATER = """
from alembic import op

from chassis.migrations import extend_plumbing

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    extend_plumbing(op)
"""


@pytest.mark.parametrize("engine", ["sqlite", "mariadb"])
async def test_a_database_of_an_earlier_version_gets_what_the_plumbing_has_since(
    request: pytest.FixtureRequest, engine: str, versions: Path, tmp_path: Path
) -> None:
    server = request.getfixturevalue("mariadb") if engine == "mariadb" else None
    url = server.create_database("earlier") if server else f"sqlite:///{tmp_path}/earlier.sqlite3"
    database = Database(url, context_metadata())
    await migrations.upgrade(database, "organization", versions)

    def take_back(connection: sa.Connection) -> None:
        connection.execute(sa.text("INSERT INTO feed_head (id, position) VALUES (1, 7)"))
        on = " ON outbox" if server else ""
        connection.execute(sa.text(f"DROP INDEX ix_outbox_tenant_id_position{on}"))
        connection.execute(sa.text("ALTER TABLE feed_head DROP COLUMN purged_position"))
        connection.execute(sa.text("DROP TABLE parked"))

    await database.run_schema(take_back)
    lacking = await migrations.differences(database, "organization")
    (versions / "0002_later.py").write_text(LATER)
    await migrations.upgrade(database, "organization", versions)

    assert len(lacking) >= 3
    assert await migrations.differences(database, "organization") == []
    await database.close()


async def test_the_pool_is_that_of_the_settings(mariadb: PrivateMariaDB, versions: Path, tmp_path: Path) -> None:
    url = mariadb.create_database("small_pool")
    settings = replace(settings_for(url, tmp_path), pool_size=1, pool_overflow=0, pool_timeout_s=0.1)
    database = Database(url, context_metadata())
    await migrations.upgrade(database, "organization", versions)
    await database.close()
    opened = await open_database(settings, "organization", context_metadata(), versions)

    async with opened.read(INSTALLATION):
        async with asyncio.timeout(1.0):
            with pytest.raises(Unavailable):
                async with opened.read(INSTALLATION):
                    pass
    await opened.close()


async def test_the_embedded_form_makes_its_own_files(versions: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")

    opened = await open_database(settings, "organization", context_metadata(), versions)

    assert await migrations.differences(opened, "organization") == []
    await opened.close()
    assert (tmp_path / "data" / "organization.sqlite3").exists()
