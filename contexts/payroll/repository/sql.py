"""Payroll in SQL: explicit mapping between rows and values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from chassis.database import Database, Duplicate, Lock, Tx, delete, select, update
from chassis.outbox import Outbox
from chassis.principal import Call
from chassis.tenants import tenants_with
from chassis.unit_of_work import UnitOfWork
from contexts.payroll.domain.arithmetic import plain
from contexts.payroll.domain.catalog import Catalog, CatalogEntry
from contexts.payroll.domain.errors import (
    PayInputNotFound,
    PayslipNotFound,
    RunExists,
    RunNotFound,
)
from contexts.payroll.domain.events import CatalogPublished
from contexts.payroll.domain.pay_input import PayInput, PayInputId, PayInputState
from contexts.payroll.domain.payroll_run import (
    ControlTotals,
    PayrollRun,
    RunId,
    RunKind,
    RunState,
    RunStatus,
    stale_hash,
)
from contexts.payroll.domain.payslip import (
    Blocker,
    ChunkResult,
    ComponentSum,
    Payslip,
    PayslipId,
    PayslipSummary,
    Predecessor,
    StalePayslip,
    StoredChunk,
    TakenInput,
)
from contexts.payroll.repository import tables
from contexts.payroll.repository.documents import definition_document, entry_of, sums_document, sums_of
from contexts.payroll.repository.port import (
    ChunkWork,
    FinalizedRun,
    Lease,
    PlacesTaken,
    RunView,
    SlotsInTheWay,
    StoredResult,
)
from kernel.clock import Clock
from kernel.errors import Stale
from kernel.ids import EmployeeId, TenantId, Version, derived_id
from kernel.money import Money
from kernel.period import Period

_head = tables.catalog_head.c
_entry = tables.catalog_entry.c
_run = tables.payroll_run.c
_lease = tables.run_lease.c
_chunk = tables.run_chunk.c
_payslip = tables.payslip.c
_slot = tables.payslip_slot.c
_range = tables.payslip_range.c
_blocker = tables.blocker.c
_stale = tables.stale_payslip.c
_total = tables.component_total.c
_input = tables.pay_input.c

MAX_ENTRIES = 20_000  # of one tenant's catalog
MAX_CHUNKS = 10_000
MAX_FINALIZED = 400
MAX_STALE = 100_000
KEPT_CATALOGS = 256
IN_LIST = 500
RANGES = "payroll.paid-days"  # the named lock of the rule that no two live payslips pay the same days

_FIRST, _LAST = UUID(int=0), UUID(int=2**128 - 1)


def _parts(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (values[start : start + IN_LIST] for start in range(0, len(values), IN_LIST))


# ------------------------------------------------------------------------------------------------------ catalog


CatalogCache = dict[tuple[TenantId, int], Catalog]
"""Catalog versions that were read from one database, kept because they never change."""


class SqlCatalogs:
    """The catalog; `kept` is shared by all work on one database."""

    def __init__(self, tx: Tx, kept: CatalogCache, outbox: Outbox | None = None) -> None:
        self._tx = tx
        self._kept = kept
        self._outbox = outbox

    async def newest(self) -> Catalog:
        return await self.at(await self._version(None))

    async def for_change(self) -> Catalog:
        await self._tx.lock("payroll.catalog")
        return await self.at(await self._version(Lock.UPDATE))

    async def for_reference(self) -> Catalog:
        return await self.at(await self._version(Lock.SHARE))

    async def _version(self, lock: Lock | None) -> int:
        row = await self._tx.row(select(tables.catalog_head, _head.catalog_version), lock=lock)
        return 0 if row is None else int(row["catalog_version"])

    async def at(self, version: int) -> Catalog:
        key = (self._tx.tenant_id, version)
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        wanted = select(tables.catalog_entry).where(_entry.catalog_version <= version)
        rows = await self._tx.rows(wanted.order_by(_entry.catalog_version).limit(MAX_ENTRIES))
        catalog = Catalog(
            version, [entry_of(row["catalog_version"], row["kind"], bytes(row["definition"])) for row in rows]
        )
        if len(self._kept) >= KEPT_CATALOGS:
            self._kept.clear()
        self._kept[key] = catalog
        return catalog

    async def publish(self, entries: Sequence[CatalogEntry], version: int, by: str, now: datetime) -> None:
        rows = [
            {
                "catalog_version": version,
                "kind": entry.kind.value,
                "code": entry.definition.code,
                "effective_date": entry.definition.effective_date,
                "definition": definition_document(entry.definition),
                "published_time": now,
                "published_by": by[:80],
            }
            for entry in entries
        ]
        await self._raise_head(version)
        await self._tx.insert(tables.catalog_entry, rows)
        if self._outbox is not None:
            codes = tuple(f"{entry.kind.value.lower()}:{entry.definition.code}" for entry in entries)
            aggregate = derived_id(self._tx.tenant_id, "payroll-catalog")
            self._outbox.add("payroll_catalog", aggregate, version, [CatalogPublished(version, codes)])

    async def _raise_head(self, version: int) -> None:
        stale = Stale("the catalog was changed meanwhile; read it again", version=version)
        if version > 1:
            raised = update(tables.catalog_head).where(_head.catalog_version == version - 1)
            if await self._tx.execute(raised.values(catalog_version=version)) != 1:
                raise stale
            return
        try:
            await self._tx.insert(tables.catalog_head, {"catalog_version": 1})
        except Duplicate:
            raise stale from None


# --------------------------------------------------------------------------------------------------------- runs


def _run_state(row: RowMapping) -> RunState:
    members = bytes(row["employee_ids"])
    return RunState(
        id=RunId(row["run_id"]),
        pay_group=row["pay_group"],
        period=row["period"],
        span=Period(row["start_date"], row["end_date"]),
        pay_date=row["pay_date"],
        tax_year=row["tax_year"],
        tax_period=row["tax_period"],
        kind=RunKind(row["kind"]),
        sequence=row["sequence"],
        registration=row["registration"],
        currency=row["currency"],
        country=row["country"],
        time_calendar=row["time_calendar"],
        time_periods=tuple(row["time_periods"].split(",")),
        employee_ids=tuple(EmployeeId(UUID(bytes=members[at : at + 16])) for at in range(0, len(members), 16)),
        reason=row["reason"],
        wanted_cutoff=row["wanted_cutoff"],
        status=RunStatus(row["status"]),
        attempt=row["attempt"],
        input_cutoff=row["input_cutoff"],
        catalog_version=row["catalog_version"],
        statutory_version=row["statutory_version"],
        header=bytes(row["header"]),
        totals=_totals(row),
        calculation_hash=row["calculation_hash"],
        preparers=tuple(orjson.loads(row["preparers"])),
        approved_by=row["approved_by"],
        finalized_number=row["finalized_number"],
        created_time=row["created_time"],
        version=Version(row["version"]),
    )


def _totals(row: RowMapping) -> ControlTotals:
    return ControlTotals(
        int(row["payslip_count"] or 0),
        int(row["blocked_count"] or 0),
        int(row["gross_minor"] or 0),
        int(row["net_minor"] or 0),
        int(row["employer_cost_minor"] or 0),
    )


def _totals_row(totals: ControlTotals) -> dict[str, int]:
    return {
        "payslip_count": totals.payslip_count,
        "blocked_count": totals.blocked_count,
        "gross_minor": totals.gross_minor,
        "net_minor": totals.net_minor,
        "employer_cost_minor": totals.employer_cost_minor,
    }


def _changing_row(state: RunState) -> dict[str, Any]:
    return {
        "live": None if state.status is RunStatus.VOID else 1,
        "status": state.status.value,
        "attempt": state.attempt,
        "input_cutoff": state.input_cutoff,
        "catalog_version": state.catalog_version,
        "statutory_version": state.statutory_version,
        "header": state.header,
        **_totals_row(state.totals),
        "calculation_hash": state.calculation_hash,
        "preparers": orjson.dumps(state.preparers).decode(),
        "approved_by": state.approved_by,
        "finalized_number": state.finalized_number,
    }


def _run_row(state: RunState) -> dict[str, Any]:
    return {
        "run_id": state.id,
        "pay_group": state.pay_group,
        "period": state.period,
        "kind": state.kind.value,
        "sequence": state.sequence,
        "start_date": state.span.start,
        "end_date": state.span.end,
        "pay_date": state.pay_date,
        "tax_year": state.tax_year,
        "tax_period": state.tax_period,
        "registration": state.registration,
        "currency": state.currency,
        "country": state.country,
        "time_calendar": state.time_calendar,
        "time_periods": ",".join(state.time_periods),
        "employee_ids": b"".join(employee.bytes for employee in state.employee_ids),
        "reason": state.reason,
        "wanted_cutoff": state.wanted_cutoff,
        "created_time": state.created_time,
        **_changing_row(state),
    }


def _run_missing(id: UUID) -> RunNotFound:
    return RunNotFound("there is no such payroll run; check the id", field="run_id", run_id=id)


class SqlRuns:
    """Runs, and who may work on them."""

    def __init__(self, tx: Tx, outbox: Outbox) -> None:
        self._tx = tx
        self._outbox = outbox

    async def get(self, id: RunId, seen: Version | None = None, *, shared: bool = False) -> PayrollRun:
        wanted = select(tables.payroll_run).where(_run.run_id == id)
        row = await self._tx.row(wanted, lock=Lock.SHARE if shared else Lock.UPDATE)
        if row is None:
            raise _run_missing(id)
        if seen is not None and row["version"] != seen:
            raise Stale("the run was changed meanwhile; read it again", version=row["version"])
        return PayrollRun(_run_state(row))

    async def add(self, run: PayrollRun) -> None:
        state = run.state
        try:
            await self._tx.insert(tables.payroll_run, {**_run_row(state), "version": 1})
        except Duplicate:
            raise RunExists(
                "another run has this place; use it, or void it first",
                pay_group=state.pay_group,
                period=state.period,
                kind=state.kind.value,
            ) from None
        await self._tx.insert(
            tables.run_lease,
            {
                "run_id": state.id,
                "fence": 0,
                "worker_id": "",
                "lease_until": None,
                "requested_time": state.created_time,
                "source_positions": "",
            },
        )
        self._kept(run, Version(1))

    async def save(self, run: PayrollRun) -> None:
        state = run.state
        changed = update(tables.payroll_run).where(_run.run_id == state.id, _run.version == state.version)
        version = Version(state.version + 1)
        if await self._tx.execute(changed.values(**_changing_row(state), version=version)) != 1:
            raise Stale("the run was changed meanwhile; read it again", run_id=state.id)
        self._kept(run, version)

    def _kept(self, run: PayrollRun, version: Version) -> None:
        run.state = _with_version(run.state, version)
        self._outbox.add("payroll_run", run.state.id, version, run.pull_events())

    async def live(self, pay_group: str, period: str, kind: RunKind) -> Sequence[RunState]:
        wanted = select(tables.payroll_run).where(
            _run.pay_group == pay_group, _run.period == period, _run.kind == kind.value, _run.live == 1
        )
        return [_run_state(row) for row in await self._tx.rows(wanted.order_by(_run.sequence).limit(1000))]

    async def next_sequence(self, pay_group: str, period: str, kind: RunKind) -> int:
        highest = select(tables.payroll_run, sa.func.max(_run.sequence).label("highest")).where(
            _run.pay_group == pay_group, _run.period == period, _run.kind == kind.value
        )
        row = await self._tx.row(highest)
        return 1 if row is None or row["highest"] is None else int(row["highest"]) + 1

    async def finalized(self, registration: str, tax_year: int) -> Sequence[FinalizedRun]:
        return await _finalized(self._tx, registration, tax_year)

    async def ask_for_calculation(self, id: RunId, now: datetime) -> None:
        asked = update(tables.run_lease).where(_lease.run_id == id)
        await self._tx.execute(
            asked.values(
                fence=_lease.fence + 1, worker_id="", lease_until=None, requested_time=now, source_positions=""
            )
        )

    async def lease(self, id: RunId) -> Lease:
        row = await self._tx.row(select(tables.run_lease).where(_lease.run_id == id), lock=Lock.UPDATE)
        if row is None:
            raise _run_missing(id)
        return Lease(row["fence"], row["worker_id"], row["lease_until"], _positions(row["source_positions"]))

    async def claim(
        self, id: RunId, worker_id: str, now: datetime, until: datetime, positions: Mapping[str, int]
    ) -> Lease | None:
        held = await self.lease(id)
        if held.lease_until is not None and held.lease_until > now:
            return None
        noted = held.positions if held.positions is not None else dict(positions)
        claimed = Lease(held.fence + 1, worker_id, until, noted)
        taken = update(tables.run_lease).where(_lease.run_id == id, _lease.fence == held.fence)
        await self._tx.execute(
            taken.values(
                fence=claimed.fence,
                worker_id=worker_id,
                lease_until=until,
                source_positions=orjson.dumps(noted, option=orjson.OPT_SORT_KEYS).decode(),
            )
        )
        return claimed

    async def extend(self, id: RunId, fence: int, until: datetime) -> bool:
        extended = update(tables.run_lease).where(_lease.run_id == id, _lease.fence == fence)
        return await self._tx.execute(extended.values(lease_until=until)) == 1

    async def waiting(self, now: datetime, asked_before: datetime, limit: int) -> Sequence[PayrollRun]:
        wanted = (
            select(tables.payroll_run)
            .join(tables.run_lease, sa.and_(_lease.tenant_id == _run.tenant_id, _lease.run_id == _run.run_id))
            .where(
                _run.status == RunStatus.CALCULATING.value,
                sa.or_(_lease.lease_until.is_(None), _lease.lease_until < now),
                _lease.requested_time < asked_before,
            )
        )
        rows = await self._tx.rows(wanted.order_by(_run.run_id).limit(limit), lock=Lock.UPDATE)
        return [PayrollRun(_run_state(row)) for row in rows]

    async def note_request(self, id: RunId, now: datetime) -> None:
        await self._tx.execute(update(tables.run_lease).where(_lease.run_id == id).values(requested_time=now))

    async def move_positions(self, id: RunId, positions: Mapping[str, int]) -> None:
        held = await self.lease(id)
        moved = {**(held.positions or {}), **positions}
        text = orjson.dumps(moved, option=orjson.OPT_SORT_KEYS).decode()
        await self._tx.execute(update(tables.run_lease).where(_lease.run_id == id).values(source_positions=text))


def _with_version(state: RunState, version: Version) -> RunState:
    return replace(state, version=version)


def _positions(text: str) -> Mapping[str, int] | None:
    return orjson.loads(text) if text else None


async def _finalized(tx: Tx, registration: str, tax_year: int) -> Sequence[FinalizedRun]:
    wanted = select(tables.payroll_run, _run.run_id, _run.attempt, _run.finalized_number).where(
        _run.registration == registration, _run.tax_year == tax_year, _run.finalized_number > 0
    )
    rows = await tx.rows(wanted.order_by(_run.finalized_number.desc()).limit(MAX_FINALIZED))
    return [FinalizedRun(RunId(row["run_id"]), row["attempt"], row["finalized_number"]) for row in rows]


# ------------------------------------------------------------------------------------------------------ payslips


def _chunk_of(row: RowMapping) -> StoredChunk:
    return StoredChunk(
        chunk_no=row["chunk_no"],
        after_id=None if row["after_id"] is None else EmployeeId(row["after_id"]),
        last_id=None if row["last_id"] is None else EmployeeId(row["last_id"]),
        last=bool(row["last"]),
        facts_hash=bytes(row["facts_hash"]),
        results_hash=bytes(row["results_hash"]),
        totals=_totals(row),
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
                **_totals_row(chunk.totals),
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
            taken: dict[EmployeeId, RunId] = {}
            for part in _parts(employees):
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
                    else:
                        taken[EmployeeId(row["employee_id"])] = RunId(row["run_id"])
            if taken:
                raise PlacesTaken(taken)
            for part in _parts(dead):
                await self._tx.execute(
                    delete(tables.payslip_slot).where(_slot.slot_id == place, _slot.employee_id.in_(part))
                )
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
        for part in _parts(sorted({row["assignment_id"] for row in rows}, key=lambda id: id.bytes)):
            holders = (
                select(tables.payslip_range, *_RANGE, _run.status, _run.attempt.label("run_attempt"))
                .join(tables.payroll_run, sa.and_(_run.tenant_id == _range.tenant_id, _run.run_id == _range.run_id))
                .where(_range.assignment_id.in_(part), _range.end_date > first_day, _range.start_date < last_day)
            )
            for held in await self._tx.rows(holders):
                if held["status"] == RunStatus.VOID.value or held["attempt"] != held["run_attempt"]:
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
            for part in _parts(sorted(assignments, key=lambda id: id.bytes)):
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
        for part in _parts(touched):
            for table in (tables.payslip, tables.blocker, tables.stale_payslip):
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
                **_totals_row(chunk.totals),
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
        return await _predecessors(self._tx, finalized, employees)

    async def moved_predecessors(
        self, run: RunState, finalized: Sequence[FinalizedRun], limit: int
    ) -> Sequence[EmployeeId]:
        latest = tables.payslip.alias("latest")
        mine = tables.payslip
        moved: list[EmployeeId] = []
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
                .limit(limit - len(moved))
            )
            moved += [EmployeeId(row["employee_id"]) for row in await self._tx.rows(wanted)]
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
        return moved

    async def has(self, run: RunState, employees: Sequence[EmployeeId]) -> Sequence[EmployeeId]:
        found: dict[EmployeeId, None] = {}
        for part in _parts(employees):
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
        for part in _parts(employees):
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
        return [_stale_of(row) for row in rows]

    async def mark_stale(self, run: RunState, reasons: Mapping[EmployeeId, str]) -> int:
        employees = list(reasons)
        before: dict[EmployeeId, tuple[str, ...]] = {}
        for part in _parts(employees):
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

    async def purge_old_attempts(self, limit: int) -> int:
        left = limit
        for table in (tables.payslip, tables.blocker, tables.stale_payslip, tables.run_chunk, tables.component_total):
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


_RANGE = (
    _range.assignment_id, _range.component, _range.start_date, _range.end_date, _range.run_id, _range.attempt,
    _range.employee_id,
)  # fmt: skip


def _stale_of(row: RowMapping) -> StalePayslip:
    return StalePayslip(EmployeeId(row["employee_id"]), tuple(row["reasons"].split(",")), bool(row["left_to_retro"]))


async def _predecessors(
    tx: Tx, finalized: Sequence[FinalizedRun], employees: Sequence[EmployeeId]
) -> Mapping[EmployeeId, Predecessor]:
    found: dict[EmployeeId, Predecessor] = {}
    missing = list(employees)
    for one in finalized:
        if not missing:
            break
        for part in _parts(missing):
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


# ---------------------------------------------------------------------------------------------------- pay inputs


def _input_state(row: RowMapping) -> PayInputState:
    return PayInputState(
        id=PayInputId(row["pay_input_id"]),
        employee_id=EmployeeId(row["employee_id"]),
        pay_group=row["pay_group"],
        period=row["period"],
        run_kind=RunKind(row["run_kind"]),
        component=row["component"],
        amount=Money(row["amount_minor"], row["currency"]),
        quantity=row["quantity"],
        reason=row["reason"],
        cancelled=bool(row["cancelled"]),
        run_id=None if row["run_id"] is None else RunId(row["run_id"]),
        run_status=None if row["run_status"] is None else RunStatus(row["run_status"]),
        version=Version(row["version"]),
    )


def _inputs() -> sa.Select[Any]:
    return select(tables.pay_input, tables.pay_input, _run.status.label("run_status")).outerjoin(
        tables.payroll_run, sa.and_(_run.tenant_id == _input.tenant_id, _run.run_id == _input.run_id)
    )


async def _open_for(
    tx: Tx, run: RunState, employees: Sequence[EmployeeId]
) -> Mapping[EmployeeId, tuple[TakenInput, ...]]:
    if not employees:
        return {}
    wanted = (
        _inputs()
        .where(
            _input.pay_group == run.pay_group,
            _input.period == run.period,
            _input.run_kind == run.kind.value,
            _input.employee_id >= employees[0],
            _input.employee_id <= employees[-1],
            _input.cancelled == sa.false(),
            sa.or_(_input.run_id.is_(None), _input.run_id == run.id, _run.status == RunStatus.VOID.value),
        )
        .order_by(_input.pay_input_id)
    )
    members = set(employees)
    found: dict[EmployeeId, list[TakenInput]] = {}
    for row in await tx.rows(wanted):
        employee = EmployeeId(row["employee_id"])
        if employee in members:
            quantity: Decimal | None = row["quantity"]
            found.setdefault(employee, []).append(
                TakenInput(
                    row["pay_input_id"],
                    row["component"],
                    plain(Money(row["amount_minor"], row["currency"]).amount),
                    None if quantity is None else plain(quantity),
                )
            )
    return {employee: tuple(inputs) for employee, inputs in found.items()}


class SqlPayInputs:
    """Amounts entered for employees."""

    def __init__(self, tx: Tx, outbox: Outbox) -> None:
        self._tx = tx
        self._outbox = outbox

    async def get(self, id: PayInputId, seen: Version | None = None) -> PayInput:
        locked = await self._tx.row(
            select(tables.pay_input, _input.version).where(_input.pay_input_id == id), lock=Lock.UPDATE
        )
        row = None if locked is None else await self._tx.row(_inputs().where(_input.pay_input_id == id))
        if row is None:
            raise PayInputNotFound("there is no such pay input; check the id", field="pay_input_id", pay_input_id=id)
        if seen is not None and row["version"] != seen:
            raise Stale("the pay input was changed meanwhile; read it again", version=row["version"])
        return PayInput(_input_state(row))

    async def add(self, entered: PayInput) -> None:
        state = entered.state
        await self._tx.insert(
            tables.pay_input,
            {
                "pay_input_id": state.id,
                "employee_id": state.employee_id,
                "pay_group": state.pay_group,
                "period": state.period,
                "run_kind": state.run_kind.value,
                "component": state.component,
                "currency": state.amount.currency,
                "amount_minor": state.amount.minor,
                "quantity": state.quantity,
                "reason": state.reason,
                "cancelled": False,
                "run_id": None,
                "version": 1,
            },
        )
        self._kept(entered, Version(1))

    async def save(self, entered: PayInput) -> None:
        state = entered.state
        version = Version(state.version + 1)
        changed = update(tables.pay_input).where(_input.pay_input_id == state.id, _input.version == state.version)
        if await self._tx.execute(changed.values(cancelled=state.cancelled, version=version)) != 1:
            raise Stale("the pay input was changed meanwhile; read it again", pay_input_id=state.id)
        self._kept(entered, version)

    def _kept(self, entered: PayInput, version: Version) -> None:
        entered.state = replace(entered.state, version=version)
        self._outbox.add("pay_input", entered.state.id, version, entered.pull_events())

    async def open_for(
        self, run: RunState, employees: Sequence[EmployeeId]
    ) -> Mapping[EmployeeId, tuple[TakenInput, ...]]:
        return await _open_for(self._tx, run, employees)

    async def take(self, run: RunState, ids: Sequence[UUID]) -> bool:
        void = sa.select(_run.run_id).where(_run.tenant_id == self._tx.tenant_id, _run.live.is_(None))
        matched = 0
        for part in _parts(ids):
            taken = update(tables.pay_input).where(
                _input.pay_input_id.in_(part),
                _input.cancelled == sa.false(),
                sa.or_(_input.run_id.is_(None), _input.run_id == run.id, _input.run_id.in_(void)),
            )
            matched += await self._tx.execute(taken.values(run_id=run.id))
        return matched == len(ids)


# ------------------------------------------------------------------------------------------------------- the work


class SqlPayrollWork(UnitOfWork):
    """One command's work on payroll's tables."""

    def __init__(self, tx: Tx, call: Call, clock: Clock, kept: CatalogCache) -> None:
        super().__init__(tx, call, clock)
        self.catalogs = SqlCatalogs(tx, kept, self.outbox)
        self.runs = SqlRuns(tx, self.outbox)
        self.payslips = SqlPayslips(tx)
        self.inputs = SqlPayInputs(tx, self.outbox)

    @property
    def tenant_id(self) -> TenantId:
        """The tenant of the call."""
        return self.tx.tenant_id

    @property
    def actor(self) -> str:
        """The subject that calls."""
        return self.call.principal.subject

    async def lock(self, name: str) -> None:
        """Hold the tenant's named lock until the work ends."""
        await self.tx.lock(name)


