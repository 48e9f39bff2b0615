"""One event on its way to one endpoint: what an attempt brought, and what follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import NewType
from uuid import UUID

from kernel.ids import derived_id

DeliveryId = NewType("DeliveryId", UUID)

# The schedule that Standard Webhooks advises: ten attempts over a little more than three days.
RETRY_AFTER = (
    timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=5),
    timedelta(hours=10), timedelta(hours=14), timedelta(hours=20), timedelta(hours=24),
)  # fmt: skip
JITTER_PERCENT = 20  # of a pause, more or less
LONGEST_RETRY_AFTER = timedelta(hours=24)  # that a receiver may ask for
GONE = 410


class DeliveryStatus(Enum):
    """How far a delivery is."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"


class AttemptError(Enum):
    """Why an attempt delivered nothing."""

    HTTP_STATUS = "HTTP_STATUS"
    REDIRECT = "REDIRECT"
    TIMEOUT = "TIMEOUT"
    NAME_UNKNOWN = "NAME_UNKNOWN"
    ADDRESS_REFUSED = "ADDRESS_REFUSED"
    CONNECTION = "CONNECTION"
    TLS = "TLS"
    PROTOCOL = "PROTOCOL"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one attempt brought: a status, an error, or both. `error` is None only for 2xx."""

    time: datetime
    status_code: int | None
    error: AttemptError | None
    duration_ms: int
    retry_after: timedelta | None = None  # that the receiver asked for; not stored

    @property
    def delivered(self) -> bool:
        """Whether the receiver has the message."""
        return self.error is None

    @property
    def gone(self) -> bool:
        """Whether the receiver wants nothing any more."""
        return self.status_code == GONE


def attempt_of(time: datetime, status_code: int, duration_ms: int, retry_after: timedelta | None) -> Attempt:
    """The attempt that was answered with this status."""
    if 200 <= status_code < 300:
        error = None
    else:
        error = AttemptError.REDIRECT if 300 <= status_code < 400 else AttemptError.HTTP_STATUS
    asked = None if retry_after is None else min(max(retry_after, timedelta(0)), LONGEST_RETRY_AFTER)
    return Attempt(time, status_code, error, duration_ms, asked)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A part of its endpoint, stored and loaded apart from it.

    Invariants: its id, the `webhook-id`, follows from endpoint and event, so that there is one for both of them;
    `due_time` is set while it is PENDING and only then.
    """

    id: DeliveryId
    endpoint_id: UUID
    event_id: UUID
    event_type: str
    created_time: datetime
    status: DeliveryStatus = DeliveryStatus.PENDING
    due_time: datetime | None = None
    tries: int = 0
    last: Attempt | None = None

    @classmethod
    def due(cls, endpoint_id: UUID, event_id: UUID, event_type: str, at: datetime) -> "Delivery":
        """A new one, to be tried at once."""
        return cls(delivery_id(endpoint_id, event_id), endpoint_id, event_id, event_type, at, due_time=at)

    def tried(self, attempt: Attempt, schedule: Sequence[timedelta], jitter_percent: int) -> "Delivery":
        """After an attempt: done, due again, or given up when the schedule is over. `jitter_percent`: -20 to 20."""
        tries = self.tries + 1
        known = replace(self, tries=tries, last=replace(attempt, retry_after=None))
        if attempt.delivered:
            return replace(known, status=DeliveryStatus.DELIVERED, due_time=None)
        if attempt.gone or tries > len(schedule):
            return replace(known, status=DeliveryStatus.FAILED, due_time=None)
        pause = schedule[tries - 1] * (100 + jitter_percent) / 100
        if attempt.retry_after is not None:
            pause = max(pause, attempt.retry_after)
        return replace(known, due_time=attempt.time + pause)

    def again(self, at: datetime) -> "Delivery":
        """To be tried now with a fresh schedule, under the same id."""
        return replace(self, status=DeliveryStatus.PENDING, due_time=at, tries=0)


def delivery_id(endpoint_id: UUID, event_id: UUID) -> DeliveryId:
    """The same endpoint and event give the same id, for ever."""
    return DeliveryId(derived_id("webhook", endpoint_id, event_id))
