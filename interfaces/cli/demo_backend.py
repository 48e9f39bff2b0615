"""What the demo runs on: one process with everything inside, or every part a process of its own."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from chassis.lifecycle import Listener
from chassis.settings import Settings
from interfaces.cli.embedded import embedded

USUAL_PORT = 8080
SETTLED_S = "2"  # all on one machine have one clock: facts are settled sooner than the default allows for


@dataclass(frozen=True, slots=True)
class Backend:
    """A running backend: where clients reach it, and what its operator needs.

    Invariants: `stay` returns when somebody wants it to end.
    """

    base_url: str
    settings: Settings
    description: str
    stay: Callable[[], Awaitable[None]]


@asynccontextmanager
async def one_process(data: Path, keep_up: bool) -> AsyncIterator[Backend]:
    """The embedded form. Raises FolderInUse."""
    async with embedded(Settings.embedded(data), _listener(keep_up)) as backend:

        async def stay() -> None:
            backend.lifecycle.handle_signals()
            await backend.lifecycle.run_until_stopped()

        yield Backend(backend.base_url, backend.settings, "one process, SQLite, an empty data folder", stay)


@asynccontextmanager
async def many_processes(folder: Path, keep_up: bool) -> AsyncIterator[Backend]:
    """`muster up` in a folder, and `muster down` in the end. Raises NotUp, ServerMissing, FolderInUse."""
    from interfaces.cli.up import start_in_background, stop

    os.environ.setdefault("MUSTER_SETTLE_MARGIN_S", SETTLED_S)
    try:
        up = await asyncio.to_thread(start_in_background, folder, _listener(keep_up).port, 1)
        # The operator calls identity itself, as `muster tenant create --data` does.
        addresses = {service: replicas[0] for service, replicas in up["grpc"].items()}
        parts = len(up["grpc"]) + len(up["addresses"])
        described = f"MariaDB, Redis, etcd, {parts - 1} parts, Envoy"
        settings = Settings(data_dir=Path(up["data"]), addresses=addresses)
        yield Backend(up["base_url"], settings, described, _until_signal)
    finally:
        await asyncio.to_thread(stop, folder)


async def _until_signal() -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()


def _listener(keep_up: bool) -> Listener:
    """Any free port; the usual one where people are to find it and it is free."""
    if keep_up:
        usual = Listener("127.0.0.1", USUAL_PORT)
        try:
            usual.bind().close()
            return usual
        except OSError:
            pass
    return Listener("127.0.0.1", 0)
