"""Between the JSON of time and attendance's messages."""

from typing import Any
from uuid import UUID

from google.type import dayofweek_pb2
from muster.attendance.v1 import day_kind_pb2, roster_pb2, timesheet_pb2
from muster.attendance.v1 import time_catalog_pb2 as catalog

from application.edge.wire import (
    blank,
    from_date,
    from_enum,
    from_instant,
    json_date,
    json_instant,
    optional_id,
    to_date,
    to_enum,
    to_instant,
)
from application.time import schemas
from application.time.request_codec import adjustment_view, correction_view, overtime_view

SUMS = tuple(schemas.SumsView.model_fields)

# ---- the time catalog: what clients send ----


def to_time_calendar(code: str, body: schemas.TimeCalendarBody) -> catalog.TimeCalendar:
    """A time calendar for the wire."""
    return catalog.TimeCalendar(
        code=code,
        name=body.name,
        frequency=to_enum(catalog.PeriodFrequency, "PERIOD_FREQUENCY_", body.frequency),
        cutoff_day=body.cutoff_day,
        work_week_start=to_enum(dayofweek_pb2.DayOfWeek, "", body.work_week_start),
        debounce_seconds=body.debounce_seconds,
    )


def to_shift(code: str, body: schemas.ShiftBody) -> catalog.Shift:
    """A shift for the wire."""
    return catalog.Shift(
        code=code,
        name=body.name,
        intervals=[_interval(one) for one in body.intervals],
        breaks=[_interval(one) for one in body.breaks],
        late_grace_minutes=body.late_grace_minutes,
        early_leave_grace_minutes=body.early_leave_grace_minutes,
        claim_before_minutes=body.claim_before_minutes,
        claim_after_minutes=body.claim_after_minutes,
        in_rounding=_rounding(body.in_rounding),
        out_rounding=_rounding(body.out_rounding),
        paid_breaks=[_interval(one) for one in body.paid_breaks],
        punched_breaks=[
            catalog.PunchedBreak(start_time=one.start_time, end_time=one.end_time, minutes=one.minutes)
            for one in body.punched_breaks
        ],
        flexible=_flexible(body.flexible),
        presence_rule=to_enum(catalog.PresenceRule, "PRESENCE_RULE_", body.presence_rule),
    )


def _flexible(body: schemas.FlexibleHours | None) -> catalog.FlexibleHours | None:
    if body is None:
        return None
    return catalog.FlexibleHours(
        required_minutes=body.required_minutes,
        core=[_interval(one) for one in body.core],
        break_minutes=body.break_minutes,
        break_after_minutes=body.break_after_minutes,
    )


def _interval(body: schemas.ShiftInterval) -> catalog.ShiftInterval:
    return catalog.ShiftInterval(start_time=body.start_time, end_time=body.end_time)


def _rounding(body: schemas.PunchRounding | None) -> catalog.PunchRounding | None:
    if body is None:
        return None
    return catalog.PunchRounding(
        mode=to_enum(catalog.RoundingMode, "ROUNDING_MODE_", body.mode),
        increment_minutes=body.increment_minutes,
        grace_minutes=body.grace_minutes,
    )


def to_work_schedule(code: str, body: schemas.WorkScheduleBody) -> catalog.WorkSchedule:
    """A work schedule for the wire."""
    return catalog.WorkSchedule(
        code=code,
        name=body.name,
        days=[catalog.ScheduleDay(shift=shift or "") for shift in body.days],
        cycle_start_date=to_date(body.cycle_start_date),
        holiday_calendar=body.holiday_calendar or "",
        overtime_policy=body.overtime_policy or "",
        works_on_holidays=body.works_on_holidays,
        ignores_moved_days=body.ignores_moved_days,
        punch_exempt=body.punch_exempt,
    )


def to_holiday_calendar(code: str, body: schemas.HolidayCalendarBody) -> catalog.HolidayCalendar:
    """A holiday calendar for the wire."""
    return catalog.HolidayCalendar(
        code=code,
        name=body.name,
        days=[
            catalog.CalendarDay(
                date=to_date(day.date),
                day_kind=to_enum(day_kind_pb2.DayKind, "DAY_KIND_", day.day_kind),
                name=day.name,
                works_as=to_enum(dayofweek_pb2.DayOfWeek, "", day.works_as),
            )
            for day in body.days
        ],
        source=body.source,
    )


