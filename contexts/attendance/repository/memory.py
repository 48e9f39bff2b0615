"""Attendance in dictionaries: for tests and trials, with the same promises as SQL."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from chassis.database import Contention
from chassis.in_memory import RowsInMemory, TenantsInMemory, WorkInMemory
from chassis.outbox import Outbox, Saved
from contexts.attendance.domain.badges import Badge
from contexts.attendance.domain.catalog import EMPTY_CATALOG, CatalogEntry, TimeCatalog
from contexts.attendance.domain.errors import PunchIdTaken, TimesheetNotFound
from contexts.attendance.domain.planning import Planner
from contexts.attendance.domain.punches import Stamp
from contexts.attendance.domain.roster import RosterEntry
from contexts.attendance.domain.timesheet import Placed, Status, Timesheet, TimesheetState
from contexts.attendance.repository.port import (
    Change,
    ListKey,
    RequestFilter,
    RequestKind,
    StoredPunch,
    TimesheetFilter,
    TimesheetKey,
    TotalsCodec,
    Window,
    catalog_id,
    key_of,
    published_event,
    requests_in,
)
from contexts.attendance.repository.tables import STILL_KNOWN
from kernel.errors import Stale
from kernel.ids import EmployeeId, TenantId, Version
from kernel.period import Period

STEPS = ("TimesheetSubmitted", "TimesheetApproved", "TimesheetReopened", "TimesheetLocked", "TimesheetAdjusted")


@dataclass(frozen=True, slots=True)
class TotalsRow:
    """A version of a timesheet's totals with the time in which it was the latest."""

    state: TimesheetState
    recorded_to: datetime
    payload: bytes


@dataclass(slots=True)
class Rows(RowsInMemory):
    """What one tenant has stored."""

    timesheets: dict[UUID, TimesheetState] = field(default_factory=dict)
    punches: dict[UUID, StoredPunch] = field(default_factory=dict)
    totals: list[TotalsRow] = field(default_factory=list)
    roster: dict[EmployeeId, RosterEntry] = field(default_factory=dict)
    badges: dict[str, Badge] = field(default_factory=dict)
    catalog: list[TimeCatalog] = field(default_factory=lambda: [EMPTY_CATALOG])
    saved: list[Saved] = field(default_factory=list)


class MemoryTimesheets:
    """Timesheets and punches of one tenant, to be changed."""

    def __init__(self, rows: Rows, outbox: Outbox, codec: TotalsCodec) -> None:
        self._rows = rows
        self._outbox = outbox
        self._codec = codec

    async def get(self, id: UUID, seen: Version | None = None) -> Timesheet:
        state = self._rows.timesheets.get(id)
        if state is None:
            raise TimesheetNotFound("there is no such timesheet; check the id", timesheet=id)
        if seen is not None and state.version != seen:
            raise Stale("the timesheet was changed meanwhile; read it again", timesheet=id)
        return Timesheet(state)

    async def of_keys(self, keys: Sequence[TimesheetKey]) -> dict[TimesheetKey, Timesheet]:
        wanted = set(keys)
        found = ((key_of(state), state) for state in self._rows.timesheets.values())
        return {key: Timesheet(state) for key, state in found if key in wanted}

    async def add(self, timesheets: Sequence[Timesheet]) -> None:
        if await self.of_keys([key_of(one.state) for one in timesheets]):
            raise Contention("somebody opened the same timesheet meanwhile")
        for one in timesheets:
            self._rows.timesheets[one.state.id] = one.state
            if one.state.status is not Status.OPEN:
                self._record_totals(one.state)
            self._outbox.add("timesheet", one.state.id, one.state.version, one.pull_events())

    async def save(self, timesheets: Sequence[Timesheet]) -> None:
        for one in timesheets:
            events = one.pull_events()
            if not events:
                continue
            stored = self._rows.timesheets[one.state.id]
            if stored.version != one.state.version - len(events):
                raise Stale("a timesheet was changed meanwhile; read it again")
            if stored.status is not one.state.status or stored.totals is not one.state.totals:
                self._record_totals(one.state)
            self._rows.timesheets[one.state.id] = one.state
            self._outbox.add("timesheet", one.state.id, one.state.version, events)

    def _record_totals(self, state: TimesheetState) -> None:
        for index, row in enumerate(self._rows.totals):
            if row.state.id == state.id and row.recorded_to == STILL_KNOWN:
                self._rows.totals[index] = replace(row, recorded_to=state.record_time)
        self._rows.totals.append(TotalsRow(state, STILL_KNOWN, self._codec.encode(state)))

    async def with_request(self, kind: RequestKind, request_id: UUID) -> Timesheet | None:
        state = _holding(self._rows, kind, request_id)
        return None if state is None else Timesheet(state)

    async def stamps(self, ids: Sequence[UUID]) -> dict[UUID, list[Stamp]]:
        return _stamps(self._rows, set(ids))

    async def stamps_near(self, windows: Sequence[Window]) -> dict[UUID, list[Stamp]]:
        return _stamps_near(self._rows, windows)

    async def punches(self, punch_ids: Sequence[UUID]) -> dict[UUID, StoredPunch]:
        return {id: self._rows.punches[id] for id in punch_ids if id in self._rows.punches}

    async def add_punches(self, placed: Mapping[UUID, Sequence[Placed]], now: datetime) -> None:
        for timesheet_id, group in placed.items():
            employee_id = self._rows.timesheets[timesheet_id].employee_id
            for one in group:
                id = one.punch.stamp.punch_id
                if id in self._rows.punches:
                    raise PunchIdTaken("a punch_id names one punch for ever; give this one another", field="punch_id")
                self._rows.punches[id] = StoredPunch(
                    one.punch, timesheet_id, employee_id, one.work_date, one.duplicate_of
                )


