"""What holds for every set of punches, every zone and every span."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import example, given
from hypothesis import strategies as st

from contexts.attendance.domain.catalog import (
    CalendarDay,
    DayKind,
    HolidayCalendar,
    MidnightRule,
    OvertimePolicy,
    OvertimeRule,
    Shift,
    WorkSchedule,
)
from contexts.attendance.domain.evaluation import Excuse, OccurrenceStatus, evaluate
from contexts.attendance.domain.periods import Frequency, TimeCalendar, widest_span
from contexts.attendance.domain.planning import Plan, PlannedOccurrence
from contexts.attendance.domain.punches import Direction, Stamp
from contexts.attendance.domain.spans import (
    difference,
    instant_of,
    intersection,
    local_date,
    local_minute,
    midnights,
    minute_of,
    overlap,
    split_at,
    total,
    union,
)
from contexts.attendance.domain.timesheet import summarized
from contexts.attendance.domain.totals import OVERTIME, REGULAR
from tests.support.attendance import a_catalog, a_plan

ZONES = st.sampled_from(sorted(name for name in available_timezones() if "/" in name and not name.startswith("right/")))
DAYS = st.dates(date(1990, 1, 1), date(2037, 12, 31))  # offsets are whole minutes everywhere by then
MINUTES = st.integers(minute_of(datetime(1990, 1, 1, tzinfo=ZoneInfo("UTC"))), 35_000_000)
SPANS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=8)
ALL_OVERTIME = OvertimePolicy(
    "CN-STANDARD",
    tuple(OvertimeRule(kind, "X") for kind in DayKind),
    rest_day_midnight=MidnightRule.SPLIT_AT_MIDNIGHT,
    night=(22 * 60, 6 * 60),
)
FIRST = date(2026, 9, 28)  # a week with an eve, statutory holidays, moved rest days and a made-up one after it
LAST = date(2026, 10, 11)


@st.composite
def punch_sets(draw: st.DrawFn, zone: str = "Asia/Shanghai") -> list[Stamp]:
    start = datetime(2026, 9, 28, tzinfo=ZoneInfo(zone))
    seconds = draw(st.lists(st.integers(0, 14 * 86_400), max_size=30))
    return [
        Stamp(start + timedelta(seconds=second), draw(st.sampled_from(Direction)), UUID(int=number))
        for number, second in enumerate(seconds)
    ]


SCHEDULES = st.sampled_from(["STANDARD-5X8", "NIGHT-5X8"])


@given(stamps=punch_sets(), schedule=SCHEDULES, data=st.data())
def test_punches_in_any_order_give_the_same_result(stamps: list[Stamp], schedule: str, data: st.DataObject) -> None:
    plan = a_plan(FIRST, LAST, schedule=schedule)
    shuffled = data.draw(st.permutations(stamps))

    assert evaluate(plan, shuffled, {}, 60) == evaluate(plan, stamps, {}, 60)


@given(stamps=punch_sets(), schedule=SCHEDULES)
def test_regular_and_overtime_buckets_add_up_to_worked_minutes(stamps: list[Stamp], schedule: str) -> None:
    found = evaluate(a_plan(FIRST, LAST, schedule=schedule), stamps, {}, 60)

    totals = summarized(found, TimeCalendar("C"))

    worked = sum(bucket.minutes for bucket in totals.buckets if bucket.pay_code in (REGULAR, OVERTIME))
    assert worked == totals.tally.worked_minutes
    assert all(bucket.minutes > 0 for bucket in totals.buckets)


@given(stamps=punch_sets(), schedule=SCHEDULES)
def test_planned_minutes_are_worked_or_accounted_for(stamps: list[Stamp], schedule: str) -> None:
    for outcome in evaluate(a_plan(FIRST, LAST, schedule=schedule), stamps, {}, 60):
        tally = outcome.tally
        if outcome.status is not OccurrenceStatus.OPEN:
            accounted = tally.late_minutes + tally.early_leave_minutes + tally.absent_minutes + tally.absence_minutes
            assert tally.regular_minutes + accounted == tally.planned_minutes


@st.composite
def usual_days(draw: st.DrawFn) -> list[Stamp]:
    stamps = []
    for number in range(14):
        noon = datetime(2026, 9, 28, 12, tzinfo=ZoneInfo("Asia/Shanghai")) + timedelta(days=number)
        for way, minutes in ((Direction.IN, -180), (Direction.OUT, 360)):
            moved = timedelta(minutes=minutes + draw(st.integers(-40, 40)), seconds=draw(st.integers(0, 59)))
            direction = draw(st.sampled_from([way, way, Direction.EITHER]))
            stamps.append(Stamp(noon + moved, direction, UUID(int=2 * number + (minutes > 0))))
    return stamps


SPLIT = Shift.of("DAY", [(540, 720), (780, 1080)], late_grace_minutes=10)


@given(stamps=st.one_of(punch_sets(), usual_days()), shifts=st.sampled_from([(), (SPLIT,)]), now=st.booleans())
def test_a_usual_day_comes_out_as_any_other(stamps: list[Stamp], shifts: tuple[Shift, ...], now: bool) -> None:
    plan = a_plan(FIRST, LAST, catalog=a_catalog(*shifts))
    moment = datetime(2026, 10, 9, 15, 30, tzinfo=ZoneInfo("Asia/Shanghai")) if now else None
    nothing = {found.work_date: [Excuse("NONE", Decimal(0), 0)] for found in plan.inside}

    shortened, at_length = evaluate(plan, stamps, {}, 60, moment), evaluate(plan, stamps, nothing, 60, moment)

    assert shortened == at_length


@given(stamps=punch_sets(), schedule=SCHEDULES)
def test_every_punch_belongs_to_at_most_one_occurrence(stamps: list[Stamp], schedule: str) -> None:
    found = evaluate(a_plan(FIRST, LAST, schedule=schedule), stamps, {}, 60)

    shown = [stamp.punch_id for outcome in found for stamp in outcome.stamps]
    assert len(shown) == len(set(shown))


@given(stamps=punch_sets(), debounce=st.integers(0, 600))
def test_a_duplicate_never_counts(stamps: list[Stamp], debounce: int) -> None:
    plan = a_plan(FIRST, LAST)
    found = evaluate(plan, stamps, {}, debounce)

    twins = {punch for outcome in found for punch in outcome.duplicate_of}
    counted = [stamp for stamp in stamps if stamp.punch_id not in twins]
    again = evaluate(plan, counted, {}, 0)

    shown = {punch for outcome in found for punch in outcome.duplicate_of.values()}
    assert not shown & twins
    if twins == {stamp.punch_id for stamp in stamps} - {stamp.punch_id for stamp in counted}:
        assert [outcome.tally for outcome in again] == [outcome.tally for outcome in found]


@given(
    zone=ZONES,
    day=st.sampled_from([date(2026, 3, 7), date(2026, 3, 28), date(2026, 10, 24), date(2026, 10, 31)]),
    came=st.integers(0, 30 * 60),
    stayed=st.integers(1, 15 * 60),
)
def test_minutes_worked_are_absolute_minutes_in_every_zone(zone: str, day: date, came: int, stayed: int) -> None:
    catalog = a_catalog(ALL_OVERTIME, WorkSchedule("REST", ("",) * 7, overtime_policy="CN-STANDARD"))
    plan = a_plan(day - timedelta(days=2), day + timedelta(days=2), time_zone=zone, schedule="REST", catalog=catalog)
    start = instant_of(local_minute(day, 0, ZoneInfo(zone)) + came)
    stamps = [
        Stamp(start, Direction.IN, UUID(int=1)),
        Stamp(start + timedelta(minutes=stayed), Direction.OUT, UUID(int=2)),
    ]

    found = evaluate(plan, stamps, {}, 60)

    assert sum(outcome.tally.worked_minutes for outcome in found) == stayed


@given(stamps=punch_sets())
def test_splitting_at_midnight_loses_no_minute(stamps: list[Stamp]) -> None:
    whole = OvertimePolicy(
        "CN-STANDARD",
        ALL_OVERTIME.rules,
        holiday_midnight=MidnightRule.BY_SHIFT_START,
        rest_day_midnight=MidnightRule.BY_SHIFT_START,
    )

    split = evaluate(a_plan(FIRST, LAST, schedule="NIGHT-5X8", catalog=a_catalog(ALL_OVERTIME)), stamps, {}, 60)
    kept = evaluate(a_plan(FIRST, LAST, schedule="NIGHT-5X8", catalog=a_catalog(whole)), stamps, {}, 60)

    assert [outcome.tally.worked_minutes for outcome in split] == [outcome.tally.worked_minutes for outcome in kept]


@given(zone=ZONES, start=MINUTES, length=st.integers(1, 4 * 1440))
@example(zone="Pacific/Apia", start=local_minute(date(2011, 12, 28), 0, ZoneInfo("Pacific/Apia")), length=4 * 1440)
def test_pieces_of_a_span_are_all_of_it_and_each_is_of_one_day(zone: str, start: int, length: int) -> None:
    where = ZoneInfo(zone)
    span = (start, start + length)

    pieces = split_at(span, midnights(span, where))

    assert total(pieces) == length
    for begin, end in pieces:
        assert local_date(begin, where) <= local_date(end - 1, where)


@given(zone=ZONES, day=DAYS, minute=st.integers(0, 1439))
def test_a_time_that_the_clock_shows_is_shown_then(zone: str, day: date, minute: int) -> None:
    where = ZoneInfo(zone)

    shown = instant_of(local_minute(day, minute, where)).astimezone(where)

    naive = datetime(day.year, day.month, day.day, *divmod(minute, 60))  # noqa: DTZ001 - a wall clock has no zone
    ahead = shown.replace(tzinfo=None) - naive
    assert timedelta(0) <= ahead <= timedelta(days=1)
    if ahead:
        assert where.utcoffset(naive.replace(fold=0)) != where.utcoffset(naive.replace(fold=1))


@given(left=SPANS, right=SPANS)
def test_sets_of_minutes_behave_like_sets(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> None:
    def members(spans: tuple[tuple[int, int], ...]) -> set[int]:
        return {minute for start, end in spans for minute in range(start, end)}

    a, b = union(left), union(right)

    assert members(intersection(a, b)) == members(a) & members(b)
    assert members(difference(a, b)) == members(a) - members(b)
    assert total(a) == len(members(a))
    assert sum(overlap(span, b) for span in a) == len(members(a) & members(b))


CALENDARS = st.one_of(
    st.builds(TimeCalendar, st.just("M"), cutoff_day=st.integers(0, 28), work_week_start=st.integers(0, 6)),
    st.builds(TimeCalendar, st.just("W"), frequency=st.just(Frequency.WEEKLY), work_week_start=st.integers(0, 6)),
)


@given(calendar=CALENDARS, day=DAYS)
def test_periods_follow_each_other_and_their_names_find_them(calendar: TimeCalendar, day: date) -> None:
    period = calendar.period_of(day)

    assert day in period.span
    assert calendar.named(period.name) == period
    assert calendar.period_of(period.span.end).span.start == period.span.end
    assert calendar.period_of(period.span.end).name > period.name
    assert widest_span(period.name).covers(period.span)


@st.composite
def regular_weeks(draw: st.DrawFn, zone: str) -> list[Stamp]:
    """Two weeks of coming and going at the same local minutes each day, day or night."""
    came, stayed = draw(st.sampled_from([410, 480, 530, 1260, 1310])), draw(st.sampled_from([480, 560, 720]))
    start = datetime(2026, 10, 19, tzinfo=ZoneInfo(zone))  # the clocks of Berlin go back on the 25th
    return [
        Stamp(at.astimezone(ZoneInfo("UTC")), way, UUID(int=2 * number + (way is Direction.OUT)))
        for number in range(14)
        for way, minute in ((Direction.IN, came), (Direction.OUT, came + stayed))
        for at in [start + timedelta(days=number, minutes=minute)]
    ]


def counted_for_all_as_for_one(plan: Plan, stamps: list[Stamp]) -> bool:
    """Whether days whose parts are remembered come out as those that are counted by themselves."""
    nothing = {found.work_date: [Excuse("NONE", Decimal(0), 0)] for found in plan.inside}
    return evaluate(plan, stamps, {}, 60) == evaluate(plan, stamps, nothing, 60)


BEFORE_AND_AFTER = HolidayCalendar("CN", (CalendarDay(date(2026, 10, 21), DayKind.HOLIDAY),))


def autumn(schedule: str, kind: Callable[..., Plan] = Plan) -> Plan:
    """A plan of Berlin over the change of clocks, with a holiday on a Wednesday."""
    catalog = a_catalog(BEFORE_AND_AFTER, ALL_OVERTIME)
    plan = a_plan(date(2026, 10, 19), date(2026, 11, 1), schedule=schedule, time_zone="Europe/Berlin", catalog=catalog)
    return kind(plan.span, plan.occurrences, plan.unknown)


@given(people=st.lists(regular_weeks("Europe/Berlin"), min_size=2, max_size=4), schedule=SCHEDULES)
def test_what_was_counted_for_other_days_and_people_changes_nothing(people: list[list[Stamp]], schedule: str) -> None:
    plan = autumn(schedule)

    assert all(counted_for_all_as_for_one(plan, stamps) for stamps in people)
    assert plan.counted


class AllAlike(Plan):
    """The planted bug: every day is taken for like every other."""

    def shape(self, planned: PlannedOccurrence) -> int:
        return 0


def test_days_that_are_not_alike_would_be_seen() -> None:
    start = datetime(2026, 10, 19, 8, tzinfo=ZoneInfo("Europe/Berlin"))
    stamps = [
        Stamp(start + timedelta(days=number, hours=hours), way, UUID(int=2 * number + hours))
        for number in range(14)
        for way, hours in ((Direction.IN, 0), (Direction.OUT, 1 + 10))
    ]

    assert counted_for_all_as_for_one(autumn("STANDARD-5X8"), stamps)
    assert not counted_for_all_as_for_one(autumn("STANDARD-5X8", AllAlike), stamps)
