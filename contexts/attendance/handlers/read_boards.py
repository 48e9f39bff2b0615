"""Boards: where people are at an instant, and the days of a period that somebody has to look at."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from contexts.attendance.domain.boards import DayException, Standing, exceptions, standing
from contexts.attendance.domain.evaluation import Excuse, evaluate
from contexts.attendance.domain.planning import Planner
from contexts.attendance.domain.punches import Direction, Stamp, nearer
from contexts.attendance.domain.roster import Placement, RosterEntry
from contexts.attendance.domain.spans import local_date, minute_of, zone
from contexts.attendance.domain.timesheet import Status, Timesheet, TimesheetState, evaluated
from contexts.attendance.handlers.open_timesheets import expected_timesheets
from contexts.attendance.repository.port import Readings, TimesheetKey, Window
from kernel.ids import EmployeeId
from kernel.period import Period

_ONE_DAY = timedelta(days=1)
_LOOK_BACK = timedelta(hours=60)  # further than anybody's presence that began the day before
_DAYS_BACK = timedelta(days=3)  # that hold every punch that was looked back for
_STANDINGS_EVERY, _PERIODS_EVERY = 8, 3  # people evaluated before others get their turn on the event loop


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One person at an instant; no standing where they have no placement then."""

    employee_id: EmployeeId
    standing: Standing | None


@dataclass(frozen=True, slots=True)
class PersonExceptions:
    """The days of one timesheet that somebody has to look at; `timesheet_id` None where there is no timesheet yet."""

    employee_id: EmployeeId
    timesheet_id: UUID | None
    status: Status
    found: tuple[DayException, ...]


async def get_board(ids: Sequence[EmployeeId], at: datetime, readings: Readings) -> list[BoardRow]:
    """Where these people are, in the order asked: as of `at`, by the punches made until then."""
    planner = await readings.planner()
    entries = await readings.roster_entries(ids)
    minute = minute_of(at)
    placed: dict[EmployeeId, tuple[Placement, date, set[TimesheetKey]]] = {}
    for id, entry in entries.items():
        found = _placed(entry, minute, planner)
        if found is not None:
            placed[id] = found
    states = await readings.of_keys([key for _, _, keys in placed.values() for key in sorted(keys)])
    window = [Window(state.id, at - _LOOK_BACK, at) for state in states.values()]
    stamps = await readings.stamps_near(window)
    rows: list[BoardRow] = []
    for turn, id in enumerate(ids):
        if id not in placed:
            rows.append(BoardRow(id, None))
            continue
        placement, today, keys = placed[id]
        mine = [states[key] for key in sorted(keys) if key in states]
        made = [stamp for state in mine for stamp in state.counted(stamps.get(state.id, ()))]
        rows.append(BoardRow(id, _standing(placement, today, at, mine, made, planner)))
        if turn % _STANDINGS_EVERY == _STANDINGS_EVERY - 1:
            await asyncio.sleep(0)
    return rows


def _placed(entry: RosterEntry, minute: int, planner: Planner) -> tuple[Placement, date, set[TimesheetKey]] | None:
    """The placement of an instant, its local date, and the timesheets that may hold punches around it."""
    for placement in entry.placements:
        today = local_date(minute, zone(placement.time_zone))
        if today not in placement.span:
            continue
        calendar = planner.calendar(placement, today)
        periods = {calendar.period_of(day).name for day in (today - _ONE_DAY, today)}
        keys = {TimesheetKey(entry.employee_id, placement.assignment_id, calendar.code, name) for name in periods}
        return placement, today, keys
    return None


def _standing(
    placement: Placement,
    today: date,
    at: datetime,
    states: Sequence[TimesheetState],
    made: Sequence[Stamp],
    planner: Planner,
) -> Standing | None:
    plan = planner.plan([placement], Period(today - _DAYS_BACK, today + 2 * _ONE_DAY))
    excuses: dict[date, list[Excuse]] = {}
    for state in states:
        excuses |= state.excuses()
    debounce = planner.calendar(placement, today).debounce_seconds
    earlier = [stamp for stamp in made if stamp.instant <= at]
    outcomes = {one.work_date: one for one in evaluate(plan, earlier, excuses, debounce, at)}
    minute = minute_of(at)
    for outcome in outcomes.values():
        if outcome.present and outcome.present[-1][1] is None and not outcome.missing:
            return standing(outcome, at)
    home = nearer(plan.claiming(minute), Direction.EITHER, minute)
    found = outcomes.get(today if home is None else home.work_date) or outcomes.get(today)
    return None if found is None else standing(found, at)


async def list_exceptions(
    ids: Sequence[EmployeeId], period: str, readings: Readings, now: datetime
) -> list[PersonExceptions]:
    """What there is to look at in a period, by person in the order asked; who has nothing is left out.

    Raises PeriodUnknown.
    """
    planner = await readings.planner()
    entries = await readings.roster_entries(ids)
    wanted = {
        key: grounds
        for id in ids
        if id in entries
        for key, grounds in expected_timesheets(entries[id], period, planner).items()
    }
    states = await readings.of_keys(list(wanted))
    stamps = await readings.stamps_of([state.id for state in states.values()])
    nobody = UUID(int=0)
    answers: list[PersonExceptions] = []
    for turn, (key, grounds) in enumerate(wanted.items()):
        state = states.get(key)
        if state is None:
            span = grounds.calendar.named(key.period)
            state = Timesheet.open(nobody, key.employee_id, span, grounds, now).state
        elif state.status is Status.OPEN:
            state = replace(state, grounds=grounds)
        frozen = state.status is not Status.OPEN
        by = await readings.planner(state.grounds.catalog_version) if frozen else planner
        plan = by.plan(state.grounds.placements, state.period.span)
        outcomes = evaluated(state, plan, stamps.get(state.id, ()), None if frozen else now)
        found = tuple(one for outcome in outcomes for one in exceptions(outcome))
        if found:
            id = None if state.id == nobody else state.id
            answers.append(PersonExceptions(key.employee_id, id, state.status, found))
        if turn % _PERIODS_EVERY == _PERIODS_EVERY - 1:
            await asyncio.sleep(0)
    return answers
