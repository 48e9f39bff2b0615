"""Everything that runs in a process: started in order on one event loop, drained in reverse by one signal handler."""

import asyncio
import contextlib
import functools
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from chassis.health import NotReady, Readiness

if TYPE_CHECKING:
    from chassis.settings import Settings
    from chassis.uvicorn_protocols import Early

log = structlog.get_logger(__name__)

T = TypeVar("T")


class CannotStart(Exception):
    """Something outside must be mended before this can run; the message says what, to the operator."""


class AddressTaken(CannotStart):
    """The address cannot be listened on, and what to do."""


FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 10.0
HEALTHY_AFTER_S = 60.0
MAX_FAILURES = 50
LEEWAY_S = 2.0
KEEP_ALIVE_S = 75
SWITCH_S = 0.0005  # a thread that writes rows gives the loop the interpreter back after that; Python's own is 5 ms
COLLECT_AFTER = 10_000, 20, 20  # new objects, and collections of the younger generation, before each collection
SPARE_FILES = 1000  # beside long connections: requests, databases, channels
ACCEPTED_AT_ONCE = 16
CONNECTIONS_PER_REQUEST = 4  # most open connections are idle; uvicorn counts them all


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a part accepts connections: a TCP host and port (0 = any free one) or the path of a unix socket.

    Invariants: `path` is empty for TCP.
    """

    host: str = "127.0.0.1"
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> "Listener":
        """From "host:port", "[v6]:port" or "unix:/path". Raises ValueError."""
        if text.startswith("unix:"):
            path = text.removeprefix("unix:")
            if not path:
                raise ValueError("write unix:/path/of/the/socket")
            return cls("", 0, path)
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isdecimal() or int(port) > 65535:
            raise ValueError("write host:port (port 0 to 65535) or unix:/path")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    @property
    def target(self) -> str:
        """As gRPC writes it: "127.0.0.1:5000" or "unix:/path"."""
        if self.path:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def clear(self) -> None:
        """Remove the socket file that a process before this one left behind."""
        if self.path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)

    def bind(self, backlog: int = 2048) -> socket.socket:
        """A bound, listening, non-blocking socket. Raises OSError where the address is taken."""
        self.clear()
        if self.path:
            bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            # With the protocol named, asyncio sets TCP_NODELAY on what it accepts; without, answers wait 40 ms.
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(self.path or (self.host, self.port))
            bound.listen(backlog)
        except OSError:
            bound.close()
            raise
        bound.setblocking(False)
        return bound


@dataclass(frozen=True, slots=True)
class Running:
    """A part that has started: where it can be reached, and how to drain it.

    Invariants: `stop(grace_s)` lets work in flight finish for at most `grace_s` seconds and may be called twice.
    """

    name: str
    address: str
    stop: Callable[[float], Awaitable[None]]
    readiness: Readiness | None = None  # None: ready as soon as it has started

    def followed_by(self, close: Callable[[], Awaitable[None]]) -> "Running":
        """The same part, which closes something (a database) after it has drained, even when draining fails."""
        stop = self.stop

        async def stop_and_close(grace_s: float) -> None:
            try:
                await stop(grace_s)
            finally:
                await close()

        return replace(self, stop=stop_and_close)

    def preceded_by(self, end: Callable[[float], Awaitable[None]]) -> "Running":
        """The same part, which first ends what would not end by itself (streams), in half of the grace."""
        stop = self.stop

        async def end_and_stop(grace_s: float) -> None:
            try:
                await end(grace_s / 2)
            finally:
                await stop(grace_s / 2)

        return replace(self, stop=end_and_stop)


class Lifecycle:
    """The parts and background loops of one process.

    Invariants: parts start in the order given and drain in reverse, loops among them; one SIGTERM or SIGINT
    drains, a second one gives up the rest of the grace; nothing outlives `drain`.
    """

    def __init__(self, *, grace_s: float = 10.0) -> None:
        self.grace_s = grace_s
        self.failed: str | None = None  # the loop that was given up, if any
        self._parts: list[Running] = []
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._signals: list[signal.Signals] = []

    async def __aenter__(self) -> "Lifecycle":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drain()

    async def start(self, part: Awaitable[Running]) -> Running:
        """Wait for a part to start and keep it. What the part raises at its start is raised here."""
        running = await part
        self.add(running)
        return running

    def add(self, running: Running) -> None:
        """Keep a part that has started already."""
        self._parts.append(running)
        log.info("part started", part=running.name, address=running.address)

    def spawn(
        self, name: str, loop: Callable[[], Coroutine[Any, Any, None]], *, max_failures: int = MAX_FAILURES
    ) -> None:
        """Run a background loop until the drain; one that raises is started again with a rising pause.

        After `max_failures` in a row (60 s of health reset the count) the process stops, with `failed` set: its
        supervisor decides. A loop that returns is done.
        """
        task = asyncio.create_task(self._keep_running(name, loop, max_failures), name=name)

        async def stop(grace_s: float) -> None:
            task.cancel()
            await asyncio.wait({task}, timeout=max(grace_s, 0.01))

        self._parts.append(Running(name, "", stop))

    async def _keep_running(self, name: str, loop: Callable[[], Coroutine[Any, Any, None]], max_failures: int) -> None:
        clock = asyncio.get_running_loop()
        failures = 0
        while True:
            started = clock.time()
            try:
                await loop()
                return
            except Exception:
                failures = 1 if clock.time() - started > HEALTHY_AFTER_S else failures + 1
                log.exception("background loop failed", loop=name, failures=failures)
            if failures >= max_failures:
                self.failed = name
                self.request_stop()
                return
            await asyncio.sleep(min(FIRST_BACKOFF_S * 2 ** min(failures - 1, 10), LONGEST_BACKOFF_S))

    async def check_loops(self) -> None:
        """For readiness: raises NotReady where a loop was given up, which a supervisor answers with a restart."""
        if self.failed is not None:
            raise NotReady(f"{self.failed} was given up after failing again and again: see the log")

    def request_stop(self) -> None:
        """Ask for the drain; asked a second time, give up the rest of the grace."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    def handle_signals(self) -> None:
        """Drain on SIGTERM and SIGINT. Only the main thread's loop may do this, once per process."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.request_stop)
            self._signals.append(number)

    async def run_until_stopped(self) -> None:
        """Wait for a signal or `request_stop`, then drain."""
        spare_garbage_collection()
        await self._stop.wait()
        await self.drain()

    async def drain(self) -> None:
        """Stop everything in reverse order within the grace; what does not stop in time is left and logged."""
        self._stop.set()
        clock = asyncio.get_running_loop()
        end = clock.time() + self.grace_s
        while self._parts:
            part = self._parts.pop()
            left = 0.0 if self._hurry.is_set() else max(end - clock.time(), 0.0)
            await self._stop_part(part, left)
        for number in self._signals:
            asyncio.get_running_loop().remove_signal_handler(number)
        self._signals.clear()

    async def _stop_part(self, part: Running, grace_s: float) -> None:
        """A part bounds itself by the grace that it is given; the limits here are for one that does not."""
        stopping = asyncio.ensure_future(part.stop(grace_s))
        hurry = asyncio.create_task(self._hurry.wait())
        try:
            await asyncio.wait({stopping, hurry}, timeout=grace_s + LEEWAY_S, return_when=asyncio.FIRST_COMPLETED)
            if not stopping.done() and hurry.done():
                await asyncio.wait({asyncio.ensure_future(part.stop(0.0)), stopping}, timeout=LEEWAY_S)
            if not stopping.done():
                log.error("part did not stop in time", part=part.name, grace_s=grace_s)
                stopping.cancel()
            elif stopping.exception() is not None:
                log.error("part failed to stop", part=part.name, exc_info=stopping.exception())
        finally:
            hurry.cancel()


def spare_garbage_collection() -> None:
    """What a process has loaded stays for its life: the collector need not look through it again and again."""
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    gc.enable()


def allow_open_files(connections: int) -> None:
    """Let this process hold so many connections and what else it opens, as far as its hard limit goes; else say so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        log.warning("not as many connections as are allowed fit: raise ulimit -n", fit=allowed, wanted=wanted)


