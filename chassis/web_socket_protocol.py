"""uvicorn's WebSocket protocol, which hands the connection over as its HTTP protocol does."""

import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from chassis.uvicorn_protocols import EXTENSION

# Both libraries log a line or two for each connection, with the client's address in it.
_quiet = logging.getLogger("muster.web_socket")
_quiet.setLevel(logging.WARNING)


class WebSocket(WebSocketsSansIOProtocol):
    """RFC 6455."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.logger = self.conn.logger = _quiet

    def handle_connect(self, event: Any) -> None:
        """A client asks for a WebSocket."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            scope: Any = self.scope
            scope["extensions"][EXTENSION] = self.transport
