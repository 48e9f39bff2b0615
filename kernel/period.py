"""Half-open spans of civil dates."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

FOREVER = date.max


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """From `start` up to but not including `end`; `FOREVER` as end means still open.

    Invariants: start < end.
    """

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError(f"a period ends after it starts: {self.start} .. {self.end}")

    @classmethod
    def month(cls, year: int, month: int) -> "Period":
        """The calendar month."""
        following = date(year + month // 12, month % 12 + 1, 1)
        return cls(date(year, month, 1), following)

    @classmethod
    def since(cls, start: date) -> "Period":
        """From `start`, open-ended."""
        return cls(start, FOREVER)

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.end - self.start).days

    @property
    def last_day(self) -> date:
        """The last day inside it."""
        return self.end - timedelta(days=1)

    def __contains__(self, day: date) -> bool:
        return self.start <= day < self.end

    def __iter__(self) -> Iterator[date]:
        return (self.start + timedelta(days=offset) for offset in range(self.days))

    def overlaps(self, other: "Period") -> bool:
        """Whether they share a day."""
        return self.start < other.end and other.start < self.end

    def covers(self, other: "Period") -> bool:
        """Whether every day of `other` is in it."""
        return self.start <= other.start and other.end <= self.end

    def intersection(self, other: "Period") -> "Period | None":
        """The days they share, None where there are none."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Period(start, end) if start < end else None

    def __str__(self) -> str:
        return f"{self.start}/{self.end}"
