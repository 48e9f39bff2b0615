"""Employee facts from the wire as the frozen, canonical JSON values that the engine computes from.

The message's rules are checked here, once per employee and as part of reading it: the general validation of requests
would cost as much as the calculation.
"""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

from google.type.date_pb2 import Date
from muster.payroll.v1 import employee_facts_pb2 as pb

from contexts.payroll.domain.arithmetic import plain
from contexts.payroll.domain.engine import Plan
from contexts.payroll.domain.errors import Blocked, FactsInvalid
from contexts.payroll.domain.header import Header

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?")
_SHARE = re.compile(r"0(\.[0-9]{1,6})?|1(\.0{1,6})?")
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,39}")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
_PLANNED = re.compile(r"[01]{0,366}")
_UNITS = {
    pb.COMPENSATION_UNIT_HOUR: "HOUR",
    pb.COMPENSATION_UNIT_DAY: "DAY",
    pb.COMPENSATION_UNIT_WEEK: "WEEK",
    pb.COMPENSATION_UNIT_MONTH: "MONTH",
    pb.COMPENSATION_UNIT_YEAR: "YEAR",
}
_DAY_KINDS = {
    pb.DAY_KIND_WORKDAY: "WORKDAY",
    pb.DAY_KIND_REST_DAY: "REST_DAY",
    pb.DAY_KIND_HOLIDAY: "HOLIDAY",
}
_FIRST_DAY, _LAST_DAY = -25_567, 2_932_896  # 1900-01-01 and 9999-12-31, since 1970-01-01
_MOST_MINUTES = 2 * 24 * 60  # of one work date: a shift may run over midnight
_MAX_SEGMENTS, _MAX_LINES, _MAX_DAYS, _MAX_ALLOWANCES, _MAX_VALUES, _MAX_SOURCES = 100, 200, 400, 40, 60, 20

_written: dict[str, str] = {"0": "0", "1": "1"}  # amounts as canonical text; round amounts come again and again
_MAX_WRITTEN = 20_000
_known_keys: set[str] = set()  # texts that passed their check before
_known_plans: set[str] = set()
_MAX_KNOWN = 1000


def facts_document(message: pb.EmployeeFacts, header: Header, plan: Plan) -> dict[str, Any]:
    """The frozen facts of one employee. Raises FactsInvalid, and Blocked where only this employee cannot be paid."""
    employee = message.employee_id
    if not _UUID.fullmatch(employee):
        raise FactsInvalid("an employee id is a UUID in lower case", field="facts.employee_id")
    if len(message.segments) > _MAX_SEGMENTS or len(message.time_lines) > _MAX_LINES:
        raise _wrong(employee, "segments", f"at most {_MAX_SEGMENTS} segments and {_MAX_LINES} time lines")
    if len(message.statutory_values) > _MAX_VALUES or len(message.sources) > _MAX_SOURCES:
        raise _wrong(employee, "statutory_values", f"at most {_MAX_VALUES} values and {_MAX_SOURCES} sources")
    period_days = (header.end - header.start).days
    segments = [_segment(employee, segment, header, period_days) for segment in message.segments]
    if len(segments) > 1:
        segments.sort(key=_by_assignment_and_day)
        _must_not_overlap(employee, segments)
    time = []
    for line in message.time_lines:
        share = _share(employee, line)
        if plan.reads_time(line.pay_code, share):
            time.append(_time_line(employee, line, share))
    if len(time) > 1:
        time.sort(key=_by_assignment_and_code)
    values = _values(employee, message.statutory_values)
    if plan.statutory is not None and message.statutory_country == header.country:
        values = plan.statutory.completed(values, header.start)
    return {
        "employee": employee,
        "hired": _optional_date(message.hire_date) if message.HasField("hire_date") else None,
        "left": _optional_date(message.termination_date) if message.HasField("termination_date") else None,
        "segments": segments,
        "sources": sorted(message.sources),
        "statutory": {"country": message.statutory_country, "values": values},
        "time": time,
    }


def _segment(employee: str, message: pb.PaySegment, header: Header, period_days: int) -> dict[str, Any]:
    if message.currency != header.currency:
        raise Blocked(
            "CURRENCY_MISMATCH", f"the pay group pays in {header.currency}; correct the compensation", message.currency
        )
    unit = _UNITS.get(message.compensation_unit)
    planned = message.planned_days
    if unit is None or not _UUID.fullmatch(message.assignment_id):
        raise _wrong(employee, "segments", "a segment needs an assignment id and a compensation unit")
    if planned and planned not in _known_plans:
        if not _PLANNED.fullmatch(planned):
            raise _wrong(employee, "segments.planned_days", "digits 0 and 1 only")
        if len(_known_plans) < _MAX_KNOWN:
            _known_plans.add(planned)
    if planned and len(planned) != period_days:
        raise _wrong(employee, "segments.planned_days", f"one digit 0 or 1 per day of the period, {period_days} in all")
    if len(message.allowances) > _MAX_ALLOWANCES or len(message.department) > 40:
        raise _wrong(employee, "segments.allowances", f"at most {_MAX_ALLOWANCES} allowances")
    start, end = _date(employee, message.start_date), _date(employee, message.end_date)
    if start >= end:
        raise _wrong(employee, "segments.end_date", "a segment ends after it starts")
    return {
        "allowances": {
            _code(employee, code): _number(employee, "segments.allowances", amount)
            for code, amount in message.allowances.items()
        },
        "amount": _number(employee, "segments.compensation_amount", message.compensation_amount),
        "assignment": message.assignment_id,
        "day_minutes": message.standard_day_minutes or 480,
        "department": message.department,
        "from": start,
        "fte": _number(employee, "segments.fte", message.fte or "1"),
        "planned": planned,
        "to": end,
        "unit": unit,
    }


