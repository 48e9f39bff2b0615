"""The whole bootstrap of a gateway's Envoy, from the settings and the table; routes and clusters follow over ADS."""

import ipaddress
import uuid
from typing import Any

from chassis.lifecycle import Listener
from chassis.settings import Settings, SettingsProblem
from interfaces.gateway.filters import http_filters
from interfaces.gateway.observed import access_log
from interfaces.gateway.replies import local_replies
from interfaces.gateway.routes import NAME

Json = dict[str, Any]

CONTROL_PLANE = "control_plane"
ADMIN = "admin"
LISTEN = Listener("127.0.0.1", 8000)  # unless MUSTER_GATEWAY_LISTEN says another
ADMIN_LISTEN = Listener("127.0.0.1", 9901)
HEADERS_KIB = 32  # as the application reads
MOST_HEADERS = 100
HEADERS_WITHIN_S = 10
REQUEST_WITHIN_S = 30  # of the last byte of a body
IDLE_S = 300
STREAMS_PER_CONNECTION = 100
BUFFERED_BYTES = 256 * 1024  # per connection and direction
HEAP_BYTES = 1024 * 1024 * 1024
TYPES = "type.googleapis.com/envoy."
MONITORS = f"{TYPES}extensions.resource_monitors."

# What only we may say of a caller; taken away before anything looks at a request.
IDENTITY_PREFIXES = ("x-muster-", "x-envoy-", "x-tenant", "x-user", "x-role", "x-jwt", "x-consumer")


def bootstrap(settings: Settings) -> Json:
    """Envoy's configuration as JSON. Raises SettingsProblem, which names everything that is missing or unsafe."""
    _check(settings)
    admin = settings.gateway_admin_listener or ADMIN_LISTEN
    return {
        "node": {"id": f"gateway-{uuid.uuid4().hex[:12]}", "cluster": "gateway"},
        "admin": {"address": _address(admin)},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": CONTROL_PLANE, "retry_policy": _again()}}],
            },
            "cds_config": _ads(),
        },
        "static_resources": {
            "clusters": [_control_plane(settings), *([_admin_cluster(admin)] if settings.metrics_listener else [])],
            "listeners": [
                _listener(settings),
                *([_metrics(settings.metrics_listener)] if settings.metrics_listener else []),
            ],
        },
        "overload_manager": _overload(settings),
        # A gateway that cannot reach its control plane serves on with what it knows.
        "layered_runtime": {"layers": [{"name": "admin", "admin_layer": {}}]},
    }


def _check(settings: Settings) -> None:
    problems = []
    if not settings.control_plane_addresses:
        problems.append("MUSTER_CONTROL_PLANE_ADDRESS is missing: write host:port of the control plane")
    admin = settings.gateway_admin_listener or ADMIN_LISTEN
    if admin.path or not _loopback(admin.host):
        problems.append("MUSTER_GATEWAY_ADMIN_LISTEN has no password, so it listens on 127.0.0.1 only: write 127.0.0.1")
    if settings.listener("gateway").path:
        problems.append("MUSTER_GATEWAY_LISTEN is a TCP address: write host:port")
    if (settings.gateway_tls_cert is None) != (settings.gateway_tls_key is None):
        problems.append("MUSTER_GATEWAY_TLS_CERT and MUSTER_GATEWAY_TLS_KEY belong together: write both or none")
    if problems:
        raise SettingsProblem(problems)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listener(settings: Settings) -> Json:
    listener = settings.listeners.get("gateway", LISTEN)
    chain: Json = {
        "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": _manager(settings)}]
    }
    if settings.gateway_tls_cert is not None:
        chain["transport_socket"] = _tls(settings)
    return {
        "name": NAME,
        "address": _address(listener),
        "enable_reuse_port": False,  # two gateways on one port would silently share its traffic
        "per_connection_buffer_limit_bytes": BUFFERED_BYTES,
        "filter_chains": [chain],
    }


