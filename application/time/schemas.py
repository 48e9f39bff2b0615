"""What clients send and receive about schedules, punches and timesheets."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidatorFunctionWrapHandler, WrapValidator, model_validator

from application.edge.fields import (
    Body,
    CivilDate,
    Code,
    Flag,
    Id,
    Instant,
    Name,
    PeriodName,
    Query,
    Text,
    View,
    Whole,
    Zone,
)
from application.edge.pages import PageQuery
from application.time.request_schemas import AdjustmentView, CorrectionView, OvertimeRequestView
from application.time.usual_punches import usual_punch

DayKind = Literal["WORKDAY", "REST_DAY", "HOLIDAY"]
Weekday = Literal["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"]
Frequency = Literal["MONTHLY", "WEEKLY"]
MidnightRule = Literal["BY_SHIFT_START", "SPLIT_AT_MIDNIGHT"]
PresenceRule = Literal["EVERY_PAIR", "FIRST_IN_LAST_OUT"]
RoundingMode = Literal["DOWN", "UP", "NEAREST", "NEAREST_WHOLE_MINUTES"]
Direction = Literal["IN", "OUT"]
Source = Literal["WEB", "MOBILE", "DEVICE", "IMPORT"]
Outcome = Literal["RECORDED", "DUPLICATE", "REPLAYED", "REFUSED"]
TimesheetStatus = Literal["OPEN", "SUBMITTED", "APPROVED", "LOCKED"]
OccurrenceStatus = Literal["PLANNED", "IN_PROGRESS", "COMPLETE", "OPEN", "ABSENT", "ON_LEAVE", "DAY_OFF"]

CLOSING_PEOPLE = 250  # of one request, all of which attendance takes in one transaction

LocalTime = Annotated[
    str, Field(min_length=5, max_length=5, pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["09:00"])
]
PaidShare = Annotated[
    str,
    Field(
        description="Share of pay that goes on, 0 to 1.",
        min_length=1,
        max_length=6,
        pattern=r"^(0(\.[0-9]{1,4})?|1(\.0{1,4})?)$",
        examples=["0"],
    ),
]
EffectiveDate = Annotated[CivilDate, Field(description="First day on which it holds.", examples=["2026-01-01"])]

# ---- the time catalog ----


class EntryView(View):
    """What every entry of the time catalog has beside its content."""

    code: Annotated[str, Field(description="Code, unique in its kind.", max_length=40, examples=["DAY"])]
    effective_date: Annotated[CivilDate | None, Field(description="First day on which it holds.")]
    version: Annotated[int, Field(description="Version of this code; the ETag in quotes.", ge=0)]
    catalog_version: Annotated[int, Field(description="Version of the catalog that published it.", ge=0)]
    recorded_at: Annotated[Instant | None, Field(description="When it was recorded.")]


class TimeCalendar(BaseModel):
    """Attendance's own periods and work weeks."""

    name: Annotated[Name, Field(description="Name.", examples=["Calendar months"])]
    frequency: Annotated[Frequency, Field(description="How long a period is.")] = "MONTHLY"
    cutoff_day: Annotated[
        Whole,
        Field(description="Last day of a monthly period in its month; 0 is the month's last day.", ge=0, le=28),
    ] = 0
    work_week_start: Annotated[Weekday, Field(description="First day of the work week.")] = "MONDAY"
    debounce_seconds: Annotated[
        Whole, Field(description="Punches within so many seconds after another are its duplicates.", ge=0, le=3600)
    ] = 60


class TimeCalendarBody(TimeCalendar, Body):
    """A time calendar to publish."""

    effective_date: EffectiveDate


class TimeCalendarView(TimeCalendar, EntryView):
    """A time calendar as published."""


class ShiftInterval(Body):
    """A span of local time; one that ends no later than it starts ends on the next day."""

    start_time: Annotated[LocalTime, Field(description="Local start, HH:MM.")]
    end_time: Annotated[LocalTime, Field(description="Local end, HH:MM.", examples=["18:00"])]


class PunchRounding(Body):
    """A rule that brings punches to marks."""

    mode: Annotated[RoundingMode, Field(description="How.")]
    increment_minutes: Annotated[Whole, Field(description="Minutes between marks, dividing an hour.", ge=1, le=60)]
    grace_minutes: Annotated[
        Whole, Field(description="Minutes by which a punch may miss the favourable mark.", ge=0, le=59)
    ] = 0


