"""uvicorn's protocols, which refuse early, and hand the connection over to applications that hold it for long.

An ASGI application can refuse only what a scope, a cycle and a task were made for, which costs more than the refusal.
It can end a stream politely only: what a peer does not read is kept until it does. In the extension "muster.transport"
it finds the transport, to drop such a peer.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

EXTENSION = "muster.transport"
LONGEST_MESSAGE = 4096  # bytes; who listens to our WebSockets has nothing to say


# A line for each request that cannot be read, or is one too many, is a line that anybody can have written for ever.
_quiet = logging.getLogger("muster.http")
_quiet.setLevel(logging.ERROR)

# Of method, target and headers (names in lower case): a status with the rest of the answer, None to serve the request.
Early = Callable[[bytes, bytes, Sequence[tuple[bytes, bytes]]], tuple[int, bytes] | None]


class _Refused:
    """The cycle of a request that was refused early: complete, so that uvicorn drops what still comes of its body."""

    response_complete = True
    message_event = asyncio.Event()


class Http(HttpToolsProtocol):
    """HTTP/1.1.

    Invariants: refused early is only what is next in turn on a connection that stays open and whose peer reads.
    """

    def __init__(self, *given: Any, early: Early | None = None, **named: Any) -> None:
        super().__init__(*given, **named)
        self.logger = _quiet
        self._early = early

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        scope: Any = self.scope
        scope["extensions"] = {EXTENSION: self.transport}

    def on_headers_complete(self) -> None:
        """Its head is there."""
        if self._early is not None and self._may_refuse():
            refused = self._early(self.parser.get_method(), self.url, self.headers)
            if refused is not None:
                self._refuse(*refused)
                return
        super().on_headers_complete()

    def _may_refuse(self) -> bool:
        return (
            (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
            and self.parser.should_keep_alive()
            and self.parser.get_http_version() == "1.1"
            and not self.transport.is_closing()
        )

    def _refuse(self, status: int, rest: bytes) -> None:
        refused: Any = _Refused
        self.cycle = refused
        ours = [name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers]
        self.transport.write(b"".join([STATUS_LINE[status], *ours, rest]))
        self.on_response_complete()


def web_socket(**given: Any) -> Any:
    """A WebSocket; its library is imported with the first one of a process, for most have none."""
    from chassis.web_socket_protocol import WebSocket

    return WebSocket(**given)
