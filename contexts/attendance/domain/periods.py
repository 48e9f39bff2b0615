"""Attendance's own periods and work weeks."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum

from contexts.attendance.domain.errors import PeriodUnknown
from kernel.errors import InvalidValue
from kernel.period import Period

_FIRST_YEAR, _LAST_YEAR = 1970, 9998
_MIDDLE = timedelta(days=3)
_WEEK = timedelta(days=7)


class Frequency(Enum):
    """How long a period is."""

    MONTHLY = "MONTHLY"
    WEEKLY = "WEEKLY"


@dataclass(frozen=True, slots=True)
class TimePeriod:
    """A named span of days: 2026-11 or 2026-W48."""

    name: str
    span: Period


@dataclass(frozen=True, slots=True)
class TimeCalendar:
    """Which days make a time period and a work week, and how close two punches may be.

    Invariants: periods of one calendar follow each other without a gap; a week is named by the ISO week that holds
    its middle day, which is the ISO week itself where it starts on Monday.
    """

    code: str
    name: str = ""
    frequency: Frequency = Frequency.MONTHLY
    cutoff_day: int = 0  # last day of a monthly period, 0 for the last of the month
    work_week_start: int = 0  # Monday is 0
    debounce_seconds: int = 60

    def __post_init__(self) -> None:
        if not 0 <= self.cutoff_day <= 28:
            raise InvalidValue("the cut-off is a day from 1 to 28, or 0 for the end of the month", field="cutoff_day")
        if not 0 <= self.work_week_start <= 6:
            raise InvalidValue("the work week starts on one of seven days", field="work_week_start")
        if not 0 <= self.debounce_seconds <= 3600:
            raise InvalidValue("the debounce window is at most an hour", field="debounce_seconds")

    def period_of(self, day: date) -> TimePeriod:
        """The period that holds the day."""
        if self.frequency is Frequency.WEEKLY:
            start = self.work_week(day)
            return TimePeriod(_week_name(start + _MIDDLE), Period(start, start + _WEEK))
        month = day.year * 12 + day.month - 1
        if self.cutoff_day and day.day > self.cutoff_day:
            month += 1
        return self._month(*divmod(month, 12))

    def named(self, name: str) -> TimePeriod:
        """The period of that name. Raises PeriodUnknown."""
        weekly = name[5:6] == "W"
        if weekly is not (self.frequency is Frequency.WEEKLY):
            raise PeriodUnknown(
                f"the time calendar has {self.frequency.value.lower()} periods", field="period", period=name
            )
        try:
            year = int(name[:4])
            if not _FIRST_YEAR <= year <= _LAST_YEAR:
                raise ValueError(name)
            if not weekly:
                return self._month(year, int(name[5:]) - 1)
            middle = date.fromisocalendar(year, int(name[6:]), (self.work_week_start + 3) % 7 + 1)
        except ValueError as error:
            raise PeriodUnknown("name a period such as 2026-11 or 2026-W48", field="period", period=name) from error
        return self.period_of(middle)

    def work_week(self, day: date) -> date:
        """The first day of the work week that holds the day."""
        return day - timedelta(days=(day.weekday() - self.work_week_start) % 7)

    def _month(self, year: int, month0: int) -> TimePeriod:
        named = Period.month(year, month0 + 1)
        if not self.cutoff_day:
            return TimePeriod(f"{year:04}-{month0 + 1:02}", named)
        before = (named.start - timedelta(days=1)).replace(day=self.cutoff_day)
        last = named.start.replace(day=self.cutoff_day)
        return TimePeriod(f"{year:04}-{month0 + 1:02}", Period(before + timedelta(days=1), last + timedelta(days=1)))


NATURAL_MONTHS = TimeCalendar(code="", name="Calendar months, weeks from Monday")


def widest_span(name: str) -> Period:
    """Days that hold the period of that name in every calendar. Raises PeriodUnknown."""
    if name[5:6] == "W":
        calendars = [TimeCalendar("", frequency=Frequency.WEEKLY, work_week_start=day) for day in (3, 4)]
    else:
        calendars = [TimeCalendar("", cutoff_day=day) for day in (0, 1)]
    spans = [calendar.named(name).span for calendar in calendars]
    return Period(min(span.start for span in spans), max(span.end for span in spans))


def _week_name(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year:04}-W{week:02}"
