"""The embedded form: every part in one process, SQLite files in one folder that one process holds."""

import fcntl
import os
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from chassis.assertion import prepare_keys
from chassis.keyring import FileKeyring
from chassis.lifecycle import Lifecycle, Listener, Running
from chassis.settings import Settings
from interfaces.cli.run import main_of, start_services

STATE_FILE = "running.json"


class FolderInUse(Exception):
    """Another process works in this data folder."""


@contextmanager
def held(data_dir: Path) -> Iterator[None]:
    """Hold the data folder alone. Raises FolderInUse with the other process's number."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with open(data_dir / "lock", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise FolderInUse(
                f"{data_dir} is in use by process {file.read(20).strip() or 'unknown'}: stop it, or choose another "
                "folder with --data"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def prepare_secrets(settings: Settings) -> None:
    """Make the keyring and the keys of inner assertions where they are missing; those that exist stay."""
    FileKeyring.open_or_create(settings.keyring)
    prepare_keys(settings)


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
            settings = await start_services(lifecycle, settings)
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


def addresses_of_running(data_dir: Path) -> dict[str, str]:
    """The gRPC addresses of the backend that works in this folder now; empty where none does."""
    try:
        state = orjson.loads((data_dir / STATE_FILE).read_bytes())
        os.kill(state["pid"], 0)
    except (OSError, ValueError):
        return {}
    return dict(state["addresses"])
