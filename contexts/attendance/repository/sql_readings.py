"""Timesheets and totals in SQL, as they are read."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from chassis.database import Tx, select
from chassis.tables import outbox
from contexts.attendance.domain.badges import Badge
from contexts.attendance.domain.errors import TimesheetNotFound
from contexts.attendance.domain.planning import Planner
from contexts.attendance.domain.punches import Stamp
from contexts.attendance.domain.roster import RosterEntry
from contexts.attendance.domain.timesheet import TimesheetState
from contexts.attendance.repository.planners import Planners
from contexts.attendance.repository.port import (
    Change,
    ListKey,
    RequestFilter,
    RequestKind,
    TimesheetFilter,
    TimesheetKey,
    TotalsCodec,
    Window,
    key_of,
)
from contexts.attendance.repository.sql import (
    badge_from,
    entry_from,
    holding_request,
    keyed_rows,
    planner_of,
    roster_of,
    rows_of_keys,
    stamp_rows,
    stamps_from,
    stamps_near_rows,
    stamps_of_rows,
    state_from,
    values_of_keys,
    window_values,
    with_totals,
)
from contexts.attendance.repository.tables import (
    STILL_KNOWN,
    badge,
    period_total,
    punch,
    roster,
    timesheet,
    timesheet_request,
)
from kernel.ids import EmployeeId

# The events that change what payroll reads.
TOTALS_EVENTS = tuple(
    f"muster.attendance.v1.Timesheet{step}Event" for step in ("Submitted", "Approved", "Reopened", "Locked", "Adjusted")
)

_ID = timesheet.c.timesheet_id.type
_INSTANT = timesheet.c.record_time.type
_one = select(timesheet).where(timesheet.c.timesheet_id == sa.bindparam("id", type_=_ID))
_of_employee = (
    select(timesheet)
    .where(
        timesheet.c.employee_id == sa.bindparam("employee", type_=_ID),
        timesheet.c.period == sa.bindparam("of_period"),
    )
    .order_by(timesheet.c.start_date, timesheet.c.timesheet_id)
)
_requests = (
    select(timesheet_request, timesheet_request.c.request_id, timesheet)
    .join(
        timesheet,
        sa.and_(
            timesheet.c.tenant_id == timesheet_request.c.tenant_id,
            timesheet.c.timesheet_id == timesheet_request.c.timesheet_id,
        ),
    )
    .order_by(timesheet_request.c.request_id)
)
_stamps = stamp_rows.where(punch.c.timesheet_id == sa.bindparam("id", type_=_ID))
_totals = (
    select(period_total, period_total.c.payload)
    .where(
        period_total.c.period == sa.bindparam("of_period"),
        period_total.c.employee_id.in_(sa.bindparam("employees", expanding=True, type_=_ID)),
    )
    .order_by(period_total.c.employee_id, period_total.c.timesheet_id)
)
_totals_now = _totals.where(period_total.c.recorded_to == STILL_KNOWN)
_totals_then = _totals.where(
    period_total.c.recorded_from <= sa.bindparam("known_at", type_=_INSTANT),
    period_total.c.recorded_to > sa.bindparam("known_at", type_=_INSTANT),
)
_latest = (
    select(period_total, period_total.c.recorded_from)
    .where(period_total.c.pay_group == sa.bindparam("of_pay_group"))
    .order_by(period_total.c.recorded_from.desc())
    .limit(1)
)
_position = (
    select(outbox, outbox.c.position).where(outbox.c.position.is_not(None)).order_by(outbox.c.position.desc()).limit(1)
)
_changes = (
    select(
        outbox,
        timesheet.c.employee_id,
        timesheet.c.timesheet_id,
        timesheet.c.record_time,
        outbox.c.type,
        outbox.c.position,
        outbox.c.aggregate_version,
        outbox.c.ordinal,
    )
    .join(
        timesheet,
        sa.and_(timesheet.c.tenant_id == outbox.c.tenant_id, timesheet.c.timesheet_id == outbox.c.aggregate_id),
    )
    .where(
        sa.or_(outbox.c.position > sa.bindparam("position"), outbox.c.position.is_(None)),
        outbox.c.type.in_(TOTALS_EVENTS),
        timesheet.c.pay_group == sa.bindparam("of_pay_group"),
        timesheet.c.period == sa.bindparam("of_period"),
    )
    .order_by(timesheet.c.employee_id, outbox.c.aggregate_version, outbox.c.ordinal)
)
_EVENTS_EACH = 40  # of one employee that a page makes room for; a page that ends inside one leaves that one out
_roster = select(roster).where(roster.c.employee_id == sa.bindparam("employee", type_=_ID))


class SqlReadings:
    """Timesheets and totals of one tenant, each statement seeing what is committed when it starts."""

    def __init__(
        self,
        tx: Tx,
        planners: Planners,
        codec: TotalsCodec,
        database_time: Callable[[], Awaitable[datetime]],
        settle_margin_s: float,
    ) -> None:
        self._tx = tx
        self._planners = planners
        self._codec = codec
        self._database_time = database_time
        self.settle_margin_s = settle_margin_s

    async def database_time(self) -> datetime:
        return await self._database_time()

    async def get(self, id: UUID) -> TimesheetState:
        row = await self._tx.row(_one, {"id": id})
        if row is None:
            raise TimesheetNotFound("there is no such timesheet; check the id", timesheet=id)
        [state] = await with_totals(self._tx, [state_from(row)], self._codec)
        return state

    async def find(self, employee_id: EmployeeId, period: str) -> list[TimesheetState]:
        rows = await self._tx.rows(_of_employee, {"employee": employee_id, "of_period": period})
        return await with_totals(self._tx, [state_from(row) for row in rows], self._codec)

    async def listing(self, wanted: TimesheetFilter, after: ListKey | None, limit: int) -> list[TimesheetState]:
        held = timesheet.c
        query = select(timesheet)
        for column, value in (
            (held.period, wanted.period),
            (held.employee_id, wanted.employee_id),
            (held.pay_group, wanted.pay_group),
            (held.department, wanted.department),
            (held.status, wanted.status.value if wanted.status else None),
        ):
            if value:
                query = query.where(column == value)
        if wanted.updated_since is not None:
            query = query.where(held.record_time > wanted.updated_since)
        if wanted.employee_ids:
            query = query.where(held.employee_id.in_(wanted.employee_ids))
        if after is not None:
            query = query.where(
                sa.or_(
                    held.employee_id > after.employee_id,
                    sa.and_(
                        held.employee_id == after.employee_id,
                        sa.or_(
                            held.period > after.period,
                            sa.and_(held.period == after.period, held.timesheet_id > after.timesheet_id),
                        ),
                    ),
                )
            )
        rows = await self._tx.rows(query.order_by(held.employee_id, held.period, held.timesheet_id).limit(limit))
        return [state_from(row) for row in rows]

    async def with_request(self, kind: RequestKind, request_id: UUID) -> TimesheetState | None:
        row = await self._tx.row(holding_request, {"request": request_id, "kind": kind.value})
        return None if row is None else state_from(row)

    async def requests(
        self, wanted: RequestFilter, after: UUID | None, limit: int
    ) -> list[tuple[UUID, TimesheetState]]:
        held = timesheet_request.c
        query = _requests.where(held.kind == wanted.kind.value)
        if wanted.status is not None:
            query = query.where(held.status == wanted.status.value)
        if wanted.employee_ids:
            query = query.where(held.employee_id.in_(wanted.employee_ids))
        if wanted.department:
            query = query.where(timesheet.c.department == wanted.department)
        if after is not None:
            query = query.where(held.request_id > after)
        return [(row["request_id"], state_from(row)) for row in await self._tx.rows(query.limit(limit))]

    async def stamps(self, id: UUID) -> list[Stamp]:
        return stamps_from(await self._tx.rows(_stamps, {"id": id})).get(id, [])

    async def totals(self, ids: Sequence[EmployeeId], period: str, known_at: datetime | None) -> list[bytes]:
        values = {"of_period": period, "employees": sorted(ids)}
        if known_at is None:
            rows = await self._tx.rows(_totals_now, values)
        else:
            rows = await self._tx.rows(_totals_then, values | {"known_at": known_at})
        return [row["payload"] for row in rows]

    async def latest_record_time(self, pay_group: str) -> datetime | None:
        row = await self._tx.row(_latest, {"of_pay_group": pay_group})
        return None if row is None else row["recorded_from"]

    async def feed_position(self) -> int:
        row = await self._tx.row(_position)
        return 0 if row is None else row["position"]

    async def changed_since(
        self, pay_group: str, period: str, position: int, after: EmployeeId | None, limit: int
    ) -> list[Change]:
        query = _changes if after is None else _changes.where(timesheet.c.employee_id > after)
        room = limit * _EVENTS_EACH
        values = {"of_pay_group": pay_group, "of_period": period, "position": position}
        rows = await self._tx.rows(query.limit(room), values)
        latest: dict[EmployeeId, Change] = {}
        for row in rows:
            employee_id = EmployeeId(row["employee_id"])
            event = row["type"].rpartition(".")[2]
            before = latest.get(employee_id)
            time = row["record_time"] if before is None else max(before.record_time, row["record_time"])
            latest[employee_id] = Change(employee_id, row["timesheet_id"], event, row["position"] or 0, time)
        found = list(latest.values())
        if len(rows) == room and len(found) > 1:
            found.pop()
        return found[:limit]

    async def of_keys(self, keys: Sequence[TimesheetKey]) -> dict[TimesheetKey, TimesheetState]:
        rows = await self._tx.rows(rows_of_keys, values_of_keys(keys)) if keys else []
        states = [state_from(row) for row in keyed_rows(rows, keys)]
        return {key_of(state): state for state in states}

    async def stamps_of(self, ids: Sequence[UUID]) -> dict[UUID, list[Stamp]]:
        return stamps_from(await self._tx.rows(stamps_of_rows, {"ids": ids})) if ids else {}

    async def stamps_near(self, windows: Sequence[Window]) -> dict[UUID, list[Stamp]]:
        return stamps_from(await self._tx.rows(stamps_near_rows, window_values(windows))) if windows else {}

    async def roster_entries(self, ids: Iterable[EmployeeId]) -> dict[EmployeeId, RosterEntry]:
        wanted = list(ids)
        rows = await self._tx.rows(roster_of, {"ids": wanted}) if wanted else []
        return {EmployeeId(row["employee_id"]): entry_from(row) for row in rows}

    async def roster_entry(self, employee_id: EmployeeId) -> RosterEntry | None:
        row = await self._tx.row(_roster, {"employee": employee_id})
        return None if row is None else entry_from(row)

    async def badges(self, number: str, employee_id: EmployeeId | None, after: str, limit: int) -> list[Badge]:
        held = badge.c
        query = select(badge).where(held.badge_number > after).order_by(held.badge_number).limit(limit)
        if number:
            query = query.where(held.badge_number == number)
        if employee_id is not None:
            query = query.where(held.employee_id == employee_id)
        return [badge_from(row) for row in await self._tx.rows(query)]

    async def planner(self, version: int | None = None) -> Planner:
        return await planner_of(self._tx, self._planners, version)
