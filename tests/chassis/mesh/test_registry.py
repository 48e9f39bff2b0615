"""One contract over the three registries: in memory, in a folder, in etcd."""

import asyncio
import shutil
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.mesh.etcd import EtcdRegistry
from chassis.mesh.file import FileRegistry
from chassis.mesh.memory import MemoryRegistry
from chassis.mesh.registry import Belief, Instance, Kept, Registration, Registry, believing, open_registry
from tests.support.mesh import GENEROUS_S, addresses, an_instance, delete_everything, put, watching
from tests.support.servers import PrivateEtcd, free_port

LONG_S = 60.0  # a grace that no test waits for


class Store:
    """One kind of registry, as its contract is asked of it."""

    ttl_s = 1.0

    def open(self, grace_s: float) -> Registry:
        """One process's registry."""
        raise NotImplementedError

    async def crash(self, registry: Registry, registration: Registration) -> None:
        """The instance's process ends without a word."""
        assert isinstance(registration, Kept)
        registration._keeping.cancel()

    async def empty(self, registry: Registry) -> None:
        """Somebody deletes everything."""
        raise NotImplementedError


class Memory(Store):
    def __init__(self) -> None:
        self._registries: list[MemoryRegistry] = []

    def open(self, grace_s: float) -> Registry:
        if not self._registries:  # one process
            self._registries.append(MemoryRegistry(grace_s=grace_s))
        return self._registries[0]

    async def crash(self, registry: Registry, registration: Registration) -> None:
        self._registries[0].forget()

    async def empty(self, registry: Registry) -> None:
        kept = list(self._registries[0]._instances.values())
        self._registries[0].forget()
        for instance in kept:
            registry.register(instance)


class File(Store):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, grace_s: float) -> Registry:
        return FileRegistry(self.folder, ttl_s=self.ttl_s, grace_s=grace_s)

    async def empty(self, registry: Registry) -> None:
        shutil.rmtree(self.folder)


class Etcd(Store):
    ttl_s = 2.0  # the least that etcd grants

    def __init__(self, server: PrivateEtcd) -> None:
        self.server = server

    def open(self, grace_s: float) -> Registry:
        return EtcdRegistry([f"127.0.0.1:{self.server.port}"], ttl_s=self.ttl_s, grace_s=grace_s)

    async def empty(self, registry: Registry) -> None:
        await delete_everything(self.server)


