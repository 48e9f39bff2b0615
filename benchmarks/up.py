"""The whole distributed form: how long `muster up` takes, what clients of the gateway notice when something dies."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

from benchmarks.figure import Figure
from tests.support.deployment import MeshDeployment
from tests.support.pressure import Pressure, frozen, killed, pressed
from tests.support.scenario import Company

MOST_START_S = 20.0
KILLED = ("application", "organization-2", "attendance", "control-plane", "etcd", "redis")
FROZEN = ("application-2", "organization", "etcd", "redis")
QUIET_S = 2.0


async def whole_form(*, small: bool = False) -> AsyncIterator[Figure]:
    """Seconds until everything answers; milliseconds of the slowest request around each fault; none may fail."""
    with MeshDeployment(replicas=1, installed=False) as alone:
        yield _at_most("muster up in an empty folder, every part once", alone.ready_s, MOST_START_S)
    if small:
        return
    with MeshDeployment(replicas=2) as mesh, Company(mesh) as company:
        await asyncio.to_thread(_staff, company)
        for program in KILLED:
            yield await _slowest(f"{program} is killed", company, killed(mesh, program))
        for program in FROZEN:
            yield await _slowest(f"{program} stands still for 3 s", company, frozen(mesh, program))
        restart = asyncio.to_thread(mesh.restart_all)
        gateways = [f"http://{address}" for address in mesh.state["addresses"]["gateway"]]
        yield await _slowest("every part is restarted in waves", company, restart, *gateways)


def _staff(company: Company) -> None:
    company.with_org_chart().with_schedules()
    for number in ("FIRST", "SECOND", "THIRD"):
        company.hire(number)


async def _slowest(name: str, company: Company, fault: Awaitable[object], *base_urls: str) -> Figure:
    async with pressed(company, *base_urls) as load:
        await asyncio.sleep(QUIET_S)
        await fault
        await asyncio.sleep(QUIET_S)
    return _row(name, load)


def _row(name: str, load: Pressure) -> Figure:
    failed, asked = len(load.failures), len(load.answers)
    told = f"0 failed: {failed} of {asked:,}"
    return Figure(f"slowest request while {name}", load.slowest_s * 1000, "ms", None, told, failed == 0)


def _at_most(name: str, seconds: float, most: float) -> Figure:
    return Figure(name, seconds, "s", None, f"<= {most:g} s", seconds <= most)
