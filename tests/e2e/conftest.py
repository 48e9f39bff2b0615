"""The two forms of the product, started once per test process and shared by all end-to-end tests."""

from collections.abc import Iterator

import pytest

from tests.support.deployment import (
    Deployment,
    DistributedDeployment,
    EmbeddedDeployment,
    MeshDeployment,
    private_distributed,
)
from tests.support.servers import PrivateMariaDB, PrivateRedis

# On a busy machine answers come late, and turning requests away is right; here each one would count as a failure.
CALM = {"MUSTER_SHEDDING": "off"}


@pytest.fixture(scope="session")
def embedded() -> Iterator[Deployment]:
    """One process, SQLite."""
    with EmbeddedDeployment(environment=CALM) as made:
        yield made


@pytest.fixture(scope="session")
def distributed(mariadb: PrivateMariaDB, redis_server: PrivateRedis) -> Iterator[DistributedDeployment]:
    """Every part a process, on MariaDB and Redis. Tests that hurt it start one of their own."""
    with DistributedDeployment(mariadb, redis_server.url, environment=CALM) as made:
        yield made


@pytest.fixture(scope="session")
def fleet() -> Iterator[DistributedDeployment]:
    """Two applications over one of each data service, on servers of its own: for tests that hurt it and mend it."""
    roomy = {
        "MUSTER_REQUEST_DEADLINE_S": "30",
        "MUSTER_SETTLE_MARGIN_S": "6",
        "MUSTER_CONCURRENT_CALLS": "2000",
        "MUSTER_HTTP_CONCURRENCY": "2000",
        **CALM,
    }
    with private_distributed(applications=2, environment=roomy) as made:
        yield made


@pytest.fixture(scope="session")
def mesh() -> Iterator[MeshDeployment]:
    """What `muster up --replicas 2` starts: discovered through etcd, reached through the gateway, kept running."""
    with MeshDeployment(replicas=2, environment=CALM) as made:
        yield made


@pytest.fixture(scope="session", params=["embedded", "distributed"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Both forms, one after the other."""
    made: Deployment = request.getfixturevalue(request.param)
    return made
