"""Whatever starts first, the distributed form comes up: who came too early is started again, or waits."""

import os
import random
import shutil
from collections.abc import AsyncIterator

import httpx
import pytest

from interfaces.cli.private_servers import MariaDB
from interfaces.cli.supervisor import Supervisor
from interfaces.cli.topology import Topology, topology
from interfaces.cli.up import Up, processes_of
from tests.support.deployment import FAST_PASSWORDS, surroundings
from tests.support.servers import template_of

pytestmark = pytest.mark.timeout(600)  # a very busy machine

ORDERS = int(os.environ.get("MESH_ORDERS", "2"))
SERVERS_LAST = 0  # this seed
READY_S = 150.0  # on a busy machine; what a quiet one takes is measured by benchmarks/up.py


@pytest.fixture(scope="module")
async def plan(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Topology]:
    """A folder whose schemas are up to date, with nothing running."""
    folder = tmp_path_factory.mktemp("orders") / "up"
    mariadb = MariaDB(folder / "mariadb", 0, password="unused")
    mariadb.folder.mkdir(parents=True)
    shutil.copytree(template_of(mariadb), mariadb.data)
    made = topology(folder, 0, 1, {**surroundings(), **FAST_PASSWORDS})
    up = Up(made)
    try:
        await up.bring_up(timeout_s=READY_S)
    finally:
        await up.take_down()
    yield made
    shutil.rmtree(folder, ignore_errors=True)


def order_of(plan: Topology, seed: int) -> list[str]:
    """All programs in an order of that seed; of the first, the servers come last."""
    names = [one.name for one in plan.programs]
    if seed == SERVERS_LAST:
        return sorted(names, key=lambda name: name in plan.servers)
    random.Random(seed).shuffle(names)
    return names


@pytest.mark.parametrize("seed", range(ORDERS))
async def test_any_start_order_converges(plan: Topology, seed: int) -> None:
    up = Up(plan)
    try:
        await up.bring_up(order_of(plan, seed), timeout_s=READY_S)

        async with httpx.AsyncClient(base_url=plan.base_url) as http:
            ready = await http.get("/readyz")
    finally:
        killed = await up.take_down()

    assert ready.status_code == 200
    assert killed == []
    assert processes_of(plan.folder) == {}


async def test_a_service_without_its_database_ends_and_is_not_ready_until_it_is_there(plan: Topology) -> None:
    early = Supervisor(plan.programs)
    try:
        early.start(["organization"])
        late = await early.until_ready(["organization"], timeout_s=8.0)
        starts = early.starts["organization"]
        early.start(["mariadb", "redis", "etcd"])
        after = await early.until_ready(["organization"], timeout_s=READY_S)
    finally:
        await early.drain(10.0)

    assert (late, after) == (["organization"], [])
    assert early.starts["organization"] >= starts >= 1  # the last one may have found it just in time
