"""The registry of one host: a folder with a file per instance, whose age says whether the instance lives."""

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote, unquote

import structlog

from chassis.mesh.registry import (
    GRACE_S,
    MOST_INSTANCES,
    REGISTERED,
    TTL_S,
    Belief,
    Instance,
    Kept,
    Registration,
    Services,
    believing,
)

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.2
SWEEP_AFTER_TTLS = 20  # what stopped to matter long ago is deleted by whoever registers next
SUFFIX = ".json"


class FileRegistry:
    """Instances as files `folder/service@host:port.json` that a heartbeat touches.

    Invariants: those of `Registry`; a file appears whole or not at all (rename); one whose heartbeat is older than
    `ttl_s` does not count. All processes are on one host: ages are told by its clock.
    """

    def __init__(self, folder: Path, *, ttl_s: float = TTL_S, grace_s: float = GRACE_S) -> None:
        self._folder = folder
        self._ttl_s = ttl_s
        self._grace_s = grace_s
        self._kept: list[Kept] = []

    def register(self, instance: Instance) -> Registration:
        """Visible within a look of the watchers (0.2 s)."""

        async def farewell() -> None:
            self._write(instance.farewell())

        kept = Kept(self._keep(instance), farewell)
        self._kept.append(kept)
        return kept

    def watch(self) -> AsyncIterator[Services]:
        """Who is there, and each change."""
        return believing(self._follow, self._grace_s)

    async def close(self) -> None:
        """Everybody who was registered here leaves."""
        for kept in self._kept:
            await kept.close()

    async def _keep(self, instance: Instance) -> None:
        told, registered = False, REGISTERED.labels(instance.service)
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self._sweep)
        while True:
            try:
                # A heartbeat is a whole write: it brings back what somebody deleted, and takes an address over.
                # Not in a thread, which could write once more after the farewell.
                self._write(instance)
                told = False
                registered.set(1)
            except OSError as error:
                registered.set(0)
                if not told:
                    log.warning("cannot register in this folder", folder=str(self._folder), error=error.strerror)
                told = True
            await asyncio.sleep(self._ttl_s / 3)

    async def _follow(self, belief: Belief) -> None:
        while True:
            try:
                belief.seen(await asyncio.to_thread(self._read))
            except OSError:  # no folder yet, or none any more
                belief.lost_contact()
            await asyncio.sleep(LOOK_EVERY_S)

    def _path(self, instance: Instance) -> Path:
        return self._folder / f"{instance.service}@{quote(instance.address, safe='')}{SUFFIX}"

    def _write(self, instance: Instance) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        fresh = self._folder / f".{secrets.token_hex(8)}"
        try:
            fresh.write_bytes(instance.encoded())
            os.replace(fresh, self._path(instance))
        finally:
            fresh.unlink(missing_ok=True)

    def _read(self) -> list[Instance]:
        oldest = time.time() - self._ttl_s
        found: list[Instance] = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                service, at, address = entry.name.removesuffix(SUFFIX).partition("@")
                if not at or not entry.name.endswith(SUFFIX) or len(found) >= MOST_INSTANCES:
                    continue
                try:
                    if entry.stat().st_mtime >= oldest:
                        value = Path(entry.path).read_bytes()
                        found.append(Instance.decoded(service, unquote(address), value))
                except FileNotFoundError:
                    continue
                except ValueError as error:
                    log.warning(
                        "an entry of the registry cannot be read", entry=entry.name[:300], error=str(error)[:200]
                    )
        return found

    def _sweep(self) -> None:
        oldest = time.time() - self._ttl_s * SWEEP_AFTER_TTLS
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if entry.stat().st_mtime < oldest and (entry.name.endswith(SUFFIX) or entry.name.startswith(".")):
                        os.unlink(entry.path)
