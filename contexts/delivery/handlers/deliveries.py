"""Commands and queries about what is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from contexts.delivery.domain.delivery import Attempt, Delivery, DeliveryId, DeliveryStatus
from contexts.delivery.domain.endpoint import EndpointId
from contexts.delivery.repository.port import DeliveryLog, DeliveryWork, Message

SHOWN_ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class FindDeliveries:
    """A page of an endpoint's deliveries."""

    endpoint_id: EndpointId
    status: DeliveryStatus | None
    before: UUID | None
    limit: int


async def ensure_deliveries(messages: Sequence[Message], work: DeliveryWork) -> int:
    """One delivery for each event and each enabled endpoint that wants it; how many are new."""
    endpoints = await work.endpoints.enabled()
    at = work.now()
    wanted = [
        Delivery.due(endpoint.id, message.event_id, message.event_type, at)
        for message in messages
        for endpoint in endpoints
        if endpoint.event_types.include(message.event_type)
    ]
    known = await work.deliveries.known([one.id for one in wanted])
    fresh = [one for one in wanted if one.id not in known]
    await _add(messages, fresh, work)
    return len(fresh)


async def test_endpoint(endpoint_id: EndpointId, message: Message, work: DeliveryWork) -> Delivery:
    """Send one message there, whatever it wants. Raises WebhookEndpointNotFound, WebhookEndpointStatus."""
    endpoint = await work.endpoints.get(endpoint_id)
    endpoint.check_enabled()
    ping = Delivery.due(endpoint_id, message.event_id, message.event_type, work.now())
    await _add([message], [ping], work)
    work.note(f"webhook_endpoint/{endpoint_id}", "ping")
    return ping


async def resend_delivery(endpoint_id: EndpointId, delivery_id: DeliveryId, work: DeliveryWork) -> Delivery:
    """Try it now. Raises WebhookEndpointNotFound, WebhookEndpointStatus, WebhookDeliveryNotFound."""
    endpoint = await work.endpoints.get(endpoint_id)
    endpoint.check_enabled()
    for lane in await work.lanes.locked([endpoint_id]):
        await work.lanes.save(lane.hurried(work.now()))
    delivery = (await work.deliveries.get(endpoint_id, delivery_id)).again(work.now())
    await work.deliveries.save(delivery)
    work.note(f"webhook_delivery/{delivery_id}", "resend")
    return delivery


async def find_deliveries(query: FindDeliveries, log: DeliveryLog) -> Sequence[Delivery]:
    """One page, newest event first. Raises WebhookEndpointNotFound."""
    return await log.deliveries(query.endpoint_id, query.status, query.before, query.limit)


async def get_delivery(
    endpoint_id: EndpointId, delivery_id: DeliveryId, log: DeliveryLog
) -> tuple[Delivery, Sequence[Attempt]]:
    """Raises WebhookDeliveryNotFound."""
    return await log.delivery(endpoint_id, delivery_id, SHOWN_ATTEMPTS)


async def _add(messages: Sequence[Message], fresh: Sequence[Delivery], work: DeliveryWork) -> None:
    if not fresh:
        return
    # The lanes first: whoever gives one back now would not see what is added, and would put it to rest.
    lanes = await work.lanes.locked({EndpointId(one.endpoint_id) for one in fresh})
    carried = {one.event_id for one in fresh}
    await work.deliveries.add([one for one in messages if one.event_id in carried], fresh)
    for lane in lanes:
        woken = lane.woken(work.now())
        if woken != lane:
            await work.lanes.save(woken)
