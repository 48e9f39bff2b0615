"""Delivery's stores on every engine."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.delivery import MemoryStore, Store, sql_store


@pytest.fixture(params=["memory", "sqlite", "mariadb"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """The same promises, three times."""
    if request.param == "memory":
        yield MemoryStore()
        return
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'delivery.sqlite3'}"
    else:
        url = request.getfixturevalue("mariadb").create_database(f"delivery_{uuid4().hex[:12]}")
    async with sql_store(url) as made:
        yield made
