"""An application that drains behind a gateway, and a gateway that drains."""

import asyncio
import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from application.edge import health
from chassis.health import Readiness
from chassis.lifecycle import Listener, Running, serve_http
from chassis.mesh.membership import join
from chassis.settings import Settings
from interfaces.cli.supervisor import Program, Supervisor
from interfaces.gateway.envoy import CLOSING_S, SHARED_MEMORY, drain_envoy
from tests.support.gateway import Mesh, mesh, started, until
from tests.support.servers import PrivateEnvoy, free_port

WORK_S = 0.02
CALLERS = 6
GRACE_S = 5.0
READY_S = 60.0
PATH = "/livez"  # one that needs no token
RETRIES = "cluster.application.upstream_rq_retry"
HEALTHY = "cluster.application.membership_healthy"


@dataclass
class Replica:
    """An application of this process, and its place in the mesh."""

    running: Running
    place: Running


async def a_replica(made: Mesh) -> Replica:
    readiness = Readiness()

    async def alive(request: Request) -> PlainTextResponse:
        await asyncio.sleep(WORK_S)
        return PlainTextResponse("alive")

    app = Starlette(routes=[Route(PATH, alive), *health.routes(readiness)])
    served = await serve_http(app, Listener(), made.settings, name="application", lifespan=False)
    running = Running(served.name, served.address, served.stop, readiness)
    return Replica(running, join(made.settings, running, "http"))


@asynccontextmanager
async def callers(url: str) -> AsyncIterator[list[int]]:
    """Clients for the time of the block and a little more; the statuses that they got."""
    statuses: list[int] = []
    done = asyncio.Event()

    async def one(http: httpx.AsyncClient) -> None:
        while not done.is_set():
            statuses.append((await http.get(PATH)).status_code)

    async with httpx.AsyncClient(base_url=url, timeout=20.0) as http:
        working = [asyncio.create_task(one(http)) for _ in range(CALLERS)]
        await asyncio.sleep(0.5)
        yield statuses
        await asyncio.sleep(1.0)
        done.set()
        await asyncio.gather(*working)


async def healthy(envoy: PrivateEnvoy, replicas: int) -> None:
    async def counted() -> bool:
        return await asyncio.to_thread(envoy.counter, HEALTHY) == replicas

    await until(counted)


@pytest.mark.second_process
async def test_no_request_needs_a_second_try_because_an_application_drains(tmp_path: Path) -> None:
    async with mesh(tmp_path, Settings(data_dir=tmp_path / "data")) as made:
        stays, drains, vanishes = [await a_replica(made) for _ in range(3)]
        envoy = await started(made.envoy())
        try:
            await healthy(envoy, 3)

            async with callers(envoy.url) as statuses:
                began = time.monotonic()
                await drains.place.stop(5.0)
                await drains.running.stop(5.0)
                taken_s = time.monotonic() - began
            drained = await asyncio.to_thread(envoy.counter, RETRIES)
            async with callers(envoy.url) as others:
                await vanishes.running.stop(0.0)  # the planted bug: without a word before
            vanished = await asyncio.to_thread(envoy.counter, RETRIES) - drained
        finally:
            envoy.close()
            for replica in (stays, vanishes):
                await replica.place.stop(0.0)
            await stays.running.stop(0.0)

    assert set(statuses) == {200}
    assert drained == 0
    assert taken_s < 5.0
    assert set(others) == {200}  # a read is tried again
    assert vanished > 0


