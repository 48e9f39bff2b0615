"""The mesh as processes with a client under load, and what happens to its calls while parts of it die."""

import asyncio
import contextlib
import json
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import grpc
from google.protobuf.wrappers_pb2 import StringValue

from chassis.assertion import Signer, prepare_keys
from chassis.mesh.clients import prepare_xds
from chassis.mesh.registry import TTL_S, Instance, open_registry
from chassis.principal import Principal
from chassis.rpc.channels import Channels
from chassis.rpc.error_map import RemoteError, remote_error
from chassis.settings import Settings
from kernel.ids import TenantId
from tests.support.deployment import Part
from tests.support.mesh import addresses, watching
from tests.support.servers import PrivateEtcd, free_port
from tests.support.stand_in import METHOD

if TYPE_CHECKING:
    Where = grpc.aio.UnaryUnaryMultiCallable[StringValue, StringValue]

WORKERS = 16  # of whom some are always at every replica
LONGEST_PAUSE_S = 0.005
BEFORE_S = 0.3
AFTER_S = 1.0
STARTED_S = 60.0
DEADLINE_S = 10.0
AWAY_S = TTL_S + 1.0
FROZEN_S = 5.5


@dataclass
class Outcome:
    """What the callers saw."""

    calls: int = 0
    failures: list[str] = field(default_factory=list)
    worst_s: float = 0.0
    answered: dict[int, float] = field(default_factory=dict)  # when each port answered last
    first: dict[int, float] = field(default_factory=dict)  # and first

    @property
    def failed(self) -> int:
        """How many calls failed."""
        return len(self.failures)

    def note(self, port: int, now: float) -> None:
        """An answer."""
        self.first.setdefault(port, now)
        self.answered[port] = now


