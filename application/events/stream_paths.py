"""Where the two streams of published events are, and the subprotocols of the WebSocket."""

SSE_PATH, WEB_SOCKET_PATH = "/v1/stream", "/v1/ws"
PATHS = frozenset({SSE_PATH, WEB_SOCKET_PATH})
PROTOCOL = "muster.v1"
BEARER_PROTOCOL = "muster.bearer."  # followed by the token
