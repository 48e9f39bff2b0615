"""Corrections of punches and overtime: asked for, then approved or declined by somebody else."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from contexts.attendance.domain.adjustments import Adjustment
from contexts.attendance.domain.errors import CorrectionNotFound, OvertimeRequestNotFound, PunchNotFound
from contexts.attendance.domain.punches import Direction, Stamp
from contexts.attendance.domain.requests import Asked, Correction, Decision, OvertimeRequest
from contexts.attendance.domain.timesheet import Status, Timesheet, TimesheetState, evaluated
from contexts.attendance.handlers.close_timesheets import current_grounds
from contexts.attendance.handlers.open_timesheets import keep, timesheet_on
from contexts.attendance.handlers.work import AttendanceWork
from contexts.attendance.repository.port import RequestKind
from kernel.errors import InvalidValue
from kernel.ids import EmployeeId, Version


@dataclass(frozen=True, slots=True)
class RequestCorrection:
    """A punch that was forgotten (no `punch_id`), is wrong (both), or should not be there (no `punched_at`)."""

    timesheet_id: UUID
    seen: Version | None
    punch_id: UUID | None
    punched_at: datetime | None
    direction: Direction
    reason: str


@dataclass(frozen=True, slots=True)
class RequestOvertime:
    """Minutes of overtime on a work date, before or after the work."""

    employee_id: EmployeeId
    work_date: date
    minutes: int
    reason: str


@dataclass(frozen=True, slots=True)
class DecideRequest:
    """What somebody says to a request; `minutes` of overtime where fewer than asked for are approved."""

    request_id: UUID
    approved: bool
    note: str = ""
    minutes: int | None = None


async def request_correction(cmd: RequestCorrection, work: AttendanceWork) -> tuple[UUID, TimesheetState]:
    """The correction's id and the timesheet that holds it.

    Raises TimesheetNotFound, Stale, InvalidValue, PunchNotFound and what `Timesheet.request_correction` does.
    """
    if cmd.punch_id is None and cmd.punched_at is None:
        raise InvalidValue("name the punch that is wrong, or when the forgotten one was", field="punched_at")
    timesheet = await work.timesheets.get(cmd.timesheet_id, seen=cmd.seen)
    state = timesheet.state
    if cmd.punch_id is not None and not any(one.id == cmd.punch_id for one in state.corrections):
        stored = (await work.timesheets.punches([cmd.punch_id])).get(cmd.punch_id)
        if stored is None or stored.timesheet_id != state.id:
            raise PunchNotFound("the timesheet holds no such punch; take its id from the timesheet", field="punch_id")
    planner = await work.catalog.planner(None if state.status is Status.OPEN else state.grounds.catalog_version)
    entry = await work.roster.get(state.employee_id)
    if entry is not None:
        timesheet.stand_on(current_grounds(state, entry, planner))
    plan = planner.plan(timesheet.state.grounds.placements, state.period.span)
    id, now = work.new_id(), work.now()
    stamp = None if cmd.punched_at is None else Stamp(cmd.punched_at, cmd.direction, id)
    timesheet.request_correction(Correction(id, cmd.punch_id, stamp, Asked(cmd.reason, work.actor, now)), plan, now)
    await work.timesheets.save([timesheet])
    return id, timesheet.state


async def request_overtime(cmd: RequestOvertime, work: AttendanceWork) -> tuple[UUID, TimesheetState]:
    """The request's id and the timesheet that holds it, opened where there was none.

    Raises RosterUnknown, NotPlaced, InvalidValue, RequestLimit.
    """
    timesheet, is_new = await timesheet_on(cmd.employee_id, cmd.work_date, "work_date", work)
    id, now = work.new_id(), work.now()
    asked = Asked(cmd.reason, work.actor, now)
    timesheet.request_overtime(OvertimeRequest(id, cmd.work_date, cmd.minutes, asked), now)
    await keep(timesheet, is_new, work)
    return id, timesheet.state


async def decide_correction(cmd: DecideRequest, work: AttendanceWork) -> TimesheetState:
    """The timesheet afterwards. Raises CorrectionNotFound and what its verbs do."""
    timesheet = await work.timesheets.with_request(RequestKind.CORRECTION, cmd.request_id)
    if timesheet is None:
        raise CorrectionNotFound("there is no such correction; check the id", correction=cmd.request_id)
    decision = Decision(cmd.approved, work.actor, work.now(), cmd.note)
    timesheet.decide_correction(cmd.request_id, decision, work.actor_employee)
    return await _followed(timesheet, cmd, work)


async def decide_overtime(cmd: DecideRequest, work: AttendanceWork) -> TimesheetState:
    """The timesheet afterwards. Raises OvertimeRequestNotFound and what its verbs do."""
    timesheet = await work.timesheets.with_request(RequestKind.OVERTIME, cmd.request_id)
    if timesheet is None:
        raise OvertimeRequestNotFound("there is no such overtime request; check the id", request=cmd.request_id)
    decision = Decision(cmd.approved, work.actor, work.now(), cmd.note)
    timesheet.decide_overtime(cmd.request_id, decision, work.actor_employee, cmd.minutes)
    return await _followed(timesheet, cmd, work)


async def _followed(timesheet: Timesheet, cmd: DecideRequest, work: AttendanceWork) -> TimesheetState:
    """Kept; what an approval changes of a locked timesheet becomes adjustments on their own work dates."""
    state = timesheet.state
    if cmd.approved and state.status is Status.LOCKED:
        planner = await work.catalog.planner(state.grounds.catalog_version)
        plan = planner.plan(state.grounds.placements, state.period.span)
        stamps = await work.timesheets.stamps([state.id])
        now = work.now()
        like = Adjustment(cmd.request_id, state.period.span.start, (), cmd.note, work.actor, now, cmd.request_id)
        timesheet.restate(evaluated(state, plan, stamps.get(state.id, ())), plan, like, work.new_id)
    await work.timesheets.save([timesheet])
    work.note(f"timesheet/{state.id}", cmd.note or None)
    return timesheet.state
