"""Starts a coroutine at once: most writes to a connection never wait, and a task for each would cost more than it."""

import asyncio
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any


def begin(work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    """Run `work` until it ends or has to wait; what has to wait goes on as the task that is answered.

    Raises what `work` raises before it waits.
    """
    try:
        waited_for = work.send(None)
    except StopIteration:
        return None
    return asyncio.ensure_future(_rest(work, waited_for))


async def _rest(work: Coroutine[Any, Any, None], waited_for: Any) -> None:
    await _going_on(work, waited_for)


@coroutine
def _going_on(work: Coroutine[Any, Any, None], waited_for: Any) -> Generator[Any, None, None]:
    try:
        yield waited_for
    except BaseException:
        work.close()
        raise
    yield from work.__await__()
