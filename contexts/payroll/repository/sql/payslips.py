"""Payslips in SQL: chunks, places, paid days, what became stale."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from chassis.database import Duplicate, Tx, delete, select, update
from contexts.payroll.domain.payroll_run import (
    DEAD,
    RunId,
    RunState,
    RunStatus,
)
from contexts.payroll.domain.payslip import (
    ChunkResult,
    ComponentSum,
    Predecessor,
    StalePayslip,
    StoredChunk,
)
from contexts.payroll.repository import tables
from contexts.payroll.repository.documents import sums_document, sums_of
from contexts.payroll.repository.port import (
    FinalizedRun,
    PlacesTaken,
    SlotsInTheWay,
    StoredResult,
)
from contexts.payroll.repository.sql.runs import totals_of, totals_row
from kernel.ids import EmployeeId, derived_id

_run = tables.payroll_run.c
_chunk = tables.run_chunk.c
_payslip = tables.payslip.c
_slot = tables.payslip_slot.c
_range = tables.payslip_range.c
_blocker = tables.blocker.c
_stale = tables.stale_payslip.c
_again = tables.recalculation.c

DEAD_VALUES = sorted(status.value for status in DEAD)
MAX_CHUNKS = 10_000
MAX_STALE = 100_000
IN_LIST = 500
RANGES = "payroll.paid-days"  # the named lock of the rule that no two live payslips pay the same days
_FIRST, _LAST = UUID(int=0), UUID(int=2**128 - 1)


def parts(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """The values in lists that a statement can hold."""
    return (values[start : start + IN_LIST] for start in range(0, len(values), IN_LIST))


def _chunk_of(row: RowMapping) -> StoredChunk:
    return StoredChunk(
        chunk_no=row["chunk_no"],
        after_id=None if row["after_id"] is None else EmployeeId(row["after_id"]),
        last_id=None if row["last_id"] is None else EmployeeId(row["last_id"]),
        last=bool(row["last"]),
        facts_hash=bytes(row["facts_hash"]),
        results_hash=bytes(row["results_hash"]),
        totals=totals_of(row),
        sums=sums_of(bytes(row["sums"])),
    )


def _payslip_rows(
    run: RunState, result: ChunkResult, payslip_ids: Sequence[UUID], known_at: datetime
) -> list[dict[str, Any]]:
    run_id, attempt = run.id, run.attempt
    return [
        {
            "run_id": run_id,
            "attempt": attempt,
            "employee_id": payslip.employee_id,
            "payslip_id": payslip_id,
            "gross_minor": payslip.gross,
            "net_minor": payslip.net,
            "employer_cost_minor": payslip.employer_cost,
            "deductions_minor": payslip.deductions,
            "predecessor_id": payslip.predecessor_id,
            "content_hash": payslip.content_hash,
            "known_at": known_at,
            "inputs": payslip.inputs,
            "lines": payslip.lines,
            "year_to_date": payslip.year_to_date,
        }
        for payslip, payslip_id in zip(result.payslips, payslip_ids, strict=True)
    ]


def _blocker_rows(run: RunState, result: ChunkResult) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for blocked in result.blockers:
        same = bool(rows) and rows[-1]["employee_id"] == blocked.employee_id
        rows.append(
            {
                "run_id": run.id,
                "attempt": run.attempt,
                "employee_id": blocked.employee_id,
                "ordinal": rows[-1]["ordinal"] + 1 if same else 0,
                "reason": blocked.reason[:60],
                "message": blocked.message[:500],
                "subject": blocked.subject[:100],
                "deferred": False,
            }
        )
    return rows


def slot_id(run: RunState) -> UUID:
    """The id of the run's place: an employee has one live payslip in it."""
    return derived_id("payslip-slot", run.slot)


def _past_slot_id(place: UUID, reversed_run: UUID) -> UUID:
    """Where the payslip of a reversed run stands once another one has its place: it stays in the employee's list."""
    return derived_id("payslip-slot", place, reversed_run)