class Mesh:
    """One etcd, control planes and replicas as processes; callers with the product's channels.

    Invariants: everything ends with the context.
    """

    def __init__(self, *, control_planes: int = 1) -> None:
        self.etcd = PrivateEtcd()
        self.replicas: dict[int, Part] = {}
        self.planes: list[Part] = []
        self._folder = tempfile.TemporaryDirectory(prefix="muster-mesh-")
        self._plane_ports = [free_port() for _ in range(control_planes)]
        self._callers: list[Caller] = []

    async def __aenter__(self) -> "Mesh":
        try:
            await asyncio.to_thread(self.etcd.__enter__)
            for port in self._plane_ports:
                self.planes.append(self._plane(port))
            for plane in self.planes:
                plane.start()
            prepare_keys(self.settings)
            for plane in self.planes:
                await self.said(plane, '"ready"')
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End all."""
        for caller in self._callers:
            await caller.close()
        for part in (*self.replicas.values(), *self.planes):
            part.kill()
        await asyncio.to_thread(self.etcd.close)
        self._folder.cleanup()

    @property
    def settings(self) -> Settings:
        """Those of a client."""
        return Settings(
            data_dir=Path(self._folder.name) / "data",
            control_plane_addresses=self.control_plane_addresses,
            request_deadline_s=DEADLINE_S,
        )

    def caller(self) -> "Caller":
        """A client as the parts have it."""
        caller = Caller(Channels(self.settings, Signer.open(self.settings)))
        self._callers.append(caller)
        return caller

    def careless(self, *options: tuple[str, Any]) -> "Careless":
        """A client of bare gRPC, which tries again only if an option says so."""
        prepare_xds(self.settings)
        caller = Careless(Channels(self.settings, Signer.open(self.settings)), options)
        self._callers.append(caller)
        return caller

    @property
    def registry_url(self) -> str:
        """Where the parts register."""
        return f"etcd://127.0.0.1:{self.etcd.port}"

    @property
    def control_plane_addresses(self) -> tuple[str, ...]:
        """Where the control planes are."""
        return tuple(f"127.0.0.1:{port}" for port in self._plane_ports)

    def _plane(self, port: int) -> Part:
        environment = {"MUSTER_REGISTRY_URL": self.registry_url}
        command = [sys.executable, "-m", "tests.support.stand_in", "control-plane", str(port)]
        return Part(f"control-plane-{port}", command, environment, Path(self._folder.name) / f"plane-{port}.log")

    async def replica(self, service: str = "orders", port: int | None = None) -> tuple[int, float]:
        """A new replica; its port, and when (time.monotonic) it was ready."""
        port = port or free_port()
        command = [sys.executable, "-m", "tests.support.stand_in", service, str(port)]
        environment = {"MUSTER_REGISTRY_URL": self.registry_url}
        part = Part(f"{service}-{port}", command, environment, Path(self._folder.name) / f"{port}.log")
        self.replicas[port] = part
        return port, await self.start(part)

    async def start(self, part: Part) -> float:
        """Start what ended; when it was ready."""
        part.log.unlink(missing_ok=True)
        part.start()
        line = await self.said(part, '"ready"')
        return float(json.loads(line)["ready"])

    def any_replica(self, service: str = "orders") -> Part:
        """One of those that run."""
        return next(part for part in self.replicas.values() if part.name.startswith(service) and part.process)

    async def mend(self) -> None:
        """Start what ended, and wait until every replica is in the list again and the clients are told of changes."""
        ended = [plane for plane in self.planes if plane.process is None]
        for plane in ended:
            await self.start(plane)
        for part in self.replicas.values():
            if part.process is None:
                await self.start(part)
        names = [name.rpartition("-") for name in (part.name for part in self.replicas.values())]
        expected = {service: sorted(int(port) for s, _, port in names if s == service) for service, _, _ in names}
        registry = open_registry(self.registry_url)
        async with watching(registry) as watch:
            await watch.until(
                lambda services: all(addresses(services, name) == ports for name, ports in expected.items()), STARTED_S
            )
        if ended and self._callers:
            # gRPC comes back to a control plane in its own time, all callers of this process with one stream.
            port, name = next(iter(self.replicas)), f"canary-{secrets.token_hex(4)}"
            registry.register(Instance(name, f"127.0.0.1:{port}", "grpc", name))
            await self._callers[-1].serves(port, service=name)
            await registry.close()

    async def said(self, part: Part, word: str) -> str:
        """The line of its log that holds the word. Raises TimeoutError with the log."""
        until = time.monotonic() + STARTED_S
        while time.monotonic() < until:
            for line in part.said(100_000).splitlines():
                if word in line and line.startswith("{"):
                    return line
            if part.process is not None and part.process.poll() is not None:
                break
            await asyncio.sleep(0.02)
        raise TimeoutError(f"{part.name} never said {word}:\n{part.said()}")


class Caller:
    """A client under load."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        self._stubs: dict[str, Where] = {}
        self._principal = Principal(TenantId(uuid4()), "process:test", frozenset({"auditor"}))

    async def close(self) -> None:
        """Close its channels."""
        await self._channels.close()

    async def call(self, service: str = "orders", say: str = "x") -> int:
        """One call; the port that answered. Raises RemoteError."""
        client = self._channels.to(service)
        if service not in self._stubs:
            self._stubs[service] = client.stub(where_of)
        answer = await client.call(self._stubs[service], StringValue(value=say), principal=self._principal)
        return int(answer.value.rpartition(":")[2])

    async def serves(self, *ports: int, service: str = "orders", within_s: float = STARTED_S) -> None:
        """Wait until exactly these replicas answer. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while True:
                seen = set()
                with contextlib.suppress(RemoteError):
                    for _ in range(2 * len(ports) + 2):
                        seen.add(await self.call(service))
                if seen == set(ports):
                    return
                await asyncio.sleep(0.05)

    @asynccontextmanager
    async def load(self, service: str = "orders") -> AsyncIterator[Outcome]:
        """Callers for the time of the block; calls that began in it are waited for."""
        outcome, done = Outcome(), asyncio.Event()

        async def worker() -> None:
            while not done.is_set():
                started = time.monotonic()
                try:
                    port = await self.call(service)
                except RemoteError as error:
                    outcome.failures.append(f"{error.reason}: {error}")
                else:
                    outcome.note(port, time.monotonic())
                outcome.calls += 1
                outcome.worst_s = max(outcome.worst_s, time.monotonic() - started)
                await asyncio.sleep(random.uniform(0.0, LONGEST_PAUSE_S))

        workers = [asyncio.create_task(worker()) for _ in range(WORKERS)]
        try:
            await asyncio.sleep(BEFORE_S)
            yield outcome
            await asyncio.sleep(AFTER_S)
        finally:
            done.set()
            await asyncio.gather(*workers)


class Careless(Caller):
    """The planted bug: a client without what our channels and clients add to gRPC.

    Invariants: `options` are all that its channel has.
    """

    def __init__(self, channels: Channels, options: Sequence[tuple[str, Any]]) -> None:
        super().__init__(channels)
        self._options = [*options, ("grpc.use_local_subchannel_pool", 1)]
        self._bare: grpc.aio.Channel | None = None

    async def close(self) -> None:
        """Close its channel."""
        if self._bare is not None:
            await self._bare.close()
        await super().close()

    async def call(self, service: str = "orders", say: str = "x") -> int:
        """One call of `orders`, with a deadline and nothing else."""
        if self._bare is None:
            self._bare = grpc.aio.insecure_channel(f"xds:///{service}", options=self._options)
        try:
            answer = await where_of(self._bare)(StringValue(value=say), timeout=DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            raise remote_error(error) from error
        return int(answer.value.rpartition(":")[2])


def where_of(channel: grpc.aio.Channel) -> "Where":
    """The one method of a stand-in."""
    return channel.unary_unary(
        METHOD, request_serializer=StringValue.SerializeToString, response_deserializer=StringValue.FromString
    )


async def measured(mesh: Mesh, act: "Act", *callers: Caller) -> list[Outcome]:
    """What each of the callers saw while something happened to the mesh, which is whole again afterwards."""
    async with AsyncExitStack() as stack:
        outcomes = [await stack.enter_async_context(caller.load()) for caller in callers]
        await act(mesh)
    await mesh.mend()
    return outcomes


Act = Callable[[Mesh], Awaitable[None]]


async def replica_killed(mesh: Mesh) -> None:
    """kill -9, in the middle of calls."""
    mesh.any_replica().kill()


async def replica_restarted(mesh: Mesh) -> None:
    """kill -9, and the same address again before the lease of the first ended."""
    replica = mesh.any_replica()
    replica.kill()
    await mesh.start(replica)


async def replica_drained(mesh: Mesh) -> None:
    """SIGTERM."""
    await asyncio.to_thread(mesh.any_replica().terminate)


async def replica_frozen(mesh: Mesh) -> None:
    """SIGSTOP for longer than its lease."""
    replica = mesh.any_replica()
    replica.freeze()
    await asyncio.sleep(FROZEN_S)
    replica.thaw()


async def control_planes_killed(mesh: Mesh) -> None:
    """kill -9 of all, then of a replica that nobody can tell the clients of."""
    for plane in mesh.planes:
        plane.kill()
    await replica_killed(mesh)


async def etcd_killed(mesh: Mesh) -> None:
    """kill -9, and back after all leases ended."""
    mesh.etcd.kill()
    await asyncio.sleep(AWAY_S)
    await asyncio.to_thread(mesh.etcd.start)


async def etcd_emptied(mesh: Mesh) -> None:
    """kill -9, and back with nothing in it."""
    mesh.etcd.kill()
    shutil.rmtree(mesh.etcd.folder / "data")
    await asyncio.to_thread(mesh.etcd.start)
    await asyncio.sleep(AFTER_S)


async def etcd_frozen(mesh: Mesh) -> None:
    """SIGSTOP, as if the network were cut, for longer than the leases."""
    mesh.etcd.sigstop()
    await asyncio.sleep(AWAY_S)
    mesh.etcd.sigcont()
    await asyncio.sleep(AFTER_S)


SCENARIOS: Mapping[str, Act] = {
    "a replica is killed": replica_killed,
    "a replica restarts within its lease": replica_restarted,
    "a replica drains": replica_drained,
    "a replica is frozen": replica_frozen,
    "all control planes are killed, then a replica": control_planes_killed,
    "etcd is killed for longer than the leases": etcd_killed,
    "etcd is emptied": etcd_emptied,
    "etcd is frozen for longer than the leases": etcd_frozen,
}
