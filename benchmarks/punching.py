"""Punches while a payroll run is calculated: how long they take, and whether anything fails meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

import httpx

from benchmarks.company import SHANGHAI, Company, punch_id
from benchmarks.figure import Figure, percentile
from tests.support.deployment import Deployment, EmbeddedDeployment, private_distributed

EMPLOYEES, SMALL = 10_000, 500
PER_SECOND, PROBES_PER_SECOND = 50, 10
IDLE_S = 5.0
CALCULATIONS = 3
RUN_S, POLL_S = 300.0, 0.2
FIRST = datetime(2026, 11, 2, 9, 0, tzinfo=SHANGHAI)


@dataclass(slots=True)
class Watched:
    """What clients saw: seconds of each punch from when it was due, and what was not answered as it should be."""

    seconds: list[float] = field(default_factory=list)
    probes: int = 0
    failures: list[str] = field(default_factory=list)


async def punches(*, small: bool = False) -> AsyncIterator[Figure]:
    """The 99th percentile in milliseconds during three calculations, with that of an idle deployment as its floor."""
    forms: list[Callable[[], AbstractContextManager[Deployment]]] = [EmbeddedDeployment]
    if not small:
        forms.append(private_distributed)
    employees = SMALL if small else EMPLOYEES
    for form in forms:
        with form() as deployment:
            async with Company(deployment) as company:
                await company.loaded(employees)
                idle, busy = await _measured(company, small)
        name = f"punch p99 while {employees:,} payslips are calculated, {deployment.name}"
        seen = [sorted(one.seconds) for one in (idle, busy)]
        least, value = (percentile(seconds, 0.99) * 1000 for seconds in seen)
        failures = idle.failures + busy.failures
        if failures:
            name += f" ({len(failures)} failed: {failures[0][:120]})"
        yield Figure(name, value, "ms", least, "no probe and no punch fails", not failures)


async def _measured(company: Company, small: bool) -> tuple[Watched, Watched]:
    token = await company.token("owner")
    numbers = count()
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=company.deployment.base_url, headers=headers, timeout=30.0) as client:
        await _watched(client, company, numbers, lambda: asyncio.sleep(1.0))  # connections, caches
        idle = await _watched(client, company, numbers, lambda: asyncio.sleep(1.0 if small else IDLE_S))
        busy = await _watched(client, company, numbers, lambda: _calculated(company, 1 if small else CALCULATIONS))
    return idle, busy


async def _watched(
    client: httpx.AsyncClient, company: Company, numbers: Iterator[int], work: Callable[[], Awaitable[None]]
) -> Watched:
    """Punches at a steady rate and probes until the work is done; a punch that is late is late from when it was due."""
    watched = Watched()
    done = asyncio.Event()
    sent: set[asyncio.Task[None]] = set()

    async def steadily(per_second: int, one: Callable[[float], Awaitable[None]]) -> None:
        due = time.perf_counter()
        while not done.is_set():
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            task = asyncio.ensure_future(one(due))
            sent.add(task)
            task.add_done_callback(sent.discard)
            due += 1 / per_second

    async def punch(due: float) -> None:
        answer = await client.post("/v1/punches", json=_punch(company, next(numbers)))
        watched.seconds.append(time.perf_counter() - due)
        if answer.status_code // 100 != 2:
            watched.failures.append(f"punch: {answer.status_code} {answer.text[:200]}")

    async def probe(due: float) -> None:
        for path in ("/livez", "/readyz"):
            answer = await client.get(path)
            watched.probes += 1
            if answer.status_code != 200:
                watched.failures.append(f"{path}: {answer.status_code} {answer.text[:200]}")

    loops = [
        asyncio.ensure_future(steadily(PER_SECOND, punch)),
        asyncio.ensure_future(steadily(PROBES_PER_SECOND, probe)),
    ]
    try:
        await work()
    finally:
        done.set()
        await asyncio.gather(*loops)
        if sent:
            await asyncio.wait(set(sent))
    return watched


def _punch(company: Company, number: int) -> dict[str, object]:
    """Ever another person, and for the same person ever ten minutes later."""
    punching = company.ids[:: company.punching_one_in]
    at = FIRST + timedelta(minutes=10 * (number // len(punching)))
    return {
        "punch_id": punch_id(at),
        "employee_id": punching[number % len(punching)],
        "punched_at": at.isoformat(),
        "source": "MOBILE",
    }


async def _calculated(company: Company, times: int) -> None:
    run_id = await company.new_run()
    for _ in range(times):
        await company.ask("POST", f"/v1/payroll-runs/{run_id}/calculate")
        until = time.monotonic() + RUN_S
        while (await company.ask("GET", f"/v1/payroll-runs/{run_id}"))["status"] != "CALCULATED":
            if time.monotonic() > until:
                raise TimeoutError(f"the run is not calculated after {RUN_S:g} s")
            await asyncio.sleep(POLL_S)
