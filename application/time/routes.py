"""REST operations of time."""

from typing import Annotated

from fastapi import Depends, Path, Query, Request, Response
from muster.attendance.v1 import time_catalog_pb2 as catalog

from application.edge.fields import Code, Id, Nothing
from application.edge.operation import Criticality, IfMatch, RateClass
from application.edge.pages import Page
from application.edge.routes import Routes
from application.edge.wire import to_date
from application.time import board_schemas, codec, schemas
from application.time import request_schemas as asked
from application.time.boards import Boards
from application.time.requests import Requests
from application.time.use_cases import Time

BULK_BYTES = 4 * 1024 * 1024

routes = Routes("time")


async def time_of(request: Request) -> Time:
    """The use cases of this application."""
    found: Time = request.app.state.time
    return found


async def requests_of(request: Request) -> Requests:
    """The use cases of requests."""
    found: Requests = request.app.state.requests
    return found


async def boards_of(request: Request) -> Boards:
    """The use cases of boards."""
    found: Boards = request.app.state.boards
    return found


Uses = Annotated[Time, Depends(time_of)]
Looking = Annotated[Boards, Depends(boards_of)]
Asking = Annotated[Requests, Depends(requests_of)]
BadgeNumber = Annotated[Code, Path(description="The number on the badge.", examples=["B-1047"])]
CorrectionId = Annotated[Id, Path(description="The correction.")]
OvertimeRequestId = Annotated[Id, Path(description="The overtime request.")]
TimesheetId = Annotated[Id, Path(description="The timesheet.")]
AbsenceId = Annotated[Id, Path(description="The absence.")]
ClosingId = Annotated[
    str,
    Path(description="The closing.", min_length=1, max_length=400, pattern="^[A-Za-z0-9_-]+$", examples=["W251bGw"]),
]
EntryCode = Annotated[Code, Path(description="Code of the entry, unique in its kind.")]


@routes.post("/v1/punches", "punch.record", tag="attendance", status=201, criticality=Criticality.CRITICAL)
async def record_punch(body: schemas.PunchBody, time: Uses, response: Response) -> schemas.PunchView:
    """Record one punch. 201 where it counts; 200 where it is a duplicate or was recorded before, never an error."""
    view = await time.record_punch(body)
    if view.outcome != "RECORDED":
        response.status_code = 200
    return view


@routes.post(
    "/v1/punches/batch",
    "punch.import",
    tag="attendance",
    criticality=Criticality.DEFERRABLE,
    body_bytes=BULK_BYTES,
    rate=RateClass.BULK,
)
async def record_punches(body: schemas.PunchBatchBody, time: Uses) -> schemas.PunchBatchView:
    """Record up to 500 punches, with one result per punch; a refused one does not stop the others."""
    return await time.import_punches(body)


@routes.put("/v1/badges/{badge_number}", "badge.issue", tag="attendance", if_match=IfMatch.OPTIONAL)
async def issue_badge(badge_number: BadgeNumber, body: schemas.BadgeBody, time: Uses) -> schemas.BadgeView:
    """Give somebody a badge, by whose number terminals name them; who has it already keeps it."""
    return await time.issue_badge(badge_number, body)


@routes.post("/v1/badges/{badge_number}/return", "badge.issue", tag="attendance", if_match=IfMatch.OPTIONAL)
async def return_badge(badge_number: BadgeNumber, time: Uses, body: Nothing | None = None) -> schemas.BadgeView:
    """Take a badge back, or note that it is lost; punches that come late still belong to who had it."""
    return await time.return_badge(badge_number)


@routes.get("/v1/badges/{badge_number}", "badge.read", tag="attendance")
async def get_badge(badge_number: BadgeNumber, time: Uses) -> schemas.BadgeView:
    """One badge and whose it was."""
    return await time.get_badge(badge_number)


@routes.get("/v1/badges", "badge.read", tag="attendance", criticality=Criticality.DEFERRABLE)
async def list_badges(query: Annotated[schemas.BadgesQuery, Query()], time: Uses) -> Page[schemas.BadgeView]:
    """A page of badges, by number."""
    return await time.list_badges(query)


@routes.get("/v1/attendance/board", "attendance_board.read", tag="attendance")
async def get_attendance_board(
    query: Annotated[board_schemas.BoardQuery, Query()], boards: Looking
) -> board_schemas.BoardView:
    """Who is in, late or out, now or as of an instant: a page of the people within the caller's reach, by number."""
    return await boards.board(query)


