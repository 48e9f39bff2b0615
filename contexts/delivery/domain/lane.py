"""Whose turn it is: one lane per endpoint, so that a receiver that hangs holds up nobody but itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from contexts.delivery.domain.delivery import Attempt

PAUSES = tuple(timedelta(seconds=seconds) for seconds in (1, 2, 5, 10, 30, 60))  # after failed turns
FAILING_FOR = timedelta(days=5)  # then an endpoint is disabled


@dataclass(frozen=True, slots=True)
class Lane:
    """When an endpoint's deliveries are looked at next, and by which worker now.

    Invariants: one worker at a time holds a lane, until it gives it back or its lease is over (`due_time` of a held
    lane); a lane that fails sends one delivery at a time, a working one several.
    """

    endpoint_id: UUID
    due_time: datetime | None = None  # None: nothing waits
    lease_id: UUID | None = None
    failed_turns: int = 0
    failing_since: datetime | None = None

    @property
    def ailing(self) -> bool:
        """Whether the last turn delivered nothing."""
        return self.failed_turns > 0

    def woken(self, at: datetime) -> "Lane":
        """Something new waits: a lane that rests is looked at now; one that is held or pauses finds it by itself."""
        return replace(self, due_time=at) if self.due_time is None else self

    def hurried(self, at: datetime) -> "Lane":
        """Somebody asks for an attempt now, whatever failed before."""
        return self if self.lease_id is not None else replace(self, due_time=at)

    def held(self, lease_id: UUID, until: datetime) -> "Lane":
        """Taken by a worker."""
        return replace(self, lease_id=lease_id, due_time=until)

    def released(self, attempts: Sequence[Attempt], at: datetime, next_due: datetime | None) -> "Lane":
        """After a turn. `next_due`: when its next delivery wants to be tried, None where nothing waits."""
        free = replace(self, lease_id=None, due_time=next_due)
        if any(attempt.delivered for attempt in attempts):
            return replace(free, failed_turns=0, failing_since=None)
        if not attempts:
            return free
        pause = PAUSES[min(self.failed_turns, len(PAUSES) - 1)]
        asked = max((one.retry_after for one in attempts if one.retry_after is not None), default=pause)
        failing = replace(free, failed_turns=self.failed_turns + 1, failing_since=self.failing_since or at)
        return failing if next_due is None else replace(failing, due_time=max(next_due, at + max(pause, asked)))

    def has_failed_for_good(self, at: datetime) -> bool:
        """Whether nothing was delivered for so long that nobody seems to listen."""
        return self.failing_since is not None and at - self.failing_since >= FAILING_FOR