def _holding(rows: Rows, kind: RequestKind, request_id: UUID) -> TimesheetState | None:
    states = rows.timesheets.values()
    return next((one for one in states if any(held.id == request_id for held in requests_in(one, kind))), None)


def _stamps(rows: Rows, ids: set[UUID]) -> dict[UUID, list[Stamp]]:
    found: dict[UUID, list[Stamp]] = defaultdict(list)
    for stored in rows.punches.values():
        if stored.timesheet_id in ids:
            found[stored.timesheet_id].append(stored.punch.stamp)
    return dict(found)


def _stamps_near(rows: Rows, windows: Sequence[Window]) -> dict[UUID, list[Stamp]]:
    by_id = {window.timesheet_id: window for window in windows}
    return {
        id: [stamp for stamp in stamps if by_id[id].start <= stamp.instant <= by_id[id].end]
        for id, stamps in _stamps(rows, set(by_id)).items()
    }


class MemoryRoster:
    """The roster of one tenant."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows.roster
        self._catalog = rows.catalog

    async def get(self, employee_id: EmployeeId) -> RosterEntry | None:
        return self._rows.get(employee_id)

    async def get_many(self, ids: Iterable[EmployeeId]) -> dict[EmployeeId, RosterEntry]:
        return {id: self._rows[id] for id in ids if id in self._rows}

    async def with_planner(self, ids: Iterable[EmployeeId]) -> tuple[dict[EmployeeId, RosterEntry], Planner]:
        return await self.get_many(ids), Planner(self._catalog[-1])

    async def by_numbers(self, numbers: Iterable[str]) -> dict[str, EmployeeId]:
        found: dict[str, list[EmployeeId]] = defaultdict(list)
        for entry in self._rows.values():
            found[entry.employee_number].append(entry.employee_id)
        return {number: found[number][0] for number in numbers if len(found.get(number, ())) == 1}

    async def versions(self, ids: Sequence[EmployeeId]) -> dict[EmployeeId, int]:
        return {id: self._rows[id].source_version for id in ids if id in self._rows}

    async def put(self, entries: Sequence[RosterEntry], known: Mapping[EmployeeId, int], now: datetime) -> None:
        for entry in entries:
            held = self._rows.get(entry.employee_id)
            if (held.source_version if held else None) != known.get(entry.employee_id):
                raise Stale("somebody changed the roster meanwhile")
            self._rows[entry.employee_id] = entry

    async def population(
        self, *, pay_group: str, department: str, span: Period, after: EmployeeId | None, limit: int
    ) -> list[EmployeeId]:
        return [
            id
            for id, entry in sorted(self._rows.items())
            if (after is None or id > after)
            and any(
                one.pay_group == pay_group if pay_group else one.department == department for one in entry.within(span)
            )
        ][:limit]


class MemoryBadges:
    """The badges of one tenant."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows.badges

    async def get_many(self, numbers: Iterable[str]) -> dict[str, Badge]:
        return {number: self._rows[number] for number in numbers if number in self._rows}

    async def hold(self, number: str) -> Badge:
        return self._rows.get(number, Badge(number, Version(0)))

    async def put(self, held: Badge, now: datetime) -> None:
        if held.version != (await self.hold(held.number)).version + 1:
            raise Stale("somebody changed the badge meanwhile; read it again")
        self._rows[held.number] = held


