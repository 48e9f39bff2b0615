"""A run is carried from page to page: payroll always has the next chunk in hand, in order, and no more than it may."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from google.type.date_pb2 import Date
from muster.attendance.v1 import timesheet_pb2
from muster.organization.v1 import employee_pb2
from muster.payroll.v1 import payroll_run_pb2

from application.pay.calculation import GIVE_WAY_S, IN_FLIGHT, RunCalculation
from chassis.principal import Principal
from chassis.rpc.error_map import RemoteError
from kernel.errors import Kind
from kernel.ids import TenantId

TENANT = TenantId(UUID(int=7))


def refused(reason: str) -> RemoteError:
    return RemoteError(Kind.RULE, reason, "as payroll says it")


class Stubs:
    """Methods by their names."""

    def stub(self, _kind: Callable[..., Any]) -> Any:
        return self

    def __getattr__(self, name: str) -> str:
        return name


class Sources:
    """Organization and attendance with so many pages of one employee each."""

    client = Stubs()

    def __init__(self, pages: int) -> None:
        self.pages = pages
        self.read = 0

    async def read_as(self, caller: Principal, method: str, request: Any, *, timeout_s: float) -> Any:
        if method == "BatchGetPeriodTotals":
            return timesheet_pb2.BatchGetPeriodTotalsResponse()
        if method == "GetOrgChartEntry":
            raise RemoteError(Kind.NOT_FOUND, "ENTRY_NOT_FOUND", "the org chart has no registration")
        self.read += 1
        here = UUID(int=self.read)
        return employee_pb2.ListPaySliceResponse(
            employees=[employee_pb2.PaySliceEmployee(employee_id=str(here))],
            next_after_employee_id=str(here) if self.read < self.pages else "",
        )


class Payroll:
    """Processes of payroll behind one address, which take turns: each sees what is stored, and only its own queue."""

    client = Stubs()

    def __init__(self, processes: int, sources: Sources) -> None:
        self.processes = processes
        self.sources = sources
        self.stored: list[int] = []
        self.working: list[dict[int, asyncio.Event]] = [{} for _ in range(processes)]
        self.calls = 0
        self.most_in_memory = 0
        self.fenced_from = 0

    async def write_as(
        self, caller: Principal, method: str, request: Any, request_id: UUID, *, timeout_s: float
    ) -> None:
        mine = self.working[self.calls % self.processes]
        self.calls += 1
        if self.fenced_from and request.chunk_no >= self.fenced_from:
            raise refused("RUN_FENCED")
        done = mine[request.chunk_no] = asyncio.Event()
        self.most_in_memory = max(self.most_in_memory, self.sources.read - len(self.stored))
        try:
            await asyncio.sleep(0.002)
            if request.chunk_no - 1 in mine:
                await mine[request.chunk_no - 1].wait()
            if request.chunk_no - 1 not in (0, *self.stored):
                raise refused("CHUNK_OUT_OF_ORDER")
            self.stored.append(request.chunk_no)
        finally:
            done.set()
            del mine[request.chunk_no]


def a_claim() -> payroll_run_pb2.ClaimCalculationResponse:
    return payroll_run_pb2.ClaimCalculationResponse(
        run_id=str(uuid4()),
        attempt=1,
        fence=1,
        next_chunk_no=1,
        run=payroll_run_pb2.PayrollRun(
            period="2026-11", start_date=Date(year=2026, month=11, day=1), end_date=Date(year=2026, month=12, day=1)
        ),
    )


def carried(sources: Sources, payroll: Payroll) -> RunCalculation:
    return RunCalculation(sources, sources, payroll, "worker")  # type: ignore[arg-type]


@pytest.mark.parametrize("processes", [1, 2, 3])
async def test_every_chunk_is_stored_once_in_order_however_many_processes_payroll_has(processes: int) -> None:
    sources = Sources(pages=9)
    payroll = Payroll(processes, sources)

    await carried(sources, payroll).carry_on(TENANT, a_claim())

    assert payroll.stored == list(range(1, 10))
    assert payroll.most_in_memory == IN_FLIGHT + 1


async def test_a_worker_that_lost_its_claim_stops_reading() -> None:
    sources = Sources(pages=50)
    payroll = Payroll(1, sources)
    payroll.fenced_from = 3

    await carried(sources, payroll).carry_on(TENANT, a_claim())

    assert payroll.stored == [1, 2]
    assert sources.read <= 3 + IN_FLIGHT


async def test_a_chunk_that_cannot_be_stored_ends_the_work_with_the_reason() -> None:
    sources = Sources(pages=5)
    payroll = Payroll(1, sources)
    claim = a_claim()
    claim.next_chunk_no = 4

    with pytest.raises(RemoteError) as told:
        await carried(sources, payroll).carry_on(TENANT, claim)

    assert told.value.reason == "CHUNK_OUT_OF_ORDER"
    assert payroll.stored == []


async def test_a_calculation_gives_way_to_people_who_wait_a_little_while_for_every_few_payslips() -> None:
    sources = Sources(pages=3)
    payroll = Payroll(1, sources)
    asked: list[float] = []
    answered = asyncio.Event()

    async def lull(at_most_s: float) -> None:
        asked.append(at_most_s)
        await answered.wait()

    calculation = RunCalculation(sources, sources, payroll, "worker", lull)  # type: ignore[arg-type]
    run = asyncio.create_task(calculation.carry_on(TENANT, a_claim()))
    await asyncio.sleep(0.05)
    meanwhile = list(payroll.stored)
    answered.set()
    await run

    assert meanwhile == []
    assert payroll.stored == [1, 2, 3]
    assert asked == [GIVE_WAY_S] * 3
