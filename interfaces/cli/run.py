"""`muster run`: one part of the distributed form as a process of its own, told by its environment."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from chassis.lifecycle import Lifecycle, Listener, Running
from chassis.settings import Settings

Serve = Callable[[Settings, Listener], Awaitable[Running]]

SERVICES = ("identity", "organization", "attendance", "payroll")
PARTS = (*SERVICES, "application")


def serve_of(part: str) -> Serve:
    """The part's `serve`, imported only when it is wanted: a process loads what it runs. Raises KeyError."""
    if part == "identity":
        from contexts.identity.main import serve as identity

        return identity
    if part == "organization":
        from contexts.organization.main import serve as organization

        return organization
    if part == "attendance":
        from contexts.attendance.main import serve as attendance

        return attendance
    if part == "payroll":
        from contexts.payroll.main import serve as payroll

        return payroll
    if part == "application":
        from application.app import serve as application

        return application
    raise KeyError(part)


async def run_part(part: str, settings: Settings, ready: Callable[[Running], None]) -> None:
    """Serve one part until SIGTERM, then drain. `ready` hears of the address once calls are accepted."""
    listener = settings.http_listener if part == "application" else settings.listener(part)
    async with Lifecycle(grace_s=settings.grace_s) as lifecycle:
        lifecycle.handle_signals()
        ready(await lifecycle.start(serve_of(part)(settings, listener)))
        await lifecycle.run_until_stopped()


async def start_services(lifecycle: Lifecycle, settings: Settings, services: tuple[str, ...] = SERVICES) -> Settings:
    """Start data services in this process, side by side; the settings with their addresses filled in."""
    started = await asyncio.gather(*(serve_of(name)(settings, settings.listener(name)) for name in services))
    for running in started:
        lifecycle.add(running)
    addresses = {name: running.address for name, running in zip(services, started, strict=True)}
    return replace(settings, addresses={**settings.addresses, **addresses})
