"""What clients send and receive about webhook endpoints and deliveries."""

from typing import Annotated, Literal

from pydantic import Field

from application.edge.fields import TEXT_PATTERN, Body, Flag, Id, Instant, View, Whole
from application.edge.pages import PageQuery

SECRET = {"x-pii": "secret", "readOnly": True}
TYPE_PATTERN = r"^[A-Za-z][A-Za-z0-9_]*([.][A-Za-z0-9_]+)*([.][*])?$"
URL_PATTERN = "^[Hh][Tt][Tt][Pp][Ss]?://[^\\u0000-\\u0020\\u007f]+$"

Url = Annotated[
    str,
    Field(
        description="Absolute https URL of the receiver: a full public host name, port 443 or 8443, no user, no"
        " fragment.",
        min_length=10,
        max_length=1000,
        pattern=URL_PATTERN,
        examples=["https://hooks.example.com/muster"],
    ),
]
Description = Annotated[
    str,
    Field(description="What it is for.", max_length=200, pattern=TEXT_PATTERN, examples=["Book-keeping"]),
]
EventType = Annotated[
    str,
    Field(min_length=1, max_length=160, pattern=TYPE_PATTERN, examples=["muster.payroll.v1.PayrollRunFinalizedEvent"]),
]
EventTypes = Annotated[
    list[EventType],
    Field(
        description="Which events it hears of: full names, or all below a prefix (`muster.payroll.v1.*`); empty for"
        " all.",
        max_length=50,
        examples=[["muster.payroll.v1.*", "muster.organization.v1.EmployeeHiredEvent"]],
    ),
]
DeliveryState = Literal["PENDING", "DELIVERED", "FAILED"]


class WebhookEndpointBody(Body):
    """Where to hear of events."""

    url: Url
    description: Description = ""
    event_types: EventTypes = Field(default_factory=list)
    enabled: Annotated[Flag, Field(description="False to create it disabled.")] = True


class WebhookEndpointChangeBody(Body):
    """What changes; what is left out stays."""

    url: Annotated[Url | None, Field(description="Absolute https URL of the receiver.")] = None
    description: Annotated[Description | None, Field(description="What it is for.")] = None
    event_types: Annotated[
        EventTypes | None, Field(description="Which events it hears of, in place of all before; empty for all.")
    ] = None


class RotateSecretBody(Body):
    """How the old secret ends."""

    overlap_minutes: Annotated[
        Whole,
        Field(
            description="How long the secrets before sign too; 0 ends them at once (a secret that leaked).",
            ge=0,
            le=10080,
            examples=[1440],
        ),
    ] = 1440


class WebhookEndpointView(View):
    """Where the tenant hears of events."""

    id: Annotated[Id, Field(description="The endpoint.")]
    url: Annotated[
        str,
        Field(
            description="Where it is delivered to; an international host name stands in its `xn--` form.",
            max_length=1000,
            examples=["https://hooks.example.com/muster"],
        ),
    ]
    description: Annotated[str, Field(description="What it is for.", max_length=200, examples=["Book-keeping"])]
    event_types: EventTypes
    status: Annotated[Literal["ENABLED", "DISABLED"], Field(description="Whether it hears of events.")]
    disable_reason: Annotated[
        Literal["REQUESTED", "GONE", "FAILING"] | None,
        Field(
            description="Why it is disabled: somebody asked for it, the receiver answered 410, or nothing was delivered"
            " for five days. Null where it is enabled."
        ),
    ]
    failing_since: Annotated[
        Instant | None, Field(description="Since when nothing was delivered, null while it works.")
    ]
    secret_count: Annotated[
        int, Field(description="How many secrets sign now; more than one during a rotation.", ge=0, le=3, examples=[1])
    ]
    old_secret_expires_at: Annotated[
        Instant | None, Field(description="Until when an older secret signs too, null outside a rotation.")
    ]
    version: Annotated[int, Field(description="Version, as in the ETag.", ge=1, examples=[1])]
    created_at: Annotated[Instant | None, Field(description="When it was created.")]


class WebhookSecretView(WebhookEndpointView):
    """An endpoint with its newest secret, which is told here only."""

    secret: Annotated[
        str,
        Field(
            description="Signs what is sent (Standard Webhooks): keep it; it is never told again.",
            min_length=40,
            max_length=100,
            pattern="^whsec_[A-Za-z0-9+/]+=*$",
            examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="],
            json_schema_extra=SECRET,
        ),
    ]


class WebhookEndpointDeletedView(View):
    """The endpoint is gone."""

    id: Annotated[Id, Field(description="The endpoint.")]
    status: Annotated[Literal["DELETED"], Field(description="What became of it.")]


class WebhookPingView(View):
    """A ping is on its way."""

    delivery_id: Annotated[Id, Field(description="Its delivery, to be looked up in the log.")]


class DeliveriesQuery(PageQuery):
    """Which deliveries."""

    status: Annotated[DeliveryState | None, Field(description="Only those that are so far.")] = None


class AttemptView(View):
    """One attempt to deliver."""

    attempted_at: Annotated[Instant | None, Field(description="When it began.")]
    status_code: Annotated[
        int | None,
        Field(description="HTTP status of the answer, null where none came.", ge=100, le=999, examples=[204]),
    ]
    error: Annotated[
        Literal[
            "HTTP_STATUS",
            "REDIRECT",
            "TIMEOUT",
            "NAME_UNKNOWN",
            "ADDRESS_REFUSED",
            "CONNECTION",
            "TLS",
            "PROTOCOL",
        ]
        | None,
        Field(description="Why nothing was delivered; null where it was."),
    ]
    duration_ms: Annotated[
        int, Field(description="Milliseconds until the answer or the error.", ge=0, le=2147483647, examples=[120])
    ]


class WebhookDeliveryView(View):
    """One event on its way to one endpoint."""

    id: Annotated[Id, Field(description="The delivery; `webhook-id` of every attempt.")]
    event_id: Annotated[Id, Field(description="The event; `id` of the CloudEvent.")]
    event_type: Annotated[
        str,
        Field(description="What happened.", max_length=160, examples=["muster.payroll.v1.PayrollRunFinalizedEvent"]),
    ]
    status: Annotated[DeliveryState, Field(description="How far it is.")]
    tries: Annotated[int, Field(description="Attempts of the running schedule.", ge=0, le=1000, examples=[1])]
    next_try_at: Annotated[Instant | None, Field(description="When it is tried next; null where it is not.")]
    last_attempt: Annotated[AttemptView | None, Field(description="The newest attempt, null before the first.")]
    created_at: Annotated[Instant | None, Field(description="When it was put on its way.")]


class WebhookDeliveryLogView(WebhookDeliveryView):
    """One delivery with its attempts."""

    attempts: Annotated[list[AttemptView], Field(description="The newest first, at most 50.", max_length=50)]
