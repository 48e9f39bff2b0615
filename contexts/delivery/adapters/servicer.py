"""Delivery's gRPC services: decode, run the handler, encode."""

import secrets
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, cast
from uuid import UUID

from muster.delivery.v1 import (
    webhook_delivery_pb2,
    webhook_delivery_pb2_grpc,
    webhook_endpoint_pb2,
    webhook_endpoint_pb2_grpc,
)

from chassis.principal import current_call
from chassis.unit_of_work import Commands, Queries
from contexts.delivery.adapters import codec
from contexts.delivery.domain.destination import DialRule
from contexts.delivery.domain.errors import ForProcesses
from contexts.delivery.domain.secret import KEY_BYTES
from contexts.delivery.handlers import deliveries, endpoints
from contexts.delivery.repository.port import DeliveryLog, Message
from kernel.clock import Clock
from kernel.ids import TenantId

Wake = Callable[[], None]
Interested = Callable[[Collection[TenantId]], Awaitable[Sequence[TenantId]]]


def for_processes() -> None:
    """Raises ForProcesses where no process of the installation calls."""
    if not current_call().principal.subject.startswith("process:"):
        raise ForProcesses("only the application may do this, about what was published")


class WebhookEndpointServicer(webhook_endpoint_pb2_grpc.WebhookEndpointServiceServicer):
    """Endpoints and their secrets; stored answers are sealed, for some of them tell a secret."""

    def __init__(
        self, commands: "Commands[Any]", queries: Queries[DeliveryLog], rule: DialRule, clock: Clock, wake: Wake
    ) -> None:
        self._commands = commands
        self._queries = queries
        self._rule = rule
        self._clock = clock
        self._wake = wake

    async def CreateWebhookEndpoint(
        self, request: webhook_endpoint_pb2.CreateWebhookEndpointRequest, context: Any
    ) -> webhook_endpoint_pb2.CreateWebhookEndpointResponse:
        """See the proto."""
        cmd = codec.create_from(request, self._rule, secrets.token_bytes(KEY_BYTES))
        answer = await self._commands.run(
            lambda work: endpoints.create_endpoint(cmd, work),
            lambda made: webhook_endpoint_pb2.CreateWebhookEndpointResponse(
                endpoint=self._shown(made[0]), secret=made[1].text
            ),
        )
        return cast(webhook_endpoint_pb2.CreateWebhookEndpointResponse, answer)

    async def GetWebhookEndpoint(
        self, request: webhook_endpoint_pb2.GetWebhookEndpointRequest, context: Any
    ) -> webhook_endpoint_pb2.GetWebhookEndpointResponse:
        """See the proto."""
        endpoint_id = codec.endpoint_id_from(request.endpoint_id)
        shown = await self._queries.run(lambda log: endpoints.get_endpoint(endpoint_id, log))
        return webhook_endpoint_pb2.GetWebhookEndpointResponse(endpoint=self._shown(shown))

    async def ListWebhookEndpoints(
        self, request: webhook_endpoint_pb2.ListWebhookEndpointsRequest, context: Any
    ) -> webhook_endpoint_pb2.ListWebhookEndpointsResponse:
        """See the proto."""
        after, limit = codec.endpoint_page(request)
        found = await self._queries.run(lambda log: endpoints.list_endpoints(after, limit, log))
        return codec.endpoint_page_to_proto(found, limit, self._clock.now())

    async def UpdateWebhookEndpoint(
        self, request: webhook_endpoint_pb2.UpdateWebhookEndpointRequest, context: Any
    ) -> webhook_endpoint_pb2.UpdateWebhookEndpointResponse:
        """See the proto."""
        cmd = codec.update_from(request, self._rule)
        answer = await self._commands.run(
            lambda work: endpoints.update_endpoint(cmd, work),
            lambda shown: webhook_endpoint_pb2.UpdateWebhookEndpointResponse(endpoint=self._shown(shown)),
        )
        return cast(webhook_endpoint_pb2.UpdateWebhookEndpointResponse, answer)

    async def RotateWebhookSecret(
        self, request: webhook_endpoint_pb2.RotateWebhookSecretRequest, context: Any
    ) -> webhook_endpoint_pb2.RotateWebhookSecretResponse:
        """See the proto."""
        cmd = codec.rotate_from(request, secrets.token_bytes(KEY_BYTES))
        answer = await self._commands.run(
            lambda work: endpoints.rotate_secret(cmd, work),
            lambda made: webhook_endpoint_pb2.RotateWebhookSecretResponse(
                endpoint=self._shown(made[0]), secret=made[1].text
            ),
        )
        return cast(webhook_endpoint_pb2.RotateWebhookSecretResponse, answer)

    async def EnableWebhookEndpoint(
        self, request: webhook_endpoint_pb2.EnableWebhookEndpointRequest, context: Any
    ) -> webhook_endpoint_pb2.EnableWebhookEndpointResponse:
        """See the proto."""
        cmd = codec.change_from(request)
        answer = await self._commands.run(
            lambda work: endpoints.enable_endpoint(cmd, work),
            lambda shown: webhook_endpoint_pb2.EnableWebhookEndpointResponse(endpoint=self._shown(shown)),
        )
        self._wake()
        return cast(webhook_endpoint_pb2.EnableWebhookEndpointResponse, answer)

    async def DisableWebhookEndpoint(
        self, request: webhook_endpoint_pb2.DisableWebhookEndpointRequest, context: Any
    ) -> webhook_endpoint_pb2.DisableWebhookEndpointResponse:
        """See the proto."""
        cmd = codec.change_from(request)
        answer = await self._commands.run(
            lambda work: endpoints.disable_endpoint(cmd, work),
            lambda shown: webhook_endpoint_pb2.DisableWebhookEndpointResponse(endpoint=self._shown(shown)),
        )
        return cast(webhook_endpoint_pb2.DisableWebhookEndpointResponse, answer)

    async def DeleteWebhookEndpoint(
        self, request: webhook_endpoint_pb2.DeleteWebhookEndpointRequest, context: Any
    ) -> webhook_endpoint_pb2.DeleteWebhookEndpointResponse:
        """See the proto."""
        cmd = codec.change_from(request)
        answer = await self._commands.run(
            lambda work: endpoints.delete_endpoint(cmd, work),
            lambda endpoint_id: webhook_endpoint_pb2.DeleteWebhookEndpointResponse(endpoint_id=str(endpoint_id)),
        )
        return cast(webhook_endpoint_pb2.DeleteWebhookEndpointResponse, answer)

    async def TestWebhookEndpoint(
        self, request: webhook_endpoint_pb2.TestWebhookEndpointRequest, context: Any
    ) -> webhook_endpoint_pb2.TestWebhookEndpointResponse:
        """See the proto."""
        endpoint_id = codec.endpoint_id_from(request.endpoint_id)
        message = Message(UUID(request.event_id), request.type, request.body)
        answer = await self._commands.run(
            lambda work: deliveries.test_endpoint(endpoint_id, message, work),
            lambda ping: webhook_endpoint_pb2.TestWebhookEndpointResponse(delivery_id=str(ping.id)),
        )
        self._wake()
        return cast(webhook_endpoint_pb2.TestWebhookEndpointResponse, answer)

    def _shown(self, shown: endpoints.Shown) -> webhook_endpoint_pb2.WebhookEndpoint:
        return codec.endpoint_to_proto(shown, self._clock.now())