class MemoryCatalog:
    """The time catalog of one tenant: every version that there was."""

    def __init__(self, rows: Rows, outbox: Outbox, tenant_id: TenantId) -> None:
        self._versions = rows.catalog
        self._outbox = outbox
        self._tenant_id = tenant_id

    async def planner(self, version: int | None = None) -> Planner:
        return Planner(self._versions[-1 if version is None else version])

    async def hold(self) -> Planner:
        return await self.planner()

    async def publish(self, entry: CatalogEntry) -> None:
        if entry.version != len(self._versions):
            raise Stale("somebody published an entry meanwhile")
        self._versions.append(self._versions[-1].with_entry(entry))
        self._outbox.add("time_catalog", catalog_id(self._tenant_id), entry.version, [published_event(entry)])


class MemoryReadings:
    """Timesheets and totals of one tenant, as they are read; every fact is settled at once."""

    settle_margin_s = 0.0

    def __init__(self, rows: Rows, now: Callable[[], datetime]) -> None:
        self._rows = rows
        self._now = now

    async def database_time(self) -> datetime:
        return self._now()

    async def get(self, id: UUID) -> TimesheetState:
        state = self._rows.timesheets.get(id)
        if state is None:
            raise TimesheetNotFound("there is no such timesheet; check the id", timesheet=id)
        return state

    async def find(self, employee_id: EmployeeId, period: str) -> list[TimesheetState]:
        states = self._rows.timesheets.values()
        return [one for one in states if one.employee_id == employee_id and one.period.name == period]

    async def listing(self, wanted: TimesheetFilter, after: ListKey | None, limit: int) -> list[TimesheetState]:
        found = {
            ListKey(one.employee_id, one.period.name, one.id): one
            for one in self._rows.timesheets.values()
            if wanted.period in ("", one.period.name)
            and wanted.employee_id in (None, one.employee_id)
            and wanted.pay_group in ("", one.grounds.last.pay_group)
            and wanted.department in ("", one.grounds.last.department)
            and wanted.status in (None, one.status)
            and (wanted.updated_since is None or one.record_time > wanted.updated_since)
            and (not wanted.employee_ids or one.employee_id in wanted.employee_ids)
        }
        return [found[key] for key in sorted(found) if after is None or key > after][:limit]

    async def with_request(self, kind: RequestKind, request_id: UUID) -> TimesheetState | None:
        return _holding(self._rows, kind, request_id)

    async def requests(
        self, wanted: RequestFilter, after: UUID | None, limit: int
    ) -> list[tuple[UUID, TimesheetState]]:
        found = {
            request.id: one
            for one in self._rows.timesheets.values()
            for request in requests_in(one, wanted.kind)
            if wanted.status in (None, request.asked.status)
            and (not wanted.employee_ids or one.employee_id in wanted.employee_ids)
            and wanted.department in ("", one.grounds.last.department)
        }
        return [(id, found[id]) for id in sorted(found) if after is None or id > after][:limit]

    async def stamps(self, id: UUID) -> list[Stamp]:
        return _stamps(self._rows, {id}).get(id, [])

    async def totals(self, ids: Sequence[EmployeeId], period: str, known_at: datetime | None) -> list[bytes]:
        then = STILL_KNOWN if known_at is None else known_at
        rows = [
            row
            for row in self._rows.totals
            if row.state.employee_id in ids
            and row.state.period.name == period
            and (row.recorded_to == then if known_at is None else row.state.record_time <= then < row.recorded_to)
        ]
        return [row.payload for row in sorted(rows, key=lambda row: (row.state.employee_id, row.state.id))]

    async def latest_record_time(self, pay_group: str) -> datetime | None:
        times = [row.state.record_time for row in self._rows.totals if row.state.grounds.last.pay_group == pay_group]
        return max(times, default=None)

    async def feed_position(self) -> int:
        return len(self._rows.saved)

    async def changed_since(
        self, pay_group: str, period: str, position: int, after: EmployeeId | None, limit: int
    ) -> list[Change]:
        latest: dict[EmployeeId, Change] = {}
        for index, saved in enumerate(self._rows.saved, start=1):
            name = type(saved.event).__name__
            if index <= position or name not in STEPS:
                continue
            state = self._rows.timesheets[saved.aggregate_id]
            if state.period.name == period and state.grounds.last.pay_group == pay_group:
                before = latest.get(state.employee_id)
                time = state.record_time if before is None else max(before.record_time, state.record_time)
                latest[state.employee_id] = Change(state.employee_id, state.id, f"{name}Event", index, time)
        return [latest[id] for id in sorted(latest) if after is None or id > after][:limit]

    async def of_keys(self, keys: Sequence[TimesheetKey]) -> dict[TimesheetKey, TimesheetState]:
        wanted = set(keys)
        found = ((key_of(state), state) for state in self._rows.timesheets.values())
        return {key: state for key, state in found if key in wanted}

    async def stamps_of(self, ids: Sequence[UUID]) -> dict[UUID, list[Stamp]]:
        return _stamps(self._rows, set(ids))

    async def stamps_near(self, windows: Sequence[Window]) -> dict[UUID, list[Stamp]]:
        return _stamps_near(self._rows, windows)

    async def roster_entries(self, ids: Iterable[EmployeeId]) -> dict[EmployeeId, RosterEntry]:
        return {id: self._rows.roster[id] for id in ids if id in self._rows.roster}

    async def roster_entry(self, employee_id: EmployeeId) -> RosterEntry | None:
        return self._rows.roster.get(employee_id)

    async def badges(self, number: str, employee_id: EmployeeId | None, after: str, limit: int) -> list[Badge]:
        return [
            one
            for key, one in sorted(self._rows.badges.items())
            if key > after and number in ("", key) and employee_id in (None, one.holder)
        ][:limit]

    async def planner(self, version: int | None = None) -> Planner:
        return Planner(self._rows.catalog[-1 if version is None else version])


