"""When a job is due: instants that follow from the wall clock alone, the same in every process."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_MINUTES = 7 * 24 * 60


class Times(Protocol):
    """The nominal times of a job.

    Invariants: they rise; `last(t) <= t < after(t)`, and nothing is due between the two.
    """

    def after(self, instant: datetime) -> datetime:
        """The first one later than the instant."""
        ...

    def last(self, instant: datetime) -> datetime:
        """The latest one at or before the instant."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """Again and again, counted from 1970-01-01T00:00Z, so that all processes mean the same instants."""

    minutes: int  # 1 to a week's

    def __post_init__(self) -> None:
        if not 1 <= self.minutes <= _LONGEST_MINUTES:
            raise ValueError(f"choose 1 to {_LONGEST_MINUTES} minutes")

    def after(self, instant: datetime) -> datetime:
        """See Times."""
        return self.last(instant) + timedelta(minutes=self.minutes)

    def last(self, instant: datetime) -> datetime:
        """See Times."""
        step = timedelta(minutes=self.minutes)
        return _EPOCH + (instant - _EPOCH) // step * step

    def __str__(self) -> str:
        return f"every {self.minutes} min"


@dataclass(frozen=True, slots=True)
class Daily:
    """Once per civil day of a zone, at a time of its wall clocks.

    Invariants: a time that the clocks jump over is taken as late as they jumped; one that they show twice is the first.
    """

    at: time
    zone: str = "UTC"  # IANA

    def __post_init__(self) -> None:
        if self.at.tzinfo is not None:
            raise ValueError("the zone is named beside the time")
        ZoneInfo(self.zone)

    def after(self, instant: datetime) -> datetime:
        """See Times."""
        return next(found for days in (-1, 0, 1, 2) if (found := self._near(instant, days)) > instant)

    def last(self, instant: datetime) -> datetime:
        """See Times."""
        return next(found for days in (1, 0, -1, -2) if (found := self._near(instant, days)) <= instant)

    def _near(self, instant: datetime, days: int) -> datetime:
        zone = ZoneInfo(self.zone)
        day = instant.astimezone(zone).date() + timedelta(days=days)
        # fold=0 is the first of two, and in a gap the offset before it: that very wall time, as late as the jump.
        return datetime.combine(day, self.at, zone).astimezone(UTC)

    def __str__(self) -> str:
        return f"daily at {self.at:%H:%M} {self.zone}"
