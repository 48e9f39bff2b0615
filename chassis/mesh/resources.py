"""What the control plane tells, as xDS resources: clusters and endpoints for all, listeners for gRPC clients."""

from collections.abc import Callable, Mapping, Sequence

from envoy.config.cluster.v3 import circuit_breaker_pb2, cluster_pb2, outlier_detection_pb2
from envoy.config.common.matcher.v3 import matcher_pb2
from envoy.config.core.v3 import (
    address_pb2,
    base_pb2,
    config_source_pb2,
    extension_pb2,
    health_check_pb2,
    protocol_pb2,
)
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.config.listener.v3 import api_listener_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3 import (
    client_side_weighted_round_robin_pb2,
)
from envoy.extensions.load_balancing_policies.round_robin.v3 import round_robin_pb2
from envoy.extensions.load_balancing_policies.wrr_locality.v3 import wrr_locality_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from google.protobuf import any_pb2, duration_pb2, wrappers_pb2
from google.protobuf.message import Message

from chassis.health import WELL_BUT_FULL
from chassis.mesh.registry import Instance, Wire

RouteConfiguration = Callable[[Mapping[str, Sequence[str]]], route_pb2.RouteConfiguration]
"""The gateway's routes, named EDGE, given the public prefixes of the HTTP services that are registered."""

EDGE = "edge"

RETRIES = 3
CONNECT_S = 0.5
CHECK_EVERY_S = 1.0
CHECK_WITHIN_S = 0.5
READY_PATH = "/readyz"
EJECTED_S = 5
MERGED_S = 0.05
MOST_CONNECTIONS = 1024
MOST_WAITING = 256
MOST_REQUESTS = 1024
MOST_RETRIES = 64
RESERVED = 4  # what matters most may use so many times the places that the rest has


def listener(service: str) -> listener_pb2.Listener:
    """What a gRPC client asks for `xds:///service`: one route to the cluster of that name, UNAVAILABLE tried again.

    gRPC takes no throttling of retries from xDS; our own clients ignore these and make theirs within a budget
    (chassis.rpc.sending).
    """
    retry = route_components_pb2.RetryPolicy(
        retry_on="unavailable",
        num_retries=_uint(RETRIES),
        retry_back_off=route_components_pb2.RetryPolicy.RetryBackOff(
            base_interval=_seconds(0.02), max_interval=_seconds(0.5)
        ),
    )
    route = route_components_pb2.Route(
        match=route_components_pb2.RouteMatch(prefix=""),
        route=route_components_pb2.RouteAction(cluster=service, retry_policy=retry),
    )
    host = route_components_pb2.VirtualHost(name=service, domains=["*"], routes=[route])
    manager = http_connection_manager_pb2.HttpConnectionManager(
        route_config=route_pb2.RouteConfiguration(name=service, virtual_hosts=[host]),
        http_filters=[
            http_connection_manager_pb2.HttpFilter(name="router", typed_config=_any(router_pb2.Router())),
        ],
    )
    return listener_pb2.Listener(name=service, api_listener=api_listener_pb2.ApiListener(api_listener=_any(manager)))


def cluster(service: str, protocol: Wire) -> cluster_pb2.Cluster:
    """How a service is reached and guarded; Envoy reads all of it, gRPC clients what they know of it.

    Ejecting by statistics is for HTTP only: gRPC clients would count refusals of the business as failures.
    """
    found = cluster_pb2.Cluster(
        name=service,
        type=cluster_pb2.Cluster.EDS,
        eds_cluster_config=cluster_pb2.Cluster.EdsClusterConfig(eds_config=_ads()),
        lb_policy=cluster_pb2.Cluster.ROUND_ROBIN,
        connect_timeout=_seconds(CONNECT_S),
        circuit_breakers=_breakers(),
        # Who is put out gets no request a second longer, as Envoy would have it.
        common_lb_config=cluster_pb2.Cluster.CommonLbConfig(update_merge_window=_seconds(MERGED_S)),
        ignore_health_on_host_removal=True,  # who deregisters drains: Envoy would go on until a check failed
        health_checks=[_health_check(service, protocol)],
    )
    options = http_protocol_options_pb2.HttpProtocolOptions()
    if protocol == "http":
        options.explicit_http_config.http_protocol_options.SetInParent()
        found.outlier_detection.CopyFrom(
            outlier_detection_pb2.OutlierDetection(
                consecutive_5xx=_uint(5),
                consecutive_gateway_failure=_uint(3),
                enforcing_consecutive_gateway_failure=_uint(100),
                split_external_local_origin_errors=True,
                interval=_seconds(1),
                base_ejection_time=_seconds(EJECTED_S),
                max_ejection_percent=_uint(50),
                # A health check knows less than the requests that failed: by default it would bring the replica back.
                successful_active_health_check_uneject_host=wrappers_pb2.BoolValue(value=False),
            )
        )
        options.outlier_detection.error_matcher.CopyFrom(_sick())
    else:
        options.explicit_http_config.http2_protocol_options.CopyFrom(
            protocol_pb2.Http2ProtocolOptions(
                connection_keepalive=protocol_pb2.KeepaliveSettings(interval=_seconds(10), timeout=_seconds(2))
            )
        )
        found.load_balancing_policy.CopyFrom(_weighted())
    packed = found.typed_extension_protocol_options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
    packed.CopyFrom(_any(options))
    return found


