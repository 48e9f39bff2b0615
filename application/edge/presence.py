"""Gives up what is done for a client that went away, down to the statement that its database runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import Receive

from application.edge.refusal import ClientGone

LOOK_AFTER_S = 0.05  # most answers are there by then and cost no look
MOST_MESSAGES = 4  # an empty body, then nothing until the client goes


@asynccontextmanager
async def present(receive: Receive) -> AsyncIterator[None]:
    """Cancel the block when the client goes. The body must have been read. Raises ClientGone."""
    loop = asyncio.get_running_loop()
    watching: asyncio.Task[None] | None = None
    limit = asyncio.timeout(None)

    async def watch() -> None:
        for _ in range(MOST_MESSAGES):
            if (await receive())["type"] == "http.disconnect":
                limit.reschedule(loop.time())
                return

    def look() -> None:
        nonlocal watching
        watching = loop.create_task(watch())

    try:
        async with limit:
            timer = loop.call_later(LOOK_AFTER_S, look)
            try:
                yield
            finally:
                timer.cancel()
                if watching is not None:
                    watching.cancel()
    except TimeoutError:
        if limit.expired():
            raise ClientGone("the client went away before its answer") from None
        raise
