"""Payments over bank accounts: how employees split their net pay, and the file that a bank is sent."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from muster.organization.v1 import employee_pb2, employee_pb2_grpc
from muster.payroll.v1 import payroll_run_pb2 as wire
from muster.payroll.v1 import payroll_run_pb2_grpc

from application.edge.calls import Calls
from application.edge.operation import LONGEST_TABLE_S
from application.edge.table import CsvResponse, TableBroken, amount_cell, csv_line, text_cell
from chassis.principal import Principal

PAGE = 500
MAX_ROWS = 2_000_000  # the largest run, with some accounts each
CALL_S = 10.0
COLUMNS = (
    "payment_id", "employee_number", "holder_name", "bank_code", "bank_name", "account_number", "amount", "currency",
    "pay_date", "reference", "problem",
)  # fmt: skip


class BankFile:
    """Reads a run's payments and the accounts that they go to.

    Invariants: accounts are read as they were arranged, on the run's pay date and as known at that instant; only the
    answer holds them; a page is in memory at a time.
    """

    def __init__(self, payroll: Calls, organization: Calls, caller: Principal) -> None:
        self._payroll = payroll
        self._runs = payroll.client.stub(payroll_run_pb2_grpc.PayrollRunServiceStub)
        self._organization = organization
        self._employees = organization.client.stub(employee_pb2_grpc.EmployeeServiceStub)
        self._caller = caller

    async def splits(self, run: wire.PayrollRun, known_at: Timestamp) -> AsyncIterator[list[wire.PaySplit]]:
        """How everybody with a pending payment splits it, some people at a time. Raises RemoteError."""
        async for page in self._pages(run.run_id):
            ids = sorted({one.employee_id for one in page if one.status == wire.PAYMENT_STATUS_PENDING})
            people = await self._people(ids, run, known_at)
            yield [pay_split(id, people.get(id), run.currency) for id in ids]

    async def of(self, run: wire.PayrollRun, *, bom: bool) -> CsvResponse:
        """The pending payments as CSV; none before the run is final, or once it is reversed."""
        return CsvResponse(self._lines(run), f"payments-{run.pay_group}-{run.period}.csv", bom=bom)

    async def _lines(self, run: wire.PayrollRun) -> AsyncIterator[str]:
        clock = asyncio.get_running_loop()
        until = clock.time() + LONGEST_TABLE_S
        yield csv_line(COLUMNS)
        rows = total = 0
        async for page in self._pages(run.run_id):
            pending = [one for one in page if one.status == wire.PAYMENT_STATUS_PENDING]
            yield "".join([_row(one, people, run) for one, people in await self._with_people(pending, run)])
            rows += len(pending)
            total += sum(one.amount.minor_units for one in pending)
            if rows > MAX_ROWS or clock.time() > until:
                raise TableBroken(f"the file was not sent within {MAX_ROWS} rows and {LONGEST_TABLE_S:.0f} s")
        yield csv_line(["TOTAL", str(rows), "", "", "", "", amount_cell(total, run.currency), run.currency, "", "", ""])

    async def _pages(self, run_id: str) -> AsyncIterator[Sequence[wire.Payment]]:
        token = ""
        while True:
            request = wire.ListPaymentsRequest(run_id=run_id, page_size=PAGE, page_token=token)
            page = await self._payroll.read_as(self._caller, self._runs.ListPayments, request, timeout_s=CALL_S)
            if page.payments:
                yield page.payments
            token = page.next_page_token
            if not token:
                return

    async def _with_people(
        self, payments: Sequence[wire.Payment], run: wire.PayrollRun
    ) -> list[tuple[wire.Payment, dict[str, employee_pb2.Employee]]]:
        """Each payment with the people as they were known when it was arranged."""
        known: dict[bytes, dict[str, employee_pb2.Employee]] = {}
        for payment in payments:
            instant = payment.accounts_known_at
            key = instant.SerializeToString()
            if key not in known:
                same = {one.employee_id for one in payments if one.accounts_known_at == instant}
                arranged = instant if payment.HasField("accounts_known_at") else None
                known[key] = await self._people(sorted(same), run, arranged)
        return [(payment, known[payment.accounts_known_at.SerializeToString()]) for payment in payments]

    async def _people(
        self, ids: Sequence[str], run: wire.PayrollRun, known_at: Timestamp | None
    ) -> dict[str, employee_pb2.Employee]:
        """Employees with their accounts on the pay date; without them where no instant is given."""
        if not ids:
            return {}
        view = employee_pb2.EMPLOYEE_VIEW_BASIC if known_at is None else employee_pb2.EMPLOYEE_VIEW_FULL
        request = employee_pb2.BatchGetEmployeesRequest(
            employee_ids=ids, as_of=run.pay_date, known_at=known_at, view=view
        )
        answer = await self._organization.read_as(
            self._caller, self._employees.BatchGetEmployees, request, timeout_s=CALL_S
        )
        return {one.employee_id: one for one in answer.employees}


def pay_split(employee_id: str, employee: employee_pb2.Employee | None, currency: str) -> wire.PaySplit:
    """How an employee splits their net pay, by the places of the accounts; no parts where there is no account."""
    accounts = employee.person.bank_accounts if employee is not None else ()
    if any(account.HasField("amount") and account.amount.currency != currency for account in accounts):
        accounts = ()  # a fixed amount of another currency splits nothing: people mend it before it is paid
    return wire.PaySplit(employee_id=employee_id, parts=_parts(accounts))


def _parts(accounts: Iterable[employee_pb2.BankAccount]) -> list[wire.PaySplitPart]:
    return [
        wire.PaySplitPart(
            account=place,
            amount=account.amount if account.HasField("amount") else None,
            share_percent=account.share_percent,
        )
        for place, account in enumerate(accounts, start=1)
    ]


def _row(payment: wire.Payment, people: dict[str, employee_pb2.Employee], run: wire.PayrollRun) -> str:
    employee = people.get(payment.employee_id)
    accounts = employee.person.bank_accounts if employee is not None else ()
    to = accounts[payment.account - 1] if 0 < payment.account <= len(accounts) else employee_pb2.BankAccount()
    problem = "" if to.account_number else "NO_ACCOUNT"
    if not payment.HasField("accounts_known_at"):
        problem = "NOT_ARRANGED"
    day = run.pay_date
    return csv_line(
        [
            str(UUID(payment.payment_id)),
            text_cell(employee.employee_number if employee is not None else ""),
            text_cell(to.holder_name),
            text_cell(to.bank_code),
            text_cell(to.bank_name),
            text_cell(to.account_number),
            amount_cell(payment.amount.minor_units, run.currency),
            run.currency,
            f"{day.year:04}-{day.month:02}-{day.day:02}",
            f"{run.pay_group} {run.period}",
            problem,
        ]
    )
