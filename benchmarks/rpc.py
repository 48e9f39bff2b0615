"""Inner calls: our client and server round a method that answers at once, against grpc.aio alone."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from uuid import UUID

import grpc
from muster.identity.v1 import tenant_pb2, tenant_pb2_grpc

from benchmarks.figure import Figure, at_least
from benchmarks.floors.rpc import NAME
from benchmarks.processes import cpu_s, python
from chassis.assertion import Signer, prepare_keys
from chassis.principal import Principal
from chassis.rpc.channels import Channels
from chassis.settings import Settings
from kernel.ids import TenantId
from tests.support.servers import free_port

CALLERS, SECONDS, ROUNDS = 32, 3.0, 5
STARTED_S = 60.0
AT_LEAST = 0.5

Call = Callable[[], Awaitable[object]]


async def calls(*, small: bool = False) -> AsyncIterator[Figure]:
    """Calls per second by 32 callers over one channel, and the CPU of a call on both ends together."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        settings = Settings(data_dir=folder / "data")
        prepare_keys(settings)
        ports = {mode: free_port() for mode in ("bare", "ours")}
        pids = {
            mode: stack.enter_context(python("-m", "benchmarks.floors.rpc", mode, str(port), name)).pid
            for mode, port in ports.items()
        }
        for port in ports.values():
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as started:
                await asyncio.wait_for(started.channel_ready(), STARTED_S)
        request = tenant_pb2.GetTenantRequest()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{ports['bare']}")
        bare = tenant_pb2_grpc.TenantServiceStub(channel).GetTenant
        channels = Channels(settings, Signer.open(settings), {NAME: f"127.0.0.1:{ports['ours']}"})
        client = channels.to(NAME)
        ours = client.stub(tenant_pb2_grpc.TenantServiceStub).GetTenant
        amy = Principal(TenantId(UUID(int=1)), "amy", frozenset({"hr_admin"}))

        rates: dict[str, list[float]] = {"bare": [], "ours": []}
        costs: dict[str, list[float]] = {"bare": [], "ours": []}
        for _ in range(1 if small else ROUNDS):
            for mode, call in (
                ("bare", lambda: bare(request)),
                ("ours", lambda: client.call(ours, request, principal=amy)),
            ):
                rate, cost = await _measured(call, pids[mode], 0.5 if small else SECONDS)
                rates[mode].append(rate)
                costs[mode].append(cost)
        await channels.close()
        await channel.close()
    rate, floor = median(rates["ours"]), median(rates["bare"])
    yield at_least("inner calls over one channel", rate, "calls/s", floor=floor, ratio=AT_LEAST)
    yield Figure("CPU of an inner call, both ends", median(costs["ours"]), "us", median(costs["bare"]))


async def _measured(call: Call, pid: int, seconds: float) -> tuple[float, float]:
    """Calls per second, and microseconds of CPU per call."""
    done = 0
    started, cpu = time.perf_counter(), time.process_time() + cpu_s([pid])

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() - started < seconds:
            await call()
            done += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    took, cpu = time.perf_counter() - started, time.process_time() + cpu_s([pid]) - cpu
    return done / took, cpu / done * 1_000_000
