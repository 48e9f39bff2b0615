"""Late changes that somebody enters into a locked timesheet."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from contexts.attendance.domain.adjustments import Adjustment, AdjustmentLine
from contexts.attendance.domain.timesheet import TimesheetState
from contexts.attendance.handlers.work import AttendanceWork
from kernel.ids import Version


@dataclass(frozen=True, slots=True)
class AdjustTimesheet:
    """What becomes more or less on a work date."""

    timesheet_id: UUID
    seen: Version | None
    work_date: date
    lines: tuple[AdjustmentLine, ...]
    reason: str


async def adjust_timesheet(cmd: AdjustTimesheet, work: AttendanceWork) -> tuple[UUID, TimesheetState]:
    """The adjustment's id and the timesheet. Raises TimesheetNotFound, Stale and what `Timesheet.adjust` does."""
    timesheet = await work.timesheets.get(cmd.timesheet_id, seen=cmd.seen)
    state = timesheet.state
    planner = await work.catalog.planner(state.grounds.catalog_version)
    plan = planner.plan(state.grounds.placements, state.period.span)
    id, now = work.new_id(), work.now()
    adjustment = Adjustment(id, cmd.work_date, cmd.lines, cmd.reason, work.actor, now)
    timesheet.adjust(adjustment, plan, work.actor_employee, now)
    await work.timesheets.save([timesheet])
    work.note(f"timesheet/{cmd.timesheet_id}", cmd.reason)
    return id, timesheet.state
