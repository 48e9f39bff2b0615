"""How often somebody may try to sign in."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contexts.identity.domain.errors import TooManyTries

MAX_TRIES = 10
WINDOW = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Tries:
    """Sign-ins tried with one login since the window opened; a success forgets them.

    Invariants: 1 <= count <= 10.
    """

    since: datetime
    count: int

    @classmethod
    def first(cls, at: datetime) -> "Tries":
        """The first try of a new window."""
        return cls(at, 1)

    def another(self, at: datetime) -> "Tries":
        """One more, counted before the password is checked: parallel guesses count too. Raises TooManyTries."""
        if at >= self.since + WINDOW:
            return Tries.first(at)
        if self.count >= MAX_TRIES:
            wait = self.since + WINDOW - at
            raise TooManyTries(
                "too many sign-ins failed with this login; wait and try again",
                retry_after_s=max(int(wait.total_seconds()), 1),
            )
        return replace(self, count=self.count + 1)
