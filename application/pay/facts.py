"""What payroll must know of an employee, made from what organization and attendance say."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from google.protobuf.message import Message
from google.type.date_pb2 import Date
from muster.attendance.v1 import timesheet_pb2
from muster.organization.v1 import employee_pb2
from muster.payroll.v1 import employee_facts_pb2

_EPOCH = date(1970, 1, 1).toordinal()
_LOCKED = timesheet_pb2.TIMESHEET_STATUS_LOCKED
_NOT_LOCKED = {
    timesheet_pb2.TIMESHEET_STATUS_UNSPECIFIED: "TIMESHEET_OPEN",
    timesheet_pb2.TIMESHEET_STATUS_OPEN: "TIMESHEET_OPEN",
}


def employee_facts(
    employee: employee_pb2.PaySliceEmployee,
    totals: Sequence[timesheet_pb2.PeriodTotals],
    first_day: date,
    end_day: date,
    country: str,
) -> employee_facts_pb2.EmployeeFacts:
    """One employee's facts for the pay period from `first_day` up to but not including `end_day`.

    `totals` are the employee's of all time periods that the pay period pays. A timesheet that is missing or not
    locked becomes a blocker with its reason, never a gap.
    """
    by_assignment: dict[str, list[timesheet_pb2.PeriodTotals]] = {}
    for each in totals:
        by_assignment.setdefault(each.assignment_id, []).append(each)
    facts = employee_facts_pb2.EmployeeFacts(employee_id=employee.employee_id, statutory_country="")
    planned: dict[str, tuple[str, int]] = {}
    for segment in _merged(employee.segments):
        work = segment.work
        assignment = work.assignment
        plan = planned.get(assignment.assignment_id)
        if plan is None:
            plan = planned[assignment.assignment_id] = _plan(
                by_assignment.get(assignment.assignment_id, ()), first_day, end_day
            )
        facts.segments.add(
            assignment_id=assignment.assignment_id,
            start_date=segment.start_date,
            end_date=segment.end_date,
            compensation_amount=work.compensation.amount or "0",
            # The units have the same numbers on both sides; a test compares them.
            compensation_unit=int(work.compensation.unit) or employee_facts_pb2.COMPENSATION_UNIT_MONTH,
            currency=work.compensation.currency or "CNY",
            fte=assignment.fte or "1",
            allowances={allowance.code: allowance.amount for allowance in work.allowances},
            department=assignment.department,
            planned_days=plan[0],
            standard_day_minutes=plan[1],
        )
    for assignment_id in planned:
        sheets = by_assignment.get(assignment_id)
        if not sheets:
            facts.blockers.add(reason="TIMESHEET_MISSING", subject=assignment_id)
            continue
        for sheet in sheets:
            if sheet.status != _LOCKED:
                reason = _NOT_LOCKED.get(sheet.status, "TIMESHEET_NOT_LOCKED")
                facts.blockers.add(reason=reason, subject=sheet.timesheet_id)
            else:
                facts.time_lines.extend(_time_lines(sheet))
                facts.sources.append(f"timesheet:{sheet.timesheet_id}:{sheet.etag}")
    for code in sorted(
        {
            allowance.code
            for segment in employee.segments
            for allowance in segment.work.allowances
            if allowance.unit != employee_pb2.PAY_UNIT_MONTH
        }
    ):
        facts.blockers.add(reason="ALLOWANCE_NOT_MONTHLY", subject=code)
    _statutory(facts, employee.segments, country)
    _spell(facts, employee.employments, first_day, end_day)
    return facts


def _merged(segments: Sequence[employee_pb2.PaySegment]) -> Iterator[employee_pb2.PaySegment]:
    """Pieces that differ only in what payroll does not use (a manager, a position) become one."""
    kept: employee_pb2.PaySegment | None = None
    kept_key: tuple[object, ...] = ()
    for segment in segments:
        work = segment.work
        assignment = work.assignment
        key = (
            assignment.assignment_id,
            assignment.fte,
            assignment.department,
            work.compensation.amount,
            work.compensation.currency,
            work.compensation.unit,
            tuple((allowance.code, allowance.amount, allowance.unit) for allowance in work.allowances),
        )
        if kept is not None and key == kept_key and kept.end_date == segment.start_date:
            longer = employee_pb2.PaySegment()
            longer.CopyFrom(segment)
            longer.start_date.CopyFrom(kept.start_date)
            kept = longer
            continue
        if kept is not None:
            yield kept
        kept, kept_key = segment, key
    if kept is not None:
        yield kept


def _plan(sheets: Iterable[timesheet_pb2.PeriodTotals], first_day: date, end_day: date) -> tuple[str, int]:
    """Which days of the pay period were planned, and the minutes of a standard day; empty where a day is not known."""
    known: dict[int, str] = {}
    minutes = 0
    for sheet in sheets:
        start = _ordinal(sheet.start_date)
        if start == first_day.toordinal() and len(sheet.planned_days) == (end_day - first_day).days:
            return sheet.planned_days, sheet.standard_day_minutes
        known.update((start + offset, mark) for offset, mark in enumerate(sheet.planned_days))
        minutes = max(minutes, sheet.standard_day_minutes)
    days = range(first_day.toordinal(), end_day.toordinal())
    if not all(day in known for day in days):
        return "", minutes
    return "".join(known[day] for day in days), minutes


def _time_lines(sheet: timesheet_pb2.PeriodTotals) -> Iterator[employee_facts_pb2.TimeLine]:
    """A timesheet's buckets, packed by kind of day, pay code and paid share."""
    packed: dict[tuple[int, str, str], tuple[list[int], list[int]]] = {}
    for bucket in sheet.buckets:
        days, minutes = packed.setdefault((bucket.day_kind, bucket.pay_code, bucket.paid_share), ([], []))
        day = _ordinal(bucket.work_date) - _EPOCH
        if days and days[-1] == day:
            minutes[-1] += bucket.minutes
        else:
            days.append(day)
            minutes.append(bucket.minutes)
    for (day_kind, pay_code, paid_share), (days, minutes) in packed.items():
        yield employee_facts_pb2.TimeLine(
            assignment_id=sheet.assignment_id,
            day_kind=day_kind,  # type: ignore[arg-type]
            pay_code=pay_code,
            paid_share=paid_share,
            work_days=days,
            minutes=minutes,
        )


def _statutory(
    facts: employee_facts_pb2.EmployeeFacts, segments: Sequence[employee_pb2.PaySegment], country: str
) -> None:
    if not segments:
        return
    last = max(segments, key=lambda segment: _ordinal(segment.start_date))
    for profile in last.work.statutory_profiles:
        if profile.country == country:
            facts.statutory_country = country
            facts.statutory_values.update(profile.values)


def _spell(
    facts: employee_facts_pb2.EmployeeFacts,
    employments: Sequence[employee_pb2.Employment],
    first_day: date,
    end_day: date,
) -> None:
    for spell in employments:
        ended = _ordinal(spell.end_date) if spell.HasField("end_date") else date.max.toordinal()
        if _ordinal(spell.hire_date) < end_day.toordinal() and ended >= first_day.toordinal():
            facts.hire_date.CopyFrom(spell.hire_date)
            _copy(facts.termination_date, spell.end_date if spell.HasField("end_date") else None)


def _copy(target: Message, source: Message | None) -> None:
    if source is None:
        target.Clear()
    else:
        target.CopyFrom(source)


def _ordinal(day: Date) -> int:
    return date(day.year, day.month, day.day).toordinal()
