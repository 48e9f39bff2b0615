"""What stands round every served method: metrics, errors, the caller's assertion, the deadline, the request's shape."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeAlias, cast
from uuid import UUID

import grpc
import structlog
from google.protobuf.message import Message
from grpc_status import rpc_status  # type: ignore[import-untyped]

from chassis.assertion import ALL_TENANTS, METADATA_KEY, AssertionRefused, Verifier
from chassis.principal import Call, begin
from chassis.rpc.error_map import OK, InvalidRequest, RemoteError, Trouble, Unauthenticated, code_of, kind_of, status_of
from chassis.rpc.load_report import KEY as LOAD_KEY
from chassis.rpc.load_report import LoadReport
from chassis.rpc.places import Places
from chassis.rpc.validation import validate
from chassis.telemetry import (
    INCIDENTS,
    SERVER_IN_FLIGHT,
    SERVER_REFUSED,
    SERVER_SECONDS,
    follow_trace,
    incident_id,
    span,
    tracing_on,
)
from chassis.unit_of_work import replayed
from kernel.errors import DomainError

log = structlog.get_logger(__name__)

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

REQUEST_ID_KEY = "x-request-id"
TRACE_KEY = "traceparent"
REPLAYED_KEY = "muster-replayed"
_LONGEST_TRACE_ID = 128
_OUR_FAULT = frozenset(code_of(kind).name for kind in (Trouble.UNAVAILABLE, Trouble.TIMEOUT, Trouble.INTERNAL))
_GONE, _REFUSED = code_of(Trouble.CANCELLED).name, code_of(Trouble.UNAUTHENTICATED).name


class NoPlace(RemoteError):
    """The server serves as many calls as it may, or as many of this method."""

    def __init__(self) -> None:
        plain = RemoteError.of(Trouble.OVERLOADED)
        super().__init__(plain.kind, plain.reason, plain.message, retry_after_s=plain.retry_after_s)


class Interceptor:
    """Wraps the methods of one server, once each at its start, so that a call pays for the checks only.

    The order, from the outside: metrics and log, the catch-all for errors, a place, the assertion, the deadline, the
    rules of the proto, the handler.

    Invariants: a call without a place is refused before anything is done for it; no handler runs without a verified
    principal, a deadline of at most `longest_s` seconds and a request that keeps its proto's rules; no text of an
    unexpected exception leaves; services that are not in `across_tenants` serve one tenant at a time.
    """

    def __init__(
        self, name: str, verifier: Verifier, *, longest_s: float, across_tenants: Sequence[str], places: int
    ) -> None:
        self._places = Places(places)
        self._load = LoadReport()
        self._verifier = verifier
        self._longest_s = longest_s
        self._across_tenants = frozenset(across_tenants)
        self._in_flight = SERVER_IN_FLIGHT.labels(name)

    def wrap(self, service: str, method: str, handler: Handler) -> Handler:
        """The handler with everything round it. Raises TypeError for a method that streams requests."""
        if handler.request_streaming:
            raise TypeError(f"{service}/{method} streams requests: send chunks in unary calls instead")
        served = _Served(self, f"{service}/{method}", service in self._across_tenants)
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                served.streaming(cast(Any, handler.unary_stream)),
                request_deserializer=handler.request_deserializer,
                response_serializer=handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            served.unary(cast(Any, handler.unary_unary)),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def admit(self, operation: str, request: Message, context: Context, now: float, across: bool) -> Call:
        """The verified call. Raises Unauthenticated; InvalidRequest where the request breaks its proto's rules."""
        token = trace = parent = None
        for key, value in context.invocation_metadata() or ():
            if key == METADATA_KEY:
                token = value
            elif key == REQUEST_ID_KEY:
                trace = value
            elif key == TRACE_KEY:
                parent = value
        if not isinstance(token, str):
            raise Unauthenticated("no assertion")
        try:
            verified = self._verifier.verify(token)
        except AssertionRefused as refused:
            raise Unauthenticated(f"assertion refused: {refused}") from refused
        if verified.principal.tenant_id == ALL_TENANTS and not across:
            raise Unauthenticated("this service serves one tenant at a time")
        if isinstance(parent, str):
            follow_trace(parent)
        left = context.time_remaining()
        deadline = now + (self._longest_s if left is None or left > self._longest_s else left)
        trace_id = trace[:_LONGEST_TRACE_ID] if isinstance(trace, str) else ""
        call = Call(verified.principal, operation, verified.request_id, verified.fingerprint, deadline, trace_id)
        begin(call)
        return call

    def enter(self, method: str) -> None:
        """Take a place for a call. Raises NoPlace."""
        if not self._places.free(method):
            raise NoPlace
        self._places.take(method)
        self._in_flight.inc()

    def ended(self, method: str, seconds: float, code: str) -> None:
        """Give it back; the call took so long and was answered so."""
        self._places.give(method)
        self._in_flight.dec()
        if code != _REFUSED:
            self._load.ended(seconds, failed=code in _OUR_FAULT, cut_off=code == _GONE)

    def report(self, now: float) -> tuple[tuple[str, bytes], ...]:
        """What this answer tells the client of the server's load, if it is its turn."""
        return ((LOAD_KEY, bytes(self._load)),) if self._load.due(now) else ()


