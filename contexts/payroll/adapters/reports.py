"""Reports over whole runs as messages: variances and registers, made a few employees at a time."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import orjson
from muster.payroll.v1 import payroll_run_pb2 as pb

from chassis.paging import from_token, page_size, to_token
from chassis.principal import current_call
from chassis.unit_of_work import Queries
from contexts.payroll.adapters import codec
from contexts.payroll.adapters.chunk_service import Calculations
from contexts.payroll.domain.engine import Plan
from contexts.payroll.domain.header import Header
from contexts.payroll.domain.payroll_run import RunId, RunKind, RunState
from contexts.payroll.domain.payslip import Payslip
from contexts.payroll.domain.variance import ComparedPayslip, LineVariance, VarianceReason, all_of, compare
from contexts.payroll.handlers import reports
from contexts.payroll.handlers.reports import Pair
from contexts.payroll.repository.documents import line_amounts
from contexts.payroll.repository.port import PayrollReading
from kernel.ids import EmployeeId
from kernel.money import Money

AT_A_TIME = 5  # payslips compared before the loop is given back

_Bases = dict[RunId, tuple[Plan, Header]]  # what all payslips of a run were computed with


class Reports:
    """Answers ListVariances and ListRegisterRows.

    Invariants: reads only; nothing is compared inside a transaction; the event loop is given back every few payslips.
    """

    def __init__(self, queries: Queries[PayrollReading], calculations: Calculations) -> None:
        self._queries = queries
        self._calculations = calculations

    async def variances(self, request: pb.ListVariancesRequest) -> pb.ListVariancesResponse:
        """A page of employees whose payslips differ. Raises RunNotFound."""
        tenant, run_id = current_call().tenant_id, RunId(UUID(request.run_id))
        after, limit = after_employee(request.page_token), page_size(request.page_size)

        async def read(view: PayrollReading) -> tuple[reports.PairsPage, _Bases]:
            page = await reports.pairs(run_id, after, limit, view)
            bases = {}
            for state in (page.run, page.previous):
                if state is not None and state.header:
                    source = await self._calculations.source_of(tenant, state, view)
                    header = Header.of_document(orjson.loads(state.header))
                    bases[state.id] = (await asyncio.to_thread(source.plan), header)
            return page, bases

        page, bases = await self._queries.run(read)
        answer = pb.ListVariancesResponse(
            previous_run_id="" if page.previous is None else str(page.previous.id),
            next_page_token="" if page.following is None else to_token(str(page.following)),
        )
        for number, pair in enumerate(page.pairs, start=1):
            lines = _variances(page, pair, bases)
            if lines:
                answer.employees.append(_employee(page.run.currency, pair, lines))
            if not number % AT_A_TIME:
                await asyncio.sleep(0)
        return answer

    async def register(self, request: pb.ListRegisterRowsRequest) -> pb.ListRegisterRowsResponse:
        """A page of a register. Raises RunNotFound."""
        tenant, run_id = current_call().tenant_id, RunId(UUID(request.run_id))
        after, limit = after_employee(request.page_token), page_size(request.page_size)

        async def read(view: PayrollReading) -> tuple[reports.RegisterPage, Sequence[pb.RegisterColumn]]:
            page = await reports.register(run_id, after, limit, view)
            state = page.run.state
            if not state.header:
                return page, ()
            source = await self._calculations.source_of(tenant, state, view)
            plan = await asyncio.to_thread(source.plan)
            return page, [
                pb.RegisterColumn(
                    code=component.code,
                    kind=codec.line_kind_to(component.kind),
                    total_minor=page.sums[component.code].amount,
                )
                for component in plan.components
                if component.code in page.sums
            ]

        page, columns = await self._queries.run(read)
        currency = page.run.state.currency
        answer = pb.ListRegisterRowsResponse(run=codec.run_to(page.run), columns=columns)
        codes = [column.code for column in columns]
        for number, payslip in enumerate(page.payslips, start=1):
            amounts = line_amounts(payslip.lines, currency)
            summary = payslip.summary
            answer.rows.append(
                pb.RegisterRow(
                    employee_id=str(summary.employee_id),
                    payslip_id=str(summary.id),
                    amounts_minor=[amounts.get(code, 0) for code in codes],
                    gross_minor=summary.gross,
                    deductions_minor=summary.deductions,
                    net_minor=summary.net,
                    employer_cost_minor=summary.employer_cost,
                )
            )
            if not number % AT_A_TIME:
                await asyncio.sleep(0)
        if len(page.payslips) == limit:
            answer.next_page_token = to_token(str(page.payslips[-1].summary.employee_id))
        return answer


def after_employee(page_token: str) -> EmployeeId | None:
    """The employee that a page ended with. Raises InvalidValue."""
    token = from_token(page_token, [str])
    return EmployeeId(codec.uuid_from(str(token[0]), "page_token")) if token is not None else None


def _variances(page: reports.PairsPage, pair: Pair, bases: _Bases) -> tuple[LineVariance, ...]:
    before = _compared(page.previous, pair.before, bases)
    after = _compared(page.run, pair.after, bases)
    if before is not None and after is not None:
        return compare(before, after)
    if after is not None:
        return all_of(after, _newcomer(page, pair), gone=False)
    assert before is not None, "a pair has a payslip"
    return all_of(before, VarianceReason.BLOCKED if pair.blocked else VarianceReason.LEFT, gone=True)


def _newcomer(page: reports.PairsPage, pair: Pair) -> VarianceReason:
    """Why an employee has a payslip here and none before."""
    if page.run.kind is RunKind.REVERSAL:
        return VarianceReason.REVERSAL
    if pair.blocked:
        return VarianceReason.BLOCKED
    return VarianceReason.JOINED if page.previous is not None else VarianceReason.NO_PREVIOUS_RUN


def _compared(run: RunState | None, payslip: Payslip | None, bases: _Bases) -> ComparedPayslip | None:
    if run is None or payslip is None:
        return None
    return ComparedPayslip(*bases[run.id], orjson.loads(payslip.inputs), orjson.loads(payslip.lines))


def _employee(currency: str, pair: Pair, lines: tuple[LineVariance, ...]) -> pb.EmployeeVariance:
    return pb.EmployeeVariance(
        employee_id=str(pair.employee_id),
        previous_net=codec.money_to(0 if pair.before is None else pair.before.summary.net, currency),
        current_net=codec.money_to(0 if pair.after is None else pair.after.summary.net, currency),
        lines=[
            pb.LineVariance(
                code=line.code,
                kind=codec.line_kind_to(line.kind),
                previous=codec.money_to(Money.exactly(line.previous, currency).minor, currency),
                current=codec.money_to(Money.exactly(line.current, currency).minor, currency),
                delta=codec.money_to(Money.exactly(line.current - line.previous, currency).minor, currency),
                reasons=[pb.VarianceReason.Value(f"VARIANCE_REASON_{reason.value}") for reason in line.reasons],
            )
            for line in lines
        ],
    )
