"""Reads of employees: summaries of what is stored, never the aggregate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from contexts.organization.domain.errors import DateOutOfRange, EmployeeNotFound, NotSettled, TeamTooLarge
from contexts.organization.domain.history import Change, Projection, fold
from contexts.organization.domain.org_chart import EntryKind, Location
from contexts.organization.domain.policies import MAX_LEVELS
from contexts.organization.repository.port import (
    Changed,
    ChangedPage,
    Criteria,
    EmployeeReading,
    Listed,
    PayQuestion,
    Reporting,
    SegmentReading,
    SlicePage,
    View,
)
from kernel.ids import EmployeeId
from kernel.period import Period

MICROSECOND = timedelta(microseconds=1)
SURELY_SETTLED = timedelta(minutes=5)  # older than any margin and clock difference: the database need not be asked
MOST_MANAGERS = 1000  # of whom one list shows the people
RECENT = timedelta(seconds=60)
LONGEST_PERIOD_DAYS = 400
SLICE_PAGE = 500
CONTACT, FULL = ("email", "phone"), ("national_id", "email", "phone", "bank_accounts")


@dataclass(frozen=True, slots=True)
class GetEmployees:
    """Employees by id as of a date, as known at an instant; `opened` names the encrypted fields to open."""

    ids: Sequence[EmployeeId]
    as_of: date
    known_at: datetime | None = None
    opened: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """An employee with the encrypted fields that were asked for, in clear."""

    reading: EmployeeReading
    fields: Mapping[str, str]


NOTHING_OPENED: Mapping[str, str] = {}


def _opened(reading: EmployeeReading, names: tuple[str, ...], view: View) -> Opened:
    if not names:
        return Opened(reading, NOTHING_OPENED)
    sealed = reading.sealed()
    fields = {name: view.vault.open(reading.employee_id, name, sealed[name]) for name in names if name in sealed}
    return Opened(reading, fields)


async def get_employee(query: GetEmployees, view: View) -> Opened:
    """The first of the ids. Raises EmployeeNotFound."""
    reading = await view.employees.one(query.ids[0], query.as_of, query.known_at)
    if reading is None:
        raise EmployeeNotFound("there is no such employee, or none was known by then", employee_id=query.ids[0])
    return _opened(reading, query.opened, view)


async def get_employees(query: GetEmployees, view: View) -> Sequence[Opened]:
    """Those that exist, in the order asked."""
    found = await view.employees.many(query.ids, query.as_of, query.known_at)
    return [_opened(found[id], query.opened, view) for id in dict.fromkeys(query.ids) if id in found]


@dataclass(frozen=True, slots=True)
class ListEmployees:
    """A page of employees; a national id to search for comes in clear and is looked up by its blind index.

    `below`: only who reports to this manager on the day, directly or through others.
    """

    criteria: Criteria
    national_id: str
    after: tuple[str, EmployeeId] | None
    limit: int
    below: tuple[EmployeeId, date] | None = None
    most_managers: int = MOST_MANAGERS


async def list_employees(query: ListEmployees, view: View) -> Sequence[Listed]:
    """At most `limit` + 1 rows: one more tells that there is a next page. Raises TeamTooLarge."""
    criteria = query.criteria
    if query.below is not None:
        criteria = replace(criteria, reporting=await _everybody_below(*query.below, query.most_managers, view))
    if query.national_id:
        criteria = replace(criteria, national_id_index=view.vault.index(query.national_id))
    return await view.employees.page(criteria, query.after, query.limit + 1)


async def _everybody_below(manager_id: EmployeeId, day: date, most: int, view: View) -> Reporting:
    """The lines of everybody under the manager, level by level: read are managers only, not their people."""
    managers = {manager_id}
    level = frozenset(managers)
    for _ in range(MAX_LEVELS):
        below = await view.employees.managers_below(Reporting(level, day), most + 1)
        level = frozenset(below) - managers
        managers |= level
        if len(managers) > most:
            raise TeamTooLarge(
                f"more than {most} managers stand below: name one of them to list who reports to them directly",
                field="manager_id",
            )
        if not level:
            break
    return Reporting(frozenset(managers), day)


@dataclass(frozen=True, slots=True)
class History:
    """Everything that was recorded of an employee by an instant, and what follows from it."""

    changes: Sequence[Change]
    projection: Projection


async def get_history(id: EmployeeId, known_at: datetime | None, view: View) -> History:
    """Raises EmployeeNotFound."""
    changes = await view.employees.history(id, known_at)
    if not changes:
        raise EmployeeNotFound("there is no such employee, or none was known by then", employee_id=id)
    return History(changes, fold(changes))


@dataclass(frozen=True, slots=True)
class ListPaySlice:
    """A page of the people of a pay group with what holds inside a period."""

    question: PayQuestion
    after: EmployeeId | None
    limit: int


async def list_pay_slice(query: ListPaySlice, view: View, now: datetime) -> SlicePage:
    """Raises NotSettled, DateOutOfRange."""
    question = query.question
    if question.period.days > LONGEST_PERIOD_DAYS:
        raise DateOutOfRange(f"a period has at most {LONGEST_PERIOD_DAYS} days", field="period_end")
    if question.known_at is not None and question.known_at > now - SURELY_SETTLED:
        await require_settled(question.known_at, view)
    return await view.employees.pay_slice(question, query.after, query.limit)


async def require_settled(known_at: datetime, view: View) -> None:
    """Raises NotSettled where a transaction under way may still record a fact for that instant."""
    settled = await view.database_time() - timedelta(seconds=view.settle_margin_s)
    if known_at > settled:
        raise NotSettled(
            f"facts are settled up to {settled.isoformat(timespec='microseconds')}: wait, or name an earlier instant",
            field="known_at",
            settled_time=settled.isoformat(timespec="microseconds"),
        )


@dataclass(frozen=True, slots=True)
class ZonedDays:
    """Employed days with the IANA zone of their location."""

    segment: SegmentReading
    days: Period
    time_zone: str


@dataclass(frozen=True, slots=True)
class RosterReading:
    """What attendance must know of one employee; `source_version` rises with every change of it."""

    employee_id: EmployeeId
    number: str
    source_version: int
    days: Sequence[ZonedDays]


async def get_roster(ids: Sequence[EmployeeId], since: date, view: View) -> Sequence[RosterReading]:
    """Those that exist, in the order asked.

    Versions are read before what they are of: a change in between is told under a version too low, and told again.
    """
    catalog_version, _ = await view.org_charts.head()
    versions = await view.employees.versions(ids)
    segments = await view.employees.employed(ids, since)
    locations = {(EntryKind.LOCATION, segment.location) for segment in segments if segment.location}
    content = await view.org_charts.content(catalog_version, references=locations) if locations else None
    days: dict[EmployeeId, list[ZonedDays]] = {}
    for segment in segments:
        line = None if content is None else content.timelines.get((EntryKind.LOCATION, segment.location))
        for piece in () if line is None else line.slices(segment.days):
            if piece.value is not None and isinstance(piece.value[0].detail, Location):
                zone = piece.value[0].detail.time_zone
                days.setdefault(segment.employee_id, []).append(ZonedDays(segment, piece.period, zone))
    return [
        RosterReading(id, versions[id][0], versions[id][1] + catalog_version, days.get(id, []))
        for id in dict.fromkeys(ids)
        if id in versions
    ]


@dataclass(frozen=True, slots=True)
class Frontier:
    """Where this service stands for a pay group."""

    position: int
    latest_record_time: datetime | None
    database_time: datetime
    settled_time: datetime


async def get_frontier(pay_group: str, view: View) -> Frontier:
    """The position is read first: what is published meanwhile comes after it."""
    position = await view.employees.feed_position()
    now = await view.database_time()
    latest = await view.employees.latest_record_time(pay_group, now - RECENT)
    return Frontier(position, latest, now, now - timedelta(seconds=view.settle_margin_s))


@dataclass(frozen=True, slots=True)
class ListChanged:
    """Whose pay facts were changed after the question's instant, else after a position of the feed."""

    question: PayQuestion
    position: int
    after: EmployeeId | None
    limit: int


