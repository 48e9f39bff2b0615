"""What payroll must know of an employee, made from what organization and attendance say."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from google.type.date_pb2 import Date
from muster.attendance.v1 import timesheet_pb2
from muster.organization.v1 import employee_pb2
from muster.payroll.v1 import employee_facts_pb2

_LOCKED = timesheet_pb2.TIMESHEET_STATUS_LOCKED
_MONTH = employee_pb2.PAY_UNIT_MONTH
NOT_PAID = "NONE"  # the base of a contribution that is not paid, as people write it
_BASES = ("social_insurance_base", "housing_fund_base")
_EPOCH = date(1970, 1, 1).toordinal()
_NOWHERE: frozenset[int] = frozenset()
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
    withholder: str = "",
) -> employee_facts_pb2.EmployeeFacts:
    """One employee's facts for the pay period from `first_day` up to but not including `end_day`.

    `totals` are the employee's of all time periods that the pay period pays. A timesheet that is missing or not
    locked becomes a blocker with its reason, never a gap; so do days with another employer than `withholder`, the
    legal entity that holds the pay group's registration ("" where the org chart does not say).
    """
    by_assignment: dict[str, list[timesheet_pb2.PeriodTotals]] = {}
    for each in totals:
        by_assignment.setdefault(each.assignment_id, []).append(each)
    facts = employee_facts_pb2.EmployeeFacts(employee_id=employee.employee_id)
    planned: dict[str, tuple[str, int]] = {}
    not_monthly: set[str] = set()
    segments = employee.segments
    for segment in segments if len(segments) == 1 else _merged(segments):
        work = segment.work
        assignment, compensation = work.assignment, work.compensation
        assignment_id = assignment.assignment_id
        plan = planned.get(assignment_id)
        if plan is None:
            plan = planned[assignment_id] = _plan(by_assignment.get(assignment_id, ()), first_day, end_day)
        allowances = {}
        for allowance in work.allowances:
            allowances[allowance.code] = allowance.amount
            if allowance.unit != _MONTH:
                not_monthly.add(allowance.code)
        facts.segments.add(
            assignment_id=assignment_id,
            start_date=segment.start_date,
            end_date=segment.end_date,
            compensation_amount=compensation.amount or "0",
            # The units have the same numbers on both sides; a test compares them.
            compensation_unit=int(compensation.unit) or employee_facts_pb2.COMPENSATION_UNIT_MONTH,
            currency=compensation.currency or "CNY",
            fte=assignment.fte or "1",
            allowances=allowances,
            department=assignment.department,
            planned_days=plan[0],
            standard_day_minutes=plan[1],
        )
    for employer in _other_employers(segments, withholder):
        facts.blockers.add(reason="WITHHOLDER_MISMATCH", subject=employer)
    elsewhere = _paid_elsewhere(employee, first_day, end_day)
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
                _add_time_lines(facts, sheet, elsewhere.get(assignment_id, _NOWHERE))
                facts.sources.append(f"timesheet:{sheet.timesheet_id}:{sheet.etag}")
    for code in sorted(not_monthly):
        facts.blockers.add(reason="ALLOWANCE_NOT_MONTHLY", subject=code)
    _statutory(facts, segments, country)
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


def _other_employers(segments: Sequence[employee_pb2.PaySegment], withholder: str) -> list[str]:
    """The employers of these days for whom the pay group's registration may not withhold."""
    employers = {segment.work.assignment.legal_entity for segment in segments} - {""}
    if withholder:
        return sorted(employers - {withholder})
    return sorted(employers) if len(employers) > 1 else []  # whoever withholds, it is wrong for one of them


def _paid_elsewhere(
    employee: employee_pb2.PaySliceEmployee, first_day: date, end_day: date
) -> Mapping[str, frozenset[int]]:
    """Days of the period (since 1970) in employment but in another pay group, whose run pays their time."""
    first, end = first_day.toordinal(), end_day.toordinal()
    segments = employee.segments
    if len(segments) == 1 and (_ordinal(segments[0].start_date), _ordinal(segments[0].end_date)) == (first, end):
        return {}
    here: dict[str, set[int]] = {}
    for segment in segments:
        days = here.setdefault(segment.work.assignment.assignment_id, set())
        days.update(range(_ordinal(segment.start_date), _ordinal(segment.end_date)))
    if all(len(days) == end - first for days in here.values()):
        return {}
    employed: set[int] = set()
    for spell in employee.employments:
        last = _ordinal(spell.end_date) + 1 if spell.HasField("end_date") else end
        employed.update(range(max(_ordinal(spell.hire_date), first), min(last, end)))
    return {assignment: frozenset(day - _EPOCH for day in employed - days) for assignment, days in here.items()}


def _add_time_lines(
    facts: employee_facts_pb2.EmployeeFacts, sheet: timesheet_pb2.PeriodTotals, elsewhere: frozenset[int]
) -> None:
    """A timesheet's lines with each work date once, without those days."""
    assignment_id = sheet.assignment_id
    for line in sheet.lines:
        days, minutes = line.work_days[:], line.minutes[:]
        if elsewhere and not elsewhere.isdisjoint(days):
            kept = [pair for pair in zip(days, minutes, strict=True) if pair[0] not in elsewhere]
            if not kept:
                continue
            days, minutes = [day for day, _ in kept], [worked for _, worked in kept]
        if len(set(days)) != len(days):
            by_day: dict[int, int] = {}
            for day, worked in zip(days, minutes, strict=True):
                by_day[day] = by_day.get(day, 0) + worked
            days, minutes = list(by_day), list(by_day.values())
        facts.time_lines.add(
            assignment_id=assignment_id,
            day_kind=int(line.day_kind),  # the kinds have the same numbers on both sides; a test compares them
            pay_code=line.pay_code,
            paid_share=line.paid_share,
            work_days=days,
            minutes=minutes,
        )


def _statutory(
    facts: employee_facts_pb2.EmployeeFacts, segments: Sequence[employee_pb2.PaySegment], country: str
) -> None:
    if not segments:
        return
    last = segments[0] if len(segments) == 1 else max(segments, key=lambda segment: _ordinal(segment.start_date))
    for profile in last.work.statutory_profiles:
        if profile.country == country:
            facts.statutory_country = country
            facts.statutory_values.MergeFrom(profile.values)
            for base in _BASES:
                if facts.statutory_values.get(base) == NOT_PAID:
                    facts.statutory_values[base] = ""  # payroll's word; with organization it takes an answer back


def _spell(
    facts: employee_facts_pb2.EmployeeFacts,
    employments: Sequence[employee_pb2.Employment],
    first_day: date,
    end_day: date,
) -> None:
    """The latest spell that touches the period."""
    first, end = first_day.toordinal(), end_day.toordinal()
    for spell in employments:
        left = spell.end_date if spell.HasField("end_date") else None
        if _ordinal(spell.hire_date) < end and (left is None or _ordinal(left) >= first):
            facts.hire_date.CopyFrom(spell.hire_date)
            if left is None:
                facts.ClearField("termination_date")
            else:
                facts.termination_date.CopyFrom(left)


def _ordinal(day: Date) -> int:
    return date(day.year, day.month, day.day).toordinal()