class SqlPayslips:
    """Payslips in chunks, with the rules that nobody is paid twice."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def _of(self, table: sa.Table, run: RunState) -> tuple[Any, Any]:
        return table.c.run_id == run.id, table.c.attempt == run.attempt

    async def chunk(self, run: RunState, chunk_no: int) -> StoredChunk | None:
        wanted = select(tables.run_chunk).where(*self._of(tables.run_chunk, run), _chunk.chunk_no == chunk_no)
        row = await self._tx.row(wanted)
        return None if row is None else _chunk_of(row)

    async def chunks(self, run: RunState) -> Sequence[StoredChunk]:
        wanted = select(tables.run_chunk).where(*self._of(tables.run_chunk, run)).order_by(_chunk.chunk_no)
        return [_chunk_of(row) for row in await self._tx.rows(wanted.limit(MAX_CHUNKS))]

    async def add_chunk(
        self,
        run: RunState,
        chunk: StoredChunk,
        result: ChunkResult,
        payslip_ids: Sequence[UUID],
        known_at: datetime,
        *,
        careful: bool,
    ) -> None:
        await self._tx.insert(
            tables.run_chunk,
            {
                "run_id": run.id,
                "attempt": run.attempt,
                "chunk_no": chunk.chunk_no,
                "after_id": chunk.after_id,
                "last_id": chunk.last_id,
                "last": chunk.last,
                "facts_hash": chunk.facts_hash,
                "results_hash": chunk.results_hash,
                **totals_row(chunk.totals),
                "sums": sums_document(dict(chunk.sums)),
            },
        )
        await self._insert(run, result, payslip_ids, known_at, careful=careful)

    async def _insert(
        self,
        run: RunState,
        result: ChunkResult,
        payslip_ids: Sequence[UUID],
        known_at: datetime,
        *,
        careful: bool,
    ) -> None:
        if result.payslips:
            await self._take_slots(run, [payslip.employee_id for payslip in result.payslips], careful)
            await self._tx.insert(tables.payslip, _payslip_rows(run, result, payslip_ids, known_at))
            await self._take_days(run, result, careful)
        if result.blockers:
            await self._tx.insert(tables.blocker, _blocker_rows(run, result))

    async def _take_slots(self, run: RunState, employees: Sequence[UUID], careful: bool) -> None:
        place = slot_id(run)
        wanted = employees
        if careful:
            mine: set[UUID] = set()
            dead: list[UUID] = []
            past: dict[UUID, list[UUID]] = {}
            taken: dict[EmployeeId, RunId] = {}
            for part in parts(employees):
                holders = (
                    select(tables.payslip_slot, _slot.employee_id, _slot.run_id, _run.status)
                    .join(tables.payroll_run, sa.and_(_run.tenant_id == _slot.tenant_id, _run.run_id == _slot.run_id))
                    .where(_slot.slot_id == place, _slot.employee_id.in_(part))
                )
                for row in await self._tx.rows(holders):
                    if row["run_id"] == run.id:
                        mine.add(row["employee_id"])
                    elif row["status"] == RunStatus.VOID.value:
                        dead.append(row["employee_id"])
                    elif row["status"] == RunStatus.REVERSED.value:
                        past.setdefault(row["run_id"], []).append(row["employee_id"])
                    else:
                        taken[EmployeeId(row["employee_id"])] = RunId(row["run_id"])
            if taken:
                raise PlacesTaken(taken)
            for part in parts(dead):
                await self._tx.execute(
                    delete(tables.payslip_slot).where(_slot.slot_id == place, _slot.employee_id.in_(part))
                )
            for reversed_run, members in past.items():
                for part in parts(members):
                    moved = update(tables.payslip_slot).where(_slot.slot_id == place, _slot.employee_id.in_(part))
                    await self._tx.execute(moved.values(slot_id=_past_slot_id(place, reversed_run)))
            wanted = [employee for employee in employees if employee not in mine]
        run_id = run.id
        rows = [{"employee_id": employee, "slot_id": place, "run_id": run_id} for employee in wanted]
        if not rows:
            return
        try:
            await self._tx.insert(tables.payslip_slot, rows)
        except Duplicate:
            # Careful work has looked before: somebody was faster just now, and the next look will see them.
            raise SlotsInTheWay from None

    async def _take_days(self, run: RunState, result: ChunkResult, careful: bool) -> None:
        run_id, attempt = run.id, run.attempt
        day = date.fromordinal
        rows: list[dict[str, Any]] = [
            {
                "assignment_id": assignment,
                "component": component,
                "start_date": day(first),
                "end_date": day(stop),
                "run_id": run_id,
                "attempt": attempt,
                "employee_id": payslip.employee_id,
            }
            for payslip in result.payslips
            for assignment, component, first, stop in payslip.paid
        ]
        if not rows:
            return
        await self._tx.lock(RANGES)
        wanted: dict[tuple[UUID, str], list[dict[str, Any]]] = {}
        for row in rows:
            wanted.setdefault((row["assignment_id"], row["component"]), []).append(row)
        first_day, last_day = min(row["start_date"] for row in rows), max(row["end_date"] for row in rows)
        dead: list[RowMapping] = []
        taken: dict[EmployeeId, RunId] = {}
        for part in parts(sorted({row["assignment_id"] for row in rows}, key=lambda id: id.bytes)):
            holders = (
                select(tables.payslip_range, *_RANGE, _run.status, _run.attempt.label("run_attempt"))
                .join(tables.payroll_run, sa.and_(_run.tenant_id == _range.tenant_id, _run.run_id == _range.run_id))
                .where(_range.assignment_id.in_(part), _range.end_date > first_day, _range.start_date < last_day)
            )
            for held in await self._tx.rows(holders):
                if held["status"] in DEAD_VALUES or held["attempt"] != held["run_attempt"]:
                    dead.append(held)
                    continue
                for mine in wanted.get((held["assignment_id"], held["component"]), ()):
                    if mine["start_date"] < held["end_date"] and held["start_date"] < mine["end_date"]:
                        taken[EmployeeId(mine["employee_id"])] = RunId(held["run_id"])
        if taken:
            raise PlacesTaken(taken)
        by_attempt: dict[tuple[UUID, int], set[UUID]] = {}
        for held in dead:  # nothing of such an attempt counts any more, so all its days of these people go at once
            by_attempt.setdefault((held["run_id"], held["attempt"]), set()).add(held["assignment_id"])
        for (gone, of_attempt), assignments in by_attempt.items():
            for part in parts(sorted(assignments, key=lambda id: id.bytes)):
                await self._tx.execute(
                    delete(tables.payslip_range).where(
                        _range.assignment_id.in_(part), _range.run_id == gone, _range.attempt == of_attempt
                    )
                )
        try:
            await self._tx.insert(tables.payslip_range, rows)
        except Duplicate:
            # Careful work has looked before: somebody was faster just now, and the next look will see them.
            raise SlotsInTheWay from None

    async def replace(
        self,
        run: RunState,
        gone: Sequence[EmployeeId],
        result: ChunkResult,
        payslip_ids: Sequence[UUID],
        known_at: datetime,
    ) -> None:
        touched: list[UUID] = [
            *gone,
            *(payslip.employee_id for payslip in result.payslips),
            *{blocked.employee_id: None for blocked in result.blockers},
        ]
        paid = {payslip.employee_id for payslip in result.payslips}
        for part in parts(touched):
            for table in (tables.payslip, tables.blocker, tables.stale_payslip, tables.recalculation):
                await self._tx.execute(delete(table).where(*self._of(table, run), table.c.employee_id.in_(part)))
            await self._tx.execute(
                delete(tables.payslip_range).where(_range.run_id == run.id, _range.employee_id.in_(part))
            )
            unpaid = [employee for employee in part if employee not in paid]
            if unpaid:
                await self._tx.execute(
                    delete(tables.payslip_slot).where(
                        _slot.slot_id == slot_id(run), _slot.run_id == run.id, _slot.employee_id.in_(unpaid)
                    )
                )
        again = [
            {"run_id": run.id, "attempt": run.attempt, "employee_id": employee, "known_at": known_at}
            for employee in dict.fromkeys(touched)
        ]
        if again:
            await self._tx.insert(tables.recalculation, again)
        await self._insert(run, result, payslip_ids, known_at, careful=True)

    def _span(self, table: sa.Table, run: RunState, after: EmployeeId | None, last: EmployeeId | None) -> Any:
        return select(table).where(
            *self._of(table, run),
            table.c.employee_id > (after or _FIRST),
            table.c.employee_id <= (last or _LAST),
        )

    async def results(self, run: RunState, after: EmployeeId | None, last: EmployeeId | None) -> Sequence[StoredResult]:
        wanted = (
            self._span(tables.payslip, run, after, last)
            .with_only_columns(
                _payslip.employee_id,
                _payslip.content_hash,
                _payslip.gross_minor,
                _payslip.net_minor,
                _payslip.employer_cost_minor,
                _payslip.lines,
            )
            .order_by(_payslip.employee_id)
        )
        return [
            StoredResult(
                EmployeeId(row["employee_id"]),
                bytes(row["content_hash"]),
                row["gross_minor"],
                row["net_minor"],
                row["employer_cost_minor"],
                bytes(row["lines"]),
            )
            for row in await self._tx.rows(wanted)
        ]

    async def blocked(
        self, run: RunState, after: EmployeeId | None, last: EmployeeId | None
    ) -> Sequence[tuple[EmployeeId, str, str]]:
        wanted = self._span(tables.blocker, run, after, last).order_by(_blocker.employee_id, _blocker.ordinal)
        return [(EmployeeId(row["employee_id"]), row["reason"], row["subject"]) for row in await self._tx.rows(wanted)]

    async def save_chunk(self, run: RunState, chunk: StoredChunk) -> None:
        changed = update(tables.run_chunk).where(*self._of(tables.run_chunk, run), _chunk.chunk_no == chunk.chunk_no)
        await self._tx.execute(
            changed.values(
                last_id=chunk.last_id,
                results_hash=chunk.results_hash,
                **totals_row(chunk.totals),
                sums=sums_document(dict(chunk.sums)),
            )
        )

    async def keep_component_totals(self, run: RunState, sums: Mapping[str, ComponentSum]) -> None:
        await self._tx.execute(delete(tables.component_total).where(*self._of(tables.component_total, run)))
        rows = [
            {
                "run_id": run.id,
                "attempt": run.attempt,
                "component": code,
                "amount_minor": one.amount,
                "line_count": one.lines,
            }
            for code, one in sums.items()
        ]
        if rows:
            await self._tx.insert(tables.component_total, rows)

    async def predecessors(
        self, finalized: Sequence[FinalizedRun], employees: Sequence[EmployeeId]
    ) -> Mapping[EmployeeId, Predecessor]:
        return await predecessors_of(self._tx, finalized, employees)

    async def moved_predecessors(
        self, run: RunState, finalized: Sequence[FinalizedRun], limit: int
    ) -> Sequence[EmployeeId]:
        latest = tables.payslip.alias("latest")
        mine = tables.payslip
        moved = await self._on_reversed(run, limit)
        newer: list[Any] = []
        for one in finalized:
            seen_newer = sa.false() if not newer else sa.or_(*newer)
            wanted = (
                select(mine, mine.c.employee_id)
                .join(
                    latest,
                    sa.and_(
                        latest.c.tenant_id == mine.c.tenant_id,
                        latest.c.run_id == one.run_id,
                        latest.c.attempt == one.attempt,
                        latest.c.employee_id == mine.c.employee_id,
                    ),
                )
                .where(
                    *self._of(mine, run),
                    sa.or_(mine.c.predecessor_id.is_(None), mine.c.predecessor_id != latest.c.payslip_id),
                    ~seen_newer,
                )
                .limit(limit)
            )
            for row in await self._tx.rows(wanted):
                if row["employee_id"] not in moved:
                    moved.append(EmployeeId(row["employee_id"]))
            if len(moved) >= limit:
                break
            newest = tables.payslip.alias(f"newer{len(newer)}")
            newer.append(
                sa.exists(
                    sa.select(sa.literal(1))
                    .select_from(newest)
                    .where(
                        newest.c.tenant_id == mine.c.tenant_id,
                        newest.c.run_id == one.run_id,
                        newest.c.attempt == one.attempt,
                        newest.c.employee_id == mine.c.employee_id,
                    )
                )
            )
        return moved[:limit]

    async def _on_reversed(self, run: RunState, limit: int) -> list[EmployeeId]:
        """Employees of the run whose payslip stands on one that was taken back."""
        stood_on = tables.payslip.alias("stood_on")
        wanted = (
            select(tables.payslip, _payslip.employee_id)
            .join(
                stood_on,
                sa.and_(stood_on.c.tenant_id == _payslip.tenant_id, stood_on.c.payslip_id == _payslip.predecessor_id),
            )
            .join(
                tables.payroll_run,
                sa.and_(_run.tenant_id == stood_on.c.tenant_id, _run.run_id == stood_on.c.run_id),
            )
            .where(*self._of(tables.payslip, run), _run.status == RunStatus.REVERSED.value)
            .order_by(_payslip.employee_id)
            .limit(limit)
        )
        return [EmployeeId(row["employee_id"]) for row in await self._tx.rows(wanted)]

    async def has(self, run: RunState, employees: Sequence[EmployeeId]) -> Sequence[EmployeeId]:
        found: dict[EmployeeId, None] = {}
        for part in parts(employees):
            for table in (tables.payslip, tables.blocker):
                wanted = select(table, table.c.employee_id).where(*self._of(table, run), table.c.employee_id.in_(part))
                found.update({EmployeeId(row["employee_id"]): None for row in await self._tx.rows(wanted)})
        return list(found)

    async def undeferred(self, run: RunState) -> int:
        wanted = select(tables.blocker, sa.func.count(sa.distinct(_blocker.employee_id)).label("count")).where(
            *self._of(tables.blocker, run), _blocker.deferred == sa.false()
        )
        row = await self._tx.row(wanted)
        return 0 if row is None else int(row["count"])

    async def deferred(self, run: RunState) -> Sequence[EmployeeId]:
        wanted = select(tables.blocker, _blocker.employee_id).where(
            *self._of(tables.blocker, run), _blocker.deferred == sa.true()
        )
        rows = await self._tx.rows(wanted.order_by(_blocker.employee_id).distinct().limit(MAX_STALE))
        return [EmployeeId(row["employee_id"]) for row in rows]

    async def defer(self, run: RunState, employees: Sequence[EmployeeId]) -> Sequence[EmployeeId]:
        found: set[UUID] = set()
        for part in parts(employees):
            wanted = select(tables.blocker, _blocker.employee_id).where(
                *self._of(tables.blocker, run), _blocker.employee_id.in_(part)
            )
            found |= {row["employee_id"] for row in await self._tx.rows(wanted)}
            marked = update(tables.blocker).where(*self._of(tables.blocker, run), _blocker.employee_id.in_(part))
            await self._tx.execute(marked.values(deferred=True))
        return [employee for employee in employees if employee not in found]

    async def stale(self, run: RunState) -> Sequence[StalePayslip]:
        wanted = select(tables.stale_payslip).where(*self._of(tables.stale_payslip, run))
        rows = await self._tx.rows(wanted.order_by(_stale.employee_id).limit(MAX_STALE))
        return [stale_of(row) for row in rows]

    async def mark_stale(self, run: RunState, reasons: Mapping[EmployeeId, str]) -> int:
        employees = list(reasons)
        before: dict[EmployeeId, tuple[str, ...]] = {}
        for part in parts(employees):
            wanted = select(tables.stale_payslip).where(
                *self._of(tables.stale_payslip, run), _stale.employee_id.in_(part)
            )
            for row in await self._tx.rows(wanted):
                before[EmployeeId(row["employee_id"])] = tuple(row["reasons"].split(","))
        rows = [
            {
                "run_id": run.id,
                "attempt": run.attempt,
                "employee_id": employee,
                "reasons": reason,
                "left_to_retro": False,
            }
            for employee, reason in reasons.items()
            if employee not in before
        ]
        if rows:
            await self._tx.insert(tables.stale_payslip, rows)
        for employee, known in before.items():
            if reasons[employee] not in known and len(known) < 30:
                changed = update(tables.stale_payslip).where(
                    *self._of(tables.stale_payslip, run), _stale.employee_id == employee
                )
                await self._tx.execute(changed.values(reasons=",".join((*known, reasons[employee]))))
        return len(rows)

    async def leave_to_retro(self, run: RunState) -> None:
        left = update(tables.stale_payslip).where(*self._of(tables.stale_payslip, run))
        await self._tx.execute(left.values(left_to_retro=True))

    async def recalculated(self, run: RunState, employees: Sequence[EmployeeId]) -> Mapping[EmployeeId, datetime]:
        found: dict[EmployeeId, datetime] = {}
        for part in parts(employees):
            wanted = select(tables.recalculation).where(
                *self._of(tables.recalculation, run), _again.employee_id.in_(part)
            )
            found.update({EmployeeId(row["employee_id"]): row["known_at"] for row in await self._tx.rows(wanted)})
        return found

    async def purge_old_attempts(self, limit: int) -> int:
        left = limit
        for table in _PARTS:
            last = list(table.primary_key.columns)[3]
            old = (
                select(table, table.c.run_id, table.c.attempt, last.label("last"))
                .join(tables.payroll_run, sa.and_(_run.tenant_id == table.c.tenant_id, _run.run_id == table.c.run_id))
                .where(_run.attempt > 1, table.c.attempt < _run.attempt)
                .limit(left)
            )
            rows = await self._tx.rows(old)
            gone = delete(table).where(
                table.c.run_id == sa.bindparam("of_run", type_=table.c.run_id.type),
                table.c.attempt == sa.bindparam("of_attempt"),
                last == sa.bindparam("of_last", type_=last.type),
            )
            await self._tx.execute_many(
                gone, [{"of_run": row["run_id"], "of_attempt": row["attempt"], "of_last": row["last"]} for row in rows]
            )
            left -= len(rows)
            if left <= 0:
                break
        return limit - left


# What belongs to an attempt, each with its own key after run and attempt.
_PARTS = (
    tables.payslip, tables.blocker, tables.stale_payslip, tables.recalculation, tables.run_chunk,
    tables.component_total,
)  # fmt: skip

_RANGE = (
    _range.assignment_id, _range.component, _range.start_date, _range.end_date, _range.run_id, _range.attempt,
    _range.employee_id,
)  # fmt: skip


def stale_of(row: RowMapping) -> StalePayslip:
    """A stale payslip from its row."""
    return StalePayslip(EmployeeId(row["employee_id"]), tuple(row["reasons"].split(",")), bool(row["left_to_retro"]))


async def predecessors_of(
    tx: Tx, finalized: Sequence[FinalizedRun], employees: Sequence[EmployeeId]
) -> Mapping[EmployeeId, Predecessor]:
    """The latest payslip of each employee in these runs (the latest first), for those that have one."""
    found: dict[EmployeeId, Predecessor] = {}
    missing = list(employees)
    for one in finalized:
        if not missing:
            break
        for part in parts(missing):
            wanted = select(
                tables.payslip,
                _payslip.employee_id,
                _payslip.payslip_id,
                _payslip.content_hash,
                _payslip.year_to_date,
            ).where(_payslip.run_id == one.run_id, _payslip.attempt == one.attempt, _payslip.employee_id.in_(part))
            for row in await tx.rows(wanted):
                found[EmployeeId(row["employee_id"])] = Predecessor(
                    row["payslip_id"], bytes(row["content_hash"]), bytes(row["year_to_date"])
                )
        missing = [employee for employee in missing if employee not in found]
    return found
