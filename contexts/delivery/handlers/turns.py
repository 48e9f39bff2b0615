"""The two transactions round a turn of an endpoint: take what is due, and write down what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from contexts.delivery.domain.delivery import Attempt, Delivery, DeliveryId, DeliveryStatus
from contexts.delivery.domain.endpoint import Because, EndpointId, EndpointState, Status
from contexts.delivery.domain.errors import WebhookDeliveryNotFound, WebhookEndpointNotFound
from contexts.delivery.domain.lane import Lane
from contexts.delivery.repository.port import DeliveryWork

KEPT = timedelta(days=30)  # as long as the feeds keep the events themselves
PURGED_ROWS = 500


@dataclass(frozen=True, slots=True)
class Room:
    """How many turns a worker can begin."""

    working: int
    ailing: int
    width: int  # deliveries of one turn of an endpoint that works
    lease: timedelta


@dataclass(frozen=True, slots=True)
class Turn:
    """What a worker may send to one endpoint until its lease is over."""

    endpoint: EndpointState
    lease_id: UUID
    deliveries: Sequence[tuple[Delivery, bytes]]
    ailing: bool


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt of a turn. `jitter_percent`: how far a pause after it strays from the schedule."""

    delivery_id: DeliveryId
    attempt: Attempt
    jitter_percent: int


async def take_turns(room: Room, work: DeliveryWork) -> Sequence[Turn]:
    """Hold lanes that are due, and what they have to send. Nothing is written about the deliveries themselves: a worker
    that dies leaves them as they were."""
    at = work.now()
    lanes = [
        *(await work.lanes.waiting(at, room.working, ailing=False) if room.working else ()),
        *(await work.lanes.waiting(at, room.ailing, ailing=True) if room.ailing else ()),
    ]
    enabled = {state.id: state for state in await work.endpoints.enabled()} if lanes else {}
    turns = []
    for lane in lanes:
        id = EndpointId(lane.endpoint_id)
        endpoint = enabled.get(id)
        due = await work.deliveries.due(id, at, 1 if lane.ailing else room.width) if endpoint else ()
        if endpoint is None or not due:
            next_due = await work.deliveries.next_due(id) if endpoint else None
            await work.lanes.save(lane.released((), at, next_due))
            continue
        held = lane.held(work.new_id(), at + room.lease)
        assert held.lease_id is not None
        await work.lanes.save(held)
        turns.append(Turn(endpoint, held.lease_id, due, lane.ailing))
    return turns


async def end_turn(
    endpoint_id: EndpointId, lease_id: UUID, sent: Sequence[Sent], schedule: Sequence[timedelta], work: DeliveryWork
) -> None:
    """Write down what the attempts brought, and give the lane back where it is still held."""
    at = work.now()
    lanes = await work.lanes.locked([endpoint_id])
    for one in sent:
        await _record(endpoint_id, one, schedule, work)
    lane = next((one for one in lanes if one.lease_id == lease_id), None)
    if lane is None:
        return  # the lease was over: another worker has the endpoint, and may have sent the same again
    attempts = [one.attempt for one in sent]
    released = lane.released(attempts, at, await work.deliveries.next_due(endpoint_id))
    if await _heed(endpoint_id, attempts, released, at, work):
        released = Lane(endpoint_id)
    await work.lanes.save(released)


async def tidy(before: datetime, work: DeliveryWork) -> int:
    """Drop up to 500 deliveries that are too old or whose endpoint is gone; how many."""
    purged = await work.deliveries.purge(before, PURGED_ROWS)
    if purged < PURGED_ROWS:
        await work.endpoints.forget_deleted()
    return purged


async def _record(endpoint_id: EndpointId, sent: Sent, schedule: Sequence[timedelta], work: DeliveryWork) -> None:
    try:
        delivery = await work.deliveries.get(endpoint_id, sent.delivery_id)
    except WebhookDeliveryNotFound:
        return
    await work.deliveries.note(delivery.id, sent.attempt, work.new_id())
    if delivery.status is DeliveryStatus.PENDING:
        await work.deliveries.save(delivery.tried(sent.attempt, schedule, sent.jitter_percent))


async def _heed(
    endpoint_id: EndpointId, attempts: Sequence[Attempt], lane: Lane, at: datetime, work: DeliveryWork
) -> bool:
    """Disable an endpoint that is gone or where nobody listens; whether nothing is to be sent there now."""
    gone = any(attempt.gone for attempt in attempts)
    if not gone and not lane.has_failed_for_good(at):
        return False
    try:
        endpoint = await work.endpoints.get(endpoint_id)
    except WebhookEndpointNotFound:
        return True
    if endpoint.state.status is Status.ENABLED:
        endpoint.disable(Because.GONE if gone else Because.FAILING)
        await work.endpoints.save(endpoint)
    return True
