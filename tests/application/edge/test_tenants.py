"""A company's zone and currency are remembered, and believed while identity is away."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from muster.identity.v1 import tenant_pb2, tenant_pb2_grpc

from application.edge.exchange import Exchange, enter, leave
from application.edge.tenants import FRESH_S, GOOD_FOR_S, Tenants
from chassis.assertion import Signer, prepare_keys
from chassis.lifecycle import Listener, Running
from chassis.principal import Principal
from chassis.rpc import server
from chassis.rpc.channels import Channels
from chassis.rpc.error_map import RemoteError
from chassis.settings import Settings
from kernel.ids import TenantId

TENANT = UUID("0192f0c0-0000-7000-8000-000000000001")


class Identity(tenant_pb2_grpc.TenantServiceServicer):
    """Answers who the tenant is."""

    async def GetTenant(self, request: tenant_pb2.GetTenantRequest, context: Any) -> tenant_pb2.GetTenantResponse:
        return tenant_pb2.GetTenantResponse(
            tenant=tenant_pb2.Tenant(tenant_id=str(TENANT), code="acme", home_zone="Asia/Shanghai", currency="CNY")
        )


@dataclass
class Edge:
    """The tenants as the edge knows them, the service behind them, and the clock."""

    tenants: Tenants
    identity: Running
    now_s: float = 0.0


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    settings = Settings.embedded(tmp_path / "data", request_deadline_s=2.0)
    prepare_keys(settings)
    answering = Identity()  # type: ignore[abstract]
    registration = (tenant_pb2_grpc.add_TenantServiceServicer_to_server, answering)
    running = await server.start(Listener(), [registration], name="identity", settings=settings)
    channels = Channels(settings, Signer.open(settings), {"identity": running.address})
    made = Edge(None, running)  # type: ignore[arg-type]
    made.tenants = Tenants(channels.to("identity"), monotonic=lambda: made.now_s)
    exchange = Exchange("trace", 0.0, principal=Principal(TenantId(TENANT), "somebody", frozenset({"hr_admin"})))
    token = enter(exchange)
    yield made
    leave(token)
    await channels.close()
    await running.stop(0.0)


@pytest.mark.parametrize("later_s", [FRESH_S + 1, GOOD_FOR_S - 1])
async def test_what_is_known_of_a_company_is_believed_while_identity_is_away(edge: Edge, later_s: float) -> None:
    known = await edge.tenants.mine()
    await edge.identity.stop(0.0)

    edge.now_s = later_s

    assert await edge.tenants.mine() == known


async def test_after_a_day_without_identity_nothing_is_believed(edge: Edge) -> None:
    await edge.tenants.mine()
    await edge.identity.stop(0.0)

    edge.now_s = GOOD_FOR_S + 1

    with pytest.raises(RemoteError):
        await edge.tenants.mine()


async def test_a_company_that_was_never_seen_needs_identity(edge: Edge) -> None:
    await edge.identity.stop(0.0)

    with pytest.raises(RemoteError):
        await edge.tenants.mine()
