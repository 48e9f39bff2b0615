"""China's published days and standard hours, as a tenant may publish them and as worked cases are put to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from uuid import UUID

from contexts.attendance.domain.catalog import (
    CalendarDay,
    CatalogEntry,
    DayKind,
    Definition,
    HolidayCalendar,
    OvertimePolicy,
    OvertimeRule,
    Shift,
    TimeCatalog,
    WorkSchedule,
)
from contexts.attendance.domain.planning import Plan, Planner
from contexts.attendance.domain.roster import Placement
from contexts.attendance.domain.spans import instant_of
from kernel.errors import InvalidValue
from kernel.ids import AssignmentId
from kernel.period import Period

_NOTICE_2026 = (
    "国务院办公厅关于2026年部分节假日安排的通知 (国办发明电〔2025〕7号, 2025-11-04; "
    "full text via Xinhua at politics.gmw.cn/2025-11/04/content_38391083.htm)"
)
_STATUTORY_2026 = (
    "2026-01-01",
    "2026-02-16",
    "2026-02-17",
    "2026-02-18",
    "2026-02-19",
    "2026-04-05",
    "2026-05-01",
    "2026-05-02",
    "2026-06-19",
    "2026-09-25",
    "2026-10-01",
    "2026-10-02",
    "2026-10-03",
)
_OFF_2026 = (
    "2026-01-01",
    "2026-01-02",
    "2026-01-03",
    "2026-02-15",
    "2026-02-16",
    "2026-02-17",
    "2026-02-18",
    "2026-02-19",
    "2026-02-20",
    "2026-02-21",
    "2026-02-22",
    "2026-02-23",
    "2026-04-04",
    "2026-04-05",
    "2026-04-06",
    "2026-05-01",
    "2026-05-02",
    "2026-05-03",
    "2026-05-04",
    "2026-05-05",
    "2026-06-19",
    "2026-06-20",
    "2026-06-21",
    "2026-09-25",
    "2026-09-26",
    "2026-09-27",
    "2026-10-01",
    "2026-10-02",
    "2026-10-03",
    "2026-10-04",
    "2026-10-05",
    "2026-10-06",
    "2026-10-07",
)
_MADE_UP_2026 = (
    "2026-01-04",
    "2026-02-14",
    "2026-02-28",
    "2026-05-09",
    "2026-09-20",
    "2026-10-10",
)


def _calendar(
    off: tuple[str, ...], statutory: tuple[str, ...], made_up: tuple[str, ...], notice: str
) -> HolidayCalendar:
    days = [
        CalendarDay(date.fromisoformat(day), DayKind.HOLIDAY if day in statutory else DayKind.REST_DAY) for day in off
    ]
    days += [CalendarDay(date.fromisoformat(day), DayKind.WORKDAY) for day in made_up]
    return HolidayCalendar("CN", tuple(days), "China", notice)


HOLIDAYS: Mapping[int, HolidayCalendar] = {2026: _calendar(_OFF_2026, _STATUTORY_2026, _MADE_UP_2026, _NOTICE_2026)}
"""The days of a year that are not what the week says. Source: the notice named in each."""

OFFICE_DAY = Shift.of("CN-DAY", [(9 * 60, 18 * 60)], [(12 * 60, 13 * 60)], name="Eight hours")
STANDARD_WEEK = WorkSchedule(
    "CN-5X8",
    ("CN-DAY",) * 5 + ("", ""),
    "Five days of eight hours",
    holiday_calendar="CN",
    overtime_policy="CN",
)
"""The standard working hours. Source: State Council Order 174, art. 3, from 1995-05-01."""

OVERTIME = OvertimePolicy(
    "CN",
    (
        OvertimeRule(DayKind.WORKDAY, "CN_OVERTIME_150"),
        OvertimeRule(DayKind.REST_DAY, "CN_OVERTIME_200"),
        OvertimeRule(DayKind.HOLIDAY, "CN_OVERTIME_300"),
    ),
    "Labour Law art. 44",
)


@dataclass(frozen=True, slots=True)
class CalendarYear:
    """A year as somebody on the standard week works it.

    Invariants: every list is in order; `days_off` are those that the notice names, without the
    ordinary weekends.
    """

    days_off: tuple[date, ...]
    statutory_holidays: tuple[date, ...]
    working_days: tuple[date, ...]

    @property
    def weekday_days_off(self) -> tuple[date, ...]:
        """Days off from Monday to Friday."""
        return tuple(day for day in self.days_off if day.weekday() < 5)

    @property
    def weekend_working_days(self) -> tuple[date, ...]:
        """Saturdays and Sundays that are worked."""
        return tuple(day for day in self.working_days if day.weekday() >= 5)

    @property
    def working_days_by_month(self) -> tuple[int, ...]:
        """Twelve counts, January first."""
        return tuple(sum(day.month == month for day in self.working_days) for month in range(1, 13))


def plan_of(year: int) -> Plan:
    """A year of the standard week in Shanghai. Raises InvalidValue for a year whose days are not held."""
    if year not in HOLIDAYS:
        raise InvalidValue(
            f"the days of {year} are not held; those of {', '.join(map(str, HOLIDAYS))} are", field="year"
        )
    return _plan_of(year)


@lru_cache(maxsize=8)
def _plan_of(year: int) -> Plan:
    first = date(year, 1, 1)
    catalog = TimeCatalog(0)
    standard: tuple[Definition, ...] = (OFFICE_DAY, HOLIDAYS[year], OVERTIME, STANDARD_WEEK)
    for version, definition in enumerate(standard, start=1):
        catalog = catalog.with_entry(CatalogEntry(version, first, definition, instant_of(0)))
    somebody = Placement(Period.since(first), AssignmentId(UUID(int=0)), STANDARD_WEEK.code, "Asia/Shanghai")
    return Planner(catalog).plan([somebody], Period(first, date(year + 1, 1, 1)))


def calendar_year(year: int) -> CalendarYear:
    """The year as timesheets plan it. Raises InvalidValue for a year whose days are not held."""
    inside = plan_of(year).inside
    named = [entry.day for entry in HOLIDAYS[year].days if entry.kind is not DayKind.WORKDAY]
    return CalendarYear(
        tuple(sorted(named)),
        tuple(one.work_date for one in inside if one.day_kind is DayKind.HOLIDAY),
        tuple(one.work_date for one in inside if one.day_kind is DayKind.WORKDAY),
    )


def day_kind(day: date) -> DayKind:
    """What a day is for somebody on the standard week. Raises InvalidValue for a year whose days are not held."""
    planned = plan_of(day.year).on(day)
    assert planned is not None, "a plan of a year has all its days"
    return planned.day_kind
