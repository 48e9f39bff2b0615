"""REST operations of webhook endpoints and their deliveries."""

from typing import Annotated

from fastapi import Depends, Path, Query, Request

from application.edge.fields import Id
from application.edge.operation import Criticality, IfMatch
from application.edge.pages import Page, PageQuery
from application.edge.routes import Routes
from application.webhooks import schemas
from application.webhooks.use_cases import Webhooks

TAG = "webhooks"
BODY_BYTES = 32 * 1024

routes = Routes("webhooks")


async def webhooks_of(request: Request) -> Webhooks:
    """The use cases of this application."""
    found: Webhooks = request.app.state.webhooks
    return found


Uses = Annotated[Webhooks, Depends(webhooks_of)]
EndpointId = Annotated[Id, Path(description="The webhook endpoint.")]
DeliveryId = Annotated[Id, Path(description="The delivery.")]


@routes.post("/v1/webhook-endpoints", "webhook.manage", tag=TAG, status=201, body_bytes=BODY_BYTES)
async def create_webhook_endpoint(body: schemas.WebhookEndpointBody, webhooks: Uses) -> schemas.WebhookSecretView:
    """Hear of events at a URL of yours (Standard Webhooks); the answer tells the secret, once."""
    return await webhooks.create(body)


@routes.get("/v1/webhook-endpoints", "webhook.read", tag=TAG)
async def list_webhook_endpoints(
    query: Annotated[PageQuery, Query()], webhooks: Uses
) -> Page[schemas.WebhookEndpointView]:
    """A page of the endpoints, in the order of their creation."""
    return await webhooks.endpoints(query)


@routes.get("/v1/webhook-endpoints/{endpoint_id}", "webhook.read", tag=TAG)
async def get_webhook_endpoint(endpoint_id: EndpointId, webhooks: Uses) -> schemas.WebhookEndpointView:
    """One endpoint."""
    return await webhooks.endpoint(endpoint_id)


@routes.patch(
    "/v1/webhook-endpoints/{endpoint_id}",
    "webhook.manage",
    tag=TAG,
    if_match=IfMatch.REQUIRED,
    body_bytes=BODY_BYTES,
)
async def update_webhook_endpoint(
    endpoint_id: EndpointId, body: schemas.WebhookEndpointChangeBody, webhooks: Uses
) -> schemas.WebhookEndpointView:
    """Change the address, the description or which events it hears of."""
    return await webhooks.update(endpoint_id, body)


@routes.post("/v1/webhook-endpoints/{endpoint_id}/rotate-secret", "webhook.manage", tag=TAG, if_match=IfMatch.OPTIONAL)
async def rotate_webhook_secret(
    endpoint_id: EndpointId, webhooks: Uses, body: schemas.RotateSecretBody | None = None
) -> schemas.WebhookSecretView:
    """Sign with a new secret; the one before signs too for a day, or as long as the body says."""
    return await webhooks.rotate(endpoint_id, body or schemas.RotateSecretBody())


@routes.post("/v1/webhook-endpoints/{endpoint_id}/enable", "webhook.manage", tag=TAG, if_match=IfMatch.OPTIONAL)
async def enable_webhook_endpoint(endpoint_id: EndpointId, webhooks: Uses) -> schemas.WebhookEndpointView:
    """Hear of events again; deliveries that waited are tried now."""
    return await webhooks.enable(endpoint_id)


@routes.post("/v1/webhook-endpoints/{endpoint_id}/disable", "webhook.manage", tag=TAG, if_match=IfMatch.OPTIONAL)
async def disable_webhook_endpoint(endpoint_id: EndpointId, webhooks: Uses) -> schemas.WebhookEndpointView:
    """Hear of events no more; deliveries that are under way wait until it is enabled again."""
    return await webhooks.disable(endpoint_id)


@routes.delete("/v1/webhook-endpoints/{endpoint_id}", "webhook.manage", tag=TAG, if_match=IfMatch.OPTIONAL)
async def delete_webhook_endpoint(endpoint_id: EndpointId, webhooks: Uses) -> schemas.WebhookEndpointDeletedView:
    """Remove an endpoint with its secrets and its log."""
    return await webhooks.delete(endpoint_id)


@routes.post("/v1/webhook-endpoints/{endpoint_id}/test", "webhook.manage", tag=TAG, status=202)
async def test_webhook_endpoint(endpoint_id: EndpointId, webhooks: Uses) -> schemas.WebhookPingView:
    """Send a ping (`muster.delivery.v1.WebhookPing`) to this endpoint; the log tells what came of it."""
    return await webhooks.test(endpoint_id)


@routes.get(
    "/v1/webhook-endpoints/{endpoint_id}/deliveries",
    "webhook.read",
    tag=TAG,
    criticality=Criticality.DEFERRABLE,
)
async def list_webhook_deliveries(
    endpoint_id: EndpointId, query: Annotated[schemas.DeliveriesQuery, Query()], webhooks: Uses
) -> Page[schemas.WebhookDeliveryView]:
    """A page of the deliveries of the last 30 days, newest event first."""
    return await webhooks.deliveries(endpoint_id, query)


@routes.get("/v1/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}", "webhook.read", tag=TAG)
async def get_webhook_delivery(
    endpoint_id: EndpointId, delivery_id: DeliveryId, webhooks: Uses
) -> schemas.WebhookDeliveryLogView:
    """One delivery with its attempts."""
    return await webhooks.delivery(endpoint_id, delivery_id)


@routes.post(
    "/v1/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}/resend", "webhook.manage", tag=TAG, status=202
)
async def resend_webhook_delivery(
    endpoint_id: EndpointId, delivery_id: DeliveryId, webhooks: Uses
) -> schemas.WebhookDeliveryView:
    """Try one delivery now, under the same `webhook-id`, whatever became of it."""
    return await webhooks.resend(endpoint_id, delivery_id)
