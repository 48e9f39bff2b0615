"""What waits for the caller's decision, over everything that somebody has to decide."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from uuid import UUID

from muster.attendance.v1 import timesheet_pb2, timesheet_pb2_grpc
from muster.payroll.v1 import payroll_run_pb2, payroll_run_pb2_grpc

from application.access import Allow, Reach, decide, reach
from application.edge.authorize import allow
from application.edge.calls import Calls
from application.edge.exchange import current_exchange
from application.edge.pages import Page, Source, one_after_the_other
from application.edge.wire import from_date, from_instant
from application.self_service.schemas import ApprovalsQuery, ApprovalView
from application.time.teams import Teams
from chassis.rpc.channels import Client

OVERTIME, CORRECTION, TIMESHEET, RUN = "OVERTIME_REQUEST", "TIMESHEET_CORRECTION", "TIMESHEET", "PAYROLL_RUN"
REQUESTED = timesheet_pb2.REQUEST_STATUS_REQUESTED
SUBMITTED = timesheet_pb2.TIMESHEET_STATUS_SUBMITTED
CALCULATED = payroll_run_pb2.RUN_STATUS_CALCULATED


class Approvals:
    """The use case of approvals.

    Invariants: only what the caller may decide is listed, so never what is about or was prepared by themselves; a page
    asks each kind once.
    """

    def __init__(self, attendance: Client, payroll: Client, teams: Teams) -> None:
        self._attendance = Calls(attendance)
        self._payroll = Calls(payroll)
        self._timesheets = attendance.stub(timesheet_pb2_grpc.TimesheetServiceStub)
        self._runs = payroll.stub(payroll_run_pb2_grpc.PayrollRunServiceStub)
        self._teams = teams

    async def mine(self, query: ApprovalsQuery) -> Page[ApprovalView]:
        """A page of what waits, one kind after the other, oldest first within requests."""
        allow("approval.read")
        caller = current_exchange().caller
        sources: dict[str, Source[ApprovalView]] = {}
        named: dict[Reach, list[str] | None] = {}
        for kind, action, ask in (
            (OVERTIME, "overtime.decide", self._overtime),
            (CORRECTION, "correction.decide", self._corrections),
            (TIMESHEET, "timesheet.approve", self._submitted),
        ):
            found = reach(caller, action)
            if found.nobody or query.kind not in (None, kind):
                continue
            if found not in named:
                named[found] = await self._teams.of(found)
            if named[found] != []:
                sources[kind] = partial(ask, named[found] or ())
        if query.kind in (None, RUN) and isinstance(decide(caller, "payroll_run.approve"), Allow):
            sources[RUN] = self._calculated
        data, cursor = await one_after_the_other(sources, query.limit, query.cursor)
        return Page[ApprovalView].model_construct(data=data, next_cursor=cursor)

    async def _overtime(self, ids: Iterable[str], limit: int, token: str) -> tuple[list[ApprovalView], str]:
        request = timesheet_pb2.ListOvertimeRequestsRequest(
            status=REQUESTED, employee_ids=ids, page_size=limit, page_token=token
        )
        answer = await self._attendance.read(self._timesheets.ListOvertimeRequests, request)
        return _of_others(answer.overtime_requests, overtime_view), answer.next_page_token

    async def _corrections(self, ids: Iterable[str], limit: int, token: str) -> tuple[list[ApprovalView], str]:
        request = timesheet_pb2.ListCorrectionsRequest(
            status=REQUESTED, employee_ids=ids, page_size=limit, page_token=token
        )
        answer = await self._attendance.read(self._timesheets.ListCorrections, request)
        return _of_others(answer.corrections, correction_view), answer.next_page_token

    async def _submitted(self, ids: Iterable[str], limit: int, token: str) -> tuple[list[ApprovalView], str]:
        request = timesheet_pb2.ListTimesheetsRequest(
            status=SUBMITTED, employee_ids=ids, page_size=limit, page_token=token
        )
        answer = await self._attendance.read(self._timesheets.ListTimesheets, request)
        return _of_others(answer.timesheets, timesheet_view), answer.next_page_token

    async def _calculated(self, limit: int, token: str) -> tuple[list[ApprovalView], str]:
        request = payroll_run_pb2.ListPayrollRunsRequest(status=CALCULATED, page_size=limit, page_token=token)
        answer = await self._payroll.read(self._runs.ListPayrollRuns, request)
        me = current_exchange().caller.subject
        return [run_view(run) for run in answer.runs if run.prepared_by != me], answer.next_page_token


def _of_others(found: Iterable[Any], view: Callable[[Any], ApprovalView]) -> list[ApprovalView]:
    me = str(current_exchange().caller.employee_id or "")
    return [view(one) for one in found if one.employee_id != me]


def overtime_view(one: timesheet_pb2.OvertimeRequest) -> ApprovalView:
    """Overtime that somebody asked for."""
    id = one.overtime_request_id
    return ApprovalView.model_construct(
        kind=OVERTIME,
        id=UUID(id),
        employee_id=UUID(one.employee_id),
        period=None,
        work_date=from_date(one.work_date),
        reason=one.record.reason,
        asked_by=one.record.requested_by,
        asked_at=from_instant(one.record.request_time),
        approve_at=f"/v1/overtime-requests/{id}/approve",
    )


def correction_view(one: timesheet_pb2.Correction) -> ApprovalView:
    """A punch that somebody asked to be corrected."""
    id = one.correction_id
    return ApprovalView.model_construct(
        kind=CORRECTION,
        id=UUID(id),
        employee_id=UUID(one.employee_id),
        period=None,
        work_date=None,
        reason=one.record.reason,
        asked_by=one.record.requested_by,
        asked_at=from_instant(one.record.request_time),
        approve_at=f"/v1/timesheet-corrections/{id}/approve",
    )


def timesheet_view(one: timesheet_pb2.Timesheet) -> ApprovalView:
    """A timesheet that was submitted."""
    id = one.timesheet_id
    return ApprovalView.model_construct(
        kind=TIMESHEET,
        id=UUID(id),
        employee_id=UUID(one.employee_id),
        period=one.period,
        work_date=None,
        reason="",
        asked_by=one.submitted_by,
        asked_at=from_instant(one.record_time),
        approve_at=f"/v1/timesheets/{id}/approve",
    )


def run_view(run: payroll_run_pb2.PayrollRun) -> ApprovalView:
    """A payroll run that was calculated."""
    return ApprovalView.model_construct(
        kind=RUN,
        id=UUID(run.run_id),
        employee_id=None,
        period=run.period,
        work_date=None,
        reason=run.reason,
        asked_by=run.prepared_by,
        asked_at=from_instant(run.created_time),
        approve_at=f"/v1/payroll-runs/{run.run_id}/approve",
    )
