"""Punches: each goes to the timesheet of the occurrence that claims its instant, opened where there is none."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import Enum
from typing import NamedTuple
from uuid import UUID

from contexts.attendance.domain.badges import Badge
from contexts.attendance.domain.errors import BadgeUnknown, NotPlaced, PunchIdTaken, RosterUnknown
from contexts.attendance.domain.periods import TimePeriod
from contexts.attendance.domain.planning import LONGEST_PRESENCE_MINUTES, Plan, PlannedOccurrence, Planner
from contexts.attendance.domain.punches import (
    Direction,
    Punch,
    Stamp,
    assign,
    by_terminal_clock,
    duplicates,
    in_order,
    nearer,
)
from contexts.attendance.domain.roster import Placement, RosterEntry
from contexts.attendance.domain.spans import instant_of, local_date, local_minute, minute_of, zone
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


class PunchMade(NamedTuple):
    """A punch and who made it; `punch.time_zone` may be empty, which means the workplace's.

    Invariants: with `sent_clock` the punch's time is what the terminal's clock said, to be looked at on arrival.
    """

    punch: Punch
    employee_id: EmployeeId | None
    employee_number: str = ""
    badge_number: str = ""
    sent_clock: datetime | None = None


class PunchAnswer(NamedTuple):
    """What became of one punch."""

    punch_id: UUID
    outcome: PunchOutcome
    employee_id: EmployeeId | None = None
    timesheet_id: UUID | None = None
    work_date: date | None = None
    duplicate_of: UUID | None = None
    version: Version | None = None
    refusal: DomainError | None = None
    punched_at: datetime | None = None
    clock_skew_seconds: int | None = None


class _Sheet:
    """The timesheet that punches are for: what it stands on, its plan, and the punches on their way to it.

    Compared by identity: one batch makes one per key.
    """

    __slots__ = (
        "grounds",
        "inner_end",
        "inner_start",
        "is_new",
        "items",
        "key",
        "period",
        "plan",
        "start",
        "timesheet",
    )

    def __init__(self, key: TimesheetKey, period: TimePeriod, grounds: Grounds, plan: Plan) -> None:
        self.key, self.period, self.grounds, self.plan = key, period, grounds, plan
        self.items: list[_Item] = []
        self.timesheet: Timesheet | None = None
        self.is_new = False
        self.start = local_minute(period.span.start, 0, zone(grounds.placements[0].time_zone))
        # Well inside a period that is placed from end to end, no other timesheet's shifts can claim a punch: one of
        # the day before ends within two days of the start, one of the day after claims half a day at most.
        whole = len(plan.inside) == period.span.days > 4
        self.inner_start = plan.inside[2].civil_day[0] if whole else 0
        self.inner_end = plan.inside[-1].civil_day[0] if whole else 0

    @property
    def held(self) -> Timesheet:
        """The timesheet, once it was read or opened."""
        assert self.timesheet is not None
        return self.timesheet


class _Item:
    """One punch on its way."""

    __slots__ = ("employee_id", "index", "minute", "punch", "sheet", "stamp")

    def __init__(self, index: int, punch: Punch, minute: int, employee_id: EmployeeId, sheet: _Sheet) -> None:
        self.index, self.punch, self.stamp, self.employee_id, self.sheet = index, punch, punch.stamp, employee_id, sheet
        self.minute = minute


async def record_punch(made: PunchMade, work: AttendanceWork) -> PunchAnswer:
    """Record one punch. Raises what refuses it."""
    [answer] = await _Batch([made], work).record(together=False)
    if answer.refusal is not None:
        raise answer.refusal
    return answer


async def import_punches(made: Sequence[PunchMade], work: AttendanceWork) -> list[PunchAnswer]:
    """Record many punches, grouped by timesheet; a refused one does not hold up the others."""
    answers = await _Batch(made, work).record(together=True)
    work.note("punches", f"{len(made)} imported")
    return answers


def _taken(punch_id: UUID) -> PunchIdTaken:
    return PunchIdTaken("this punch_id names another punch; give each punch its own", field="punch_id", punch=punch_id)


class _Batch:
    """Punches of one transaction, from the clients' words to their timesheets."""

    def __init__(self, made: Sequence[PunchMade], work: AttendanceWork) -> None:
        self._made = made
        self._work = work
        self._answers: list[PunchAnswer | None] = [None] * len(made)
        self._again: dict[int, int] = {}  # later punches with the same punch_id, to the first of them

    async def record(self, *, together: bool) -> list[PunchAnswer]:
        """One answer per punch, in order."""
        work = self._work
        if any(one.sent_clock is not None for one in self._made):
            self._read_clocks(work.now())
        people = await self._people()
        entries, planner = await work.roster.with_planner({person for person in people if person is not None})
        sheets = _Sheets(planner)
        items = self._placed(people, entries, sheets)
        touched = list({item.sheet: None for item in items})
        await self._hold(touched)
        await self._follow_who_is_in(items, entries, sheets, touched)
        for item in items:
            item.sheet.items.append(item)
        around = await self._read_around(touched)
        if together or any(stamp.punch_id == items[0].stamp.punch_id for near in around.values() for stamp in near):
            # One punch alone needs no look elsewhere: an id that another timesheet holds is refused when it is kept.
            await self._answer_replays(items, touched)
        await self._keep([sheet for sheet in touched if sheet.items], around, together)
        for sheet in touched:
            sheet.items = []  # a ring of a sheet and its items would be left to the garbage collector
        for index, first in self._again.items():
            answer = self._answers[first]
            assert answer is not None
            self._answers[index] = (
                answer if answer.refusal is not None else answer._replace(outcome=PunchOutcome.REPLAYED)
            )
        return [answer for answer in self._answers if answer is not None]

    def _refuse(self, index: int, person: EmployeeId | None, refusal: DomainError) -> None:
        punch_id = self._made[index].punch.stamp.punch_id
        self._answers[index] = PunchAnswer(punch_id, PunchOutcome.REFUSED, person, refusal=refusal)

    def _read_clocks(self, now: datetime) -> None:
        """Each punch of a terminal that told its clock on sending, at the time at which it was made."""
        made = list(self._made)
        for index, one in enumerate(made):
            if one.sent_clock is None:
                continue
            clock = one.punch.device_clock
            assert clock is not None, "who tells the clock on sending tells that of the punch"
            try:
                instant, skew = by_terminal_clock(clock, one.sent_clock, now)
            except DomainError as refusal:
                self._refuse(index, None, refusal)
                continue
            stamp = one.punch.stamp._replace(instant=instant)
            made[index] = one._replace(punch=one.punch._replace(stamp=stamp, clock_skew_seconds=skew))
        self._made = made

    async def _people(self) -> list[EmployeeId | None]:
        unnamed = [one for one in self._made if one.employee_id is None]
        numbers = {one.employee_number for one in unnamed if one.employee_number}
        by_number = await self._work.roster.by_numbers(numbers) if numbers else {}
        badges = {one.badge_number for one in unnamed if one.badge_number}
        issued = await self._work.badges.get_many(badges) if badges else {}
        return [one.employee_id or _named(one, by_number, issued) for one in self._made]

    def _placed(
        self, people: Sequence[EmployeeId | None], entries: Mapping[EmployeeId, RosterEntry], sheets: "_Sheets"
    ) -> list[_Item]:
        """Each punch with its sheet; who cannot be placed is refused."""
        items: list[_Item] = []
        first_with: dict[UUID, int] = {}
        before, entry = None, None
        for index, one in enumerate(self._made):
            person, punch = people[index], one.punch
            if self._answers[index] is not None:
                continue
            try:
                if person is None and one.badge_number:
                    raise BadgeUnknown(
                        "nobody had this badge then; check its number, or issue it", field="badge_number"
                    )
                if person is not before:  # most batches are sorted by person
                    before, entry = person, entries.get(person) if person is not None else None
                if entry is None or person is None:
                    raise RosterUnknown("the employee is not on the roster yet; ensure the roster, then try again")
                first = first_with.setdefault(punch.stamp.punch_id, index)
                if first != index:
                    if not punch.repeats(self._made[first].punch) or people[first] != person:
                        raise _taken(punch.stamp.punch_id)
                    self._again[index] = first
                    continue
                minute = minute_of(punch.stamp.instant)
                sheet = sheets.locate(entry, punch.stamp.direction, minute)
                if not punch.time_zone:
                    punch = punch.made_in(sheet.grounds.last.time_zone)
                items.append(_Item(index, punch, minute, person, sheet))
            except DomainError as refusal:
                self._refuse(index, person, refusal)
        return items

    async def _hold(self, sheets: Sequence[_Sheet]) -> None:
        """Read the timesheets of these sheets, opened where they are not there, each on today's grounds."""
        work = self._work
        found = await work.timesheets.of_keys([sheet.key for sheet in sheets])
        now = work.now()
        for sheet in sheets:
            sheet.timesheet = found.get(sheet.key)
            if sheet.timesheet is None:
                sheet.is_new = True
                sheet.timesheet = Timesheet.open(work.new_id(), sheet.key.employee_id, sheet.period, sheet.grounds, now)
            sheet.timesheet.stand_on(sheet.grounds)

    async def _follow_who_is_in(
        self,
        items: Sequence[_Item],
        entries: Mapping[EmployeeId, RosterEntry],
        sheets: "_Sheets",
        touched: list[_Sheet],
    ) -> None:
        """A way out just after a period began belongs to the period before where somebody is still in from it.

        Whom a shift claims needs no such look: a night shift's own claim reaches over the boundary.
        """
        late: list[tuple[_Item, _Sheet]] = []
        for item in items:
            if item.minute - item.sheet.start >= LONGEST_PRESENCE_MINUTES or item.stamp.direction is Direction.IN:
                continue
            claimed = any(found.spans for found in item.sheet.plan.claiming(item.minute))
            if claimed and item.stamp.direction is not Direction.OUT:
                continue
            before = sheets.before(entries[item.employee_id], item.sheet)
            if before is not None:
                late.append((item, before))
        if late:
            stamps = await self._read_before({before: None for _, before in late})
            late.sort(key=lambda pair: pair[0].stamp.order)
        for item, before in late:
            if before.timesheet is None or before.timesheet.state.status is not Status.OPEN:
                continue
            same = [other.stamp for other in items if other.sheet is before]
            held = in_order([*stamps.get(before.timesheet.state.id, ()), *same])
            earlier = [one for one in held if one.order < item.stamp.order]
            if earlier and _is_in(before.plan, earlier, item.stamp):
                item.sheet = before
                if before not in touched:
                    before.timesheet.stand_on(before.grounds)
                    touched.append(before)

    async def _read_before(self, sheets: Iterable[_Sheet]) -> dict[UUID, list[Stamp]]:
        unread = [sheet for sheet in sheets if sheet.timesheet is None]
        found = await self._work.timesheets.of_keys([sheet.key for sheet in unread])
        for sheet in unread:
            sheet.timesheet = found.get(sheet.key)
        held = [sheet for sheet in sheets if sheet.timesheet is not None]
        windows = []
        for sheet in held:
            window = _window(sheet.held, *sheet.plan.inside[-1].civil_day)
            if window is not None:
                windows.append(window)
        return await self._work.timesheets.stamps_near(windows)

    async def _answer_replays(self, items: Sequence[_Item], touched: Sequence[_Sheet]) -> None:
        """Answer what was recorded before: the same punch as before; another one under its id is refused."""
        if not items:
            return
        stored = await self._work.timesheets.punches([item.stamp.punch_id for item in items])
        for item in items:
            before = stored.get(item.stamp.punch_id)
            if before is None:
                continue
            item.sheet.items.remove(item)
            if not item.punch.repeats(before.punch) or before.employee_id != item.employee_id:
                self._refuse(item.index, item.employee_id, _taken(item.stamp.punch_id))
            else:
                self._answers[item.index] = _replayed(before, touched)

    async def _read_around(self, sheets: Sequence[_Sheet]) -> dict[UUID, list[Stamp]]:
        """The stamps around the punches of each timesheet."""
        windows = []
        for sheet in sheets:
            moments = [item.minute for item in sheet.items]
            window = _window(sheet.held, min(moments), max(moments)) if moments else None
            if window is not None:
                windows.append(window)
        return await self._work.timesheets.stamps_near(windows) if windows else {}

    async def _keep(self, sheets: Sequence[_Sheet], around: Mapping[UUID, list[Stamp]], together: bool) -> None:
        now = self._work.now()
        for sheet in sheets:
            admitted: list[_Item] = []
            for item in sheet.items:
                try:
                    sheet.held.admit(item.punch, now, before=len(admitted))
                    admitted.append(item)
                except DomainError as refusal:
                    self._refuse(item.index, item.employee_id, refusal)
            sheet.items = admitted
        sheets = [sheet for sheet in sheets if sheet.items]
        if not sheets:
            return
        placed: dict[UUID, list[Placed]] = {}
        for sheet in sheets:
            timesheet = sheet.held
            mine = placed[timesheet.state.id] = self._settle(sheet, around.get(timesheet.state.id, ()))
            if together:
                timesheet.record_all(mine, now)
            else:
                timesheet.record(mine[0], now)
        await self._work.timesheets.save([sheet.held for sheet in sheets if not sheet.is_new])
        await self._work.timesheets.add([sheet.held for sheet in sheets if sheet.is_new])
        await self._work.timesheets.add_punches(placed, now)

    def _settle(self, sheet: _Sheet, known: Sequence[Stamp]) -> list[Placed]:
        """The punches of a sheet with their work dates, as they stand among those around them."""
        ordered = in_order([*known, *(item.stamp for item in sheet.items)])
        twins = duplicates(ordered, sheet.grounds.calendar.debounce_seconds)
        counted = [stamp for stamp in ordered if stamp.punch_id not in twins] if twins else ordered
        groups = assign(sheet.plan, counted)
        days = {id(stamp): day for day, group in groups.items() for stamp in group}
        by_id = {stamp.punch_id: stamp for stamp in ordered} if twins else {}
        state = sheet.held.state
        version = Version(state.version + 1)
        placed: list[Placed] = []
        for item in sheet.items:
            twin = twins.get(item.stamp.punch_id) if twins else None
            day = days.get(id(by_id[twin] if twin else item.stamp), sheet.period.span.start)
            placed.append(Placed(item.punch, day, twin))
            outcome = PunchOutcome.DUPLICATE if twin else PunchOutcome.RECORDED
            self._answers[item.index] = PunchAnswer(
                item.stamp.punch_id,
                outcome,
                item.employee_id,
                state.id,
                day,
                twin,
                version,
                punched_at=item.stamp.instant,
                clock_skew_seconds=item.punch.clock_skew_seconds,
            )
        return placed