def endpoints(service: str, instances: Sequence[Instance]) -> endpoint_pb2.ClusterLoadAssignment:
    """Where the service is: each address once, an empty assignment where nobody serves it."""
    found = endpoint_pb2.ClusterLoadAssignment(cluster_name=service)
    addresses = sorted({(instance.host, instance.port) for instance in instances})
    if addresses:
        locality = found.endpoints.add(locality=base_pb2.Locality(zone="here"), load_balancing_weight=_uint(1))
        for host, port in addresses:
            socket = address_pb2.SocketAddress(address=host, port_value=port)
            locality.lb_endpoints.add(
                endpoint=endpoint_components_pb2.Endpoint(address=address_pb2.Address(socket_address=socket))
            )
    return found


def no_routes(extra: Mapping[str, Sequence[str]]) -> route_pb2.RouteConfiguration:
    """The routes of a mesh without a gateway: none."""
    return route_pb2.RouteConfiguration(name=EDGE)


def _breakers() -> circuit_breaker_pb2.CircuitBreakers:
    thresholds = circuit_breaker_pb2.CircuitBreakers.Thresholds
    return circuit_breaker_pb2.CircuitBreakers(
        thresholds=[
            thresholds(
                priority=priority,
                max_connections=_uint(MOST_CONNECTIONS * times),
                max_pending_requests=_uint(MOST_WAITING * times),
                max_requests=_uint(MOST_REQUESTS * times),
                max_retries=_uint(MOST_RETRIES * times),
            )
            for priority, times in ((base_pb2.DEFAULT, 1), (base_pb2.HIGH, RESERVED))
        ]
    )


def _sick() -> matcher_pb2.MatchPredicate:
    """Answers that speak against a replica: 5xx, unless it is well and only sheds load."""
    failed = matcher_pb2.MatchPredicate()
    failed.http_response_headers_match.headers.add(name=":status").string_match.safe_regex.regex = "5.."
    full = matcher_pb2.MatchPredicate()
    full.http_response_headers_match.headers.add(name=WELL_BUT_FULL, present_match=True)
    both = matcher_pb2.MatchPredicate.MatchSet(rules=[failed, matcher_pb2.MatchPredicate(not_match=full)])
    return matcher_pb2.MatchPredicate(and_match=both)


def _weighted() -> cluster_pb2.LoadBalancingPolicy:
    """In turns, less often to replicas that report that they are slow (chassis.rpc.load_report)."""
    weighted = client_side_weighted_round_robin_pb2.ClientSideWeightedRoundRobin(
        blackout_period=_seconds(0), weight_update_period=_seconds(1), weight_expiration_period=_seconds(180)
    )
    picking = cluster_pb2.LoadBalancingPolicy(
        policies=[
            _policy("client_side_weighted_round_robin", weighted),
            _policy("round_robin", round_robin_pb2.RoundRobin()),
        ]
    )
    by_locality = _policy("wrr_locality", wrr_locality_pb2.WrrLocality(endpoint_picking_policy=picking))
    return cluster_pb2.LoadBalancingPolicy(policies=[by_locality])


def _policy(name: str, config: Message) -> cluster_pb2.LoadBalancingPolicy.Policy:
    extension = extension_pb2.TypedExtensionConfig(
        name=f"envoy.load_balancing_policies.{name}", typed_config=_any(config)
    )
    return cluster_pb2.LoadBalancingPolicy.Policy(typed_extension_config=extension)


def _health_check(service: str, protocol: Wire) -> health_check_pb2.HealthCheck:
    check = health_check_pb2.HealthCheck(
        timeout=_seconds(CHECK_WITHIN_S),
        interval=_seconds(CHECK_EVERY_S),
        no_traffic_interval=_seconds(CHECK_EVERY_S),  # 60 s by default, in which a sick host would stay
        unhealthy_threshold=_uint(2),
        healthy_threshold=_uint(1),
    )
    if protocol == "http":
        check.http_health_check.path = READY_PATH
    else:
        check.grpc_health_check.service_name = service
    return check


def _ads() -> config_source_pb2.ConfigSource:
    return config_source_pb2.ConfigSource(
        ads=config_source_pb2.AggregatedConfigSource(), resource_api_version=config_source_pb2.V3
    )


def _any(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message, deterministic=True)
    return packed


def _seconds(seconds: float) -> duration_pb2.Duration:
    return duration_pb2.Duration(seconds=int(seconds), nanos=round(seconds % 1 * 1_000_000_000))


def _uint(value: int) -> wrappers_pb2.UInt32Value:
    return wrappers_pb2.UInt32Value(value=value)
