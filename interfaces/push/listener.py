"""One open connection: what it may hear, a bounded queue, and how it ends."""

import asyncio
from collections import deque
from collections.abc import Collection, Coroutine
from typing import Any, Protocol

import structlog

from application.events.topics import Key
from chassis.principal import Principal
from interfaces.push.eager import begin
from interfaces.push.message import Message

log = structlog.get_logger(__name__)

QUEUE = 256  # messages that wait for a slow reader
STALL_S = 30.0  # how long one write may take
LAST_WORD_S = 5.0  # how long a reader who is cut may take to read why


class Transport(Protocol):
    """The connection underneath, for what a polite end cannot do."""

    def abort(self) -> None:
        """Drop it at once, with what was not sent."""

    def is_closing(self) -> bool:
        """Whether it is closed or being closed."""
        ...


class Wire(Protocol):
    """How messages reach one client."""

    def send(self, message: Message) -> Coroutine[Any, Any, None]:
        """Send one message; waits while the reader is slow. Raises OSError where it went away."""
        ...

    def close(self, reason: str, retry_ms: int) -> Coroutine[Any, Any, None]:
        """Say why the stream ends, and end it. Raises nothing where the reader went away."""
        ...


class Listener:
    """Somebody who hears what is published under some keys.

    Invariants: messages arrive in the order of `deliver`; at most 256 wait and a write takes at most 30 s, else the
    connection is cut; whatever happens to it, `deliver` neither waits nor raises.
    """

    __slots__ = (
        "_queue", "_task", "_wire", "_writing_since", "closed", "expires_s", "keys", "principal", "shutting",
        "transport", "types",
    )  # fmt: skip

    def __init__(
        self,
        principal: Principal,
        keys: Collection[Key],
        types: frozenset[str],
        expires_s: float,
        wire: Wire,
        transport: Transport,
    ) -> None:
        """`types`: full names of the events to hear, none for all; `expires_s`: of the token, seconds since 1970."""
        self.principal = principal
        self.keys = keys
        self.types = types
        self.expires_s = expires_s
        self.transport = transport
        self.closed = False
        self.shutting = False  # it was seen closing at the last look
        self._wire = wire
        self._queue: deque[Message] | None = None  # made when somebody is slow
        self._task: asyncio.Task[None] | None = None
        self._writing_since: float | None = None

    def wants(self, type: str) -> bool:
        """Whether it asked for events of this type."""
        return not self.types or type in self.types

    @property
    def busy(self) -> bool:
        """Whether something waits for the reader."""
        return self._writing_since is not None

    def deliver(self, message: Message) -> bool:
        """Send a message, or queue it behind what is being sent; False where the reader was cut for it."""
        if self.closed:
            return True
        if self._writing_since is not None:
            if self._queue is None:
                self._queue = deque()
            if len(self._queue) >= QUEUE:
                return False
            self._queue.append(message)
            return True
        self._start(self._write(message))
        return True

    def stalled(self, now: float) -> bool:
        """Whether a write takes too long; `now` by the event loop's clock."""
        return self._writing_since is not None and now - self._writing_since > STALL_S

    def close(self, reason: str, retry_ms: int = 0) -> None:
        """End the stream, saying why, after what is queued; a reader too slow for that is dropped."""
        if self.closed:
            return
        self.closed = True
        asyncio.get_running_loop().call_later(LAST_WORD_S, self._drop)
        if self._task is None:
            self._start(self._wire.close(reason, retry_ms))
        else:
            self._task.add_done_callback(lambda _: self._start(self._wire.close(reason, retry_ms)))

    def cut(self, reason: str) -> None:
        """End the stream of a reader who does not read: what waits is dropped, it will ask for it again."""
        if self._queue is not None:
            self._queue.clear()
        self.close(reason)

    def _drop(self) -> None:
        self.transport.abort()
        if self._task is not None:
            self._task.cancel()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = begin(work)
        if task is not None:
            self._task = task
            task.add_done_callback(self._written)

    def _written(self, task: asyncio.Task[None]) -> None:
        if self._task is task:
            self._task = None
        if not task.cancelled():
            task.exception()  # seen: the connection is gone, and its server says so to whoever waits for it

    async def _write(self, message: Message) -> None:
        self._writing_since = asyncio.get_running_loop().time()
        try:
            await self._wire.send(message)
            while self._queue:
                self._writing_since = asyncio.get_running_loop().time()
                await self._wire.send(self._queue.popleft())
        except OSError:
            self.closed = True
        except Exception as error:  # its server has ended it in a way of its own; the others must hear all the same
            log.info("a stream took no more", error=type(error).__name__)
            self.closed = True
            self.transport.abort()
        finally:
            self._writing_since = self._queue = None
