"""What can be asked and changed about webhook endpoints."""

import os
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from muster.delivery.v1 import (
    events_pb2,
    webhook_delivery_pb2,
    webhook_delivery_pb2_grpc,
    webhook_endpoint_pb2,
    webhook_endpoint_pb2_grpc,
)

from application.edge.authorize import allow
from application.edge.calls import Calls
from application.edge.exchange import current_exchange
from application.edge.pages import Page, PageQuery
from application.edge.wire import from_enum, from_instant, to_enum
from application.events.cloud_events import facts_of
from application.webhooks import schemas
from chassis.clock import SystemClock
from chassis.rpc.channels import Client
from kernel.ids import uuid7

PING = events_pb2.WebhookPing.DESCRIPTOR.full_name


class Webhooks:
    """The use cases of webhook endpoints."""

    def __init__(self, delivery: Client) -> None:
        self._calls = Calls(delivery)
        self._endpoints = delivery.stub(webhook_endpoint_pb2_grpc.WebhookEndpointServiceStub)
        self._deliveries = delivery.stub(webhook_delivery_pb2_grpc.WebhookDeliveryServiceStub)
        self._clock = SystemClock()

    async def create(self, body: schemas.WebhookEndpointBody) -> schemas.WebhookSecretView:
        """A new endpoint with its secret."""
        allow("webhook.manage")
        request = webhook_endpoint_pb2.CreateWebhookEndpointRequest(
            url=body.url, description=body.description, event_types=body.event_types, disabled=not body.enabled
        )
        answer = await self._calls.write(self._endpoints.CreateWebhookEndpoint, request)
        current_exchange().located_at(f"/v1/webhook-endpoints/{answer.endpoint.endpoint_id}")
        return _with_secret(answer)

    async def endpoints(self, query: PageQuery) -> Page[schemas.WebhookEndpointView]:
        """A page of the endpoints."""
        allow("webhook.read")
        request = webhook_endpoint_pb2.ListWebhookEndpointsRequest(page_size=query.limit, page_token=query.cursor)
        answer = await self._calls.read(self._endpoints.ListWebhookEndpoints, request)
        return Page[schemas.WebhookEndpointView].model_construct(
            data=[schemas.WebhookEndpointView.model_construct(**endpoint_fields(one)) for one in answer.endpoints],
            next_cursor=answer.next_page_token or None,
        )

    async def endpoint(self, endpoint_id: UUID) -> schemas.WebhookEndpointView:
        """One endpoint."""
        allow("webhook.read")
        request = webhook_endpoint_pb2.GetWebhookEndpointRequest(endpoint_id=str(endpoint_id))
        return _shown(await self._calls.read(self._endpoints.GetWebhookEndpoint, request))

    async def update(self, endpoint_id: UUID, body: schemas.WebhookEndpointChangeBody) -> schemas.WebhookEndpointView:
        """Change what is given."""
        allow("webhook.manage")
        types = body.event_types
        request = webhook_endpoint_pb2.UpdateWebhookEndpointRequest(
            endpoint_id=str(endpoint_id),
            url=body.url,
            description=body.description,
            event_types=None if types is None else webhook_endpoint_pb2.EventTypes(values=types),
        )
        return _shown(await self._calls.write(self._endpoints.UpdateWebhookEndpoint, request))

    async def rotate(self, endpoint_id: UUID, body: schemas.RotateSecretBody) -> schemas.WebhookSecretView:
        """A new secret."""
        allow("webhook.manage")
        request = webhook_endpoint_pb2.RotateWebhookSecretRequest(
            endpoint_id=str(endpoint_id), overlap_minutes=body.overlap_minutes
        )
        answer = await self._calls.write(self._endpoints.RotateWebhookSecret, request)
        return _with_secret(answer)

    async def enable(self, endpoint_id: UUID) -> schemas.WebhookEndpointView:
        """Hear of events again."""
        allow("webhook.manage")
        request = webhook_endpoint_pb2.EnableWebhookEndpointRequest(endpoint_id=str(endpoint_id))
        return _shown(await self._calls.write(self._endpoints.EnableWebhookEndpoint, request))

    async def disable(self, endpoint_id: UUID) -> schemas.WebhookEndpointView:
        """Hear of events no more."""
        allow("webhook.manage")
        request = webhook_endpoint_pb2.DisableWebhookEndpointRequest(endpoint_id=str(endpoint_id))
        return _shown(await self._calls.write(self._endpoints.DisableWebhookEndpoint, request))

    async def delete(self, endpoint_id: UUID) -> schemas.WebhookEndpointDeletedView:
        """Remove an endpoint."""
        allow("webhook.manage")
        request = webhook_endpoint_pb2.DeleteWebhookEndpointRequest(endpoint_id=str(endpoint_id))
        answer = await self._calls.write(self._endpoints.DeleteWebhookEndpoint, request)
        return schemas.WebhookEndpointDeletedView.model_construct(id=UUID(answer.endpoint_id), status="DELETED")

    async def test(self, endpoint_id: UUID) -> schemas.WebhookPingView:
        """Send a ping."""
        allow("webhook.manage")
        now = self._clock.now()
        event_id = uuid7(now, os.urandom(10))
        tenant = str(current_exchange().caller.tenant_id)
        request = webhook_endpoint_pb2.TestWebhookEndpointRequest(
            endpoint_id=str(endpoint_id),
            event_id=str(event_id),
            type=PING,
            body=orjson.dumps(ping_of(endpoint_id, event_id, tenant, now)),
        )
        answer = await self._calls.write(self._endpoints.TestWebhookEndpoint, request)
        return schemas.WebhookPingView.model_construct(delivery_id=UUID(answer.delivery_id))

    async def deliveries(self, endpoint_id: UUID, query: schemas.DeliveriesQuery) -> Page[schemas.WebhookDeliveryView]:
        """A page of the log."""
        allow("webhook.read")
        request = webhook_delivery_pb2.ListDeliveriesRequest(
            endpoint_id=str(endpoint_id),
            status=to_enum(webhook_delivery_pb2.DeliveryStatus, "DELIVERY_STATUS_", query.status),
            page_size=query.limit,
            page_token=query.cursor,
        )
        answer = await self._calls.read(self._deliveries.ListDeliveries, request)
        return Page[schemas.WebhookDeliveryView].model_construct(
            data=[schemas.WebhookDeliveryView.model_construct(**delivery_fields(one)) for one in answer.deliveries],
            next_cursor=answer.next_page_token or None,
        )

    async def delivery(self, endpoint_id: UUID, delivery_id: UUID) -> schemas.WebhookDeliveryLogView:
        """One delivery with its attempts."""
        allow("webhook.read")
        request = webhook_delivery_pb2.GetDeliveryRequest(endpoint_id=str(endpoint_id), delivery_id=str(delivery_id))
        answer = await self._calls.read(self._deliveries.GetDelivery, request)
        return schemas.WebhookDeliveryLogView.model_construct(
            **delivery_fields(answer.delivery), attempts=[attempt_view(one) for one in answer.attempts]
        )

    async def resend(self, endpoint_id: UUID, delivery_id: UUID) -> schemas.WebhookDeliveryView:
        """Try one delivery now."""
        allow("webhook.manage")
        request = webhook_delivery_pb2.ResendDeliveryRequest(endpoint_id=str(endpoint_id), delivery_id=str(delivery_id))
        answer = await self._calls.write(self._deliveries.ResendDelivery, request)
        return schemas.WebhookDeliveryView.model_construct(**delivery_fields(answer.delivery))


