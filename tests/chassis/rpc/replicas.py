"""Several servers of the probe behind one client, each told apart how it behaves."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
from envoy.service.discovery.v3 import ads_pb2_grpc

from chassis.lifecycle import Listener, Running
from chassis.mesh.memory import MemoryRegistry
from chassis.mesh.plane import Plane
from chassis.mesh.registry import Instance
from chassis.rpc import server
from chassis.rpc.channels import Channels, Client
from chassis.rpc.error_map import RemoteError, Trouble
from tests.chassis.rpc.conftest import Served
from tests.chassis.rpc.probe import Probe, a_principal, messages, wire
from tests.support.servers import free_port

LABEL = "probe.v1.ProbeService/Do"


class Replica(Probe):
    """Reads as fast as it is told, or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.pause_s = 0.0
        self.away = False

    async def _read(self, request: Any) -> str:
        await asyncio.sleep(self.pause_s)
        if self.away:
            raise RemoteError.of(Trouble.UNAVAILABLE)
        return "read"


@dataclasses.dataclass
class Replicas:
    """Some replicas of one service and a client of all of them."""

    served: Served
    replicas: list[Replica]
    running: list[Running]
    client: Client
    do: Any
    asked_before: int  # reads that the client made while it got to know them

    @property
    def executed(self) -> int:
        """How many reads the servers began."""
        return sum(replica.started["read"] for replica in self.replicas)

    async def read(self, timeout_s: float = 10.0) -> float:
        """One read; the seconds that it took."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        request = messages.DoRequest(behaviour="read")
        await self.client.call(self.do, request, principal=a_principal(), timeout_s=timeout_s)
        return loop.time() - started

    async def outcome(self, timeout_s: float = 10.0) -> float | RemoteError:
        """The seconds of one read, or why there was no answer."""
        try:
            return await self.read(timeout_s)
        except RemoteError as error:
            return error

    async def load(self, callers: int, reads: int) -> list[float | RemoteError]:
        """So many reads by so many callers, each asking again once it was answered."""
        left = reads
        found: list[float | RemoteError] = []

        async def caller() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                found.append(await self.outcome())

        await asyncio.gather(*(caller() for _ in range(callers)))
        return found

    async def stop(self, number: int) -> str:
        """End one at once; its address."""
        await self.running[number].stop(0.0)
        return self.running[number].address

    async def start(self, number: int, address: str) -> None:
        """Serve again where it served."""
        self.running[number] = await serve(self.served, self.replicas[number], Listener.parse(address))


async def serve(served: Served, replica: Replica, listener: Listener) -> Running:
    """Start one replica."""
    registration = (wire.add_ProbeServiceServicer_to_server, replica)
    return await server.start(listener, [registration], name="probe", settings=served.settings)


@asynccontextmanager
async def control_plane(running: Sequence[Running]) -> AsyncIterator[str]:
    """A control plane that tells of these servers; its address."""
    registry = MemoryRegistry()
    for one in running:
        registry.register(Instance("probe", one.address, "grpc", one.address))
    plane = Plane(registry)
    ads = grpc.aio.server()
    ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(plane, ads)
    port = ads.add_insecure_port("127.0.0.1:0")
    await ads.start()
    telling = asyncio.create_task(plane.run())
    yield f"127.0.0.1:{port}"
    telling.cancel()
    await ads.stop(0.0)
    await registry.close()


@asynccontextmanager
async def replicas(
    served: Served, count: int, *, hedged: bool = False, xds: bool = False, **changes: Any
) -> AsyncIterator[Replicas]:
    """`count` replicas, known to the client by their addresses or from a control plane; changed settings of its own."""
    made = [Replica() for _ in range(count)]
    running = [await serve(served, replica, Listener("127.0.0.1", free_port())) for replica in made]
    async with AsyncExitStack() as stack:
        target = "ipv4:" + ",".join(one.address for one in running)
        settings = dataclasses.replace(served.settings, **changes)
        if xds:
            address = await stack.enter_async_context(control_plane(running))
            settings, target = dataclasses.replace(settings, control_plane_addresses=(address,)), "xds:///probe"
        channels = Channels(settings, served.signer, {"probe": target}, hedged={LABEL} if hedged else ())
        client = channels.to("probe")
        found = Replicas(served, made, running, client, client.stub(wire.ProbeServiceStub).Do, 4 * count)
        assert all(isinstance(one, float) for one in await found.load(4, found.asked_before))
        yield found
        await channels.close()
    for one in found.running:
        await one.stop(0.0)
