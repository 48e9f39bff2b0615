"""The time catalog: a change-set of one entry, published as the next version."""

from dataclasses import dataclass
from datetime import date, datetime

from contexts.attendance.domain.catalog import (
    CatalogEntry,
    D,
    Definition,
    HolidayCalendar,
    OvertimePolicy,
    Shift,
    TimeCatalog,
    WorkSchedule,
)
from contexts.attendance.domain.errors import CatalogFull, CatalogReferenceUnknown
from contexts.attendance.handlers.work import AttendanceWork
from contexts.attendance.repository.port import Readings
from kernel.errors import Stale
from kernel.ids import Version

ENTRIES_MAX = 5000  # published versions of a tenant, all in memory while they are used


@dataclass(frozen=True, slots=True)
class PublishEntry:
    """A definition that holds from a date on; `seen` is the version of its code that the caller saw."""

    definition: Definition
    effective_date: date
    seen: Version | None


async def publish_entry(cmd: PublishEntry, work: AttendanceWork) -> CatalogEntry:
    """The published entry. Raises Stale, CatalogReferenceUnknown, CatalogFull."""
    catalog = (await work.catalog.hold()).catalog
    latest = catalog.latest_version(type(cmd.definition), cmd.definition.code)
    if cmd.seen is not None and cmd.seen != latest:
        raise Stale("the entry was changed meanwhile; read it again", code=cmd.definition.code)
    if len(catalog.entries) >= ENTRIES_MAX:
        raise CatalogFull(f"a tenant's time catalog holds {ENTRIES_MAX} published entries")
    if isinstance(cmd.definition, WorkSchedule):
        _check_references(cmd.definition, catalog, cmd.effective_date)
    entry = CatalogEntry(catalog.version + 1, cmd.effective_date, cmd.definition, work.now())
    await work.catalog.publish(entry)
    work.note(f"time_catalog/{entry.kind}/{cmd.definition.code}")
    return entry


def _check_references(schedule: WorkSchedule, catalog: TimeCatalog, on: date) -> None:
    for index, code in enumerate(schedule.days):
        if code and catalog.entry(Shift, code, on) is None:
            raise CatalogReferenceUnknown(
                f"publish the shift {code} first, to hold from {on} or before", field=f"work_schedule.days[{index}]"
            )
    calendar, policy = schedule.holiday_calendar, schedule.overtime_policy
    if calendar and catalog.entry(HolidayCalendar, calendar, on) is None:
        raise CatalogReferenceUnknown(
            f"publish the holiday calendar {calendar} first, to hold from {on} or before",
            field="work_schedule.holiday_calendar",
        )
    if policy and catalog.entry(OvertimePolicy, policy, on) is None:
        raise CatalogReferenceUnknown(
            f"publish the overtime policy {policy} first, to hold from {on} or before",
            field="work_schedule.overtime_policy",
        )


async def get_entry(
    kind: type[D], code: str, as_of: date | None, known_at: datetime | None, readings: Readings
) -> CatalogEntry:
    """The entry of a code that holds on a day, as recorded by an instant. Raises CatalogEntryNotFound."""
    return _known((await readings.planner()).catalog, known_at).get(kind, code, as_of)


async def list_entries(
    kind: type[D], as_of: date | None, known_at: datetime | None, after: str, limit: int, readings: Readings
) -> list[CatalogEntry]:
    """Entries of a kind that hold on a day, by code, after a code."""
    found = _known((await readings.planner()).catalog, known_at).listing(kind, as_of)
    return [entry for entry in found if entry.definition.code > after][:limit]


def _known(catalog: TimeCatalog, known_at: datetime | None) -> TimeCatalog:
    if known_at is None:
        return catalog
    return catalog.at_version(max((one.version for one in catalog.entries if one.record_time <= known_at), default=0))
