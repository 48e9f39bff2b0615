"""Punches: each goes to the timesheet of the occurrence that claims its instant, opened where there is none."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import Enum
from uuid import UUID

from contexts.attendance.domain.errors import NotPlaced, PunchIdTaken, RosterUnknown
from contexts.attendance.domain.periods import TimeCalendar, TimePeriod
from contexts.attendance.domain.planning import LONGEST_PRESENCE_MINUTES, Plan, PlannedOccurrence, Planner
from contexts.attendance.domain.punches import Direction, Punch, Stamp, assign, duplicates, in_order, nearer
from contexts.attendance.domain.roster import Placement, RosterEntry
from contexts.attendance.domain.spans import local_date, local_minute, minute_of, zone
from contexts.attendance.domain.timesheet import Grounds, Placed, Status, Timesheet, grounds_for
from contexts.attendance.handlers.work import AttendanceWork
from contexts.attendance.repository.port import StoredPunch, TimesheetKey, Window
from kernel.errors import DomainError
from kernel.ids import EmployeeId, Version

_ONE_DAY = timedelta(days=1)
_LOOK_BACK = timedelta(minutes=LONGEST_PRESENCE_MINUTES + 8 * 60)  # past the longest presence before a punch
_LOOK_AHEAD = timedelta(hours=1)  # the longest debounce window


class PunchOutcome(Enum):
    """What became of a punch."""

    RECORDED = "RECORDED"
    DUPLICATE = "DUPLICATE"
    REPLAYED = "REPLAYED"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class PunchMade:
    """A punch and who made it; `punch.time_zone` may be empty, which means the workplace's."""

    punch: Punch
    employee_id: EmployeeId | None
    employee_number: str = ""


