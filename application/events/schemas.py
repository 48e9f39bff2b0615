"""What clients send and receive about events, and about work that parked."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from application.edge.fields import Id, Instant, Query, View
from application.edge.pages import PageQuery
from application.events.cloud_events import PUBLISHED, event_types
from application.events.cursor import CURSOR_PATTERN

Service = Literal["identity", "organization", "attendance", "payroll", "delivery"]
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


KNOWN_TYPES = tuple(name for service in PUBLISHED for name in event_types(service))
TYPE_EXAMPLE = "muster.payroll.v1.PayrollRunFinalizedEvent"
LONGEST_WAIT_S = 8


def _known_types(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    names = [name.strip() for name in value.split(",") if name.strip()]
    if not set(names) <= set(KNOWN_TYPES):
        raise ValueError("name event types as the API documentation lists them, separated by commas")
    return ",".join(sorted(set(names)))


class EventsQuery(Query):
    """Which events."""

    after: Annotated[
        str,
        Field(
            description="Events after this place: `next_cursor` of the answer before; empty for all that are kept.",
            max_length=1000,
            pattern=CURSOR_PATTERN,
            examples=["WzEseyJwYXlyb2xsIjo0Mn1d"],
        ),
    ] = ""
    limit: Annotated[int, Field(description="How many at most.", ge=1, le=500, examples=[100])] = 100
    types: Annotated[
        str,
        BeforeValidator(_known_types),
        Field(
            description="Only these types, separated by commas, the same along one walk; all where it is empty.",
            max_length=4000,
            pattern="^[A-Za-z0-9_.,]*$",
            examples=[TYPE_EXAMPLE],
            json_schema_extra={"x-event-types": list(KNOWN_TYPES)},
        ),
    ] = ""
    wait: Annotated[
        int,
        Field(
            description="How many seconds to wait for the first event where there is none yet; less where the request's"
            " time ends before.",
            ge=0,
            le=LONGEST_WAIT_S,
            examples=[5],
        ),
    ] = 0


class CloudEventView(View):
    """A published event as CloudEvents 1.0: ids and facts, never a name, an amount or another personal field."""

    specversion: Annotated[Literal["1.0"], Field(description="Version of CloudEvents.")]
    id: Annotated[Id, Field(description="The event; apply it once.")]
    source: Annotated[
        str, Field(description="The data service whose fact it is.", max_length=60, examples=["/muster/payroll"])
    ]
    type: Annotated[
        str,
        Field(
            description="What happened. New types may come at any time: pass over what you do not know.",
            max_length=200,
            examples=[TYPE_EXAMPLE],
            json_schema_extra={"x-event-types": list(KNOWN_TYPES)},
        ),
    ]
    subject: Annotated[
        str,
        Field(
            description="What it happened to: its kind and id.",
            max_length=120,
            examples=["payroll_run/019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"],
        ),
    ]
    time: Annotated[Instant, Field(description="When it was recorded.")]
    tenantid: Annotated[Id, Field(description="The company.")]
    sequence: Annotated[
        str,
        Field(
            description="Its place among the events of its source: later ones compare greater, as text too.",
            pattern="^[0-9]{19}$",
            examples=["0000000000000000042"],
        ),
    ]
    aggregateversion: Annotated[
        int, Field(description="Version of its subject after the change; several events may share one.", ge=1)
    ]
    datacontenttype: Annotated[
        Literal["application/json"] | None,
        Field(description="What `data` is; missing with it while an event is newer than this API."),
    ] = None
    data: Annotated[
        dict[str, Any] | None,
        Field(
            description="The facts by type, as docs/events.md lists them; new ones may be added.",
            max_length=60,
            examples=[{"run_id": "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"}],
        ),
    ] = None


class EventPage(View):
    """Events in order, and where to go on."""

    data: Annotated[list[CloudEventView], Field(description="The events, oldest first.", max_length=500)]
    next_cursor: Annotated[
        str,
        Field(
            description="`after` of the next request, whether there is more yet or not; keep it with what you applied.",
            max_length=1000,
            examples=["WzEseyJwYXlyb2xsIjo0Mn1d"],
        ),
    ]
    has_more: Annotated[bool, Field(description="Whether more events stand there already.")]
