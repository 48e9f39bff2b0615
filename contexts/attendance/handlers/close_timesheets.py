"""Timesheets through their states, one by one and a whole pay group or department at a time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from contexts.attendance.domain.errors import OpenOccurrence
from contexts.attendance.domain.periods import widest_span
from contexts.attendance.domain.planning import Planner
from contexts.attendance.domain.punches import Stamp
from contexts.attendance.domain.roster import RosterEntry
from contexts.attendance.domain.timesheet import (
    Grounds,
    Status,
    Timesheet,
    TimesheetState,
    evaluated,
    grounds_for,
)
from contexts.attendance.handlers.open_timesheets import expected_timesheets, open_timesheets
from contexts.attendance.handlers.work import AttendanceWork
from contexts.attendance.repository.port import TimesheetKey
from kernel.errors import DomainError
from kernel.ids import EmployeeId, Version

PEOPLE_AT_ONCE = 250  # of one transaction: it must end well within its 5 s also on a busy machine
_YIELD_EVERY = 4  # timesheets evaluated before others get their turn on the event loop

ORDER = (Status.OPEN, Status.SUBMITTED, Status.APPROVED, Status.LOCKED)


@dataclass(frozen=True, slots=True)
class ChangeTimesheet:
    """Names a timesheet and the version that was seen."""

    timesheet_id: UUID
    seen: Version | None
    reason: str = ""


async def submit_timesheet(cmd: ChangeTimesheet, work: AttendanceWork) -> TimesheetState:
    """OPEN -> SUBMITTED. Raises TimesheetNotFound, Stale and what `Timesheet.submit` does."""
    timesheet = await work.timesheets.get(cmd.timesheet_id, seen=cmd.seen)
    planner = await work.catalog.planner()
    entry = await work.roster.get(timesheet.state.employee_id)
    if entry is not None:
        timesheet.stand_on(current_grounds(timesheet.state, entry, planner))
    stamps = await work.timesheets.stamps([timesheet.state.id])
    _submit(timesheet, stamps.get(timesheet.state.id, []), planner, work, work.now())
    await work.timesheets.save([timesheet])
    return timesheet.state


async def approve_timesheet(cmd: ChangeTimesheet, work: AttendanceWork) -> TimesheetState:
    """SUBMITTED -> APPROVED. Raises TimesheetNotFound, Stale, TimesheetNotReady, SelfApproval."""
    timesheet = await work.timesheets.get(cmd.timesheet_id, seen=cmd.seen)
    timesheet.approve(work.actor, work.actor_employee, work.now())
    await work.timesheets.save([timesheet])
    return timesheet.state


async def reopen_timesheet(cmd: ChangeTimesheet, work: AttendanceWork) -> TimesheetState:
    """SUBMITTED or APPROVED -> OPEN. Raises TimesheetNotFound, Stale, TimesheetNotReady."""
    timesheet = await work.timesheets.get(cmd.timesheet_id, seen=cmd.seen)
    timesheet.reopen(work.now())
    await work.timesheets.save([timesheet])
    work.note(f"timesheet/{cmd.timesheet_id}", cmd.reason or None)
    return timesheet.state


async def lock_timesheet(cmd: ChangeTimesheet, work: AttendanceWork) -> TimesheetState:
    """APPROVED -> LOCKED. Raises TimesheetNotFound, Stale, TimesheetNotReady."""
    timesheet = await work.timesheets.get(cmd.timesheet_id, seen=cmd.seen)
    timesheet.lock(work.now())
    await work.timesheets.save([timesheet])
    return timesheet.state


def current_grounds(state: TimesheetState, entry: RosterEntry, planner: Planner) -> Grounds:
    """What the roster and the catalog say by now; what the timesheet stands on where they say nothing any more."""
    grounds = state.grounds
    found = grounds_for(entry, state.assignment_id, grounds.calendar, state.period, planner.catalog.version)
    return found or replace(grounds, catalog_version=planner.catalog.version)


def _submit(
    timesheet: Timesheet, stamps: Sequence[Stamp], planner: Planner, work: AttendanceWork, now: datetime
) -> None:
    state = timesheet.state
    plan = planner.plan(state.grounds.placements, state.period.span)
    timesheet.submit(evaluated(state, plan, stamps), plan, work.actor, now)


# ---------------------------------------------------------------------------------------------- in bulk


@dataclass(frozen=True, slots=True)
class CloseTimesheets:
    """Take everybody of a pay group or a department to a status, a page of people at a time."""

    pay_group: str
    department: str
    period: str
    target: Status
    after: EmployeeId | None
    limit: int


@dataclass(frozen=True, slots=True)
class CloseAnswer:
    """What became of one person's timesheet."""

    employee_id: EmployeeId
    timesheet_id: UUID | None
    status: Status | None
    changed: bool
    version: Version | None
    refusal: DomainError | None = None

    @property
    def work_date(self) -> date | None:
        """The work date that stands in the way."""
        if isinstance(self.refusal, OpenOccurrence):
            held = self.refusal.facts["work_date"]
            return held if isinstance(held, date) else None
        return None


