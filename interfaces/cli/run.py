"""`muster run`: one part of the distributed form as a process of its own, told by its environment."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING

from chassis.lifecycle import Lifecycle, Listener, Running
from chassis.mesh.membership import join
from chassis.metrics import serve_metrics, watch_loop
from chassis.settings import Settings
from interfaces.cli.parts import PROTOCOLS, SERVICES

if TYPE_CHECKING:
    from chassis.service import DataService

Serve = Callable[[Settings, Listener], Awaitable[Running]]


def main_of(part: str) -> ModuleType:
    """The part's main module, imported only when it is wanted: a process loads what it runs. Raises KeyError."""
    if part == "identity":
        import contexts.identity.main as main
    elif part == "organization":
        import contexts.organization.main as main  # type: ignore[no-redef]
    elif part == "attendance":
        import contexts.attendance.main as main  # type: ignore[no-redef]
    elif part == "payroll":
        import contexts.payroll.main as main  # type: ignore[no-redef]
    elif part == "delivery":
        import contexts.delivery.main as main  # type: ignore[no-redef]
    elif part == "application":
        import application.app as main  # type: ignore[no-redef]
    elif part == "push":
        import interfaces.push.main as main  # type: ignore[no-redef]
    elif part == "control-plane":
        import interfaces.gateway.control_plane as main  # type: ignore[no-redef]
    elif part == "ratelimit":
        import interfaces.gateway.ratelimit as main  # type: ignore[no-redef]
    else:
        raise KeyError(part)
    return main


def serve_of(part: str) -> Serve:
    """The part's `serve`."""
    serve: Serve = main_of(part).serve
    return serve


async def migrate_part(part: str, settings: Settings) -> None:
    """Bring a data service's schema to this program's version. Raises UnsafeDatabase, Unavailable."""
    from chassis import migrations
    from chassis.database import Database
    from chassis.safety import refuse_unsafe

    service: DataService = main_of(part).SERVICE
    database = Database(settings.database_url(part), service.metadata)
    try:
        await refuse_unsafe(database, part)
        await migrations.upgrade(database, part, service.versions)
    finally:
        await database.close()


async def run_part(part: str, settings: Settings, ready: Callable[[Running], None]) -> None:
    """Serve one part until SIGTERM, then drain. `ready` hears of the address once calls are accepted."""
    listener = settings.http_listener if part == "application" else settings.listener(part)
    async with Lifecycle(grace_s=settings.grace_s) as lifecycle:
        lifecycle.handle_signals()
        if settings.metrics_listener is not None:
            await lifecycle.start(serve_metrics(settings.metrics_listener))
        lifecycle.spawn("loop watch", watch_loop)
        running = await lifecycle.start(serve_of(part)(settings, listener))
        if settings.registry_url is not None and part in PROTOCOLS:
            lifecycle.add(join(settings, running, PROTOCOLS[part]))
        ready(running)
        await lifecycle.run_until_stopped()


async def start_services(lifecycle: Lifecycle, settings: Settings, services: tuple[str, ...] = SERVICES) -> Settings:
    """Start data services in this process, side by side; the settings with their addresses filled in."""
    started = await asyncio.gather(*(serve_of(name)(settings, settings.listener(name)) for name in services))
    for running in started:
        lifecycle.add(running)
    addresses = {name: running.address for name, running in zip(services, started, strict=True)}
    return replace(settings, addresses={**settings.addresses, **addresses})