def to_overtime_policy(code: str, body: schemas.OvertimePolicyBody) -> catalog.OvertimePolicy:
    """An overtime policy for the wire."""
    return catalog.OvertimePolicy(
        code=code,
        name=body.name,
        rules=[
            catalog.OvertimeRule(
                day_kind=to_enum(day_kind_pb2.DayKind, "DAY_KIND_", rule.day_kind),
                rate_reference=rule.rate_reference,
                min_minutes=rule.min_minutes,
                step_minutes=rule.step_minutes,
                approval_required=rule.approval_required,
            )
            for rule in body.rules
        ],
        holiday_midnight=to_enum(catalog.MidnightRule, "MIDNIGHT_RULE_", body.holiday_midnight),
        rest_day_midnight=to_enum(catalog.MidnightRule, "MIDNIGHT_RULE_", body.rest_day_midnight),
        night_start_time=body.night_start_time or "",
        night_end_time=body.night_end_time or "",
    )


# ---- the time catalog: what clients receive ----


def time_calendar_view(entry: catalog.TimeCalendarEntry) -> schemas.TimeCalendarView:
    """A time calendar as published."""
    content = entry.time_calendar
    return schemas.TimeCalendarView.model_construct(
        **_entry(entry, content.code),
        name=content.name,
        frequency=from_enum(catalog.PeriodFrequency, "PERIOD_FREQUENCY_", content.frequency),
        cutoff_day=content.cutoff_day,
        work_week_start=from_enum(dayofweek_pb2.DayOfWeek, "", content.work_week_start),
        debounce_seconds=content.debounce_seconds,
    )


def shift_view(entry: catalog.ShiftEntry) -> schemas.ShiftView:
    """A shift as published."""
    content = entry.shift
    return schemas.ShiftView.model_construct(
        **_entry(entry, content.code),
        name=content.name,
        intervals=[_interval_view(one) for one in content.intervals],
        breaks=tuple(_interval_view(one) for one in content.breaks),
        late_grace_minutes=content.late_grace_minutes,
        early_leave_grace_minutes=content.early_leave_grace_minutes,
        claim_before_minutes=content.claim_before_minutes,
        claim_after_minutes=content.claim_after_minutes,
        in_rounding=_rounding_view(content.in_rounding),
        out_rounding=_rounding_view(content.out_rounding),
        paid_breaks=tuple(_interval_view(one) for one in content.paid_breaks),
        punched_breaks=tuple(
            schemas.PunchedBreak.model_construct(start_time=one.start_time, end_time=one.end_time, minutes=one.minutes)
            for one in content.punched_breaks
        ),
        flexible=_flexible_view(content),
        presence_rule=from_enum(catalog.PresenceRule, "PRESENCE_RULE_", content.presence_rule) or "EVERY_PAIR",
    )


def _flexible_view(content: catalog.Shift) -> schemas.FlexibleHours | None:
    if not content.HasField("flexible"):
        return None
    return schemas.FlexibleHours.model_construct(
        required_minutes=content.flexible.required_minutes,
        core=tuple(_interval_view(one) for one in content.flexible.core),
        break_minutes=content.flexible.break_minutes,
        break_after_minutes=content.flexible.break_after_minutes,
    )


def _interval_view(interval: catalog.ShiftInterval) -> schemas.ShiftInterval:
    return schemas.ShiftInterval.model_construct(start_time=interval.start_time, end_time=interval.end_time)


def _rounding_view(rounding: catalog.PunchRounding) -> schemas.PunchRounding | None:
    if not rounding.mode:
        return None
    return schemas.PunchRounding.model_construct(
        mode=from_enum(catalog.RoundingMode, "ROUNDING_MODE_", rounding.mode),
        increment_minutes=rounding.increment_minutes,
        grace_minutes=rounding.grace_minutes,
    )


def work_schedule_view(entry: catalog.WorkScheduleEntry) -> schemas.WorkScheduleView:
    """A work schedule as published."""
    content = entry.work_schedule
    return schemas.WorkScheduleView.model_construct(
        **_entry(entry, content.code),
        name=content.name,
        days=[blank(day.shift) for day in content.days],
        cycle_start_date=from_date(content.cycle_start_date),
        holiday_calendar=blank(content.holiday_calendar),
        overtime_policy=blank(content.overtime_policy),
        works_on_holidays=content.works_on_holidays,
        ignores_moved_days=content.ignores_moved_days,
        punch_exempt=content.punch_exempt,
    )


def holiday_calendar_view(entry: catalog.HolidayCalendarEntry) -> schemas.HolidayCalendarView:
    """A holiday calendar as published."""
    content = entry.holiday_calendar
    return schemas.HolidayCalendarView.model_construct(
        **_entry(entry, content.code),
        name=content.name,
        days=tuple(
            schemas.CalendarDay.model_construct(
                date=from_date(day.date),
                day_kind=from_enum(day_kind_pb2.DayKind, "DAY_KIND_", day.day_kind),
                name=day.name,
                works_as=from_enum(dayofweek_pb2.DayOfWeek, "", day.works_as),
            )
            for day in content.days
        ),
        source=content.source,
    )