@dataclass(frozen=True, slots=True)
class ClosePage:
    """Answers of a page and where it ends."""

    answers: tuple[CloseAnswer, ...]
    last: EmployeeId | None  # None on the last page


async def close_timesheets(cmd: CloseTimesheets, work: AttendanceWork) -> ClosePage:
    """Submit, approve and lock as far as asked; timesheets that are not there are opened. Raises PeriodUnknown."""
    people = await work.roster.population(
        pay_group=cmd.pay_group,
        department=cmd.department,
        span=widest_span(cmd.period),
        after=cmd.after,
        limit=cmd.limit + 1,
    )
    more, people = len(people) > cmd.limit, people[: cmd.limit]
    entries = await work.roster.get_many(people)
    planner = await work.catalog.planner()
    wanted: dict[TimesheetKey, Grounds] = {}
    answers: list[CloseAnswer] = []
    for person in people:
        try:
            wanted |= _closing(entries[person], cmd, planner)
        except DomainError as refusal:
            answers.append(CloseAnswer(person, None, None, False, None, refusal))
    timesheets, new = await open_timesheets(wanted, work)
    opened = [one.state.id for one in timesheets.values() if one.state.status is Status.OPEN and one.state.punch_count]
    stamps = await work.timesheets.stamps(opened)
    before = {one.state.id: one.state.version for one in timesheets.values()}
    now = work.now()  # of all, after their locks: who moves alike is stored by one statement
    for turn, timesheet in enumerate(timesheets.values()):
        stopped_by = _advance(timesheet, cmd.target, stamps.get(timesheet.state.id, []), planner, work, now)
        state = timesheet.state
        changed = state.version != before[state.id]
        answers.append(CloseAnswer(state.employee_id, state.id, state.status, changed, state.version, stopped_by))
        if turn % _YIELD_EVERY == _YIELD_EVERY - 1:
            await asyncio.sleep(0)  # pure computation: let punches in between; the transaction waits for nothing
    await work.timesheets.add(list(new.values()))
    await work.timesheets.save([timesheet for key, timesheet in timesheets.items() if key not in new])
    work.note(f"closing/{cmd.period}", f"{cmd.pay_group or cmd.department} to {cmd.target.value}")
    answers.sort(key=lambda answer: answer.employee_id)
    return ClosePage(tuple(answers), people[-1] if more else None)


def _closing(entry: RosterEntry, cmd: CloseTimesheets, planner: Planner) -> dict[TimesheetKey, Grounds]:
    """The timesheets of the population that one person should have of the period, by what they stand on."""
    return {
        key: grounds
        for key, grounds in expected_timesheets(entry, cmd.period, planner).items()
        if (grounds.last.pay_group == cmd.pay_group if cmd.pay_group else grounds.last.department == cmd.department)
    }


def _advance(
    timesheet: Timesheet,
    target: Status,
    stamps: Sequence[Stamp],
    planner: Planner,
    work: AttendanceWork,
    now: datetime,
) -> DomainError | None:
    """Take the steps from where it stands to the target; what refuses one, with the steps before it taken."""
    try:
        for step in ORDER[ORDER.index(timesheet.state.status) + 1 : ORDER.index(target) + 1]:
            if step is Status.SUBMITTED:
                _submit(timesheet, stamps, planner, work, now)
            elif step is Status.APPROVED:
                timesheet.approve(work.actor, work.actor_employee, now)
            else:
                timesheet.lock(now)
    except DomainError as refusal:
        return refusal
    return None
