"""What the control plane tells its clients, in which order, and when not."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from google.rpc import status_pb2

from chassis.mesh.memory import MemoryRegistry
from chassis.mesh.plane import CDS, EDS, LDS, RDS, REFUSED, Plane
from chassis.mesh.registry import Instance, Registry
from chassis.mesh.resources import EDGE, endpoints, no_routes
from tests.support.mesh import GENEROUS_S, an_instance

MESSAGES: dict[str, Any] = {
    CDS: cluster_pb2.Cluster,
    EDS: endpoint_pb2.ClusterLoadAssignment,
    LDS: listener_pb2.Listener,
    RDS: route_pb2.RouteConfiguration,
}


class Client:
    """One ADS stream, spoken by hand."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._reading: asyncio.Task[Any] | None = None

    async def ask(self, url: str, *names: str, refuse: str = "") -> None:
        """Subscribe, or refuse what came."""
        request = discovery_pb2.DiscoveryRequest(type_url=url, resource_names=names, node=base_pb2.Node(id="by-hand"))
        if refuse:
            request.error_detail.CopyFrom(status_pb2.Status(message=refuse))
        await self._call.write(request)

    async def hear(self) -> tuple[str, list[Any]]:
        """The next answer: its type and its resources."""
        self._reading = self._reading or asyncio.ensure_future(self._call.read())
        response = await asyncio.wait_for(asyncio.shield(self._reading), GENEROUS_S)
        self._reading = None
        assert response is not grpc.aio.EOF
        return response.type_url, [MESSAGES[response.type_url].FromString(one.value) for one in response.resources]

    async def hears_nothing(self, seconds: float = 0.3) -> bool:
        """Whether there is no answer for so long."""
        self._reading = self._reading or asyncio.ensure_future(self._call.read())
        done, _ = await asyncio.wait({self._reading}, timeout=seconds)
        return not done


@asynccontextmanager
async def connected(registry: Registry, **options: Any) -> AsyncIterator[Client]:
    """A client of a plane over the registry."""
    plane = Plane(registry, **options)
    server = grpc.aio.server()
    ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(plane, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    running = asyncio.create_task(plane.run())
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    call = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel).StreamAggregatedResources()
    client = Client(call)
    try:
        yield client
    finally:
        call.cancel()
        if client._reading is not None:
            await asyncio.wait({client._reading})
        await channel.close()
        running.cancel()
        await server.stop(0)


def ports(assignment: Any) -> list[int]:
    """The ports of an answer of EDS."""
    return [
        endpoint.endpoint.address.socket_address.port_value
        for locality in assignment.endpoints
        for endpoint in locality.lb_endpoints
    ]


def names(resources: Sequence[Any]) -> list[str]:
    """The names of resources."""
    return [one.name for one in resources]


async def test_everything_comes_in_the_order_in_which_nothing_names_what_is_unknown() -> None:
    registry = MemoryRegistry()
    registry.register(an_instance(port=5001))
    async with connected(registry, settle_s=0.5) as client:
        for url, asked in ((RDS, [EDGE]), (LDS, ["orders"]), (EDS, ["orders"]), (CDS, [])):
            await client.ask(url, *asked)

        heard = [await client.hear() for _ in range(4)]

    assert [url for url, _ in heard] == [CDS, EDS, LDS, RDS]
    assert names(heard[0][1]) == ["orders"]
    assert ports(heard[1][1][0]) == [5001]


async def test_a_change_is_told_at_once_and_equal_content_only_once() -> None:
    registry = MemoryRegistry()
    registry.register(an_instance(port=5001))
    async with connected(registry) as client:
        await client.ask(EDS, "orders")
        await client.hear()

        second = registry.register(an_instance(port=5002))
        _, [both] = await client.hear()
        registry.register(an_instance("bills", 7001))  # changes nothing of what this client asked for

        assert ports(both) == [5001, 5002]
        assert await client.hears_nothing()
        await second.close()
        _, [one] = await client.hear()
        assert ports(one) == [5001]


async def test_the_same_question_again_is_answered_only_when_it_names_more() -> None:
    registry = MemoryRegistry()
    registry.register(an_instance(port=5001))
    async with connected(registry) as client:
        await client.ask(EDS, "orders")
        await client.hear()

        await client.ask(EDS, "orders")  # an acknowledgement
        assert await client.hears_nothing()
        await client.ask(EDS, "orders", "bills")

        _, resources = await client.hear()
        assert [ports(one) for one in resources] == [[], [5001]]


async def test_names_that_are_none_are_not_everything() -> None:
    registry = MemoryRegistry()
    registry.register(an_instance())
    async with connected(registry) as client:
        await client.ask(CDS, "no/name")
        _, nothing = await client.hear()
        await client.ask(CDS, "*")
        _, everything = await client.hear()

    assert names(nothing) == []
    assert names(everything) == ["orders"]


async def test_an_unknown_service_has_a_listener_a_cluster_and_no_endpoints() -> None:
    async with connected(MemoryRegistry()) as client:
        heard = []
        for url in (LDS, CDS, EDS):
            await client.ask(url, "nobody")
            heard.append((await client.hear())[1])

    assert [len(resources) for resources in heard] == [1, 1, 1]
    assert ports(heard[2][0]) == []


