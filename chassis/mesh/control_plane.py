"""`muster run control-plane`: the control plane as a process; any number of them are copies of each other."""

import grpc
from envoy.service.discovery.v3 import ads_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_health.v1.health import aio as health_aio  # type: ignore[import-untyped]

from chassis.lifecycle import AddressTaken, Lifecycle, Listener, Running
from chassis.mesh.plane import Plane
from chassis.mesh.registry import TTL_S, Wire, open_registry
from chassis.mesh.resources import RouteConfiguration
from chassis.settings import Settings, SettingsProblem

NAME = "control-plane"
MOST_STREAMS = 2_000
LOOPS_GRACE_S = 1.0
SETTLE_S = TTL_S / 3 + 0.5  # one round of everybody's renewals
HTTP_SERVICES: dict[str, Wire] = {"application": "http", "push": "http"}
OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
]


async def serve(settings: Settings, listener: Listener, routes: RouteConfiguration) -> Running:
    """Serve until stopped, from when the registry was read on.

    Raises SettingsProblem without a registry, AddressTaken.
    """
    if settings.registry_url is None:
        raise SettingsProblem(["MUSTER_REGISTRY_URL is missing: write etcd://host:port or file:///folder"])
    registry = open_registry(settings.registry_url)
    plane = Plane(registry, routes=routes, expected=HTTP_SERVICES, settle_s=SETTLE_S)
    server = grpc.aio.server(options=OPTIONS, maximum_concurrent_rpcs=MOST_STREAMS)
    ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(plane, server)
    health = health_aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    listener = _reserved(listener)

    async def accept() -> None:
        # One that cannot read the registry must not be reached: its clients would wait for it while another one knows.
        await plane.synced.wait()
        listener.clear()
        server.add_insecure_port(listener.target)
        await server.start()
        await health.set("", health_pb2.HealthCheckResponse.SERVING)

    loops = Lifecycle(grace_s=LOOPS_GRACE_S)
    loops.spawn(NAME, plane.run)
    loops.spawn(f"{NAME} listener", accept)

    async def stop(grace_s: float) -> None:
        await health.enter_graceful_shutdown()
        await loops.drain()
        await server.stop(min(grace_s, LOOPS_GRACE_S))  # streams never end by themselves
        await registry.close()

    return Running(NAME, listener.target, stop)


def _reserved(listener: Listener) -> Listener:
    """The same with its port. Raises AddressTaken."""
    try:
        bound = listener.bind()
    except OSError:
        raise AddressTaken(f"{NAME} cannot listen on {listener.target}: free it or choose another address") from None
    with bound:
        return listener if listener.path else Listener(listener.host, bound.getsockname()[1])