class PunchedBreak(ShiftInterval):
    """An unpaid break that people punch out and in for, at a time of their own within the window."""

    minutes: Annotated[
        Whole,
        Field(description="Minutes of the break; what nobody took of it is worked beyond the plan.", ge=1, le=720),
    ]


class FlexibleHours(Body):
    """So many minutes at times of one's own, but present in the core hours."""

    required_minutes: Annotated[Whole, Field(description="Minutes that are owed a day.", ge=1, le=1440)]
    core: Annotated[
        tuple[ShiftInterval, ...],
        Field(description="Core hours: who is not there then is late or leaves early.", max_length=6),
    ] = ()
    break_minutes: Annotated[
        Whole, Field(description="Unpaid break in longer presence; what was punched is a part of it.", ge=0, le=720)
    ] = 0
    break_after_minutes: Annotated[
        Whole, Field(description="Minutes of presence after which the break is taken for granted.", ge=0, le=1439)
    ] = 0


class Shift(BaseModel):
    """When work is planned on a day, and how punctuality is judged."""

    name: Annotated[Name, Field(description="Name.", examples=["Day shift"])]
    intervals: Annotated[
        list[ShiftInterval], Field(description="Planned spans in order, within 24 hours.", min_length=1, max_length=6)
    ]
    breaks: Annotated[
        tuple[ShiftInterval, ...], Field(description="Unpaid breaks, each inside a planned span.", max_length=6)
    ] = ()
    late_grace_minutes: Annotated[
        Whole, Field(description="Minutes by which one may come late and count as on time.", ge=0, le=120)
    ] = 0
    early_leave_grace_minutes: Annotated[
        Whole, Field(description="Minutes by which one may leave early and count as on time.", ge=0, le=120)
    ] = 0
    claim_before_minutes: Annotated[
        Whole, Field(description="Punches so long before the shift belong to it; 0 means 240.", ge=0, le=720)
    ] = 0
    claim_after_minutes: Annotated[
        Whole, Field(description="Punches so long after the shift belong to it; 0 means 480.", ge=0, le=960)
    ] = 0
    in_rounding: Annotated[PunchRounding | None, Field(description="Rounding of punches in.")] = None
    out_rounding: Annotated[PunchRounding | None, Field(description="Rounding of punches out.")] = None
    paid_breaks: Annotated[
        tuple[ShiftInterval, ...],
        Field(description="Paid breaks: who goes out and comes back within one has not been away.", max_length=6),
    ] = ()
    punched_breaks: Annotated[
        tuple[PunchedBreak, ...], Field(description="Unpaid breaks at a time of one's own.", max_length=6)
    ] = ()
    flexible: Annotated[
        FlexibleHours | None, Field(description="Flexible hours within the intervals; null: the intervals are owed.")
    ] = None
    presence_rule: Annotated[
        PresenceRule, Field(description="How punches become presence: pair by pair, or from first in to last out.")
    ] = "EVERY_PAIR"


class ShiftBody(Shift, Body):
    """A shift to publish."""

    effective_date: EffectiveDate


class ShiftView(Shift, EntryView):
    """A shift as published."""


class WorkSchedule(BaseModel):
    """Which shift is planned on which day."""

    name: Annotated[Name, Field(description="Name.", examples=["Five days of eight hours"])]
    days: Annotated[
        list[Code | None],
        Field(
            description="Code of the shift or null for a day off; the pattern repeats. Seven from Monday if weekly.",
            min_length=1,
            max_length=84,
            examples=[["DAY", "DAY", "DAY", "DAY", "DAY", None, None]],
        ),
    ]
    cycle_start_date: Annotated[
        CivilDate | None, Field(description="A date on which the pattern starts; null for weekly.")
    ] = None
    holiday_calendar: Annotated[Code | None, Field(description="Code of the holiday calendar.", examples=["CN"])] = None
    overtime_policy: Annotated[
        Code | None, Field(description="Code of the overtime policy; null: no overtime counts.", examples=["CN"])
    ] = None
    works_on_holidays: Annotated[Flag, Field(description="True where shifts stay planned on statutory holidays.")] = (
        False
    )
    ignores_moved_days: Annotated[
        Flag, Field(description="True where moved rest days and make-up days do not apply.")
    ] = False
    punch_exempt: Annotated[Flag, Field(description="True where its people do not punch: their time is the plan.")] = (
        False
    )


