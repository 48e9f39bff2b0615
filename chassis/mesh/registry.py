"""Who serves what: the port to a registry, and what its watchers believe while entries come and go."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, cast

import orjson
import structlog
from prometheus_client import Gauge

log = structlog.get_logger(__name__)

REGISTERED = Gauge(
    "muster_mesh_registered", "Whether this process was in the registry when it last looked", ("service",)
)

TTL_S = 3.0
"""A process that gives no sign of life for so long is no longer in the registry."""
GRACE_S = 3.0
"""An instance that vanished without a word is believed in for so long: an emptied registry empties no client."""

FAREWELL_S = 1.0
MOST_INSTANCES = 10_000
MOST_PREFIXES = 20
SERVICE = re.compile(r"[a-z][a-z0-9-]{0,62}")
ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9][A-Za-z0-9._-]{0,252}):([1-9][0-9]{0,4})")
PREFIX = re.compile(r"/[A-Za-z0-9/_.~-]{0,99}")

Wire = Literal["grpc", "http"]


@dataclass(frozen=True, slots=True)
class Instance:
    """One process that serves a service.

    Invariants: `address` is host:port and unique within the service; `prefixes` are the public paths of an HTTP
    service; `leaving` is the last word of a process that drains.
    """

    service: str
    address: str
    protocol: Wire
    instance_id: str
    prefixes: tuple[str, ...] = ()
    leaving: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError where a client could not use it."""
        address = ADDRESS.fullmatch(self.address)
        if not SERVICE.fullmatch(self.service) or address is None or int(address[2]) > 65535:
            raise ValueError(f"{self.service!r} at {self.address!r} is no service at host:port")
        if self.protocol not in ("grpc", "http") or len(self.prefixes) > MOST_PREFIXES:
            raise ValueError(f"{self.service} has an unknown protocol or more than {MOST_PREFIXES} prefixes")
        if not all(PREFIX.fullmatch(prefix) for prefix in self.prefixes):
            raise ValueError(f"{self.service} has a prefix that is no path")

    @property
    def host(self) -> str:
        """The host without the brackets of an IPv6 address."""
        return self.address.rpartition(":")[0].removeprefix("[").removesuffix("]")

    @property
    def port(self) -> int:
        """The port."""
        return int(self.address.rpartition(":")[2])

    def farewell(self) -> "Instance":
        """The same, leaving."""
        return replace(self, leaving=True)

    def encoded(self) -> bytes:
        """The value that a registry stores under the service and the address (JSON)."""
        return orjson.dumps(
            {
                "protocol": self.protocol,
                "instance_id": self.instance_id,
                "prefixes": self.prefixes,
                "leaving": self.leaving,
            }
        )

    @classmethod
    def decoded(cls, service: str, address: str, value: bytes) -> "Instance":
        """What `encoded` wrote. Raises ValueError."""
        found = orjson.loads(value)
        if not isinstance(found, dict):
            raise ValueError("no object")
        prefixes = found.get("prefixes", [])
        if not isinstance(prefixes, list) or not all(isinstance(prefix, str) for prefix in prefixes):
            raise ValueError("prefixes is no list of texts")
        return cls(
            service,
            address,
            cast(Wire, found.get("protocol")),
            str(found.get("instance_id", ""))[:100],
            tuple(prefixes),
            found.get("leaving") is True,
        )


Services = Mapping[str, tuple[Instance, ...]]
"""The instances of each service, ordered by address; a service that has none is not in it."""


class Registration(Protocol):
    """One instance that is kept in a registry."""

    async def close(self) -> None:
        """Tell everybody that the instance leaves, within a second; may be called twice."""


class Registry(Protocol):
    """Where processes say what they serve.

    Invariants: registering never waits for the registry: an instance becomes visible once the registry is there, and
    again after the registry forgot it; two registrations of one address are one entry.
    """

    def register(self, instance: Instance) -> Registration:
        """Keep the instance visible until the registration is closed. Needs a running event loop."""

    def watch(self) -> AsyncIterator[Services]:
        """Who is there: once as soon as it is known, then at each change. Ends never; keeps still while it is away."""

    async def close(self) -> None:
        """Close the registrations that are left, and the connection."""


