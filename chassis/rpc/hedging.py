"""A second copy of a read that takes unusually long: the first good answer wins, whichever it is."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from chassis.rpc.recent import Extra
from chassis.telemetry import HEDGES

T = TypeVar("T")

FLOOR_S = 0.01
QUANTILE = 0.95
TIMES_MEDIAN = 4
REMEMBERED = 128
LEAST_KNOWN = 20
REFRESH_AFTER = 16
SHARE, LEAST = 0.12, 3


class Pace:
    """How long one method takes lately, and so when it takes unusually long.

    Invariants: the delay is the 95th percentile of the last 128 answers, but no more than four times their median
    (where one replica of three is slow, its answers are the 95th percentile) and no less than 10 ms.
    """

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=REMEMBERED)
        self._new = 0
        self._delay_s: float | None = None

    def took(self, seconds: float) -> None:
        """An answer came after so long."""
        self._seconds.append(seconds)
        self._new += 1
        if self._new >= REFRESH_AFTER and len(self._seconds) >= LEAST_KNOWN:
            self._new = 0
            known = sorted(self._seconds)
            most = TIMES_MEDIAN * known[len(known) // 2]
            self._delay_s = max(min(known[int(QUANTILE * len(known))], most), FLOOR_S)

    @property
    def delay_s(self) -> float | None:
        """After how long a second copy is worth while; None while too little is known."""
        return self._delay_s


class Hedge:
    """The second copies of one client's reads.

    Invariants: at most 12% of the reads of the last ten seconds, or three, have one; the copy that is not waited
    for any more is cancelled.
    """

    def __init__(self) -> None:
        self._extra = Extra(SHARE, LEAST)
        self._paces: dict[str, Pace] = {}

    async def call(
        self,
        label: str,
        first: Callable[[], Awaitable[T]],
        second: Callable[[], Awaitable[T]],
        is_answer: Callable[[BaseException], bool],
    ) -> T:
        """The first good answer. `is_answer` says of an error that another copy would be answered the same.

        Raises what the first copy raises where neither has a good answer.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        pace = self._paces.get(label)
        if pace is None:
            pace = self._paces[label] = Pace()
        self._extra.asked(started)
        if pace.delay_s is None:
            answer = await first()
            pace.took(loop.time() - started)
            return answer
        copies: list[asyncio.Future[T]] = [asyncio.ensure_future(first())]
        try:
            await asyncio.wait(copies, timeout=pace.delay_s)
            if not copies[0].done() and self._extra.take(loop.time()):
                copies.append(asyncio.ensure_future(second()))
            winner = await self._winner(copies, is_answer)
            if len(copies) > 1:
                HEDGES.labels(label, "second" if winner is copies[1] else "first").inc()
            answer = winner.result()
            pace.took(loop.time() - started)
            return answer
        finally:
            for copy in copies:
                copy.cancel()

    @staticmethod
    async def _winner(
        copies: "list[asyncio.Future[T]]", is_answer: Callable[[BaseException], bool]
    ) -> "asyncio.Future[T]":
        pending = set(copies)
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for copy in copies:
                if copy in done and not copy.cancelled():
                    error = copy.exception()
                    if error is None or is_answer(error):
                        return copy
        return copies[0]