@pytest.mark.second_process
async def test_who_was_let_in_may_ask_a_moment_after_the_gateway_closed_its_doors(tmp_path: Path) -> None:
    async with mesh(tmp_path, Settings(data_dir=tmp_path / "data")) as made:
        replica = await a_replica(made)
        envoy = await started(made.envoy())
        try:
            await healthy(envoy, 1)
            reader, writer = await asyncio.open_connection("127.0.0.1", envoy.port)

            admin = envoy.admin_url.removeprefix("http://")
            draining = asyncio.create_task(asyncio.to_thread(drain_envoy, admin, envoy.port, tmp_path))
            await asyncio.sleep(CLOSING_S + 0.4)
            in_time = not draining.done()
            writer.write(f"GET {PATH} HTTP/1.1\r\nHost: muster\r\n\r\n".encode())
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20.0)
            await draining
            writer.close()
        finally:
            envoy.close()
            await replica.place.stop(0.0)
            await replica.running.stop(0.0)

    assert in_time
    assert head.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in head.lower()


@dataclass
class Gateway:
    """A gateway as `muster up` keeps it."""

    url: str
    port: int
    kept: Supervisor

    async def restart(self) -> None:
        assert await self.kept.restart(["gateway"], GRACE_S, READY_S) == []


def a_gateway(made: Mesh, epoch: str) -> Gateway:
    port, admin, data = free_port(), f"127.0.0.1:{free_port()}", made.folder / "data"
    environment = {
        **os.environ,
        "MUSTER_DATA_DIR": str(data),
        "MUSTER_CONTROL_PLANE_ADDRESS": made.address,
        "MUSTER_REQUEST_DEADLINE_S": "0.5",  # what a gateway that hands over waits for, and some 2 s
        "MUSTER_GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "MUSTER_GATEWAY_ADMIN_LISTEN": admin,
    }
    url = f"http://127.0.0.1:{port}"

    def answers(pid: int) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(url + PATH).status_code == 200
        return False

    command = [sys.executable, "-m", "interfaces.cli.main", "run", "gateway"]
    drain = partial(drain_envoy, admin, port, data)
    one = Program("gateway", command, environment, made.folder, made.folder / "log", answers, drain=drain, epoch=epoch)
    return Gateway(url, port, Supervisor([one]))


async def newcomers(url: str, done: asyncio.Event) -> Counter[str]:
    """Clients that connect anew for each request; how often each answer, or each kind of failure, came."""
    found: Counter[str] = Counter()

    async def one() -> None:
        while not done.is_set():
            async with httpx.AsyncClient(base_url=url, timeout=20.0) as http:
                try:
                    found[str((await http.get(PATH)).status_code)] += 1
                except httpx.HTTPError as error:
                    found[type(error).__name__] += 1
            await asyncio.sleep(0.01)

    await asyncio.gather(*(one() for _ in range(CALLERS)))
    return found


@pytest.mark.second_process
@pytest.mark.parametrize(
    ("epoch", "restarts"), [("MUSTER_GATEWAY_EPOCH", 2), ("", 1)], ids=["in a line", "the planted bug: each anew"]
)
async def test_a_gateway_is_restarted_and_refuses_nobody_who_comes_meanwhile(
    tmp_path: Path, epoch: str, restarts: int
) -> None:
    async with mesh(tmp_path, Settings(data_dir=tmp_path / "data")) as made:
        replica, gateway, done = await a_replica(made), a_gateway(made, epoch), asyncio.Event()
        try:
            gateway.kept.start(["gateway"])
            assert await gateway.kept.until_ready(["gateway"], READY_S) == []
            coming = asyncio.create_task(newcomers(gateway.url, done))
            before = gateway.kept.pids

            for _ in range(restarts):
                await gateway.restart()

            done.set()
            found, after = await coming, gateway.kept.pids
        finally:
            done.set()
            await gateway.kept.drain(GRACE_S)
            await replica.place.stop(0.0)
            await replica.running.stop(0.0)

    assert before != after
    assert gateway.kept.starts == {"gateway": 1 + restarts}
    assert found["200"] > CALLERS
    assert set(found) == {"200"} if epoch else "ConnectError" in found  # one ends before one begins
    assert not (SHARED_MEMORY / f"envoy_shared_memory_{gateway.port * 10}").exists()
    assert not list((tmp_path / "data").glob("*_parent_*"))