# ------------------------------------------------------------------------------------------------------- reading

_SUMMARY = (
    _payslip.payslip_id, _payslip.run_id, _payslip.employee_id, _payslip.gross_minor, _payslip.net_minor,
    _payslip.employer_cost_minor, _payslip.deductions_minor, _payslip.content_hash, _run.period, _run.pay_date,
    _run.currency, _run.status, _stale.reasons,
)  # fmt: skip


def _summaries(*more: Any) -> sa.Select[Any]:
    """Payslips of their runs' current attempts, with what the run and stale marks say."""
    return (
        select(tables.payslip, *_SUMMARY, *more)
        .join(
            tables.payroll_run,
            sa.and_(
                _run.tenant_id == _payslip.tenant_id,
                _run.run_id == _payslip.run_id,
                _run.attempt == _payslip.attempt,
            ),
        )
        .outerjoin(
            tables.stale_payslip,
            sa.and_(
                _stale.tenant_id == _payslip.tenant_id,
                _stale.run_id == _payslip.run_id,
                _stale.attempt == _payslip.attempt,
                _stale.employee_id == _payslip.employee_id,
            ),
        )
    )


def _summary(row: RowMapping) -> PayslipSummary:
    return PayslipSummary(
        id=PayslipId(row["payslip_id"]),
        run_id=RunId(row["run_id"]),
        run_status=RunStatus(row["status"]),
        employee_id=EmployeeId(row["employee_id"]),
        period=row["period"],
        pay_date=row["pay_date"],
        currency=row["currency"],
        gross=row["gross_minor"],
        net=row["net_minor"],
        employer_cost=row["employer_cost_minor"],
        deductions=row["deductions_minor"],
        content_hash=bytes(row["content_hash"]),
        stale=row["reasons"] is not None,
    )


