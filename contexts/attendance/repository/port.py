"""What handlers ask of storage."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import NamedTuple, Protocol
from uuid import UUID

from contexts.attendance.domain.badges import Badge
from contexts.attendance.domain.catalog import CatalogEntry
from contexts.attendance.domain.events import TimeCatalogPublished
from contexts.attendance.domain.planning import Planner
from contexts.attendance.domain.punches import Punch, Stamp
from contexts.attendance.domain.requests import Correction, OvertimeRequest, RequestStatus
from contexts.attendance.domain.roster import RosterEntry
from contexts.attendance.domain.timesheet import Placed, Status, Timesheet, TimesheetState
from contexts.attendance.domain.totals import PeriodTotals
from kernel.ids import AssignmentId, EmployeeId, TenantId, Version, derived_id
from kernel.period import Period


class TimesheetKey(NamedTuple):
    """What a timesheet is of; there is one per key."""

    employee_id: EmployeeId
    assignment_id: AssignmentId
    time_calendar: str
    period: str


def key_of(state: TimesheetState) -> TimesheetKey:
    """What a timesheet is of."""
    return TimesheetKey(state.employee_id, state.assignment_id, state.grounds.calendar.code, state.period.name)


def catalog_id(tenant_id: TenantId) -> UUID:
    """By what the feed names a tenant's time catalog."""
    return derived_id("time_catalog", tenant_id)


def published_event(entry: CatalogEntry) -> TimeCatalogPublished:
    """What is said of a published entry."""
    return TimeCatalogPublished(entry.version, entry.kind, entry.definition.code, entry.effective_date)


@dataclass(frozen=True, slots=True)
class StoredPunch:
    """A punch with where it went."""

    punch: Punch
    timesheet_id: UUID
    employee_id: EmployeeId
    work_date: date
    duplicate_of: UUID | None


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of instants of one timesheet, both ends included."""

    timesheet_id: UUID
    start: datetime
    end: datetime


class RequestKind(Enum):
    """What somebody asks for."""

    CORRECTION = "CORRECTION"
    OVERTIME = "OVERTIME"


def requests_in(state: TimesheetState, kind: RequestKind) -> tuple[Correction, ...] | tuple[OvertimeRequest, ...]:
    """The timesheet's requests of a kind."""
    return state.corrections if kind is RequestKind.CORRECTION else state.overtime


class TotalsCodec(Protocol):
    """How totals are stored: as what reads of them answer."""

    def encode(self, state: TimesheetState) -> bytes:
        """The totals of this version of the timesheet."""
        ...

    def decode(self, payload: bytes) -> PeriodTotals:
        """The totals again."""
        ...


class Timesheets(Protocol):
    """Timesheets, held by the transaction from when they are read, and their punches."""

    async def get(self, id: UUID, seen: Version | None = None) -> Timesheet:
        """Raises TimesheetNotFound, Stale."""
        ...

    async def of_keys(self, keys: Sequence[TimesheetKey]) -> dict[TimesheetKey, Timesheet]:
        """Those that are there."""
        ...

    async def add(self, timesheets: Sequence[Timesheet]) -> None:
        """Keep new ones as their verbs left them, with their events.

        Where somebody else opened one meanwhile, the whole command is tried again.
        """
        ...

    async def save(self, timesheets: Sequence[Timesheet]) -> None:
        """Keep what verbs made of them, with their events. Raises Stale."""
        ...

    async def with_request(self, kind: RequestKind, request_id: UUID) -> Timesheet | None:
        """The timesheet that holds a request, None where none does."""
        ...

    async def stamps(self, ids: Sequence[UUID]) -> dict[UUID, list[Stamp]]:
        """Every punch of these timesheets."""
        ...

    async def stamps_near(self, windows: Sequence[Window]) -> dict[UUID, list[Stamp]]:
        """The punches of these timesheets in at least these windows."""
        ...

    async def punches(self, punch_ids: Sequence[UUID]) -> dict[UUID, StoredPunch]:
        """Those of these punches that are there."""
        ...

    async def add_punches(self, placed: Mapping[UUID, Sequence[Placed]], now: datetime) -> None:
        """Keep punches by timesheet. Raises PunchIdTaken."""
        ...


class Roster(Protocol):
    """Who works where, by which rules."""

    async def get(self, employee_id: EmployeeId) -> RosterEntry | None:
        """The entry, None where there is none."""
        ...

    async def get_many(self, ids: Iterable[EmployeeId]) -> dict[EmployeeId, RosterEntry]:
        """Those that are there."""
        ...

    async def with_planner(self, ids: Iterable[EmployeeId]) -> tuple[dict[EmployeeId, RosterEntry], Planner]:
        """Those that are there, and plans by the latest version of the catalog: what each punch asks first."""
        ...

    async def by_numbers(self, numbers: Iterable[str]) -> dict[str, EmployeeId]:
        """The employees of these numbers; a number that two have is left out."""
        ...

    async def versions(self, ids: Sequence[EmployeeId]) -> dict[EmployeeId, int]:
        """The source versions that are stored, held until the transaction ends."""
        ...

    async def put(self, entries: Sequence[RosterEntry], known: Mapping[EmployeeId, int], now: datetime) -> None:
        """Keep entries; `known` are the versions that were read. Raises Stale where somebody put one meanwhile."""
        ...

    async def population(
        self, *, pay_group: str, department: str, span: Period, after: EmployeeId | None, limit: int
    ) -> list[EmployeeId]:
        """Who has a placement there in part of a span, by id; give a pay group or a department."""
        ...