class WorkScheduleBody(WorkSchedule, Body):
    """A work schedule to publish."""

    effective_date: EffectiveDate


class WorkScheduleView(WorkSchedule, EntryView):
    """A work schedule as published."""


class CalendarDay(Body):
    """A day that differs from the week."""

    date: Annotated[CivilDate, Field(description="The day.", examples=["2026-10-01"])]
    day_kind: Annotated[DayKind, Field(description="HOLIDAY (statutory), REST_DAY (moved rest) or WORKDAY (made up).")]
    name: Annotated[Text, Field(description="Its name.", examples=["National Day"])] = ""
    works_as: Annotated[Weekday | None, Field(description="For a made-up day, the weekday whose shift is worked.")] = (
        None
    )


class HolidayCalendar(BaseModel):
    """Statutory holidays, moved rest days and make-up working days of a place."""

    name: Annotated[Name, Field(description="Name.", examples=["China"])]
    days: Annotated[
        tuple[CalendarDay, ...], Field(description="The days, each at most once; any years.", max_length=2000)
    ] = ()
    source: Annotated[
        str, Field(description="Where the days were published.", max_length=1000, examples=["State Council notice"])
    ] = ""


class HolidayCalendarBody(HolidayCalendar, Body):
    """A holiday calendar to publish."""

    effective_date: EffectiveDate


class HolidayCalendarView(HolidayCalendar, EntryView):
    """A holiday calendar as published."""


class OvertimeRule(Body):
    """How overtime on days of one kind counts."""

    day_kind: Annotated[DayKind, Field(description="The kind of day.")]
    rate_reference: Annotated[
        Code, Field(description="Name of the rate by which payroll pays it.", examples=["CN_OVERTIME_150"])
    ]
    min_minutes: Annotated[Whole, Field(description="A shorter stretch does not count.", ge=0, le=480)] = 0
    step_minutes: Annotated[Whole, Field(description="A stretch counts in whole steps of this.", ge=0, le=240)] = 0
    approval_required: Annotated[Flag, Field(description="True where only approved overtime counts.")] = False


class OvertimePolicy(BaseModel):
    """What time beyond the plan counts for."""

    name: Annotated[Name, Field(description="Name.", examples=["Labour Law art. 44"])]
    rules: Annotated[
        tuple[OvertimeRule, ...],
        Field(description="One per kind of day; without one no overtime of that kind counts.", max_length=3),
    ] = ()
    holiday_midnight: Annotated[
        MidnightRule, Field(description="Minutes after midnight where one of the days is a statutory holiday.")
    ] = "SPLIT_AT_MIDNIGHT"
    rest_day_midnight: Annotated[
        MidnightRule, Field(description="Minutes after midnight between workdays and rest days.")
    ] = "BY_SHIFT_START"
    night_start_time: Annotated[
        LocalTime | None, Field(description="Local start of the night; null: none is counted.", examples=["22:00"])
    ] = None
    night_end_time: Annotated[LocalTime | None, Field(description="Local end of the night.", examples=["06:00"])] = None


class OvertimePolicyBody(OvertimePolicy, Body):
    """An overtime policy to publish."""

    effective_date: EffectiveDate


class OvertimePolicyView(OvertimePolicy, EntryView):
    """An overtime policy as published."""


class CatalogQuery(Query):
    """Which version of an entry."""

    as_of: Annotated[CivilDate | None, Field(description="As it holds on this day; as last published.")] = None
    known_at: Annotated[Instant | None, Field(description="Only what was recorded by this instant.")] = None


class CatalogListQuery(PageQuery, CatalogQuery):
    """Which entries of one kind."""


# ---- punches ----


PunchId = Annotated[
    Id,
    Field(
        description=(
            "Made by the client, unique for ever: a repetition changes nothing. Best a UUIDv7 of the instant of the "
            "punch: ids that follow each other in time are stored side by side, so that many are recorded sooner."
        )
    ),
]