class SqlPayrollReading:
    """Payroll as it is read."""

    def __init__(self, tx: Tx, kept: CatalogCache) -> None:
        self._tx = tx
        self._catalogs = SqlCatalogs(tx, kept)

    async def newest_catalog(self) -> Catalog:
        return await self._catalogs.newest()

    async def catalog_at(self, version: int) -> Catalog:
        return await self._catalogs.at(version)

    async def _state(self, id: RunId) -> RunState:
        row = await self._tx.row(select(tables.payroll_run).where(_run.run_id == id))
        if row is None:
            raise _run_missing(id)
        return _run_state(row)

    async def run(self, id: RunId) -> RunView:
        return await self._view(await self._state(id))

    async def _view(self, state: RunState) -> RunView:
        of_chunks = select(
            tables.run_chunk,
            sa.func.count().label("chunks"),
            *(
                sa.func.sum(_chunk[name]).label(name)
                for name in ("payslip_count", "blocked_count", "gross_minor", "net_minor", "employer_cost_minor")
            ),
        ).where(_chunk.run_id == state.id, _chunk.attempt == state.attempt)
        sums = await self._tx.row(of_chunks)
        assert sums is not None
        payslips = SqlPayslips(self._tx)
        stale = await payslips.stale(state) if state.status is not RunStatus.DRAFT else ()
        deferred = await payslips.deferred(state) if state.totals.blocked_count else ()
        lease = await self._tx.row(select(tables.run_lease, _lease.source_positions).where(_lease.run_id == state.id))
        return RunView(
            state=state,
            totals=_totals(sums),
            chunks=int(sums["chunks"]),
            stale=len(stale),
            deferred=len(deferred),
            stale_hash=stale_hash(0, (one.employee_id for one in stale)),
            positions=(_positions(lease["source_positions"]) if lease is not None else None) or {},
        )

    async def runs(
        self, pay_group: str, period: str, status: RunStatus | None, after: RunId | None, limit: int
    ) -> Sequence[RunView]:
        wanted = select(tables.payroll_run)
        if pay_group:
            wanted = wanted.where(_run.pay_group == pay_group)
        if period:
            wanted = wanted.where(_run.period == period)
        if status is not None:
            wanted = wanted.where(_run.status == status.value)
        if after is not None:
            wanted = wanted.where(_run.run_id < after)
        rows = await self._tx.rows(wanted.order_by(_run.run_id.desc()).limit(limit))
        return [await self._view(_run_state(row)) for row in rows]

    async def payslip(self, id: PayslipId) -> Payslip:
        return await self._one(_payslip.payslip_id == id)

    async def payslip_of(self, run: RunId, employee: EmployeeId) -> Payslip:
        return await self._one(sa.and_(_payslip.run_id == run, _payslip.employee_id == employee))

    async def _one(self, condition: Any) -> Payslip:
        documents = (
            _payslip.predecessor_id, _payslip.known_at, _payslip.inputs, _payslip.lines, _payslip.year_to_date,
        )  # fmt: skip
        row = await self._tx.row(_summaries(*documents).where(condition))
        if row is None:
            raise PayslipNotFound("there is no such payslip; check the id", field="payslip_id")
        return Payslip(
            summary=_summary(row),
            predecessor_id=None if row["predecessor_id"] is None else PayslipId(row["predecessor_id"]),
            known_at=row["known_at"],
            inputs=bytes(row["inputs"]),
            lines=bytes(row["lines"]),
            year_to_date=bytes(row["year_to_date"]),
        )

    async def payslips_of_run(self, run: RunId, after: EmployeeId | None, limit: int) -> Sequence[PayslipSummary]:
        state = await self._state(run)
        wanted = _summaries().where(
            _payslip.run_id == run,
            _payslip.attempt == state.attempt,
            _payslip.employee_id > (after or _FIRST),
        )
        return [_summary(row) for row in await self._tx.rows(wanted.order_by(_payslip.employee_id).limit(limit))]

    async def payslips_of_employee(
        self, employee: EmployeeId, tax_year: int, finalized_only: bool, after: tuple[date, RunId] | None, limit: int
    ) -> Sequence[PayslipSummary]:
        wanted = (
            _summaries()
            .join(
                tables.payslip_slot,
                sa.and_(
                    _slot.tenant_id == _payslip.tenant_id,
                    _slot.employee_id == _payslip.employee_id,
                    _slot.run_id == _payslip.run_id,
                ),
            )
            .where(_payslip.employee_id == employee, _slot.employee_id == employee)
        )
        if tax_year:
            wanted = wanted.where(_run.tax_year == tax_year)
        if finalized_only:
            wanted = wanted.where(_run.status == RunStatus.FINALIZED.value)
        if after is not None:
            day, run = after
            wanted = wanted.where(sa.or_(_run.pay_date < day, sa.and_(_run.pay_date == day, _payslip.run_id < run)))
        ordered = wanted.order_by(_run.pay_date.desc(), _payslip.run_id.desc()).limit(limit)
        return [_summary(row) for row in await self._tx.rows(ordered)]

    async def blockers(self, run: RunId, after: tuple[EmployeeId, int] | None, limit: int) -> Sequence[Blocker]:
        state = await self._state(run)
        wanted = select(tables.blocker).where(_blocker.run_id == run, _blocker.attempt == state.attempt)
        if after is not None:
            employee, ordinal = after
            following = sa.and_(_blocker.employee_id == employee, _blocker.ordinal > ordinal)
            wanted = wanted.where(sa.or_(_blocker.employee_id > employee, following))
        rows = await self._tx.rows(wanted.order_by(_blocker.employee_id, _blocker.ordinal).limit(limit))
        return [
            Blocker(
                EmployeeId(row["employee_id"]),
                row["ordinal"],
                row["reason"],
                row["message"],
                row["subject"],
                bool(row["deferred"]),
            )
            for row in rows
        ]

    async def stale_payslips(self, run: RunId, after: EmployeeId | None, limit: int) -> Sequence[StalePayslip]:
        state = await self._state(run)
        wanted = select(tables.stale_payslip).where(
            _stale.run_id == run, _stale.attempt == state.attempt, _stale.employee_id > (after or _FIRST)
        )
        return [_stale_of(row) for row in await self._tx.rows(wanted.order_by(_stale.employee_id).limit(limit))]

    async def component_totals(self, run: RunId) -> Mapping[str, ComponentSum]:
        state = await self._state(run)
        wanted = select(tables.component_total).where(_total.run_id == run, _total.attempt == state.attempt)
        return {
            row["component"]: ComponentSum(row["amount_minor"], row["line_count"])
            for row in await self._tx.rows(wanted)
        }

    async def pay_inputs(
        self, employee: EmployeeId | None, pay_group: str, period: str, after: PayInputId | None, limit: int
    ) -> Sequence[PayInputState]:
        wanted = _inputs()
        if employee is not None:
            wanted = wanted.where(_input.employee_id == employee)
        if pay_group:
            wanted = wanted.where(_input.pay_group == pay_group)
        if period:
            wanted = wanted.where(_input.period == period)
        if after is not None:
            wanted = wanted.where(_input.pay_input_id < after)
        rows = await self._tx.rows(wanted.order_by(_input.pay_input_id.desc()).limit(limit))
        return [_input_state(row) for row in rows]

    async def work_for(self, run: RunId, employees: Sequence[EmployeeId]) -> ChunkWork:
        state = await self._state(run)
        inputs = await _open_for(self._tx, state, employees)
        finalized = await _finalized(self._tx, state.registration, state.tax_year)
        return ChunkWork(state, inputs, await _predecessors(self._tx, finalized, employees))


async def calculating(database: Database) -> list[TenantId]:
    """Tenants with a run that somebody should be calculating."""
    return list(await tenants_with(database, tables.payroll_run, _run.status == RunStatus.CALCULATING.value))


async def recalculated(database: Database) -> list[TenantId]:
    """Tenants with a run that was calculated more than once."""
    return list(await tenants_with(database, tables.payroll_run, _run.attempt > 1))
