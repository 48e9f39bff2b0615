"""The two forms of the product, shared by the end-to-end tests of a test process."""

from collections.abc import Generator, Iterator

import pytest

from tests.support.deployment import (
    Deployment,
    DistributedDeployment,
    EmbeddedDeployment,
    MeshDeployment,
    private_distributed,
)
from tests.support.servers import PrivateMariaDB, PrivateRedis
from tests.support.sharing import Shelf, asked_by

# On a busy machine answers come late, and turning requests away is right; here each one would count as a failure.
CALM = {"MUSTER_SHEDDING": "off"}
SHELF = pytest.StashKey[Shelf]()


@pytest.fixture(scope="session")
def shelf(pytestconfig: pytest.Config) -> Iterator[Shelf]:
    """What runs, until the last test at most."""
    made = pytestconfig.stash[SHELF] = Shelf()
    yield made
    made.close_all_but(frozenset())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """After a file, what the next does not ask for is closed."""
    yield
    shelf = item.config.stash.get(SHELF, None)
    if shelf is not None and (nextitem is None or nextitem.path != item.path):
        shelf.close_all_but(asked_by(item.session.items, nextitem.path) if nextitem else frozenset())


@pytest.fixture(scope="module")
def embedded(shelf: Shelf) -> EmbeddedDeployment:
    """One process, SQLite."""
    return shelf.taken("embedded", lambda: EmbeddedDeployment(environment=CALM))


@pytest.fixture(scope="module")
def distributed(shelf: Shelf, mariadb: PrivateMariaDB, redis_server: PrivateRedis) -> DistributedDeployment:
    """Every part a process, on MariaDB and Redis. Tests that hurt it start one of their own."""
    return shelf.taken("distributed", lambda: DistributedDeployment(mariadb, redis_server.url, environment=CALM))


@pytest.fixture(scope="module")
def fleet(shelf: Shelf) -> DistributedDeployment:
    """Two applications over one of each data service, on servers of its own: for tests that hurt it and mend it."""
    roomy = {
        "MUSTER_REQUEST_DEADLINE_S": "30",
        "MUSTER_SETTLE_MARGIN_S": "6",
        "MUSTER_CONCURRENT_CALLS": "2000",
        "MUSTER_HTTP_CONCURRENCY": "2000",
        **CALM,
    }
    return shelf.taken("fleet", lambda: private_distributed(applications=2, environment=roomy))


@pytest.fixture(scope="module")
def mesh(shelf: Shelf) -> MeshDeployment:
    """What `muster up --replicas 2` starts: discovered through etcd, reached through the gateway, kept running."""
    return shelf.taken("mesh", lambda: MeshDeployment(replicas=2, environment=CALM))


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Both forms, one after the other."""
    made: Deployment = request.getfixturevalue(request.param)
    return made
