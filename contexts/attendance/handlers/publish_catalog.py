"""The time catalog: a change-set of one entry, published as the next version."""

from dataclasses import dataclass
from datetime import date

from contexts.attendance.domain.catalog import (
    CatalogEntry,
    Definition,
    HolidayCalendar,
    OvertimePolicy,
    Shift,
    TimeCatalog,
    WorkSchedule,
)
from contexts.attendance.domain.errors import CatalogFull, CatalogReferenceUnknown
from contexts.attendance.handlers.work import AttendanceWork
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