@dataclass(frozen=True, slots=True)
class PunchAnswer:
    """What became of one punch."""

    punch_id: UUID
    outcome: PunchOutcome
    employee_id: EmployeeId | None = None
    timesheet_id: UUID | None = None
    work_date: date | None = None
    duplicate_of: UUID | None = None
    version: Version | None = None
    refusal: DomainError | None = None


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The timesheet that a punch is for: what it stands on, and its plan."""

    key: TimesheetKey
    period: TimePeriod
    grounds: Grounds
    plan: Plan


@dataclass(slots=True)
class _Item:
    """One punch on its way."""

    punch: Punch
    employee_id: EmployeeId
    sheet: _Sheet


async def record_punch(made: PunchMade, work: AttendanceWork) -> PunchAnswer:
    """Record one punch. Raises what refuses it."""
    [answer] = await _record([made], work, together=False)
    if answer.refusal is not None:
        raise answer.refusal
    return answer


async def import_punches(made: Sequence[PunchMade], work: AttendanceWork) -> list[PunchAnswer]:
    """Record many punches, grouped by timesheet; a refused one does not hold up the others."""
    answers = await _record(made, work, together=True)
    work.note("punches", f"{len(made)} imported")
    return answers


async def _record(made: Sequence[PunchMade], work: AttendanceWork, *, together: bool) -> list[PunchAnswer]:
    answers: dict[int, PunchAnswer] = {}
    people = await _people(made, work)
    entries = await work.roster.get_many({person for person in people if person is not None})
    planner = await work.catalog.planner()
    sheets = _Sheets(planner)
    items: dict[int, _Item] = {}
    first_with: dict[UUID, int] = {}
    for index, one in enumerate(made):
        person = people[index]
        try:
            entry = entries.get(person) if person is not None else None
            if entry is None or person is None:
                raise RosterUnknown("the employee is not on the roster yet; ensure the roster, then try again")
            first = first_with.setdefault(one.punch.stamp.punch_id, index)
            if first != index and (made[first].punch.stamp != one.punch.stamp or people[first] != person):
                raise _taken(one.punch)
            if first == index:
                sheet = sheets.locate(entry, one.punch.stamp)
                punch = one.punch
                if not punch.time_zone:
                    punch = replace(punch, time_zone=sheet.grounds.last.time_zone)
                items[index] = _Item(punch, person, sheet)
        except DomainError as refusal:
            answers[index] = _refused(one, person, refusal)
    timesheets = await _held({item.sheet.key: item.sheet for item in items.values()}, work)
    await _keep_with_who_is_in(items, entries, sheets, timesheets, work)
    await _replays(items, answers, timesheets, work)
    await _keep(items, answers, timesheets, work, together)
    for index, one in enumerate(made):
        if index not in answers:  # the same punch_id again in one batch
            answers[index] = replace(answers[first_with[one.punch.stamp.punch_id]], outcome=PunchOutcome.REPLAYED)
    return [answers[index] for index in range(len(made))]


async def _people(made: Sequence[PunchMade], work: AttendanceWork) -> list[EmployeeId | None]:
    numbers = {one.employee_number for one in made if one.employee_id is None and one.employee_number}
    by_number = await work.roster.by_numbers(numbers) if numbers else {}
    return [one.employee_id or by_number.get(one.employee_number) for one in made]


def _refused(one: PunchMade, person: EmployeeId | None, refusal: DomainError) -> PunchAnswer:
    return PunchAnswer(one.punch.stamp.punch_id, PunchOutcome.REFUSED, person, refusal=refusal)


def _taken(punch: Punch) -> PunchIdTaken:
    return PunchIdTaken(
        "this punch_id names another punch; give each punch its own",
        field="punch_id",
        punch=punch.stamp.punch_id,
    )


class _Sheets:
    """Finds the timesheet of a punch, by the occurrences planned around its instant."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._known: dict[tuple[EmployeeId, UUID, date], _Sheet | None] = {}

    def locate(self, entry: RosterEntry, stamp: Stamp) -> _Sheet:
        """The sheet of the occurrence that claims the instant. Raises NotPlaced, PlanUnknown."""
        minute = minute_of(stamp.instant)
        claimed: list[tuple[PlannedOccurrence, _Sheet]] = []
        for sheet in self._around(entry, minute):
            claimed += [(found, sheet) for found in sheet.plan.claiming(minute) if found.work_date in sheet.period.span]
        planned = [(found, sheet) for found, sheet in claimed if found.spans]
        home = nearer([found for found, _ in planned or claimed], stamp.direction, minute)
        for found, sheet in claimed:
            if found is home:
                return sheet
        raise NotPlaced(
            "the employee has no assignment at that time; check the date, or ensure the roster", field="punched_at"
        )

    def before(self, entry: RosterEntry, sheet: _Sheet) -> _Sheet | None:
        """The sheet of the same assignment that ends where this one starts."""
        day = sheet.period.span.start - _ONE_DAY
        placement = entry.on(day)
        if placement is None or placement.assignment_id != sheet.key.assignment_id:
            return None
        return self._of(entry, placement, day)

    def _around(self, entry: RosterEntry, minute: int) -> list[_Sheet]:
        found: dict[TimesheetKey, _Sheet] = {}
        for placement in entry.placements:
            today = local_date(minute, zone(placement.time_zone))
            for day in (today - _ONE_DAY, today, today + _ONE_DAY):
                if day in placement.span:
                    sheet = self._of(entry, placement, day)
                    if sheet is not None:
                        found[sheet.key] = sheet
        return [found[key] for key in sorted(found, key=lambda key: found[key].period.span.start)]

    def _of(self, entry: RosterEntry, placement: Placement, day: date) -> _Sheet | None:
        cache = (entry.employee_id, placement.assignment_id, day)
        if cache not in self._known:
            calendar = self._planner.calendar(placement, day)
            self._known[cache] = self.sheet(entry, placement, calendar, calendar.period_of(day))
        return self._known[cache]

    def sheet(
        self, entry: RosterEntry, placement: Placement, calendar: TimeCalendar, period: TimePeriod
    ) -> _Sheet | None:
        version = self._planner.catalog.version
        grounds = grounds_for(entry, placement.assignment_id, calendar, period, version)
        if grounds is None:
            return None
        key = TimesheetKey(entry.employee_id, placement.assignment_id, calendar.code, period.name)
        return _Sheet(key, period, grounds, self._planner.plan(grounds.placements, period.span))


