"""Payments in SQL: a row for each that was arranged, or of which something is recorded."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from chassis.database import Tx, delete, select
from contexts.payroll.domain.payment import Payment, PaymentId, PaymentStatus
from contexts.payroll.domain.payroll_run import RunId, RunState
from contexts.payroll.domain.payslip import PayslipId
from contexts.payroll.repository import tables
from contexts.payroll.repository.sql.payslips import parts
from kernel.ids import EmployeeId
from kernel.money import Money

_payslip = tables.payslip.c
_payment = tables.net_payment.c


def payments_of(run: RunState) -> sa.Select[Any]:
    """Every payment of a run by employee; a payslip of which nothing is kept has one that is pending."""
    return (
        select(
            tables.payslip,
            _payslip.run_id,
            _payslip.employee_id,
            _payslip.payslip_id,
            _payslip.net_minor,
            _payment.split,
            _payment.issue,
            _payment.amount_minor,
            _payment.account,
            _payment.accounts_known_at,
            _payment.status,
            _payment.reason,
        )
        .outerjoin(
            tables.net_payment,
            sa.and_(
                _payment.tenant_id == _payslip.tenant_id,
                _payment.run_id == _payslip.run_id,
                _payment.employee_id == _payslip.employee_id,
            ),
        )
        .where(_payslip.run_id == run.id, _payslip.attempt == run.attempt, _payslip.net_minor > 0)
        .order_by(_payslip.employee_id, _payment.split)
    )


def after_payment(employee: EmployeeId, split: int) -> Any:
    """The condition that a payment comes after this one."""
    return sa.or_(_payslip.employee_id > employee, sa.and_(_payslip.employee_id == employee, _payment.split > split))


def payment_of(row: RowMapping, run: RunState) -> Payment:
    """A payment of a run from its row."""
    kept = row["status"] is not None
    return Payment(
        payslip_id=PayslipId(row["payslip_id"]),
        run_id=RunId(row["run_id"]),
        employee_id=EmployeeId(row["employee_id"]),
        amount=Money(row["amount_minor"] if kept else row["net_minor"], run.currency),
        status=PaymentStatus.told(run, PaymentStatus(row["status"]) if kept else None),
        reason=row["reason"] or "",
        split=row["split"] or 0,
        issue=row["issue"] or 0,
        account=row["account"] or 0,
        accounts_known_at=row["accounts_known_at"],
    )


class SqlPayments:
    """The payments of runs."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def due(self, run: RunState) -> int:
        counted = select(tables.payslip, sa.func.count().label("count")).where(
            _payslip.run_id == run.id, _payslip.attempt == run.attempt, _payslip.net_minor > 0
        )
        row = await self._tx.row(counted)
        return 0 if row is None else int(row["count"])

    async def of(self, run: RunState, employees: Sequence[EmployeeId]) -> Mapping[EmployeeId, Sequence[Payment]]:
        found: dict[EmployeeId, list[Payment]] = {}
        for part in parts(employees):
            for row in await self._tx.rows(payments_of(run).where(_payslip.employee_id.in_(part))):
                payment = payment_of(row, run)
                found.setdefault(payment.employee_id, []).append(payment)
        return found

    async def payees(self, run: RunState, payments: Sequence[PaymentId]) -> Sequence[EmployeeId]:
        found: dict[EmployeeId, None] = {}
        for part in parts(payments):
            wanted = select(tables.net_payment, _payment.employee_id).where(
                _payment.payment_id.in_(part), _payment.run_id == run.id
            )
            found.update({EmployeeId(row["employee_id"]): None for row in await self._tx.rows(wanted)})
        return list(found)

    async def keep(self, run: RunState, payments: Mapping[EmployeeId, Sequence[Payment]], now: datetime) -> None:
        for part in parts(list(payments)):
            await self._tx.execute(
                delete(tables.net_payment).where(_payment.run_id == run.id, _payment.employee_id.in_(part))
            )
            rows = [
                {
                    "run_id": run.id,
                    "employee_id": employee,
                    "split": payment.split,
                    "payment_id": payment.id,
                    "issue": payment.issue,
                    "amount_minor": payment.amount.minor,
                    "account": payment.account,
                    "accounts_known_at": payment.accounts_known_at,
                    "status": payment.status.stored.value,
                    "reason": payment.reason,
                    "changed_time": now,
                }
                for employee in part
                for payment in payments[employee]
            ]
            await self._tx.insert(tables.net_payment, rows)