@routes.get("/v1/attendance/exceptions", "attendance_board.read", tag="attendance", criticality=Criticality.DEFERRABLE)
async def list_attendance_exceptions(
    query: Annotated[board_schemas.ExceptionsQuery, Query()], boards: Looking
) -> board_schemas.TimeExceptionsView:
    """The days of a period that somebody has to look at before it closes: missing punches, nobody came, late, early."""
    return await boards.exceptions(query)


@routes.get("/v1/timesheets", "timesheet.list", tag="attendance", criticality=Criticality.DEFERRABLE)
async def list_timesheets(
    query: Annotated[schemas.TimesheetsQuery, Query()], time: Uses
) -> Page[schemas.TimesheetView]:
    """A page of timesheets; with employee_id and period the one timesheet, with its days."""
    return await time.list_timesheets(query)


@routes.get("/v1/timesheets/{timesheet_id}", "timesheet.read", tag="attendance")
async def get_timesheet(timesheet_id: TimesheetId, time: Uses) -> schemas.TimesheetView:
    """One timesheet with its days."""
    return await time.get_timesheet(timesheet_id)


@routes.post(
    "/v1/timesheets/{timesheet_id}/submit",
    "timesheet.submit",
    tag="attendance",
    criticality=Criticality.CRITICAL,
    if_match=IfMatch.OPTIONAL,
)
async def submit_timesheet(timesheet_id: TimesheetId, time: Uses, body: Nothing | None = None) -> schemas.TimesheetView:
    """OPEN to SUBMITTED; refused while a punch has no counterpart."""
    return await time.submit(timesheet_id)


@routes.post(
    "/v1/timesheets/{timesheet_id}/approve",
    "timesheet.approve",
    tag="attendance",
    criticality=Criticality.CRITICAL,
    if_match=IfMatch.OPTIONAL,
)
async def approve_timesheet(
    timesheet_id: TimesheetId, time: Uses, body: Nothing | None = None
) -> schemas.TimesheetView:
    """SUBMITTED to APPROVED, never by the employee whose time it is."""
    return await time.approve(timesheet_id)


@routes.post("/v1/timesheets/{timesheet_id}/reopen", "timesheet.reopen", tag="attendance", if_match=IfMatch.OPTIONAL)
async def reopen_timesheet(
    timesheet_id: TimesheetId, time: Uses, body: schemas.ReopenBody | None = None
) -> schemas.TimesheetView:
    """SUBMITTED or APPROVED to OPEN."""
    return await time.reopen(timesheet_id, body or schemas.ReopenBody())


@routes.post("/v1/timesheets/{timesheet_id}/lock", "timesheet.lock", tag="attendance", if_match=IfMatch.OPTIONAL)
async def lock_timesheet(timesheet_id: TimesheetId, time: Uses, body: Nothing | None = None) -> schemas.TimesheetView:
    """APPROVED to LOCKED: its totals are final."""
    return await time.lock(timesheet_id)


@routes.post(
    "/v1/timesheets/{timesheet_id}/absences",
    "absence.enter",
    tag="attendance",
    status=201,
    if_match=IfMatch.OPTIONAL,
)
async def enter_absence(timesheet_id: TimesheetId, body: schemas.AbsenceBody, time: Uses) -> schemas.TimesheetView:
    """Enter an absence into an open timesheet, for whole days or for minutes of one day."""
    return await time.enter_absence(timesheet_id, body)


@routes.post("/v1/absences", "absence.enter", tag="attendance", status=201)
async def enter_employee_absence(body: schemas.EmployeeAbsenceBody, time: Uses) -> schemas.TimesheetView:
    """Enter an absence of an employee; the timesheet of the period is opened where there is none yet."""
    return await time.enter_employee_absence(body)


@routes.delete(
    "/v1/timesheets/{timesheet_id}/absences/{absence_id}",
    "absence.enter",
    tag="attendance",
    if_match=IfMatch.OPTIONAL,
)
async def cancel_absence(timesheet_id: TimesheetId, absence_id: AbsenceId, time: Uses) -> schemas.TimesheetView:
    """Take an absence out of an open timesheet."""
    return await time.cancel_absence(timesheet_id, absence_id)


@routes.post(
    "/v1/timesheets/{timesheet_id}/corrections",
    "correction.request",
    tag="attendance",
    status=201,
    if_match=IfMatch.OPTIONAL,
)
async def request_correction(
    timesheet_id: TimesheetId, body: asked.CorrectionBody, requests: Asking
) -> asked.CorrectionView:
    """Ask for a punch to be corrected: one that was forgotten, is wrong, or should not be there."""
    return await requests.request_correction(timesheet_id, body)


