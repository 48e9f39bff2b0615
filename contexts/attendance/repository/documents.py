"""Values as stored JSON, and back."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

from contexts.attendance.domain.adjustments import Adjustment, AdjustmentLine
from contexts.attendance.domain.badges import Holding
from contexts.attendance.domain.catalog import (
    CalendarDay,
    DayKind,
    Definition,
    FlexibleHours,
    HolidayCalendar,
    MidnightRule,
    OvertimePolicy,
    OvertimeRule,
    PresenceRule,
    PunchedBreak,
    Shift,
    WorkSchedule,
)
from contexts.attendance.domain.periods import Frequency, TimeCalendar
from contexts.attendance.domain.punches import Direction, Stamp
from contexts.attendance.domain.requests import Asked, Correction, OvertimeRequest, RequestStatus
from contexts.attendance.domain.roster import Placement
from contexts.attendance.domain.rounding import PunchRounding, RoundingMode
from contexts.attendance.domain.timesheet import Absence, Grounds, TimesheetState
from kernel.ids import AssignmentId, EmployeeId
from kernel.period import Period


def _json(value: Any) -> bytes:
    return orjson.dumps(value, default=str)


def _span_to(span: Period) -> list[date]:
    return [span.start, span.end]


def _span_from(pair: Sequence[str]) -> Period:
    return Period(date.fromisoformat(pair[0]), date.fromisoformat(pair[1]))


def _placement_to(placement: Placement) -> list[Any]:
    return [
        _span_to(placement.span),
        placement.assignment_id,
        placement.work_schedule,
        placement.time_zone,
        placement.department,
        placement.manager_id,
        placement.pay_group,
        placement.time_calendar,
        placement.punch_exempt,
    ]


def _placement_from(row: Sequence[Any]) -> Placement:
    span, assignment, schedule, zone, department, manager, pay_group, calendar, exempt = row
    return Placement(
        _span_from(span), AssignmentId(UUID(assignment)), schedule, zone, department,
        EmployeeId(UUID(manager)) if manager else None, pay_group, calendar, exempt,
    )  # fmt: skip


def placements_to_json(placements: Sequence[Placement]) -> bytes:
    """The placements of a roster entry."""
    return _json([_placement_to(placement) for placement in placements])


def placements_from_json(document: bytes) -> tuple[Placement, ...]:
    """The placements of a roster entry again."""
    return tuple(_placement_from(row) for row in orjson.loads(document))


def holdings_to_json(holdings: Sequence[Holding]) -> bytes:
    """Whose a badge was."""
    return _json([[one.employee_id, one.since, one.until] for one in holdings])


def holdings_from_json(document: bytes) -> tuple[Holding, ...]:
    """Whose a badge was, again."""
    return tuple(
        Holding(
            EmployeeId(UUID(employee)),
            datetime.fromisoformat(since),
            None if until is None else datetime.fromisoformat(until),
        )
        for employee, since, until in orjson.loads(document)
    )


def _absence_to(absence: Absence) -> list[Any]:
    return [absence.absence_id, absence.code, _span_to(absence.span), absence.minutes, absence.paid_share]


def _absence_from(row: Sequence[Any]) -> Absence:
    absence_id, code, span, minutes, paid_share = row
    return Absence(UUID(absence_id), code, _span_from(span), minutes, Decimal(paid_share))


def _asked_to(asked: Asked) -> list[Any]:
    return [
        asked.reason, asked.by, asked.at, asked.status.value, asked.decided_by, asked.decided_at, asked.note,
    ]  # fmt: skip


def _asked_from(row: Sequence[Any]) -> Asked:
    reason, by, at, status, decided_by, decided_at, note = row
    return Asked(
        reason, by, datetime.fromisoformat(at), RequestStatus(status), decided_by,
        None if decided_at is None else datetime.fromisoformat(decided_at), note,
    )  # fmt: skip


def _correction_to(correction: Correction) -> list[Any]:
    stamp = correction.stamp
    held = None if stamp is None else [stamp.instant, stamp.direction.value]
    return [correction.id, correction.punch_id, held, _asked_to(correction.asked)]


def _correction_from(row: Sequence[Any]) -> Correction:
    id, punch_id, held, asked = UUID(row[0]), row[1], row[2], row[3]
    stamp = None if held is None else Stamp(datetime.fromisoformat(held[0]), Direction(held[1]), id)
    return Correction(id, UUID(punch_id) if punch_id else None, stamp, _asked_from(asked))


def _overtime_to(request: OvertimeRequest) -> list[Any]:
    return [request.id, request.work_date, request.minutes, _asked_to(request.asked)]


def _overtime_from(row: Sequence[Any]) -> OvertimeRequest:
    return OvertimeRequest(UUID(row[0]), date.fromisoformat(row[1]), row[2], _asked_from(row[3]))


def _adjustment_to(adjustment: Adjustment) -> list[Any]:
    lines = [[line.pay_code, line.day_kind.value, line.minutes, line.paid_share] for line in adjustment.lines]
    return [
        adjustment.id, adjustment.work_date, lines, adjustment.reason, adjustment.by, adjustment.at, adjustment.cause,
    ]  # fmt: skip


def _adjustment_from(row: Sequence[Any]) -> Adjustment:
    id, work_date, lines, reason, by, at, cause = row
    return Adjustment(
        UUID(id), date.fromisoformat(work_date),
        tuple(
            AdjustmentLine(code, DayKind(kind), minutes, None if share is None else Decimal(share))
            for code, kind, minutes, share in lines
        ),
        reason, by, datetime.fromisoformat(at), UUID(cause) if cause else None,
    )  # fmt: skip


def timesheet_to_json(state: TimesheetState) -> bytes:
    """What of a timesheet has no column."""
    grounds = state.grounds
    return _json(
        {
            "placements": [_placement_to(placement) for placement in grounds.placements],
            "calendar": _calendar_to(grounds.calendar),
            "roster_version": grounds.roster_version,
            "catalog_version": grounds.catalog_version,
            "absences": [_absence_to(absence) for absence in state.absences],
            "corrections": [_correction_to(one) for one in state.corrections],
            "overtime": [_overtime_to(one) for one in state.overtime],
            "adjustments": [_adjustment_to(one) for one in state.adjustments],
        }
    )


def grounds_from_json(held: dict[str, Any]) -> Grounds:
    """What the timesheet stands on."""
    return Grounds(
        tuple(_placement_from(row) for row in held["placements"]),
        _calendar_from(held["calendar"]),
        held["roster_version"],
        held["catalog_version"],
    )


def absences_from_json(held: dict[str, Any]) -> tuple[Absence, ...]:
    """The timesheet's absences."""
    return tuple(_absence_from(row) for row in held["absences"])