class MemoryAttendanceWork(WorkInMemory):
    """A unit of work over a copy of the tenant's rows."""

    def __init__(
        self,
        rows: Rows,
        tenant_id: TenantId,
        actor: str,
        actor_employee: EmployeeId | None,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
        codec: TotalsCodec,
    ) -> None:
        super().__init__(tenant_id, now, new_id, actor)
        self.rows = rows
        self.actor_employee = actor_employee
        self.timesheets = MemoryTimesheets(rows, self.outbox, codec)
        self.roster = MemoryRoster(rows)
        self.badges = MemoryBadges(rows)
        self.catalog = MemoryCatalog(rows, self.outbox, tenant_id)


class MemoryAttendance(TenantsInMemory[Rows]):
    """Every tenant's timesheets, roster and catalog."""

    def __init__(self, now: Callable[[], datetime], new_id: Callable[[], UUID], codec: TotalsCodec) -> None:
        super().__init__(Rows)
        self._now = now
        self._new_id = new_id
        self._codec = codec

    @asynccontextmanager
    async def work(
        self, tenant_id: TenantId, actor: str, actor_employee: EmployeeId | None
    ) -> AsyncIterator[MemoryAttendanceWork]:
        """One command's work, kept when the block ends without an error."""

        def opened(rows: Rows) -> MemoryAttendanceWork:
            return MemoryAttendanceWork(rows, tenant_id, actor, actor_employee, self._now, self._new_id, self._codec)

        async with self.changed(tenant_id, opened) as work:
            yield work
            work.rows.saved += work.outbox.saved

    def readings(self, tenant_id: TenantId) -> MemoryReadings:
        """The tenant's timesheets and totals as they are now."""
        return MemoryReadings(self._rows[tenant_id], self._now)
