"""Between messages of the org chart and values, in both directions."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from datetime import date
from typing import Any
from zoneinfo import available_timezones

from muster.organization.v1 import org_chart_pb2 as pb

from contexts.organization.adapters.codec import date_from, date_to_proto
from contexts.organization.domain.errors import FactOutOfRange
from contexts.organization.domain.org_chart import (
    Content,
    Department,
    Detail,
    Entry,
    EntryChange,
    EntryKind,
    LegalEntity,
    Location,
    Position,
    WithholdingRegistration,
)
from contexts.organization.handlers.chart import ChartReading, Publish
from kernel.period import FOREVER
from kernel.timeline import Slice

# The name of the detail in the message, and how it becomes one and is made from one; field names are the same.
_DETAILS: Mapping[str, tuple[type[Detail], Callable[..., Any]]] = {
    "legal_entity": (LegalEntity, pb.LegalEntity),
    "withholding_registration": (WithholdingRegistration, pb.WithholdingRegistration),
    "location": (Location, pb.Location),
    "department": (Department, pb.Department),
    "position": (Position, pb.Position),
}
_NAMES = {detail: name for name, (detail, _) in _DETAILS.items()}
_ZONES = frozenset(available_timezones())


def entry_from(message: pb.OrgChartEntry) -> Entry:
    """What an entry says. Raises FactOutOfRange for an unknown time zone."""
    name = message.WhichOneof("detail")
    assert name is not None  # the rules of the proto ask for one
    told = getattr(message, name)
    detail_type = _DETAILS[name][0]
    detail = detail_type(**{each.name: getattr(told, each.name) for each in fields(detail_type)})
    if isinstance(detail, Location) and detail.time_zone not in _ZONES:
        raise FactOutOfRange("write an IANA time zone such as Asia/Shanghai", field="entry.location.time_zone")
    return Entry(message.code, message.name, detail)


def change_from(effective_date: date, message: pb.OrgChartEntry) -> EntryChange:
    """An entry to be published. Raises FactOutOfRange."""
    entry = entry_from(message)
    return EntryChange(entry.kind, entry.code, effective_date, entry)


def put_from(request: pb.PutOrgChartEntryRequest) -> Publish:
    """Raises DateOutOfRange, FactOutOfRange."""
    day = date_from(request.effective_date, "effective_date")
    return Publish([change_from(day, request.entry)], int(request.etag) if request.etag else None, request.reason)


def publish_from(request: pb.PublishOrgChartRequest) -> Publish:
    """Raises DateOutOfRange, FactOutOfRange."""
    changes = [
        change_from(date_from(change.effective_date, f"changes[{index}].effective_date"), change.entry)
        for index, change in enumerate(request.changes)
    ]
    return Publish(changes, None, request.reason)


def close_from(request: pb.CloseOrgChartEntryRequest) -> Publish:
    """Raises DateOutOfRange."""
    day = date_from(request.effective_date, "effective_date")
    change = EntryChange(EntryKind(request.kind), request.code, day, None)
    return Publish([change], int(request.etag) if request.etag else None, request.reason)


def entry_to_proto(entry: Entry, piece: Slice[Any], version: int) -> pb.OrgChartEntry:
    """What an entry says, on which days, and the version of the chart that last published it."""
    name = _NAMES[type(entry.detail)]
    told = {each.name: getattr(entry.detail, each.name) for each in fields(entry.detail)}
    message = pb.OrgChartEntry(
        code=entry.code,
        name=entry.name,
        effective_date=date_to_proto(piece.period.start),
        etag=str(version),
    )
    getattr(message, name).CopyFrom(_DETAILS[name][1](**told))
    if piece.period.end != FOREVER:
        message.end_date.CopyFrom(date_to_proto(piece.period.end))
    return message


def entries_to_proto(content: Content, as_of: date) -> Iterable[pb.OrgChartEntry]:
    """The entries that are open on the date, by kind and code."""
    for kind, code in sorted(content.timelines, key=lambda reference: (reference[0].value, reference[1])):
        message = entry_on(content, kind, code, as_of)
        if message is not None:
            yield message


def entry_on(content: Content, kind: EntryKind, code: str, as_of: date) -> pb.OrgChartEntry | None:
    """The entry on the date, None where it is not open."""
    timeline = content.timelines[(kind, code)]
    said = [piece for piece in timeline.slices_ if as_of in piece.period]
    if not said or said[0].value is None:
        return None
    return entry_to_proto(said[0].value[0], said[0], content.versions[(kind, code)])


def chart_to_proto(reading: ChartReading, as_of: date) -> pb.GetOrgChartResponse:
    """The whole chart on a date."""
    response = pb.GetOrgChartResponse(catalog_version=reading.catalog_version, as_of=date_to_proto(as_of))
    response.entries.extend(entries_to_proto(reading.content, as_of))
    if reading.publish_time is not None:
        response.publish_time.FromDatetime(reading.publish_time)
    return response
