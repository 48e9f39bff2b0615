"""Payroll runs and their leases in SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from chassis.database import Duplicate, Lock, Tx, select, update
from chassis.outbox import Outbox
from contexts.payroll.domain.errors import (
    RunExists,
    RunNotFound,
)
from contexts.payroll.domain.payroll_run import (
    DEAD,
    ControlTotals,
    PayrollRun,
    RunId,
    RunKind,
    RunState,
    RunStatus,
)
from contexts.payroll.repository import tables
from contexts.payroll.repository.port import (
    FinalizedRun,
    Lease,
)
from kernel.errors import Stale
from kernel.ids import EmployeeId, Version
from kernel.period import Period

_run = tables.payroll_run.c
_lease = tables.run_lease.c

MAX_FINALIZED = 400
MAX_OPEN = 100


def run_state(row: RowMapping) -> RunState:
    """A run from its row."""
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
        totals=totals_of(row),
        calculation_hash=row["calculation_hash"],
        preparers=tuple(orjson.loads(row["preparers"])),
        approved_by=row["approved_by"],
        finalized_number=row["finalized_number"],
        created_time=row["created_time"],
        version=Version(row["version"]),
        include_regular=bool(row["include_regular"]),
        due_count=row["due_count"],
        settled_count=row["settled_count"],
        reverses=None if row["reverses_id"] is None else RunId(row["reverses_id"]),
        reversed_by=None if row["reversed_by_id"] is None else RunId(row["reversed_by_id"]),
        recover_settled=bool(row["recover_settled"]),
    )


def told(status: RunStatus) -> tuple[Any, ...]:
    """The condition that a run is told to be in this status."""
    final = _run.status == RunStatus.FINALIZED.value
    if status is RunStatus.PAID:
        return final, _run.settled_count > 0, _run.settled_count >= _run.due_count
    if status is RunStatus.PARTIALLY_PAID:
        return final, _run.settled_count > 0, _run.settled_count < _run.due_count
    if status is RunStatus.FINALIZED:
        return final, _run.settled_count == 0
    return (_run.status == status.value,)


def totals_of(row: RowMapping) -> ControlTotals:
    """Control totals from a row that holds their columns."""
    return ControlTotals(
        int(row["payslip_count"] or 0),
        int(row["blocked_count"] or 0),
        int(row["gross_minor"] or 0),
        int(row["net_minor"] or 0),
        int(row["employer_cost_minor"] or 0),
    )


def totals_row(totals: ControlTotals) -> dict[str, int]:
    """Control totals as columns."""
    return {
        "payslip_count": totals.payslip_count,
        "blocked_count": totals.blocked_count,
        "gross_minor": totals.gross_minor,
        "net_minor": totals.net_minor,
        "employer_cost_minor": totals.employer_cost_minor,
    }


def _changing_row(state: RunState) -> dict[str, Any]:
    return {
        "live": None if state.status in DEAD else 1,
        "status": state.status.value,
        "attempt": state.attempt,
        "input_cutoff": state.input_cutoff,
        "catalog_version": state.catalog_version,
        "statutory_version": state.statutory_version,
        "header": state.header,
        **totals_row(state.totals),
        "calculation_hash": state.calculation_hash,
        "preparers": orjson.dumps(state.preparers).decode(),
        "approved_by": state.approved_by,
        "finalized_number": state.finalized_number,
        "due_count": state.due_count,
        "settled_count": state.settled_count,
        "reversed_by_id": state.reversed_by,
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
        "include_regular": state.include_regular,
        "reverses_id": state.reverses,
        "recover_settled": state.recover_settled,
        **_changing_row(state),
    }


def run_missing(id: UUID) -> RunNotFound:
    """What is told of a run that is not there."""
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
            raise run_missing(id)
        if seen is not None and row["version"] != seen:
            raise Stale("the run was changed meanwhile; read it again", version=row["version"])
        return PayrollRun(run_state(row))

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
        return [run_state(row) for row in await self._tx.rows(wanted.order_by(_run.sequence).limit(1000))]

    async def open(self, pay_group: str, kind: RunKind) -> Sequence[RunState]:
        statuses = [status.value for status in (RunStatus.DRAFT, RunStatus.CALCULATING, RunStatus.CALCULATED)]
        wanted = select(tables.payroll_run).where(
            _run.pay_group == pay_group, _run.kind == kind.value, _run.status.in_(statuses)
        )
        return [run_state(row) for row in await self._tx.rows(wanted.order_by(_run.period).limit(MAX_OPEN))]

    async def next_sequence(self, pay_group: str, period: str, kind: RunKind) -> int:
        highest = select(tables.payroll_run, sa.func.max(_run.sequence).label("highest")).where(
            _run.pay_group == pay_group, _run.period == period, _run.kind == kind.value
        )
        row = await self._tx.row(highest)
        return 1 if row is None or row["highest"] is None else int(row["highest"]) + 1

    async def finalized(self, registration: str, tax_year: int) -> Sequence[FinalizedRun]:
        return await finalized_runs(self._tx, registration, tax_year)

    async def last_number(self, registration: str, tax_year: int) -> int:
        highest = select(tables.payroll_run, sa.func.max(_run.finalized_number).label("highest")).where(
            _run.registration == registration, _run.tax_year == tax_year
        )
        row = await self._tx.row(highest)
        return 0 if row is None else int(row["highest"] or 0)

    async def ask_for_calculation(self, id: RunId, now: datetime) -> None:
        asked = update(tables.run_lease).where(_lease.run_id == id)
        await self._tx.execute(
            asked.values(
                fence=_lease.fence + 1,
                worker_id="",
                lease_until=None,
                requested_time=now,
                source_positions="",
                trouble=None,
            )
        )

    async def lease(self, id: RunId) -> Lease:
        row = await self._tx.row(select(tables.run_lease).where(_lease.run_id == id), lock=Lock.UPDATE)
        if row is None:
            raise run_missing(id)
        return Lease(row["fence"], row["worker_id"], row["lease_until"], positions_of(row["source_positions"]))

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
        return await self._tx.execute(extended.values(lease_until=until, trouble=None)) == 1

    async def give_back(self, id: RunId, fence: int, reason: str) -> bool:
        ended = update(tables.run_lease).where(_lease.run_id == id, _lease.fence == fence)
        return await self._tx.execute(ended.values(lease_until=None, trouble=reason)) == 1

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
        return [PayrollRun(run_state(row)) for row in rows]

    async def note_request(self, id: RunId, now: datetime) -> None:
        await self._tx.execute(update(tables.run_lease).where(_lease.run_id == id).values(requested_time=now))

    async def move_positions(self, id: RunId, positions: Mapping[str, int]) -> None:
        held = await self.lease(id)
        moved = {**(held.positions or {}), **positions}
        text = orjson.dumps(moved, option=orjson.OPT_SORT_KEYS).decode()
        await self._tx.execute(update(tables.run_lease).where(_lease.run_id == id).values(source_positions=text))


def _with_version(state: RunState, version: Version) -> RunState:
    return replace(state, version=version)


def positions_of(text: str) -> Mapping[str, int] | None:
    """The feed positions of the sources, None where none were noted."""
    return orjson.loads(text) if text else None


async def finalized_runs(tx: Tx, registration: str, tax_year: int) -> Sequence[FinalizedRun]:
    """Finalized runs of a registration and tax year, the latest first."""
    wanted = select(tables.payroll_run, _run.run_id, _run.attempt, _run.finalized_number).where(
        _run.registration == registration,
        _run.tax_year == tax_year,
        _run.finalized_number > 0,
        _run.status == RunStatus.FINALIZED.value,
        _run.kind != RunKind.REVERSAL.value,
    )
    rows = await tx.rows(wanted.order_by(_run.finalized_number.desc()).limit(MAX_FINALIZED))
    return [FinalizedRun(RunId(row["run_id"]), row["attempt"], row["finalized_number"]) for row in rows]