def ping_of(endpoint_id: UUID, event_id: UUID, tenant_id: str, at: datetime) -> dict[str, Any]:
    """A ping as CloudEvents 1.0; it has no place in a feed, so no sequence."""
    return {
        "specversion": "1.0",
        "id": str(event_id),
        "source": "/muster/delivery",
        "type": PING,
        "subject": f"webhook_endpoint/{endpoint_id}",
        "time": at.isoformat().replace("+00:00", "Z"),
        "tenantid": tenant_id,
        "datacontenttype": "application/json",
        "data": facts_of(events_pb2.WebhookPing(endpoint_id=str(endpoint_id))),
    }


def _shown(answer: Any) -> schemas.WebhookEndpointView:
    current_exchange().has_version(answer.endpoint.etag)
    return schemas.WebhookEndpointView.model_construct(**endpoint_fields(answer.endpoint))


def _with_secret(
    answer: webhook_endpoint_pb2.CreateWebhookEndpointResponse | webhook_endpoint_pb2.RotateWebhookSecretResponse,
) -> schemas.WebhookSecretView:
    exchange = current_exchange()
    exchange.has_version(answer.endpoint.etag)
    exchange.headers.append((b"cache-control", b"no-store"))
    return schemas.WebhookSecretView.model_construct(**endpoint_fields(answer.endpoint), secret=answer.secret)


def endpoint_fields(endpoint: webhook_endpoint_pb2.WebhookEndpoint) -> dict[str, Any]:
    """An endpoint as answers show it."""
    kinds = webhook_endpoint_pb2
    return {
        "id": UUID(endpoint.endpoint_id),
        "url": endpoint.url,
        "description": endpoint.description,
        "event_types": list(endpoint.event_types),
        "status": from_enum(kinds.WebhookEndpointStatus, "WEBHOOK_ENDPOINT_STATUS_", endpoint.status),
        "disable_reason": from_enum(kinds.WebhookDisableReason, "WEBHOOK_DISABLE_REASON_", endpoint.disable_reason),
        "failing_since": from_instant(endpoint.failing_since),
        "secret_count": endpoint.secret_count,
        "old_secret_expires_at": from_instant(endpoint.old_secret_expire_time),
        "version": int(endpoint.etag or 0),
        "created_at": from_instant(endpoint.create_time),
    }


def delivery_fields(delivery: webhook_delivery_pb2.Delivery) -> dict[str, Any]:
    """A delivery as answers show it."""
    return {
        "id": UUID(delivery.delivery_id),
        "event_id": UUID(delivery.event_id),
        "event_type": delivery.event_type,
        "status": from_enum(webhook_delivery_pb2.DeliveryStatus, "DELIVERY_STATUS_", delivery.status),
        "tries": delivery.tries,
        "next_try_at": from_instant(delivery.next_try_time),
        "last_attempt": attempt_view(delivery.last_attempt) if delivery.HasField("last_attempt") else None,
        "created_at": from_instant(delivery.create_time),
    }


def attempt_view(attempt: webhook_delivery_pb2.Attempt) -> schemas.AttemptView:
    """One line of the log."""
    return schemas.AttemptView.model_construct(
        attempted_at=from_instant(attempt.attempt_time),
        status_code=attempt.status_code or None,
        error=from_enum(webhook_delivery_pb2.AttemptError, "ATTEMPT_ERROR_", attempt.error),
        duration_ms=attempt.duration_ms,
    )
