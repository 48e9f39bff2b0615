"""The whole distributed form, as `muster up` starts it, under load: what dies or freezes costs no client a request."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Iterator

import pytest

from interfaces.cli.supervisor import LONGEST_PAUSE_S
from tests.support.deployment import MeshDeployment
from tests.support.pressure import Pressure, frozen, killed, pressed
from tests.support.scenario import Company

pytestmark = pytest.mark.timeout(600)  # a very busy machine

BEFORE_S, AFTER_S = 0.7, 1.0
SERVERS = ("mariadb", "redis", "etcd")
EVERY = (
    "identity",
    "organization-2",
    "attendance",
    "application",
    "control-plane",
    "ratelimit",
    "push",
    "etcd",
    "redis",
)
KILLED = EVERY if "MESH_EVERY" in os.environ else ("organization-2", "application", "control-plane", "etcd")
FROZEN = EVERY if "MESH_EVERY" in os.environ else ("organization", "application-2", "etcd", "redis")


@pytest.fixture(scope="module")
def company(mesh: MeshDeployment) -> Iterator[Company]:
    with Company(mesh) as company:
        company.with_org_chart().with_schedules()
        for number in ("FIRST", "SECOND", "THIRD"):
            company.hire(number)
        yield company


async def started_again(mesh: MeshDeployment, program: str, starts: int) -> None:
    await asyncio.to_thread(mesh.wait_started, program, starts + 1)


def all_present(company: Company, load: Pressure) -> bool:
    """Whether everybody whose hire was acknowledged is there, once, under the id that was told."""
    there = [(one["employee_number"], one["id"]) for one in company.hr.pages("/v1/employees")]
    return len(there) == len(set(there)) and set(load.hired.items()) <= set(there)


async def holds(company: Company, load: Pressure) -> None:
    assert load.answers
    assert load.failures == [], load.told()
    assert await asyncio.to_thread(all_present, company, load)


async def after(fault: Awaitable[None], company: Company) -> Pressure:
    """The load before, around and after a fault."""
    async with pressed(company) as load:
        await asyncio.sleep(BEFORE_S)
        await fault
        await asyncio.sleep(AFTER_S)
    return load


@pytest.mark.parametrize("program", KILLED)
async def test_what_is_killed_costs_no_request(mesh: MeshDeployment, company: Company, program: str) -> None:
    load = await after(killed(mesh, program), company)

    await holds(company, load)


@pytest.mark.parametrize("program", FROZEN)
async def test_what_freezes_costs_no_request(mesh: MeshDeployment, company: Company, program: str) -> None:
    load = await after(frozen(mesh, program), company)

    await holds(company, load)


async def test_a_rolling_restart_of_everything_costs_no_request(mesh: MeshDeployment, company: Company) -> None:
    parts = [name for name in mesh.state["pids"] if name not in (*SERVERS, "supervisor")]
    before, gateways = mesh.state["starts"], [f"http://{address}" for address in mesh.state["addresses"]["gateway"]]

    async with pressed(company, *gateways) as load:
        await asyncio.sleep(BEFORE_S)
        restarted = await asyncio.to_thread(mesh.restart_all)
        await asyncio.sleep(AFTER_S)

    assert all(restarted["starts"][program] == before[program] + 1 for program in parts), (before, restarted)
    assert "not taken over" not in (mesh.up / "logs" / "supervisor.log").read_text()
    await holds(company, load)


async def test_a_gateway_that_is_ended_without_a_drain_would_be_seen(mesh: MeshDeployment, company: Company) -> None:
    address, starts = mesh.state["addresses"]["gateway"][1], mesh.state["starts"]["gateway-2"]

    async with pressed(company, f"http://{address}") as load:
        await asyncio.sleep(BEFORE_S)
        mesh.send("gateway-2", signal.SIGTERM)
        await started_again(mesh, "gateway-2", starts)

    assert load.failures


async def test_the_load_sees_a_replica_that_nobody_stands_in_for(mesh: MeshDeployment, company: Company) -> None:
    address, starts = mesh.state["addresses"]["application"][1], mesh.state["starts"]["application-2"]

    async with pressed(company, f"http://{address}") as load:
        await asyncio.sleep(BEFORE_S)
        mesh.send("application-2", signal.SIGKILL)
        await asyncio.sleep(LONGEST_PAUSE_S / 10)
    await started_again(mesh, "application-2", starts)

    assert load.failures
    assert 0 in {answer.status for answer in load.failures}


async def test_a_hire_that_was_lost_would_be_noticed(company: Company) -> None:
    acknowledged = {number: company.people[number] for number in ("FIRST", "SECOND")}

    found = await asyncio.to_thread(all_present, company, Pressure(hired=acknowledged))
    lost = await asyncio.to_thread(all_present, company, Pressure(hired={**acknowledged, "LOST": "0"}))

    assert (found, lost) == (True, False)
