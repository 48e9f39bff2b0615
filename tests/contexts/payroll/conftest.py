"""A running payroll service on each engine."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from chassis import migrations
from chassis.assertion import Signer, prepare_keys
from chassis.database import Database
from chassis.keyring import FileKeyring
from chassis.lifecycle import Listener
from chassis.rpc.channels import Channels
from chassis.settings import Settings
from contexts.payroll.main import SERVICE, serve
from contexts.payroll.repository.tables import metadata
from kernel.ids import TenantId
from tests.support.payroll import Payroll


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
    running = await serve(settings, Listener())
    channels = Channels(settings, Signer.open(settings), {SERVICE.name: running.address})
    made = Payroll.over(channels.to(SERVICE.name), TenantId(uuid4()))
    await made.set_up()
    yield made
    await channels.close()
    await running.stop(1.0)
