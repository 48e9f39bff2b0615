"""The least that sends the same server-sent events to the same listeners: one Protocol, no token, no queue, no end.

`python -m benchmarks.floors.push PORT`; told by its standard input what to do, as `benchmarks.push_hub` is.
"""

import asyncio
import sys
from contextlib import suppress
from typing import Any

import uvloop

from benchmarks.push_hub import answer, commands, event_text, spent, usage

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Listener(asyncio.Protocol):
    """A connection that gets every message."""

    def __init__(self, listeners: "dict[Listener, None]") -> None:
        self._listeners = listeners

    def connection_made(self, transport: Any) -> None:
        """Somebody connected."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """The request came."""
        self.transport.write(HEAD + chunk(b"event: hello\ndata: {}\n\n"))
        self._listeners[self] = None

    def connection_lost(self, error: Exception | None) -> None:
        """The client went away."""
        self._listeners.pop(self, None)


def chunk(text: bytes) -> bytes:
    """A part of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(text), text)


async def main(port: int) -> None:
    """Serve until the standard input ends."""
    listeners: dict[Listener, None] = {}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Listener(listeners), "127.0.0.1", port, backlog=2048)
    answer({"ready": True})
    number = 0
    async for command, *_ in commands():
        if command == "usage":
            answer(usage())
            continue
        number += 1
        before = spent()
        frame = chunk(b"id: %d\ndata: %s\n\n" % (number, event_text(number)))
        for listener in list(listeners) if command == "all" else list(listeners)[:1]:
            listener.transport.write(frame)
        answer({"began": before["now"], "cpu_s": spent()["cpu_s"] - before["cpu_s"]})
    server.close()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        uvloop.run(main(int(sys.argv[1])))
