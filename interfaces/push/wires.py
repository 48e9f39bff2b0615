"""How messages reach a client: as server-sent events, or over a WebSocket."""

import contextlib
from collections.abc import Callable, Coroutine, MutableMapping
from typing import Any

from interfaces.push.hub import DISABLED, DRAINING, EXPIRED, REVOKED, TOO_SLOW
from interfaces.push.message import END, Message, told

Send = Callable[[MutableMapping[str, Any]], Coroutine[Any, Any, None]]

UNAVAILABLE = 1013
NO_MESSAGES = "NO_MESSAGES"
CODES = {
    DRAINING: 1012,
    TOO_SLOW: 1013,
    EXPIRED: 3000,
    DISABLED: 3003,
    REVOKED: 3003,
    NO_MESSAGES: 1008,
}


class ServerSentEvents:
    """The body of a `text/event-stream` answer."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def send(self, message: Message) -> Coroutine[Any, Any, None]:
        """See Wire."""
        return self._send(message.sse)

    async def close(self, reason: str, retry_ms: int) -> None:
        """See Wire."""
        with contextlib.suppress(OSError, RuntimeError):
            await self._send(told(END, {"reason": reason}, retry_ms=retry_ms, last=True).sse)


class WebSocket:
    """Text messages of an accepted WebSocket."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def send(self, message: Message) -> Coroutine[Any, Any, None]:
        """See Wire."""
        return self._send(message.web_socket)

    async def close(self, reason: str, retry_ms: int) -> None:
        """See Wire."""
        facts: dict[str, Any] = {"reason": reason} | ({"retry_ms": retry_ms} if retry_ms else {})
        with contextlib.suppress(OSError, RuntimeError):  # the latter where it has ended already
            await self._send(told(END, facts).web_socket)
            code = CODES.get(reason, UNAVAILABLE)
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
