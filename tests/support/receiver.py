"""A receiver of webhooks, written from the specification as a partner would: it verifies by itself."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

HANG = "hang"
ENDLESS = "endless"


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float  # by the loop's clock

    @property
    def id(self) -> str:
        """The webhook-id."""
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvent."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    def verified_by(self, secret: str) -> bool:
        """Standard Webhooks 1.0, symmetric signatures, written down from the specification."""
        prefix, _, encoded = secret.partition("_")
        assert prefix == "whsec"
        key = base64.b64decode(encoded, validate=True)
        assert 24 <= len(key) <= 64
        signed = b".".join((self.id.encode(), self.headers["webhook-timestamp"].encode(), self.body))
        digest = hmac.new(key, signed, hashlib.sha256).digest()
        for signature in self.headers["webhook-signature"].split(" "):
            version, _, value = signature.partition(",")
            if version == "v1" and hmac.compare_digest(base64.b64decode(value, validate=True), digest):
                return True
        return False


Answer = int | str | tuple[int, dict[str, str]]


@dataclass
class Receiver:
    """Answers each path as it is told, else 200; `answers` are used up one by one, the last one stays."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    answers: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    connections: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str = "/hook") -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self.port}{path}"

    def at(self, path: str) -> list[Received]:
        """What came to a path, in order."""
        return [one for one in self.received if one.path == path]

    async def until(self, holds: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Wait for something that depends on what came. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while not holds():
                self.changed.clear()
                await self.changed.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        self.changed.set()
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                path = lines[0].split(" ")[1]
                headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines[1:])}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.received.append(Received(path, headers, body, asyncio.get_running_loop().time()))
                self.changed.set()
                await self._answer(path, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        waiting: Sequence[Answer] = self.answers.get(path) or [200]
        answer = waiting[0]
        if len(waiting) > 1:
            self.answers[path].pop(0)
        if answer == HANG:
            await asyncio.sleep(3600)
        if answer == ENDLESS:
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                await writer.drain()
        status, headers = answer if isinstance(answer, tuple) else (int(answer), {})
        text = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 2\r\n{text}\r\nok".encode())
        await writer.drain()


@asynccontextmanager
async def a_receiver(host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver on a free port; what hangs is let go at its end."""
    receiver = Receiver()
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await receiver.serve(reader, writer)
        except asyncio.CancelledError:
            writer.close()
        finally:
            serving.discard(task)

    server = await asyncio.start_server(serve, host, 0, ssl=context)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        if serving:
            await asyncio.wait(list(serving), timeout=1.0)
