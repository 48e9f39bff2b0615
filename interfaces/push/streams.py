"""The ASGI application of both streams: who asks, what they missed, and then what happens, until it ends."""

import asyncio
import contextlib
import random
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from pydantic import ValidationError
from starlette.responses import Response

from application.edge.answers import answer_to
from application.edge.authorize import knock
from application.edge.exchange import MAX_HEADER_BYTES, TRACE_ID, Exchange
from application.edge.given import InvalidInput, query_parameters
from application.edge.problem import problem_response
from application.edge.refusal import (
    AmbiguousRequest,
    HeadersTooLarge,
    MethodNotAllowed,
    Overloaded,
    Unauthenticated,
)
from application.events.feeds import Feeds
from application.events.stream import StreamQuery
from application.events.stream_paths import BEARER_PROTOCOL, PROTOCOL, SSE_PATH
from application.events.topics import STREAM, Key, keys_of
from chassis.principal import Principal
from chassis.telemetry import INCIDENTS
from chassis.uvicorn_protocols import EXTENSION
from interfaces.push.catch_up import READERS, CatchUp
from interfaces.push.hub import Hub
from interfaces.push.listener import STALL_S, Listener, Transport, Wire
from interfaces.push.sources import Sources
from interfaces.push.wires import NO_MESSAGES, Send, ServerSentEvents, WebSocket

log = structlog.get_logger(__name__)

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Scope = MutableMapping[str, Any]

_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"connection", b"close"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]
_ONCE = frozenset({b"authorization", b"last-event-id", b"x-request-id"})


class Sessions(Protocol):
    """Where a bearer token is verified."""

    async def session(self, token: str) -> tuple[Principal, float]:
        """Who the token names, and until when (seconds since 1970). Raises Unauthenticated."""
        ...


class Streams:
    """`/v1/stream` and `/v1/ws`.

    Invariants: nothing is sent to whom the token does not name; a connection is one task that waits for its end, and
    is written to by the hub.
    """

    def __init__(self, hub: Hub, sources: Sources, feeds: Feeds, sessions: Sessions) -> None:
        self._hub = hub
        self._sources = sources
        self._feeds = feeds
        self._sessions = sessions
        self._readers = asyncio.Semaphore(READERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        web_socket = scope["type"] == "websocket"
        if web_socket:
            await receive()  # websocket.connect
        exchange = Exchange(trace_id=f"{random.getrandbits(128):032x}", deadline=0.0)
        try:
            asked = await self._asked(scope, exchange, web_socket=web_socket)
        except Exception as error:
            await _refuse(_problem(error, exchange), scope, receive, send, web_socket=web_socket)
            return
        try:
            trace = (b"x-request-id", exchange.trace_id.encode("ascii"))
            wire: Wire
            if web_socket:
                offered = scope.get("subprotocols", ())
                chosen = PROTOCOL if PROTOCOL in offered else None
                await send({"type": "websocket.accept", "subprotocol": chosen, "headers": [trace]})
                wire = WebSocket(send)
            else:
                await send({"type": "http.response.start", "status": 200, "headers": [*_STREAM_HEADERS, trace]})
                wire = ServerSentEvents(send)
            listener = Listener(asked.principal, asked.keys, asked.types, asked.expires_s, wire, _transport_of(scope))
            await self._serve(listener, wire, asked.after, receive)
        except OSError:
            pass  # the client went away
        finally:
            self._hub.leave_place(asked.principal)

    async def _asked(self, scope: Scope, exchange: Exchange, *, web_socket: bool) -> "_Asked":
        """Who asks for what, and a place for them. Raises Refusal, InvalidInput."""
        received = _read_head(scope, exchange)
        if not web_socket and (scope["method"] != "GET" or scope["path"] != SSE_PATH):
            allowed = {"Allow": "GET"}
            raise MethodNotAllowed("use GET; /v1/ws needs a WebSocket handshake", headers=allowed)
        token = _token_of(received, scope.get("subprotocols", ()))
        principal, expires_s = await self._sessions.session(token)
        knock(principal, STREAM)
        try:
            query = StreamQuery.model_validate(query_parameters(scope["query_string"]))
        except ValidationError as invalid:
            raise InvalidInput(invalid.errors(include_url=False, include_input=False)) from None
        keys = keys_of(principal, _listed(query.topics))
        if not self._sources.begun:
            raise Overloaded("the hub has not seen all feeds yet; try again", headers={"Retry-After": "1"})
        self._hub.take_place(principal)
        return _Asked(principal, keys, _listed(query.types), expires_s, received.get(b"last-event-id", query.after))

    async def _serve(self, listener: Listener, wire: Wire, after: str, receive: Receive) -> None:
        try:
            await CatchUp(self._hub, self._feeds, self._readers, listener, wire).run(after)
            while True:
                message = await receive()
                if message["type"] in ("http.disconnect", "websocket.disconnect"):
                    return
                if message["type"] == "websocket.receive":
                    self._hub.leave(listener)
                    listener.close(NO_MESSAGES)
        finally:
            self._hub.leave(listener)
            listener.closed = True


@dataclass(frozen=True, slots=True)
class _Asked:
    """A stream that may begin; its place is taken."""

    principal: Principal
    keys: tuple[Key, ...]
    types: frozenset[str]
    expires_s: float
    after: str


class _NoTransport:
    """A server that does not hand over its connections: a reader who stalls is not dropped."""

    def abort(self) -> None:
        """See Transport."""

    def is_closing(self) -> bool:
        """See Transport."""
        return False


_NO_TRANSPORT = _NoTransport()


def _transport_of(scope: Scope) -> Transport:
    """The connection; its peer is given up by the kernel when what it was sent is not taken for 30 s."""
    transport: Any = (scope.get("extensions") or {}).get(EXTENSION, _NO_TRANSPORT)
    found = transport.get_extra_info("socket") if hasattr(transport, "get_extra_info") else None
    if found is not None and found.family in (socket.AF_INET, socket.AF_INET6) and hasattr(socket, "TCP_USER_TIMEOUT"):
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STALL_S * 1000))
    given: Transport = transport
    return given


