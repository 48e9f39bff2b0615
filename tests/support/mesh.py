"""What the tests of the mesh look at a registry with, and the stand-in services that they call."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import grpc
from aetcd import rpc

from chassis.mesh.etcd import PREFIX, PREFIX_END
from chassis.mesh.registry import Instance, Registry, Services, Wire
from tests.support.servers import PrivateEtcd

GENEROUS_S = 20.0


def an_instance(
    service: str = "orders", port: int = 5001, *, wire: Wire = "grpc", instance_id: str = "one"
) -> Instance:
    """One that listens on this host."""
    return Instance(service, f"127.0.0.1:{port}", wire, instance_id)


def addresses(services: Services, service: str = "orders") -> list[int]:
    """The ports of a service."""
    return [instance.port for instance in services.get(service, ())]


async def delete_everything(server: PrivateEtcd) -> None:
    """What `etcdctl del --prefix /muster/services/` does."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        await rpc.KVStub(channel).DeleteRange(rpc.DeleteRangeRequest(key=PREFIX, range_end=PREFIX_END), timeout=5.0)


async def put(server: PrivateEtcd, key: str, value: bytes) -> None:
    """A key that somebody wrote by hand."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        await rpc.KVStub(channel).Put(rpc.PutRequest(key=PREFIX + key.encode(), value=value), timeout=5.0)


class Watching:
    """Everything that a watch of a registry told, in order."""

    def __init__(self) -> None:
        self.told: list[Services] = []
        self._news = asyncio.Event()

    async def run(self, registry: Registry) -> None:
        """Listen until cancelled."""
        async for services in registry.watch():
            self.told.append(services)
            self._news.set()

    async def until(self, holds: Callable[[Services], bool], within_s: float = GENEROUS_S) -> None:
        """Wait for a state. Raises AssertionError with what was told instead."""
        try:
            async with asyncio.timeout(within_s):
                while not self.told or not holds(self.told[-1]):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"told: {[{k: len(v) for k, v in one.items()} for one in self.told]}") from None

    async def shows(self, *ports: int, service: str = "orders", within_s: float = GENEROUS_S) -> None:
        """Wait until the service has exactly these ports."""
        await self.until(lambda services: addresses(services, service) == sorted(ports), within_s)

    def fewest(self, service: str = "orders") -> int:
        """The smallest number of instances that was told since the first one was there."""
        counts = [len(addresses(services, service)) for services in self.told]
        while counts and counts[0] == 0:
            counts.pop(0)
        return min(counts, default=0)


@asynccontextmanager
async def watching(registry: Registry) -> AsyncIterator[Watching]:
    """A watch for the time of the block."""
    watched = Watching()
    task = asyncio.create_task(watched.run(registry))
    try:
        yield watched
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