class Badges(Protocol):
    """By which numbers terminals name people."""

    async def get_many(self, numbers: Iterable[str]) -> dict[str, Badge]:
        """Those that were ever issued."""
        ...

    async def hold(self, number: str) -> Badge:
        """One badge, held until the transaction ends; at version 0 where it was never issued."""
        ...

    async def put(self, badge: Badge, now: datetime) -> None:
        """Keep what became of a badge that was held."""
        ...


class Catalog(Protocol):
    """The time catalog."""

    async def planner(self, version: int | None = None) -> Planner:
        """Plans by the latest version, or by the one named."""
        ...

    async def publish(self, entry: CatalogEntry) -> None:
        """Keep the entry as the version after the latest. The head is held from `hold` on."""
        ...

    async def hold(self) -> Planner:
        """The latest version, held against other publications until the transaction ends."""
        ...


# ------------------------------------------------------------------------------------------------- reading


class TimesheetFilter(NamedTuple):
    """Which timesheets to list; empty does not filter."""

    period: str = ""
    employee_id: EmployeeId | None = None
    pay_group: str = ""
    department: str = ""
    status: Status | None = None
    updated_since: datetime | None = None
    employee_ids: tuple[EmployeeId, ...] = ()


class RequestFilter(NamedTuple):
    """Which requests to list; empty does not filter."""

    kind: RequestKind
    status: RequestStatus | None = None
    employee_ids: tuple[EmployeeId, ...] = ()
    department: str = ""


class ListKey(NamedTuple):
    """Where a page of timesheets ends."""

    employee_id: EmployeeId
    period: str
    timesheet_id: UUID


class Change(NamedTuple):
    """The latest change of an employee's totals."""

    employee_id: EmployeeId
    timesheet_id: UUID
    event: str  # name of the published event, such as TimesheetLockedEvent
    position: int  # of the event in the feed, 0 where it has none yet
    record_time: datetime  # of the latest change of the employee's timesheets in the period


class Readings(Protocol):
    """Timesheets and totals as they are read."""

    @property
    def settle_margin_s(self) -> float:
        """How old a fact is until no transaction under way can add to it."""
        ...

    async def database_time(self) -> datetime:
        """The database's clock."""
        ...

    async def get(self, id: UUID) -> TimesheetState:
        """Raises TimesheetNotFound."""
        ...

    async def find(self, employee_id: EmployeeId, period: str) -> list[TimesheetState]:
        """The employee's timesheets of a period; of an employee with two assignments there are two."""
        ...

    async def listing(self, wanted: TimesheetFilter, after: ListKey | None, limit: int) -> list[TimesheetState]:
        """A page of timesheets without their totals, by employee and period."""
        ...

    async def with_request(self, kind: RequestKind, request_id: UUID) -> TimesheetState | None:
        """The timesheet that holds a request, without its totals; None where none does."""
        ...

    async def requests(
        self, wanted: RequestFilter, after: UUID | None, limit: int
    ) -> list[tuple[UUID, TimesheetState]]:
        """A page of requests by id, each with the timesheet that holds it, without its totals."""
        ...

    async def stamps(self, id: UUID) -> list[Stamp]:
        """Every punch of a timesheet."""
        ...

    async def totals(self, ids: Sequence[EmployeeId], period: str, known_at: datetime | None) -> list[bytes]:
        """What the encoder made of each timesheet that was ever submitted by then, by employee."""
        ...

    async def latest_record_time(self, pay_group: str) -> datetime | None:
        """When totals of the pay group last changed."""
        ...

    async def feed_position(self) -> int:
        """The last position that the feed gave to an event of this tenant."""
        ...

    async def changed_since(
        self, pay_group: str, period: str, position: int, after: EmployeeId | None, limit: int
    ) -> list[Change]:
        """Whose totals changed at a later position than this one, or at none yet, with the last change; by employee."""
        ...

    async def of_keys(self, keys: Sequence[TimesheetKey]) -> dict[TimesheetKey, TimesheetState]:
        """Those that are there, without their totals."""
        ...

    async def stamps_of(self, ids: Sequence[UUID]) -> dict[UUID, list[Stamp]]:
        """Every punch of these timesheets."""
        ...

    async def stamps_near(self, windows: Sequence[Window]) -> dict[UUID, list[Stamp]]:
        """The punches of these timesheets in at least these windows."""
        ...

    async def roster_entries(self, ids: Iterable[EmployeeId]) -> dict[EmployeeId, RosterEntry]:
        """Those that are there."""
        ...

    async def roster_entry(self, employee_id: EmployeeId) -> RosterEntry | None:
        """The entry, None where there is none."""
        ...

    async def badges(self, number: str, employee_id: EmployeeId | None, after: str, limit: int) -> list[Badge]:
        """A page of badges by number: the one of that number, those that an employee has, or all."""
        ...

    async def planner(self, version: int | None = None) -> Planner:
        """Plans by the latest version of the catalog, or by the one named."""
        ...