def _read_head(scope: Scope, exchange: Exchange) -> dict[bytes, str]:
    """The headers that the hub reads. Raises HeadersTooLarge, AmbiguousRequest."""
    received: dict[bytes, str] = {}
    size = 0
    for name, value in scope["headers"]:
        size += len(name) + len(value) + 4
        if name in _ONCE:
            if name in received:
                raise AmbiguousRequest("a header that has one value is given twice; give it once")
            received[name] = value.decode("latin-1")
    if size > MAX_HEADER_BYTES:
        raise HeadersTooLarge(f"send at most {MAX_HEADER_BYTES} bytes of headers")
    given = received.get(b"x-request-id")
    if given is not None and TRACE_ID.fullmatch(given):
        exchange.trace_id = given
    return received


def _token_of(received: Mapping[bytes, str], protocols: Sequence[str]) -> str:
    """From the Authorization header, else from the subprotocols, where browsers can put it. Raises Unauthenticated."""
    scheme, _, token = received.get(b"authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token
    for protocol in protocols:
        if protocol.startswith(BEARER_PROTOCOL):
            return protocol.removeprefix(BEARER_PROTOCOL)
    raise Unauthenticated(
        "send a token: Authorization: Bearer <JWT>, or over a WebSocket the subprotocol muster.bearer.<JWT>",
        headers={"WWW-Authenticate": "Bearer"},
    )


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split(",")) if text else frozenset()


def _problem(error: Exception, exchange: Exchange) -> Response:
    response = answer_to(error, exchange)
    if response is None:
        INCIDENTS.labels("push").inc()
        log.error("stream failed", incident=exchange.trace_id, exc_info=error)
        response = problem_response(
            500, "INTERNAL", "something went wrong on our side; report the instance below if it happens again",
            trace_id=exchange.trace_id,
        )  # fmt: skip
    response.headers["x-request-id"] = exchange.trace_id
    return response


async def _refuse(response: Response, scope: Scope, receive: Receive, send: Send, *, web_socket: bool) -> None:
    if not web_socket:
        await response(scope, receive, send)
        return
    with contextlib.suppress(OSError):
        await send(
            {
                "type": "websocket.http.response.start",
                "status": response.status_code,
                "headers": response.raw_headers,
            }
        )
        await send({"type": "websocket.http.response.body", "body": response.body})
