"""Absences: entered into an open timesheet, which is opened where there is none yet, and taken out of it."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from contexts.attendance.domain.timesheet import Absence, Timesheet, TimesheetState
from contexts.attendance.handlers.open_timesheets import keep, timesheet_on
from contexts.attendance.handlers.work import AttendanceWork
from kernel.errors import InvalidValue
from kernel.ids import EmployeeId, Version
from kernel.period import Period


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
    timesheet, is_new = await timesheet_on(cmd.employee_id, cmd.time_off.start_date, "start_date", work)
    absence_id = _enter(cmd.time_off, timesheet, work)
    await keep(timesheet, is_new, work)
    return absence_id, timesheet.state


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