@routes.get("/v1/timesheet-corrections", "timesheet.list", tag="attendance", criticality=Criticality.DEFERRABLE)
async def list_corrections(
    query: Annotated[asked.RequestsQuery, Query()], requests: Asking
) -> Page[asked.CorrectionView]:
    """A page of corrections, oldest first; with status=REQUESTED those that wait for a decision."""
    return await requests.list_corrections(query)


@routes.get("/v1/timesheet-corrections/{correction_id}", "timesheet.read", tag="attendance")
async def get_correction(correction_id: CorrectionId, requests: Asking) -> asked.CorrectionView:
    """One correction."""
    return await requests.get_correction(correction_id)


@routes.post(
    "/v1/timesheet-corrections/{correction_id}/approve",
    "correction.decide",
    tag="attendance",
    criticality=Criticality.CRITICAL,
)
async def approve_correction(
    correction_id: CorrectionId, requests: Asking, body: asked.DecisionBody | None = None
) -> asked.CorrectionView:
    """REQUESTED to APPROVED, never by the employee whose time it is; the day is computed anew.

    A locked timesheet is adjusted, on the same work date; one that is submitted or approved has to be reopened first.
    """
    return await requests.approve_correction(correction_id, body or asked.DecisionBody())


@routes.post(
    "/v1/timesheet-corrections/{correction_id}/decline",
    "correction.decide",
    tag="attendance",
    criticality=Criticality.CRITICAL,
)
async def decline_correction(
    correction_id: CorrectionId, requests: Asking, body: asked.DecisionBody | None = None
) -> asked.CorrectionView:
    """REQUESTED to DECLINED, never by the employee whose time it is; nothing changes."""
    return await requests.decline_correction(correction_id, body or asked.DecisionBody())


@routes.post("/v1/overtime-requests", "overtime.request", tag="attendance", status=201)
async def request_overtime(body: asked.OvertimeRequestBody, requests: Asking) -> asked.OvertimeRequestView:
    """Ask for overtime to be counted, before or after the work.

    Where the overtime policy wants approval, worked overtime counts up to the minutes that were approved.
    """
    return await requests.request_overtime(body)


@routes.get("/v1/overtime-requests", "timesheet.list", tag="attendance", criticality=Criticality.DEFERRABLE)
async def list_overtime_requests(
    query: Annotated[asked.RequestsQuery, Query()], requests: Asking
) -> Page[asked.OvertimeRequestView]:
    """A page of overtime requests, oldest first; with status=REQUESTED those that wait for a decision."""
    return await requests.list_overtime(query)


@routes.get("/v1/overtime-requests/{overtime_request_id}", "timesheet.read", tag="attendance")
async def get_overtime_request(overtime_request_id: OvertimeRequestId, requests: Asking) -> asked.OvertimeRequestView:
    """One overtime request."""
    return await requests.get_overtime(overtime_request_id)


@routes.post(
    "/v1/overtime-requests/{overtime_request_id}/approve",
    "overtime.decide",
    tag="attendance",
    criticality=Criticality.CRITICAL,
)
async def approve_overtime_request(
    overtime_request_id: OvertimeRequestId, requests: Asking, body: asked.OvertimeApprovalBody | None = None
) -> asked.OvertimeRequestView:
    """REQUESTED to APPROVED, for the minutes asked or fewer, never by the employee whose time it is."""
    return await requests.approve_overtime(overtime_request_id, body or asked.OvertimeApprovalBody())


@routes.post(
    "/v1/overtime-requests/{overtime_request_id}/decline",
    "overtime.decide",
    tag="attendance",
    criticality=Criticality.CRITICAL,
)
async def decline_overtime_request(
    overtime_request_id: OvertimeRequestId, requests: Asking, body: asked.DecisionBody | None = None
) -> asked.OvertimeRequestView:
    """REQUESTED to DECLINED, never by the employee whose time it is; nothing changes."""
    return await requests.decline_overtime(overtime_request_id, body or asked.DecisionBody())


@routes.post(
    "/v1/timesheets/{timesheet_id}/adjustments",
    "timesheet.adjust",
    tag="attendance",
    status=201,
    if_match=IfMatch.OPTIONAL,
)
async def adjust_timesheet(
    timesheet_id: TimesheetId, body: asked.AdjustmentBody, requests: Asking
) -> schemas.TimesheetView:
    """Change the totals of a locked timesheet on one of its work dates; payroll pays the difference as retro."""
    return await requests.adjust(timesheet_id, body)


