"""uvicorn's WebSocket protocol, which hands the connection over as its HTTP protocol does."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from chassis.uvicorn_protocols import EXTENSION


class WebSocket(WebSocketsSansIOProtocol):
    """RFC 6455."""

    def handle_connect(self, event: Any) -> None:
        """A client asks for a WebSocket."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            scope: Any = self.scope
            scope["extensions"][EXTENSION] = self.transport