class PunchBody(Body):
    """An instant at which somebody came or went. Name the person by id, by number or by badge.

    A terminal that does not trust its clock sends `device_clock` (when the punch was made) and `device_sent_at` (when
    it was sent, by the same clock) instead of `punched_at`: a clock that is off by more than 60 s is set right.
    """

    punch_id: PunchId
    employee_id: Annotated[Id | None, Field(description="Who.")] = None
    employee_number: Annotated[
        str | None,
        Field(
            description="Who, by number.",
            min_length=1,
            max_length=40,
            pattern="^[A-Za-z0-9][A-Za-z0-9._/-]*$",
            examples=["E0001"],
        ),
    ] = None
    badge_number: Annotated[Code | None, Field(description="Who, by badge.", examples=["B-1047"])] = None
    punched_at: Annotated[
        Instant | None,
        Field(
            description="When; null where the terminal's clock says it (device_sent_at).",
            examples=["2026-11-23T09:00:00+08:00"],
        ),
    ] = None
    time_zone: Annotated[Zone | None, Field(description="Zone of the place; that of the workplace.")] = None
    direction: Annotated[Direction | None, Field(description="Which way; null where the terminal cannot tell.")] = None
    source: Annotated[Source, Field(description="Where from.")]
    device_id: Annotated[
        str | None,
        Field(description="The terminal.", min_length=1, max_length=64, pattern="^[!-~]+$", examples=["GATE-1"]),
    ] = None
    device_sequence: Annotated[
        Whole | None, Field(description="The terminal's own number of this punch.", ge=1, le=2**62, examples=[1])
    ] = None
    device_clock: Annotated[
        Instant | None, Field(description="What the terminal's clock said when the punch was made.")
    ] = None
    device_sent_at: Annotated[
        Instant | None,
        Field(description="What the same clock said when the punch was sent; then `punched_at` is left out."),
    ] = None

    @model_validator(mode="after")
    def _names_one_person(self) -> "PunchBody":
        named = (self.employee_id, self.employee_number, self.badge_number)
        if sum(one is not None for one in named) != 1:
            raise ValueError("name the person by employee_id, employee_number or badge_number, one of them")
        return self

    @model_validator(mode="after")
    def _tells_one_time(self) -> "PunchBody":
        if (self.punched_at is None) == (self.device_sent_at is None):
            raise ValueError("tell punched_at, or device_clock with device_sent_at, one of the two")
        if self.device_sent_at is not None and self.device_clock is None:
            raise ValueError("tell what the clock said at the punch, too: device_clock")
        return self