def _named(one: PunchMade, by_number: Mapping[str, EmployeeId], issued: Mapping[str, Badge]) -> EmployeeId | None:
    if one.badge_number:
        badge = issued.get(one.badge_number)
        return badge.holder_at(one.punch.stamp.instant) if badge is not None else None
    return by_number.get(one.employee_number)


class _Sheets:
    """Finds the timesheet of a punch, by the occurrences planned around its instant."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._by_key: dict[TimesheetKey, _Sheet | None] = {}
        self._last: dict[int, _Sheet] = {}  # by the identity of a simple roster entry of this batch

    def locate(self, entry: RosterEntry, direction: Direction, minute: int) -> _Sheet:
        """The sheet of the occurrence that claims a minute. Raises NotPlaced, PlanUnknown."""
        last = self._last.get(id(entry))
        if last is not None and last.inner_start <= minute < last.inner_end:
            return last
        claimed: list[tuple[PlannedOccurrence, _Sheet]] = []
        for sheet in self._around(entry, minute):
            claimed += [(found, sheet) for found in sheet.plan.claiming(minute) if found.work_date in sheet.period.span]
        planned = [(found, sheet) for found, sheet in claimed if found.spans]
        home = nearer([found for found, _ in planned or claimed], direction, minute)
        for found, sheet in claimed:
            if found is home:
                if entry.simple:
                    self._last[id(entry)] = sheet
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
        found: dict[_Sheet, None] = {}
        for placement in entry.placements:
            today = local_date(minute, zone(placement.time_zone))
            if entry.simple and today in placement.span:
                sheet = self._of(entry, placement, today)
                if sheet is not None and sheet.inner_start <= minute < sheet.inner_end:
                    return [sheet]
            for day in (today - _ONE_DAY, today, today + _ONE_DAY):
                if day in placement.span:
                    sheet = self._of(entry, placement, day)
                    if sheet is not None:
                        found[sheet] = None
        return sorted(found, key=lambda sheet: sheet.period.span.start)

    def _of(self, entry: RosterEntry, placement: Placement, day: date) -> _Sheet | None:
        calendar, period = self._planner.period(placement, day)
        key = TimesheetKey(entry.employee_id, placement.assignment_id, calendar.code, period.name)
        if key not in self._by_key:
            version = self._planner.catalog.version
            grounds = grounds_for(entry, placement.assignment_id, calendar, period, version)
            plan = self._planner.plan(grounds.placements, period.span) if grounds else None
            self._by_key[key] = _Sheet(key, period, grounds, plan) if grounds and plan else None
        return self._by_key[key]


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


def _window(timesheet: Timesheet, first: int, last: int) -> Window | None:
    """Where stamps may stand in relation to punches of these minutes, None where there are none."""
    if not timesheet.state.punch_count:
        return None
    return Window(timesheet.state.id, instant_of(first) - _LOOK_BACK, instant_of(last) + _LOOK_AHEAD)


def _replayed(before: StoredPunch, touched: Sequence[_Sheet]) -> PunchAnswer:
    version = next((one.held.state.version for one in touched if one.held.state.id == before.timesheet_id), None)
    return PunchAnswer(
        before.punch.stamp.punch_id,
        PunchOutcome.REPLAYED,
        before.employee_id,
        before.timesheet_id,
        before.work_date,
        before.duplicate_of,
        version,
        punched_at=before.punch.stamp.instant,
        clock_skew_seconds=before.punch.clock_skew_seconds,
    )
