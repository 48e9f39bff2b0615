"""Work that parks in a running installation: a consumer's word, told to the publisher's feed as the consumer does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from muster.event.v1 import event_feed_pb2 as feed_pb2
from muster.event.v1 import event_feed_pb2_grpc

from chassis.assertion import Signer
from chassis.bus.consumer import feed_principal
from chassis.rpc.channels import Channels, Client
from chassis.settings import Settings
from interfaces.cli.data_folder import addresses_of_running
from tests.e2e.tenants import Company
from tests.support.deployment import SERVICES, Deployment

REASON = "FACT_OUT_OF_RANGE: the time zone is unknown: correct the workplace"


@asynccontextmanager
async def client_of(deployment: Deployment, service: str) -> AsyncIterator[Client]:
    """One of its data services, as a process of the installation calls it."""
    settings = Settings.read(deployment.environment, services=(*SERVICES, "application"))
    addresses = {**settings.addresses, **addresses_of_running(Path(settings.data_dir))}
    channels = Channels(settings, Signer.open(settings), addresses)
    try:
        yield channels.to(service)
    finally:
        await channels.close()


async def park_an_event_of(
    company: Company, employee_id: str, consumer: str = "people.roster", reason: str = REASON
) -> feed_pb2.ParkRequest:
    """Let a consumer set the hire of this employee aside, as if it could not be applied."""
    reader = f"test.{uuid4().hex[:12]}"
    async with client_of(company.deployment, "organization") as organization:
        stub, process = organization.stub(event_feed_pb2_grpc.EventFeedServiceStub), feed_principal("test")
        while True:
            page = await organization.call(
                stub.Read, feed_pb2.ReadRequest(consumer=reader, worker_id="test", limit=500), principal=process
            )
            assert page.entries, "the feed does not tell of this employee"
            for entry in page.entries:
                if entry.aggregate_id == employee_id and entry.tenant_id == company.tenant_id:
                    request = feed_pb2.ParkRequest(
                        consumer=consumer,
                        event_id=entry.event_id,
                        position=entry.position,
                        reason=f"{consumer}: {reason}",
                        attempts=5,
                    )
                    await organization.call(stub.Park, request, principal=process)
                    return request
            acked = feed_pb2.AckRequest(consumer=reader, worker_id="test", position=page.entries[-1].position)
            await organization.call(stub.Ack, acked, principal=process)