async def list_changed(query: ListChanged, view: View) -> ChangedPage:
    """Exactly those whose slice reads otherwise now than it did then; changes that came and went are left out."""
    question = query.question
    if question.period.days > LONGEST_PERIOD_DAYS:
        raise DateOutOfRange(f"a period has at most {LONGEST_PERIOD_DAYS} days", field="period_end")
    page = await view.employees.changed_since(question, query.position, query.after, query.limit)
    touched: list[Changed] = []
    for start in range(0, len(page.employees), SLICE_PAGE):
        some = page.employees[start : start + SLICE_PAGE]
        then = question.known_at or min(changed.first_record_time for changed in some) - MICROSECOND
        ids = tuple(changed.employee_id for changed in some)
        before = await _slices(replace(question, known_at=then, employee_ids=ids), view)
        after = await _slices(replace(question, known_at=None, employee_ids=ids), view)
        touched.extend(each for each in some if before.get(each.employee_id) != after.get(each.employee_id))
    return ChangedPage(touched, page.next_after)


async def _slices(question: PayQuestion, view: View) -> Mapping[EmployeeId, Sequence[object]]:
    """What each employee's slice says about the period's own days."""
    found: dict[EmployeeId, list[object]] = {}
    after: EmployeeId | None = None
    for _ in range(len(question.employee_ids) + 1):
        page = await view.employees.pay_slice(question, after, SLICE_PAGE)
        for segment in page.segments:
            spell_end = min(segment.spell.end, question.period.end)
            found.setdefault(segment.employee_id, []).append(
                (segment.days, segment.spell.start, spell_end, segment.work)
            )
        after = page.next_after
        if after is None:
            break
    return found