def overtime_policy_view(entry: catalog.OvertimePolicyEntry) -> schemas.OvertimePolicyView:
    """An overtime policy as published."""
    content = entry.overtime_policy
    return schemas.OvertimePolicyView.model_construct(
        **_entry(entry, content.code),
        name=content.name,
        rules=tuple(
            schemas.OvertimeRule.model_construct(
                day_kind=from_enum(day_kind_pb2.DayKind, "DAY_KIND_", rule.day_kind),
                rate_reference=rule.rate_reference,
                min_minutes=rule.min_minutes,
                step_minutes=rule.step_minutes,
                approval_required=rule.approval_required,
            )
            for rule in content.rules
        ),
        holiday_midnight=from_enum(catalog.MidnightRule, "MIDNIGHT_RULE_", content.holiday_midnight),
        rest_day_midnight=from_enum(catalog.MidnightRule, "MIDNIGHT_RULE_", content.rest_day_midnight),
        night_start_time=blank(content.night_start_time),
        night_end_time=blank(content.night_end_time),
    )


def _entry(entry: Any, code: str) -> dict[str, Any]:
    return {
        "code": code,
        "effective_date": from_date(entry.effective_date),
        "version": int(entry.etag or 0),
        "catalog_version": entry.catalog_version,
        "recorded_at": from_instant(entry.record_time),
    }


# ---- punches ----


def to_punch(body: schemas.PunchBody) -> timesheet_pb2.Punch:
    """A punch for the wire."""
    return timesheet_pb2.Punch(
        punch_id=str(body.punch_id),
        employee_id=str(body.employee_id or ""),
        employee_number=body.employee_number or "",
        punched_at=to_instant(body.punched_at),
        time_zone=body.time_zone or "",
        direction=to_enum(timesheet_pb2.PunchDirection, "PUNCH_DIRECTION_", body.direction),
        source=to_enum(timesheet_pb2.PunchSource, "PUNCH_SOURCE_", body.source),
        device_id=body.device_id or "",
        device_sequence=body.device_sequence or 0,
        device_clock=to_instant(body.device_clock),
        badge_number=body.badge_number or "",
        device_send_time=to_instant(body.device_sent_at),
    )


def punch_view(result: timesheet_pb2.PunchResult) -> schemas.PunchView:
    """What became of a punch."""
    return schemas.PunchView.model_construct(
        punch_id=UUID(result.punch_id),
        outcome=from_enum(timesheet_pb2.PunchOutcome, "PUNCH_OUTCOME_", result.outcome),
        employee_id=optional_id(result.employee_id),
        timesheet_id=optional_id(result.timesheet_id),
        work_date=from_date(result.work_date),
        duplicate_of=optional_id(result.duplicate_of),
        punched_at=from_instant(result.punched_at) if result.HasField("punched_at") else None,
        clock_skew_seconds=result.clock_skew_seconds if result.HasField("clock_skew_seconds") else None,
        refusal=_refusal(result.reason, result.message),
    )


def punch_json(result: timesheet_pb2.PunchResult) -> dict[str, Any]:
    """What `punch_view` says, as JSON takes it: a batch has hundreds, whose ids are written as they came."""
    return {
        "punch_id": result.punch_id,
        "outcome": from_enum(timesheet_pb2.PunchOutcome, "PUNCH_OUTCOME_", result.outcome),
        "employee_id": result.employee_id or None,
        "timesheet_id": result.timesheet_id or None,
        "work_date": json_date(result.work_date),
        "duplicate_of": result.duplicate_of or None,
        "punched_at": json_instant(result.punched_at) if result.HasField("punched_at") else None,
        "clock_skew_seconds": result.clock_skew_seconds if result.HasField("clock_skew_seconds") else None,
        "refusal": {"reason": result.reason, "message": result.message} if result.reason else None,
    }


def _refusal(reason: str, message: str) -> schemas.RefusalView | None:
    return schemas.RefusalView.model_construct(reason=reason, message=message) if reason else None


# ---- badges ----


def badge_view(badge: roster_pb2.Badge) -> schemas.BadgeView:
    """A badge."""
    return schemas.BadgeView.model_construct(
        badge_number=badge.badge_number,
        employee_id=optional_id(badge.employee_id),
        version=int(badge.etag or 0),
        holdings=[
            schemas.BadgeHoldingView.model_construct(
                employee_id=UUID(one.employee_id),
                since=from_instant(one.start_time),
                until=from_instant(one.end_time) if one.HasField("end_time") else None,
            )
            for one in badge.holdings
        ],
    )


