"""What timesheets refer to by code: shifts, schedules, holidays and overtime, effective-dated and versioned."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import Enum
from itertools import pairwise
from typing import TypeVar

from contexts.attendance.domain.errors import CatalogEntryNotFound
from contexts.attendance.domain.periods import TimeCalendar
from contexts.attendance.domain.rounding import PunchRounding
from contexts.attendance.domain.spans import DAY_MINUTES, Span, Spans, difference, total, union
from kernel.errors import InvalidValue

CLAIM_BEFORE_MINUTES = 240  # a shift's own punches lie around it: half a usual shift before
CLAIM_AFTER_MINUTES = 480  # and a whole one after, so that overtime stays with it


class DayKind(Enum):
    """What a day is for the people on a schedule."""

    WORKDAY = "WORKDAY"
    REST_DAY = "REST_DAY"
    HOLIDAY = "HOLIDAY"


class MidnightRule(Enum):
    """Which day gives its kind to minutes after midnight."""

    BY_SHIFT_START = "BY_SHIFT_START"
    SPLIT_AT_MIDNIGHT = "SPLIT_AT_MIDNIGHT"


class PresenceRule(Enum):
    """How punches become presence."""

    EVERY_PAIR = "EVERY_PAIR"  # from each way in to the next way out
    FIRST_IN_LAST_OUT = "FIRST_IN_LAST_OUT"  # from the first way in to the last way out, whatever lies between


@dataclass(frozen=True, slots=True)
class PunchedBreak:
    """An unpaid break that people punch out and in for, at a time of their own within a window.

    Invariants: it is no longer than its window.
    """

    window: Span
    minutes: int

    def __post_init__(self) -> None:
        if not 1 <= self.minutes <= self.window[1] - self.window[0]:
            raise InvalidValue("a break takes from one minute to its whole window", field="punched_breaks")


@dataclass(frozen=True, slots=True)
class FlexibleHours:
    """So many minutes within the shift's spans, at times of one's own, but present in the core hours.

    Invariants: whoever is present for more than `break_after_minutes` takes `break_minutes` of unpaid break; breaks
    that were punched are a part of it.
    """

    required_minutes: int
    core: Spans = ()
    break_minutes: int = 0
    break_after_minutes: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.required_minutes <= DAY_MINUTES:
            raise InvalidValue("flexible hours ask for at least one minute", field="flexible.required_minutes")
        if not (0 <= self.break_minutes < DAY_MINUTES and 0 <= self.break_after_minutes < DAY_MINUTES):
            raise InvalidValue("a break and what goes before it are shorter than a day", field="flexible.break_minutes")


def _after(mark: int, minute_of_day: int) -> int:
    """The first time from `mark` on at which the wall clock shows that minute of the day."""
    return mark + (minute_of_day - mark) % DAY_MINUTES


@dataclass(frozen=True, slots=True)
class Shift:
    """When work is planned, in minutes from the local midnight of its work date (past 1440 is the next day).

    Invariants: spans are in order and within 24 hours; breaks of all kinds and core hours lie in a span, and breaks
    do not overlap; with flexible hours, breaks are taken from the presence and none is punched at a set time.
    """

    code: str
    spans: Spans
    breaks: Spans = ()
    name: str = ""
    late_grace_minutes: int = 0
    early_leave_grace_minutes: int = 0
    claim_before_minutes: int = CLAIM_BEFORE_MINUTES
    claim_after_minutes: int = CLAIM_AFTER_MINUTES
    in_rounding: PunchRounding | None = None
    out_rounding: PunchRounding | None = None
    paid_breaks: Spans = ()  # who punches out and in again within one has not been away
    punched_breaks: tuple[PunchedBreak, ...] = ()
    flexible: FlexibleHours | None = None
    presence: PresenceRule = PresenceRule.EVERY_PAIR

    def __post_init__(self) -> None:
        if not self.spans:
            raise InvalidValue("a shift has at least one planned span", field="intervals")
        first, last = self.spans[0][0], self.spans[-1][1]
        if not (0 <= first < DAY_MINUTES and last - first <= DAY_MINUTES and _in_order(self.spans)):
            raise InvalidValue("planned spans follow each other within 24 hours", field="intervals")
        if not _in_order(self.breaks):
            raise InvalidValue("breaks follow each other and do not overlap", field="breaks")
        windows = tuple(rest.window for rest in self.punched_breaks)
        for field_name, rests in (
            ("breaks", self.breaks),
            ("paid_breaks", self.paid_breaks),
            ("punched_breaks", windows),
        ):
            if not all(self._covers(rest) for rest in rests):
                raise InvalidValue("each break lies inside a planned span", field=field_name)
        every = sorted((*self.breaks, *self.paid_breaks, *windows))
        if any(before[1] > after[0] for before, after in pairwise(every)):
            raise InvalidValue("breaks of all kinds do not overlap", field="paid_breaks")
        if self.flexible is not None:
            self._check_flexible(self.flexible)

    def _covers(self, span: Span) -> bool:
        return span[0] < span[1] and any(opened <= span[0] and span[1] <= closed for opened, closed in self.spans)

    def _check_flexible(self, flexible: FlexibleHours) -> None:
        if self.punched_breaks:
            raise InvalidValue("with flexible hours any time away is punched; leave these out", field="punched_breaks")
        if not all(self._covers(span) for span in flexible.core) or not _in_order(flexible.core):
            raise InvalidValue("core hours lie inside a planned span, in order", field="flexible.core")
        if flexible.required_minutes > total(difference(union(self.spans), union(self.breaks))):
            raise InvalidValue("the spans hold fewer minutes than required", field="flexible.required_minutes")

    @property
    def work_minutes(self) -> int:
        """Minutes of work that the shift plans, without unpaid breaks."""
        if self.flexible is not None:
            return self.flexible.required_minutes
        rests = sum(rest.minutes for rest in self.punched_breaks)
        return total(difference(union(self.spans), union(self.breaks))) - rests

    @property
    def ordinary(self) -> bool:
        """Whether what is owed stands fast before anybody punches."""
        varies = self.flexible is not None or self.punched_breaks or self.paid_breaks
        return not varies and self.presence is PresenceRule.EVERY_PAIR

    @classmethod
    def of(
        cls,
        code: str,
        spans: Sequence[Span],
        breaks: Sequence[Span] = (),
        *,
        paid_breaks: Sequence[Span] = (),
        punched_breaks: Sequence[PunchedBreak] = (),
        flexible: FlexibleHours | None = None,
        **rest: object,
    ) -> "Shift":
        """From wall-clock minutes of the day: a time that is not after the one before it is on the next day."""
        placed: list[Span] = []
        mark = 0
        for start, end in spans:
            begin = _after(mark, start)
            mark = begin + ((end - start) % DAY_MINUTES or DAY_MINUTES)
            placed.append((begin, mark))
        first = placed[0][0] if placed else 0

        def inside(span: Span) -> Span:
            begin = _after(first, span[0])
            return begin, begin + (span[1] - span[0]) % DAY_MINUTES

        if flexible is not None:
            flexible = replace(flexible, core=tuple(map(inside, flexible.core)))
        return cls(
            code,
            tuple(placed),
            tuple(map(inside, breaks)),
            paid_breaks=tuple(map(inside, paid_breaks)),
            punched_breaks=tuple(PunchedBreak(inside(rest.window), rest.minutes) for rest in punched_breaks),
            flexible=flexible,
            **rest,  # type: ignore[arg-type]
        )


def _in_order(spans: Spans) -> bool:
    return all(start < end for start, end in spans) and all(before[1] <= after[0] for before, after in pairwise(spans))


@dataclass(frozen=True, slots=True)
class WorkSchedule:
    """Which shift is planned on which day: a pattern that repeats without end.

    Invariants: one code per day, empty for a rest day; without a cycle start it is weekly, seven days from Monday.
    """

    code: str
    days: tuple[str, ...]
    name: str = ""
    cycle_start: date | None = None
    holiday_calendar: str = ""
    overtime_policy: str = ""
    works_on_holidays: bool = False
    ignores_moved_days: bool = False
    punch_exempt: bool = False

    def __post_init__(self) -> None:
        if not self.days or (self.cycle_start is None and len(self.days) != 7):
            raise InvalidValue("a weekly schedule has seven days, a rotation any number and a first date", field="days")

    def shift_on(self, day: date) -> str:
        """Code of the shift by the pattern alone; empty for a rest day."""
        if self.cycle_start is None:
            return self.days[day.weekday()]
        return self.days[(day - self.cycle_start).days % len(self.days)]

    def made_up_shift(self, day: date, works_as: int | None) -> str:
        """Code of the shift on a made-up working day: the day's own, else that of the weekday named, else the first."""
        own = self.shift_on(day)
        if own:
            return own
        if works_as is not None:
            named = self.shift_on(day + timedelta(days=works_as - day.weekday()))
            if named:
                return named
        return next((code for code in self.days if code), "")


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """A day that is not what the week says: a statutory holiday, a moved rest day, or a made-up working day."""

    day: date
    kind: DayKind
    name: str = ""
    works_as: int | None = None  # weekday whose shift a made-up day takes, Monday is 0