@routes.post(
    "/v1/timesheet-closings",
    "timesheet.close",
    tag="attendance",
    status=202,
    criticality=Criticality.DEFERRABLE,
    rate=RateClass.BULK,
)
async def close_timesheets(body: schemas.ClosingBody, time: Uses) -> schemas.ClosingView:
    """Take everybody of a pay group or department to a status, 250 people per request, with one result per person.

    Who cannot be taken there is named with the reason and holds up nobody. Repeat with `cursor` until it is null.
    """
    return await time.close(body)


@routes.get(
    "/v1/timesheet-closings/{closing_id}", "timesheet.close", tag="attendance", criticality=Criticality.DEFERRABLE
)
async def get_timesheet_closing(closing_id: ClosingId, time: Uses) -> schemas.ClosingProgressView:
    """How far a closing is: the timesheets that there are, by status."""
    return await time.closing(closing_id)


@routes.put("/v1/shifts/{code}", "schedule.publish", tag="schedules", if_match=IfMatch.OPTIONAL)
async def put_shift(code: EntryCode, body: schemas.ShiftBody, time: Uses) -> schemas.ShiftView:
    """Publish a shift from a date on; what was published before stays as it was."""
    request = catalog.PutShiftRequest(effective_date=to_date(body.effective_date), shift=codec.to_shift(code, body))
    view: schemas.ShiftView = await time.put_entry(time.catalog.PutShift, request, codec.shift_view)
    return view


@routes.get("/v1/shifts/{code}", "schedule.read", tag="schedules")
async def get_shift(code: EntryCode, query: Annotated[schemas.CatalogQuery, Query()], time: Uses) -> schemas.ShiftView:
    """A shift as it holds on a day."""
    request = catalog.GetShiftRequest(code=code)
    view: schemas.ShiftView = await time.get_entry(time.catalog.GetShift, request, query, codec.shift_view)
    return view


@routes.get("/v1/shifts", "schedule.read", tag="schedules")
async def list_shifts(query: Annotated[schemas.CatalogListQuery, Query()], time: Uses) -> Page[schemas.ShiftView]:
    """The shifts that hold on a day, by code."""
    request = catalog.ListShiftsRequest()
    return await time.list_entries(time.catalog.ListShifts, request, "shifts", query, codec.shift_view)


@routes.put("/v1/work-schedules/{code}", "schedule.publish", tag="schedules", if_match=IfMatch.OPTIONAL)
async def put_work_schedule(code: EntryCode, body: schemas.WorkScheduleBody, time: Uses) -> schemas.WorkScheduleView:
    """Publish a work schedule from a date on; what was published before stays as it was."""
    request = catalog.PutWorkScheduleRequest(
        effective_date=to_date(body.effective_date), work_schedule=codec.to_work_schedule(code, body)
    )
    view: schemas.WorkScheduleView = await time.put_entry(
        time.catalog.PutWorkSchedule, request, codec.work_schedule_view
    )
    return view


@routes.get("/v1/work-schedules/{code}", "schedule.read", tag="schedules")
async def get_work_schedule(
    code: EntryCode, query: Annotated[schemas.CatalogQuery, Query()], time: Uses
) -> schemas.WorkScheduleView:
    """A work schedule as it holds on a day."""
    request = catalog.GetWorkScheduleRequest(code=code)
    view: schemas.WorkScheduleView = await time.get_entry(
        time.catalog.GetWorkSchedule, request, query, codec.work_schedule_view
    )
    return view


@routes.get("/v1/work-schedules", "schedule.read", tag="schedules")
async def list_work_schedules(
    query: Annotated[schemas.CatalogListQuery, Query()], time: Uses
) -> Page[schemas.WorkScheduleView]:
    """The work schedules that hold on a day, by code."""
    request = catalog.ListWorkSchedulesRequest()
    return await time.list_entries(
        time.catalog.ListWorkSchedules, request, "work_schedules", query, codec.work_schedule_view
    )


@routes.put(
    "/v1/holiday-calendars/{code}",
    "schedule.publish",
    tag="schedules",
    if_match=IfMatch.OPTIONAL,
    body_bytes=BULK_BYTES,
)
async def put_holiday_calendar(
    code: EntryCode, body: schemas.HolidayCalendarBody, time: Uses
) -> schemas.HolidayCalendarView:
    """Publish a holiday calendar from a date on; what was published before stays as it was."""
    request = catalog.PutHolidayCalendarRequest(
        effective_date=to_date(body.effective_date), holiday_calendar=codec.to_holiday_calendar(code, body)
    )
    view: schemas.HolidayCalendarView = await time.put_entry(
        time.catalog.PutHolidayCalendar, request, codec.holiday_calendar_view
    )
    return view


