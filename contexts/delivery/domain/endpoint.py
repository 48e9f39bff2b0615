"""The webhook endpoint: where a tenant wants to hear of which events, and with which secrets they are signed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import NewType
from uuid import UUID

from contexts.delivery.domain.destination import Destination
from contexts.delivery.domain.errors import EventTypeMalformed, TooManyWebhookSecrets, WebhookEndpointStatus
from contexts.delivery.domain.events import (
    WebhookEndpointCreated,
    WebhookEndpointDeleted,
    WebhookEndpointDisabled,
    WebhookEndpointEnabled,
    WebhookEndpointUpdated,
    WebhookSecretRotated,
)
from contexts.delivery.domain.secret import Secret
from kernel.aggregate import AggregateRoot
from kernel.ids import Version

EndpointId = NewType("EndpointId", UUID)

MOST_ENDPOINTS = 20  # of a tenant
MOST_SECRETS = 3  # that sign at once
MOST_EVENT_TYPES = 50
_EVENT_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*(\.\*)?")


class Status(Enum):
    """Whether an endpoint hears of events."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    DELETED = "DELETED"


class Because(Enum):
    """Why an endpoint is disabled."""

    REQUESTED = "REQUESTED"
    GONE = "GONE"
    FAILING = "FAILING"


NEXT = {  # the whole state machine
    "enable": {Status.DISABLED: Status.ENABLED},
    "disable": {Status.ENABLED: Status.DISABLED},
    "delete": {Status.ENABLED: Status.DELETED, Status.DISABLED: Status.DELETED},
}


@dataclass(frozen=True, slots=True)
class EventTypes:
    """Which events are wanted: full names, or all below a prefix ("muster.payroll.v1.*"); none = all.

    Invariants: at most 50, no two alike.
    """

    wanted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.wanted) > MOST_EVENT_TYPES or len(set(self.wanted)) < len(self.wanted):
            raise EventTypeMalformed("name at most 50 types, each once", field="event_types")
        if any(not _EVENT_TYPE.fullmatch(one) for one in self.wanted):
            raise EventTypeMalformed("write the full name of an event, or a prefix and .*", field="event_types")

    def include(self, event_type: str) -> bool:
        """Whether an event of this type is wanted."""
        return not self.wanted or any(
            event_type == one or (one.endswith(".*") and event_type.startswith(one[:-1])) for one in self.wanted
        )


@dataclass(frozen=True, slots=True)
class EndpointState:
    """Everything about an endpoint but its deliveries, which are stored as parts of it."""

    id: EndpointId
    place: Destination
    description: str
    event_types: EventTypes
    status: Status
    because: Because | None
    secrets: tuple[Secret, ...]  # oldest first
    version: Version
    created_time: datetime


class WebhookEndpoint(AggregateRoot[EndpointState]):
    """Where a tenant wants to hear of its events.

    Invariants: exactly one secret has no end, at most three sign at once; a deleted endpoint has no secret and never
    changes.
    """

    @classmethod
    def create(
        cls,
        id: EndpointId,
        place: Destination,
        secret: Secret,
        at: datetime,
        *,
        description: str = "",
        event_types: EventTypes | None = None,
        disabled: bool = False,
    ) -> "WebhookEndpoint":
        """A new endpoint with its first secret."""
        status, because = (Status.DISABLED, Because.REQUESTED) if disabled else (Status.ENABLED, None)
        types = event_types or EventTypes()
        endpoint = cls(EndpointState(id, place, description, types, status, because, (secret,), Version(0), at))
        endpoint._apply(WebhookEndpointCreated(id))
        return endpoint

    def update(
        self,
        *,
        place: Destination | None = None,
        description: str | None = None,
        event_types: EventTypes | None = None,
    ) -> None:
        """Change what is given."""
        state = self.state
        self._apply(
            WebhookEndpointUpdated(state.id),
            place=place or state.place,
            description=state.description if description is None else description,
            event_types=state.event_types if event_types is None else event_types,
        )

    def rotate(self, secret: Secret, at: datetime, overlap: timedelta) -> None:
        """Sign with a new secret; those before it sign too until `overlap` is over. Raises TooManyWebhookSecrets."""
        until = at + overlap
        before = tuple(
            replace(one, expire_time=min(one.expire_time or until, until))
            for one in self.state.secrets
            if one.signs_at(at) and overlap
        )
        if len(before) >= MOST_SECRETS:
            raise TooManyWebhookSecrets("three secrets sign already: wait until one ends, or rotate without overlap")
        self._apply(WebhookSecretRotated(self.state.id), secrets=(*before, secret))

    def enable(self) -> None:
        """Hear of events again. Raises WebhookEndpointStatus."""
        status = self._next("enable")
        self._apply(WebhookEndpointEnabled(self.state.id), status=status, because=None)

    def disable(self, because: Because) -> None:
        """Hear of events no more. Raises WebhookEndpointStatus."""
        status = self._next("disable")
        self._apply(WebhookEndpointDisabled(self.state.id, because.value), status=status, because=because)

    def delete(self) -> None:
        """Be gone, secrets first."""
        status = self._next("delete")
        self._apply(WebhookEndpointDeleted(self.state.id), status=status, secrets=())

    def check_enabled(self) -> None:
        """Raises WebhookEndpointStatus where it hears of no events."""
        if self.state.status is not Status.ENABLED:
            raise WebhookEndpointStatus("the endpoint is disabled; enable it first", endpoint_id=self.state.id)

    def _next(self, verb: str) -> Status:
        status = NEXT[verb].get(self.state.status)
        if status is None:
            raise WebhookEndpointStatus(
                f"the endpoint is {self.state.status.value} already",
                endpoint_id=self.state.id,
                status=self.state.status.value,
            )
        return status


def live_secrets(state: EndpointState, at: datetime) -> Sequence[Secret]:
    """The secrets that sign at that instant, oldest first."""
    return [one for one in state.secrets if one.signs_at(at)]
