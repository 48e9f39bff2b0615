"""What clients send and receive about work that parked."""

from typing import Annotated, Literal

from pydantic import Field

from application.edge.fields import Id, Instant, View
from application.edge.pages import PageQuery

Service = Literal["identity", "organization", "attendance", "payroll"]
UUID_TEXT = "[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}"
STEP_PATTERN = "^[a-z][a-z0-9_.-]{0,59}$"
WORK_ITEM_PATTERN = f"^[a-z]{{1,30}}\\.[a-z][a-z0-9_.-]{{0,59}}\\.{UUID_TEXT}$"
WORK_ITEM_EXAMPLE = "organization.people.roster.019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"

WorkItemId = Annotated[
    str, Field(min_length=40, max_length=128, pattern=WORK_ITEM_PATTERN, examples=[WORK_ITEM_EXAMPLE])
]


class WorkItemsQuery(PageQuery):
    """Which work that parked."""

    service: Annotated[Service | None, Field(description="Only what follows from events of this data service.")] = None
    step: Annotated[
        str | None,
        Field(
            description="Only what this step could not do.",
            max_length=60,
            pattern=STEP_PATTERN,
            examples=["people.roster"],
        ),
    ] = None


class WorkItemView(View):
    """One step that could not be done about one event; it waits until its cause is mended and it is replayed."""

    id: Annotated[WorkItemId, Field(description="Service, step and event.")]
    service: Annotated[Service, Field(description="The data service whose event it is.")]
    step: Annotated[
        str, Field(description="What could not be done about it.", max_length=60, examples=["people.roster"])
    ]
    event: Annotated[str, Field(description="What happened.", max_length=200, examples=["EmployeeHiredEvent"])]
    subject: Annotated[str, Field(description="What it happened to.", max_length=60, examples=["employee"])]
    subject_id: Annotated[Id, Field(description="Its id.")]
    employee_id: Annotated[Id | None, Field(description="The employee whom it concerns, null where it is not one.")]
    reason: Annotated[
        str,
        Field(
            description="Stable code of the refusal, explained in docs/problems.md; FAILED_UNEXPECTEDLY where the log"
            " says why.",
            max_length=80,
            examples=["FACT_OUT_OF_RANGE"],
        ),
    ]
    detail: Annotated[
        str,
        Field(
            description="Why, and how to mend it.",
            max_length=500,
            examples=["the time zone is unknown: correct the workplace"],
        ),
    ]
    attempts: Annotated[int, Field(description="How often it was tried.", ge=1, le=1000, examples=[5])]
    occurred_at: Annotated[Instant | None, Field(description="When the event happened.")]
    parked_at: Annotated[Instant | None, Field(description="When the step gave up.")]


class WorkItemReplayView(View):
    """The event was handed out again; if the step fails anew, it is listed again."""

    id: Annotated[WorkItemId, Field(description="Service, step and event.")]
    status: Annotated[Literal["REPLAYING"], Field(description="What becomes of it now.")]
