"""The two forms of the product, started once per test process and shared by all end-to-end tests."""

from collections.abc import Iterator

import pytest

from tests.support.deployment import Deployment, DistributedDeployment, EmbeddedDeployment
from tests.support.servers import PrivateMariaDB, PrivateRedis


@pytest.fixture(scope="session")
def embedded() -> Iterator[Deployment]:
    """One process, SQLite."""
    with EmbeddedDeployment() as made:
        yield made


@pytest.fixture(scope="session")
def distributed(mariadb: PrivateMariaDB, redis_server: PrivateRedis) -> Iterator[DistributedDeployment]:
    """Every part a process, on MariaDB and Redis. Tests that hurt it start one of their own."""
    with DistributedDeployment(mariadb, redis_server.url) as made:
        yield made


@pytest.fixture(scope="session", params=["embedded", "distributed"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Both forms, one after the other."""
    made: Deployment = request.getfixturevalue(request.param)
    return made
