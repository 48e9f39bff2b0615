"""A running payroll service on each engine."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from chassis import migrations
from chassis.assertion import prepare_keys
from chassis.database import Database
from chassis.keyring import FileKeyring
from chassis.settings import Settings
from contexts.payroll.main import SERVICE
from contexts.payroll.repository.tables import metadata
from tests.support.payroll import Payroll, serving


@pytest.fixture(params=["sqlite", "mariadb"])
async def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """A place to live in, migrated."""
    made = Settings.embedded(tmp_path / "data")
    made.data_dir.mkdir()
    prepare_keys(made)
    if request.param == "mariadb":
        url = request.getfixturevalue("mariadb").create_database(f"payroll_{uuid4().hex[:12]}")
        made = Settings.embedded(made.data_dir, database_urls={SERVICE.name: url})
        FileKeyring.open_or_create(made.keyring)
        database = Database(url, metadata)
        await migrations.upgrade(database, SERVICE.name, SERVICE.versions)
        await database.close()
    return made


@pytest.fixture
async def payroll(settings: Settings) -> AsyncIterator[Payroll]:
    """A running service with a monthly pay group of China."""
    async with serving(settings) as (made, _):
        yield made