@pytest.fixture(params=["memory", "file", "etcd"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield Memory()
    elif request.param == "file":
        yield File(tmp_path / "registry")
    else:
        server = request.getfixturevalue("etcd_server")
        yield (store := Etcd(server))
        await store.empty(store.open(0))


async def test_whoever_registers_is_seen_with_all_that_was_said(store: Store) -> None:
    registry = store.open(LONG_S)
    instance = Instance("documents", "[::1]:8080", "http", "host-7", ("/v1/documents", "/v1/signatures"))

    registry.register(instance)

    async with watching(store.open(LONG_S)) as watch:
        await watch.until(lambda services: services == {"documents": (instance,)})
    await registry.close()


async def test_whoever_leaves_is_gone_at_once_and_the_others_stay(store: Store) -> None:
    registry = store.open(LONG_S)
    first = registry.register(an_instance(port=5001))
    registry.register(an_instance(port=5002))
    async with watching(store.open(LONG_S)) as watch:
        await watch.shows(5001, 5002)

        await first.close()

        await watch.shows(5002)
        await first.close()
    await registry.close()


async def test_whoever_vanishes_without_a_word_is_believed_in_for_the_grace_only(store: Store) -> None:
    registry = store.open(0.5)
    registration = registry.register(an_instance())
    async with watching(store.open(0.5)) as watch:
        await watch.shows(5001)

        await store.crash(registry, registration)

        await watch.shows()
    await registry.close()


async def test_an_emptied_registry_empties_nobodys_list_and_fills_again_by_itself(store: Store) -> None:
    registry = store.open(LONG_S)
    registry.register(an_instance(port=5001))
    registry.register(an_instance(port=5002))
    async with watching(store.open(LONG_S)) as watch:
        await watch.shows(5001, 5002)

        await store.empty(registry)
        async with watching(store.open(LONG_S)) as fresh:
            await fresh.shows(5001, 5002)

        assert watch.fewest() > 0
        assert addresses(watch.told[-1]) == [5001, 5002]
    await registry.close()


async def test_a_process_restarted_before_its_lease_ended_is_one_entry(store: Store) -> None:
    before = store.open(LONG_S)
    registration = before.register(an_instance(instance_id="before"))
    async with watching(store.open(LONG_S)) as watch:
        await watch.shows(5001)
        await store.crash(before, registration)

        after = store.open(LONG_S)
        after.register(an_instance(instance_id="after"))

        await watch.until(lambda services: [one.instance_id for one in services.get("orders", ())] == ["after"])
        await asyncio.sleep(store.ttl_s * 1.3)
        assert [one.instance_id for one in watch.told[-1]["orders"]] == ["after"]
        assert all(len(addresses(services)) <= 1 for services in watch.told)
    await after.close()


async def test_closing_a_registry_takes_all_of_its_instances_along(store: Store) -> None:
    registry = store.open(LONG_S)
    registry.register(an_instance("orders", 5001))
    registry.register(an_instance("bills", 5002))
    async with watching(store.open(LONG_S)) as watch:
        await watch.until(lambda services: len(services) == 2)

        await registry.close()

        await watch.until(lambda services: services == {})


async def test_what_cannot_be_read_hides_nobody(store: Store, tmp_path: Path) -> None:
    registry = store.open(LONG_S)
    registry.register(an_instance())
    async with watching(store.open(LONG_S)) as watch:
        await watch.shows(5001)

        if isinstance(store, File):
            for name in ("orders@nowhere.json", "no-entry", "orders@127.0.0.1%3A99999.json", "x@127.0.0.1%3A1.json"):
                (store.folder / name).write_text("[]")
        elif isinstance(store, Etcd):
            for key in ("orders/nowhere", "", "orders/127.0.0.1:99999", "x/127.0.0.1:1"):
                await put(store.server, key, b"[]")
        registry.register(an_instance(port=5002))

        await watch.shows(5001, 5002)
        assert set(watch.told[-1]) == {"orders"}
    await registry.close()


async def test_a_member_that_is_dead_is_passed_over(etcd_server: PrivateEtcd) -> None:
    registry = EtcdRegistry([f"127.0.0.1:{free_port()}", f"127.0.0.1:{etcd_server.port}"])

    registry.register(an_instance("letters"))

    async with watching(registry) as watch:
        await watch.shows(5001, service="letters")
    await registry.close()


async def test_contact_that_is_lost_and_found_counts_the_grace_anew() -> None:
    belief = Belief(0.4)
    belief.seen([an_instance()])
    assert addresses(await belief.changed()) == [5001]

    belief.seen([])
    belief.lost_contact()
    changed = asyncio.create_task(belief.changed())
    await asyncio.sleep(0.6)
    still = not changed.done()
    belief.seen([])
    services = await asyncio.wait_for(changed, GENEROUS_S)

    assert still
    assert services == {}


async def test_without_a_grace_an_emptied_registry_would_empty_the_clients() -> None:
    registry = MemoryRegistry(grace_s=0.0)
    registry.register(an_instance())
    async with watching(registry) as watch:
        await watch.shows(5001)

        registry.forget()

        await watch.shows()
        registry.register(an_instance())
        await watch.shows(5001)
        assert watch.fewest() == 0


async def test_a_lease_that_another_thread_holds_would_outlive_a_loop_that_hangs(tmp_path: Path) -> None:
    careless, stop = FileRegistry(tmp_path, ttl_s=0.6), threading.Event()

    async def elsewhere() -> None:
        careless.register(an_instance(port=5002))
        await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(elsewhere(),))
    thread.start()
    registry = FileRegistry(tmp_path, ttl_s=0.6)
    registry.register(an_instance(port=5001))
    async with watching(registry) as watch:
        await watch.shows(5001, 5002)

        time.sleep(1.0)  # noqa: ASYNC251
        left = [instance.port for instance in registry._read()]

    stop.set()
    await asyncio.to_thread(thread.join)
    await registry.close()
    assert left == [5002]


@pytest.mark.parametrize(
    "values",
    [
        ("Orders", "127.0.0.1:1", "grpc"),
        ("orders", "127.0.0.1", "grpc"),
        ("orders", "127.0.0.1:0", "grpc"),
        ("orders", "unix:/x", "grpc"),
        ("orders", "127.0.0.1:1", "udp"),
        ("orders", "a b:1", "http"),
    ],
)
def test_an_instance_that_nobody_could_call_is_refused(values: tuple[str, str, str]) -> None:
    service, address, protocol = values

    with pytest.raises(ValueError, match=r"(?i)orders"):
        Instance(service, address, protocol, "x")  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["etcd://", "etcd://a", "redis://a:1", "file://x", ""])
def test_a_registry_of_nonsense_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="etcd://host:port"):
        open_registry(url)


async def test_a_watch_whose_backend_ends_says_so() -> None:
    async def ends(belief: Belief) -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await anext(believing(ends, 1.0))
