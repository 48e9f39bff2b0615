"""The time catalog between protos and values."""

from google.type.dayofweek_pb2 import DayOfWeek
from muster.attendance.v1 import time_catalog_pb2 as pb

from contexts.attendance.adapters.codec import date_from, date_to_proto, kind_from, kind_to_proto, optional_date
from contexts.attendance.domain.catalog import (
    CLAIM_AFTER_MINUTES,
    CLAIM_BEFORE_MINUTES,
    CalendarDay,
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
from contexts.attendance.domain.rounding import PunchRounding, RoundingMode
from contexts.attendance.domain.spans import DAY_MINUTES, Span

_FREQUENCY_FROM = {
    pb.PERIOD_FREQUENCY_MONTHLY: Frequency.MONTHLY,
    pb.PERIOD_FREQUENCY_WEEKLY: Frequency.WEEKLY,
}
_FREQUENCY_TO = {frequency: number for number, frequency in _FREQUENCY_FROM.items()}
_MIDNIGHT_FROM = {
    pb.MIDNIGHT_RULE_BY_SHIFT_START: MidnightRule.BY_SHIFT_START,
    pb.MIDNIGHT_RULE_SPLIT_AT_MIDNIGHT: MidnightRule.SPLIT_AT_MIDNIGHT,
}
_MIDNIGHT_TO = {rule: number for number, rule in _MIDNIGHT_FROM.items()}
_ROUNDING_FROM = {
    pb.ROUNDING_MODE_DOWN: RoundingMode.DOWN,
    pb.ROUNDING_MODE_UP: RoundingMode.UP,
    pb.ROUNDING_MODE_NEAREST: RoundingMode.NEAREST,
    pb.ROUNDING_MODE_NEAREST_WHOLE_MINUTES: RoundingMode.NEAREST_WHOLE_MINUTES,
}
_ROUNDING_TO = {mode: number for number, mode in _ROUNDING_FROM.items()}
_PRESENCE_FROM = {
    pb.PRESENCE_RULE_EVERY_PAIR: PresenceRule.EVERY_PAIR,
    pb.PRESENCE_RULE_FIRST_IN_LAST_OUT: PresenceRule.FIRST_IN_LAST_OUT,
}
_PRESENCE_TO = {rule: number for number, rule in _PRESENCE_FROM.items()}
_MONDAY = 1  # google.type.DayOfWeek
_WEEKDAYS = (
    DayOfWeek.MONDAY,
    DayOfWeek.TUESDAY,
    DayOfWeek.WEDNESDAY,
    DayOfWeek.THURSDAY,
    DayOfWeek.FRIDAY,
    DayOfWeek.SATURDAY,
    DayOfWeek.SUNDAY,
)


def _weekday(number: int) -> DayOfWeek:
    return _WEEKDAYS[number]


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def _clock(minutes: int) -> str:
    hour, minute = divmod(minutes % DAY_MINUTES, 60)
    return f"{hour:02}:{minute:02}"


# ------------------------------------------------------------------------------------------------- time calendars


def time_calendar_from(message: pb.TimeCalendar) -> TimeCalendar:
    """A time calendar. Raises InvalidValue."""
    return TimeCalendar(
        message.code,
        message.name,
        _FREQUENCY_FROM[message.frequency],
        message.cutoff_day,
        message.work_week_start - _MONDAY,
        message.debounce_seconds,
    )


def time_calendar_to(calendar: TimeCalendar) -> pb.TimeCalendar:
    """A time calendar."""
    return pb.TimeCalendar(
        code=calendar.code,
        name=calendar.name,
        frequency=_FREQUENCY_TO[calendar.frequency],
        cutoff_day=calendar.cutoff_day,
        work_week_start=_weekday(calendar.work_week_start),
        debounce_seconds=calendar.debounce_seconds,
    )


# ------------------------------------------------------------------------------------------------- shifts


def _span_from(message: pb.ShiftInterval) -> Span:
    return (_minutes(message.start_time), _minutes(message.end_time))


def _span_to(span: Span) -> pb.ShiftInterval:
    return pb.ShiftInterval(start_time=_clock(span[0]), end_time=_clock(span[1]))


def _rounding_from(message: pb.PunchRounding) -> PunchRounding | None:
    mode = _ROUNDING_FROM.get(message.mode)
    return None if mode is None else PunchRounding(mode, message.increment_minutes, message.grace_minutes)


def _rounding_to(rule: PunchRounding | None) -> pb.PunchRounding | None:
    if rule is None:
        return None
    return pb.PunchRounding(
        mode=_ROUNDING_TO[rule.mode], increment_minutes=rule.increment_minutes, grace_minutes=rule.grace_minutes
    )


def shift_from(message: pb.Shift) -> Shift:
    """A shift. Raises InvalidValue."""
    return Shift.of(
        message.code,
        [_span_from(interval) for interval in message.intervals],
        [_span_from(interval) for interval in message.breaks],
        name=message.name,
        late_grace_minutes=message.late_grace_minutes,
        early_leave_grace_minutes=message.early_leave_grace_minutes,
        claim_before_minutes=message.claim_before_minutes or CLAIM_BEFORE_MINUTES,
        claim_after_minutes=message.claim_after_minutes or CLAIM_AFTER_MINUTES,
        in_rounding=_rounding_from(message.in_rounding),
        out_rounding=_rounding_from(message.out_rounding),
        paid_breaks=[_span_from(interval) for interval in message.paid_breaks],
        punched_breaks=[
            PunchedBreak(_window((_minutes(rest.start_time), _minutes(rest.end_time))), rest.minutes)
            for rest in message.punched_breaks
        ],
        flexible=_flexible_from(message.flexible) if message.HasField("flexible") else None,
        presence=_PRESENCE_FROM.get(message.presence_rule, PresenceRule.EVERY_PAIR),
    )


def _window(span: Span) -> Span:
    start, end = span
    return (start, end) if end > start else (start, end + DAY_MINUTES)


def _flexible_from(message: pb.FlexibleHours) -> FlexibleHours:
    return FlexibleHours(
        message.required_minutes,
        tuple(_span_from(interval) for interval in message.core),
        message.break_minutes,
        message.break_after_minutes,
    )


def _flexible_to(flexible: FlexibleHours | None) -> pb.FlexibleHours | None:
    if flexible is None:
        return None
    return pb.FlexibleHours(
        required_minutes=flexible.required_minutes,
        core=[_span_to(span) for span in flexible.core],
        break_minutes=flexible.break_minutes,
        break_after_minutes=flexible.break_after_minutes,
    )


def shift_to(shift: Shift) -> pb.Shift:
    """A shift."""
    return pb.Shift(
        code=shift.code,
        name=shift.name,
        intervals=[_span_to(span) for span in shift.spans],
        breaks=[_span_to(span) for span in shift.breaks],
        late_grace_minutes=shift.late_grace_minutes,
        early_leave_grace_minutes=shift.early_leave_grace_minutes,
        claim_before_minutes=shift.claim_before_minutes,
        claim_after_minutes=shift.claim_after_minutes,
        in_rounding=_rounding_to(shift.in_rounding),
        out_rounding=_rounding_to(shift.out_rounding),
        paid_breaks=[_span_to(span) for span in shift.paid_breaks],
        punched_breaks=[
            pb.PunchedBreak(start_time=_clock(rest.window[0]), end_time=_clock(rest.window[1]), minutes=rest.minutes)
            for rest in shift.punched_breaks
        ],
        flexible=_flexible_to(shift.flexible),
        presence_rule=_PRESENCE_TO[shift.presence],
    )


# ------------------------------------------------------------------------------------------------- work schedules


def work_schedule_from(message: pb.WorkSchedule) -> WorkSchedule:
    """A work schedule. Raises InvalidValue."""
    return WorkSchedule(
        message.code,
        tuple(day.shift for day in message.days),
        message.name,
        optional_date(message, "cycle_start_date"),
        message.holiday_calendar,
        message.overtime_policy,
        message.works_on_holidays,
        message.ignores_moved_days,
        message.punch_exempt,
    )


def work_schedule_to(schedule: WorkSchedule) -> pb.WorkSchedule:
    """A work schedule."""
    return pb.WorkSchedule(
        code=schedule.code,
        name=schedule.name,
        days=[pb.ScheduleDay(shift=code) for code in schedule.days],
        cycle_start_date=None if schedule.cycle_start is None else date_to_proto(schedule.cycle_start),
        holiday_calendar=schedule.holiday_calendar,
        overtime_policy=schedule.overtime_policy,
        works_on_holidays=schedule.works_on_holidays,
        ignores_moved_days=schedule.ignores_moved_days,
        punch_exempt=schedule.punch_exempt,
    )


# ------------------------------------------------------------------------------------------------- holidays


def holiday_calendar_from(message: pb.HolidayCalendar) -> HolidayCalendar:
    """A holiday calendar. Raises InvalidValue."""
    days = tuple(
        CalendarDay(
            date_from(day.date, f"holiday_calendar.days[{index}].date"),
            kind_from(day.day_kind),
            day.name,
            day.works_as - _MONDAY if day.works_as else None,
        )
        for index, day in enumerate(message.days)
    )
    return HolidayCalendar(message.code, days, message.name, message.source)


def holiday_calendar_to(calendar: HolidayCalendar) -> pb.HolidayCalendar:
    """A holiday calendar."""
    return pb.HolidayCalendar(
        code=calendar.code,
        name=calendar.name,
        source=calendar.source,
        days=[
            pb.CalendarDay(
                date=date_to_proto(day.day),
                day_kind=kind_to_proto(day.kind),
                name=day.name,
                works_as=DayOfWeek.DAY_OF_WEEK_UNSPECIFIED if day.works_as is None else _weekday(day.works_as),
            )
            for day in calendar.days
        ],
    )


# ------------------------------------------------------------------------------------------------- overtime


def overtime_policy_from(message: pb.OvertimePolicy) -> OvertimePolicy:
    """An overtime policy. Raises InvalidValue."""
    night = None
    if message.night_start_time or message.night_end_time:
        night = (_minutes(message.night_start_time or "00:00"), _minutes(message.night_end_time or "00:00"))
    return OvertimePolicy(
        message.code,
        tuple(
            OvertimeRule(
                kind_from(rule.day_kind),
                rule.rate_reference,
                rule.min_minutes,
                rule.step_minutes or 1,
                rule.approval_required,
            )
            for rule in message.rules
        ),
        message.name,
        _MIDNIGHT_FROM.get(message.holiday_midnight, MidnightRule.SPLIT_AT_MIDNIGHT),
        _MIDNIGHT_FROM.get(message.rest_day_midnight, MidnightRule.BY_SHIFT_START),
        night,
    )


def overtime_policy_to(policy: OvertimePolicy) -> pb.OvertimePolicy:
    """An overtime policy."""
    return pb.OvertimePolicy(
        code=policy.code,
        name=policy.name,
        rules=[
            pb.OvertimeRule(
                day_kind=kind_to_proto(rule.day_kind),
                rate_reference=rule.rate_reference,
                min_minutes=rule.min_minutes,
                step_minutes=rule.step_minutes,
                approval_required=rule.approval_required,
            )
            for rule in policy.rules
        ],
        holiday_midnight=_MIDNIGHT_TO[policy.holiday_midnight],
        rest_day_midnight=_MIDNIGHT_TO[policy.rest_day_midnight],
        night_start_time="" if policy.night is None else _clock(policy.night[0]),
        night_end_time="" if policy.night is None else _clock(policy.night[1]),
    )
