"""The registry of many hosts: etcd, with a lease per instance that the serving event loop keeps alive."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count

import grpc
import structlog
from aetcd import rpc

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

PREFIX = b"/muster/services/"
PREFIX_END = b"/muster/services0"  # the first key after all that begin with PREFIX
CALL_S = 1.0
RETRY_S = 0.3
PROGRESS_EVERY_S = 2.0
SILENT_S = 6.0  # a watch that heard nothing for so long, though it asked, is begun again
OPTIONS = [
    ("grpc.keepalive_time_ms", 10_000),  # etcd takes more than one ping in 5 s for an attack
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.http2.ping_timeout_ms", 2_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),
]


class _Gone(Exception):
    """The lease or the watch is no more."""


class EtcdRegistry:
    """Instances as keys `/muster/services/<service>/<host:port>` under a lease.

    Invariants: those of `Registry`; the key is written again within a third of the lease wherever the lease was lost or
    the key is not this lease's: after an outage, an emptied etcd, a stopped process.
    """

    def __init__(self, hosts: Sequence[str], *, ttl_s: float = TTL_S, grace_s: float = GRACE_S) -> None:
        """`hosts` are host:port of the members; the next one is tried where one fails."""
        self._hosts = tuple(hosts)
        self._ttl_s = ttl_s
        self._grace_s = grace_s
        self._attempts = count()
        self._kept: list[Kept] = []

    def register(self, instance: Instance) -> Registration:
        """Visible as soon as etcd is there."""
        registered = _Registered(self, instance)
        kept = Kept(registered.keep(), registered.withdraw)
        self._kept.append(kept)
        return kept

    def watch(self) -> AsyncIterator[Services]:
        """Who is there, and each change."""
        return believing(self._follow, self._grace_s)

    async def close(self) -> None:
        """Everybody who was registered here leaves."""
        for kept in self._kept:
            await kept.close()

    @property
    def ttl_s(self) -> float:
        """Seconds of a lease."""
        return self._ttl_s

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[grpc.aio.Channel]:
        """A connection to the member whose turn it is."""
        host = self._hosts[next(self._attempts) % len(self._hosts)]
        channel = grpc.aio.insecure_channel(host, options=OPTIONS)
        try:
            yield channel
        finally:
            await channel.close()

    async def _follow(self, belief: Belief) -> None:
        away = False
        while True:
            try:
                async with self.connected() as channel:
                    async for instances in _watched(channel):
                        if away:
                            log.info("the registry is back", instances=len(instances))
                        away = False
                        belief.seen(instances.values())
            except (grpc.aio.AioRpcError, _Gone) as error:
                belief.lost_contact()
                if not away:
                    log.warning("the registry is away: the last state stays", error=_told(error))
                away = True
            await asyncio.sleep(RETRY_S)


class _Registered:
    """One instance and its lease."""

    def __init__(self, registry: EtcdRegistry, instance: Instance) -> None:
        self._registry = registry
        self._instance = instance
        self._key = PREFIX + f"{instance.service}/{instance.address}".encode()
        self._lease = 0

    async def keep(self) -> None:
        """Take a lease, hold it, and begin again whenever it is lost."""
        away, registered = False, REGISTERED.labels(self._instance.service)
        while True:
            try:
                async with self._registry.connected() as channel:
                    await self._take(channel)
                    registered.set(1)
                    log.info("registered", service=self._instance.service, address=self._instance.address)
                    away = False
                    while True:
                        await asyncio.sleep(self._registry.ttl_s / 3)
                        await self._renew(channel)
            except (grpc.aio.AioRpcError, _Gone) as error:
                registered.set(0)
                if not away:
                    log.warning("not registered now, trying again", service=self._instance.service, error=_told(error))
                away = True
            await asyncio.sleep(RETRY_S)

    async def withdraw(self) -> None:
        """The last word, which everybody who watches hears; the lease ends by itself and takes it along."""
        if self._lease:
            async with self._registry.connected() as channel:
                await self._put(channel, self._instance.farewell())

    async def _take(self, channel: grpc.aio.Channel) -> None:
        asked = rpc.LeaseGrantRequest(TTL=round(self._registry.ttl_s))
        self._lease = (await rpc.LeaseStub(channel).LeaseGrant(asked, timeout=CALL_S)).ID
        await self._put(channel, self._instance)

    async def _renew(self, channel: grpc.aio.Channel) -> None:
        call = rpc.LeaseStub(channel).LeaseKeepAlive(timeout=CALL_S)
        await call.write(rpc.LeaseKeepAliveRequest(ID=self._lease))
        answer = await call.read()
        call.cancel()
        if answer is grpc.aio.EOF or answer.TTL <= 0:
            raise _Gone("the lease ran out")
        mine = rpc.Compare(key=self._key, target=rpc.Compare.LEASE, result=rpc.Compare.EQUAL, lease=self._lease)
        request = rpc.TxnRequest(compare=[mine], failure=[rpc.RequestOp(request_put=self._request(self._instance))])
        if not (await rpc.KVStub(channel).Txn(request, timeout=CALL_S)).succeeded:
            log.warning("the registry had forgotten this instance", service=self._instance.service)

    async def _put(self, channel: grpc.aio.Channel, instance: Instance) -> None:
        await rpc.KVStub(channel).Put(self._request(instance), timeout=CALL_S)

    def _request(self, instance: Instance) -> rpc.PutRequest:
        return rpc.PutRequest(key=self._key, value=instance.encoded(), lease=self._lease)


async def _watched(channel: grpc.aio.Channel) -> AsyncIterator[Mapping[bytes, Instance]]:
    """All instances, again at each change. Raises AioRpcError or _Gone where the watch broke."""
    snapshot = await rpc.KVStub(channel).Range(
        rpc.RangeRequest(key=PREFIX, range_end=PREFIX_END, limit=MOST_INSTANCES), timeout=CALL_S
    )
    known: dict[bytes, Instance] = {}
    for entry in snapshot.kvs:
        _note(known, entry.key, entry.value)
    yield known
    call = rpc.WatchStub(channel).Watch()
    reading: asyncio.Task[rpc.WatchResponse] | None = None
    clock = asyncio.get_running_loop()
    try:
        create = rpc.WatchCreateRequest(key=PREFIX, range_end=PREFIX_END, start_revision=snapshot.header.revision + 1)
        await call.write(rpc.WatchRequest(create_request=create))
        heard = clock.time()
        while True:
            reading = reading or asyncio.ensure_future(call.read())
            await asyncio.wait({reading}, timeout=PROGRESS_EVERY_S)
            if not reading.done():
                if clock.time() - heard > SILENT_S:
                    raise _Gone("the watch fell silent")
                try:
                    await call.write(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()))
                except asyncio.InvalidStateError:
                    raise _Gone("the watch was ended") from None
                continue
            response, reading = reading.result(), None
            heard = clock.time()
            if response is grpc.aio.EOF or response.canceled or response.compact_revision:
                raise _Gone("the watch was ended")
            if response.events:
                for event in response.events:
                    if event.type == rpc.Event.PUT:
                        _note(known, event.kv.key, event.kv.value)
                    else:
                        known.pop(event.kv.key, None)
                yield known
    finally:
        call.cancel()
        if reading is not None:
            await asyncio.wait({reading})
            if not reading.cancelled():
                reading.exception()


def _note(known: dict[bytes, Instance], key: bytes, value: bytes) -> None:
    try:
        service, _, address = key.removeprefix(PREFIX).decode().partition("/")
        known[key] = Instance.decoded(service, address, value)
    except ValueError as error:
        log.warning("an entry of the registry cannot be read", entry=repr(key)[:300], error=str(error)[:200])


def _told(error: Exception) -> str:
    return (error.details() or error.code().name)[:200] if isinstance(error, grpc.aio.AioRpcError) else str(error)