@dataclass(frozen=True, slots=True)
class HolidayCalendar:
    """The days of a place that are not what the week says.

    Invariants: each day at most once.
    """

    code: str
    days: tuple[CalendarDay, ...]
    name: str = ""
    source: str = ""
    by_day: Mapping[date, CalendarDay] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_day = {entry.day: entry for entry in self.days}
        if len(by_day) != len(self.days):
            raise InvalidValue("name each day once", field="days")
        object.__setattr__(self, "by_day", by_day)


@dataclass(frozen=True, slots=True)
class OvertimeRule:
    """How overtime on days of one kind counts."""

    day_kind: DayKind
    rate_reference: str
    min_minutes: int = 0
    step_minutes: int = 1
    approval_required: bool = False


@dataclass(frozen=True, slots=True)
class OvertimePolicy:
    """What time beyond the plan counts for, and when it is night.

    Invariants: at most one rule per kind of day; a night has a start and an end, or neither.
    """

    code: str
    rules: tuple[OvertimeRule, ...]
    name: str = ""
    holiday_midnight: MidnightRule = MidnightRule.SPLIT_AT_MIDNIGHT
    rest_day_midnight: MidnightRule = MidnightRule.BY_SHIFT_START
    night: Span | None = None  # wall-clock minutes of the day; an end that is not later is on the next day

    def __post_init__(self) -> None:
        if len({rule.day_kind for rule in self.rules}) != len(self.rules):
            raise InvalidValue("give one rule per kind of day", field="rules")
        if any(rule.step_minutes < 1 or rule.min_minutes < 0 for rule in self.rules):
            raise InvalidValue("a step is at least one minute", field="rules")
        if self.night is not None and self.night[0] == self.night[1]:
            raise InvalidValue("the night ends at another time than it starts", field="night_end_time")

    def rule(self, kind: DayKind) -> OvertimeRule | None:
        """The rule for days of that kind."""
        return next((rule for rule in self.rules if rule.day_kind is kind), None)


