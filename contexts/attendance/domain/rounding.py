"""Bringing a punch to a mark of the clock."""

from dataclasses import dataclass
from enum import Enum

from kernel.errors import InvalidValue


class RoundingMode(Enum):
    """Which mark a time between two goes to."""

    DOWN = "DOWN"
    UP = "UP"
    NEAREST = "NEAREST"
    NEAREST_WHOLE_MINUTES = "NEAREST_WHOLE_MINUTES"


def clock_text(seconds: int) -> str:
    """A time of day or a length as HH:MM, with seconds where there are any and a sign where it is negative."""
    minutes, second = divmod(abs(seconds), 60)
    hour, minute = divmod(minutes, 60)
    shown = f"{hour:02}:{minute:02}:{second:02}" if second else f"{hour:02}:{minute:02}"
    return f"-{shown}" if seconds < 0 else shown


@dataclass(frozen=True, slots=True)
class PunchRounding:
    """A rule that brings times to marks `increment_minutes` apart.

    Invariants: the increment divides an hour; the grace is shorter than the increment.
    """

    mode: RoundingMode
    increment_minutes: int
    grace_minutes: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.increment_minutes <= 60 or 60 % self.increment_minutes:
            raise InvalidValue("marks are a whole part of an hour apart", field="increment_minutes")
        if not 0 <= self.grace_minutes < self.increment_minutes:
            raise InvalidValue("the grace is shorter than the increment", field="grace_minutes")

    def seconds(self, value: int) -> int:
        """`value` (seconds since a mark, or a length in seconds) at its mark; a negative one by its magnitude.

        DOWN goes up where the next mark is at most the grace away, UP goes down where the mark before is; NEAREST
        counts seconds, NEAREST_WHOLE_MINUTES drops them first, and exactly half goes up.
        Source: NEAREST_WHOLE_MINUTES is 29 CFR 785.48(b) with Fact Sheet 53 of the US Department of Labor.
        """
        if value < 0:
            return -self.seconds(-value)
        if self.mode is RoundingMode.NEAREST_WHOLE_MINUTES:
            value -= value % 60
        step, grace = self.increment_minutes * 60, self.grace_minutes * 60
        before, past = value - value % step, value % step
        if past == 0:
            return value
        if self.mode is RoundingMode.DOWN:
            up = grace > 0 and step - past <= grace
        elif self.mode is RoundingMode.UP:
            up = past > grace
        else:
            up = 2 * past >= step
        return before + step if up else before
