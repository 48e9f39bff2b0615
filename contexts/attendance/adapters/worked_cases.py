"""Worked cases of working time: each is put to the functions that timesheets are computed with.

Nothing is computed here: a shape (topic and kind) says which inputs go to which function and what its answer is called
in the case.
"""

import re
from datetime import date, datetime, timedelta
from uuid import UUID

from chassis.worked_cases import Answer, CaseShapeUnknown, Inputs, Shapes
from contexts.attendance.domain import china
from contexts.attendance.domain.catalog import (
    CatalogEntry,
    DayKind,
    Definition,
    FlexibleHours,
    OvertimePolicy,
    OvertimeRule,
    PresenceRule,
    Shift,
    TimeCatalog,
    WorkSchedule,
)
from contexts.attendance.domain.evaluation import evaluate
from contexts.attendance.domain.periods import NATURAL_MONTHS
from contexts.attendance.domain.planning import Planner
from contexts.attendance.domain.punches import Direction, Stamp, as_minutes, in_order, pair
from contexts.attendance.domain.roster import Placement
from contexts.attendance.domain.rounding import PunchRounding, RoundingMode, clock_text
from contexts.attendance.domain.spans import (
    DAY_MINUTES,
    instant_of,
    local_date,
    minute_of,
    minute_of_day,
    seconds_per_day,
    total,
    zone,
)
from contexts.attendance.domain.totals import hours
from kernel.clock import utc
from kernel.ids import AssignmentId
from kernel.period import Period

_CLOCK = re.compile(r"(-?)([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?")
_LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?")
_METHODS = {
    "every_valid_pair": PresenceRule.EVERY_PAIR,
    "first_in_last_out": PresenceRule.FIRST_IN_LAST_OUT,
    "filo": PresenceRule.FIRST_IN_LAST_OUT,
}
_EIGHT_HOURS = 480
_ALL_OVERTIME = OvertimePolicy("ALL", tuple(OvertimeRule(kind, "ANY") for kind in DayKind))


def _local(inputs: Inputs, name: str, time_zone: str, fold: int = 0) -> datetime:
    text = inputs.word(name)
    if not _LOCAL.fullmatch(text):
        raise CaseShapeUnknown(f"input {name} is not a local time", field=name)
    try:
        return utc(datetime.fromisoformat(text).replace(tzinfo=zone(time_zone), fold=fold))
    except ValueError:
        raise CaseShapeUnknown(f"input {name} is not a local time", field=name) from None


def _seconds(inputs: Inputs, name: str) -> int:
    found = _CLOCK.fullmatch(inputs.word(name))
    if found is None:
        raise CaseShapeUnknown(f"input {name} is not HH:MM or HH:MM:SS", field=name)
    sign, hour, minute, second = found.groups()
    length = timedelta(hours=int(hour), minutes=int(minute), seconds=int(second or "0"))
    return int((-length if sign else length).total_seconds())


def _elapsed(inputs: Inputs) -> Answer:
    time_zone, fold = inputs.word("time_zone"), inputs.whole("fold", 0, 1)
    stamps: list[Stamp] = []
    for session in inputs.parts("punches"):
        for name, way in (("in", Direction.IN), ("out", Direction.OUT)):
            stamps.append(Stamp(_local(session, name, time_zone, fold), way, UUID(int=len(stamps))))
        session.done()
    if not stamps:
        raise CaseShapeUnknown("input punches is not given", field="punches")
    came, where = in_order(stamps)[0].instant, zone(time_zone)
    mark, day = minute_of_day(came, where), local_date(minute_of(came), where)
    flexible = FlexibleHours(_EIGHT_HOURS, break_minutes=inputs.whole("unpaid_break_minutes", 0, 720))
    definitions: tuple[Definition, ...] = (
        Shift.of("CASE", [(mark, mark)], flexible=flexible),  # from the first way in around the clock
        _ALL_OVERTIME,
        WorkSchedule("CASE", ("CASE",) * 7, overtime_policy=_ALL_OVERTIME.code),
    )
    catalog = TimeCatalog(0)
    for version, definition in enumerate(definitions, start=1):
        catalog = catalog.with_entry(CatalogEntry(version, day, definition, instant_of(0)))
    somebody = Placement(Period.since(day), AssignmentId(UUID(int=0)), "CASE", time_zone)
    plan = Planner(catalog).plan([somebody], NATURAL_MONTHS.period_of(day).span)
    outcome = next(found for found in evaluate(plan, stamps, {}, 0) if found.work_date == day)
    return {"hours_worked": hours(outcome.tally.worked_minutes)}


def _rounded(inputs: Inputs) -> Answer:
    word = inputs.word("mode")
    if word.upper() not in RoundingMode.__members__:
        raise CaseShapeUnknown(f"no way to round is called {word}", field="mode")
    rule = PunchRounding(
        RoundingMode[word.upper()], inputs.whole("increment_minutes", 1, 60), inputs.whole("grace_minutes", 0, 59)
    )
    return {"rounded": clock_text(rule.seconds(_seconds(inputs, "value")))}


def _split(inputs: Inputs) -> Answer:
    time_zone = inputs.word("time_zone")
    span = (minute_of(_local(inputs, "start", time_zone)), minute_of(_local(inputs, "end", time_zone)))
    return {"seconds_per_day": seconds_per_day(span, zone(time_zone))}


def _checkin_hours(inputs: Inputs) -> Answer:
    presence = _METHODS.get(inputs.word("method"))
    if presence is None:
        raise CaseShapeUnknown("no way to count hours has that name", field="method")
    stamps = []
    for place, log in enumerate(inputs.parts("logs")):
        way = log.text("type") or Direction.EITHER.value
        if way not in Direction.__members__:
            raise CaseShapeUnknown(f"a log is IN, OUT or says nothing, not {way}", field="logs")
        instant = instant_of(-log.whole("minutes_ago", 0, 1_000_000))
        stamps.append(Stamp(instant, Direction[way], UUID(int=place)))
        log.done()
    sessions = pair(in_order(stamps), DAY_MINUTES, presence).sessions
    return {"hours": hours(total(map(as_minutes, sessions)))}


def _calendar(inputs: Inputs) -> Answer:
    found = china.calendar_year(inputs.whole("year", 1, 9999))
    return {
        "weekday_days_off": found.weekday_days_off,
        "weekend_working_days": found.weekend_working_days,
        "days_off": found.days_off,
        "working_days_year": len(found.working_days),
        "statutory_holidays": len(found.statutory_holidays),
        "working_days_by_month": found.working_days_by_month,
        "statutory_holiday_dates": found.statutory_holidays,
    }


def day_kind(day: date) -> DayKind:
    """What a day is by China's calendar. Raises InvalidValue for a year whose days are not held."""
    return china.day_kind(day)


SHAPES: Shapes = {
    ("dst_overnight", "elapsed"): _elapsed,
    ("rounding", "time_of_day"): _rounded,
    ("rounding", "duration"): _rounded,
    ("midnight_split", "split"): _split,
    ("checkin_hours", "alternating"): _checkin_hours,
    ("checkin_hours", "strict"): _checkin_hours,
    ("cn_calendar", "days"): _calendar,
    ("cn_calendar", "year_counts"): _calendar,
    ("cn_calendar", "month_counts"): _calendar,
}
