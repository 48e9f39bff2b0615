"""One part's place in the mesh: it registers once it is ready, and says so first when it goes."""

import asyncio
import os
import secrets
import socket
from collections.abc import Sequence

import structlog

from chassis.lifecycle import Listener, Running
from chassis.mesh.registry import Instance, Registration, Wire, open_registry
from chassis.settings import Settings, SettingsProblem

log = structlog.get_logger(__name__)

READY_EVERY_S = 0.1
PAUSE_S = 0.5
"""What clients and Envoy get to hear that an instance goes, before it stops to accept."""


def join(settings: Settings, running: Running, protocol: Wire, prefixes: Sequence[str] = ()) -> Running:
    """Register a part that runs, as soon as its readiness says so. To be stopped before the part itself.

    Stopping deregisters, lets health checks fail, and waits PAUSE_S. Raises SettingsProblem where nobody could reach
    the part's address.
    """
    if settings.registry_url is None:
        raise SettingsProblem(["MUSTER_REGISTRY_URL is missing: write etcd://host:port or file:///folder"])
    instance = Instance(running.name, _advertised(settings, running), protocol, _instance_id(), tuple(prefixes))
    registry = open_registry(settings.registry_url)
    registered: list[Registration] = []

    async def register() -> None:
        readiness = running.readiness
        while readiness is not None and not (await readiness.report()).ready:
            if await readiness.drains_within(READY_EVERY_S):
                return
        registered.append(registry.register(instance))

    registering = asyncio.create_task(register(), name="registering")

    async def stop(grace_s: float) -> None:
        registering.cancel()
        await registry.close()
        if running.readiness is not None:
            running.readiness.drain()
        if registered:
            registered.clear()
            await asyncio.sleep(min(PAUSE_S, grace_s))

    return Running(f"registration of {running.name}", instance.address, stop)


def _advertised(settings: Settings, running: Running) -> str:
    listener = Listener.parse(running.address)
    host = settings.advertise_host or listener.host
    if listener.path or host in ("0.0.0.0", "::"):
        raise SettingsProblem(
            [
                f"{running.name} listens on {running.address}, which others cannot reach: "
                "MUSTER_ADVERTISE_HOST says under which host it registers"
                if not listener.path
                else f"{running.name} listens on a unix socket, which others cannot reach: write host:port"
            ]
        )
    return Listener(host, listener.port).target


def _instance_id() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
