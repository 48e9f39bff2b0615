"""Values as stored JSON, and back."""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

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


def _absence_to(absence: Absence) -> list[Any]:
    return [absence.absence_id, absence.code, _span_to(absence.span), absence.minutes, absence.paid_share]


def _absence_from(row: Sequence[Any]) -> Absence:
    absence_id, code, span, minutes, paid_share = row
    return Absence(UUID(absence_id), code, _span_from(span), minutes, Decimal(paid_share))


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
