"""The ASGI application: one exchange per request, the operation found in one walk, and an answer whatever happens."""

import asyncio
import random
import re
from collections.abc import Iterable, MutableMapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Router
from starlette.types import Receive, Scope, Send

from application.edge.answers import answer_to
from application.edge.directory import Directory
from application.edge.early import EarlyRefusals
from application.edge.endpoint import Endpoint
from application.edge.exchange import ALWAYS, MAX_HEADER_BYTES, PRIVATE, TRACE_ID, Exchange, enter, leave, new_trace_id
from application.edge.gate import Gate
from application.edge.problem import problem_response
from application.edge.refusal import (
    NOTHING_THERE,
    AddressTooLong,
    AmbiguousRequest,
    DeadlineExceeded,
    HeadersTooLarge,
    InvalidHeader,
    MethodNotAllowed,
    NotThere,
    UnreadableBody,
)
from chassis.rpc.channels import Budget, spending
from chassis.telemetry import HTTP_SECONDS, INCIDENTS, follow_trace

log = structlog.get_logger(__name__)

MAX_ADDRESS_BYTES = 8 * 1024
LONGEST_WAIT_S = 30.0
GRACE_S = 0.15  # the inner deadline answers first, with a better reason

ONCE = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"host",
        b"idempotency-key",
        b"if-match",
        b"if-none-match",
        b"traceparent",
        b"transfer-encoding",
        b"x-request-id",
        b"x-request-timeout-ms",
    }
)
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_ENCODED = re.compile(rb"%(2[eEfF]|5[cC]|00|25)")
_MILLISECONDS = re.compile(r"[0-9]{1,6}")


class Application(FastAPI):
    """FastAPI's description of the operations, served by the gate.

    Invariants: every HTTP request gets exactly one answer; an operation is reached through the gate only; an
    unforeseen exception is logged with the id that the client sees and answered 500 without its text.
    """

    def __init__(
        self, operations: Iterable[APIRoute], others: Sequence[BaseRoute], gate: Gate, *, deadline_s: float
    ) -> None:
        """`others` are served as they are: documentation, health."""
        super().__init__(openapi_url=None, docs_url=None, redoc_url=None)
        self._gate = gate
        self._deadline_s = deadline_s
        self._directory = Directory(
            (method, route.path, Endpoint(route)) for route in operations for method in sorted(route.methods or ())
        )
        self.early = EarlyRefusals(self._directory, gate)
        self._others = Router(routes=others, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        clock = asyncio.get_running_loop()
        now = clock.time()
        trace = new_trace_id()
        exchange = Exchange(trace_id=trace, deadline=now + self._deadline_s)
        token = enter(exchange)
        budget: Budget | None = None
        started = False

        async def answer(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                HTTP_SECONDS.labels(exchange.name or "other", message["status"]).observe(clock.time() - now)
                _finish(message, exchange, budget)
            await send(message)

        response: Response | None
        try:
            _read_head(scope, exchange, now)
            follow_trace(exchange.traceparent or f"00-{trace}-{random.getrandbits(64) or 1:016x}-00")
            with spending(exchange.deadline - clock.time(), exchange.trace_id, afresh=True) as budget:
                async with asyncio.timeout_at(exchange.deadline + GRACE_S):
                    found = self._directory.find(scope["method"], scope["path"])
                    if found is None:
                        await self._serve_other(scope, receive, answer)
                        return
                    response = await self._gate.serve(found[0], found[1], scope, receive, exchange)
        except Exception as error:
            if started:
                log.exception("answer broken off", incident=exchange.trace_id, operation=exchange.name)
                raise
            exchange.headers.clear()
            response = self._problem(error, exchange, late=clock.time() >= exchange.deadline)
        finally:
            leave(token)
        await response(scope, receive, answer)

    async def _serve_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Documentation and health. Raises MethodNotAllowed, NotThere."""
        try:
            await self._others(scope, receive, send)
        except HTTPException as error:
            allowed = self._directory.methods(scope["path"])
            if allowed:
                methods = ", ".join(sorted(allowed))
                raise MethodNotAllowed(f"use one of: {methods}", headers={"Allow": methods}) from None
            if error.status_code == 405:
                raise MethodNotAllowed("use GET", headers={"Allow": "GET"}) from None
            if error.status_code == 404:
                raise NotThere(NOTHING_THERE) from None
            raise UnreadableBody("the request could not be read; compare it with the API documentation") from None

    def _problem(self, error: Exception, exchange: Exchange, *, late: bool) -> Response:
        if isinstance(error, TimeoutError) and late:
            error = DeadlineExceeded("the answer took too long; ask again with the same Idempotency-Key")
        response = answer_to(error, exchange)
        if response is not None:
            return response
        INCIDENTS.labels(exchange.name).inc()
        log.error("request failed", incident=exchange.trace_id, operation=exchange.name, exc_info=error)
        return problem_response(
            500,
            "INTERNAL",
            "something went wrong on our side; report the instance below if it happens again",
            trace_id=exchange.trace_id,
        )


def _finish(message: MutableMapping[str, Any], exchange: Exchange, budget: Budget | None) -> None:
    """Add what every answer carries."""
    headers = message["headers"] = [*message.get("headers", ()), *exchange.headers, *ALWAYS]
    headers.append((b"x-request-id", exchange.trace_id.encode("ascii")))
    if budget is not None and budget.replayed and message["status"] < 300:
        headers.append((b"idempotent-replayed", b"true"))
    if exchange.principal is not None:
        headers.append(PRIVATE)


def _read_head(scope: Scope, exchange: Exchange, now: float) -> None:
    """Take the headers that the edge reads, and refuse what is too long or has two meanings."""
    received = exchange.received
    size = 0
    repeated = odd = False
    for name, value in scope["headers"]:
        size += len(name) + len(value) + 4
        if b"_" in name:  # some servers read it as a hyphen: the twin of a header that a proxy took away
            odd = True
        elif name in ONCE:
            text = name.decode("ascii")
            repeated = repeated or text in received
            received[text] = value.decode("latin-1")
    given = received.get("x-request-id")
    if given is not None and TRACE_ID.fullmatch(given):
        exchange.trace_id = given
    traceparent = received.get("traceparent")
    if traceparent is not None and _TRACEPARENT.fullmatch(traceparent):
        exchange.traceparent = traceparent
    if size > MAX_HEADER_BYTES:
        raise HeadersTooLarge(f"send at most {MAX_HEADER_BYTES} bytes of headers")
    path = scope.get("raw_path") or b""
    if b"%" in path and _ENCODED.search(path):
        raise AmbiguousRequest("the path holds an encoded dot, slash, backslash, percent or zero; write it plainly")
    if len(path) + len(scope["query_string"]) > MAX_ADDRESS_BYTES:
        raise AddressTooLong(f"send at most {MAX_ADDRESS_BYTES} bytes of path and query")
    if odd:
        raise AmbiguousRequest("the name of a header has an underscore; write hyphens")
    if repeated:
        raise AmbiguousRequest("a header that has one value is given twice; give it once")
    wait = received.get("x-request-timeout-ms")
    if wait is not None:
        if not _MILLISECONDS.fullmatch(wait) or not 1 <= int(wait) <= LONGEST_WAIT_S * 1000:
            raise InvalidHeader(
                f"write whole milliseconds from 1 to {LONGEST_WAIT_S * 1000:.0f}", field="X-Request-Timeout-Ms"
            )
        exchange.deadline = min(exchange.deadline, now + int(wait) / 1000)