async def serve_http(
    app: Any,
    listener: Listener,
    settings: "Settings",
    *,
    name: str = "http",
    lifespan: bool = True,
    streams: int = 0,
    early: "Early | None" = None,
) -> Running:
    """Serve an ASGI application on this loop by uvicorn, without signal handlers of its own.

    `streams`: connections that it may hold for long, WebSockets among them; 0: it has none. `early`: what refuses
    requests before the application hears of them. Stopping closes the
    listener, lets requests in flight finish within the grace, then runs the application's shutdown. Raises OSError
    where the address is taken, RuntimeError where the application refuses to start.
    """
    import uvicorn

    from chassis.uvicorn_protocols import LONGEST_MESSAGE, Http, web_socket

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # the Lifecycle has the only handlers

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            try:
                await super().startup(sockets)
            except SystemExit:  # would end the whole process, past every drain
                raise RuntimeError(f"{name} did not start: its log line above says why") from None

    if streams:
        allow_open_files(streams)
    bound = listener.bind()
    config = uvicorn.Config(
        app,
        http=functools.partial(Http, early=early),  # type: ignore[arg-type]  # called as the class would be
        ws=web_socket if streams else "none",  # type: ignore[arg-type]  # called as the class would be
        ws_max_size=LONGEST_MESSAGE,
        loop="none",
        lifespan="on" if lifespan else "off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws_per_message_deflate=False,  # it multiplies the memory of a connection
        limit_concurrency=settings.http_concurrency * CONNECTIONS_PER_REQUEST + streams,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(int(settings.grace_s), 1),
    )
    server = Server(config)
    # libuv accepts one connection of a listening socket per turn of the loop: where turns are long, the others wait.
    more = [bound.dup() for _ in range(ACCEPTED_AT_ONCE - 1)]
    serving = asyncio.create_task(server.serve(sockets=[bound, *more]), name=name)
    while not server.started:
        if serving.done():
            for one in (bound, *more):
                one.close()
            await serving
        await asyncio.sleep(0.005)
    address = listener.target if listener.path else Listener(listener.host, bound.getsockname()[1]).target

    async def stop(grace_s: float) -> None:
        config.timeout_graceful_shutdown = max(int(grace_s), 1)
        server.should_exit = True
        await asyncio.wait({serving}, timeout=grace_s + 1.0)
        if not serving.done():
            server.force_exit = True
            await asyncio.wait({serving}, timeout=1.0)
        listener.clear()

    return Running(name, address, stop)


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `main` on the one event loop of this process (uvloop where it is there) until it returns."""
    sys.setswitchinterval(SWITCH_S)
    factory: Callable[[], asyncio.AbstractEventLoop] | None
    try:
        import uvloop
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main())
