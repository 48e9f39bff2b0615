"""Timesheets, punches, the roster and the catalog in SQL, for commands."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from chassis.database import (
    FEW_ROWS,
    Contention,
    Duplicate,
    Lock,
    Prepared,
    PreparedChange,
    Tx,
    delete,
    select,
    update,
)
from chassis.outbox import Outbox
from contexts.attendance.domain.badges import Badge
from contexts.attendance.domain.catalog import CatalogEntry
from contexts.attendance.domain.errors import PunchIdTaken, TimesheetNotFound
from contexts.attendance.domain.periods import TimePeriod
from contexts.attendance.domain.planning import Planner
from contexts.attendance.domain.punches import Direction, Punch, Source, Stamp
from contexts.attendance.domain.roster import RosterEntry
from contexts.attendance.domain.timesheet import Placed, Status, Timesheet, TimesheetState
from contexts.attendance.repository.documents import (
    absences_from_json,
    adjustments_from_json,
    corrections_from_json,
    definition_from_json,
    definition_to_json,
    grounds_from_json,
    holdings_from_json,
    holdings_to_json,
    overtime_from_json,
    placements_from_json,
    placements_to_json,
    timesheet_to_json,
)
from contexts.attendance.repository.planners import Planners
from contexts.attendance.repository.port import (
    RequestKind,
    StoredPunch,
    TimesheetKey,
    TotalsCodec,
    Window,
    catalog_id,
    key_of,
    published_event,
    requests_in,
)
from contexts.attendance.repository.tables import (
    STILL_KNOWN,
    badge,
    catalog_entry,
    catalog_head,
    period_total,
    punch,
    roster,
    roster_placement,
    timesheet,
    timesheet_request,
)
from kernel.errors import Stale
from kernel.ids import AssignmentId, EmployeeId, Version
from kernel.period import Period

_DIRECTIONS = {direction.value: direction for direction in Direction}
_ID = timesheet.c.timesheet_id.type
_INSTANT = timesheet.c.record_time.type
_ids = sa.bindparam("ids", expanding=True, type_=_ID)

_timesheet = select(timesheet).where(timesheet.c.timesheet_id == sa.bindparam("id", type_=_ID))
holding_request = (
    select(timesheet)
    .join(
        timesheet_request,
        sa.and_(
            timesheet_request.c.tenant_id == timesheet.c.tenant_id,
            timesheet_request.c.timesheet_id == timesheet.c.timesheet_id,
        ),
    )
    .where(
        timesheet_request.c.request_id == sa.bindparam("request", type_=_ID),
        timesheet_request.c.kind == sa.bindparam("kind"),
    )
)
_decided = (
    update(timesheet_request)
    .where(timesheet_request.c.request_id == sa.bindparam("of_id", type_=_ID))
    .values(status=sa.bindparam("to_status"))
)
rows_of_keys = Prepared(
    select(timesheet).where(
        timesheet.c.employee_id.in_(_ids), timesheet.c.period.in_(sa.bindparam("periods", expanding=True))
    )
)
_moved = (
    update(timesheet)
    .where(timesheet.c.timesheet_id.in_(_ids))
    .values(
        version=timesheet.c.version + sa.bindparam("versions"),
        record_time=sa.bindparam("at", type_=_INSTANT),
        punch_count=timesheet.c.punch_count + sa.bindparam("punches"),
        status=sa.bindparam("to_status"),
        submitted_by=sa.bindparam("to_submitted_by"),
        approved_by=sa.bindparam("to_approved_by"),
    )
)
_moved_few = PreparedChange(_moved)
_changed = (
    update(timesheet)
    .where(
        timesheet.c.timesheet_id == sa.bindparam("of_id", type_=_ID),
        timesheet.c.version == sa.bindparam("seen"),
    )
    .values(
        version=sa.bindparam("to_version"),
        record_time=sa.bindparam("at", type_=_INSTANT),
        punch_count=sa.bindparam("punches"),
        status=sa.bindparam("to_status"),
        pay_group=sa.bindparam("to_pay_group"),
        department=sa.bindparam("to_department"),
        document=sa.bindparam("to_document", type_=timesheet.c.document.type),
        submitted_by=sa.bindparam("to_submitted_by"),
        approved_by=sa.bindparam("to_approved_by"),
    )
)
_replaced_totals = (
    update(period_total)
    .where(
        period_total.c.period == sa.bindparam("of_period"),
        period_total.c.employee_id.in_(sa.bindparam("employees", expanding=True, type_=_ID)),
        period_total.c.timesheet_id.in_(_ids),
        period_total.c.recorded_to == STILL_KNOWN,
    )
    .values(recorded_to=sa.bindparam("at", type_=_INSTANT))
)
_totals = select(period_total, period_total.c.timesheet_id, period_total.c.payload).where(
    period_total.c.period.in_(sa.bindparam("periods", expanding=True)),
    period_total.c.employee_id.in_(sa.bindparam("employees", expanding=True, type_=_ID)),
    period_total.c.timesheet_id.in_(_ids),
    period_total.c.recorded_to == STILL_KNOWN,
)
_sheet = sa.type_coerce(punch.c.timesheet_id, sa.LargeBinary).label("sheet")  # many rows of few timesheets
_stamp_columns = (_sheet, punch.c.punch_id, punch.c.punched_at, punch.c.direction)
stamp_rows = select(punch, *_stamp_columns)
stamps_of_rows = stamp_rows.where(punch.c.timesheet_id.in_(_ids))
stamps_near_rows = Prepared(
    stamps_of_rows.where(
        punch.c.punched_at >= sa.bindparam("start", type_=_INSTANT),
        punch.c.punched_at <= sa.bindparam("end", type_=_INSTANT),
    )
)
_punches = Prepared(
    select(punch, punch, timesheet.c.employee_id)
    .join(
        timesheet,
        sa.and_(timesheet.c.tenant_id == punch.c.tenant_id, timesheet.c.timesheet_id == punch.c.timesheet_id),
    )
    .where(punch.c.punch_id.in_(_ids))
)
roster_of = select(roster).where(roster.c.employee_id.in_(_ids))
_numbers = select(roster, roster.c.employee_number, roster.c.employee_id).where(
    roster.c.employee_number.in_(sa.bindparam("numbers", expanding=True))
)
_versions = select(roster, roster.c.employee_id, roster.c.source_version).where(roster.c.employee_id.in_(_ids))
_put = (
    update(roster)
    .where(roster.c.employee_id == sa.bindparam("of_id", type_=_ID), roster.c.source_version == sa.bindparam("seen"))
    .values(
        employee_number=sa.bindparam("to_number"),
        source_version=sa.bindparam("to_version"),
        record_time=sa.bindparam("at", type_=_INSTANT),
        placements=sa.bindparam("to_placements", type_=roster.c.placements.type),
    )
)
_left = delete(roster_placement).where(roster_placement.c.employee_id.in_(_ids))
_badges = select(badge).where(badge.c.badge_number.in_(sa.bindparam("numbers", expanding=True)))
_handed_over = (
    update(badge)
    .where(badge.c.badge_number == sa.bindparam("of_number"), badge.c.version == sa.bindparam("seen"))
    .values(
        employee_id=sa.bindparam("to_employee", type_=_ID),
        version=sa.bindparam("to_version"),
        record_time=sa.bindparam("at", type_=_INSTANT),
        holdings=sa.bindparam("to_holdings", type_=badge.c.holdings.type),
    )
)
_head = select(catalog_head, catalog_head.c.catalog_version)
_roster_and_head = Prepared(
    select(
        catalog_head,
        catalog_head.c.catalog_version,
        roster.c.employee_id,
        roster.c.employee_number,
        roster.c.source_version,
        roster.c.placements,
    ).outerjoin(roster, sa.and_(roster.c.tenant_id == catalog_head.c.tenant_id, roster.c.employee_id.in_(_ids)))
)
_entries = (
    select(catalog_entry)
    .where(
        catalog_entry.c.catalog_version > sa.bindparam("after"),
        catalog_entry.c.catalog_version <= sa.bindparam("up_to"),
    )
    .order_by(catalog_entry.c.catalog_version)
)
_published = update(catalog_head).where(catalog_head.c.catalog_version == sa.bindparam("seen"))


def state_from(row: RowMapping) -> TimesheetState:
    """A timesheet from its row, without its totals."""
    held = orjson.loads(row["document"])
    return TimesheetState(
        id=row["timesheet_id"],
        employee_id=EmployeeId(row["employee_id"]),
        assignment_id=AssignmentId(row["assignment_id"]),
        period=TimePeriod(row["period"], Period(row["start_date"], row["end_date"])),
        grounds=grounds_from_json(held),
        status=Status(row["status"]),
        version=Version(row["version"]),
        record_time=row["record_time"],
        punch_count=row["punch_count"],
        absences=absences_from_json(held),
        corrections=corrections_from_json(held),
        overtime=overtime_from_json(held),
        adjustments=adjustments_from_json(held),
        submitted_by=row["submitted_by"],
        approved_by=row["approved_by"],
    )


async def with_totals(tx: Tx, states: Sequence[TimesheetState], codec: TotalsCodec) -> list[TimesheetState]:
    """The timesheets, those that were submitted with their totals."""
    closed = [state for state in states if state.status is not Status.OPEN]
    if not closed:
        return list(states)
    values = {
        "periods": list({state.period.name for state in closed}),
        "employees": list({state.employee_id for state in closed}),
        "ids": [state.id for state in closed],
    }
    payloads = {row["timesheet_id"]: row["payload"] for row in await tx.rows(_totals, values)}
    return [
        replace(state, totals=codec.decode(payloads[state.id])) if state.status is not Status.OPEN else state
        for state in states
    ]


def values_of_keys(keys: Iterable[TimesheetKey]) -> dict[str, Any]:
    """What `rows_of_keys` asks for: all that these keys need, and maybe more."""
    return {"ids": list({key.employee_id for key in keys}), "periods": list({key.period for key in keys})}


def keyed_rows(rows: Iterable[RowMapping], keys: Iterable[TimesheetKey]) -> list[RowMapping]:
    """The rows of exactly these keys."""
    wanted = set(keys)
    return [
        row for row in rows if (row["employee_id"], row["assignment_id"], row["time_calendar"], row["period"]) in wanted
    ]


def window_values(windows: Sequence[Window]) -> dict[str, Any]:
    """What `stamps_near_rows` asks for: one stretch that holds all windows."""
    return {
        "ids": [window.timesheet_id for window in windows],
        "start": min(window.start for window in windows),
        "end": max(window.end for window in windows),
    }


def stamps_from(rows: Iterable[RowMapping]) -> dict[UUID, list[Stamp]]:
    """Stamps by timesheet."""
    found: dict[bytes, list[Stamp]] = defaultdict(list)
    for row in rows:
        found[row["sheet"]].append(Stamp(row["punched_at"], _DIRECTIONS[row["direction"]], row["punch_id"]))
    return {UUID(bytes=sheet): stamps for sheet, stamps in found.items()}


def entry_from(row: RowMapping) -> RosterEntry:
    """A roster entry from its row."""
    return RosterEntry(
        EmployeeId(row["employee_id"]),
        row["source_version"],
        placements_from_json(row["placements"]),
        row["employee_number"],
    )


class SqlTimesheets:
    """Timesheets in one write transaction: read to be changed, each locked until it ends."""

    def __init__(self, tx: Tx, outbox: Outbox, codec: TotalsCodec) -> None:
        self._tx = tx
        self._outbox = outbox
        self._codec = codec
        self._loaded: dict[UUID, TimesheetState] = {}

    async def _restored(self, rows: Sequence[RowMapping]) -> list[Timesheet]:
        states = await with_totals(self._tx, [state_from(row) for row in rows], self._codec)
        self._loaded |= {state.id: state for state in states}
        return [Timesheet(state) for state in states]

    async def get(self, id: UUID, seen: Version | None = None) -> Timesheet:
        row = await self._tx.row(_timesheet, {"id": id}, lock=Lock.UPDATE)
        if row is None:
            raise TimesheetNotFound("there is no such timesheet; check the id", timesheet=id)
        if seen is not None and row["version"] != seen:
            raise Stale("the timesheet was changed meanwhile; read it again", timesheet=id)
        [restored] = await self._restored([row])
        return restored

    async def of_keys(self, keys: Sequence[TimesheetKey]) -> dict[TimesheetKey, Timesheet]:
        if not keys:
            return {}
        rows = await self._tx.rows(rows_of_keys, values_of_keys(keys), lock=Lock.UPDATE)
        keyed = keyed_rows(rows, keys)
        return {key_of(one.state): one for one in await self._restored(keyed)}

    async def add(self, timesheets: Sequence[Timesheet]) -> None:
        if not timesheets:
            return
        try:
            await self._tx.insert(timesheet, [self._row(one.state) for one in timesheets], later=True)
        except Duplicate as error:
            raise Contention("somebody opened the same timesheet meanwhile") from error
        for one in timesheets:
            self._outbox.add("timesheet", one.state.id, one.state.version, one.pull_events())
            self._loaded[one.state.id] = one.state
        await self._insert_totals([one.state for one in timesheets if one.state.status is not Status.OPEN])
        await self._keep_requests([row for one in timesheets for row in self._asked(one.state, None)])

    @staticmethod
    def _row(state: TimesheetState) -> dict[str, Any]:
        return {
            "timesheet_id": state.id,
            "employee_id": state.employee_id,
            "assignment_id": state.assignment_id,
            "time_calendar": state.grounds.calendar.code,
            "period": state.period.name,
            "start_date": state.period.span.start,
            "end_date": state.period.span.end,
            "pay_group": state.grounds.last.pay_group,
            "department": state.grounds.last.department,
            "status": state.status.value,
            "version": state.version,
            "record_time": state.record_time,
            "punch_count": state.punch_count,
            "document": timesheet_to_json(state),
            "submitted_by": state.submitted_by,
            "approved_by": state.approved_by,
        }

    async def save(self, timesheets: Sequence[Timesheet]) -> None:
        moved: dict[tuple[Any, ...], list[UUID]] = defaultdict(list)
        changed: list[dict[str, Any]] = []
        totalled: list[TimesheetState] = []
        asked: list[dict[str, Any]] = []
        for one in timesheets:
            events = one.pull_events()
            if not events:
                continue
            state, loaded = one.state, self._loaded[one.state.id]
            if state.grounds is loaded.grounds and state.details == loaded.details:
                gained = (state.version - loaded.version, state.punch_count - loaded.punch_count)
                moved[(*gained, state.record_time, state.status.value, state.submitted_by, state.approved_by)].append(
                    state.id
                )
            else:
                changed.append(self._change(state, loaded.version))
            if state.status is not loaded.status or state.totals is not loaded.totals:
                totalled.append(state)
            asked += self._asked(state, loaded)
            self._outbox.add("timesheet", state.id, state.version, events)
            self._loaded[state.id] = state
        # Every timesheet is locked since it was read, so that those that move alike can share one statement.
        names = ("versions", "punches", "at", "to_status", "to_submitted_by", "to_approved_by")
        for alike, ids in moved.items():
            values = dict(zip(names, alike, strict=True))
            change = _moved_few if len(ids) <= FEW_ROWS else _moved
            if await self._tx.execute(change, values | {"ids": ids}) != len(ids):
                raise Stale("a timesheet was changed meanwhile; read it again")
        if changed and await self._tx.execute_many(_changed, changed) != len(changed):
            raise Stale("a timesheet was changed meanwhile; read it again")
        await self._replace_totals(totalled)
        await self._keep_requests(asked)

    @staticmethod
    def _asked(state: TimesheetState, before: TimesheetState | None) -> list[dict[str, Any]]:
        """The rows of requests that are new or were decided."""
        rows: list[dict[str, Any]] = []
        for kind in RequestKind:
            requests = requests_in(state, kind)
            held = {one.id: one for one in requests_in(before, kind)} if before is not None else {}
            if not requests or (before is not None and requests is requests_in(before, kind)):
                continue
            rows += [
                {
                    "request_id": one.id,
                    "kind": kind.value,
                    "status": one.asked.status.value,
                    "timesheet_id": state.id,
                    "employee_id": state.employee_id,
                    "is_new": one.id not in held,
                }
                for one in requests
                if one != held.get(one.id)
            ]
        return rows

    async def _keep_requests(self, rows: Sequence[dict[str, Any]]) -> None:
        new = [{name: value for name, value in row.items() if name != "is_new"} for row in rows if row["is_new"]]
        if new:
            await self._tx.insert(timesheet_request, new)
        for row in rows:
            if not row["is_new"]:
                await self._tx.execute(_decided, {"of_id": row["request_id"], "to_status": row["status"]})

    @staticmethod
    def _change(state: TimesheetState, seen: int) -> dict[str, Any]:
        return {
            "of_id": state.id,
            "seen": seen,
            "to_version": state.version,
            "at": state.record_time,
            "punches": state.punch_count,
            "to_status": state.status.value,
            "to_pay_group": state.grounds.last.pay_group,
            "to_department": state.grounds.last.department,
            "to_document": timesheet_to_json(state),
            "to_submitted_by": state.submitted_by,
            "to_approved_by": state.approved_by,
        }

    async def _replace_totals(self, states: Sequence[TimesheetState]) -> None:
        together: dict[tuple[str, datetime], list[TimesheetState]] = defaultdict(list)
        for state in states:
            together[state.period.name, state.record_time].append(state)
        for (period, now), group in together.items():
            values = {
                "of_period": period,
                "employees": [state.employee_id for state in group],
                "ids": [state.id for state in group],
                "at": now,
            }
            await self._tx.execute(_replaced_totals, values)
        await self._insert_totals(states)

    async def _insert_totals(self, states: Sequence[TimesheetState]) -> None:
        rows = [
            {
                "period": state.period.name,
                "employee_id": state.employee_id,
                "timesheet_id": state.id,
                "version": state.version,
                "pay_group": state.grounds.last.pay_group,
                "status": state.status.value,
                "recorded_from": state.record_time,
                "recorded_to": STILL_KNOWN,
                "payload": self._codec.encode(state),
            }
            for state in states
        ]
        if rows:
            await self._tx.insert(period_total, rows)

    async def with_request(self, kind: RequestKind, request_id: UUID) -> Timesheet | None:
        row = await self._tx.row(holding_request, {"request": request_id, "kind": kind.value}, lock=Lock.UPDATE)
        return (await self._restored([row]))[0] if row is not None else None

    async def stamps(self, ids: Sequence[UUID]) -> dict[UUID, list[Stamp]]:
        return stamps_from(await self._tx.rows(stamps_of_rows, {"ids": ids})) if ids else {}

    async def stamps_near(self, windows: Sequence[Window]) -> dict[UUID, list[Stamp]]:
        if not windows:
            return {}
        return stamps_from(await self._tx.rows(stamps_near_rows, window_values(windows)))

    async def punches(self, punch_ids: Sequence[UUID]) -> dict[UUID, StoredPunch]:
        if not punch_ids:
            return {}
        rows = await self._tx.rows(_punches, {"ids": punch_ids})
        return {row["punch_id"]: _stored(row) for row in rows}

    async def add_punches(self, placed: Mapping[UUID, Sequence[Placed]], now: datetime) -> None:
        rows = [
            {
                "timesheet_id": timesheet_id,
                "punched_at": one.punch.stamp.instant,
                "punch_id": one.punch.stamp.punch_id,
                "direction": one.punch.stamp.direction.value,
                "source": one.punch.source.value,
                "time_zone": one.punch.time_zone,
                "work_date": one.work_date,
                "duplicate_of": one.duplicate_of,
                "device_id": one.punch.device_id,
                "device_sequence": one.punch.device_sequence,
                "device_clock": one.punch.device_clock,
                "clock_skew_seconds": one.punch.clock_skew_seconds,
                "record_time": now,
            }
            for timesheet_id, group in placed.items()
            for one in group
        ]
        try:
            await self._tx.insert(punch, rows, later=True)
        except Duplicate as error:
            raise PunchIdTaken(
                "a punch_id names one punch for ever; give this one another", field="punch_id"
            ) from error


def _stored(row: RowMapping) -> StoredPunch:
    stamp = Stamp(row["punched_at"], _DIRECTIONS[row["direction"]], row["punch_id"])
    made = Punch(
        stamp,
        Source(row["source"]),
        row["time_zone"],
        row["device_id"],
        row["device_sequence"],
        row["device_clock"],
        row["clock_skew_seconds"],
    )
    return StoredPunch(made, row["timesheet_id"], EmployeeId(row["employee_id"]), row["work_date"], row["duplicate_of"])


class SqlRoster:
    """The roster in one write transaction."""

    def __init__(self, tx: Tx, planners: Planners) -> None:
        self._tx = tx
        self._planners = planners

    async def get(self, employee_id: EmployeeId) -> RosterEntry | None:
        return (await self.get_many([employee_id])).get(employee_id)

    async def get_many(self, ids: Iterable[EmployeeId]) -> dict[EmployeeId, RosterEntry]:
        wanted = list(ids)
        rows = await self._tx.rows(roster_of, {"ids": wanted}) if wanted else []
        return {EmployeeId(row["employee_id"]): entry_from(row) for row in rows}

    async def with_planner(self, ids: Iterable[EmployeeId]) -> tuple[dict[EmployeeId, RosterEntry], Planner]:
        rows = await self._tx.rows(_roster_and_head, {"ids": list(ids)})
        entries = {EmployeeId(row["employee_id"]): entry_from(row) for row in rows if row["employee_id"] is not None}
        version = rows[0]["catalog_version"] if rows else 0
        if not rows:  # a tenant that has published nothing yet has no head to join
            return await self.get_many(ids), await planner_of(self._tx, self._planners, version)
        return entries, await planner_of(self._tx, self._planners, version)

    async def by_numbers(self, numbers: Iterable[str]) -> dict[str, EmployeeId]:
        wanted = list(numbers)
        rows = await self._tx.rows(_numbers, {"numbers": wanted}) if wanted else []
        found: dict[str, list[EmployeeId]] = defaultdict(list)
        for row in rows:
            found[row["employee_number"]].append(EmployeeId(row["employee_id"]))
        return {number: ids[0] for number, ids in found.items() if len(ids) == 1}

    async def versions(self, ids: Sequence[EmployeeId]) -> dict[EmployeeId, int]:
        rows = await self._tx.rows(_versions, {"ids": sorted(ids)}, lock=Lock.UPDATE)
        return {EmployeeId(row["employee_id"]): row["source_version"] for row in rows}

    async def put(self, entries: Sequence[RosterEntry], known: Mapping[EmployeeId, int], now: datetime) -> None:
        if not entries:
            return
        new = [entry for entry in entries if entry.employee_id not in known]
        old = [entry for entry in entries if entry.employee_id in known]
        try:
            if new:
                await self._tx.insert(
                    roster,
                    [
                        {
                            "employee_id": entry.employee_id,
                            "employee_number": entry.employee_number,
                            "source_version": entry.source_version,
                            "record_time": now,
                            "placements": placements_to_json(entry.placements),
                        }
                        for entry in new
                    ],
                )
        except Duplicate as error:
            raise Contention("somebody put the same employee on the roster meanwhile") from error
        values = [
            {
                "of_id": entry.employee_id,
                "seen": known[entry.employee_id],
                "to_number": entry.employee_number,
                "to_version": entry.source_version,
                "at": now,
                "to_placements": placements_to_json(entry.placements),
            }
            for entry in old
        ]
        if await self._tx.execute_many(_put, values) != len(values):
            raise Stale("somebody changed the roster meanwhile")
        if old:
            await self._tx.execute(_left, {"ids": [entry.employee_id for entry in old]})
        rows = [
            {
                "employee_id": entry.employee_id,
                "start_date": placement.span.start,
                "end_date": placement.span.end,
                "pay_group": placement.pay_group,
                "department": placement.department,
            }
            for entry in entries
            for placement in entry.placements
        ]
        if rows:
            await self._tx.insert(roster_placement, rows)

    async def population(
        self, *, pay_group: str, department: str, span: Period, after: EmployeeId | None, limit: int
    ) -> list[EmployeeId]:
        held = roster_placement.c
        wanted = (
            select(roster_placement, held.employee_id)
            .where(held.start_date < span.end, held.end_date > span.start)
            .where(held.pay_group == pay_group if pay_group else held.department == department)
            .distinct()
            .order_by(held.employee_id)
            .limit(limit)
        )
        if after is not None:
            wanted = wanted.where(held.employee_id > after)
        return [EmployeeId(row["employee_id"]) for row in await self._tx.rows(wanted)]


def badge_from(row: RowMapping) -> Badge:
    """A badge from its row."""
    return Badge(row["badge_number"], Version(row["version"]), holdings_from_json(row["holdings"]))


class SqlBadges:
    """Badges in one write transaction."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def get_many(self, numbers: Iterable[str]) -> dict[str, Badge]:
        wanted = list(numbers)
        rows = await self._tx.rows(_badges, {"numbers": wanted}) if wanted else []
        return {row["badge_number"]: badge_from(row) for row in rows}

    async def hold(self, number: str) -> Badge:
        row = await self._tx.row(_badges, {"numbers": [number]}, lock=Lock.UPDATE)
        return Badge(number, Version(0)) if row is None else badge_from(row)

    async def put(self, held: Badge, now: datetime) -> None:
        holdings = holdings_to_json(held.holdings)
        if held.version == 1:
            row = {
                "badge_number": held.number,
                "employee_id": held.holder,
                "version": 1,
                "record_time": now,
                "holdings": holdings,
            }
            try:
                await self._tx.insert(badge, row)
            except Duplicate as error:
                raise Contention("somebody issued the same badge meanwhile") from error
            return
        values = {
            "of_number": held.number,
            "seen": held.version - 1,
            "to_employee": held.holder,
            "to_version": held.version,
            "at": now,
            "to_holdings": holdings,
        }
        if await self._tx.execute(_handed_over, values) != 1:
            raise Stale("somebody changed the badge meanwhile; read it again")


