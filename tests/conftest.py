"""Private servers, one of each per test process, started when the first test asks for them."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.servers import PrivateEtcd, PrivateMariaDB, PrivateRedis
from tests.support.sharing import Scheduling, longest_first

# A busy machine is no finding: properties have no deadline each, the test as a whole has one.
settings.register_profile("muster", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("muster")

NEED_A_SERVER = {"mariadb", "redis_server", "etcd_server"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--fast`: only what needs no server and no second process (make check)."""
    parser.addoption("--fast", action="store_true", help="leave out tests/e2e and tests that need a server")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """Which test process runs which files."""
    config.option.loadscopereorder = False
    return Scheduling(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """The project's own marks."""
    config.addinivalue_line("markers", "second_process: starts processes of its own; left out by --fast")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest first; leave out, and count as deselected, what `--fast` does not run."""
    longest_first(items)
    if not config.getoption("--fast"):
        return
    slow = [item for item in items if _is_slow(item)]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]


def _is_slow(item: pytest.Item) -> bool:
    asks = NEED_A_SERVER & set(getattr(item, "fixturenames", ()))
    path = item.path.as_posix()
    return (
        bool(asks)
        or item.get_closest_marker("second_process") is not None
        or "/tests/e2e/" in path
        or path.endswith("/tests/support/test_servers.py")
    )


def _starts_servers(config: pytest.Config) -> None:
    """Tests that name their server only while they run are skipped by `--fast`."""
    if config.getoption("--fast"):
        pytest.skip("needs a server; --fast leaves it out")


@pytest.fixture(scope="session")
def mariadb(pytestconfig: pytest.Config) -> Iterator[PrivateMariaDB]:
    """A MariaDB; make a database with `mariadb.create_database(name)`, which answers its URL."""
    _starts_servers(pytestconfig)
    with PrivateMariaDB() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(pytestconfig: pytest.Config) -> Iterator[PrivateRedis]:
    """A Redis; `redis_server.url` is its address. A test that kills it starts it again."""
    _starts_servers(pytestconfig)
    with PrivateRedis() as server:
        yield server


@pytest.fixture(scope="session")
def etcd_server(pytestconfig: pytest.Config) -> Iterator[PrivateEtcd]:
    """An etcd; `etcd_server.url` is its address."""
    _starts_servers(pytestconfig)
    with PrivateEtcd() as server:
        yield server
