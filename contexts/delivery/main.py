"""Runs the delivery data service: webhook endpoints, and the loop that sends to them."""

from pathlib import Path

from muster.delivery.v1 import webhook_delivery_pb2_grpc, webhook_endpoint_pb2_grpc

from chassis.jobs.job import Job
from chassis.jobs.times import Every
from chassis.service import DataService, Opened, Parts, open_cipher
from contexts.delivery.adapters.sending import TIDY_MINUTES
from contexts.delivery.container import Container
from contexts.delivery.repository.tables import metadata


async def build(opened: Opened) -> Parts:
    """Wire the context."""
    container = Container(
        settings=opened.settings,
        database=opened.database,
        cipher=open_cipher(opened.settings, SERVICE.name),
        committed=opened.committed,
    )
    sender = container.sender()
    return Parts(
        [
            (webhook_endpoint_pb2_grpc.add_WebhookEndpointServiceServicer_to_server, container.endpoints()),
            (webhook_delivery_pb2_grpc.add_WebhookDeliveryServiceServicer_to_server, container.deliveries()),
        ],
        loops={"sender": sender.run},
        jobs=[Job("tidying", Every(minutes=TIDY_MINUTES), lambda _: sender.tidy())],
    )


SERVICE = DataService("delivery", metadata, Path(__file__).parent / "repository" / "migrations" / "versions", build)
serve = SERVICE.serve
