"""What is done at its times, and how it is tried."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from chassis.jobs.times import Times

PAUSES_S = (10.0, 60.0, 300.0, 1800.0)
LIMIT_S = 600.0
MOST_MISSED = 100

_NAME = re.compile(r"[a-z][a-z0-9-]{0,59}")


class Missed(Enum):
    """What happens about nominal times that nobody was there for."""

    ONCE = "ONCE"  # the latest of them is done: for work that looks at the present state
    EACH = "EACH"  # every one, oldest first, the newest hundred at most: for work about its own day


class State(Enum):
    """How far one nominal time's run is."""

    WAITING = "WAITING"  # for its first try, or its next
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"  # after its last try: an operator mends the cause and asks again


@dataclass(frozen=True, slots=True)
class Firing:
    """One try at one nominal time."""

    job: str
    nominal_time: datetime
    attempt: int  # from 1
    fence: int  # rises with every try, whoever makes it


Work = Callable[[Firing], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Job:
    """A job of one data service.

    Invariants: its runs go one after the other, oldest first; a try that a process died in is made again, so that the
    work is one that may be repeated; after `tries` tries the run is FAILED and the next ones go on.
    """

    name: str  # unique in its data service
    times: Times
    work: Work
    missed: Missed = Missed.ONCE
    pauses_s: Sequence[float] = PAUSES_S  # between tries, one fewer than those
    limit_s: float = LIMIT_S  # of one try

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no job's name: lower case, digits and hyphens")

    @property
    def tries(self) -> int:
        """How often a run is tried at most."""
        return len(self.pauses_s) + 1

    def due(self, done_until: datetime, now: datetime) -> list[datetime]:
        """The nominal times to run, oldest first, of those after `done_until` up to now."""
        latest = self.times.last(now)
        if latest <= done_until:
            return []
        found = [latest]
        while self.missed is Missed.EACH and len(found) < MOST_MISSED:
            before = self.times.last(found[-1] - _TICK)
            if before <= done_until:
                break
            found.append(before)
        return found[::-1]


_TICK = datetime.resolution