def _usual_or_whole(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    punch = usual_punch(value)
    return validate(value) if punch is None else punch


class PunchBatchBody(Body):
    """Many punches, in any order; fastest when sorted by person."""

    # Those in the usual form are messages for the wire already (`usual_punch`).
    punches: Annotated[
        list[Annotated[PunchBody, WrapValidator(_usual_or_whole)]],
        Field(description="The punches.", min_length=1, max_length=500),
    ]


class RefusalView(View):
    """Why one item was refused."""

    reason: Annotated[str, Field(description="Stable code.", max_length=80, examples=["TIMESHEET_NOT_OPEN"])]
    message: Annotated[str, Field(description="What to do.", max_length=1000, examples=["reopen the timesheet"])]


class PunchView(View):
    """What became of a punch."""

    punch_id: Annotated[Id, Field(description="The punch.")]
    outcome: Annotated[Outcome, Field(description="What became of it.")]
    employee_id: Annotated[Id | None, Field(description="Who; null where unknown.")]
    timesheet_id: Annotated[Id | None, Field(description="The timesheet that holds it; null where refused.")]
    work_date: Annotated[CivilDate | None, Field(description="Work date of its occurrence.")]
    duplicate_of: Annotated[Id | None, Field(description="The punch of which it is a duplicate.")]
    punched_at: Annotated[Instant | None, Field(description="When it counts; null where refused.")]
    clock_skew_seconds: Annotated[
        int | None,
        Field(
            description="How far the terminal's clock was off, above 0 where it was slow; null where it was not told.",
            ge=-(2**53),
            le=2**53,
            examples=[0],
        ),
    ]
    refusal: Annotated[RefusalView | None, Field(description="Why it was refused, null where it was not.")]


class PunchBatchView(View):
    """One result per punch, in the order of the request."""

    results: Annotated[list[PunchView], Field(description="The results.", max_length=500)]


# ---- badges ----


class BadgeBody(Body):
    """Who gets a badge."""

    employee_id: Annotated[Id, Field(description="Who gets it.")]
    since: Annotated[Instant | None, Field(description="From when on, not ahead; now.")] = None


class BadgeHoldingView(View):
    """Who had a badge from when to when."""

    employee_id: Annotated[Id, Field(description="Who.")]
    since: Annotated[Instant | None, Field(description="From.")]
    until: Annotated[Instant | None, Field(description="Up to; null while they have it.")]


class BadgeView(View):
    """A number by which terminals name a person."""

    badge_number: Annotated[str, Field(description="The number on it.", max_length=40, examples=["B-1047"])]
    employee_id: Annotated[Id | None, Field(description="Who has it; null where nobody does.")]
    version: Annotated[int, Field(description="Version; the ETag in quotes.", ge=0)]
    holdings: Annotated[list[BadgeHoldingView], Field(description="Whose it was, oldest first.", max_length=100)]


class BadgesQuery(PageQuery):
    """Which badges."""

    employee_id: Annotated[Id | None, Field(description="Only those that this employee has.")] = None


# ---- timesheets ----


class IntervalView(View):
    """A span of time by instants."""

    start: Annotated[Instant | None, Field(description="From.")]
    end: Annotated[Instant | None, Field(description="Up to; null while open.")]


class OccurrencePunchView(View):
    """A punch of an occurrence."""

    punch_id: Annotated[Id, Field(description="The punch.")]
    punched_at: Annotated[Instant | None, Field(description="When.")]
    direction: Annotated[Direction | None, Field(description="Which way, as given.")]
    duplicate_of: Annotated[Id | None, Field(description="The punch of which it is a duplicate.")]
    correction_id: Annotated[Id | None, Field(description="The correction that put it here; null as it was made.")]


class SumsView(View):
    """Sums in minutes, unless the name says otherwise."""

    planned_minutes: Annotated[int, Field(description="Planned work on workday time.", ge=0)]
    planned_days: Annotated[int, Field(description="Days with planned work.", ge=0)]
    worked_minutes: Annotated[int, Field(description="Regular and counted overtime.", ge=0)]
    regular_minutes: Annotated[int, Field(description="Planned work that was done.", ge=0)]
    overtime_workday_minutes: Annotated[int, Field(description="Counted overtime on workday time.", ge=0)]
    overtime_rest_day_minutes: Annotated[int, Field(description="Counted overtime on rest days.", ge=0)]
    overtime_holiday_minutes: Annotated[int, Field(description="Counted overtime on statutory holidays.", ge=0)]
    night_minutes: Annotated[int, Field(description="Worked within the night window.", ge=0)]
    late_minutes: Annotated[int, Field(description="Late.", ge=0)]
    early_leave_minutes: Annotated[int, Field(description="Left early.", ge=0)]
    absent_minutes: Annotated[int, Field(description="Unexcused.", ge=0)]
    absence_minutes: Annotated[int, Field(description="Covered by absences.", ge=0)]
    late_count: Annotated[int, Field(description="Times late.", ge=0)]
    early_leave_count: Annotated[int, Field(description="Times left early.", ge=0)]
    unapproved_overtime_minutes: Annotated[int, Field(description="Overtime that was not approved.", ge=0)]


class OccurrenceView(View):
    """One work day: a planned shift with its absolute interval, or a day off, and what came of it."""

    work_date: Annotated[CivilDate | None, Field(description="Local date of the planned start.")]
    day_kind: Annotated[DayKind | None, Field(description="What the day is.")]
    shift: Annotated[str | None, Field(description="Code of the planned shift.", max_length=40, examples=["DAY"])]
    status: Annotated[OccurrenceStatus | None, Field(description="How it went.")]
    planned: Annotated[list[IntervalView], Field(description="Planned spans.", max_length=12)]
    breaks: Annotated[list[IntervalView], Field(description="Unpaid breaks.", max_length=12)]
    punches: Annotated[list[OccurrencePunchView], Field(description="Its punches by time.", max_length=1000)]
    present: Annotated[list[IntervalView], Field(description="Time present.", max_length=1000)]
    planned_minutes: Annotated[int, Field(description="Planned work on workday time.", ge=0)]
    worked_minutes: Annotated[int, Field(description="Regular and counted overtime.", ge=0)]
    regular_minutes: Annotated[int, Field(description="Planned work that was done.", ge=0)]
    overtime_workday_minutes: Annotated[int, Field(description="Counted overtime on workday time.", ge=0)]
    overtime_rest_day_minutes: Annotated[int, Field(description="Counted overtime on rest days.", ge=0)]
    overtime_holiday_minutes: Annotated[int, Field(description="Counted overtime on statutory holidays.", ge=0)]
    unapproved_overtime_minutes: Annotated[int, Field(description="Overtime that was not approved.", ge=0)]
    night_minutes: Annotated[int, Field(description="Worked within the night window.", ge=0)]
    late_minutes: Annotated[int, Field(description="Late, beyond the grace.", ge=0)]
    early_leave_minutes: Annotated[int, Field(description="Left early, beyond the grace.", ge=0)]
    absent_minutes: Annotated[int, Field(description="Unexcused.", ge=0)]
    absence_minutes: Annotated[int, Field(description="Covered by absences.", ge=0)]


class AbsenceView(View):
    """An absence."""

    id: Annotated[Id, Field(description="The absence.")]
    code: Annotated[str, Field(description="Code.", max_length=40, examples=["UNPAID"])]
    start_date: Annotated[CivilDate | None, Field(description="First day.")]
    end_date: Annotated[CivilDate | None, Field(description="Last day.")]
    minutes: Annotated[int, Field(description="Minutes on its one day; 0 means whole days.", ge=0)]
    paid_share: Annotated[str, Field(description="Share of pay that goes on.", max_length=8, examples=["0"])]


class TimesheetView(View):
    """One assignment's time in one time period."""

    id: Annotated[Id, Field(description="The timesheet.")]
    employee_id: Annotated[Id, Field(description="Whose time.")]
    assignment_id: Annotated[Id | None, Field(description="The assignment.")]
    period: Annotated[str, Field(description="Name of the period.", max_length=8, examples=["2026-11"])]
    start_date: Annotated[CivilDate | None, Field(description="First day of the period.")]
    end_date: Annotated[CivilDate | None, Field(description="Last day of the period.")]
    time_calendar: Annotated[
        str | None, Field(description="Code of the time calendar.", max_length=40, examples=["CN"])
    ]
    pay_group: Annotated[str | None, Field(description="Pay group.", max_length=40, examples=["CN-MONTHLY"])]
    department: Annotated[str | None, Field(description="Department.", max_length=40, examples=["ENG"])]
    status: Annotated[TimesheetStatus | None, Field(description="Where it stands.")]
    version: Annotated[int, Field(description="Version; the ETag in quotes.", ge=0)]
    updated_at: Annotated[Instant | None, Field(description="When it last changed.")]
    occurrences: Annotated[
        list[OccurrenceView], Field(description="One per day, by date; empty in lists.", max_length=400)
    ]
    absences: Annotated[list[AbsenceView], Field(description="By first day; empty in lists.", max_length=400)]
    corrections: Annotated[
        list[CorrectionView], Field(description="Corrections that were asked for; empty in lists.", max_length=100)
    ]
    overtime_requests: Annotated[
        list[OvertimeRequestView], Field(description="Overtime that was asked for; empty in lists.", max_length=100)
    ]
    adjustments: Annotated[
        list[AdjustmentView], Field(description="What changed after lock; empty in lists.", max_length=100)
    ]
    sums: Annotated[SumsView | None, Field(description="Sums over the occurrences; null in lists.")]
    submitted_by: Annotated[str | None, Field(description="Who submitted it.", max_length=80, examples=["019a"])]
    approved_by: Annotated[str | None, Field(description="Who approved it.", max_length=80, examples=["019a"])]


class TimesheetsQuery(PageQuery):
    """Which timesheets. With employee and period the one timesheet is answered in full."""

    employee_id: Annotated[Id | None, Field(description="Only of this employee.")] = None
    period: Annotated[PeriodName | None, Field(description="Only of this period.")] = None
    pay_group: Annotated[Code | None, Field(description="Only of this pay group.", examples=["CN-MONTHLY"])] = None
    department: Annotated[Code | None, Field(description="Only of this department.")] = None
    status: Annotated[TimesheetStatus | None, Field(description="Only in this status.")] = None
    updated_since: Annotated[Instant | None, Field(description="Only what changed after this instant.")] = None


class AbsenceBody(Body):
    """An absence to enter into an open timesheet."""

    code: Annotated[
        str,
        Field(
            description="Code, such as ANNUAL or UNPAID.",
            min_length=1,
            max_length=40,
            pattern="^[A-Z][A-Z0-9_-]*$",
            examples=["UNPAID"],
        ),
    ]
    start_date: Annotated[CivilDate, Field(description="First day, in the period.")]
    end_date: Annotated[CivilDate | None, Field(description="Last day, in the period; the first day.")] = None
    minutes: Annotated[Whole, Field(description="Minutes on its one day; 0 means whole days.", ge=0, le=1440)] = 0
    paid_share: PaidShare = "0"


class EmployeeAbsenceBody(AbsenceBody):
    """An absence of an employee, for the timesheet of the period in which its first day lies."""

    employee_id: Annotated[Id, Field(description="Whose absence.")]


class ReopenBody(Body):
    """Why a timesheet is reopened."""

    reason: Annotated[Text, Field(description="Why, for the audit trail.")] = ""


class ClosingBody(Body):
    """Everybody of a pay group or a department to a status, 250 people per request."""

    pay_group: Annotated[Code | None, Field(description="Everybody of this pay group.", examples=["CN-MONTHLY"])] = None
    department: Annotated[Code | None, Field(description="Everybody of this department.")] = None
    period: Annotated[PeriodName, Field(description="Name of the time period.")]
    target_status: Annotated[
        Literal["SUBMITTED", "APPROVED", "LOCKED"], Field(description="The steps before it are taken too.")
    ] = "LOCKED"
    cursor: Annotated[
        str,
        Field(
            description="`next_cursor` of the answer before; empty to start.",
            max_length=200,
            pattern="^[A-Za-z0-9_=+/.~:-]*$",
            examples=["b2Zmc2V0"],
        ),
    ] = ""

    @model_validator(mode="after")
    def _names_one_population(self) -> "ClosingBody":
        if (self.pay_group is None) == (self.department is None):
            raise ValueError("name a pay_group or a department, one of them")
        return self


class ClosingResultView(View):
    """What became of one person's timesheet."""

    employee_id: Annotated[Id, Field(description="Who.")]
    timesheet_id: Annotated[Id | None, Field(description="The timesheet; null where it could not be opened.")]
    status: Annotated[TimesheetStatus | None, Field(description="Where it stands now.")]
    changed: Annotated[bool, Field(description="Whether this request changed it.")]
    work_date: Annotated[CivilDate | None, Field(description="The work date that stands in the way.")]
    refusal: Annotated[RefusalView | None, Field(description="Why it was not taken there.")]


class ClosingView(View):
    """A closing: what this request did, and where to go on."""

    id: Annotated[str, Field(description="For GET: how far the closing is.", max_length=200, examples=["W"])]
    pay_group: Annotated[str | None, Field(description="The pay group.", max_length=40, examples=["CN-MONTHLY"])]
    department: Annotated[str | None, Field(description="The department.", max_length=40, examples=["ENG"])]
    period: Annotated[str, Field(description="The period.", max_length=8, examples=["2026-11"])]
    target_status: Annotated[TimesheetStatus, Field(description="Where everybody is to be taken.")]
    results: Annotated[list[ClosingResultView], Field(description="One per timesheet, by employee.", max_length=1000)]
    next_cursor: Annotated[
        str | None,
        Field(description="`cursor` of the next request; null at the end.", max_length=200, examples=["b2"]),
    ]


class ClosingProgressView(View):
    """How far a closing is: the timesheets that there are, by status."""

    id: Annotated[str, Field(description="The closing.", max_length=200, examples=["W"])]
    pay_group: Annotated[str | None, Field(description="The pay group.", max_length=40, examples=["CN-MONTHLY"])]
    department: Annotated[str | None, Field(description="The department.", max_length=40, examples=["ENG"])]
    period: Annotated[str, Field(description="The period.", max_length=8, examples=["2026-11"])]
    target_status: Annotated[TimesheetStatus, Field(description="Where everybody is to be taken.")]
    done: Annotated[int, Field(description="Timesheets at the target or beyond.", ge=0)]
    total: Annotated[int, Field(description="Timesheets of the period.", ge=0)]
    by_status: Annotated[
        dict[str, int], Field(description="How many stand where.", max_length=8, examples=[{"LOCKED": 30}])
    ]
