"""The planted bug of many streams: a hub that gives each listener a task and a buffer of its own."""

import asyncio
import json
import sys
from typing import Any

from benchmarks import push_hub
from chassis.lifecycle import run
from interfaces.push.hub import Hub
from interfaces.push.listener import Listener

BUFFER_BYTES = 64 * 1024


class WastefulHub(Hub):
    """Holds a buffer and a waiting task for everybody."""

    def __init__(self) -> None:
        super().__init__()
        self._own: dict[Any, tuple[bytearray, asyncio.Task[None]]] = {}

    def join(self, listener: Listener) -> None:
        """From now on it hears what is published, at a price."""
        never: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def wait() -> None:
            await never

        self._own[listener] = bytearray(b"-" * BUFFER_BYTES), asyncio.create_task(wait())
        super().join(listener)

    def leave(self, listener: Listener) -> None:
        """It hears nothing any more."""
        buffer_and_task = self._own.pop(listener, None)
        if buffer_and_task is not None:
            buffer_and_task[1].cancel()
        super().leave(listener)


if __name__ == "__main__":
    setattr(push_hub, "Hub", WastefulHub)  # noqa: B010
    run(lambda: push_hub.main(int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])))
