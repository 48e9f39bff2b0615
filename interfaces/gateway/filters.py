"""What every request passes at the gateway, in this order: token, local count, exact count, body, router."""

from typing import Any

from application.access.claims import AUDIENCE, SKEW_S
from application.events.stream_paths import BEARER_PROTOCOL
from chassis.rate_limit import MOST_KEYS, Limit
from chassis.settings import Settings
from interfaces.gateway.policy import APPLICATION, Row, table
from interfaces.gateway.routes import BUFFER, CLAIMS, JWT, LOCAL_RATE_LIMIT, TENANT_KEY, refused_headers, tenant_action

Json = dict[str, Any]

DOMAIN = "muster"
RATELIMIT = "ratelimit"
JWKS = "/.well-known/jwks.json"
KEYS_RETRY_S = 1
REMEMBERED_TOKENS = 1000  # per worker
TYPES = "type.googleapis.com/envoy.extensions.filters.http."


def http_filters(settings: Settings) -> list[Json]:
    """The chain; nothing is counted or read before the token is verified."""
    return [
        {"name": JWT, "typed_config": token(settings)},
        {"name": LOCAL_RATE_LIMIT, "typed_config": by_tenant(settings.rates["TENANT"])},
        {"name": "envoy.filters.http.ratelimit", "typed_config": exact(settings)},
        {"name": BUFFER, "typed_config": body(settings)},
        {
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": f"{TYPES}router.v3.Router", "suppress_envoy_headers": True},
        },
    ]


def token(settings: Settings) -> Json:
    """A token for everything but the public rows, each exempt by method and whole path."""
    provider = {
        "issuer": settings.token_issuer,
        "audiences": [AUDIENCE],
        "remote_jwks": {
            "http_uri": {"uri": f"http://{APPLICATION}{JWKS}", "cluster": APPLICATION, "timeout": "2s"},
            "cache_duration": f"{settings.gateway_keys_fresh_s:g}s",
            # Fetched beside the requests; until the first answer every token is refused.
            "async_fetch": {"fast_listener": True, "failed_refetch_duration": f"{KEYS_RETRY_S}s"},
        },
        "forward": True,  # the application verifies it again
        "clock_skew_seconds": SKEW_S,
        "payload_in_metadata": CLAIMS,
        "jwt_cache_config": {"jwt_cache_size": REMEMBERED_TOKENS},
        "from_headers": [
            {"name": "authorization", "value_prefix": "Bearer "},
            # Browsers cannot set Authorization on a WebSocket.
            {"name": "sec-websocket-protocol", "value_prefix": BEARER_PROTOCOL},
        ],
    }
    return {
        "@type": f"{TYPES}jwt_authn.v3.JwtAuthentication",
        "providers": {"muster": provider},
        "rules": [
            *({"match": _match(row)} for row in table() if row.public),
            {"match": {"prefix": "/"}, "requires": {"provider_name": "muster"}},
        ],
    }


def _match(row: Row) -> Json:
    where = {"path": row.path} if row.exact_path else {"safe_regex": {"regex": row.pattern}}
    return {**where, "headers": [{"name": ":method", "string_match": {"exact": row.method}}]}


def by_tenant(limit: Limit) -> Json:
    """So many requests of each tenant at this gateway; routes of public rows count by address instead."""
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return {
        "@type": f"{TYPES}local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "edge",
        "filter_enabled": always,
        "filter_enforced": always,
        "token_bucket": _bucket(Limit(1_000_000, 1)),
        "max_dynamic_descriptors": MOST_KEYS,
        "rate_limits": [{"actions": [tenant_action()]}],
        "descriptors": [{"entries": [{"key": TENANT_KEY}], "token_bucket": _bucket(limit)}],
        "response_headers_to_add": [
            {"header": {"key": name, "value": value}} for name, value in refused_headers(limit).items()
        ],
    }


def _bucket(limit: Limit) -> Json:
    return {"max_tokens": limit.count, "tokens_per_fill": limit.count, "fill_interval": f"{limit.window_s}s"}


def exact(settings: Settings) -> Json:
    """Routes with an exact class ask the rate-limit service; while it does not answer they pass.

    Signing in keeps a local limit per address all the while, so that guessing never goes unbounded.
    """
    return {
        "@type": f"{TYPES}ratelimit.v3.RateLimit",
        "domain": DOMAIN,
        "timeout": f"{settings.ratelimit_timeout_s:g}s",
        "failure_mode_deny": False,
        "disable_x_envoy_ratelimited_header": True,
        "rate_limit_service": {
            "transport_api_version": "V3",
            "grpc_service": {"envoy_grpc": {"cluster_name": RATELIMIT}},
        },
    }


def body(settings: Settings) -> Json:
    """A body is whole before the application hears of it, and no longer than the row allows."""
    return {"@type": f"{TYPES}buffer.v3.Buffer", "max_request_bytes": settings.body_bytes}