class Belief:
    """What one watcher takes for true.

    Invariants: an instance that said that it leaves is gone at once; one that vanished without a word stays for
    `grace_s` seconds of contact with the registry, counted anew after each loss of contact.
    """

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._present: dict[tuple[str, str], Instance] = {}
        self._missed: dict[tuple[str, str], tuple[Instance, float]] = {}  # until when it is believed in
        self._told: Services | None = None
        self._in_contact = False
        self._news = asyncio.Event()

    def seen(self, instances: Iterable[Instance]) -> None:
        """A complete reading of the registry."""
        until = asyncio.get_running_loop().time() + self._grace_s
        if not self._in_contact:
            self._missed = {key: (instance, until) for key, (instance, _) in self._missed.items()}
        found = {(one.service, one.address): one for one in instances}
        for key, instance in self._present.items():
            if key not in found:
                self._missed[key] = (instance, until)
        for key in found:
            self._missed.pop(key, None)
        self._present = {key: one for key, one in found.items() if not one.leaving}
        self._in_contact = True
        self._news.set()

    def lost_contact(self) -> None:
        """The registry is away: nobody goes until it is back."""
        self._in_contact = False
        self._news.set()

    async def changed(self) -> Services:
        """Wait until there is something else to believe than what was told last."""
        clock = asyncio.get_running_loop()
        while True:
            self._news.clear()
            now = clock.time()
            if self._in_contact:
                self._missed = {key: kept for key, kept in self._missed.items() if kept[1] > now}
                if (services := self._services()) != self._told:
                    self._told = services
                    return services
            ends = [until for _, until in self._missed.values()] if self._in_contact else []
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(ends, default=None)):
                    await self._news.wait()

    def _services(self) -> Services:
        found: dict[str, list[Instance]] = {}
        kept = {key: instance for key, (instance, _) in self._missed.items()}
        for (service, _), instance in sorted({**kept, **self._present}.items()):
            found.setdefault(service, []).append(instance)
        return {service: tuple(instances) for service, instances in found.items()}


async def believing(follow: Callable[[Belief], Awaitable[Any]], grace_s: float) -> AsyncIterator[Services]:
    """The watch of a backend that tells a Belief what it sees. Raises what `follow` raises, which never returns."""
    belief = Belief(grace_s)
    following = asyncio.ensure_future(follow(belief))
    try:
        while True:
            changed = asyncio.ensure_future(belief.changed())
            try:
                await asyncio.wait({changed, following}, return_when=asyncio.FIRST_COMPLETED)
                if not changed.done():
                    await following
                    raise RuntimeError("a watch of the registry ended")
                services = await changed
            finally:
                changed.cancel()
            yield services
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await following


class Kept:
    """A registration that a loop on the serving event loop keeps: a process that hangs is not kept.

    Invariants: closing it waits at most FAREWELL_S for the registry.
    """

    def __init__(self, keep: Coroutine[Any, Any, None], farewell: Callable[[], Awaitable[None]]) -> None:
        self._keeping = asyncio.create_task(keep, name="registration")
        self._farewell = farewell
        self._closed = False

    async def close(self) -> None:
        """Stop keeping it and say farewell; a registry that is away learns it by the silence."""
        if self._closed:
            return
        self._closed = True
        self._keeping.cancel()
        await asyncio.wait({self._keeping})
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._farewell()
        except Exception as error:
            log.warning("the registry did not hear that an instance leaves", error=repr(error)[:200])


def open_registry(url: str) -> Registry:
    """The registry of a MUSTER_REGISTRY_URL: `etcd://host:port[,host:port]` or `file:///folder`. Raises ValueError."""
    scheme, _, rest = url.partition("://")
    if scheme == "etcd" and rest and all(ADDRESS.fullmatch(host) for host in rest.split(",")):
        from chassis.mesh.etcd import EtcdRegistry

        return EtcdRegistry(rest.split(","))
    if scheme == "file" and rest.startswith("/"):
        from pathlib import Path

        from chassis.mesh.file import FileRegistry

        return FileRegistry(Path(rest))
    raise ValueError("write etcd://host:port[,host:port] or file:///folder")
