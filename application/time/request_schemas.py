"""What clients send and receive about corrections, overtime requests and adjustments."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from application.edge.fields import TEXT_PATTERN, Body, CivilDate, Code, Id, Instant, Text, View, Whole
from application.edge.pages import PageQuery

RequestStatus = Literal["REQUESTED", "APPROVED", "DECLINED"]
Direction = Literal["IN", "OUT"]
DayKind = Literal["WORKDAY", "REST_DAY", "HOLIDAY"]

Reason = Annotated[
    str,
    Field(
        description="Why.",
        min_length=1,
        max_length=200,
        pattern=TEXT_PATTERN,
        examples=["Forgot to punch out on leaving"],
    ),
]
PayCode = Annotated[
    str,
    Field(
        description="REGULAR, OVERTIME, NIGHT, LATE, EARLY_LEAVE, ABSENT, or the code of an absence.",
        min_length=1,
        max_length=40,
        pattern="^[A-Z][A-Z0-9_-]*$",
        examples=["OVERTIME"],
    ),
]


class CorrectionBody(Body):
    """A punch that was forgotten (`punched_at` alone), is wrong (both), or should not be there (`punch_id` alone)."""

    punch_id: Annotated[
        Id | None, Field(description="The punch that is wrong, or the correction that put it there; null if forgotten.")
    ] = None
    punched_at: Annotated[
        Instant | None,
        Field(
            description="When it should be, in the period; null where it should not be there.",
            examples=["2026-11-23T18:00:00+08:00"],
        ),
    ] = None
    direction: Annotated[Direction | None, Field(description="Which way it should go; null leaves it to its turn.")] = (
        None
    )
    reason: Reason

    @model_validator(mode="after")
    def _corrects_something(self) -> "CorrectionBody":
        if self.punch_id is None and self.punched_at is None:
            raise ValueError("name the punch_id that is wrong, or when the forgotten punch was (punched_at)")
        return self


class OvertimeRequestBody(Body):
    """Overtime to be counted, asked for before or after the work."""

    employee_id: Annotated[Id, Field(description="Whose overtime.")]
    work_date: Annotated[CivilDate, Field(description="Work date: on which the shift starts, or the day off.")]
    minutes: Annotated[Whole, Field(description="Minutes of overtime.", ge=1, le=1440, examples=[120])]
    reason: Reason


class DecisionBody(Body):
    """A word to the one who asked."""

    note: Annotated[Text, Field(description="A word to the one who asked.")] = ""


class OvertimeApprovalBody(DecisionBody):
    """Overtime that is approved: all that was asked for, or fewer minutes."""

    minutes: Annotated[
        Whole, Field(description="Minutes that are approved, not more than asked; 0 means all.", ge=0, le=1440)
    ] = 0


class AdjustmentLineBody(Body):
    """Minutes more, or (below zero) less, that count alike."""

    pay_code: PayCode
    day_kind: Annotated[DayKind, Field(description="Kind of the day on which the minutes fall.")]
    minutes: Annotated[Whole, Field(description="Minutes more, or less; not 0.", ge=-2880, le=2880, examples=[60])]
    paid_share: Annotated[
        str | None,
        Field(
            description="Share of pay that goes on for an absence, 0 to 1; null for the other pay codes.",
            min_length=1,
            max_length=6,
            pattern=r"^(0(\.[0-9]{1,4})?|1(\.0{1,4})?)$",
            examples=["1"],
        ),
    ] = None


class AdjustmentBody(Body):
    """A change of a locked timesheet; all lines but OVERTIME and NIGHT add up to 0 minutes."""

    work_date: Annotated[CivilDate, Field(description="A work date of the timesheet, which the change keeps.")]
    lines: Annotated[
        list[AdjustmentLineBody], Field(description="What becomes more or less.", min_length=1, max_length=20)
    ]
    reason: Reason


class RequestView(View):
    """What is said of every request."""

    status: Annotated[RequestStatus | None, Field(description="Where it stands; a decision is final.")]
    reason: Annotated[str, Field(description="Why it was asked for.", max_length=200, examples=["Month's end"])]
    requested_by: Annotated[str, Field(description="The principal who asked.", max_length=80, examples=["019a"])]
    requested_at: Annotated[Instant | None, Field(description="When it was asked for.")]
    decided_by: Annotated[
        str | None, Field(description="The principal who decided; null before.", max_length=80, examples=["019b"])
    ]
    decided_at: Annotated[Instant | None, Field(description="When it was decided; null before.")]
    note: Annotated[str, Field(description="What was said to the decision.", max_length=200, examples=["Thank you"])]


class CorrectionView(RequestView):
    """A punch that was forgotten, is wrong, or should not be there. No punch is overwritten."""

    id: Annotated[Id, Field(description="The correction.")]
    timesheet_id: Annotated[Id, Field(description="The timesheet.")]
    employee_id: Annotated[Id, Field(description="Whose.")]
    punch_id: Annotated[Id | None, Field(description="The punch that is wrong; null where one was forgotten.")]
    punched_at: Annotated[Instant | None, Field(description="When it should be; null where it should not be there.")]
    direction: Annotated[Direction | None, Field(description="Which way it should go.")]


class OvertimeRequestView(RequestView):
    """Minutes of overtime on a work date that somebody asked for."""

    id: Annotated[Id, Field(description="The request.")]
    timesheet_id: Annotated[Id, Field(description="The timesheet.")]
    employee_id: Annotated[Id, Field(description="Whose.")]
    work_date: Annotated[CivilDate | None, Field(description="The work date.")]
    minutes: Annotated[int, Field(description="Minutes asked for; once approved, those that were approved.", ge=0)]


class AdjustmentLineView(View):
    """Minutes more, or (below zero) less, that count alike."""

    pay_code: PayCode
    day_kind: Annotated[DayKind | None, Field(description="Kind of the day on which the minutes fall.")]
    minutes: Annotated[int, Field(description="Minutes more, or less.", ge=-2880, le=2880, examples=[60])]
    paid_share: Annotated[
        str | None, Field(description="Share of pay that goes on for an absence.", max_length=8, examples=["1"])
    ]


class AdjustmentView(View):
    """A change after lock; it keeps its work date and never moves to another period."""

    id: Annotated[Id, Field(description="The adjustment.")]
    work_date: Annotated[CivilDate | None, Field(description="The work date.")]
    lines: Annotated[list[AdjustmentLineView], Field(description="What became more or less.", max_length=400)]
    reason: Annotated[str, Field(description="Why.", max_length=200, examples=["Stocktaking"])]
    adjusted_by: Annotated[str, Field(description="The principal who made it.", max_length=80, examples=["019a"])]
    adjusted_at: Annotated[Instant | None, Field(description="When it was made.")]
    cause_id: Annotated[
        Id | None, Field(description="The correction or overtime request that it comes of; null where it was entered.")
    ]


class RequestsQuery(PageQuery):
    """Which requests."""

    status: Annotated[RequestStatus | None, Field(description="Only in this status.")] = None
    employee_id: Annotated[Id | None, Field(description="Only of this employee.")] = None
    department: Annotated[Code | None, Field(description="Only of timesheets of this department.")] = None