def _manager(settings: Settings) -> Json:
    return {
        "@type": f"{TYPES}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": NAME,
        "rds": {"route_config_name": NAME, "config_source": _ads()},
        "http_filters": http_filters(settings),
        "early_header_mutation_extensions": [_strip()],
        # One meaning per request, before a filter or a route looks at it.
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {
            "headers_with_underscores_action": "REJECT_REQUEST",
            "max_headers_count": MOST_HEADERS,
            "idle_timeout": f"{IDLE_S}s",
        },
        "max_request_headers_kb": HEADERS_KIB,
        "http2_protocol_options": {
            "max_concurrent_streams": STREAMS_PER_CONNECTION,
            "initial_stream_window_size": 65536,
            "initial_connection_window_size": 1048576,
            "allow_connect": True,  # WebSockets over HTTP/2
        },
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        # Slow clients give their place back.
        "request_headers_timeout": f"{HEADERS_WITHIN_S}s",
        "request_timeout": f"{REQUEST_WITHIN_S}s",
        "stream_idle_timeout": f"{IDLE_S}s",
        "delayed_close_timeout": "1s",
        "use_remote_address": True,
        "xff_num_trusted_hops": settings.gateway_trusted_hops,
        "internal_address_config": {"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]},  # nobody
        "generate_request_id": True,
        "preserve_external_request_id": True,
        "request_id_extension": {
            "typed_config": {
                "@type": f"{TYPES}extensions.request_id.uuid.v3.UuidRequestIdConfig",
                "pack_trace_reason": False,
            }
        },
        "server_header_transformation": "PASS_THROUGH",
        "local_reply_config": local_replies(),
        "access_log": [access_log()],
    }


def _metrics(listener: Listener) -> Json:
    """`GET /metrics` as every part answers it, and nothing else of the administration."""
    manager = {
        "@type": f"{TYPES}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "metrics",
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{TYPES}extensions.filters.http.router.v3.Router"},
            }
        ],
        "request_timeout": f"{HEADERS_WITHIN_S}s",
        "route_config": {
            "name": "metrics",
            "virtual_hosts": [
                {
                    "name": "metrics",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {
                                "path": "/metrics",
                                "headers": [{"name": ":method", "string_match": {"exact": "GET"}}],
                            },
                            "route": {"cluster": ADMIN, "prefix_rewrite": "/stats/prometheus"},
                        }
                    ],
                }
            ],
        },
    }
    return {
        "name": "metrics",
        "address": _address(listener),
        "enable_reuse_port": False,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _admin_cluster(admin: Listener) -> Json:
    endpoints = [{"endpoint": {"address": _address(admin)}}]
    return {
        "name": ADMIN,
        "connect_timeout": "0.5s",
        "load_assignment": {"cluster_name": ADMIN, "endpoints": [{"lb_endpoints": endpoints}]},
    }


def _strip() -> Json:
    """Takes identity headers away; their twins with underscores are refused with the request."""
    return {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {
            "@type": f"{TYPES}extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            "mutations": [
                {"remove_on_match": {"key_matcher": {"prefix": prefix, "ignore_case": True}}}
                for prefix in IDENTITY_PREFIXES
            ],
        },
    }


def _tls(settings: Settings) -> Json:
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{TYPES}extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_certificates": [
                    {
                        "certificate_chain": {"filename": str(settings.gateway_tls_cert)},
                        "private_key": {"filename": str(settings.gateway_tls_key)},
                    }
                ],
            },
        },
    }


def _control_plane(settings: Settings) -> Json:
    endpoints = [
        {"endpoint": {"address": _address(Listener.parse(address))}} for address in settings.control_plane_addresses
    ]
    return {
        "name": CONTROL_PLANE,
        "type": "STRICT_DNS",
        "connect_timeout": "0.5s",
        "load_assignment": {"cluster_name": CONTROL_PLANE, "endpoints": [{"lb_endpoints": endpoints}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{TYPES}extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {
                    "http2_protocol_options": {"connection_keepalive": {"interval": "10s", "timeout": "2s"}}
                },
            }
        },
    }


def _overload(settings: Settings) -> Json:
    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": {
                    "@type": f"{MONITORS}downstream_connections.v3.DownstreamConnectionsConfig",
                    "max_active_downstream_connections": settings.gateway_connections,
                },
            },
            {
                "name": "envoy.resource_monitors.fixed_heap",
                "typed_config": {
                    "@type": f"{MONITORS}fixed_heap.v3.FixedHeapConfig",
                    "max_heap_size_bytes": HEAP_BYTES,
                },
            },
        ],
        "actions": [
            {
                "name": f"envoy.overload_actions.{action}",
                "triggers": [{"name": "envoy.resource_monitors.fixed_heap", "threshold": {"value": share}}],
            }
            for action, share in (("shrink_heap", 0.85), ("stop_accepting_requests", 0.95))
        ],
    }


def _address(listener: Listener) -> Json:
    return {"socket_address": {"address": listener.host, "port_value": listener.port}}


def _again() -> Json:
    """How soon a lost control plane is asked again: by default a gateway would wait up to 30 s."""
    return {"retry_back_off": {"base_interval": "0.2s", "max_interval": "1s"}}


def _ads() -> Json:
    return {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "2s"}
