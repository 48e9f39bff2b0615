"""Load on an HTTP server that does not wait for it: so many requests per second, whatever is answered."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PATIENCE_S = 2.0
MOST_CONNECTIONS = 1000
_LENGTH = re.compile(rb"content-length: ([0-9]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Ask:
    """One kind of request: a GET, or a POST of the JSON that it has."""

    name: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """What became of one request: seconds since the load began and since it was due; status 0: none in time."""

    name: str
    at_s: float
    took_s: float
    status: int


class Flood:
    """Sends over as many connections as it takes, at most 1,000, each used again once it was answered."""

    def __init__(self, base_url: str) -> None:
        self._host = urlsplit(base_url)
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._open = 0

    async def steadily(self, asks: Sequence[tuple[Ask, float]], seconds: float) -> list[Answer]:
        """Each kind at its rate per second; the answers in the order in which they came."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        answers: list[Answer] = []
        dues = [(number / rate, ask) for ask, rate in asks for number in range(int(rate * seconds))]
        dues.sort(key=lambda one: one[0])
        async with asyncio.TaskGroup() as group:
            for due, ask in dues:
                pause = began + due - loop.time()
                if pause > 0:
                    await asyncio.sleep(pause)
                group.create_task(self._one(ask, began, answers))
        return answers

    async def in_turns(self, ask: Ask, callers: int, seconds: float) -> list[Answer]:
        """So many callers, each asking again once it was answered."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        answers: list[Answer] = []

        async def caller() -> None:
            while loop.time() - began < seconds:
                await self._one(ask, began, answers)

        await asyncio.gather(*(caller() for _ in range(callers)))
        return answers

    async def _one(self, ask: Ask, began: float, answers: list[Answer]) -> None:
        loop = asyncio.get_running_loop()
        started, status = loop.time(), 0
        with contextlib.suppress(TimeoutError, OSError, EOFError):
            async with asyncio.timeout(PATIENCE_S):
                status = await self.exchange(ask)
        answers.append(Answer(ask.name, started - began, loop.time() - started, status))

    async def exchange(self, ask: Ask) -> int:
        """The status of the answer to one request. Raises OSError, EOFError where the connection ended first."""
        async with self._connection() as (reader, writer):
            head = [f"{'POST' if ask.body else 'GET'} {ask.path} HTTP/1.1", f"Host: {self._host.netloc}"]
            head += [f"{name}: {value}" for name, value in ask.headers.items()]
            if ask.body:
                head += ["Content-Type: application/json", f"Content-Length: {len(ask.body)}"]
            writer.write("\r\n".join([*head, "", ""]).encode() + ask.body)
            answer = await reader.readuntil(b"\r\n\r\n")
            if length := _LENGTH.search(answer):
                await reader.readexactly(int(length[1]))
            return int(answer[9:12])

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        while self._free and self._free[-1][0].at_eof():  # closed by the server, which waited too long
            self._free.pop()[1].close()
            self._open -= 1
        if self._free:
            pair = self._free.pop()
        elif self._open < MOST_CONNECTIONS:
            pair = await asyncio.open_connection(self._host.hostname, self._host.port)
            self._open += 1
        else:
            raise ConnectionError("as many connections as this load may have are in use")
        whole = False
        try:
            yield pair
            whole = True
        finally:
            if whole:
                self._free.append(pair)
            else:
                self._open -= 1
                pair[1].close()

    def close(self) -> None:
        """Close all connections."""
        while self._free:
            self._free.pop()[1].close()
            self._open -= 1


def good(answers: Sequence[Answer], name: str, within_s: float = 1.0) -> int:
    """How many of that kind were served in time."""
    return sum(answer.status == 200 and answer.took_s <= within_s for answer in answers if answer.name == name)
