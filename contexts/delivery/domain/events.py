"""What happened to webhook endpoints. What is sent to them is no event: nobody hears of a delivery but its receiver."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class WebhookEndpointCreated:
    """An endpoint exists."""

    endpoint_id: UUID


@dataclass(frozen=True, slots=True)
class WebhookEndpointUpdated:
    """Its address, description or event types were changed."""

    endpoint_id: UUID


@dataclass(frozen=True, slots=True)
class WebhookSecretRotated:
    """It signs with a new secret."""

    endpoint_id: UUID


@dataclass(frozen=True, slots=True)
class WebhookEndpointEnabled:
    """It hears of events again."""

    endpoint_id: UUID


@dataclass(frozen=True, slots=True)
class WebhookEndpointDisabled:
    """It hears of events no more."""

    endpoint_id: UUID
    because: str


@dataclass(frozen=True, slots=True)
class WebhookEndpointDeleted:
    """It is gone."""

    endpoint_id: UUID