async def _held(wanted: dict[TimesheetKey, _Sheet], work: AttendanceWork) -> dict[TimesheetKey, Timesheet]:
    """The timesheets of these keys, opened where they are not there, each on today's grounds."""
    found = await work.timesheets.of_keys(sorted(wanted))
    now = work.now()
    new = [
        Timesheet.open(work.new_id(), key.employee_id, sheet.period, sheet.grounds, now)
        for key, sheet in wanted.items()
        if key not in found
    ]
    found |= await work.timesheets.add(new)
    for key, sheet in wanted.items():
        found[key].stand_on(sheet.grounds)
    return found


async def _keep_with_who_is_in(
    items: dict[int, _Item],
    entries: dict[EmployeeId, RosterEntry],
    sheets: _Sheets,
    timesheets: dict[TimesheetKey, Timesheet],
    work: AttendanceWork,
) -> None:
    """A way out just after a period began belongs to the period before where somebody is still in from it.

    Whom a shift claims needs no such look: a night shift's own claim reaches over the boundary.
    """
    late: dict[int, _Sheet] = {}
    for index, item in items.items():
        stamp, sheet = item.punch.stamp, item.sheet
        minute = minute_of(stamp.instant)
        start = local_minute(sheet.period.span.start, 0, zone(sheet.grounds.placements[0].time_zone))
        claimed = any(found.spans for found in sheet.plan.claiming(minute))
        if stamp.direction is Direction.IN or minute - start >= LONGEST_PRESENCE_MINUTES:
            continue
        if claimed and stamp.direction is not Direction.OUT:
            continue
        before = sheets.before(entries[item.employee_id], sheet)
        if before is not None:
            late[index] = before
    if not late:
        return
    keys = {sheet.key for sheet in late.values()}
    known = await work.timesheets.of_keys(sorted(keys - timesheets.keys()))
    known |= {key: timesheets[key] for key in keys & timesheets.keys()}
    known = {key: sheet for key, sheet in known.items() if sheet.state.status is Status.OPEN}
    if not known:
        return
    stamps = await _stamps_around(
        [(known[sheet.key], items[index].punch.stamp) for index, sheet in late.items() if sheet.key in known], work
    )
    for index, before in sorted(late.items(), key=lambda pair: items[pair[0]].punch.stamp.order):
        timesheet = known.get(before.key)
        if timesheet is None:
            continue
        stamp = items[index].punch.stamp
        same = [item.punch.stamp for item in items.values() if item.sheet.key == before.key]
        held = in_order([*stamps.get(timesheet.state.id, ()), *same])
        earlier = [one for one in held if one.order < stamp.order]
        if earlier and _is_in(before.plan, earlier, stamp):
            timesheet.stand_on(before.grounds)
            timesheets[before.key] = timesheet
            items[index].sheet = before


def _is_in(plan: Plan, earlier: Sequence[Stamp], stamp: Stamp) -> bool:
    """Whether a way out at `stamp` ends a presence that the earlier ones began."""
    groups = assign(plan, earlier)
    last = earlier[-1]
    home = next((plan.on(day) for day, group in groups.items() if last in group), None)
    if home is None or minute_of(stamp.instant) - minute_of(last.instant) > home.longest_presence:
        return False
    inside = False
    for one in groups[home.work_date]:
        inside = one.direction is Direction.IN or (one.direction is Direction.EITHER and not inside)
    return inside


async def _stamps_around(wanted: Iterable[tuple[Timesheet, Stamp]], work: AttendanceWork) -> dict[UUID, list[Stamp]]:
    windows: dict[UUID, Window] = {}
    for timesheet, stamp in wanted:
        if not timesheet.state.punch_count:
            continue
        id = timesheet.state.id
        start, end = stamp.instant - _LOOK_BACK, stamp.instant + _LOOK_AHEAD
        known = windows.get(id)
        windows[id] = Window(id, min(start, known.start), max(end, known.end)) if known else Window(id, start, end)
    return await work.timesheets.stamps_near(list(windows.values()))


