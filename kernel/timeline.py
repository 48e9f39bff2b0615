"""One value over time: which holds when, and the pieces of a period in which it does not change."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Generic, TypeVar

from kernel.period import FOREVER, Period

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """A piece of time in which the value is constant."""

    period: Period
    value: T


@dataclass(frozen=True, slots=True)
class Timeline(Generic[T]):
    """Values with the spans in which they hold; there may be gaps.

    Invariants: slices are in order and never overlap; neighbours that touch differ in value.
    """

    slices_: tuple[Slice[T], ...]

    @classmethod
    def of(cls, pieces: Iterable[tuple[Period, T]]) -> "Timeline[T]":
        """From pieces in any order. Raises ValueError where two overlap; equal neighbours become one."""
        merged: list[Slice[T]] = []
        for period, value in sorted(pieces, key=lambda piece: piece[0].start):
            if merged and merged[-1].period.end > period.start:
                raise ValueError(f"two values hold on {period.start}")
            if merged and merged[-1].period.end == period.start and merged[-1].value == value:
                merged[-1] = Slice(Period(merged[-1].period.start, period.end), value)
            else:
                merged.append(Slice(period, value))
        return cls(tuple(merged))

    @classmethod
    def from_changes(cls, changes: Iterable[tuple[date, T]]) -> "Timeline[T]":
        """Each value from its date until the next one's, the last for ever; of two on one day the later given wins."""
        by_day = dict(changes)
        days = sorted(by_day)
        ends = [*days[1:], FOREVER]  # one more than there are days when there are none
        return cls.of((Period(day, end), by_day[day]) for day, end in zip(days, ends, strict=False))

    def at(self, day: date) -> T | None:
        """The value that holds on `day`, None in a gap."""
        index = bisect_right(self.slices_, day, key=lambda piece: piece.period.start) - 1
        if index >= 0 and day in self.slices_[index].period:
            return self.slices_[index].value
        return None

    def slices(self, within: Period) -> tuple[Slice[T], ...]:
        """The pieces of `within` that have a value, in order."""
        cut = ((piece, piece.period.intersection(within)) for piece in self.slices_)
        return tuple(Slice(period, piece.value) for piece, period in cut if period is not None)