NO_OVERTIME = OvertimePolicy(code="", rules=())

Definition = TimeCalendar | Shift | WorkSchedule | HolidayCalendar | OvertimePolicy
D = TypeVar("D", TimeCalendar, Shift, WorkSchedule, HolidayCalendar, OvertimePolicy)

KIND_NAMES: dict[type[Definition], str] = {
    TimeCalendar: "TIME_CALENDAR",
    Shift: "SHIFT",
    WorkSchedule: "WORK_SCHEDULE",
    HolidayCalendar: "HOLIDAY_CALENDAR",
    OvertimePolicy: "OVERTIME_POLICY",
}


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A published definition: it holds from its effective date until the next one of its kind and code."""

    version: int
    effective_date: date
    definition: Definition
    record_time: datetime

    @property
    def kind(self) -> str:
        """Which of the five it is."""
        return KIND_NAMES[type(self.definition)]


class TimeCatalog:
    """A tenant's catalog as it was at one version.

    Invariants: never changes; of two entries for one code the later effective date holds, on the same date the later
    version.
    """

    def __init__(self, version: int, entries: Iterable[CatalogEntry] = ()) -> None:
        self.version = version
        self.entries = tuple(sorted(entries, key=lambda entry: (entry.effective_date, entry.version)))
        self._by_code: dict[tuple[type[Definition], str], list[CatalogEntry]] = {}
        for entry in self.entries:
            self._by_code.setdefault((type(entry.definition), entry.definition.code), []).append(entry)

    def with_entry(self, entry: CatalogEntry) -> "TimeCatalog":
        """The catalog after one more was published."""
        return TimeCatalog(entry.version, (*self.entries, entry))

    def at_version(self, version: int) -> "TimeCatalog":
        """The catalog as it was when that version was the latest."""
        if version == self.version:
            return self
        return TimeCatalog(version, (entry for entry in self.entries if entry.version <= version))

    def entry(self, kind: type[D], code: str, on: date | None) -> CatalogEntry | None:
        """The entry that holds on a day (None: the latest), None where there is none."""
        entries = self._by_code.get((kind, code), [])
        if on is None:
            return entries[-1] if entries else None
        index = bisect_right(entries, on, key=lambda entry: entry.effective_date) - 1
        return entries[index] if index >= 0 else None

    def find(self, kind: type[D], code: str, on: date) -> D | None:
        """The definition that holds on a day, None where there is none."""
        entry = self.entry(kind, code, on)
        return entry.definition if entry is not None else None  # type: ignore[return-value]

    def get(self, kind: type[D], code: str, on: date | None = None) -> CatalogEntry:
        """The entry that holds on a day. Raises CatalogEntryNotFound."""
        entry = self.entry(kind, code, on)
        if entry is None:
            words = KIND_NAMES[kind].lower().replace("_", " ")
            raise CatalogEntryNotFound(f"there is no such {words} on that day", code=code, as_of=on or "")
        return entry

    def listing(self, kind: type[D], on: date | None) -> tuple[CatalogEntry, ...]:
        """Every entry of a kind that holds on a day, by code."""
        codes = sorted(code for found, code in self._by_code if found is kind)
        found = (self.entry(kind, code, on) for code in codes)
        return tuple(entry for entry in found if entry is not None)

    def latest_version(self, kind: type[Definition], code: str) -> int:
        """The version that last published this code, 0 where none did."""
        return max((entry.version for entry in self._by_code.get((kind, code), [])), default=0)


EMPTY_CATALOG = TimeCatalog(0)
