"""Open streams: what each costs a hub, how soon all of them hear of something, and how soon one of them does."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from statistics import median
from typing import Any
from uuid import uuid4

import uvloop

from benchmarks.figure import Figure, at_most, percentile
from benchmarks.processes import ROOT
from kernel.ids import TenantId
from tests.support.push import Tokens
from tests.support.servers import free_port

LISTENERS, SMALL = 5_000, 200
ROUNDS = 5
AT_ONCE = 100
WAIT_S, PAUSE_S = 60.0, 0.01
MOST_KIB, MOST_FAN_OUT_MS, MOST_PERSONAL_MS = 30.0, 500.0, 5.0
PING, PONG = b"\x89\x04", b"\x8a\x84\x00\x00\x00\x00"
HUB = "benchmarks.push_hub"
SSE, WEB_SOCKET, FLOOR = "server-sent events", "WebSocket", "floor"


class Client(asyncio.Protocol):
    """A listener that only looks for a mark in what it is sent.

    Invariants: `greeted` is set with the hub's first message.
    """

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.greeted = asyncio.get_running_loop().create_future()
        self.mark = b""
        self.heard_at = 0.0

    def connection_made(self, transport: Any) -> None:
        """Ask for the stream."""
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Note when the mark comes, and answer the pings of a WebSocket."""
        if not self.greeted.done() and b"hello" in data:
            self.greeted.set_result(None)
        if self.mark and self.mark in data:
            self.heard_at = time.perf_counter()

        ping = data.find(PING)  # no text holds these bytes
        if ping >= 0:
            self.transport.write(PONG + data[ping + len(PING) : ping + len(PING) + 4])

    def connection_lost(self, error: Exception | None) -> None:
        """The hub went away, or refused."""
        if not self.greeted.done():
            self.greeted.set_exception(ConnectionResetError("no stream"))


class Server:
    """A hub, or its floor, as a process, told by lines what to do."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self._process = process
        self.port = port
        self._number = 0

    async def tell(self, command: str) -> dict[str, Any]:
        """Its answer; the loop goes on meanwhile."""
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")
        self._process.stdin.flush()
        return await self.told()

    async def told(self) -> dict[str, Any]:
        """The next line that it prints."""
        assert self._process.stdout is not None
        line = await asyncio.to_thread(self._process.stdout.readline)
        found: dict[str, Any] = json.loads(line)
        return found

    async def published(self, command: str, hearers: Sequence[Client]) -> tuple[list[float], float]:
        """Publish, and wait until all hearers heard: milliseconds until each did, and the CPU seconds of the server."""
        self._number += 1
        for one in hearers:
            one.mark = b'"%019d"' % self._number
            one.heard_at = 0.0
        told = await self.tell(command)
        for _ in range(int(WAIT_S / PAUSE_S)):
            if all(one.heard_at for one in hearers):
                break
            await asyncio.sleep(PAUSE_S)
        else:
            raise TimeoutError("not everybody heard of it")
        return sorted((one.heard_at - told["began"]) * 1000 for one in hearers), told["cpu_s"]


@contextlib.contextmanager
def server(module: str, *arguments: str) -> Iterator[Server]:
    """The process, ended with the block."""
    port = free_port()
    command = [sys.executable, "-m", module, str(port), *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        try:
            yield Server(process, port)
        finally:
            process.kill()


def request_of(kind: str, token: str) -> bytes:
    """How a client asks for a stream."""
    if kind == WEB_SOCKET:
        return (
            "GET /v1/ws HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
            f"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {token}\r\n\r\n"
        ).encode()
    return f"GET /v1/stream HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


async def listening(port: int, requests: Sequence[bytes]) -> list[Client]:
    """A client per request, all greeted."""
    loop = asyncio.get_running_loop()
    clients: list[Client] = []
    for start in range(0, len(requests), AT_ONCE):
        made = [
            (await loop.create_connection(lambda request=request: Client(request), "127.0.0.1", port))[1]  # type: ignore[misc]
            for request in requests[start : start + AT_ONCE]
        ]
        async with asyncio.timeout(WAIT_S):
            await asyncio.gather(*(one.greeted for one in made))
        clients += made
    return clients


async def measured(kind: str, listeners: int, rounds: int, hub_module: str = HUB) -> dict[str, float]:
    """KiB each; milliseconds until half of all heard, the last, the one concerned; microseconds of CPU per delivery."""
    tokens, tenant = Tokens(), TenantId(uuid4())
    me = uuid4()
    [jwk] = await tokens.published()
    requests = [request_of(kind, tokens.token(tenant, "owner", "employee")) for _ in range(listeners - 1)]
    personal = request_of(kind, tokens.token(tenant, "employee", employee=me))
    module = "benchmarks.floors.push" if kind == FLOOR else hub_module
    with server(module, *([] if kind == FLOOR else [str(tenant), json.dumps(jwk)])) as hub:
        await hub.told()
        warm = await listening(hub.port, requests[:50])
        before = await hub.tell("usage")
        clients = await listening(hub.port, requests[50:])
        after = await hub.tell("usage")
        everybody = [*warm, *clients]
        fan_out, cpu = [], []
        for _ in range(rounds + 1):
            heard, cpu_s = await hub.published("all", everybody)
            fan_out.append((percentile(heard, 0.5), heard[-1]))
            cpu.append(cpu_s / len(everybody) * 1e6)
        for one in everybody:  # those who hear of everything would be in the way of one who hears of themself
            one.transport.abort()
        await asyncio.sleep(0.5)
        quiet = [request_of(kind, tokens.token(tenant, "employee", employee=uuid4())) for _ in range(listeners - 1)]
        mine = await listening(hub.port, [personal])
        others = await listening(hub.port, quiet)
        alone = [(await hub.published(f"one {me}", mine))[0][0] for _ in range(rounds * 4)]
        for one in (*mine, *others):
            one.transport.abort()
    return {
        "kib": (after["own_kib"] - before["own_kib"]) / len(clients),
        "half_ms": median(half for half, _ in fan_out[1:]),
        "last_ms": median(last for _, last in fan_out[1:]),
        "cpu_us": median(cpu[1:]),
        "one_ms": median(alone),
    }


async def streams(*, small: bool = False, listeners: int = LISTENERS) -> AsyncIterator[Figure]:
    """Both kinds of streams beside a Protocol that only writes."""
    count, rounds = (SMALL, 1) if small else (listeners, ROUNDS)
    loop_factory = uvloop.new_event_loop

    def run(kind: str) -> dict[str, float]:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(measured(kind, count, rounds))

    floor = await asyncio.to_thread(run, FLOOR)
    for kind in (SSE, WEB_SOCKET):
        found = await asyncio.to_thread(run, kind)
        of = f"{count:,} listeners, {kind}"
        yield at_most(f"push, memory each of {of}", found["kib"], "KiB", floor=floor["kib"], most=MOST_KIB)
        yield at_most(f"push, CPU per delivery, {of}", found["cpu_us"], "us", floor=floor["cpu_us"])
        yield at_most(
            f"push, until half have heard of {of}", found["half_ms"], "ms", floor=floor["half_ms"], most=MOST_FAN_OUT_MS
        )
        yield Figure(f"push, until the last has heard of {of}", found["last_ms"], "ms", floor["last_ms"])
        yield at_most(
            f"push, until the one concerned has heard of {of}",
            found["one_ms"],
            "ms",
            floor=floor["one_ms"],
            most=MOST_PERSONAL_MS,
        )
