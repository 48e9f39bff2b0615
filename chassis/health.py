"""Whether this process lives, and whether it is ready: named checks with time limits and remembered results."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import structlog

from kernel.clock import Clock

log = structlog.get_logger(__name__)

REMEMBERED_S = 1.0
TIME_LIMIT_S = 1.0
MOST_CHECKS = 50
MOST_SKEW_S = 1.0
WELL_BUT_FULL = "Muster-Overloaded"  # a header of refusals: who sheds load is not sick, and is not put out for it

Check = Callable[[], Awaitable[None]]


class NotReady(Exception):
    """A check that failed, in words for the operator (they are shown on /readyz: no address, no secret)."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the checks found, by name; an empty text means in order."""

    findings: dict[str, str]

    @property
    def ready(self) -> bool:
        """Whether every check is in order."""
        return not any(self.findings.values())


@dataclass(slots=True)
class _Watched:
    check: Check
    every_s: float
    looked_at: float = float("-inf")
    finding: str = "not looked at yet"


class Readiness:
    """The checks of one process or part.

    Invariants: a check runs at most once per its interval and for at most 1 s, however often it is asked; checks run
    at the same time; one that fails or hangs makes the process not ready and never raises.
    """

    def __init__(self) -> None:
        self._watched: dict[str, _Watched] = {}
        self._looking: asyncio.Task[None] | None = None
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """Not ready from now on: the process goes."""
        self._draining.set()

    async def drains_within(self, seconds: float) -> bool:
        """Whether it drains; waits for it at most so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._draining.wait(), seconds)
        return self._draining.is_set()

    def add(self, name: str, check: Check, *, every_s: float = REMEMBERED_S) -> None:
        """Ask `check` too: it returns when in order and raises NotReady (or anything) when not."""
        if len(self._watched) >= MOST_CHECKS:
            raise RuntimeError(f"a process has at most {MOST_CHECKS} checks")
        self._watched[name] = _Watched(check, every_s)

    async def report(self) -> Report:
        """The findings, at most as old as each check's interval."""
        if self._draining.is_set():
            return Report({"drain": "the process goes"})
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        await asyncio.shield(self._looking)
        return Report({name: watched.finding for name, watched in self._watched.items()})

    async def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        due = [(name, one) for name, one in self._watched.items() if now - one.looked_at >= one.every_s]
        await asyncio.gather(*(self._look_at(name, watched, now) for name, watched in due))

    async def _look_at(self, name: str, watched: _Watched, now: float) -> None:
        before = watched.finding
        try:
            async with asyncio.timeout(TIME_LIMIT_S):
                await watched.check()
            watched.finding = ""
        except NotReady as finding:
            watched.finding = str(finding)
        except TimeoutError:
            watched.finding = f"no answer within {TIME_LIMIT_S:g} s"
        except Exception as error:
            watched.finding = f"failed ({type(error).__name__})"
        watched.looked_at = now
        if watched.finding != before:
            log.info("readiness changed", check=name, finding=watched.finding)


def clock_check(clock: Clock, database_now: Callable[[], Awaitable[datetime]]) -> Check:
    """A check that this machine's clock and the database's differ by at most 1 s; half the round trip is allowed for.

    Record times and leases rest on it.
    """

    async def check() -> None:
        before = clock.now()
        theirs = await database_now()
        after = clock.now()
        off = theirs - before - (after - before) / 2
        allowed = MOST_SKEW_S + (after - before).total_seconds() / 2
        if abs(off.total_seconds()) > allowed:
            raise NotReady(f"the clock is {off.total_seconds():+.1f} s off the database's: synchronise both with NTP")

    return check
