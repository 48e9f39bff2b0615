"""What clients send and receive about the caller."""

from typing import Annotated, Literal

from pydantic import Field

from application.edge.fields import Body, CivilDate, Id, Instant, PeriodName, Query, View, Zone
from application.edge.pages import PageQuery
from application.identity.schemas import TenantView
from application.people.schemas import NAME, EmployeeStatus
from application.time.schemas import Direction, PunchId

ApprovalKind = Literal["OVERTIME_REQUEST", "TIMESHEET_CORRECTION", "TIMESHEET", "PAYROLL_RUN"]


class MyEmploymentView(View):
    """The caller as an employee, today; `GET /v1/employees/{id}` tells the rest."""

    id: Annotated[Id, Field(description="The employee.")]
    employee_number: Annotated[str, Field(description="The company's own number.", max_length=40, examples=["E0001"])]
    legal_name: Annotated[
        str,
        Field(
            description="Name as in the identity document.",
            max_length=200,
            examples=["Li Wei"],
            json_schema_extra=NAME,
        ),
    ]
    preferred_name: Annotated[
        str | None,
        Field(description="Name that the person goes by.", max_length=200, examples=["Wei"], json_schema_extra=NAME),
    ]
    status: Annotated[EmployeeStatus | None, Field(description="Where the employee stands today.")]
    hire_date: Annotated[CivilDate | None, Field(description="First day of the employment.")]
    end_date: Annotated[CivilDate | None, Field(description="Last day, null while none is agreed.")]
    legal_entity: Annotated[str | None, Field(description="The employer.", max_length=40, examples=["ACME-CN"])]
    department: Annotated[str | None, Field(description="Department.", max_length=40, examples=["ENG"])]
    position: Annotated[str | None, Field(description="Position.", max_length=40, examples=["ENGINEER"])]
    location: Annotated[str | None, Field(description="Workplace.", max_length=40, examples=["SHANGHAI"])]
    manager_id: Annotated[Id | None, Field(description="The manager, an employee.")]
    work_schedule: Annotated[
        str | None, Field(description="Code of the work schedule.", max_length=40, examples=["STANDARD-5X8"])
    ]


class MeView(View):
    """The caller, as the token says."""

    account_id: Annotated[str, Field(description="The account; `sub` of the token.", max_length=80, examples=["019a"])]
    roles: Annotated[
        list[str], Field(description="Roles, those limited to a part with `@`.", max_length=50, examples=[["hr_admin"]])
    ]
    employee_id: Annotated[Id | None, Field(description="The employee that the account is.")]
    employee: Annotated[
        MyEmploymentView | None, Field(description="That employee; null where the account is nobody's.")
    ]
    tenant: Annotated[TenantView, Field(description="The company.")]


class MyTimesheetQuery(Query):
    """Which of one's timesheets."""

    period: Annotated[PeriodName | None, Field(description="Name of the time period; the one in which today lies.")] = (
        None
    )


class MyPayslipsQuery(PageQuery):
    """Which of one's payslips."""

    year: Annotated[int, Field(description="Only of this tax year; 0 for all.", ge=0, le=9999, examples=[2026])] = 0


class ApprovalsQuery(PageQuery):
    """Which decisions."""

    mine: Annotated[
        Literal["true"],
        Field(description="Those that wait for the caller, the only ones there are.", examples=["true"]),
    ] = "true"
    kind: Annotated[ApprovalKind | None, Field(description="Only of this kind.")] = None


class ApprovalView(View):
    """Something that waits for the caller's decision."""

    kind: Annotated[ApprovalKind, Field(description="What waits.")]
    id: Annotated[Id, Field(description="The request, timesheet or run.")]
    employee_id: Annotated[Id | None, Field(description="Whom it is about; null for a payroll run.")]
    period: Annotated[
        str | None, Field(description="Of a timesheet or run: its period.", max_length=8, examples=["2026-11"])
    ]
    work_date: Annotated[CivilDate | None, Field(description="Of overtime: the work date.")]
    reason: Annotated[
        str, Field(description="Why it was asked for, may be empty.", max_length=500, examples=["Month's end"])
    ]
    asked_by: Annotated[
        str, Field(description="Who asked, submitted or prepared it.", max_length=80, examples=["019ab3c4"])
    ]
    asked_at: Annotated[Instant | None, Field(description="When it was asked for, submitted or created.")]
    approve_at: Annotated[
        str,
        Field(
            description="Where to POST the approval.",
            max_length=100,
            examples=["/v1/timesheets/019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071/approve"],
        ),
    ]


class MyPunchBody(Body):
    """An instant at which one came or went."""

    punch_id: PunchId
    punched_at: Annotated[Instant, Field(description="When.", examples=["2026-11-23T09:00:00+08:00"])]
    time_zone: Annotated[Zone | None, Field(description="Zone of the place; that of the workplace.")] = None
    direction: Annotated[Direction | None, Field(description="Which way; null where it is not told.")] = None
    source: Annotated[Literal["MOBILE", "WEB"], Field(description="Where from.")] = "MOBILE"
