"""A published event as CloudEvents 1.0 in JSON, as the feed, the stream and webhooks give it."""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor
from google.protobuf.message import DecodeError, Message
from muster.attendance.v1 import events_pb2 as attendance
from muster.delivery.v1 import events_pb2 as delivery
from muster.event.v1 import event_feed_pb2 as wire
from muster.identity.v1 import events_pb2 as identity
from muster.organization.v1 import events_pb2 as organization
from muster.payroll.v1 import events_pb2 as payroll

from application.edge.wire import json_date, json_instant, json_money
from chassis.bus.consumer import event_of

PUBLISHED: Mapping[str, ModuleType] = {
    "identity": identity,
    "organization": organization,
    "attendance": attendance,
    "payroll": payroll,
    "delivery": delivery,
}
"""The events of each data service, by its name."""

MEDIA_TYPE = "application/cloudevents+json"
SEQUENCE_DIGITS = 19  # of the last position

_WELL_KNOWN: Mapping[str, Callable[[Any], Any]] = {
    "google.type.Date": json_date,
    "google.protobuf.Timestamp": json_instant,
    "muster.type.v1.Money": json_money,
}


def event_types(service: str) -> tuple[str, ...]:
    """The types that a data service publishes, by name."""
    file = PUBLISHED[service].DESCRIPTOR
    names = (message.full_name for message in file.message_types_by_name.values() if message.name.endswith("Event"))
    return tuple(sorted(names))


def cloud_event(service: str, entry: wire.Entry) -> dict[str, Any]:
    """An entry of a data service's feed as CloudEvents 1.0, ready for a JSON encoder.

    An event whose type this program does not know yet (its publisher is newer) has no `data`: what happened to what is
    told, its facts wait until the program is renewed.
    """
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": entry.event_id,
        "source": f"/muster/{service}",
        "type": entry.type,
        "subject": f"{entry.aggregate_type}/{entry.aggregate_id}",
        "time": json_instant(entry.occurred_time),
        "tenantid": entry.tenant_id,
        "sequence": f"{entry.position:0{SEQUENCE_DIGITS}d}",
        "aggregateversion": entry.aggregate_version,
    }
    try:
        message = event_of(entry)
    except (KeyError, DecodeError):
        return event
    event["datacontenttype"] = "application/json"
    event["data"] = facts_of(message)
    return event


def facts_of(message: Message) -> dict[str, Any]:
    """A message's fields as the API writes values: snake_case, dates, instants in UTC, amounts as decimal strings.

    What is empty is null; enums have no prefix; numbers that this program has no name for stay numbers.
    """
    return {
        field.name: _value(field, getattr(message, field.name), message)
        for field in message.DESCRIPTOR.fields
        if not _one_of_others(field, message)
    }


def _one_of_others(field: Any, message: Message) -> bool:
    group = field.containing_oneof
    return group is not None and len(group.fields) > 1 and not message.HasField(field.name)


def _value(field: Any, value: Any, message: Message) -> Any:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        entry = kind.fields_by_name["value"]
        return {str(key): _single(entry, value[key]) for key in sorted(value)}
    if field.is_repeated:
        return [_single(field, one) for one in value]
    if kind is not None and not message.HasField(field.name):
        return None
    return _single(field, value)


def _single(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        well_known = _WELL_KNOWN.get(field.message_type.full_name)
        return facts_of(value) if well_known is None else well_known(value)
    if field.enum_type is not None:
        return _enum_names(field.enum_type).get(value, value)
    return None if value == "" else value


@lru_cache(256)
def _enum_names(kind: EnumDescriptor) -> dict[int, str | None]:
    prefix = "".join(f"_{letter}" if letter.isupper() else letter for letter in kind.name).lstrip("_").upper() + "_"
    return {one.number: one.name.removeprefix(prefix) if one.number else None for one in kind.values}


def descriptors() -> Iterable[tuple[str, Descriptor]]:
    """Each published message with the name of its data service."""
    for service, module in PUBLISHED.items():
        for name in event_types(service):
            yield service, module.DESCRIPTOR.message_types_by_name[name.rpartition(".")[2]]