class WebhookDeliveryServicer(webhook_delivery_pb2_grpc.WebhookDeliveryServiceServicer):
    """What is sent, and its log."""

    def __init__(
        self, commands: "Commands[Any]", queries: Queries[DeliveryLog], interested: Interested, wake: Wake
    ) -> None:
        self._commands = commands
        self._queries = queries
        self._interested = interested
        self._wake = wake

    async def ListInterestedTenants(
        self, request: webhook_delivery_pb2.ListInterestedTenantsRequest, context: Any
    ) -> webhook_delivery_pb2.ListInterestedTenantsResponse:
        """See the proto."""
        for_processes()
        found = await self._interested([TenantId(UUID(one)) for one in request.tenant_ids])
        return webhook_delivery_pb2.ListInterestedTenantsResponse(tenant_ids=[str(one) for one in found])

    async def EnsureDeliveries(
        self, request: webhook_delivery_pb2.EnsureDeliveriesRequest, context: Any
    ) -> webhook_delivery_pb2.EnsureDeliveriesResponse:
        """See the proto."""
        for_processes()
        messages = codec.messages_from(request.events)
        answer = await self._commands.run(
            lambda work: deliveries.ensure_deliveries(messages, work),
            lambda added: webhook_delivery_pb2.EnsureDeliveriesResponse(added=added),
        )
        self._wake()
        return cast(webhook_delivery_pb2.EnsureDeliveriesResponse, answer)

    async def ListDeliveries(
        self, request: webhook_delivery_pb2.ListDeliveriesRequest, context: Any
    ) -> webhook_delivery_pb2.ListDeliveriesResponse:
        """See the proto."""
        query = codec.find_from(request)
        found = await self._queries.run(lambda log: deliveries.find_deliveries(query, log))
        return codec.delivery_page_to_proto(found, query.limit)

    async def GetDelivery(
        self, request: webhook_delivery_pb2.GetDeliveryRequest, context: Any
    ) -> webhook_delivery_pb2.GetDeliveryResponse:
        """See the proto."""
        endpoint_id, delivery_id = _ids(request)
        found, attempts = await self._queries.run(lambda log: deliveries.get_delivery(endpoint_id, delivery_id, log))
        return webhook_delivery_pb2.GetDeliveryResponse(
            delivery=codec.delivery_to_proto(found), attempts=[codec.attempt_to_proto(one) for one in attempts]
        )

    async def ResendDelivery(
        self, request: webhook_delivery_pb2.ResendDeliveryRequest, context: Any
    ) -> webhook_delivery_pb2.ResendDeliveryResponse:
        """See the proto."""
        endpoint_id, delivery_id = _ids(request)
        answer = await self._commands.run(
            lambda work: deliveries.resend_delivery(endpoint_id, delivery_id, work),
            lambda again: webhook_delivery_pb2.ResendDeliveryResponse(delivery=codec.delivery_to_proto(again)),
        )
        self._wake()
        return cast(webhook_delivery_pb2.ResendDeliveryResponse, answer)


def _ids(
    request: webhook_delivery_pb2.GetDeliveryRequest | webhook_delivery_pb2.ResendDeliveryRequest,
) -> tuple[Any, Any]:
    return codec.endpoint_id_from(request.endpoint_id), codec.delivery_id_from(request.delivery_id)