async def test_a_service_once_known_stays_known_without_anybody() -> None:
    registry = MemoryRegistry()
    registration = registry.register(an_instance(port=5001))
    async with connected(registry, expected={"application": "http"}) as client:
        await client.ask(CDS)
        _, clusters = await client.hear()

        await registration.close()

        assert names(clusters) == ["application", "orders"]
        assert await client.hears_nothing()


async def test_an_emptied_registry_takes_nothing_from_a_client() -> None:
    registry = MemoryRegistry()
    registry.register(an_instance(port=5001))
    async with connected(registry) as client:
        await client.ask(EDS, "orders")
        await client.hear()

        registry.forget()

        assert await client.hears_nothing()


async def test_without_a_grace_the_clients_would_lose_everybody() -> None:
    registry = MemoryRegistry(grace_s=0.0)
    registry.register(an_instance(port=5001))
    async with connected(registry) as client:
        await client.ask(EDS, "orders")
        await client.hear()

        registry.forget()

        _, [nobody] = await client.hear()
        assert ports(nobody) == []


async def test_two_entries_of_one_address_are_one_endpoint() -> None:
    before = Instance("orders", "127.0.0.1:5001", "grpc", "before")
    after = Instance("orders", "127.0.0.1:5001", "grpc", "after")

    assert ports(endpoints("orders", [before, after])) == [5001]


async def test_what_a_client_refuses_is_counted_logged_and_not_sent_again(capsys: pytest.CaptureFixture[str]) -> None:
    registry = MemoryRegistry()
    registry.register(an_instance(port=5001))
    before = REFUSED.labels("CDS")._value.get()
    async with connected(registry) as client:
        await client.ask(CDS)
        await client.hear()

        await client.ask(CDS, refuse="unknown balancer")

        assert await client.hears_nothing()
        assert REFUSED.labels("CDS")._value.get() == before + 1
        assert "unknown balancer" in capsys.readouterr().out
        registry.register(an_instance("bills", 7001))
        _, clusters = await client.hear()
        assert names(clusters) == ["bills", "orders"]


async def test_nobody_is_answered_before_the_registry_was_read() -> None:
    class Silent(MemoryRegistry):
        async def _follow(self, belief: Any) -> None:
            await asyncio.Event().wait()

    async with connected(Silent()) as client:
        await client.ask(EDS, "orders")

        assert await client.hears_nothing()


async def test_a_plane_that_just_started_gives_an_emptied_registry_time_to_fill() -> None:
    registry = MemoryRegistry()
    async with connected(registry, settle_s=0.5) as client:
        await client.ask(EDS, "orders")
        await asyncio.sleep(0.1)
        registry.register(an_instance(port=5001))

        _, [first] = await client.hear()

    assert ports(first) == [5001]


async def test_without_that_time_the_first_answer_would_be_empty() -> None:
    registry = MemoryRegistry()
    async with connected(registry) as client:
        await client.ask(EDS, "orders")
        await asyncio.sleep(0.1)
        registry.register(an_instance(port=5001))

        _, [first] = await client.hear()

    assert ports(first) == []


async def test_the_gateways_routes_hear_of_the_public_paths_of_http_services() -> None:
    heard: list[dict[str, list[str]]] = []

    def routes(extra: Any) -> Any:
        heard.append({service: list(prefixes) for service, prefixes in extra.items()})
        return no_routes(extra)

    registry = MemoryRegistry()
    registry.register(an_instance(port=5001))
    registry.register(Instance("documents", "127.0.0.1:8081", "http", "a", ("/v1/documents",)))
    registry.register(Instance("documents", "127.0.0.1:8082", "http", "b", ("/v1/documents", "/v1/scans")))
    async with connected(registry, routes=routes) as client:
        await client.ask(RDS, EDGE, "another")

        _, resources = await client.hear()

    assert names(resources) == [EDGE]
    assert heard[-1] == {"documents": ["/v1/documents", "/v1/scans"]}


async def test_clients_and_envoy_read_the_same_clusters() -> None:
    registry = MemoryRegistry()
    registry.register(an_instance("orders"))
    registry.register(an_instance("documents", wire="http"))
    async with connected(registry) as client:
        await client.ask(CDS)
        _, [documents, orders] = await client.hear()
        await client.ask(LDS, "orders")
        _, [listener] = await client.hear()

    assert documents.health_checks[0].http_health_check.path == "/readyz"
    assert documents.health_checks[0].no_traffic_interval == documents.health_checks[0].interval
    assert documents.HasField("outlier_detection")
    assert not orders.HasField("outlier_detection")
    assert [one.priority for one in orders.circuit_breakers.thresholds] == [base_pb2.DEFAULT, base_pb2.HIGH]
    manager = http_connection_manager_pb2.HttpConnectionManager()
    listener.api_listener.api_listener.Unpack(manager)
    policy = manager.route_config.virtual_hosts[0].routes[0].route.retry_policy
    assert (policy.retry_on, policy.num_retries.value) == ("unavailable", 3)
