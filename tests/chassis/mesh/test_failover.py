"""The mesh under load: what callers notice when replicas, control planes and etcd die, freeze and forget."""

import asyncio
import time
from collections.abc import AsyncIterator

import grpc
import pytest

from chassis.mesh.etcd import EtcdRegistry
from chassis.mesh.registry import open_registry
from chassis.rpc.error_map import RemoteError
from tests.support.failover import (
    DEADLINE_S,
    FROZEN_S,
    Mesh,
    control_planes_killed,
    etcd_emptied,
    etcd_frozen,
    etcd_killed,
    measured,
    replica_drained,
    replica_frozen,
    replica_killed,
    replica_restarted,
)
from tests.support.mesh import GENEROUS_S, addresses, delete_everything, watching

pytestmark = pytest.mark.second_process


NO_RETRIES = ("grpc.enable_retries", 0)


@pytest.fixture(scope="module")
async def mesh() -> AsyncIterator[Mesh]:
    """Two replicas of `orders`, two control planes, one etcd."""
    async with Mesh(control_planes=2) as mesh:
        ports = [(await mesh.replica())[0] for _ in range(2)]
        await mesh.caller().serves(*ports)
        yield mesh


async def test_a_killed_replica_fails_no_call(mesh: Mesh) -> None:
    [ours, careless] = await measured(mesh, replica_killed, mesh.caller(), mesh.careless(NO_RETRIES))

    assert ours.failures == []
    assert ours.worst_s < DEADLINE_S / 2
    assert careless.failed > 0  # what the retries are there for


async def test_a_replica_restarted_within_its_lease_is_one_entry_and_fails_no_call(mesh: Mesh) -> None:
    seen: set[int] = set()
    for _ in range(3):  # on a busy machine a restart may take longer than the lease
        async with watching(open_registry(mesh.registry_url)) as watch:
            await watch.shows(*mesh.replicas)
            [ours] = await measured(mesh, replica_restarted, mesh.caller())

        assert ours.failures == []
        seen = {len(addresses(services)) for services in watch.told}
        if seen == {2}:
            break
    assert seen == {2}


async def test_a_replica_that_drains_fails_no_call_even_without_retries(mesh: Mesh) -> None:
    [ours, careless] = await measured(mesh, replica_drained, mesh.caller(), mesh.careless(NO_RETRIES))

    assert ours.failures == []
    assert careless.failures == []


async def test_a_frozen_replica_is_noticed_and_fails_no_call(mesh: Mesh) -> None:
    [ours, careless] = await measured(mesh, replica_frozen, mesh.caller(), mesh.careless())

    assert ours.failures == []
    assert ours.worst_s < FROZEN_S
    assert careless.worst_s > FROZEN_S - 0.5  # hung until the replica went on


async def test_without_any_control_plane_calls_go_on_and_a_killed_replica_fails_none(mesh: Mesh) -> None:
    [ours] = await measured(mesh, control_planes_killed, mesh.caller())

    assert ours.failures == []


async def test_a_new_replica_has_calls_within_two_seconds_of_being_ready_though_a_control_plane_is_dead(
    mesh: Mesh,
) -> None:
    caller = mesh.caller()
    async with caller.load() as outcome:
        mesh.planes[0].kill()
        port, ready = await mesh.replica()

    assert outcome.failures == []
    assert outcome.first[port] - ready < 2.0
    mesh.replicas.pop(port).kill()
    await mesh.mend()


async def test_a_new_service_is_reachable_by_registering(mesh: Mesh) -> None:
    caller = mesh.caller()
    started = time.monotonic()
    with pytest.raises(RemoteError):
        await caller.call("bills")
    refused_s = time.monotonic() - started

    port, _ = await mesh.replica("bills")

    await caller.serves(port, service="bills", within_s=GENEROUS_S)
    assert refused_s < DEADLINE_S / 2  # nobody waits for a service that is not there
    mesh.replicas.pop(port).kill()


async def test_etcd_killed_for_longer_than_the_leases_fails_no_call(mesh: Mesh) -> None:
    [ours] = await measured(mesh, etcd_killed, mesh.caller())

    assert ours.failures == []


async def test_a_part_that_starts_without_etcd_serves_and_is_found_once_etcd_is_there(mesh: Mesh) -> None:
    mesh.etcd.kill()

    port, _ = await mesh.replica("letters")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await asyncio.wait_for(channel.channel_ready(), GENEROUS_S)
    await asyncio.to_thread(mesh.etcd.start)

    await mesh.caller().serves(port, service="letters", within_s=GENEROUS_S)
    mesh.replicas.pop(port).kill()
    await mesh.mend()


async def test_an_emptied_etcd_fails_no_call_unless_nothing_holds_the_removals(mesh: Mesh) -> None:
    believer = EtcdRegistry([f"127.0.0.1:{mesh.etcd.port}"], grace_s=0.0)
    async with watching(open_registry(mesh.registry_url)) as watch, watching(believer) as careless:
        await watch.shows(*mesh.replicas)
        await careless.shows(*mesh.replicas)

        [ours] = await measured(mesh, etcd_emptied, mesh.caller())

        await delete_everything(mesh.etcd)
        await careless.shows()
        await careless.shows(*mesh.replicas)

    assert ours.failures == []
    assert watch.fewest() == 2
    assert careless.fewest() == 0


async def test_a_frozen_etcd_fails_no_call_and_loses_nobody(mesh: Mesh) -> None:
    async with watching(open_registry(mesh.registry_url)) as watch:
        await watch.shows(*mesh.replicas)

        [ours] = await measured(mesh, etcd_frozen, mesh.caller())

    assert ours.failures == []
    assert watch.fewest() == 2


async def test_a_process_whose_loop_hangs_loses_its_place_and_takes_it_again(mesh: Mesh) -> None:
    port, _ = await mesh.replica("letters")
    async with watching(EtcdRegistry([f"127.0.0.1:{mesh.etcd.port}"], grace_s=0.0)) as watch:
        await watch.shows(port, service="letters")

        blocked = asyncio.create_task(mesh.caller().call("letters", "block"))

        await watch.shows(service="letters")
        await watch.shows(port, service="letters")
        assert await blocked == port
    mesh.replicas.pop(port).kill()
