"""The outermost layer of the application: one exchange per request, and an answer whatever happens inside."""

import asyncio
import re
import uuid
from collections.abc import MutableMapping
from typing import Any

import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from application.edge.exchange import Exchange, enter, leave
from application.edge.problem import problem_response
from application.edge.refusal import (
    AddressTooLong,
    AmbiguousRequest,
    DeadlineExceeded,
    HeadersTooLarge,
    InvalidHeader,
    Refusal,
)
from chassis.rpc.channels import Budget, spending
from chassis.telemetry import INCIDENTS, follow_trace, new_traceparent

log = structlog.get_logger(__name__)

MAX_HEADER_BYTES = 32 * 1024
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
        b"prefer",
        b"traceparent",
        b"transfer-encoding",
        b"x-request-id",
        b"x-request-timeout-ms",
    }
)
_TRACE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_ENCODED = re.compile(rb"%(2[eEfF]|5[cC]|00|25)")
_MILLISECONDS = re.compile(r"[0-9]{1,6}")

_ALWAYS = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]


class Edge:
    """Opens and closes the exchange: ids in and out, deadline, header bounds, last resort.

    Invariants: every HTTP request gets exactly one answer; an unforeseen exception is logged with the id that the
    client sees and answered 500 without its text.
    """

    def __init__(self, app: ASGIApp, *, deadline_s: float) -> None:
        self.app = app
        self.deadline_s = deadline_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        clock = asyncio.get_running_loop()
        now = clock.time()
        exchange = Exchange(trace_id="", deadline=now + self.deadline_s)
        token = enter(exchange)
        budget: Budget | None = None
        started = False

        async def answer(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = message["headers"] = [*message.get("headers", ()), *exchange.headers, *_ALWAYS]
                headers.append((b"x-request-id", exchange.trace_id.encode("ascii")))
                if budget is not None and budget.replayed and message["status"] < 300:
                    headers.append((b"idempotent-replayed", b"true"))
                if exchange.principal is not None:
                    headers.append((b"cache-control", b"no-store"))
            await send(message)

        async def refuse(refusal: Refusal) -> None:
            if not started:
                exchange.headers.clear()
                await refusal_response(refusal, exchange.trace_id)(scope, receive, answer)

        try:
            self._receive(scope, exchange, now)
            follow_trace(exchange.traceparent or new_traceparent())
            with spending(exchange.deadline - clock.time(), exchange.trace_id) as budget:
                async with asyncio.timeout_at(exchange.deadline + GRACE_S):
                    await self.app(scope, receive, answer)
        except Refusal as refusal:
            await refuse(refusal)
        except Exception as error:
            if isinstance(error, TimeoutError) and clock.time() >= exchange.deadline:
                await refuse(DeadlineExceeded("the answer took too long; ask again with the same Idempotency-Key"))
                return
            INCIDENTS.labels(_name(exchange)).inc()
            log.exception("request failed", incident=exchange.trace_id, operation=_name(exchange))
            if started:
                raise
            exchange.headers.clear()
            response = problem_response(
                500,
                "INTERNAL",
                "something went wrong on our side; report the instance below if it happens again",
                trace_id=exchange.trace_id,
            )
            await response(scope, receive, answer)
        finally:
            leave(token)

    def _receive(self, scope: Scope, exchange: Exchange, now: float) -> None:
        exchange.trace_id = uuid.uuid4().hex
        received = exchange.received
        size = 0
        repeated = False
        for name, value in scope["headers"]:
            size += len(name) + len(value) + 4
            if name in ONCE:
                text = name.decode("ascii")
                repeated = repeated or text in received
                received[text] = value.decode("latin-1")
        given = received.get("x-request-id")
        if given is not None and _TRACE_ID.fullmatch(given):
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
        if repeated:
            raise AmbiguousRequest("a header that has one value is given twice; give it once")
        wait = received.get("x-request-timeout-ms")
        if wait is not None:
            if not _MILLISECONDS.fullmatch(wait) or not 1 <= int(wait) <= LONGEST_WAIT_S * 1000:
                raise InvalidHeader(
                    f"write whole milliseconds from 1 to {LONGEST_WAIT_S * 1000:.0f}", field="X-Request-Timeout-Ms"
                )
            exchange.deadline = min(exchange.deadline, now + int(wait) / 1000)


def refusal_response(refusal: Refusal, trace_id: str) -> Response:
    """The answer for what the edge refuses."""
    errors = []
    if refusal.field is not None:
        errors.append({"field": refusal.field, "reason": refusal.reason, "message": refusal.message})
    return problem_response(
        refusal.status, refusal.reason, refusal.message, trace_id=trace_id, errors=errors, headers=refusal.headers
    )


def _name(exchange: Exchange) -> str:
    return exchange.operation.name if exchange.operation is not None else ""
