"""One data service on the wire: its gRPC server with health, optional reflection, limits and a draining stop."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_health.v1.health import aio as health_aio  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped]

from chassis.assertion import Verifier
from chassis.health import Readiness
from chassis.lifecycle import AddressTaken, Listener, Running
from chassis.rpc.error_map import METADATA_BYTES
from chassis.rpc.in_process import InProcessServer, serve_at, serve_no_more
from chassis.rpc.interceptors import Handler, Interceptor
from chassis.settings import Settings

ACROSS_TENANTS = ("muster.event.v1.EventFeedService", "muster.job.v1.JobService")
READINESS_EVERY_S = 1.0
CONNECTION_GRACE_MS = 30_000
LIVE = "live"  # a name for health checks that answers as long as the loop runs, ready or not
BEYOND_PLACES = 4
CALLS_OF_HEALTH = 100

Registration = tuple[Callable[[Any, Any], None], object]
"""A generated `add_XServicer_to_server` and the servicer for it."""


class _Registrar:
    """Stands where the generated code expects the server: wraps each method before the server learns of it."""

    def __init__(self, server: grpc.aio.Server, beside: InProcessServer, interceptor: Interceptor) -> None:
        self.names: list[str] = []
        self._server = server
        self._beside = beside
        self._interceptor = interceptor

    def add_generic_rpc_handlers(self, _handlers: Sequence[object]) -> None:
        """The registered handlers below say the same with names."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        wrapped = {method: self._interceptor.wrap(service, method, handler) for method, handler in handlers.items()}
        generic = grpc.method_handlers_generic_handler(service, wrapped)
        self._server.add_generic_rpc_handlers((generic,))
        self._beside.add(service, wrapped)
        self.names.append(service)


async def start(
    listener: Listener,
    services: Sequence[Registration],
    *,
    name: str,
    settings: Settings,
    verifier: Verifier | None = None,
    readiness: Readiness | None = None,
    across_tenants: Sequence[str] = ACROSS_TENANTS,
) -> Running:
    """Serve until stopped. `name` is the audience that assertions must be made for ("organization").

    Without a `verifier` the public keys are those of the settings. Stopping answers NOT_SERVING to health checks,
    refuses new calls, lets those in flight finish for the grace and then cancels them. Where the settings say
    `in_process`, callers in this process reach it without a socket.
    Raises AddressTaken, KeyFileProblem.
    """
    interceptor = Interceptor(
        name,
        verifier or Verifier.open(settings, name),
        longest_s=settings.longest_deadline_s,
        across_tenants=across_tenants,
        places=settings.concurrent_calls,
    )
    # gRPC's own limit tells no RetryInfo and knows no methods, so it only stands behind ours.
    most = settings.concurrent_calls * BEYOND_PLACES + CALLS_OF_HEALTH
    server = grpc.aio.server(options=_options(settings), maximum_concurrent_rpcs=most)
    beside = InProcessServer(settings.message_bytes)
    registrar = _Registrar(server, beside, interceptor)
    for add, servicer in services:
        add(servicer, registrar)
    health = health_aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    if settings.reflection:
        names = (*registrar.names, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
    listener.clear()
    try:
        port = server.add_insecure_port(listener.target)
    except RuntimeError:
        raise AddressTaken(f"{name} cannot listen on {listener.target}: free it or choose another address") from None
    await server.start()
    address = listener.target if listener.path else Listener(listener.host, port).target
    if settings.in_process:
        serve_at(address, beside)
    await health.set(LIVE, health_pb2.HealthCheckResponse.SERVING)
    readiness = readiness or Readiness()
    watching = asyncio.create_task(_report_health(health, readiness, name), name=f"{name} health")

    async def stop(grace_s: float) -> None:
        watching.cancel()
        await health.enter_graceful_shutdown()
        await asyncio.gather(server.stop(grace_s), beside.stop(grace_s))
        serve_no_more(address, beside)

    return Running(name, address, stop, readiness)


def _options(settings: Settings) -> list[tuple[str, Any]]:
    return [
        ("grpc.so_reuseport", 0),  # two processes on one port would silently share its calls
        ("grpc.max_receive_message_length", settings.message_bytes),
        ("grpc.max_send_message_length", settings.message_bytes),
        ("grpc.max_metadata_size", METADATA_BYTES),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 1_000),  # clients ping each 2 s
        ("grpc.http2.max_ping_strikes", 3),
        *_ageing(settings.connection_age_s),
    ]


def _ageing(age_s: float) -> list[tuple[str, Any]]:
    """Callers that find us by DNS look again only when a connection ends: ended in time, they see new replicas."""
    if not age_s:
        return []
    return [
        ("grpc.max_connection_age_ms", int(age_s * 1000)),
        ("grpc.max_connection_age_grace_ms", CONNECTION_GRACE_MS),
    ]


async def _report_health(health: Any, readiness: Readiness, name: str) -> None:
    statuses = health_pb2.HealthCheckResponse
    draining = False
    while True:
        ready = (await readiness.report()).ready
        for service in ("", name):
            await health.set(service, statuses.SERVING if ready else statuses.NOT_SERVING)
        if draining:
            return
        draining = await readiness.drains_within(READINESS_EVERY_S)
