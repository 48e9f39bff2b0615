"""The embedded form: every part in one process, SQLite files in one folder that one process holds."""

import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import orjson

from chassis.lifecycle import Lifecycle, Listener, Running
from chassis.settings import Settings
from interfaces.cli.data_folder import STATE_FILE, held, prepare_secrets
from interfaces.cli.run import main_of, start_services


@dataclass(frozen=True, slots=True)
class Embedded:
    """A running backend: where clients reach it, and its services' gRPC addresses."""

    base_url: str
    settings: Settings
    lifecycle: Lifecycle


@asynccontextmanager
async def embedded(settings: Settings, listener: Listener | None = None) -> AsyncIterator[Embedded]:
    """The whole backend in this process, until the block ends. Raises FolderInUse, OSError for a port taken."""
    with held(settings.data_dir):
        prepare_secrets(settings)
        async with Lifecycle(grace_s=settings.grace_s) as lifecycle:
            # One replica of each: a second copy of a read would only cost. No gateway is in front, so the application
            # counts by the gateway's table itself.
            settings = await start_services(lifecycle, replace(settings, in_process=True))
            settings = replace(settings, hedging=False, rates_at_edge=settings.rates_at_edge is not False)
            edge = await lifecycle.start(_edge(settings, listener or settings.http_listener))
            state = settings.data_dir / STATE_FILE
            state.write_bytes(
                orjson.dumps({"pid": os.getpid(), "http": edge.address, "addresses": dict(settings.addresses)})
            )
            try:
                yield Embedded(f"http://{edge.address}", settings, lifecycle)
            finally:
                state.unlink(missing_ok=True)


def _edge(settings: Settings, listener: Listener) -> Awaitable[Running]:
    """The application, with the push hub before it."""
    from interfaces.push.main import Push

    edge: Awaitable[Running] = main_of("application").serve(settings, listener, Push)
    return edge
