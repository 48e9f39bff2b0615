"""Absences: entered into an open timesheet, which is opened where there is none yet, and taken out of it."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from contexts.attendance.domain.errors import NotPlaced, RosterUnknown
from contexts.attendance.domain.timesheet import Absence, Timesheet, TimesheetState, grounds_for
from contexts.attendance.handlers.open_timesheets import open_timesheets
from contexts.attendance.handlers.work import AttendanceWork
from contexts.attendance.repository.port import TimesheetKey
from kernel.errors import InvalidValue
from kernel.ids import EmployeeId, Version
from kernel.period import Period

AHEAD_MAX = timedelta(days=731)  # leave is planned a year ahead; a timesheet further off would come of a wrong year


@dataclass(frozen=True, slots=True)
class TimeOff:
    """Whole days (`minutes` None), or minutes of one day."""

    code: str
    start_date: date
    end_date: date  # the last day
    minutes: int | None
    paid_share: Decimal


@dataclass(frozen=True, slots=True)
class EnterAbsence:
    """Time off in a timesheet that is there."""

    timesheet_id: UUID
    seen: Version | None
    time_off: TimeOff


@dataclass(frozen=True, slots=True)
class EnterEmployeeAbsence:
    """Time off of somebody who may have no timesheet of that time yet."""

    employee_id: EmployeeId
    time_off: TimeOff


@dataclass(frozen=True, slots=True)
class CancelAbsence:
    """Take an absence out."""

    timesheet_id: UUID
    seen: Version | None
    absence_id: UUID


async def enter_absence(cmd: EnterAbsence, work: AttendanceWork) -> tuple[UUID, TimesheetState]:
    """The absence's id and the timesheet afterwards. Raises InvalidValue and what `Timesheet.enter_absence` does."""
    timesheet = await work.timesheets.get(cmd.timesheet_id, seen=cmd.seen)
    absence_id = _enter(cmd.time_off, timesheet, work)
    await work.timesheets.save([timesheet])
    return absence_id, timesheet.state


async def enter_employee_absence(cmd: EnterEmployeeAbsence, work: AttendanceWork) -> tuple[UUID, TimesheetState]:
    """As `enter_absence`, into the timesheet in whose period the first day lies, opened where there is none.

    Raises RosterUnknown, NotPlaced too, and InvalidValue for a day more than two years ahead.
    """
    day = cmd.time_off.start_date
    entries, planner = await work.roster.with_planner({cmd.employee_id})
    entry = entries.get(cmd.employee_id)
    if entry is None:
        raise RosterUnknown("the employee is not on the roster yet; ensure the roster, then try again")
    placement = entry.on(day)
    if placement is None:
        raise NotPlaced(
            "the employee has no assignment on that day; check the date, or ensure the roster", field="start_date"
        )
    if day - work.now().date() > AHEAD_MAX:
        raise InvalidValue("the day is more than two years ahead; check the year", field="start_date")
    calendar = planner.calendar(placement, day)
    period = calendar.period_of(day)
    grounds = grounds_for(entry, placement.assignment_id, calendar, period, planner.catalog.version)
    assert grounds is not None, "the placement lies in the period"
    key = TimesheetKey(entry.employee_id, placement.assignment_id, calendar.code, period.name)
    timesheets, new = await open_timesheets({key: grounds}, work)
    absence_id = _enter(cmd.time_off, timesheets[key], work)
    if key in new:
        await work.timesheets.add([timesheets[key]])
    else:
        await work.timesheets.save([timesheets[key]])
    return absence_id, timesheets[key].state


async def cancel_absence(cmd: CancelAbsence, work: AttendanceWork) -> TimesheetState:
    """The timesheet afterwards. Raises what `Timesheet.cancel_absence` does."""
    timesheet = await work.timesheets.get(cmd.timesheet_id, seen=cmd.seen)
    timesheet.cancel_absence(cmd.absence_id, work.now())
    await work.timesheets.save([timesheet])
    return timesheet.state


def _enter(time_off: TimeOff, timesheet: Timesheet, work: AttendanceWork) -> UUID:
    if time_off.end_date < time_off.start_date:
        raise InvalidValue("an absence ends on or after the day on which it starts", field="end_date")
    span = Period(time_off.start_date, time_off.end_date + timedelta(days=1))
    absence = Absence(work.new_id(), time_off.code, span, time_off.minutes, time_off.paid_share)
    timesheet.enter_absence(absence, work.now())
    return absence.absence_id