class _Served:
    """One method and what is known of it after its first call."""

    def __init__(self, interceptor: Interceptor, operation: str, across: bool) -> None:
        self._interceptor = interceptor
        self._operation = operation
        self._across = across
        self._seconds: dict[str, Any] = {}
        self._carries_request_id: bool | None = None

    def unary(self, behaviour: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
        """The method with everything round it."""

        async def serve(request: Message, context: Context) -> Any:
            loop = asyncio.get_running_loop()
            started, code = loop.time(), OK
            placed = False
            try:
                self._interceptor.enter(self._operation)
                placed = True
                call = self._admit(request, context, started)
                async with asyncio.timeout_at(call.deadline):
                    if tracing_on():
                        with span(self._operation, server=True):
                            answer = await behaviour(request, context)
                    else:
                        answer = await behaviour(request, context)
                trailing: tuple[tuple[str, str | bytes], ...] = self._interceptor.report(started)
                if replayed.get():
                    trailing += ((REPLAYED_KEY, "1"),)
                if trailing:
                    context.set_trailing_metadata(trailing)
                return answer
            except BaseException as error:
                code = code_of(kind_of(error)).name
                await self._refuse(error, context, self._interceptor.report(started))
                raise
            finally:
                seconds = loop.time() - started
                if placed:
                    self._interceptor.ended(self._operation, seconds, code)
                self._observe(code, seconds)

        return serve

    def streaming(
        self, behaviour: Callable[[Any, Any], AsyncIterator[Any]]
    ) -> Callable[[Any, Any], AsyncIterator[Any]]:
        """The streaming method with everything round it; its deadline is that of the whole stream."""

        async def serve(request: Message, context: Context) -> AsyncIterator[Any]:
            loop = asyncio.get_running_loop()
            started, code = loop.time(), OK
            placed = False
            try:
                self._interceptor.enter(self._operation)
                placed = True
                call = self._admit(request, context, started)
                async with asyncio.timeout_at(call.deadline):
                    async for answer in behaviour(request, context):
                        yield answer
            except BaseException as error:
                code = code_of(kind_of(error)).name
                await self._refuse(error, context)
                raise
            finally:
                seconds = loop.time() - started
                if placed:
                    self._interceptor.ended(self._operation, seconds, code)
                self._observe(code, seconds)

        return serve

    def _admit(self, request: Message, context: Context, now: float) -> Call:
        call = self._interceptor.admit(self._operation, request, context, now, self._across)
        validate(request)
        if self._carries_request_id is None:
            self._carries_request_id = "request_id" in request.DESCRIPTOR.fields_by_name
        if self._carries_request_id and call.request_id is not None:
            self._same_request_id(request.request_id, call.request_id)  # type: ignore[attr-defined]
        return call

    @staticmethod
    def _same_request_id(sent: str, asserted: UUID) -> None:
        if sent.lower() != str(asserted):
            raise Unauthenticated("the request carries another request_id than its assertion")

    async def _refuse(self, error: BaseException, context: Context, report: tuple[tuple[str, bytes], ...] = ()) -> None:
        """Answer the error and log it; returns only where the call is gone or was answered by its handler already."""
        if not isinstance(error, Exception) or isinstance(error, grpc.aio.AbortError):
            return
        kind, incident = kind_of(error), ""
        if isinstance(error, NoPlace):
            SERVER_REFUSED.labels(self._operation).inc()  # a line for each would cost more than the refusal
        elif kind is Trouble.INTERNAL:
            incident = incident_id()
            INCIDENTS.labels(self._operation).inc()
            log.error("call failed", incident=incident, method=self._operation, exc_info=error)
        elif isinstance(error, Unauthenticated):
            log.warning("call refused", method=self._operation, kind=kind.name, why=str(error))
        elif isinstance(error, DomainError | RemoteError | InvalidRequest):
            log.info("call refused", method=self._operation, kind=kind.name, reason=getattr(error, "reason", ""))
        else:
            # An outage is told once by its cause, not by a stack for each of its thousand victims.
            log.warning("call not served", method=self._operation, kind=kind.name, error=type(error).__name__)
        status = rpc_status.to_status(status_of(error, incident=incident))
        # A replica that fails every call must say so too, or it would keep the share that it had while it was well.
        await context.abort(status.code, status.details, (*status.trailing_metadata, *report))

    def _observe(self, code: str, seconds: float) -> None:
        histogram = self._seconds.get(code)
        if histogram is None:
            histogram = self._seconds[code] = SERVER_SECONDS.labels(self._operation, code)
        histogram.observe(seconds)
