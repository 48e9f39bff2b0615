"""Payments in SQL: a row for each that is not pending any more."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from chassis.database import Tx, delete, select
from contexts.payroll.domain.payment import Payment, PaymentStatus
from contexts.payroll.domain.payroll_run import RunId, RunState
from contexts.payroll.domain.payslip import PayslipId
from contexts.payroll.repository import tables
from contexts.payroll.repository.sql.payslips import parts
from kernel.ids import EmployeeId
from kernel.money import Money

_payslip = tables.payslip.c
_payment = tables.payment.c


def payments_of(run: RunState) -> sa.Select[Any]:
    """Every payment of a run; those that nothing is recorded of are pending."""
    return (
        select(
            tables.payslip,
            _payslip.run_id,
            _payslip.employee_id,
            _payslip.payslip_id,
            _payslip.net_minor,
            _payment.status,
            _payment.reason,
        )
        .outerjoin(
            tables.payment,
            sa.and_(
                _payment.tenant_id == _payslip.tenant_id,
                _payment.run_id == _payslip.run_id,
                _payment.employee_id == _payslip.employee_id,
            ),
        )
        .where(_payslip.run_id == run.id, _payslip.attempt == run.attempt, _payslip.net_minor > 0)
    )


def payment_of(row: RowMapping, run: RunState) -> Payment:
    """A payment of a run from its row."""
    return Payment(
        payslip_id=PayslipId(row["payslip_id"]),
        run_id=RunId(row["run_id"]),
        employee_id=EmployeeId(row["employee_id"]),
        amount=Money(row["net_minor"], run.currency),
        status=PaymentStatus.unrecorded(run) if row["status"] is None else PaymentStatus(row["status"]),
        reason=row["reason"] or "",
    )


class SqlPayments:
    """What became of the payments of runs."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def due(self, run: RunState) -> int:
        counted = select(tables.payslip, sa.func.count().label("count")).where(
            _payslip.run_id == run.id, _payslip.attempt == run.attempt, _payslip.net_minor > 0
        )
        row = await self._tx.row(counted)
        return 0 if row is None else int(row["count"])

    async def of(self, run: RunState, employees: Sequence[EmployeeId]) -> Mapping[EmployeeId, Payment]:
        found: dict[EmployeeId, Payment] = {}
        for part in parts(employees):
            for row in await self._tx.rows(payments_of(run).where(_payslip.employee_id.in_(part))):
                payment = payment_of(row, run)
                found[payment.employee_id] = payment
        return found

    async def record(self, payments: Sequence[Payment], now: datetime) -> None:
        for part in parts(payments):
            rows = [
                {
                    "run_id": payment.run_id,
                    "employee_id": payment.employee_id,
                    "payment_id": payment.id,
                    "status": payment.status.value,
                    "reason": payment.reason,
                    "changed_time": now,
                }
                for payment in part
            ]
            before = delete(tables.payment).where(
                _payment.run_id.in_({payment.run_id for payment in part}),
                _payment.employee_id.in_([payment.employee_id for payment in part]),
            )
            await self._tx.execute(before)
            await self._tx.insert(tables.payment, rows)
