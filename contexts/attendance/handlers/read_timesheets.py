"""Timesheets as they are shown: with what came of each occurrence."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from contexts.attendance.domain.errors import TimesheetNotFound
from contexts.attendance.domain.evaluation import Outcome
from contexts.attendance.domain.timesheet import Status, TimesheetState, evaluated
from contexts.attendance.domain.totals import Tally, sums
from contexts.attendance.handlers.close_timesheets import current_grounds
from contexts.attendance.repository.port import Readings
from kernel.ids import AssignmentId, EmployeeId


@dataclass(frozen=True, slots=True)
class TimesheetView:
    """A timesheet with its occurrences and their sums."""

    state: TimesheetState
    outcomes: tuple[Outcome, ...]
    tally: Tally


async def get_timesheet(id: UUID, readings: Readings, now: datetime) -> TimesheetView:
    """One timesheet as it stands at `now`. Raises TimesheetNotFound."""
    return await _viewed(await readings.get(id), readings, now)


async def find_timesheet(
    employee_id: EmployeeId, period: str, assignment_id: AssignmentId | None, readings: Readings, now: datetime
) -> TimesheetView:
    """An employee's timesheet of a period; of several assignments the one that started last, unless one is named.

    Raises TimesheetNotFound.
    """
    found = await readings.find(employee_id, period)
    if assignment_id is not None:
        found = [state for state in found if state.assignment_id == assignment_id]
    if not found:
        raise TimesheetNotFound(
            "the employee has no timesheet of that period; a punch, an absence or closing the period opens it",
            employee=employee_id,
            period=period,
        )
    latest = max(found, key=lambda state: (state.grounds.last.span.start, state.id))
    return await _viewed(latest, readings, now)


async def _viewed(state: TimesheetState, readings: Readings, now: datetime) -> TimesheetView:
    """An open timesheet follows roster, catalog and the time; another one is as it was submitted."""
    if state.status is Status.OPEN:
        planner = await readings.planner()
        entry = await readings.roster_entry(state.employee_id)
        if entry is not None:
            state = replace(state, grounds=current_grounds(state, entry, planner))
    else:
        planner = await readings.planner(state.grounds.catalog_version)
    plan = planner.plan(state.grounds.placements, state.period.span)
    now_if_open = now if state.status is Status.OPEN else None
    outcomes = evaluated(state, plan, await readings.stamps(state.id), now_if_open)
    tally = sums(outcome.tally for outcome in outcomes) if state.status is Status.OPEN else state.totals.tally
    return TimesheetView(state, outcomes, tally)
