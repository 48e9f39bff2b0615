"""The register of a payroll run: read page by page from payroll, named by organization, sent as CSV."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

from google.type.date_pb2 import Date
from muster.organization.v1 import employee_pb2, employee_pb2_grpc
from muster.payroll.v1 import payroll_run_pb2 as wire
from muster.payroll.v1 import payroll_run_pb2_grpc

from application.edge.calls import Calls
from application.edge.operation import LONGEST_TABLE_S
from application.edge.refusal import Refusal
from application.edge.table import CsvResponse, TableBroken, amount_cell, csv_line, text_cell
from chassis.principal import Principal

PAGE = 500
MAX_ROWS = 1_000_000  # the largest run
CALL_S = 10.0
TOTALS = ("gross", "deductions", "net", "employer_cost")


class NotCalculated(Refusal):
    """A register of a run that is not calculated."""

    status, reason = 409, "RUN_STATUS_WRONG"


class Register:
    """One caller's register of a run.

    Invariants: two pages are in memory at most; every row is of the same calculation; the row TOTAL is sent only where
    the rows add up to the run's control totals.
    """

    def __init__(self, payroll: Calls, organization: Calls, caller: Principal, today: Date | None) -> None:
        self._payroll = payroll
        self._runs = payroll.client.stub(payroll_run_pb2_grpc.PayrollRunServiceStub)
        self._organization = organization
        self._employees = organization.client.stub(employee_pb2_grpc.EmployeeServiceStub)
        self._caller = caller
        self._today = today

    async def of(self, run_id: UUID, *, bom: bool) -> CsvResponse:
        """The answer; what can be refused is refused before its first byte. Raises RemoteError, NotCalculated."""
        first = await self._page(str(run_id), "")
        run = first.run
        if run.status in (wire.RUN_STATUS_DRAFT, wire.RUN_STATUS_CALCULATING):
            raise NotCalculated("the run has no payslips yet; ask again when it is calculated")
        return CsvResponse(self._lines(first), f"register-{run.pay_group}-{run.period}.csv", bom=bom)

    async def _page(self, run_id: str, token: str) -> wire.ListRegisterRowsResponse:
        request = wire.ListRegisterRowsRequest(run_id=run_id, page_size=PAGE, page_token=token)
        return await self._payroll.read_as(self._caller, self._runs.ListRegisterRows, request, timeout_s=CALL_S)

    async def _lines(self, first: wire.ListRegisterRowsResponse) -> AsyncIterator[str]:
        clock = asyncio.get_running_loop()
        until = clock.time() + LONGEST_TABLE_S
        codes = [column.code for column in first.columns]
        yield csv_line(["employee_number", "name", "employee_id", "payslip_id", *codes, *TOTALS])
        page, rows = first, 0
        sums = [0] * (len(codes) + len(TOTALS))
        while True:
            names = await self._names([row.employee_id for row in page.rows])
            yield "".join(_row(row, names, first.run.currency, sums) for row in page.rows)
            rows += len(page.rows)
            if not page.next_page_token:
                break
            if rows >= MAX_ROWS or clock.time() > until:
                raise TableBroken(f"the register was not sent within {MAX_ROWS} rows and {LONGEST_TABLE_S:.0f} s")
            page = await self._page(first.run.run_id, page.next_page_token)
            if (page.run.calculation_hash, page.run.attempt) != (first.run.calculation_hash, first.run.attempt):
                raise TableBroken("the run was calculated anew meanwhile")
        _must_add_up(page, rows, sums)
        money = [amount_cell(minor, first.run.currency) for minor in sums]
        yield csv_line(["TOTAL", "", "", str(rows), *money])

    async def _names(self, ids: list[str]) -> dict[str, tuple[str, str]]:
        """Employee number and name by id."""
        if not ids:
            return {}
        request = employee_pb2.BatchGetEmployeesRequest(employee_ids=ids, as_of=self._today)
        answer = await self._organization.read_as(
            self._caller, self._employees.BatchGetEmployees, request, timeout_s=CALL_S
        )
        return {one.employee_id: (one.employee_number, one.person.legal_name) for one in answer.employees}


def _row(row: wire.RegisterRow, names: dict[str, tuple[str, str]], currency: str, sums: list[int]) -> str:
    amounts = [*row.amounts_minor, row.gross_minor, row.deductions_minor, row.net_minor, row.employer_cost_minor]
    for place, minor in enumerate(amounts):
        sums[place] += minor
    number, name = names.get(row.employee_id, ("", ""))
    written = [amount_cell(minor, currency) for minor in amounts]
    return csv_line([text_cell(number), text_cell(name), row.employee_id, row.payslip_id, *written])


def _must_add_up(page: wire.ListRegisterRowsResponse, rows: int, sums: list[int]) -> None:
    """Raises TableBroken where the rows are not what the run's control totals say."""
    run = page.run
    gross, _, net, cost = sums[-len(TOTALS) :]
    control = (run.progress.done, run.totals.gross.minor_units, run.totals.net.minor_units)
    columns = [column.total_minor for column in page.columns]
    if (rows, gross, net) != control or cost != run.totals.employer_cost.minor_units or columns != sums[: len(columns)]:
        raise TableBroken("the rows do not add up to the run's control totals")
