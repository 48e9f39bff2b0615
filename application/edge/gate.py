"""The gate of every operation: admission, token, one meaning, strict body, idempotency; then the endpoint."""

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol
from uuid import UUID, uuid4

from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from application.edge.authorize import knock
from application.edge.exchange import Exchange, current_exchange
from application.edge.json_body import canonical, decode
from application.edge.operation import Criticality, IfMatch, Operation, operation_of
from application.edge.refusal import (
    AmbiguousRequest,
    BodyTooLarge,
    BodyTooSlow,
    IfMatchMissing,
    InvalidHeader,
    Overloaded,
    Unauthenticated,
    UnreadableBody,
    UnsupportedMediaType,
)
from chassis.assertion import fingerprint_of
from chassis.principal import Principal
from kernel.ids import derived_id

CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_KEY = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?")
_ETAG = re.compile(r'"([0-9]{1,19})"')
_JSON = re.compile(r'application/(json|[a-z0-9.-]{1,40}\+json) *(; *charset="?utf-8"?)? *', re.IGNORECASE)
_LENGTH = re.compile(r"[0-9]{1,18}")


class Authenticator(Protocol):
    """Where a bearer token is verified."""

    async def principal(self, token: str) -> Principal:
        """Who the token names. Raises Unauthenticated."""
        ...


class Admission:
    """How many requests are served at once; the rest is turned away in microseconds.

    Invariants: deferrable operations never take more than half of the places; critical ones may take a tenth more
    than there are.
    """

    def __init__(self, places: int) -> None:
        self.in_flight = 0
        self._limits = {
            Criticality.CRITICAL: places + max(places // 10, 1),
            Criticality.NORMAL: places,
            Criticality.DEFERRABLE: max(places // 2, 1),
        }

    def enter(self, criticality: Criticality) -> None:
        """Take a place. Raises Overloaded where there is none left for that kind."""
        if self.in_flight >= self._limits[criticality]:
            raise Overloaded("too many requests are being served; try again", headers={"Retry-After": "1"})
        self.in_flight += 1

    def leave(self) -> None:
        """Give the place back."""
        self.in_flight -= 1


class Gate:
    """What every guarded route of one application shares."""

    def __init__(self, authenticator: Authenticator, *, body_bytes: int, places: int) -> None:
        self.authenticator = authenticator
        self.body_bytes = body_bytes
        self.admission = Admission(places)


class DecodedRequest(Request):
    """A request whose body was read and decoded by the strict decoder already."""

    def __init__(self, request: Request, raw: bytes, value: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._raw = raw
        self._value = value

    async def body(self) -> bytes:
        """The bytes that were read."""
        return self._raw

    async def json(self) -> Any:
        """The value that was decoded."""
        return self._value


class GuardedRoute(APIRoute):
    """A route that is served only through the gate."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint behind the gate."""
        endpoint = super().get_route_handler()
        operation = operation_of(self.endpoint)
        changes = bool(self.methods & CHANGES) if self.methods else False
        has_body = self.body_field is not None

        async def guarded(request: Request) -> Response:
            exchange = current_exchange()
            gate: Gate = request.app.state.gate
            gate.admission.enter(operation.criticality)
            try:
                exchange.operation = operation
                scope = request.scope
                if scope["query_string"]:
                    _check_query(request)
                if operation.action is not None:
                    exchange.principal = await gate.authenticator.principal(_bearer(exchange.received))
                    knock(exchange.principal, operation.action)
                if changes:
                    body: Any = None
                    raw = b""
                    if has_body:
                        limit = operation.body_bytes or gate.body_bytes
                        raw = await _read(request, exchange, limit)
                        if raw:
                            body = decode(raw)
                    _identify(exchange, operation, scope["path"], body)
                    if has_body:
                        request = DecodedRequest(request, raw, body)
                return await endpoint(request)
            finally:
                gate.admission.leave()

        return guarded


def _bearer(received: Mapping[str, str]) -> str:
    scheme, _, token = received.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > 8192:
        raise Unauthenticated(
            "send a token: Authorization: Bearer <JWT> (POST /v1/token gives one)",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return token


def _check_query(request: Request) -> None:
    names = [name for name, _ in request.query_params.multi_items()]
    if len(set(names)) != len(names):
        raise AmbiguousRequest("a query parameter is given twice; give each one once")


async def _read(request: Request, exchange: Exchange, limit: int) -> bytes:
    received = exchange.received
    length = received.get("content-length")
    if length is not None:
        if not _LENGTH.fullmatch(length):
            raise AmbiguousRequest("Content-Length is not a number of bytes")
        if "transfer-encoding" in received:
            raise AmbiguousRequest("Content-Length and Transfer-Encoding together have two meanings; send one")
        if int(length) > limit:
            raise _too_large(limit)
    if received.get("content-encoding", "identity") != "identity":
        raise UnsupportedMediaType("send the body without Content-Encoding")
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout_at(exchange.deadline):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
    except TimeoutError:
        raise BodyTooSlow("the body did not arrive in time; send it faster or in smaller parts") from None
    except ClientDisconnect:
        raise UnreadableBody("the body ended early; send as many bytes as Content-Length says") from None
    if length is not None and int(length) != size:
        raise UnreadableBody("the body is not as long as Content-Length says")
    if size and not _JSON.fullmatch(received.get("content-type", "")):
        raise UnsupportedMediaType("send JSON with Content-Type: application/json (UTF-8)")
    return b"".join(chunks)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"this operation reads at most {limit} bytes; send less at once", headers={"Connection": "close"}
    )


def _identify(exchange: Exchange, operation: Operation, path: str, body: Any) -> None:
    key = exchange.received.get("idempotency-key")
    if key is None:
        # Without a key a repetition is a new request; the inner call is retried under this one all the same.
        exchange.request_id = uuid4()
    else:
        if not _KEY.fullmatch(key):
            raise InvalidHeader(
                "write 1 to 255 printable ASCII characters, no space at either end", field="Idempotency-Key"
            )
        exchange.request_id = request_id(exchange.principal, operation, key)
    exchange.fingerprint = fingerprint_of(path, canonical(body))
    if_match = exchange.received.get("if-match")
    if operation.if_match is not IfMatch.NONE and if_match is not None:
        match = _ETAG.fullmatch(if_match)
        if match is None:
            raise InvalidHeader('send the ETag of the version that you read, such as "3"', field="If-Match")
        exchange.if_match = match[1]
    elif operation.if_match is IfMatch.REQUIRED:
        raise IfMatchMissing("this change needs If-Match with the ETag of the version that you read", field="If-Match")


def request_id(principal: Principal | None, operation: Operation, key: str) -> UUID:
    """The id of one intended effect: the same tenant, principal, operation and key give the same id, for ever."""
    if principal is None:
        return derived_id("", "", operation.name, key)
    return derived_id(principal.tenant_id, principal.subject, operation.name, key)
