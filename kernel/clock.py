"""Time as an argument: the domain is told what time it is."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where the current instant comes from."""

    def now(self) -> datetime:
        """The current instant in UTC, with microseconds."""
        ...


def utc(instant: datetime) -> datetime:
    """The same instant in UTC. Raises ValueError for a naive datetime."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return instant.astimezone(UTC)


def strictly_after(now: datetime, previous: datetime | None) -> datetime:
    """`now`, or one microsecond past `previous` where the clock did not move on: record times never tie."""
    if previous is None or now > previous:
        return now
    return previous + timedelta(microseconds=1)
