"""What changed at organization and attendance since a run read its facts, as payroll is told it."""

from collections.abc import AsyncIterator

from muster.attendance.v1 import timesheet_pb2, timesheet_pb2_grpc
from muster.organization.v1 import employee_pb2, employee_pb2_grpc
from muster.payroll.v1 import payroll_run_pb2 as wire

from application.edge.calls import Calls
from application.edge.wire import from_enum
from chassis.principal import Principal

CHANGES_PAGE = 1000
MOST_CHANGES = 100_000  # that one approval looks at; more is a new calculation


class Changes:
    """Reads the changes of both sources.

    Invariants: at most MOST_CHANGES; an employee may be named by both, each time with when it was recorded there.
    """

    def __init__(self, organization: Calls, attendance: Calls) -> None:
        self._organization = organization
        self._attendance = attendance
        self._employees = organization.client.stub(employee_pb2_grpc.EmployeeServiceStub)
        self._timesheets = attendance.client.stub(timesheet_pb2_grpc.TimesheetServiceStub)

    async def of(self, caller: Principal, run: wire.PayrollRun) -> list[wire.InputChange]:
        """Those after the positions that the run holds, by employee. Raises RemoteError."""
        seen = {position.source: position.position for position in run.source_positions}
        found: list[wire.InputChange] = []
        for changes in (
            self._time(caller, run, seen.get("attendance", 0)),
            self._people(caller, run, seen.get("organization", 0)),
        ):
            async for change in changes:
                if len(found) == MOST_CHANGES:
                    break
                found.append(change)
        return sorted(found, key=lambda change: change.employee_id)

    async def _people(self, caller: Principal, run: wire.PayrollRun, position: int) -> AsyncIterator[wire.InputChange]:
        token = ""
        while True:
            answer = await self._organization.read_as(
                caller,
                self._employees.ListChangedSince,
                employee_pb2.ListChangedSinceRequest(
                    pay_group=run.pay_group,
                    period_start=run.start_date,
                    period_end=run.end_date,
                    position=position,
                    page_size=CHANGES_PAGE,
                    page_token=token,
                ),
            )
            for changed in answer.employees:
                yield _change(changed, _reason(changed))
            token = answer.next_page_token
            if not token:
                return

    async def _time(self, caller: Principal, run: wire.PayrollRun, position: int) -> AsyncIterator[wire.InputChange]:
        for period in run.time_periods or [run.period]:
            token = ""
            while True:
                answer = await self._attendance.read_as(
                    caller,
                    self._timesheets.ListChangedSince,
                    timesheet_pb2.ListChangedSinceRequest(
                        pay_group=run.pay_group,
                        period=period,
                        feed_position=position,
                        page_size=CHANGES_PAGE,
                        page_token=token,
                    ),
                )
                for changed in answer.employees:
                    yield _change(changed, changed.reason)
                token = answer.next_page_token
                if not token:
                    break


def _change(changed: employee_pb2.ChangedEmployee | timesheet_pb2.ChangedEmployee, reason: str) -> wire.InputChange:
    recorded = changed.record_time if changed.HasField("record_time") else None
    return wire.InputChange(employee_id=changed.employee_id, reason=reason, record_time=recorded)


def _reason(changed: employee_pb2.ChangedEmployee) -> str:
    """The last kind of change as payroll's reason: COMPENSATION_CHANGED."""
    kind = from_enum(employee_pb2.ChangeKind, "CHANGE_KIND_", changed.kinds[-1]) if changed.kinds else None
    return f"{kind or 'EMPLOYEE'}_CHANGED"
