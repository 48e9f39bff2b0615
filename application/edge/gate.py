"""The gate of every operation: admission, token, one meaning, strict body, idempotency; then the endpoint."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID, uuid4

from starlette.responses import Response
from starlette.types import Receive, Scope

from application.access.claims import LONGEST_TOKEN
from application.edge.admission import Admission
from application.edge.authorize import knock
from application.edge.endpoint import Endpoint
from application.edge.exchange import Exchange
from application.edge.json_body import canonical, decode
from application.edge.operation import IfMatch, Operation
from application.edge.presence import present
from application.edge.rates import Rates
from application.edge.refusal import (
    AmbiguousRequest,
    BodyTooLarge,
    BodyTooSlow,
    IfMatchMissing,
    InvalidHeader,
    Unauthenticated,
    UnreadableBody,
    UnsupportedMediaType,
)
from chassis.assertion import fingerprint_of
from chassis.principal import Principal
from kernel.ids import TenantId, derived_id

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

    def remembered(self, token: str) -> Principal | None:
        """The same of a token that was verified before and needs no more for it; None: ask `principal`."""
        ...


class Gate:
    """Lets requests through to their endpoints.

    Invariants: nothing of a body is read before the token is verified and the role may do this to somebody; the time
    that a client takes for its body is not held against anybody.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        *,
        body_bytes: int,
        places: int,
        late_s: float | None = None,
        rates: Rates | None = None,
    ) -> None:
        """`late_s`: after how long an answer comes late, see Admission; None: only the places count.

        `rates` None: a gateway in front has counted already.
        """
        self.authenticator = authenticator
        self.rates = rates
        self.body_bytes = body_bytes
        self.admission = Admission(places, late_s)

    async def serve(
        self, endpoint: Endpoint, path: Mapping[str, str], scope: Scope, receive: Receive, exchange: Exchange
    ) -> Response:
        """The endpoint's answer. Raises Refusal, InvalidInput, and what the endpoint raises."""
        operation = exchange.operation = endpoint.operation
        admission = self.admission
        admission.enter(operation.criticality)
        try:
            tenant: TenantId | None = None
            if operation.action is not None:
                exchange.principal = await self.authenticator.principal(_token(exchange.received))
            if self.rates is not None:
                self.rates.count(operation, exchange, (scope.get("client") or ("",))[0])
            if exchange.principal is not None and operation.action is not None:
                knock(exchange.principal, operation.action)
                tenant = exchange.principal.tenant_id
            body: Any = None
            raw = b""
            if endpoint.has_body:
                admission.check(operation.criticality, tenant)  # before a body is read for nothing
                raw = await _read(receive, exchange, operation.body_bytes or self.body_bytes)
                if raw:
                    body = decode(raw)
            if scope["method"] in CHANGES:
                _identify(exchange, operation, scope["path"], body)
            with admission.working(operation, tenant):
                async with present(receive):
                    return await endpoint.serve(scope, path, body, bool(raw))
        finally:
            admission.leave(operation.criticality)


def bearer(authorization: str) -> str:
    """The token of the header; "" where it holds none that could be ours."""
    scheme, _, token = authorization.partition(" ")
    return token if scheme.lower() == "bearer" and len(token) <= LONGEST_TOKEN else ""


def _token(received: Mapping[str, str]) -> str:
    token = bearer(received.get("authorization", ""))
    if not token:
        raise Unauthenticated(
            "send a token: Authorization: Bearer <JWT> (POST /v1/token gives one)",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return token


async def _read(receive: Receive, exchange: Exchange, limit: int) -> bytes:
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
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise UnreadableBody("the body ended early; send as many bytes as Content-Length says")
                chunk = message.get("body", b"")
                more = message.get("more_body", False)
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
    except TimeoutError:
        raise BodyTooSlow("the body did not arrive in time; send it faster or in smaller parts") from None
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
