"""What a process tells its operators: log lines, metrics, traces and incident ids, none of them with personal data."""

import logging
import secrets
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import Counter, Gauge, Histogram

from chassis.principal import call_or_none

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

# Labels are bounded: methods and codes come from our own protos, loops and dependencies from our own source.
LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SERVER_SECONDS = Histogram(
    "muster_rpc_server_seconds", "Seconds per inner call served", ("method", "code"), buckets=LATENCY_BUCKETS_S
)
SERVER_IN_FLIGHT = Gauge("muster_rpc_server_in_flight", "Inner calls being served", ("service",))
SERVER_REFUSED = Counter(
    "muster_rpc_server_refused_total", "Inner calls turned away because no place was free for their method", ("method",)
)
RETRIES = Counter("muster_rpc_client_retries_total", "Attempts beyond the first of inner calls", ("service",))
HEDGES = Counter("muster_rpc_client_hedges_total", "Reads with a second copy, by which copy won", ("method", "won"))
BREAKER_OPEN = Gauge("muster_rpc_breaker_open", "1 while calls of the service fail at once", ("service",))
BREAKER_OPENED = Counter("muster_rpc_breaker_opened_total", "How often calls began to fail at once", ("service",))
CALLS_REFUSED = Counter(
    "muster_rpc_client_refused_total", "Inner calls not made: why is queue (too many wait) or breaker (it is open)",
    ("service", "why"),
)  # fmt: skip
CLIENT_SECONDS = Histogram(
    "muster_rpc_client_seconds", "Seconds per inner call made, retries included", ("method", "code"),
    buckets=LATENCY_BUCKETS_S,
)  # fmt: skip
HTTP_SECONDS = Histogram(
    "muster_http_seconds", "Seconds per REST request served", ("operation", "status"), buckets=LATENCY_BUCKETS_S
)
OUTBOX_DELAY_SECONDS = Histogram(
    "muster_outbox_delay_seconds",
    "Seconds from an event's fact to its place in the feed, of the oldest in a batch",
    ("context",),
    buckets=LATENCY_BUCKETS_S,
)
EVENTS_PUBLISHED = Counter("muster_events_published_total", "Events that got their place in the feed", ("context",))
INCIDENTS = Counter("muster_incidents_total", "Unexpected errors, each with an incident id in the log", ("where",))

# Exceptions whose text speaks of code and machines, never of the values that people sent.
_SAFE_TEXT = (TypeError, AttributeError, NameError, ImportError, NotImplementedError, RuntimeError, OSError)
_FRAMES = 40

_traceparent: ContextVar[str] = ContextVar("muster_traceparent", default="")
_tracer: "Tracer | None" = None


def incident_id() -> str:
    """A new id that a person can read out and an operator can find in the log: "inc-" and 12 hex digits."""
    return f"inc-{secrets.token_hex(6)}"


def new_traceparent() -> str:
    """A W3C traceparent that starts a trace here, not sampled."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"


def traceparent() -> str:
    """The traceparent of the current request, "" outside one."""
    return _traceparent.get()


def follow_trace(parent: str | None) -> None:
    """Make `parent`, which may come from outside and be nonsense, the current traceparent."""
    if parent and len(parent) == 55 and parent.isascii():
        _traceparent.set(parent)


def configure_logging(*, level: str = "INFO", json: bool = True) -> None:
    """Send our lines and those of the libraries to stderr in one format. To be called once, by the program."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_call,
    ]
    # In both formats: a traceback with its local variables would show what people sent.
    last: list[Any] = [
        _describe_error,
        structlog.processors.JSONRenderer(default=str)
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
    ]
    threshold = logging.getLevelNamesMapping()[level]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(threshold, logging.INFO))
    for chatty in ("sqlalchemy", "asyncio", "alembic"):
        logging.getLogger(chatty).setLevel(max(threshold, logging.WARNING))


def _add_call(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    call = call_or_none()
    if call is not None:
        event.setdefault("tenant_id", str(call.principal.tenant_id))
        event.setdefault("operation", call.operation)
        event.setdefault("trace_id", call.trace_id)
        if call.request_id is not None:
            event.setdefault("request_id", str(call.request_id))
    return event


def _describe_error(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    given = event.pop("exc_info", None)
    if not given:
        return event
    error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["error"] = describe(error)
    return event


def describe(error: BaseException) -> list[dict[str, Any]]:
    """An exception and its causes (at most 5), with the places in the code but without text that may hold values."""
    described: list[dict[str, Any]] = []
    current: BaseException | None = error
    while current is not None and len(described) < 5:
        entry: dict[str, Any] = {"type": f"{type(current).__module__}.{type(current).__qualname__}"}
        if isinstance(current, _SAFE_TEXT) or type(current).__module__.partition(".")[0] in ("kernel", "chassis"):
            entry["text"] = str(current)[:500]
        code = getattr(getattr(current, "orig", None), "args", (None,))[:1]  # the database's own error number
        if code and isinstance(code[0], int):
            entry["code"] = code[0]
        entry["at"] = _places(current.__traceback__)
        described.append(entry)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return described


def _places(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace, limit=-_FRAMES)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


def configure_tracing(tracer: "Tracer | None") -> None:
    """Make spans with this OpenTelemetry tracer from now on; None (the start) makes none."""
    global _tracer
    _tracer = tracer


@contextmanager
def span(name: str, *, server: bool = False) -> Iterator[None]:
    """A span round the block, and its traceparent for calls made inside; does nothing unless tracing is on.

    Hot paths ask `tracing_on()` first, which is cheaper than entering the block.
    """
    if _tracer is None:
        yield
        return
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    propagator = TraceContextTextMapPropagator()
    parent = propagator.extract({"traceparent": _traceparent.get()})
    kind = SpanKind.SERVER if server else SpanKind.CLIENT
    with _tracer.start_as_current_span(name, context=parent, kind=kind, record_exception=False):
        carrier: dict[str, str] = {}
        propagator.inject(carrier)
        token = _traceparent.set(carrier.get("traceparent", ""))
        try:
            yield
        finally:
            _traceparent.reset(token)


def tracing_on() -> bool:
    """Whether spans are made."""
    return _tracer is not None
