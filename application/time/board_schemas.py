"""What clients ask and receive about boards."""

from typing import Annotated, Literal

from pydantic import Field

from application.edge.fields import CivilDate, Code, Id, Instant, PeriodName, View
from application.edge.pages import PageQuery
from application.time.schemas import DayKind, IntervalView, TimesheetStatus

Presence = Literal["IN", "OUT", "EXPECTED", "LATE", "ABSENT", "ON_LEAVE", "DAY_OFF"]
ExceptionKind = Literal["MISSING_PUNCH", "NO_PUNCHES", "LATE", "EARLY_LEAVE", "ABSENT", "UNAPPROVED_OVERTIME"]

PEOPLE = 250  # that one page looks at: attendance computes their days

NUMBER = Field(description="Employee number.", max_length=40, examples=["E0001"])
NAME = Field(
    description="Preferred name, else the legal one.",
    max_length=200,
    examples=["Li Wei"],
    json_schema_extra={"x-pii": "public"},
)


class PeoplePageQuery(PageQuery):
    """Which people, by number; a page may hold fewer rows than it looks at people."""

    department: Annotated[Code | None, Field(description="Only of this department.")] = None
    location: Annotated[Code | None, Field(description="Only at this location.", examples=["SHANGHAI"])] = None
    limit: Annotated[int, Field(description="How many people it looks at.", ge=1, le=PEOPLE, examples=[50])] = 50


class BoardQuery(PeoplePageQuery):
    """Whom to show, and when."""

    at: Annotated[Instant | None, Field(description="As of this instant, by the punches made until then; now.")] = None
    presence: Annotated[Presence | None, Field(description="Only who is that; a page may then hold few.")] = None


class ExceptionsQuery(PeoplePageQuery):
    """What to show of whom."""

    period: Annotated[PeriodName, Field(description="Name of the time period.")]
    pay_group: Annotated[Code | None, Field(description="Only of this pay group.", examples=["CN-MONTHLY"])] = None
    kind: Annotated[ExceptionKind | None, Field(description="Only this; a page may then hold few.")] = None


class BoardRowView(View):
    """One person at an instant."""

    employee_id: Annotated[Id, Field(description="Who.")]
    employee_number: Annotated[str, NUMBER]
    name: Annotated[str, NAME]
    presence: Annotated[Presence | None, Field(description="Where they are; null where nothing is known of that day.")]
    since: Annotated[Instant | None, Field(description="When they came (IN) or went (OUT).")]
    late_minutes: Annotated[int, Field(description="Late, beyond the grace; of who has not come, so far.", ge=0)]
    work_date: Annotated[CivilDate | None, Field(description="Work date of the shift.")]
    day_kind: Annotated[DayKind | None, Field(description="What the day is.")]
    shift: Annotated[str | None, Field(description="Code of the planned shift.", max_length=40, examples=["DAY"])]
    planned: Annotated[list[IntervalView], Field(description="Planned spans.", max_length=12)]


class BoardView(View):
    """Who is in, late or out at an instant."""

    at: Annotated[Instant | None, Field(description="The instant that it is of; null where it shows nobody.")]
    data: Annotated[list[BoardRowView], Field(description="One per person, by number.", max_length=PEOPLE)]
    next_cursor: Annotated[
        str | None,
        Field(description="`cursor` of the next page, null at the end.", max_length=1000, examples=["b2Zmc2V0"]),
    ]


class TimeExceptionView(View):
    """One thing about one work date that somebody has to look at."""

    employee_id: Annotated[Id, Field(description="Who.")]
    employee_number: Annotated[str, NUMBER]
    name: Annotated[str, NAME]
    timesheet_id: Annotated[Id | None, Field(description="The timesheet; null where there is none yet.")]
    timesheet_status: Annotated[TimesheetStatus | None, Field(description="Where the timesheet stands.")]
    work_date: Annotated[CivilDate | None, Field(description="The work date.")]
    kind: Annotated[ExceptionKind | None, Field(description="What it is.")]
    minutes: Annotated[int, Field(description="Minutes that it is about; 0 where a punch is missing.", ge=0)]
    message: Annotated[str, Field(description="What happened.", max_length=1000, examples=["came late"])]


class TimeExceptionsView(View):
    """What there is to look at, by person and work date."""

    data: Annotated[list[TimeExceptionView], Field(description="The exceptions.", max_length=50_000)]
    next_cursor: Annotated[
        str | None,
        Field(description="`cursor` of the next page, null at the end.", max_length=1000, examples=["b2Zmc2V0"]),
    ]
