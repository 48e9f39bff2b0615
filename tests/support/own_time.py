"""An event loop with a time of its own: it goes on when nobody has anything to do, at once to when somebody will."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Waits for nothing but what is there already."""

    waited_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits for something that will never happen")
        self.waited_s += max(timeout, 0.0)
        return super().select(0)


class OwnTime(asyncio.SelectorEventLoop):
    """Sleeps take no time, and what a machine does beside takes none either: an hour is the same on every machine.

    Invariants: time moves only while nothing is ready to run; what runs takes none.
    """

    def __init__(self) -> None:
        self._waiting = _Selector()
        super().__init__(self._waiting)

    def time(self) -> float:
        """Seconds that were waited so far."""
        return self._waiting.waited_s


def in_own_time(main: Coroutine[Any, Any, T]) -> T:
    """The result of `main`, which may talk to nobody outside this process."""
    with asyncio.Runner(loop_factory=OwnTime) as runner:
        return runner.run(main)