# Timesheets that were stored before these existed have none of them.


def corrections_from_json(held: dict[str, Any]) -> tuple[Correction, ...]:
    """The corrections that were asked for."""
    return tuple(_correction_from(row) for row in held.get("corrections", ()))


def overtime_from_json(held: dict[str, Any]) -> tuple[OvertimeRequest, ...]:
    """The overtime that was asked for."""
    return tuple(_overtime_from(row) for row in held.get("overtime", ()))


def adjustments_from_json(held: dict[str, Any]) -> tuple[Adjustment, ...]:
    """What changed after lock."""
    return tuple(_adjustment_from(row) for row in held.get("adjustments", ()))


# ------------------------------------------------------------------------------------------------- the catalog


def _calendar_to(calendar: TimeCalendar) -> list[Any]:
    return [
        calendar.code, calendar.name, calendar.frequency.value, calendar.cutoff_day, calendar.work_week_start,
        calendar.debounce_seconds,
    ]  # fmt: skip


def _calendar_from(row: Sequence[Any]) -> TimeCalendar:
    code, name, frequency, cutoff, week_start, debounce = row
    return TimeCalendar(code, name, Frequency(frequency), cutoff, week_start, debounce)


def _rounding_from(held: dict[str, Any] | None) -> PunchRounding | None:
    if held is None:
        return None
    return PunchRounding(RoundingMode(held["mode"]), held["increment_minutes"], held["grace_minutes"])


def _spans_from(rows: Sequence[Sequence[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((start, end) for start, end in rows)


def _time_calendar(held: dict[str, Any]) -> TimeCalendar:
    return TimeCalendar(**{**held, "frequency": Frequency(held["frequency"])})


def _shift(held: dict[str, Any]) -> Shift:
    return Shift(
        **{
            **held,
            "spans": _spans_from(held["spans"]),
            "breaks": _spans_from(held["breaks"]),
            "in_rounding": _rounding_from(held["in_rounding"]),
            "out_rounding": _rounding_from(held["out_rounding"]),
            # Shifts that were published before these existed have none of them.
            "paid_breaks": _spans_from(held.get("paid_breaks", ())),
            "punched_breaks": tuple(
                PunchedBreak((row["window"][0], row["window"][1]), row["minutes"])
                for row in held.get("punched_breaks", ())
            ),
            "flexible": _flexible_from(held.get("flexible")),
            "presence": PresenceRule(held.get("presence", PresenceRule.EVERY_PAIR.value)),
        }
    )


def _flexible_from(held: dict[str, Any] | None) -> FlexibleHours | None:
    return None if held is None else FlexibleHours(**{**held, "core": _spans_from(held["core"])})


def _work_schedule(held: dict[str, Any]) -> WorkSchedule:
    start = held["cycle_start"]
    return WorkSchedule(
        **{**held, "days": tuple(held["days"]), "cycle_start": None if start is None else date.fromisoformat(start)}
    )


def _holiday_calendar(held: dict[str, Any]) -> HolidayCalendar:
    days = tuple(
        CalendarDay(date.fromisoformat(row["day"]), DayKind(row["kind"]), row["name"], row["works_as"])
        for row in held["days"]
    )
    return HolidayCalendar(held["code"], days, held["name"], held["source"])


def _overtime_policy(held: dict[str, Any]) -> OvertimePolicy:
    return OvertimePolicy(
        **{
            **held,
            "rules": tuple(OvertimeRule(**{**row, "day_kind": DayKind(row["day_kind"])}) for row in held["rules"]),
            "holiday_midnight": MidnightRule(held["holiday_midnight"]),
            "rest_day_midnight": MidnightRule(held["rest_day_midnight"]),
            "night": None if held["night"] is None else (held["night"][0], held["night"][1]),
        }
    )


_DEFINITIONS: dict[str, Callable[[dict[str, Any]], Definition]] = {
    "TIME_CALENDAR": _time_calendar,
    "SHIFT": _shift,
    "WORK_SCHEDULE": _work_schedule,
    "HOLIDAY_CALENDAR": _holiday_calendar,
    "OVERTIME_POLICY": _overtime_policy,
}


def definition_to_json(definition: Definition) -> bytes:
    """A definition of any kind, by its fields."""
    if isinstance(definition, HolidayCalendar):
        held = {"code": definition.code, "days": definition.days, "name": definition.name, "source": definition.source}
        return _json(held)
    return _json(definition)


def definition_from_json(kind: str, document: bytes) -> Definition:
    """The definition of that kind again."""
    return _DEFINITIONS[kind](orjson.loads(document))
