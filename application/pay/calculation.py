"""The calculation of one payroll run: facts are read page by page and handed to payroll in fenced chunks."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID, uuid4

import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from muster.attendance.v1 import timesheet_pb2, timesheet_pb2_grpc
from muster.organization.v1 import employee_pb2, employee_pb2_grpc, org_chart_pb2, org_chart_pb2_grpc
from muster.payroll.v1 import employee_facts_pb2, payroll_run_pb2, payroll_run_pb2_grpc

from application.edge.calls import Calls
from application.pay.facts import employee_facts
from chassis.principal import Principal
from chassis.rpc.error_map import RemoteError, Trouble
from kernel.errors import Kind
from kernel.ids import TenantId

T = TypeVar("T")

log = structlog.get_logger(__name__)

CHUNK = 500
AT_A_TIME = 50  # people whose facts are made in one go, some 2 ms
GIVE_WAY_S = 0.1  # that these few people wait at most for requests that somebody waits for
IN_FLIGHT = 2  # chunks that payroll has at once; with the page that is read meanwhile, three in memory
TRIES = 6
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
SETTLING_S, SETTLING_STEP_S = 15.0, 0.25
CALL_S = 10.0
LONGEST_REASON = 300
_PASSING = {Trouble.UNAVAILABLE, Trouble.TIMEOUT, Trouble.OVERLOADED}


def payroll_process(tenant_id: TenantId) -> Principal:
    """The process that calculates runs, in the tenant whose run it is."""
    return Principal(tenant_id, "process:payroll", frozenset({"process:payroll"}))


@dataclass(frozen=True, slots=True)
class Page:
    """One chunk's facts."""

    after_employee_id: str
    facts: list[employee_facts_pb2.EmployeeFacts]
    last: bool


