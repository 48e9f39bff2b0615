"""Commands and queries about webhook endpoints."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from contexts.delivery.domain.destination import Destination
from contexts.delivery.domain.endpoint import (
    MOST_ENDPOINTS,
    Because,
    EndpointId,
    EndpointState,
    EventTypes,
    WebhookEndpoint,
)
from contexts.delivery.domain.errors import TooManyWebhookEndpoints
from contexts.delivery.domain.lane import Lane
from contexts.delivery.domain.secret import Secret, SecretId
from contexts.delivery.repository.port import DeliveryLog, DeliveryWork
from kernel.ids import Version

ENDPOINTS = "webhook_endpoints"  # the set rule "at most so many" holds under this lock

Shown = tuple[EndpointState, Lane]


@dataclass(frozen=True, slots=True)
class CreateEndpoint:
    """Hear of events somewhere. `key`: the random bytes of its first secret."""

    place: Destination
    description: str
    event_types: EventTypes
    disabled: bool
    key: bytes


@dataclass(frozen=True, slots=True)
class UpdateEndpoint:
    """Change what is not None."""

    endpoint_id: EndpointId
    seen: Version | None
    place: Destination | None
    description: str | None
    event_types: EventTypes | None


@dataclass(frozen=True, slots=True)
class RotateSecret:
    """Sign with a new secret of these random bytes."""

    endpoint_id: EndpointId
    seen: Version | None
    overlap: timedelta
    key: bytes


@dataclass(frozen=True, slots=True)
class ChangeStatus:
    """Enable, disable or delete."""

    endpoint_id: EndpointId
    seen: Version | None


async def create_endpoint(cmd: CreateEndpoint, work: DeliveryWork) -> tuple[Shown, Secret]:
    """Raises TooManyWebhookEndpoints."""
    await work.lock(ENDPOINTS)
    if await work.endpoints.count() >= MOST_ENDPOINTS:
        raise TooManyWebhookEndpoints(f"a tenant has at most {MOST_ENDPOINTS} webhook endpoints; delete one first")
    at = work.now()
    secret = Secret(SecretId(work.new_id()), cmd.key, at)
    endpoint = WebhookEndpoint.create(
        EndpointId(work.new_id()),
        cmd.place,
        secret,
        at,
        description=cmd.description,
        event_types=cmd.event_types,
        disabled=cmd.disabled,
    )
    await work.endpoints.add(endpoint)
    return (endpoint.state, Lane(endpoint.state.id)), secret


async def update_endpoint(cmd: UpdateEndpoint, work: DeliveryWork) -> Shown:
    """Raises WebhookEndpointNotFound, Stale."""
    endpoint = await work.endpoints.get(cmd.endpoint_id, seen=cmd.seen)
    endpoint.update(place=cmd.place, description=cmd.description, event_types=cmd.event_types)
    await work.endpoints.save(endpoint)
    return endpoint.state, await _lane(cmd.endpoint_id, work)


async def rotate_secret(cmd: RotateSecret, work: DeliveryWork) -> tuple[Shown, Secret]:
    """Raises WebhookEndpointNotFound, Stale, TooManyWebhookSecrets."""
    endpoint = await work.endpoints.get(cmd.endpoint_id, seen=cmd.seen)
    secret = Secret(SecretId(work.new_id()), cmd.key, work.now())
    endpoint.rotate(secret, secret.created_time, cmd.overlap)
    await work.endpoints.save(endpoint)
    return (endpoint.state, await _lane(cmd.endpoint_id, work)), secret


async def enable_endpoint(cmd: ChangeStatus, work: DeliveryWork) -> Shown:
    """What waited is due now, and old failures are forgotten. Raises WebhookEndpointNotFound, Stale,
    WebhookEndpointStatus."""
    endpoint = await work.endpoints.get(cmd.endpoint_id, seen=cmd.seen)
    endpoint.enable()
    await work.endpoints.save(endpoint)
    before = await _lane(cmd.endpoint_id, work)
    lane = Lane(cmd.endpoint_id, before.due_time, before.lease_id).hurried(work.now())
    await work.lanes.save(lane)
    return endpoint.state, lane


async def disable_endpoint(cmd: ChangeStatus, work: DeliveryWork) -> Shown:
    """Raises WebhookEndpointNotFound, Stale, WebhookEndpointStatus."""
    endpoint = await work.endpoints.get(cmd.endpoint_id, seen=cmd.seen)
    endpoint.disable(Because.REQUESTED)
    await work.endpoints.save(endpoint)
    return endpoint.state, await _lane(cmd.endpoint_id, work)


async def delete_endpoint(cmd: ChangeStatus, work: DeliveryWork) -> EndpointId:
    """Raises WebhookEndpointNotFound, Stale."""
    endpoint = await work.endpoints.get(cmd.endpoint_id, seen=cmd.seen)
    endpoint.delete()
    await work.endpoints.save(endpoint)
    return cmd.endpoint_id


async def get_endpoint(endpoint_id: EndpointId, log: DeliveryLog) -> Shown:
    """Raises WebhookEndpointNotFound."""
    return await log.endpoint(endpoint_id)


async def list_endpoints(after: EndpointId | None, limit: int, log: DeliveryLog) -> Sequence[Shown]:
    """One page, in the order of creation."""
    return await log.endpoints(after, limit)


async def _lane(endpoint_id: EndpointId, work: DeliveryWork) -> Lane:
    return (await work.lanes.locked([endpoint_id]))[0]
