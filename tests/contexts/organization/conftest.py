"""Organization's stores on every engine."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from kernel.ids import TenantId
from tests.support.organization import MemoryStore, Store, publish, sql_store


@pytest.fixture(params=["memory", "sqlite", "mariadb"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """The same promises, three times."""
    if request.param == "memory":
        yield MemoryStore()
        return
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'organization.sqlite3'}"
    else:
        url = request.getfixturevalue("mariadb").create_database(f"organization_{uuid4().hex[:12]}")
    async with sql_store(url) as made:
        yield made


@pytest.fixture
async def tenant(store: Store) -> TenantId:
    """A tenant with the org chart of acme."""
    tenant_id = TenantId(uuid4())
    await publish(store, tenant_id)
    return tenant_id
