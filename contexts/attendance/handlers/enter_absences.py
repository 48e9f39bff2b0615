"""Absences: entered into an open timesheet and taken out of it."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from contexts.attendance.domain.timesheet import Absence, TimesheetState
from contexts.attendance.handlers.work import AttendanceWork
from kernel.errors import InvalidValue
from kernel.ids import Version
from kernel.period import Period


@dataclass(frozen=True, slots=True)
class EnterAbsence:
    """Time off for whole days (`minutes` None) or for minutes of one day."""

    timesheet_id: UUID
    seen: Version | None
    code: str
    start_date: date
    end_date: date  # the last day
    minutes: int | None
    paid_share: Decimal


@dataclass(frozen=True, slots=True)
class CancelAbsence:
    """Take an absence out."""

    timesheet_id: UUID
    seen: Version | None
    absence_id: UUID


async def enter_absence(cmd: EnterAbsence, work: AttendanceWork) -> tuple[UUID, TimesheetState]:
    """The absence's id and the timesheet afterwards. Raises InvalidValue and what `Timesheet.enter_absence` does."""
    if cmd.end_date < cmd.start_date:
        raise InvalidValue("an absence ends on or after the day on which it starts", field="end_date")
    timesheet = await work.timesheets.get(cmd.timesheet_id, seen=cmd.seen)
    span = Period(cmd.start_date, cmd.end_date + timedelta(days=1))
    absence = Absence(work.new_id(), cmd.code, span, cmd.minutes, cmd.paid_share)
    timesheet.enter_absence(absence, work.now())
    await work.timesheets.save([timesheet])
    return absence.absence_id, timesheet.state


async def cancel_absence(cmd: CancelAbsence, work: AttendanceWork) -> TimesheetState:
    """The timesheet afterwards. Raises what `Timesheet.cancel_absence` does."""
    timesheet = await work.timesheets.get(cmd.timesheet_id, seen=cmd.seen)
    timesheet.cancel_absence(cmd.absence_id, work.now())
    await work.timesheets.save([timesheet])
    return timesheet.state
