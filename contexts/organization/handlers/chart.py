"""Publishing and reading the org chart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from contexts.organization.domain.errors import EntryInUse, EntryNotFound
from contexts.organization.domain.org_chart import (
    Content,
    EntryChange,
    EntryKind,
    OrgChartState,
    lost_days,
)
from contexts.organization.repository.port import InUse, Unit, View
from kernel.errors import InvalidValue
from kernel.period import Period


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish these changes, all or none. `seen` is the version at which the caller saw the (one) entry."""

    changes: Sequence[EntryChange]
    seen: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReadChart:
    """The chart (one kind, one code) on a date, at a version (0: the latest), or as known at an instant."""

    as_of: date
    catalog_version: int = 0
    kind: EntryKind | None = None
    code: str = ""
    after_code: str = ""
    limit: int = 0
    known_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChartReading:
    """Dated entries at a version; `next_code` is where the next page of codes goes on."""

    content: Content
    catalog_version: int
    publish_time: datetime | None
    next_code: str | None = None


async def publish(cmd: Publish, uow: Unit) -> OrgChartState:
    """The chart's new head. Raises Stale, EntryNotFound, EntryNotValid, EntryInUse, DepartmentCycle, NothingChanges."""
    chart = await uow.org_charts.get_to_publish(cmd.changes)
    for change in cmd.changes:
        chart.check_seen(change.kind, change.code, cmd.seen)
    before = chart.state.content()
    chart.publish(cmd.changes, uow.now())
    for (kind, code), days in lost_days(before, chart.state.content(), cmd.changes):
        used = await uow.employees.who_names(kind, code, days)
        if used.count:
            raise _still_named(code, days, used)
    await uow.org_charts.save(chart)
    uow.note(f"org_chart/{chart.state.version}", cmd.reason)
    return chart.state


def _still_named(code: str, days: Period, used: InUse) -> EntryInUse:
    people = "1 employee has" if used.count == 1 else f"{used.count} employees have"
    more = "" if used.count == len(used.numbers) else " and others"
    return EntryInUse(
        f"{people} {code} from {days.start} on ({', '.join(used.numbers)}{more}): transfer or terminate them first",
        code=code,
        count=used.count,
        employee_numbers=",".join(used.numbers),
    )


async def _head(query: ReadChart, view: View) -> tuple[int, datetime | None]:
    """The version that is asked for. Raises InvalidValue where it is asked for twice, EntryNotFound."""
    if query.known_at is None:
        return await view.org_charts.head(query.catalog_version)
    if query.catalog_version:
        raise InvalidValue("name a version or an instant, one of them", field="known_at")
    return await view.org_charts.head_known_at(query.known_at)


async def read_chart(query: ReadChart, view: View) -> ChartReading:
    """All kinds. Raises EntryNotFound for a version that is not there yet."""
    version, time = await _head(query, view)
    return ChartReading(await view.org_charts.content(version), version, time)


async def read_entry(query: ReadChart, view: View) -> ChartReading:
    """One entry. Raises EntryNotFound where it is not open on the date."""
    assert query.kind is not None
    version, time = await _head(query, view)
    content = await view.org_charts.content(version, references=[(query.kind, query.code)])
    if content.at(query.kind, query.code, query.as_of) is None:
        raise EntryNotFound(
            f"the org chart has no {query.kind.name.lower().replace('_', ' ')} {query.code} on {query.as_of}",
            field="code",
        )
    return ChartReading(content, version, time)


async def list_headcount(query: ReadChart, view: View) -> tuple[ChartReading, Mapping[str, int]]:
    """A page of positions by code, and how many people hold each on the date."""
    reading = await list_entries(replace(query, kind=EntryKind.POSITION), view)
    positions = [code for _, code in reading.content.timelines]
    return reading, await view.employees.holders(positions, query.as_of, query.known_at)


async def list_entries(query: ReadChart, view: View) -> ChartReading:
    """A page of one kind by code; closed entries are left out by the reader."""
    assert query.kind is not None
    version, time = await _head(query, view)
    content, next_code = await view.org_charts.page(version, query.kind, query.after_code, query.limit)
    return ChartReading(content, version, time, next_code)