async def _replays(
    items: dict[int, _Item],
    answers: dict[int, PunchAnswer],
    timesheets: dict[TimesheetKey, Timesheet],
    work: AttendanceWork,
) -> None:
    """Take out what was recorded before: the same punch answers as before, another one under its id is refused."""
    stored = await work.timesheets.punches([item.punch.stamp.punch_id for item in items.values()])
    for index, item in list(items.items()):
        before = stored.get(item.punch.stamp.punch_id)
        if before is None:
            continue
        del items[index]
        if before.punch.stamp != item.punch.stamp or before.employee_id != item.employee_id:
            answers[index] = PunchAnswer(
                item.punch.stamp.punch_id, PunchOutcome.REFUSED, item.employee_id, refusal=_taken(item.punch)
            )
        else:
            answers[index] = _replayed(before, timesheets)


def _replayed(before: StoredPunch, timesheets: dict[TimesheetKey, Timesheet]) -> PunchAnswer:
    version = next((one.state.version for one in timesheets.values() if one.state.id == before.timesheet_id), None)
    return PunchAnswer(
        before.punch.stamp.punch_id,
        PunchOutcome.REPLAYED,
        before.employee_id,
        before.timesheet_id,
        before.work_date,
        before.duplicate_of,
        version,
    )


async def _keep(
    items: dict[int, _Item],
    answers: dict[int, PunchAnswer],
    timesheets: dict[TimesheetKey, Timesheet],
    work: AttendanceWork,
    together: bool,
) -> None:
    now = work.now()
    by_sheet: dict[TimesheetKey, list[tuple[int, _Item]]] = defaultdict(list)
    for index, item in items.items():
        try:
            timesheets[item.sheet.key].admit(item.punch, now, before=len(by_sheet[item.sheet.key]))
            by_sheet[item.sheet.key].append((index, item))
        except DomainError as refusal:
            answers[index] = PunchAnswer(
                item.punch.stamp.punch_id, PunchOutcome.REFUSED, item.employee_id, refusal=refusal
            )
    admitted = {key: group for key, group in by_sheet.items() if group}
    around = await _stamps_around(
        [(timesheets[key], item.punch.stamp) for key, group in admitted.items() for _, item in group], work
    )
    placed: dict[UUID, list[Placed]] = {}
    for key, group in admitted.items():
        timesheet = timesheets[key]
        known = around.get(timesheet.state.id, [])
        days, twins = _read_together(group[0][1].sheet, [*known, *(item.punch.stamp for _, item in group)])
        mine = placed[timesheet.state.id] = []
        for index, item in group:
            punch_id = item.punch.stamp.punch_id
            twin = twins.get(punch_id)
            work_date = days.get(twin or punch_id, item.sheet.period.span.start)
            mine.append(Placed(item.punch, work_date, twin))
            answers[index] = PunchAnswer(
                punch_id,
                PunchOutcome.DUPLICATE if twin else PunchOutcome.RECORDED,
                item.employee_id,
                timesheet.state.id,
                work_date,
                twin,
                Version(timesheet.state.version + 1),
            )
        if together:
            timesheet.record_all(mine, now)
        else:
            timesheet.record(mine[0], now)
    if placed:
        await work.timesheets.save([timesheets[key] for key in admitted])
        await work.timesheets.add_punches(placed, now)


def _read_together(sheet: _Sheet, stamps: Sequence[Stamp]) -> tuple[dict[UUID, date], dict[UUID, UUID]]:
    """The work date of each stamp that counts, and which the others repeat."""
    ordered = in_order(stamps)
    twins = duplicates(ordered, sheet.grounds.calendar.debounce_seconds)
    groups = assign(sheet.plan, [stamp for stamp in ordered if stamp.punch_id not in twins])
    return {stamp.punch_id: day for day, group in groups.items() for stamp in group}, twins
