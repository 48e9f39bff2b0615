"""Delivery's events as others may read them."""

from google.protobuf.message import Message
from muster.delivery.v1 import events_pb2

from contexts.delivery.domain.events import (
    WebhookEndpointCreated,
    WebhookEndpointDeleted,
    WebhookEndpointDisabled,
    WebhookEndpointEnabled,
    WebhookEndpointUpdated,
    WebhookSecretRotated,
)


def published(event: object) -> Message | None:
    """The published message of a domain event."""
    match event:
        case WebhookEndpointCreated():
            return events_pb2.WebhookEndpointCreatedEvent(endpoint_id=str(event.endpoint_id))
        case WebhookEndpointUpdated():
            return events_pb2.WebhookEndpointUpdatedEvent(endpoint_id=str(event.endpoint_id))
        case WebhookSecretRotated():
            return events_pb2.WebhookSecretRotatedEvent(endpoint_id=str(event.endpoint_id))
        case WebhookEndpointEnabled():
            return events_pb2.WebhookEndpointEnabledEvent(endpoint_id=str(event.endpoint_id))
        case WebhookEndpointDisabled():
            return events_pb2.WebhookEndpointDisabledEvent(endpoint_id=str(event.endpoint_id), reason=event.because)
        case WebhookEndpointDeleted():
            return events_pb2.WebhookEndpointDeletedEvent(endpoint_id=str(event.endpoint_id))
    return None