class RunCalculation:
    """Claims runs and carries them to CALCULATED.

    Invariants: it keeps nothing; what is done stands in payroll, so any process may go on where another one stopped.
    """

    def __init__(
        self,
        organization: Calls,
        attendance: Calls,
        payroll: Calls,
        worker_id: str,
        lull: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        """`lull(at_most_s)` waits until this process serves nobody who waits; None where a run need not give way."""
        self._organization = organization
        self._attendance = attendance
        self._payroll = payroll
        self._employees = organization.client.stub(employee_pb2_grpc.EmployeeServiceStub)
        self._chart = organization.client.stub(org_chart_pb2_grpc.OrgChartServiceStub)
        self._timesheets = attendance.client.stub(timesheet_pb2_grpc.TimesheetServiceStub)
        self._runs = payroll.client.stub(payroll_run_pb2_grpc.PayrollRunServiceStub)
        self._worker_id = worker_id
        self._lull = lull

    async def claim(self, tenant_id: TenantId, run_id: UUID) -> payroll_run_pb2.ClaimCalculationResponse | None:
        """The claimed run; None where there is nothing to claim (done, void, or another worker has it).

        Raises RemoteError where a service cannot answer.
        """
        caller = payroll_process(tenant_id)
        found = await self._payroll.read_as(
            caller, self._runs.GetPayrollRun, payroll_run_pb2.GetPayrollRunRequest(run_id=str(run_id))
        )
        positions = await self.frontier(caller, found.run.pay_group)
        try:
            claim = await self._payroll.write_as(
                caller,
                self._runs.ClaimCalculation,
                payroll_run_pb2.ClaimCalculationRequest(
                    run_id=str(run_id), worker_id=self._worker_id, source_positions=positions
                ),
                uuid4(),
            )
        except RemoteError as error:
            if error.kind in _PASSING or error.kind is Trouble.INTERNAL:
                raise
            log.info("run not claimed", run_id=str(run_id), reason=error.reason)
            return None
        log.info(
            "run claimed", run_id=str(run_id), attempt=claim.attempt, fence=claim.fence, next_chunk=claim.next_chunk_no
        )
        return claim

    async def frontier(self, caller: Principal, pay_group: str) -> list[payroll_run_pb2.SourcePosition]:
        """Where the feeds of both sources stand now."""
        people, time = await asyncio.gather(
            self._organization.read_as(
                caller, self._employees.GetFrontier, employee_pb2.GetFrontierRequest(pay_group=pay_group)
            ),
            self._attendance.read_as(
                caller, self._timesheets.GetFrontier, timesheet_pb2.GetFrontierRequest(pay_group=pay_group)
            ),
        )
        return [
            payroll_run_pb2.SourcePosition(source="organization", position=people.position),
            payroll_run_pb2.SourcePosition(source="attendance", position=time.feed_position),
        ]

    async def give_back(
        self, tenant_id: TenantId, claim: payroll_run_pb2.ClaimCalculationResponse, reason: str
    ) -> None:
        """End the claim and say why, for the operator. Raises RemoteError."""
        request = payroll_run_pb2.GiveBackCalculationRequest(
            run_id=claim.run_id, fence=claim.fence, reason=reason[:LONGEST_REASON]
        )
        await self._payroll.write_as(payroll_process(tenant_id), self._runs.GiveBackCalculation, request, uuid4())

    async def carry_on(self, tenant_id: TenantId, claim: payroll_run_pb2.ClaimCalculationResponse) -> None:
        """Submit every chunk that is left. Ends quietly when another worker took over; raises RemoteError."""
        work = self._take_back if claim.run.kind == payroll_run_pb2.RUN_KIND_REVERSAL else self._calculate
        try:
            await work(payroll_process(tenant_id), claim)
        except RemoteError as error:
            if error.reason not in ("RUN_FENCED", "RUN_NOT_CALCULATING"):
                raise
            log.info("run taken over", run_id=claim.run_id, reason=error.reason)

    async def _calculate(self, caller: Principal, claim: payroll_run_pb2.ClaimCalculationResponse) -> None:
        """While payroll stores one chunk it calculates the next, and the page after that is read."""
        chunk_no = claim.next_chunk_no
        sent: deque[asyncio.Task[None]] = deque()
        try:
            async for page in self._pages(caller, claim):
                if len(sent) == IN_FLIGHT:
                    await sent.popleft()
                before = sent[-1] if sent else None
                sent.append(asyncio.create_task(self._submit(caller, claim, chunk_no, page, before)))
                chunk_no += 1
            while sent:
                await sent.popleft()
        finally:
            for task in sent:
                task.cancel()
            await asyncio.gather(*sent, return_exceptions=True)

    async def _take_back(self, caller: Principal, claim: payroll_run_pb2.ClaimCalculationResponse) -> None:
        """Have payroll take back chunk after chunk: a reversal needs no facts but those that payroll froze."""
        after, chunk_no = claim.after_employee_id, claim.next_chunk_no
        while True:
            request = payroll_run_pb2.SubmitReversalChunkRequest(
                run_id=claim.run_id,
                attempt=claim.attempt,
                fence=claim.fence,
                chunk_no=chunk_no,
                after_employee_id=after,
            )
            write = self._payroll.write_as
            submit = partial(write, caller, self._runs.SubmitReversalChunk, request, uuid4(), timeout_s=CALL_S)
            after = (await _patiently(submit)).last_employee_id
            if not after:
                return
            chunk_no += 1

    async def _submit(
        self,
        caller: Principal,
        claim: payroll_run_pb2.ClaimCalculationResponse,
        chunk_no: int,
        page: Page,
        before: "asyncio.Task[None] | None",
    ) -> None:
        request = payroll_run_pb2.SubmitChunkRequest(
            run_id=claim.run_id,
            attempt=claim.attempt,
            fence=claim.fence,
            chunk_no=chunk_no,
            after_employee_id=page.after_employee_id,
            facts=page.facts,
            last=page.last,
        )
        request_id = uuid4()  # the chunk number makes the chunk idempotent; this only names the call

        async def send() -> None:
            await self._payroll.write_as(caller, self._runs.SubmitChunk, request, request_id, timeout_s=CALL_S)

        try:
            await _patiently(send)
        except RemoteError as error:
            # A process of payroll that does not have the chunk before in hand cannot wait for it.
            if error.reason != "CHUNK_OUT_OF_ORDER" or before is None:
                raise
            await asyncio.wait({before})
            await _patiently(send)

    async def _pages(self, caller: Principal, claim: payroll_run_pb2.ClaimCalculationResponse) -> AsyncIterator[Page]:
        run = claim.run
        first_day, end_day = _day(run.start_date), _day(run.end_date)
        last_id = cursor = claim.after_employee_id
        withholder = await self._withholder(caller, run)
        named = sorted(run.employee_ids)  # off-cycle runs name their employees, at most 1,000
        while True:
            asked = [employee for employee in named if employee > cursor][:CHUNK]
            if named and not asked:
                yield Page(last_id, [], True)
                return
            answer = await _patiently(partial(self._slice, caller, claim, cursor, asked))
            totals = await self._totals(caller, claim, [employee.employee_id for employee in answer.employees])
            facts = await _facts(answer.employees, totals, first_day, end_day, run.country, withholder, self._lull)
            cursor = (asked[-1] if asked[-1] != named[-1] else "") if named else answer.next_after_employee_id
            if facts or not cursor:
                yield Page(last_id, facts, not cursor)
            if not cursor:
                return
            last_id = facts[-1].employee_id if facts else last_id

    async def facts_of(
        self, caller: Principal, run: payroll_run_pb2.PayrollRun, known_at: Timestamp, employee_ids: list[str]
    ) -> list[employee_facts_pb2.EmployeeFacts]:
        """The facts of named employees (at most 500) as known at an instant, in order of their ids."""
        claim = payroll_run_pb2.ClaimCalculationResponse(run_id=run.run_id, known_at=known_at, run=run)
        answer = await _patiently(partial(self._slice, caller, claim, "", sorted(employee_ids)))
        totals = await self._totals(caller, claim, [employee.employee_id for employee in answer.employees])
        first_day, end_day = _day(run.start_date), _day(run.end_date)
        withholder = await self._withholder(caller, run)
        return await _facts(answer.employees, totals, first_day, end_day, run.country, withholder)

    async def _withholder(self, caller: Principal, run: payroll_run_pb2.PayrollRun) -> str:
        """The legal entity that holds the run's registration on the last day; "" where the org chart has none."""
        request = org_chart_pb2.GetOrgChartEntryRequest(
            kind=org_chart_pb2.ENTRY_KIND_WITHHOLDING_REGISTRATION, code=run.withholding_registration
        )
        last = _day(run.end_date) - timedelta(days=1)
        request.as_of.CopyFrom(Date(year=last.year, month=last.month, day=last.day))
        read = partial(self._organization.read_as, caller, self._chart.GetOrgChartEntry, request, timeout_s=CALL_S)
        try:
            answer = await _patiently(read)
        except RemoteError as error:
            if error.kind is not Kind.NOT_FOUND:
                raise
            return ""
        return answer.entry.withholding_registration.legal_entity

    async def _slice(
        self, caller: Principal, claim: payroll_run_pb2.ClaimCalculationResponse, after: str, asked: list[str]
    ) -> employee_pb2.ListPaySliceResponse:
        run = claim.run
        return await self._organization.read_as(
            caller,
            self._employees.ListPaySlice,
            employee_pb2.ListPaySliceRequest(
                pay_group=run.pay_group,
                period_start=run.start_date,
                period_end=run.end_date,
                known_at=claim.known_at,
                after_employee_id=after,
                limit=CHUNK,
                employee_ids=asked,
            ),
            timeout_s=CALL_S,
        )

    async def _totals(
        self, caller: Principal, claim: payroll_run_pb2.ClaimCalculationResponse, ids: list[str]
    ) -> dict[str, list[timesheet_pb2.PeriodTotals]]:
        """The locked time of exactly these employees, by employee, over every time period that the run pays."""
        found: dict[str, list[timesheet_pb2.PeriodTotals]] = {}
        if not ids:
            return found
        for period in claim.run.time_periods or [claim.run.period]:
            request = timesheet_pb2.BatchGetPeriodTotalsRequest(
                employee_ids=ids, period=period, known_at=claim.known_at
            )
            answer = await _patiently(
                partial(
                    self._attendance.read_as,
                    caller,
                    self._timesheets.BatchGetPeriodTotals,
                    request,
                    timeout_s=CALL_S,
                )
            )
            for totals in answer.totals:
                found.setdefault(totals.employee_id, []).append(totals)
        return found


async def _facts(
    employees: Sequence[employee_pb2.PaySliceEmployee],
    totals: Mapping[str, Sequence[timesheet_pb2.PeriodTotals]],
    first_day: date,
    end_day: date,
    country: str,
    withholder: str,
    lull: Callable[[float], Awaitable[None]] | None = None,
) -> list[employee_facts_pb2.EmployeeFacts]:
    """Everybody's facts, a few people at a time, so that other requests are not kept waiting."""
    made: list[employee_facts_pb2.EmployeeFacts] = []
    for start in range(0, len(employees), AT_A_TIME):
        if lull is not None:
            await lull(GIVE_WAY_S)
        made += [
            employee_facts(employee, totals.get(employee.employee_id, ()), first_day, end_day, country, withholder)
            for employee in employees[start : start + AT_A_TIME]
        ]
        await asyncio.sleep(0)
    return made


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """The call's answer; a service that is away or facts that still settle are waited for, within limits."""
    clock = asyncio.get_running_loop()
    settled_by = clock.time() + SETTLING_S
    failures = 0
    while True:
        try:
            return await call()
        except RemoteError as error:
            if error.reason == "NOT_SETTLED" and clock.time() < settled_by:
                await asyncio.sleep(SETTLING_STEP_S)
                continue
            failures += 1
            if error.kind not in _PASSING or failures >= TRIES:
                raise
        await asyncio.sleep(min(FIRST_PAUSE_S * 2**failures, LONGEST_PAUSE_S))


def _day(day: Date) -> date:
    return date(day.year, day.month, day.day)
