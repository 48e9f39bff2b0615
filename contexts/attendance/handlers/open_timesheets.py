"""Timesheets that somebody asks for: those that are there, and new ones for the rest."""

from collections.abc import Mapping

from contexts.attendance.domain.timesheet import Grounds, Timesheet
from contexts.attendance.handlers.work import AttendanceWork
from contexts.attendance.repository.port import TimesheetKey


async def open_timesheets(
    wanted: Mapping[TimesheetKey, Grounds], work: AttendanceWork
) -> tuple[dict[TimesheetKey, Timesheet], dict[TimesheetKey, Timesheet]]:
    """All of them in order, each on today's grounds, and those of them that are new and not kept yet."""
    found = await work.timesheets.of_keys(sorted(wanted))
    now = work.now()
    new = {
        key: Timesheet.open(work.new_id(), key.employee_id, grounds.calendar.named(key.period), grounds, now)
        for key, grounds in wanted.items()
        if key not in found
    }
    found |= new
    for key, grounds in wanted.items():
        found[key].stand_on(grounds)
    return {key: found[key] for key in sorted(found)}, new