async def entries_between(tx: Tx, after: int, up_to: int) -> list[CatalogEntry]:
    """The entries that these versions published."""
    rows = await tx.rows(_entries, {"after": after, "up_to": up_to})
    return [
        CatalogEntry(
            row["catalog_version"],
            row["effective_date"],
            definition_from_json(row["kind"], row["definition"]),
            row["record_time"],
        )
        for row in rows
    ]


async def planner_of(tx: Tx, planners: Planners, version: int | None) -> Planner:
    """The planner of a version of the tenant's catalog, None for the latest."""
    if version is None:
        head = await tx.row(_head)
        version = 0 if head is None else head["catalog_version"]
    return await planners.get(tx.tenant_id, version, lambda after, up_to: entries_between(tx, after, up_to))


class SqlCatalog:
    """The time catalog in one write transaction."""

    def __init__(self, tx: Tx, outbox: Outbox, planners: Planners) -> None:
        self._tx = tx
        self._outbox = outbox
        self._planners = planners

    async def planner(self, version: int | None = None) -> Planner:
        return await planner_of(self._tx, self._planners, version)

    async def hold(self) -> Planner:
        head = await self._tx.row(_head, lock=Lock.UPDATE)
        if head is None:
            try:
                await self._tx.insert(catalog_head, {"catalog_version": 0})
            except Duplicate as error:
                raise Contention("somebody published the first entry meanwhile") from error
        return await self.planner(0 if head is None else head["catalog_version"])

    async def publish(self, entry: CatalogEntry) -> None:
        row = {
            "catalog_version": entry.version,
            "kind": entry.kind,
            "code": entry.definition.code,
            "effective_date": entry.effective_date,
            "record_time": entry.record_time,
            "definition": definition_to_json(entry.definition),
        }
        await self._tx.insert(catalog_entry, row)
        moved = _published.values(catalog_version=entry.version)
        if await self._tx.execute(moved, {"seen": entry.version - 1}) != 1:
            raise Stale("somebody published an entry meanwhile")
        self._outbox.add("time_catalog", catalog_id(self._tx.tenant_id), entry.version, [published_event(entry)])
