"""The control plane: one ADS stream per client, on which it is told what it asked for whenever that changes."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from hashlib import sha256

import structlog
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from google.protobuf import any_pb2
from google.protobuf.message import Message
from prometheus_client import Counter, Gauge

from chassis.mesh.registry import SERVICE, Registry, Services, Wire
from chassis.mesh.resources import EDGE, RouteConfiguration, cluster, endpoints, listener, no_routes

log = structlog.get_logger(__name__)

CONFIG = "type.googleapis.com/envoy.config."
CDS, EDS = f"{CONFIG}cluster.v3.Cluster", f"{CONFIG}endpoint.v3.ClusterLoadAssignment"
LDS, RDS = f"{CONFIG}listener.v3.Listener", f"{CONFIG}route.v3.RouteConfiguration"
ORDER = (CDS, EDS, LDS, RDS)  # make before break: a route never names a cluster that the client has not heard of
SHORT = {CDS: "CDS", EDS: "EDS", LDS: "LDS", RDS: "RDS"}
EVERYTHING = "*"
MOST_NAMES = 1_000
MOST_SERVICES = 1_000

PUSHED = Counter("muster_mesh_pushed_total", "Resource lists sent to clients of the control plane", ("type",))
REFUSED = Counter("muster_mesh_refused_total", "Resource lists that a client refused (NACK)", ("type",))
STREAMS = Gauge("muster_mesh_streams", "Clients that listen to this control plane")
INSTANCES = Gauge("muster_mesh_instances", "Instances that the control plane tells of", ("service",))


class _Stream:
    """What one client asked for, and what it was sent."""

    def __init__(self) -> None:
        self.who = "?"
        self.names: dict[str, tuple[str, ...]] = {}  # by type
        self.sent: dict[str, bytes] = {}  # the hash of what was sent last, by type
        self.news = asyncio.Event()

    def hear(self, request: discovery_pb2.DiscoveryRequest) -> None:
        """Take in a request: a subscription, or the client's word on what it was sent."""
        url = request.type_url
        if url not in SHORT:
            return
        self.who = request.node.id or self.who
        if request.HasField("error_detail"):
            REFUSED.labels(SHORT[url]).inc()
            log.error("a client refused resources", client=self.who, type=SHORT[url], why=request.error_detail.message)
        if url == CDS and (not request.resource_names or EVERYTHING in request.resource_names):
            names: tuple[str, ...] = (EVERYTHING,)
        else:
            names = tuple(sorted({name for name in request.resource_names if SERVICE.fullmatch(name)})[:MOST_NAMES])
        if self.names.get(url) != names:
            self.sent.pop(url, None)  # an equal answer, but to another question
            self.names[url] = names
            self.news.set()


class Plane(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):  # type: ignore[misc]
    """Tells Envoy and gRPC clients who serves what.

    Invariants: it keeps nothing of its own, so that several are copies of each other; it answers nobody before it has
    read the registry, and then keeps the last state while the registry is away; a service once known stays known,
    with no endpoints if need be; equal content is sent once.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        routes: RouteConfiguration = no_routes,
        expected: Mapping[str, Wire] | None = None,
        settle_s: float = 0.0,
    ) -> None:
        """`expected` services are known from the start. The first reading is believed after `settle_s` seconds, in
        which those come back whom an emptied registry forgot."""
        self._registry = registry
        self._routes = routes
        self._settle_s = settle_s
        self._protocols: dict[str, Wire] = dict(expected or {})
        self._services: Services = {}
        self._built: dict[tuple[str, str], any_pb2.Any] = {}
        self._streams: set[_Stream] = set()
        self.synced = asyncio.Event()

    async def run(self) -> None:
        """Follow the registry for ever."""
        settled = asyncio.get_running_loop().time() + self._settle_s
        async for services in self._registry.watch():
            self._take(services)
            if not self.synced.is_set() and (left := settled - asyncio.get_running_loop().time()) > 0:
                asyncio.get_running_loop().call_later(left, self._sync)
            else:
                self._sync()

    def _sync(self) -> None:
        self.synced.set()
        for stream in self._streams:
            stream.news.set()

    def _take(self, services: Services) -> None:
        for service, instances in services.items():
            if service in self._protocols or len(self._protocols) < MOST_SERVICES:
                self._protocols[service] = instances[-1].protocol
            else:  # gRPC clients find it by its name all the same
                log.warning("Envoy is not told of more services", service=service, most=MOST_SERVICES)
        self._services = services
        self._built.clear()
        for service in self._protocols:
            INSTANCES.labels(service).set(len(services.get(service, ())))
        log.info("mesh", services={name: [one.address for one in found] for name, found in services.items()})

    async def StreamAggregatedResources(
        self, requests: AsyncIterator[discovery_pb2.DiscoveryRequest], context: object
    ) -> AsyncIterator[discovery_pb2.DiscoveryResponse]:
        """One client's stream, until it goes."""
        stream = _Stream()

        async def read() -> None:
            async for request in requests:
                stream.hear(request)

        reading = asyncio.create_task(read())
        self._streams.add(stream)
        STREAMS.inc()
        number = 0
        try:
            await self.synced.wait()
            while not reading.done():
                for url in ORDER:
                    if url not in stream.names or (found := self._unsent(stream, url)) is None:
                        continue
                    number += 1
                    PUSHED.labels(SHORT[url]).inc()
                    yield discovery_pb2.DiscoveryResponse(
                        version_info=stream.sent[url].hex()[:12], resources=found, type_url=url, nonce=str(number)
                    )
                await self._news(stream, reading)
        finally:
            self._streams.discard(stream)
            STREAMS.dec()
            reading.cancel()

    @staticmethod
    async def _news(stream: _Stream, reading: "asyncio.Task[None]") -> None:
        waiting = asyncio.ensure_future(stream.news.wait())
        try:
            await asyncio.wait({waiting, reading}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        stream.news.clear()

    def _unsent(self, stream: _Stream, url: str) -> Sequence[any_pb2.Any] | None:
        """What the stream asked for of a type, unless it was sent the same already."""
        names = stream.names[url]
        if names == (EVERYTHING,):
            names = tuple(sorted(self._protocols))
        elif url == RDS:
            names = tuple(name for name in names if name == EDGE)
        found = [self._resource(url, name) for name in names]
        digest = sha256(b"".join(one.value for one in found)).digest()
        if stream.sent.get(url) == digest:
            return None
        stream.sent[url] = digest
        if url == CDS:
            stream.sent.pop(EDS, None)  # a cluster that changed waits for its endpoints
        return found

    def _resource(self, url: str, name: str) -> any_pb2.Any:
        built = self._built.get((url, name))
        if built is None:
            built = any_pb2.Any(type_url=url, value=self._build(url, name).SerializeToString(deterministic=True))
            self._built[url, name] = built
        return built

    def _build(self, url: str, name: str) -> Message:
        built: Message
        if url == CDS:
            built = cluster(name, self._protocols.get(name, "grpc"))
        elif url == EDS:
            built = endpoints(name, self._services.get(name, ()))
        elif url == LDS:
            built = listener(name)
        else:
            built = self._routes(self._public())
        return built

    def _public(self) -> Mapping[str, Sequence[str]]:
        """The public prefixes of the HTTP services, by name."""
        found = {
            service: sorted({prefix for one in instances for prefix in one.prefixes})
            for service, instances in self._services.items()
            if self._protocols.get(service) == "http"
        }
        return {service: prefixes for service, prefixes in found.items() if prefixes}
