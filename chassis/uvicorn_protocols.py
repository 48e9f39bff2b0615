"""uvicorn's protocols, which hand the connection over to applications that hold it for long.

An ASGI application can end a stream politely only: what a peer does not read is kept until it does. In the extension
"muster.transport" it finds the transport, to drop such a peer.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

EXTENSION = "muster.transport"
LONGEST_MESSAGE = 4096  # bytes; who listens to our WebSockets has nothing to say


class Http(HttpToolsProtocol):
    """HTTP/1.1."""

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        scope: Any = self.scope
        scope["extensions"] = {EXTENSION: self.transport}


def web_socket(**given: Any) -> Any:
    """A WebSocket; its library is imported with the first one of a process, for most have none."""
    from chassis.web_socket_protocol import WebSocket

    return WebSocket(**given)