def _time_line(employee: str, message: pb.TimeLine, share: str) -> dict[str, Any]:
    kind = _DAY_KINDS.get(message.day_kind)
    days, minutes = list(message.work_days), list(message.minutes)
    if kind is None or not _CODE.fullmatch(message.pay_code) or not _UUID.fullmatch(message.assignment_id):
        raise _wrong(employee, "time_lines", "a time line needs an assignment id, a day kind and a pay code")
    if len(days) != len(minutes) or not 0 < len(days) <= _MAX_DAYS:
        raise _wrong(employee, "time_lines.minutes", f"as many minutes as work days, 1 to {_MAX_DAYS}")
    if days[0] < _FIRST_DAY or days[-1] > _LAST_DAY or (len(days) > 1 and days != sorted(set(days))):
        raise _wrong(employee, "time_lines.work_days", "work days rise")
    if max(minutes) > _MOST_MINUTES or min(minutes) < -_MOST_MINUTES:
        raise _wrong(employee, "time_lines.minutes", f"at most {_MOST_MINUTES} minutes of one work date")
    return {
        "assignment": message.assignment_id,
        "day_kind": kind,
        "days": [list(pair) for pair in zip(days, minutes, strict=True)],
        "paid_share": share,
        "pay_code": message.pay_code,
    }


def _share(employee: str, message: pb.TimeLine) -> str:
    share = message.paid_share
    if not share:
        return "0" if message.pay_code == "ABSENT" else "1"
    if not _SHARE.fullmatch(share):
        raise _wrong(employee, "time_lines.paid_share", "a decimal from 0 to 1")
    return _number(employee, "time_lines.paid_share", share)


def _values(employee: str, given: Mapping[str, str]) -> dict[str, str]:
    values = {}
    for key, text in given.items():
        if key not in _known_keys:
            if not _KEY.fullmatch(key):
                raise _wrong(employee, "statutory_values", "keys of at most 60 letters, digits and _.-")
            if len(_known_keys) < _MAX_KNOWN:
                _known_keys.add(key)
        number = _written.get(text)
        if number is None:
            if len(text) > 100:
                raise _wrong(employee, "statutory_values", "values of at most 100 characters")
            number = _number(employee, "statutory_values", text) if _NUMBER.fullmatch(text) else text
        values[key] = number
    return values


def _number(employee: str, field: str, text: str) -> str:
    known = _written.get(text)
    if known is not None:
        return known
    if not _NUMBER.fullmatch(text):
        raise _wrong(employee, field, "a decimal of at most 12 digits and 6 after the point")
    number = plain(Decimal(text))
    if len(_written) < _MAX_WRITTEN:
        _written[text] = number
    return number


def _code(employee: str, text: str) -> str:
    if not _KEY.fullmatch(text) or len(text) > 40:
        raise _wrong(employee, "segments.allowances", "an allowance code has at most 40 letters and digits")
    return text


def _date(employee: str, message: Date) -> str:
    try:
        return date(message.year, message.month, message.day).isoformat()
    except ValueError:
        raise _wrong(employee, "segments.start_date", "a date of the calendar") from None


def _optional_date(message: Date) -> str | None:
    if not message.year:
        return None
    try:
        return date(message.year, message.month, message.day).isoformat()
    except ValueError:
        raise FactsInvalid("a date of the calendar", field="facts.hire_date") from None


def _must_not_overlap(employee: str, segments: list[dict[str, Any]]) -> None:
    for before, after in pairwise(segments):
        if before["assignment"] == after["assignment"] and before["to"] > after["from"]:
            raise _wrong(employee, "segments", "segments of one assignment do not overlap")


def _by_assignment_and_day(segment: dict[str, Any]) -> tuple[str, str]:
    return segment["assignment"], segment["from"]


def _by_assignment_and_code(line: dict[str, Any]) -> tuple[str, str, str, str]:
    return line["assignment"], line["pay_code"], line["day_kind"], line["paid_share"]


def _wrong(employee: str, field: str, rule: str) -> FactsInvalid:
    return FactsInvalid(f"facts of {employee}: {rule}", field=f"facts.{field}", employee_id=employee)


def employee_of(message: pb.EmployeeFacts) -> UUID:
    """The employee's id. Raises FactsInvalid."""
    if not _UUID.fullmatch(message.employee_id):
        raise FactsInvalid("an employee id is a UUID in lower case", field="facts.employee_id")
    return UUID(message.employee_id)