@routes.get("/v1/holiday-calendars/{code}", "schedule.read", tag="schedules")
async def get_holiday_calendar(
    code: EntryCode, query: Annotated[schemas.CatalogQuery, Query()], time: Uses
) -> schemas.HolidayCalendarView:
    """A holiday calendar as it holds on a day."""
    request = catalog.GetHolidayCalendarRequest(code=code)
    view: schemas.HolidayCalendarView = await time.get_entry(
        time.catalog.GetHolidayCalendar, request, query, codec.holiday_calendar_view
    )
    return view


@routes.get("/v1/holiday-calendars", "schedule.read", tag="schedules")
async def list_holiday_calendars(
    query: Annotated[schemas.CatalogListQuery, Query()], time: Uses
) -> Page[schemas.HolidayCalendarView]:
    """The holiday calendars that hold on a day, by code."""
    request = catalog.ListHolidayCalendarsRequest()
    return await time.list_entries(
        time.catalog.ListHolidayCalendars, request, "holiday_calendars", query, codec.holiday_calendar_view
    )


@routes.put("/v1/overtime-policies/{code}", "schedule.publish", tag="schedules", if_match=IfMatch.OPTIONAL)
async def put_overtime_policy(
    code: EntryCode, body: schemas.OvertimePolicyBody, time: Uses
) -> schemas.OvertimePolicyView:
    """Publish an overtime policy from a date on; what was published before stays as it was."""
    request = catalog.PutOvertimePolicyRequest(
        effective_date=to_date(body.effective_date), overtime_policy=codec.to_overtime_policy(code, body)
    )
    view: schemas.OvertimePolicyView = await time.put_entry(
        time.catalog.PutOvertimePolicy, request, codec.overtime_policy_view
    )
    return view


@routes.get("/v1/overtime-policies/{code}", "schedule.read", tag="schedules")
async def get_overtime_policy(
    code: EntryCode, query: Annotated[schemas.CatalogQuery, Query()], time: Uses
) -> schemas.OvertimePolicyView:
    """An overtime policy as it holds on a day."""
    request = catalog.GetOvertimePolicyRequest(code=code)
    view: schemas.OvertimePolicyView = await time.get_entry(
        time.catalog.GetOvertimePolicy, request, query, codec.overtime_policy_view
    )
    return view


@routes.get("/v1/overtime-policies", "schedule.read", tag="schedules")
async def list_overtime_policies(
    query: Annotated[schemas.CatalogListQuery, Query()], time: Uses
) -> Page[schemas.OvertimePolicyView]:
    """The overtime policies that hold on a day, by code."""
    request = catalog.ListOvertimePoliciesRequest()
    return await time.list_entries(
        time.catalog.ListOvertimePolicies, request, "overtime_policies", query, codec.overtime_policy_view
    )


@routes.put("/v1/time-calendars/{code}", "schedule.publish", tag="schedules", if_match=IfMatch.OPTIONAL)
async def put_time_calendar(code: EntryCode, body: schemas.TimeCalendarBody, time: Uses) -> schemas.TimeCalendarView:
    """Publish a time calendar from a date on; what was published before stays as it was."""
    request = catalog.PutTimeCalendarRequest(
        effective_date=to_date(body.effective_date), time_calendar=codec.to_time_calendar(code, body)
    )
    view: schemas.TimeCalendarView = await time.put_entry(
        time.catalog.PutTimeCalendar, request, codec.time_calendar_view
    )
    return view


@routes.get("/v1/time-calendars/{code}", "schedule.read", tag="schedules")
async def get_time_calendar(
    code: EntryCode, query: Annotated[schemas.CatalogQuery, Query()], time: Uses
) -> schemas.TimeCalendarView:
    """A time calendar as it holds on a day."""
    request = catalog.GetTimeCalendarRequest(code=code)
    view: schemas.TimeCalendarView = await time.get_entry(
        time.catalog.GetTimeCalendar, request, query, codec.time_calendar_view
    )
    return view


@routes.get("/v1/time-calendars", "schedule.read", tag="schedules")
async def list_time_calendars(
    query: Annotated[schemas.CatalogListQuery, Query()], time: Uses
) -> Page[schemas.TimeCalendarView]:
    """The time calendars that hold on a day, by code."""
    request = catalog.ListTimeCalendarsRequest()
    return await time.list_entries(
        time.catalog.ListTimeCalendars, request, "time_calendars", query, codec.time_calendar_view
    )
