"""A part's place in the mesh: from when it is ready to its last word."""

import asyncio
from pathlib import Path

import grpc
import pytest

from chassis.health import NotReady, Readiness
from chassis.lifecycle import AddressTaken, Listener, Running
from chassis.mesh import control_plane
from chassis.mesh.membership import PAUSE_S, join
from chassis.mesh.registry import open_registry
from chassis.mesh.resources import no_routes
from chassis.settings import Settings, SettingsProblem
from tests.support.mesh import watching
from tests.support.servers import free_port


async def nothing(grace_s: float) -> None:
    """A part that has nothing to stop."""


def settings(folder: Path, **changes: str) -> Settings:
    return Settings(registry_url=f"file://{folder}/registry", **changes)  # type: ignore[arg-type]


async def test_a_part_is_found_once_it_is_ready_and_no_longer_before_it_drains(tmp_path: Path) -> None:
    ready, readiness = asyncio.Event(), Readiness()

    async def check() -> None:
        if not ready.is_set():
            raise NotReady("not yet")

    readiness.add("check", check, every_s=0.05)
    async with watching(open_registry(f"file://{tmp_path}/registry")) as watch:
        place = join(settings(tmp_path), Running("orders", "127.0.0.1:5001", nothing, readiness), "grpc")
        await asyncio.sleep(0.5)
        before = list(watch.told)
        ready.set()
        await watch.shows(5001)

        began = asyncio.get_running_loop().time()
        stopping = asyncio.ensure_future(place.stop(5.0))
        await watch.shows()
        report = await readiness.report()
        await stopping

    assert all("orders" not in services for services in before)
    assert not report.ready
    assert asyncio.get_running_loop().time() - began >= PAUSE_S


async def test_a_part_that_never_was_ready_is_stopped_without_a_pause(tmp_path: Path) -> None:
    readiness = Readiness()

    async def check() -> None:
        raise NotReady("never")

    readiness.add("check", check)
    place = join(settings(tmp_path), Running("orders", "127.0.0.1:5001", nothing, readiness), "grpc")
    await asyncio.sleep(0.2)

    await asyncio.wait_for(place.stop(60.0), PAUSE_S)

    assert not (tmp_path / "registry").exists()


async def test_a_part_registers_under_the_host_that_others_reach(tmp_path: Path) -> None:
    given = settings(tmp_path, advertise_host="fd00::7")

    place = join(given, Running("orders", "0.0.0.0:5001", nothing), "grpc")

    assert place.address == "[fd00::7]:5001"
    await place.stop(0.0)


@pytest.mark.parametrize("address", ["0.0.0.0:5001", "[::]:5001", "unix:/run/orders"])
async def test_a_part_that_nobody_could_reach_says_what_to_set(tmp_path: Path, address: str) -> None:
    with pytest.raises(SettingsProblem, match=r"MUSTER_ADVERTISE_HOST|write host:port"):
        join(settings(tmp_path), Running("orders", address, nothing), "grpc")


async def test_a_control_plane_that_cannot_read_its_registry_lets_its_clients_go_to_another_one() -> None:
    address = Listener("127.0.0.1", free_port())
    away = Settings(registry_url=f"etcd://127.0.0.1:{free_port()}")

    running = await control_plane.serve(away, address, no_routes)

    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", address.port)
    await asyncio.wait_for(running.stop(10.0), 5.0)


async def test_a_control_plane_that_can_is_reached_at_the_address_that_it_told(tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()

    running = await control_plane.serve(settings(tmp_path), Listener(), no_routes)

    async with grpc.aio.insecure_channel(running.address) as channel:
        await asyncio.wait_for(channel.channel_ready(), 20.0)
    await running.stop(1.0)


async def test_a_control_plane_on_an_address_that_is_taken_says_so(tmp_path: Path) -> None:
    with Listener().bind() as bound, pytest.raises(AddressTaken, match="control-plane cannot listen"):
        await control_plane.serve(settings(tmp_path), Listener("127.0.0.1", bound.getsockname()[1]), no_routes)