# ---- timesheets ----


def to_status(status: str | None) -> Any:
    """A timesheet's status for the wire."""
    return to_enum(timesheet_pb2.TimesheetStatus, "TIMESHEET_STATUS_", status)


def from_status(status: int) -> str | None:
    """A timesheet's status as answers name it."""
    return from_enum(timesheet_pb2.TimesheetStatus, "TIMESHEET_STATUS_", status)


def timesheet_view(timesheet: timesheet_pb2.Timesheet) -> schemas.TimesheetView:
    """A timesheet."""
    return schemas.TimesheetView.model_construct(
        id=UUID(timesheet.timesheet_id),
        employee_id=UUID(timesheet.employee_id),
        assignment_id=optional_id(timesheet.assignment_id),
        period=timesheet.period,
        start_date=from_date(timesheet.start_date),
        end_date=from_date(timesheet.end_date),
        time_calendar=blank(timesheet.time_calendar),
        pay_group=blank(timesheet.pay_group),
        department=blank(timesheet.department),
        status=from_status(timesheet.status),
        version=int(timesheet.etag or 0),
        updated_at=from_instant(timesheet.record_time),
        occurrences=[_occurrence_view(one) for one in timesheet.occurrences],
        absences=[
            schemas.AbsenceView.model_construct(
                id=UUID(absence.absence_id),
                code=absence.code,
                start_date=from_date(absence.start_date),
                end_date=from_date(absence.end_date),
                minutes=absence.minutes,
                paid_share=absence.paid_share,
            )
            for absence in timesheet.absences
        ],
        corrections=[correction_view(one) for one in timesheet.corrections],
        overtime_requests=[overtime_view(one) for one in timesheet.overtime_requests],
        adjustments=[adjustment_view(one) for one in timesheet.adjustments],
        sums=_sums_view(timesheet.sums) if timesheet.HasField("sums") else None,
        submitted_by=blank(timesheet.submitted_by),
        approved_by=blank(timesheet.approved_by),
    )


def _sums_view(sums: timesheet_pb2.PeriodSums) -> schemas.SumsView:
    return schemas.SumsView.model_construct(**{name: getattr(sums, name) for name in SUMS})


def _occurrence_view(one: timesheet_pb2.Occurrence) -> schemas.OccurrenceView:
    return schemas.OccurrenceView.model_construct(
        work_date=from_date(one.work_date),
        day_kind=from_enum(day_kind_pb2.DayKind, "DAY_KIND_", one.day_kind),
        shift=blank(one.shift),
        status=from_enum(timesheet_pb2.OccurrenceStatus, "OCCURRENCE_STATUS_", one.status),
        planned=[span_view(span) for span in one.planned],
        breaks=[span_view(span) for span in one.breaks],
        punches=[
            schemas.OccurrencePunchView.model_construct(
                punch_id=UUID(punch.punch_id),
                punched_at=from_instant(punch.punched_at),
                direction=from_enum(timesheet_pb2.PunchDirection, "PUNCH_DIRECTION_", punch.direction),
                duplicate_of=optional_id(punch.duplicate_of),
                correction_id=optional_id(punch.correction_id),
            )
            for punch in one.punches
        ],
        present=[span_view(span) for span in one.present],
        planned_minutes=one.planned_minutes,
        worked_minutes=one.worked_minutes,
        regular_minutes=one.regular_minutes,
        overtime_workday_minutes=one.overtime_workday_minutes,
        overtime_rest_day_minutes=one.overtime_rest_day_minutes,
        overtime_holiday_minutes=one.overtime_holiday_minutes,
        unapproved_overtime_minutes=one.unapproved_overtime_minutes,
        night_minutes=one.night_minutes,
        late_minutes=one.late_minutes,
        early_leave_minutes=one.early_leave_minutes,
        absent_minutes=one.absent_minutes,
        absence_minutes=one.absence_minutes,
    )


def span_view(span: timesheet_pb2.TimeInterval) -> schemas.IntervalView:
    """A span of time by instants."""
    return schemas.IntervalView.model_construct(start=from_instant(span.start_time), end=from_instant(span.end_time))


def closing_result_view(result: timesheet_pb2.CloseResult) -> schemas.ClosingResultView:
    """What became of one person's timesheet in a closing."""
    return schemas.ClosingResultView.model_construct(
        employee_id=UUID(result.employee_id),
        timesheet_id=optional_id(result.timesheet_id),
        status=from_status(result.status),
        changed=result.changed,
        work_date=from_date(result.work_date),
        refusal=_refusal(result.reason, result.message),
    )
