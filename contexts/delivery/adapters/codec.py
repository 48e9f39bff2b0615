"""Delivery's values from and to their messages."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from muster.delivery.v1 import webhook_delivery_pb2, webhook_endpoint_pb2

from chassis.paging import from_token, page_size, to_token
from contexts.delivery.domain.delivery import Attempt, AttemptError, Delivery, DeliveryId, DeliveryStatus
from contexts.delivery.domain.destination import DialRule, destination
from contexts.delivery.domain.endpoint import Because, EndpointId, EventTypes, Status, live_secrets
from contexts.delivery.handlers.deliveries import FindDeliveries
from contexts.delivery.handlers.endpoints import ChangeStatus, CreateEndpoint, RotateSecret, Shown, UpdateEndpoint
from contexts.delivery.repository.port import Message
from kernel.errors import InvalidValue
from kernel.ids import Version

_STATUS = {
    Status.ENABLED: webhook_endpoint_pb2.WEBHOOK_ENDPOINT_STATUS_ENABLED,
    Status.DISABLED: webhook_endpoint_pb2.WEBHOOK_ENDPOINT_STATUS_DISABLED,
    Status.DELETED: webhook_endpoint_pb2.WEBHOOK_ENDPOINT_STATUS_UNSPECIFIED,  # nobody is shown one
}
_BECAUSE = {
    None: webhook_endpoint_pb2.WEBHOOK_DISABLE_REASON_UNSPECIFIED,
    Because.REQUESTED: webhook_endpoint_pb2.WEBHOOK_DISABLE_REASON_REQUESTED,
    Because.GONE: webhook_endpoint_pb2.WEBHOOK_DISABLE_REASON_GONE,
    Because.FAILING: webhook_endpoint_pb2.WEBHOOK_DISABLE_REASON_FAILING,
}
_PROGRESS = {
    DeliveryStatus.PENDING: webhook_delivery_pb2.DELIVERY_STATUS_PENDING,
    DeliveryStatus.DELIVERED: webhook_delivery_pb2.DELIVERY_STATUS_DELIVERED,
    DeliveryStatus.FAILED: webhook_delivery_pb2.DELIVERY_STATUS_FAILED,
}
_PROGRESS_FROM = {number: status for status, number in _PROGRESS.items()}
_ERROR: dict[AttemptError | None, webhook_delivery_pb2.AttemptError.ValueType] = {
    None: webhook_delivery_pb2.ATTEMPT_ERROR_UNSPECIFIED,
    **{error: webhook_delivery_pb2.AttemptError.Value(f"ATTEMPT_ERROR_{error.value}") for error in AttemptError},
}


def endpoint_id_from(text: str) -> EndpointId:
    """An endpoint's id; the proto's rules hold."""
    return EndpointId(UUID(text))


def delivery_id_from(text: str) -> DeliveryId:
    """A delivery's id; the proto's rules hold."""
    return DeliveryId(UUID(text))


def create_from(
    request: webhook_endpoint_pb2.CreateWebhookEndpointRequest, rule: DialRule, key: bytes
) -> CreateEndpoint:
    """Raises WebhookUrlRefused, EventTypeMalformed."""
    types = EventTypes(tuple(request.event_types))
    return CreateEndpoint(destination(request.url, rule), request.description, types, request.disabled, key)


def update_from(request: webhook_endpoint_pb2.UpdateWebhookEndpointRequest, rule: DialRule) -> UpdateEndpoint:
    """Raises WebhookUrlRefused, EventTypeMalformed."""
    return UpdateEndpoint(
        endpoint_id_from(request.endpoint_id),
        _version(request.etag),
        destination(request.url, rule) if request.HasField("url") else None,
        request.description if request.HasField("description") else None,
        EventTypes(tuple(request.event_types.values)) if request.HasField("event_types") else None,
    )


def rotate_from(request: webhook_endpoint_pb2.RotateWebhookSecretRequest, key: bytes) -> RotateSecret:
    """The command."""
    overlap = timedelta(minutes=request.overlap_minutes)
    return RotateSecret(endpoint_id_from(request.endpoint_id), _version(request.etag), overlap, key)


def change_from(
    request: webhook_endpoint_pb2.EnableWebhookEndpointRequest
    | webhook_endpoint_pb2.DisableWebhookEndpointRequest
    | webhook_endpoint_pb2.DeleteWebhookEndpointRequest,
) -> ChangeStatus:
    """The command."""
    return ChangeStatus(endpoint_id_from(request.endpoint_id), _version(request.etag))


def messages_from(events: Iterable[webhook_delivery_pb2.OutgoingEvent]) -> list[Message]:
    """What is sent, each event once."""
    found = {one.event_id: Message(UUID(one.event_id), one.type, one.body) for one in events}
    return list(found.values())


def endpoint_page(request: webhook_endpoint_pb2.ListWebhookEndpointsRequest) -> tuple[EndpointId | None, int]:
    """Where to go on, and one row more than the page, which tells whether there is another. Raises InvalidValue."""
    after = from_token(request.page_token, [str])
    return None if after is None else EndpointId(_uuid(after[0])), page_size(request.page_size) + 1


def endpoint_page_to_proto(
    found: Sequence[Shown], limit: int, at: datetime
) -> webhook_endpoint_pb2.ListWebhookEndpointsResponse:
    """The page of what `endpoint_page` asked for."""
    shown = found[: limit - 1]
    return webhook_endpoint_pb2.ListWebhookEndpointsResponse(
        endpoints=[endpoint_to_proto(one, at) for one in shown],
        next_page_token=to_token(str(shown[-1][0].id)) if len(found) == limit else "",
    )


def find_from(request: webhook_delivery_pb2.ListDeliveriesRequest) -> FindDeliveries:
    """One row more than the page. Raises InvalidValue."""
    before = from_token(request.page_token, [str])
    return FindDeliveries(
        endpoint_id_from(request.endpoint_id),
        _PROGRESS_FROM.get(request.status),
        None if before is None else _uuid(before[0]),
        page_size(request.page_size) + 1,
    )


def delivery_page_to_proto(found: Sequence[Delivery], limit: int) -> webhook_delivery_pb2.ListDeliveriesResponse:
    """The page of what `find_from` asked for; `limit` is that of the query."""
    shown = found[: limit - 1]
    return webhook_delivery_pb2.ListDeliveriesResponse(
        deliveries=[delivery_to_proto(one) for one in shown],
        next_page_token=to_token(str(shown[-1].event_id)) if len(found) == limit else "",
    )


def endpoint_to_proto(shown: Shown, at: datetime) -> webhook_endpoint_pb2.WebhookEndpoint:
    """An endpoint without its secrets."""
    state, lane = shown
    live = live_secrets(state, at)
    old = [one.expire_time for one in live if one.expire_time is not None]
    return webhook_endpoint_pb2.WebhookEndpoint(
        endpoint_id=str(state.id),
        url=state.place.url,
        description=state.description,
        event_types=state.event_types.wanted,
        status=_STATUS[state.status],
        disable_reason=_BECAUSE[state.because],
        failing_since=timestamp(lane.failing_since),
        secret_count=len(live),
        old_secret_expire_time=timestamp(max(old, default=None)),
        etag=str(state.version),
        create_time=timestamp(state.created_time),
    )


def delivery_to_proto(one: Delivery) -> webhook_delivery_pb2.Delivery:
    """A delivery without what it carries."""
    return webhook_delivery_pb2.Delivery(
        delivery_id=str(one.id),
        endpoint_id=str(one.endpoint_id),
        event_id=str(one.event_id),
        event_type=one.event_type,
        status=_PROGRESS[one.status],
        tries=one.tries,
        next_try_time=timestamp(one.due_time),
        last_attempt=None if one.last is None else attempt_to_proto(one.last),
        create_time=timestamp(one.created_time),
    )


def attempt_to_proto(attempt: Attempt) -> webhook_delivery_pb2.Attempt:
    """One line of the log."""
    return webhook_delivery_pb2.Attempt(
        attempt_time=timestamp(attempt.time),
        status_code=attempt.status_code or 0,
        error=_ERROR[attempt.error],
        duration_ms=attempt.duration_ms,
    )


def timestamp(instant: datetime | None) -> Timestamp | None:
    """An instant to the microsecond, None for none."""
    if instant is None:
        return None
    message = Timestamp()
    message.FromDatetime(instant)
    return message


def _version(etag: str) -> Version | None:
    return Version(int(etag)) if etag else None


def _uuid(text: object) -> UUID:
    try:
        return UUID(str(text))
    except ValueError:
        raise InvalidValue("take the cursor from the page before, unchanged", field="page_token") from None
