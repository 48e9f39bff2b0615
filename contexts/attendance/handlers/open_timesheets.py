"""Timesheets that somebody asks for: those that are there, and new ones for the rest."""

from collections.abc import Mapping
from datetime import date, timedelta

from contexts.attendance.domain.errors import NotPlaced, PeriodUnknown, RosterUnknown
from contexts.attendance.domain.periods import widest_span
from contexts.attendance.domain.planning import Planner
from contexts.attendance.domain.roster import RosterEntry
from contexts.attendance.domain.timesheet import Grounds, Timesheet, grounds_for
from contexts.attendance.handlers.work import AttendanceWork
from contexts.attendance.repository.port import TimesheetKey
from kernel.errors import InvalidValue
from kernel.ids import EmployeeId

AHEAD_MAX = timedelta(days=731)  # time is planned a year ahead; a timesheet further off would come of a wrong year


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


def expected_timesheets(entry: RosterEntry, period_name: str, planner: Planner) -> dict[TimesheetKey, Grounds]:
    """The timesheets that one person should have of a period, by what they stand on. Raises PeriodUnknown."""
    wide = widest_span(period_name)
    found: dict[TimesheetKey, Grounds] = {}
    for placement in entry.within(wide):
        overlap = placement.span.intersection(wide)
        calendar = planner.calendar(placement, overlap.last_day if overlap else wide.last_day)
        try:
            period = calendar.named(period_name)
        except PeriodUnknown:
            continue  # weekly people have no part in a month, nor the other way round
        grounds = grounds_for(entry, placement.assignment_id, calendar, period, planner.catalog.version)
        if grounds is not None:
            found[TimesheetKey(entry.employee_id, placement.assignment_id, calendar.code, period.name)] = grounds
    return found


async def timesheet_on(employee_id: EmployeeId, day: date, field: str, work: AttendanceWork) -> tuple[Timesheet, bool]:
    """The timesheet in whose period an employee's day lies, and whether it is new and not kept yet.

    `field` is the input that named the day. Raises RosterUnknown, NotPlaced, and InvalidValue for a day more than two
    years ahead.
    """
    entries, planner = await work.roster.with_planner({employee_id})
    entry = entries.get(employee_id)
    if entry is None:
        raise RosterUnknown("the employee is not on the roster yet; ensure the roster, then try again")
    placement = entry.on(day)
    if placement is None:
        raise NotPlaced("the employee has no assignment on that day; check the date, or ensure the roster", field=field)
    if day - work.now().date() > AHEAD_MAX:
        raise InvalidValue("the day is more than two years ahead; check the year", field=field)
    calendar = planner.calendar(placement, day)
    period = calendar.period_of(day)
    grounds = grounds_for(entry, placement.assignment_id, calendar, period, planner.catalog.version)
    assert grounds is not None, "the placement lies in the period"
    key = TimesheetKey(entry.employee_id, placement.assignment_id, calendar.code, period.name)
    timesheets, new = await open_timesheets({key: grounds}, work)
    return timesheets[key], key in new


async def keep(timesheet: Timesheet, is_new: bool, work: AttendanceWork) -> None:
    """Keep what a verb made of it."""
    if is_new:
        await work.timesheets.add([timesheet])
    else:
        await work.timesheets.save([timesheet])
