"""Plans: which shift occurrence is planned when, with its absolute interval, and which days are free."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from contexts.attendance.domain.catalog import (
    NO_OVERTIME,
    CalendarDay,
    DayKind,
    HolidayCalendar,
    MidnightRule,
    OvertimePolicy,
    Shift,
    TimeCatalog,
    WorkSchedule,
)
from contexts.attendance.domain.errors import PlanUnknown
from contexts.attendance.domain.periods import NATURAL_MONTHS, TimeCalendar, TimePeriod
from contexts.attendance.domain.roster import Placement
from contexts.attendance.domain.spans import (
    DAY_MINUTES,
    NOTHING,
    Span,
    Spans,
    difference,
    first_minutes,
    last_minutes,
    local_minute,
    overlap,
    split_at,
    total,
    union,
    zone,
)
from kernel.period import Period

MARGIN_DAYS = 2  # occurrences around a span that decide what belongs to its first and last ones
LONGEST_PRESENCE_MINUTES = 16 * 60  # who has not punched out by then forgot to; past any shift that labour law allows
_ONE_DAY = timedelta(days=1)
_PLANS_KEPT = 256
_PERIODS_KEPT = 1000  # days of all calendars


@dataclass(frozen=True, slots=True)
class PlannedOccurrence:
    """One work day: a shift with its absolute interval, or a day off.

    Invariants: `work` is `spans` without `breaks`; `days` holds what the civil days from the one before the work date
    on count for, each with the minute at which it starts, in order; all minutes are since 1970. Where punches decide
    which minutes are owed (`rests`, flexible hours), `owed` holds all that may be.
    """

    work_date: date
    day_kind: DayKind
    shift: Shift | None
    spans: Spans
    breaks: Spans
    work: Spans
    claim: Span
    civil_day: Span
    days: tuple[tuple[int, DayKind], ...]
    nights: Spans
    policy: OvertimePolicy
    punch_exempt: bool
    paid_breaks: Spans
    rests: tuple[tuple[Span, int], ...]  # windows of punched breaks on workday time, with the minutes of each
    core: Spans  # of flexible hours
    planned_minutes: int  # planned work on workday time: what somebody owes
    owed: Spans  # those minutes
    usual: Spans  # the work of who comes and goes as planned
    longest_presence: int  # minutes after which a missing punch out is taken as forgotten
    shortest_overtime: int  # minutes from which a stretch beyond the plan may count

    def kind_at(self, minute: int) -> DayKind:
        """The kind of day that the minute counts for."""
        for start, kind in reversed(self.days):
            if minute >= start:
                return kind
        return self.day_kind

    def by_kind(self, spans: Sequence[Span]) -> Iterator[tuple[Span, DayKind]]:
        """The spans cut at the midnights where the kind changes; the pieces are all of them."""
        marks = [mark for (_, before), (mark, after) in pairwise(self.days) if before is not after]
        for span in spans:
            for piece in split_at(span, marks):
                yield piece, self.kind_at(piece[0])


class Plan:
    """The occurrences of a span of days and a few around it, each with the time that it claims.

    Invariants: occurrences are in order of their work date, at most one a day; claims of neighbours may overlap
    between their shifts but never reach into the other's shift.
    """

    def __init__(
        self,
        span: Period,
        occurrences: Sequence[PlannedOccurrence],
        unknown: Sequence[str],
        paid_days: str = "",
        standard_day_minutes: int = 0,
    ) -> None:
        self.span = span
        self.paid_days = paid_days  # a digit per day of the span, 1 where pay is shared over it; "" without schedule
        self.standard_day_minutes = standard_day_minutes  # of the longest of those days
        self.occurrences = tuple(occurrences)
        self.inside = tuple(one for one in occurrences if one.work_date in span)  # those of the span itself
        self.unknown = tuple(unknown)  # codes that the catalog does not hold, as "SHIFT X on 2026-11-03"
        self.shared: dict[tuple[str, date], object] = {}  # results that are alike for everybody on this plan
        self.counted: dict[
            tuple[int, Spans, int], object
        ] = {}  # and for all its days of one shape; bounded by its user
        self._shapes: dict[tuple[object, ...], int] = {}
        self._shape_of: dict[date, int] = {}
        self._by_date = {occurrence.work_date: occurrence for occurrence in occurrences}
        self._alone = _claimed_alone(self.occurrences)
        self._alone_starts = [start for start, _, _ in self._alone]
        self._starts = [occurrence.civil_day[0] for occurrence in occurrences]

    def on(self, day: date) -> PlannedOccurrence | None:
        """The occurrence of a work date."""
        return self._by_date.get(day)

    def shape(self, planned: PlannedOccurrence) -> int:
        """A number that only those occurrences of this plan share that differ in their date alone."""
        known = self._shape_of.get(planned.work_date)
        if known is None:
            known = self._shapes.setdefault(_shape(planned), len(self._shapes))
            self._shape_of[planned.work_date] = known
        return known

    def claiming(self, minute: int) -> list[PlannedOccurrence]:
        """The planned shifts that claim a minute, in order; without any, what there is on its civil day."""
        last = bisect_right(self._starts, minute) - 1
        near = self.occurrences[max(0, last - MARGIN_DAYS) : last + MARGIN_DAYS]
        claimed = [found for found in near if found.spans and found.claim[0] <= minute < found.claim[1]]
        if claimed:
            return claimed
        return [found for found in near if found.civil_day[0] <= minute < found.civil_day[1]]

    def claimed_alone(self, minute: int) -> PlannedOccurrence | None:
        """The occurrence that no other one disputes the minute with; None where it is disputed, or not claimed."""
        index = bisect_right(self._alone_starts, minute) - 1
        if index >= 0:
            _, end, found = self._alone[index]
            if minute < end:
                return found
        return None

    def nearest(self, minute: int) -> PlannedOccurrence | None:
        """The occurrence of the span that is nearest to a minute."""
        return min(self.inside, key=lambda found: distance(found, minute), default=None)


def _shape(planned: PlannedOccurrence) -> tuple[object, ...]:
    """All of an occurrence but its date, in minutes since its midnight."""
    midnight = planned.civil_day[0]

    def moved(value: object) -> object:
        if isinstance(value, int):
            return value - midnight
        return tuple(moved(part) for part in value) if isinstance(value, tuple) else value

    return (
        planned.day_kind, id(planned.shift), id(planned.policy), planned.punch_exempt, planned.planned_minutes,
        planned.longest_presence, planned.shortest_overtime,
        tuple((window[0] - midnight, window[1] - midnight, minutes) for window, minutes in planned.rests),
        *(
            moved(spans)
            for spans in (
                planned.spans, planned.breaks, planned.work, planned.claim, planned.civil_day, planned.days,
                planned.nights, planned.paid_breaks, planned.core, planned.owed, planned.usual,
            )
        ),
    )  # fmt: skip


def _claimed_alone(occurrences: Sequence[PlannedOccurrence]) -> list[tuple[int, int, PlannedOccurrence]]:
    """Stretches that one planned shift claims and no other, in order."""
    marks = sorted({mark for found in occurrences if found.spans for mark in found.claim})
    alone: list[tuple[int, int, PlannedOccurrence]] = []
    for start, end in pairwise(marks):
        claiming = [found for found in occurrences if found.spans and found.claim[0] <= start < found.claim[1]]
        if len(claiming) == 1:
            alone.append((start, end, claiming[0]))
    return alone


def distance(occurrence: PlannedOccurrence, minute: int) -> int:
    """Minutes between a minute and the planned shift, or the day where none is planned; 0 inside it."""
    start, end = occurrence.civil_day
    if occurrence.spans:
        start, end = occurrence.spans[0][0], occurrence.spans[-1][1]
    return max(start - minute, minute - end, 0)


@dataclass(frozen=True, slots=True)
class _Day:
    kind: DayKind
    shift: str


def _day(schedule: WorkSchedule, entry: CalendarDay | None, day: date) -> _Day:
    shift = schedule.shift_on(day)
    if entry is not None and entry.kind is DayKind.HOLIDAY:
        return _Day(DayKind.HOLIDAY, shift if schedule.works_on_holidays else "")
    if entry is not None and not schedule.ignores_moved_days:
        if entry.kind is DayKind.REST_DAY:
            return _Day(DayKind.REST_DAY, "")
        return _Day(DayKind.WORKDAY, schedule.made_up_shift(day, entry.works_as))
    return _Day(DayKind.WORKDAY if shift else DayKind.REST_DAY, shift)


def _kind_past_midnight(policy: OvertimePolicy, start: DayKind, day: DayKind) -> DayKind:
    holiday = DayKind.HOLIDAY in (start, day)
    rule = policy.holiday_midnight if holiday else policy.rest_day_midnight
    return day if rule is MidnightRule.SPLIT_AT_MIDNIGHT else start


class Planner:
    """Makes plans from one version of the catalog; equal placements share one plan.

    Invariants: a plan depends on the catalog version, the placements and the span only.
    """

    def __init__(self, catalog: TimeCatalog) -> None:
        self.catalog = catalog
        self._plans: OrderedDict[tuple[object, ...], Plan] = OrderedDict()
        self._periods: OrderedDict[tuple[str, date], tuple[TimeCalendar, TimePeriod]] = OrderedDict()

    def calendar(self, placement: Placement, day: date) -> TimeCalendar:
        """The time calendar of a placement on a day; calendar months where it names none. Raises PlanUnknown."""
        if not placement.time_calendar:
            return NATURAL_MONTHS
        found = self.catalog.find(TimeCalendar, placement.time_calendar, day)
        if found is None:
            raise PlanUnknown(
                f"publish the time calendar {placement.time_calendar}, or give the employee another one",
                code=placement.time_calendar,
                as_of=day,
            )
        return found

    def period(self, placement: Placement, day: date) -> tuple[TimeCalendar, TimePeriod]:
        """The time calendar of a placement on a day, and its period that the day is in. Raises PlanUnknown."""
        key = (placement.time_calendar, day)
        known = self._periods.get(key)
        if known is None:
            calendar = self.calendar(placement, day)
            known = self._periods[key] = (calendar, calendar.period_of(day))
            if len(self._periods) > _PERIODS_KEPT:
                self._periods.popitem(last=False)
        return known

    def plan(self, placements: Sequence[Placement], span: Period) -> Plan:
        """The plan of one assignment for a span of days."""
        wide = Period(span.start - _ONE_DAY * MARGIN_DAYS, span.end + _ONE_DAY * MARGIN_DAYS)
        cut = [(placement, placement.span.intersection(wide)) for placement in placements]
        slices = tuple(
            (held, placement.work_schedule, placement.time_zone, placement.punch_exempt)
            for placement, held in cut
            if held is not None
        )
        key = (span, slices)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = self._make(span, slices)
            if len(self._plans) > _PLANS_KEPT:
                self._plans.popitem(last=False)
        return plan

    def _make(self, span: Period, slices: Sequence[tuple[Period, str, str, bool]]) -> Plan:
        unknown: list[str] = []
        made = [
            self._occurrence(day, schedule, where, exempt, unknown if day in span else [])
            for held, schedule, where, exempt in slices
            for day in held
        ]
        paid = [self._paid_minutes(day, slices) for day in span] if any(code for _, code, _, _ in slices) else []
        digits = "".join("0" if minutes is None else "1" for minutes in paid)
        longest = max((minutes for minutes in paid if minutes is not None), default=0)
        return Plan(span, _apart(made), unknown, digits, longest)

    def _paid_minutes(self, day: date, slices: Sequence[tuple[Period, str, str, bool]]) -> int | None:
        """Minutes of the shift of a day over which pay is shared, None on other days.

        A statutory holiday that falls on a planned day is one; a day outside the employment follows the nearest inside.
        """
        _, code, _, _ = min(slices, key=lambda held: max(held[0].start - day, day - held[0].last_day))
        schedule = self._schedule(code, day, [])
        planned = self._planned_day(schedule, day, [])
        shift_code = schedule.shift_on(day) if planned.kind is DayKind.HOLIDAY else planned.shift
        shift = self.catalog.find(Shift, shift_code, day) if shift_code else None
        return None if shift is None else shift.work_minutes

    def _schedule(self, code: str, day: date, unknown: list[str]) -> WorkSchedule:
        found = self.catalog.find(WorkSchedule, code, day) if code else None
        if found is None:
            if code:
                unknown.append(f"work schedule {code} on {day}")
            return WorkSchedule(code, ("",) * 7)
        return found

    def _policy(self, schedule: WorkSchedule, day: date, unknown: list[str]) -> OvertimePolicy:
        if not schedule.overtime_policy:
            return NO_OVERTIME
        found = self.catalog.find(OvertimePolicy, schedule.overtime_policy, day)
        if found is None:
            unknown.append(f"overtime policy {schedule.overtime_policy} on {day}")
        return found or NO_OVERTIME

    def _planned_day(self, schedule: WorkSchedule, day: date, unknown: list[str]) -> _Day:
        calendar = None
        if schedule.holiday_calendar:
            calendar = self.catalog.find(HolidayCalendar, schedule.holiday_calendar, day)
            if calendar is None:
                unknown.append(f"holiday calendar {schedule.holiday_calendar} on {day}")
        return _day(schedule, calendar.by_day.get(day) if calendar else None, day)

    def _occurrence(self, day: date, code: str, zone_name: str, exempt: bool, unknown: list[str]) -> PlannedOccurrence:
        where = zone(zone_name)
        schedule = self._schedule(code, day, unknown)
        policy = self._policy(schedule, day, unknown)
        planned = self._planned_day(schedule, day, unknown)
        shift = self.catalog.find(Shift, planned.shift, day) if planned.shift else None
        if planned.shift and shift is None:
            unknown.append(f"shift {planned.shift} on {day}")
        days = []
        for offset in range(-1, MARGIN_DAYS + 2):
            other = day + _ONE_DAY * offset
            kind = self._planned_day(self._schedule(code, other, []), other, []).kind
            days.append((local_minute(other, 0, where), _kind_past_midnight(policy, planned.kind, kind)))
        civil_day = (days[1][0], days[2][0])
        spans = _absolute(day, shift.spans, where) if shift is not None else NOTHING
        breaks = _absolute(day, shift.breaks, where) if shift is not None else NOTHING
        work = difference(spans, breaks)
        claim = civil_day
        if shift is not None and spans:
            claim = (spans[0][0] - shift.claim_before_minutes, spans[-1][1] + shift.claim_after_minutes)
        bare = PlannedOccurrence(
            day, planned.kind, shift, spans, breaks, work, claim, civil_day, tuple(days), _nights(day, policy, where),
            policy, exempt or schedule.punch_exempt,
            _absolute(day, shift.paid_breaks, where) if shift is not None else NOTHING, (),
            _absolute(day, shift.flexible.core, where) if shift is not None and shift.flexible else NOTHING,
            0, NOTHING, work, _longest_presence(shift, spans),
            min((rule.min_minutes for rule in policy.rules), default=DAY_MINUTES * 2),
        )  # fmt: skip
        owed = union(span for span, kind in bare.by_kind(work) if kind is DayKind.WORKDAY)
        if shift is None or shift.ordinary:
            return replace(bare, planned_minutes=total(owed), owed=owed)
        return _varying(bare, shift, owed, day, where)


def _varying(bare: PlannedOccurrence, shift: Shift, owed: Spans, day: date, where: ZoneInfo) -> PlannedOccurrence:
    """An occurrence in which the punches decide which minutes are owed; how many stands fast."""
    if shift.flexible is not None:
        required = shift.flexible.required_minutes
        return replace(
            bare, planned_minutes=min(required, total(owed)), owed=owed, usual=first_minutes(bare.work, required)
        )
    windows = [(_absolute(day, (rest.window,), where), rest.minutes) for rest in shift.punched_breaks]
    # A break on a day that is not owed (a holiday after midnight) lessens nothing that is.
    rests = tuple((window[0], minutes) for window, minutes in windows if overlap(window[0], owed) == total(window))
    taken = union(span for window, minutes in windows for span in last_minutes(window, minutes))
    planned = total(owed) - sum(minutes for _, minutes in rests)
    return replace(bare, planned_minutes=planned, owed=owed, rests=rests, usual=difference(bare.work, taken))


def _longest_presence(shift: Shift | None, spans: Spans) -> int:
    if shift is None or not spans:
        return LONGEST_PRESENCE_MINUTES
    return max(LONGEST_PRESENCE_MINUTES, spans[-1][1] - spans[0][0] + shift.claim_after_minutes)


def _absolute(day: date, spans: Sequence[Span], where: ZoneInfo) -> Spans:
    return union((local_minute(day, start, where), local_minute(day, end, where)) for start, end in spans)


def _nights(day: date, policy: OvertimePolicy, where: ZoneInfo) -> Spans:
    if policy.night is None:
        return NOTHING
    start, end = policy.night
    length = (end - start) % DAY_MINUTES
    marks = [start + offset * DAY_MINUTES for offset in range(-1, MARGIN_DAYS + 1)]
    return _absolute(day, [(mark, mark + length) for mark in marks], where)


def _apart(occurrences: Sequence[PlannedOccurrence]) -> list[PlannedOccurrence]:
    """The occurrences with claims that leave each other's shifts alone."""
    claims = {occurrence.work_date: occurrence.claim for occurrence in occurrences}
    shifts = [occurrence for occurrence in occurrences if occurrence.spans]
    for before, after in pairwise(shifts):
        start, end = claims[before.work_date]
        claims[before.work_date] = (start, max(min(end, after.spans[0][0]), before.spans[-1][1]))
        start, end = claims[after.work_date]
        claims[after.work_date] = (min(max(start, before.spans[-1][1]), after.spans[0][0]), end)
    return [replace(occurrence, claim=claims[occurrence.work_date]) for occurrence in occurrences]
