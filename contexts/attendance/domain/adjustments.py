"""Late changes of a locked timesheet: minutes that move between buckets of one work date."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from contexts.attendance.domain.catalog import DayKind
from contexts.attendance.domain.errors import AdjustmentBelowZero, AdjustmentUnbalanced
from contexts.attendance.domain.totals import (
    ABSENT,
    EARLY_LEAVE,
    LATE,
    NIGHT,
    OVERTIME,
    REGULAR,
    RESERVED_PAY_CODES,
    Bucket,
    PeriodTotals,
    Tally,
)

LINES_MAX = 20  # of one adjustment

Place = tuple[date, DayKind, str, Decimal | None]


@dataclass(frozen=True, slots=True)
class AdjustmentLine:
    """Minutes more (or, below zero, less) that count alike."""

    pay_code: str
    day_kind: DayKind
    minutes: int
    paid_share: Decimal | None = None  # of an absence

    @property
    def owed(self) -> bool:
        """Whether the minutes are a part of what is owed, which only changes its name."""
        return self.pay_code not in (OVERTIME, NIGHT)


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A change after lock; it keeps its work date and never moves to another period.

    Invariants: `cause` is the correction or overtime request that it comes of, None where somebody entered the lines.
    """

    id: UUID
    work_date: date
    lines: tuple[AdjustmentLine, ...]
    reason: str
    by: str
    at: datetime
    cause: UUID | None = None


def check_lines(lines: Sequence[AdjustmentLine]) -> None:
    """Raises AdjustmentUnbalanced where owed minutes would appear or vanish, or a line cannot be on its day."""
    if sum(line.minutes for line in lines if line.owed):
        raise AdjustmentUnbalanced(
            "what is worked more must be missing less: owed minutes (all but OVERTIME and NIGHT) add up to 0",
            field="lines",
        )
    for index, line in enumerate(lines):
        if line.owed and line.day_kind is not DayKind.WORKDAY:
            raise AdjustmentUnbalanced(
                "on rest days and holidays nothing is owed: only OVERTIME and NIGHT", field=f"lines[{index}].day_kind"
            )
        if (line.paid_share is None) is not (line.pay_code in RESERVED_PAY_CODES):
            raise AdjustmentUnbalanced(
                "an absence has a share of pay that goes on, other pay codes have none",
                field=f"lines[{index}].paid_share",
            )


def adjusted(
    totals: PeriodTotals, adjustments: Iterable[Adjustment], planned: Mapping[date, int], weeks: Mapping[date, date]
) -> PeriodTotals:
    """The totals with the lines of these adjustments. Raises AdjustmentBelowZero.

    `planned` and `weeks` are the planned minutes and first day of the work week of each work date.
    """
    minutes = {_place(bucket): bucket.minutes for bucket in totals.buckets}
    for adjustment in adjustments:
        for line in adjustment.lines:
            place = (adjustment.work_date, line.day_kind, line.pay_code, line.paid_share)
            minutes[place] = minutes.get(place, 0) + line.minutes
    for (day, _, code, _), count in minutes.items():
        if count < 0:
            raise AdjustmentBelowZero(
                f"on {day} there are {-count} minutes of {code} too few to take away", field="lines", work_date=day
            )
    _check_nights(minutes)
    buckets = [
        Bucket(day, kind, weeks[day], code, count, planned[day], share)
        for (day, kind, code, share), count in minutes.items()
        if count
    ]
    buckets.sort(key=Bucket.place)
    return replace(totals, buckets=tuple(buckets), tally=_tally(buckets, totals.tally))


def _check_nights(minutes: Mapping[Place, int]) -> None:
    worked: dict[date, int] = {}
    nights: dict[date, int] = {}
    for (day, _, code, _), count in minutes.items():
        if code in (REGULAR, OVERTIME):
            worked[day] = worked.get(day, 0) + count
        elif code == NIGHT:
            nights[day] = nights.get(day, 0) + count
    for day, count in nights.items():
        if count > worked.get(day, 0):
            raise AdjustmentBelowZero(
                f"on {day} more minutes would be NIGHT than are worked; take NIGHT away too",
                field="lines",
                work_date=day,
            )


def _place(bucket: Bucket) -> Place:
    return bucket.work_date, bucket.day_kind, bucket.pay_code, bucket.paid_share


def _tally(buckets: Sequence[Bucket], before: Tally) -> Tally:
    def of(code: str, kind: DayKind | None = None) -> int:
        return sum(one.minutes for one in buckets if one.pay_code == code and kind in (None, one.day_kind))

    return replace(
        before,
        regular_minutes=of(REGULAR),
        overtime_workday_minutes=of(OVERTIME, DayKind.WORKDAY),
        overtime_rest_day_minutes=of(OVERTIME, DayKind.REST_DAY),
        overtime_holiday_minutes=of(OVERTIME, DayKind.HOLIDAY),
        night_minutes=of(NIGHT),
        late_minutes=of(LATE),
        early_leave_minutes=of(EARLY_LEAVE),
        absent_minutes=of(ABSENT),
        absence_minutes=sum(one.minutes for one in buckets if one.pay_code not in RESERVED_PAY_CODES),
        late_count=len({one.work_date for one in buckets if one.pay_code == LATE}),
        early_leave_count=len({one.work_date for one in buckets if one.pay_code == EARLY_LEAVE}),
    )


def differences(before: Sequence[Bucket], after: Sequence[Bucket]) -> dict[date, tuple[AdjustmentLine, ...]]:
    """What became more or less, by work date; only dates on which anything did."""
    change: dict[Place, int] = {}
    for buckets, sign in ((before, -1), (after, 1)):
        for bucket in buckets:
            change[_place(bucket)] = change.get(_place(bucket), 0) + sign * bucket.minutes
    found: dict[date, list[AdjustmentLine]] = {}
    for (day, kind, code, share), count in change.items():
        if count:
            found.setdefault(day, []).append(AdjustmentLine(code, kind, count, share))
    return {
        day: tuple(sorted(lines, key=lambda line: (line.day_kind.value, line.pay_code)))
        for day, lines in sorted(found.items())
    }
