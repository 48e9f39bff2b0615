"""What payroll reads: minutes by work date, day kind and pay code, and their sums."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from contexts.attendance.domain.catalog import DayKind

REGULAR = "REGULAR"
OVERTIME = "OVERTIME"
NIGHT = "NIGHT"
LATE = "LATE"
EARLY_LEAVE = "EARLY_LEAVE"
ABSENT = "ABSENT"
RESERVED_PAY_CODES = frozenset({REGULAR, OVERTIME, NIGHT, LATE, EARLY_LEAVE, ABSENT})

_KINDS = tuple(DayKind)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Minutes of one work date that count alike.

    Invariants: REGULAR and OVERTIME of a timesheet add up to its worked minutes; NIGHT is part of them; the others
    are planned minutes that were not worked. `paid_share` is there for absences only.
    """

    work_date: date
    day_kind: DayKind
    work_week: date  # first day of the work week
    pay_code: str
    minutes: int
    planned_minutes: int  # of the work date, 0 on a day off
    paid_share: Decimal | None = None

    def place(self) -> tuple[date, int, str, str]:
        """Where it stands among the buckets of its timesheet."""
        share = "" if self.paid_share is None else str(self.paid_share)
        return self.work_date, _KINDS.index(self.day_kind), self.pay_code, share


@dataclass(frozen=True, slots=True)
class Tally:
    """Minutes of an occurrence, or of many together.

    Invariants: planned = regular + late + early leave + absent + absence, once every punch has its counterpart.
    """

    planned_minutes: int = 0
    planned_days: int = 0
    regular_minutes: int = 0
    overtime_workday_minutes: int = 0
    overtime_rest_day_minutes: int = 0
    overtime_holiday_minutes: int = 0
    unapproved_overtime_minutes: int = 0
    night_minutes: int = 0
    late_minutes: int = 0
    early_leave_minutes: int = 0
    absent_minutes: int = 0
    absence_minutes: int = 0
    late_count: int = 0
    early_leave_count: int = 0

    @property
    def worked_minutes(self) -> int:
        """Regular work and overtime that counts."""
        return (
            self.regular_minutes
            + self.overtime_workday_minutes
            + self.overtime_rest_day_minutes
            + self.overtime_holiday_minutes
        )


def hours(minutes: int) -> Decimal:
    """Minutes as hours."""
    return Decimal(minutes) / 60


def sums(tallies: Iterable[Tally]) -> Tally:
    """All of them together."""
    rows = [
        (
            tally.planned_minutes, tally.planned_days, tally.regular_minutes, tally.overtime_workday_minutes,
            tally.overtime_rest_day_minutes, tally.overtime_holiday_minutes, tally.unapproved_overtime_minutes,
            tally.night_minutes, tally.late_minutes, tally.early_leave_minutes, tally.absent_minutes,
            tally.absence_minutes, tally.late_count, tally.early_leave_count,
        )
        for tally in tallies
    ]  # fmt: skip
    return Tally(*(sum(column) for column in zip(*rows, strict=True)))


NOTHING_COUNTED = Tally()


@dataclass(frozen=True, slots=True)
class PeriodTotals:
    """The totals of one timesheet as one of its versions recorded them.

    Invariants: the buckets stand in order of their places; `paid_days` has a digit for each day of the period, 1 where
    its pay is shared over the day (holidays on planned days, and days outside the employment, included), or is empty
    where the assignment has no schedule.
    """

    buckets: tuple[Bucket, ...] = ()
    tally: Tally = NOTHING_COUNTED
    paid_days: str = ""
    standard_day_minutes: int = 0  # planned minutes of the longest of those days


NO_TOTALS = PeriodTotals()
