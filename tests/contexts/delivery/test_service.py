"""The delivery service over gRPC, on SQLite and MariaDB, with the process of the application that feeds it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from muster.delivery.v1 import (
    webhook_delivery_pb2,
    webhook_delivery_pb2_grpc,
    webhook_endpoint_pb2,
    webhook_endpoint_pb2_grpc,
)
from muster.organization.v1 import events_pb2
from prometheus_client import REGISTRY

from application.webhooks.processes import Deliveries
from chassis import migrations
from chassis.assertion import Signer, prepare_keys
from chassis.bus.port import Entry
from chassis.database import Database
from chassis.keyring import FileKeyring
from chassis.lifecycle import Listener
from chassis.principal import Principal
from chassis.rpc.channels import Channels, Client
from chassis.rpc.error_map import RemoteError, http_of
from chassis.settings import Settings
from contexts.delivery.main import SERVICE, serve
from contexts.delivery.repository.tables import metadata
from kernel.ids import TenantId, tenant_id_of

ACME, OTHER = tenant_id_of("acme"), tenant_id_of("other")
METHODS = "muster.delivery.v1.WebhookDeliveryService/"


@dataclass(frozen=True, slots=True)
class Service:
    """A running service and its client."""

    client: Client
    endpoints: Any
    deliveries: Any

    async def __call__(self, method: Any, request: Any, *, request_id: UUID | None = None) -> Any:
        """A call by an owner of acme."""
        if "request_id" in request.DESCRIPTOR.fields_by_name:
            request_id = request_id or uuid4()
            request.request_id = str(request_id)
        principal = Principal(ACME, str(UUID(int=1)), frozenset({"owner"}))
        return await self.client.call(method, request, principal=principal, request_id=request_id)

    async def create(self, url: str = "https://hooks.example.com/", **more: Any) -> Any:
        request = webhook_endpoint_pb2.CreateWebhookEndpointRequest(url=url, disabled=False, **more)
        return await self(self.endpoints.CreateWebhookEndpoint, request)

    async def listed(self, endpoint_id: str) -> Any:
        request = webhook_delivery_pb2.ListDeliveriesRequest(endpoint_id=endpoint_id, page_size=1000)
        return (await self(self.deliveries.ListDeliveries, request)).deliveries


@pytest.fixture(params=["sqlite", "mariadb"])
async def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    made = Settings.embedded(tmp_path / "data")
    made.data_dir.mkdir()
    prepare_keys(made)
    if request.param == "mariadb":
        url = request.getfixturevalue("mariadb").create_database(f"delivery_{uuid4().hex[:12]}")
        made = Settings.embedded(made.data_dir, database_urls={SERVICE.name: url})
        FileKeyring.open_or_create(made.keyring)
        database = Database(url, metadata)
        await migrations.upgrade(database, SERVICE.name, SERVICE.versions)
        await database.close()
    return made


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Service]:
    running = await serve(settings, Listener())
    channels = Channels(settings, Signer.open(settings), {SERVICE.name: running.address})
    client = channels.to(SERVICE.name)
    yield Service(
        client,
        client.stub(webhook_endpoint_pb2_grpc.WebhookEndpointServiceStub),
        client.stub(webhook_delivery_pb2_grpc.WebhookDeliveryServiceStub),
    )
    await channels.close()
    await running.stop(1.0)


def hired(tenant_id: TenantId, position: int) -> Entry:
    """A published event."""
    event = events_pb2.EmployeeHiredEvent(employee_id=str(UUID(int=position)))
    return Entry(
        position=position,
        event_id=str(uuid4()),
        tenant_id=str(tenant_id),
        type=event.DESCRIPTOR.full_name,
        aggregate_type="employee",
        aggregate_id=str(UUID(int=position)),
        aggregate_version=1,
        occurred_time=Timestamp(seconds=1_795_827_600),
        payload=event.SerializeToString(),
    )


def calls(method: str) -> float:
    """How often the service was asked this so far."""
    labels = {"method": METHODS + method, "code": "OK"}
    return REGISTRY.get_sample_value("muster_rpc_server_seconds_count", labels) or 0.0


async def test_the_migrated_schema_is_that_of_the_tables(settings: Settings) -> None:
    database = Database(settings.database_url(SERVICE.name), metadata)
    await migrations.upgrade(database, SERVICE.name, SERVICE.versions)

    assert await migrations.differences(database, SERVICE.name) == []
    await database.close()


async def test_a_storm_of_events_that_nobody_listens_to_costs_a_question_now_and_then(service: Service) -> None:
    deliveries = Deliveries(service.client)
    asked, told = calls("ListInterestedTenants"), calls("EnsureDeliveries")

    await asyncio.gather(*(deliveries.ensure("organization", hired(OTHER, n)) for n in range(1, 401)))

    assert 1 <= calls("ListInterestedTenants") - asked <= 20
    assert calls("EnsureDeliveries") == told


async def test_events_of_who_listens_are_delivered_once_however_often_they_are_told(service: Service) -> None:
    made = await service.create()
    deliveries = Deliveries(service.client)
    events = [hired(tenant_id, n) for n in range(1, 131) for tenant_id in (ACME, OTHER)]

    for _ in range(2):
        await asyncio.gather(*(deliveries.ensure("organization", entry) for entry in events))

    found = await service.listed(made.endpoint.endpoint_id)
    assert {one.event_id for one in found} == {one.event_id for one in events if one.tenant_id == str(ACME)}
    assert len(found) == 130


async def test_an_endpoint_hears_of_what_is_published_right_after_its_creation(service: Service) -> None:
    deliveries = Deliveries(service.client)
    await deliveries.ensure("organization", hired(ACME, 1))

    made = await service.create()
    await deliveries.ensure("organization", hired(ACME, 2))

    assert len(await service.listed(made.endpoint.endpoint_id)) == 1


async def test_a_service_that_cannot_be_reached_fails_the_events_that_wait_and_no_others(service: Service) -> None:
    deliveries = Deliveries(service.client)
    lost = asyncio.create_task(deliveries.ensure("organization", hired(ACME, 1)))
    await asyncio.sleep(0)
    with_it = asyncio.create_task(deliveries.ensure("organization", hired(ACME, 2)))
    await asyncio.sleep(0)

    lost.cancel()

    with pytest.raises(ConnectionError):
        await with_it
    await deliveries.ensure("organization", hired(ACME, 3))


async def test_a_secret_is_told_once_and_again_for_the_same_request_only(service: Service, settings: Settings) -> None:
    request_id = uuid4()
    request = webhook_endpoint_pb2.CreateWebhookEndpointRequest(url="https://hooks.example.com/canary-path")
    made = await service(service.endpoints.CreateWebhookEndpoint, request, request_id=request_id)
    again = await service(service.endpoints.CreateWebhookEndpoint, request, request_id=request_id)
    shown = await service(
        service.endpoints.GetWebhookEndpoint,
        webhook_endpoint_pb2.GetWebhookEndpointRequest(endpoint_id=made.endpoint.endpoint_id),
    )

    assert again == made
    assert made.secret.startswith("whsec_")
    assert made.secret not in str(shown)
    if settings.database_url(SERVICE.name).startswith("sqlite"):
        stored = b"".join(path.read_bytes() for path in settings.data_dir.glob(f"{SERVICE.name}*"))
        assert b"canary-path" not in stored
        assert made.secret.encode() not in stored


async def test_a_tenant_has_twenty_endpoints_at_most(service: Service) -> None:
    for _ in range(20):
        await service.create()

    with pytest.raises(RemoteError) as refused:
        await service.create()

    assert (refused.value.reason, http_of(refused.value.kind)) == ("TOO_MANY_WEBHOOK_ENDPOINTS", 409)


async def test_only_a_process_says_what_was_published(service: Service) -> None:
    event = webhook_delivery_pb2.OutgoingEvent(event_id=str(uuid4()), type="a.B", body=b"{}")
    for method, request in (
        (service.deliveries.EnsureDeliveries, webhook_delivery_pb2.EnsureDeliveriesRequest(events=[event])),
        (
            service.deliveries.ListInterestedTenants,
            webhook_delivery_pb2.ListInterestedTenantsRequest(tenant_ids=[str(ACME)]),
        ),
    ):
        with pytest.raises(RemoteError) as refused:
            await service(method, request)
        assert refused.value.reason == "PROCESS_ONLY"
