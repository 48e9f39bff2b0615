"""Envoy's route configuration from the table; the control plane sends it to every gateway."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import structlog
from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2 as components
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.http.buffer.v3 import buffer_pb2
from envoy.extensions.filters.http.local_ratelimit.v3 import local_rate_limit_pb2
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from application.edge.operation import LONGEST_TABLE_S, Criticality, RateClass
from chassis.rate_limit import MOST_KEYS, Limit
from chassis.settings import Settings
from interfaces.gateway.policy import APPLICATION, PUSH, Row, table

log = structlog.get_logger(__name__)

NAME = "edge"
JWT = "envoy.filters.http.jwt_authn"
CLAIMS = "claims"  # under this key of its metadata stand the claims of the verified token
CLASS_KEY, TENANT_KEY, ADDRESS_KEY = "class", "tenant", "remote_address"
BUFFER = "envoy.filters.http.buffer"
LOCAL_RATE_LIMIT = "envoy.filters.http.local_ratelimit"
ANSWERS_FIRST_S = 1.0  # the application's own deadline answers before the gateway's, with a better reason
ONE_TRY = 0.4  # of the deadline, for one attempt of a read
LONGEST_IDLE_S = 3600
MOST_PREFIXES = 100
_PREFIX = re.compile(r"/[a-z0-9][a-z0-9._/-]{0,199}")

# What was not sent is sent again; what was sent is repeated only where a repetition has no second effect.
_UNSENT = "connect-failure,refused-stream,reset-before-request"
_REPEATABLE = "connect-failure,refused-stream,reset"


def route_configuration(
    extra: Mapping[str, Sequence[str]], settings: Settings | None = None
) -> route_pb2.RouteConfiguration:
    """The routes of the table, then those of `extra` (service to public path prefixes), then the application.

    What no row names goes to the application with a token only, which answers 404 or 405. A prefix that would take
    a path of the table away is passed over, with a line in the log.
    """
    settings = settings or Settings()
    rows = table()
    host = components.VirtualHost(name=NAME, domains=["*"])
    for row in rows:
        host.routes.extend(_routes_of(row, settings))
    others = {service: extra[service] for service in sorted(extra) if service not in (APPLICATION, PUSH)}
    for service, prefixes in others.items():
        for prefix in sorted(prefixes)[:MOST_PREFIXES]:
            if not _may_serve(prefix, rows):
                log.warning("prefix refused", service=service, prefix=prefix[:200])
                continue
            host.routes.extend(_prefixed(service, prefix, settings))
    host.routes.extend(_prefixed(APPLICATION, "/", settings))
    return route_pb2.RouteConfiguration(name=NAME, virtual_hosts=[host])


def _may_serve(prefix: str, rows: Sequence[Row]) -> bool:
    """Whether a service may have the prefix: well formed, and no row of the table, nor its parent, is under it."""
    if not _PREFIX.fullmatch(prefix) or "//" in prefix:
        return False
    return not any(row.path == prefix.rstrip("/") or row.path.startswith(f"{prefix.rstrip('/')}/") for row in rows)


def _routes_of(row: Row, settings: Settings) -> Iterator[components.Route]:
    if row.keyed:
        yield _route(row, settings, retry=_REPEATABLE, keyed=True)
        yield _route(row, settings, retry=_UNSENT)
    else:
        yield _route(row, settings, retry=_REPEATABLE if row.method == "GET" else _UNSENT)


def _route(row: Row, settings: Settings, *, retry: str, keyed: bool = False) -> components.Route:
    route = components.Route(name=row.name)
    if row.exact_path:
        route.match.path = row.path
    else:
        route.match.safe_regex.regex = row.pattern
    route.match.headers.add(name=":method").string_match.exact = row.method
    if keyed:
        route.match.headers.add(name="idempotency-key", present_match=True)
    route.route.cluster = row.service
    if row.criticality is Criticality.CRITICAL:
        route.route.priority = base_pb2.HIGH
    if row.stream:
        route.route.timeout.FromSeconds(0)
        route.route.idle_timeout.FromSeconds(LONGEST_IDLE_S)
        _configure(route, BUFFER, buffer_pb2.BufferPerRoute(disabled=True))
        return route
    route.route.timeout.CopyFrom(_seconds(_longest_s(row, settings)))
    short_read = row.method == "GET" and row.rate is not RateClass.EXPORT
    _retry(route.route, retry, settings.request_deadline_s * ONE_TRY if short_read else 0.0)
    if row.body_bytes:
        _configure(route, BUFFER, _at_most(row.body_bytes))
    if row.rate.exact:
        counted = route.route.rate_limits.add()
        counted.actions.add().generic_key.CopyFrom(
            components.RateLimit.Action.GenericKey(descriptor_key=CLASS_KEY, descriptor_value=row.rate.value)
        )
        if row.public:
            counted.actions.add().remote_address.SetInParent()
        else:
            counted.actions.append(ParseDict(tenant_action(), components.RateLimit.Action()))
    if row.public:
        _configure(route, LOCAL_RATE_LIMIT, by_address(settings.rates[row.rate.value], row.rate))
    return route


def tenant_action() -> dict[str, Any]:
    """Counts by the tenant of the verified token; a request without one is not counted by it."""
    path = [{"key": CLAIMS}, {"key": TENANT_KEY}]
    return {
        "metadata": {
            "descriptor_key": TENANT_KEY,
            "metadata_key": {"key": JWT, "path": path},
            "source": "DYNAMIC",
            "skip_if_absent": True,
        }
    }


def _prefixed(service: str, prefix: str, settings: Settings) -> Iterator[components.Route]:
    """A prefix for reads and one for the rest, which may have an effect and so are repeated only where unsent."""
    for method in ("GET", ""):
        route = components.Route(name=f"{service}{prefix}")
        if prefix.endswith("/"):
            route.match.prefix = prefix
        else:
            route.match.path_separated_prefix = prefix
        if method:
            route.match.headers.add(name=":method").string_match.exact = method
        route.route.cluster = service
        route.route.timeout.CopyFrom(_seconds(settings.request_deadline_s + ANSWERS_FIRST_S))
        if method:
            _retry(route.route, _REPEATABLE, settings.request_deadline_s * ONE_TRY)
        else:
            _retry(route.route, _UNSENT)
        yield route


def _longest_s(row: Row, settings: Settings) -> float:
    whole = LONGEST_TABLE_S if row.rate is RateClass.EXPORT else settings.request_deadline_s
    return whole + ANSWERS_FIRST_S


def _retry(action: components.RouteAction, on: str, read_within_s: float = 0.0) -> None:
    """`read_within_s` > 0: an attempt that takes longer is given up for another replica (reads only)."""
    policy = action.retry_policy
    policy.retry_on = on
    policy.num_retries.value = 2
    if read_within_s:
        policy.per_try_timeout.CopyFrom(_seconds(read_within_s))
    policy.retry_back_off.base_interval.CopyFrom(_seconds(0.025))
    policy.retry_back_off.max_interval.CopyFrom(_seconds(0.25))
    elsewhere = policy.retry_host_predicate.add(name="envoy.retry_host_predicates.previous_hosts")
    elsewhere.typed_config.Pack(previous_hosts_pb2.PreviousHostsPredicate())
    policy.host_selection_retry_max_attempts = 3


def by_address(limit: Limit, rate: RateClass) -> local_rate_limit_pb2.LocalRateLimit:
    """So many requests of each client address at this gateway, whatever an exact count says or cannot say."""
    found = local_rate_limit_pb2.LocalRateLimit(stat_prefix=f"edge_{rate.value.lower()}")
    _always(found, limit)
    found.rate_limits.add().actions.add().remote_address.SetInParent()
    bucket = found.descriptors.add()
    bucket.entries.add(key=ADDRESS_KEY)
    fill(bucket.token_bucket, limit)
    return found


def _always(config: local_rate_limit_pb2.LocalRateLimit, limit: Limit) -> None:
    """Enforced for every request; what no descriptor fits shares one bucket that is never the first to be empty."""
    config.max_dynamic_descriptors.value = MOST_KEYS
    config.filter_enabled.default_value.numerator = 100
    config.filter_enforced.default_value.numerator = 100
    fill(config.token_bucket, Limit(1_000_000, 1))
    for name, value in refused_headers(limit).items():
        header = config.response_headers_to_add.add().header
        header.key, header.value = name, value


def refused_headers(limit: Limit) -> dict[str, str]:
    """What a refusal of a bucket tells: the next request passes once a token has fallen, in a second at most."""
    after = max(limit.window_s // limit.count, 1)
    return {
        "RateLimit-Limit": str(limit.count),
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": str(after),
        "Retry-After": str(after),
    }


def fill(bucket: Message, limit: Limit) -> None:
    """A token bucket that holds the count and fills by it in each window."""
    bucket.max_tokens = limit.count  # type: ignore[attr-defined]
    bucket.tokens_per_fill.value = limit.count  # type: ignore[attr-defined]
    bucket.fill_interval.FromSeconds(limit.window_s)  # type: ignore[attr-defined]


def _at_most(body_bytes: int) -> buffer_pb2.BufferPerRoute:
    found = buffer_pb2.BufferPerRoute()
    found.buffer.max_request_bytes.value = body_bytes
    return found


def _seconds(seconds: float) -> Duration:
    return Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))


def _configure(route: components.Route, name: str, config: Message) -> None:
    route.typed_per_filter_config[name].Pack(config)
