"""What people and processes read of payroll, in SQL."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from chassis.database import Database, Tx, select
from chassis.tenants import tenants_with
from contexts.payroll.domain.catalog import Catalog
from contexts.payroll.domain.errors import (
    PayslipNotFound,
)
from contexts.payroll.domain.pay_input import PayInputId, PayInputState
from contexts.payroll.domain.payment import Payment
from contexts.payroll.domain.payroll_run import (
    RunId,
    RunKind,
    RunState,
    RunStatus,
    stale_hash,
)
from contexts.payroll.domain.payslip import (
    Blocker,
    ComponentSum,
    Payslip,
    PayslipId,
    PayslipSummary,
    StalePayslip,
)
from contexts.payroll.repository import tables
from contexts.payroll.repository.port import (
    ChunkWork,
    RunView,
)
from contexts.payroll.repository.sql.catalogs import CatalogCache, SqlCatalogs
from contexts.payroll.repository.sql.pay_inputs import covering, input_state, inputs_with_state, open_inputs_for
from contexts.payroll.repository.sql.payments import after_payment, payment_of, payments_of
from contexts.payroll.repository.sql.payslips import SqlPayslips, predecessors_of, stale_of
from contexts.payroll.repository.sql.runs import (
    finalized_runs,
    positions_of,
    run_missing,
    run_state,
    told,
    totals_of,
)
from kernel.ids import EmployeeId, TenantId

_run = tables.payroll_run.c
_lease = tables.run_lease.c
_chunk = tables.run_chunk.c
_payslip = tables.payslip.c
_slot = tables.payslip_slot.c
_blocker = tables.blocker.c
_stale = tables.stale_payslip.c
_total = tables.component_total.c
_input = tables.pay_input.c

_FIRST, _LAST = UUID(int=0), UUID(int=2**128 - 1)


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


_DOCUMENTS = (
    _payslip.predecessor_id, _payslip.known_at, _payslip.inputs, _payslip.lines, _payslip.year_to_date,
)  # fmt: skip


def _payslip_of(row: RowMapping) -> Payslip:
    return Payslip(
        summary=_summary(row),
        predecessor_id=None if row["predecessor_id"] is None else PayslipId(row["predecessor_id"]),
        known_at=row["known_at"],
        inputs=bytes(row["inputs"]),
        lines=bytes(row["lines"]),
        year_to_date=bytes(row["year_to_date"]),
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
            raise run_missing(id)
        return run_state(row)

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
            totals=totals_of(sums),
            chunks=int(sums["chunks"]),
            stale=len(stale),
            deferred=len(deferred),
            stale_hash=stale_hash(0, (one.employee_id for one in stale)),
            positions=(positions_of(lease["source_positions"]) if lease is not None else None) or {},
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
            wanted = wanted.where(*told(status))
        if after is not None:
            wanted = wanted.where(_run.run_id < after)
        rows = await self._tx.rows(wanted.order_by(_run.run_id.desc()).limit(limit))
        return [await self._view(run_state(row)) for row in rows]

    async def payslip(self, id: PayslipId) -> Payslip:
        return await self._one(_payslip.payslip_id == id)

    async def payslip_of(self, run: RunId, employee: EmployeeId) -> Payslip:
        return await self._one(sa.and_(_payslip.run_id == run, _payslip.employee_id == employee))

    async def _one(self, condition: Any) -> Payslip:
        row = await self._tx.row(_summaries(*_DOCUMENTS).where(condition))
        if row is None:
            raise PayslipNotFound("there is no such payslip; check the id", field="payslip_id")
        return _payslip_of(row)

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
            wanted = wanted.where(_run.finalized_number > 0)
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
        return [stale_of(row) for row in await self._tx.rows(wanted.order_by(_stale.employee_id).limit(limit))]

    async def before(self, run: RunState) -> RunState | None:
        wanted = select(tables.payroll_run).where(
            _run.pay_group == run.pay_group,
            _run.kind == RunKind.REGULAR.value,
            _run.status == RunStatus.FINALIZED.value,
            _run.start_date < run.span.start,
        )
        row = await self._tx.row(wanted.order_by(_run.start_date.desc()).limit(1))
        return None if row is None else run_state(row)

    async def documents(self, run: RunState, after: EmployeeId | None, limit: int) -> Sequence[Payslip]:
        wanted = _summaries(*_DOCUMENTS).where(
            _payslip.run_id == run.id, _payslip.attempt == run.attempt, _payslip.employee_id > (after or _FIRST)
        )
        rows = await self._tx.rows(wanted.order_by(_payslip.employee_id).limit(limit))
        return [_payslip_of(row) for row in rows]

    async def blocked(self, run: RunState, after: EmployeeId | None, last: EmployeeId | None) -> Sequence[EmployeeId]:
        found = await SqlPayslips(self._tx).blocked(run, after, last)
        return list(dict.fromkeys(employee for employee, _, _ in found))

    async def component_totals(self, run: RunId) -> Mapping[str, ComponentSum]:
        state = await self._state(run)
        wanted = select(tables.component_total).where(_total.run_id == run, _total.attempt == state.attempt)
        return {
            row["component"]: ComponentSum(row["amount_minor"], row["line_count"])
            for row in await self._tx.rows(wanted)
        }

    async def payments(self, run: RunId, after: tuple[EmployeeId, int] | None, limit: int) -> Sequence[Payment]:
        state = await self._state(run)
        if not state.finalized_number:
            return []
        wanted = payments_of(state) if after is None else payments_of(state).where(after_payment(*after))
        rows = await self._tx.rows(wanted.limit(limit))
        return [payment_of(row, state) for row in rows]

    async def pay_inputs(
        self, employee: EmployeeId | None, pay_group: str, period: str, after: PayInputId | None, limit: int
    ) -> Sequence[PayInputState]:
        wanted = inputs_with_state()
        if employee is not None:
            wanted = wanted.where(_input.employee_id == employee)
        if pay_group:
            wanted = wanted.where(_input.pay_group == pay_group)
        if period:
            wanted = wanted.where(covering(period))
        if after is not None:
            wanted = wanted.where(_input.pay_input_id < after)
        rows = await self._tx.rows(wanted.order_by(_input.pay_input_id.desc()).limit(limit))
        return [input_state(row) for row in rows]

    async def work_for(self, run: RunId, employees: Sequence[EmployeeId]) -> ChunkWork:
        state = await self._state(run)
        inputs = await open_inputs_for(self._tx, state, employees)
        finalized = await finalized_runs(self._tx, state.registration, state.tax_year)
        return ChunkWork(state, inputs, await predecessors_of(self._tx, finalized, employees))


async def calculating(database: Database) -> list[TenantId]:
    """Tenants with a run that somebody should be calculating."""
    return list(await tenants_with(database, tables.payroll_run, _run.status == RunStatus.CALCULATING.value))


async def being_calculated(database: Database, tenant_id: TenantId, limit: int) -> list[RowMapping]:
    """A tenant's runs that are being calculated, oldest first: what an operator sees of them."""
    stored = sa.and_(_chunk.tenant_id == _run.tenant_id, _chunk.run_id == _run.run_id, _chunk.attempt == _run.attempt)
    done = sa.func.coalesce(sa.func.sum(_chunk.payslip_count + _chunk.blocked_count), 0).label("done")
    named = (_run.run_id, _run.pay_group, _run.period, _run.kind, _run.attempt)
    held = (_lease.worker_id, _lease.lease_until, _lease.requested_time, _lease.trouble)
    wanted = (
        select(tables.payroll_run, *named, *held, done)
        .join(tables.run_lease, sa.and_(_lease.tenant_id == _run.tenant_id, _lease.run_id == _run.run_id))
        .outerjoin(tables.run_chunk, stored)
        .where(_run.status == RunStatus.CALCULATING.value)
        .group_by(*named, *held)
        .order_by(_run.run_id)
    )
    async with database.read(tenant_id) as tx:
        return list(await tx.rows(wanted.limit(limit)))


async def recalculated(database: Database) -> list[TenantId]:
    """Tenants with a run that was calculated more than once."""
    return list(await tenants_with(database, tables.payroll_run, _run.attempt > 1))
