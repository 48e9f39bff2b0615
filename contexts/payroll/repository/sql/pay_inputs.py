"""Pay inputs in SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from chassis.database import Lock, Tx, select, update
from chassis.outbox import Outbox
from contexts.payroll.domain.arithmetic import plain
from contexts.payroll.domain.errors import (
    PayInputNotFound,
)
from contexts.payroll.domain.pay_input import PayInput, PayInputId, PayInputState
from contexts.payroll.domain.payroll_run import (
    RunId,
    RunKind,
    RunState,
    RunStatus,
)
from contexts.payroll.domain.payslip import (
    TakenInput,
)
from contexts.payroll.repository import tables
from contexts.payroll.repository.sql.payslips import DEAD_VALUES, parts
from kernel.errors import Stale
from kernel.ids import EmployeeId, Version
from kernel.money import Money

_run = tables.payroll_run.c
_input = tables.pay_input.c

EVERY = "EVERY"  # stands for the period of a recurring input, so that one index finds both kinds


def input_state(row: RowMapping) -> PayInputState:
    """A pay input from its row with the status of its run."""
    return PayInputState(
        id=PayInputId(row["pay_input_id"]),
        employee_id=EmployeeId(row["employee_id"]),
        pay_group=row["pay_group"],
        period=row["first_period"] if row["recurring"] else row["period"],
        run_kind=RunKind(row["run_kind"]),
        component=row["component"],
        amount=Money(row["amount_minor"], row["currency"]),
        quantity=row["quantity"],
        reason=row["reason"],
        cancelled=bool(row["cancelled"]),
        run_id=None if row["run_id"] is None else RunId(row["run_id"]),
        run_status=None if row["run_status"] is None else RunStatus(row["run_status"]),
        version=Version(row["version"]),
        recurring=bool(row["recurring"]),
        last_period=row["last_period"],
    )


def covering(period: str) -> Any:
    """The condition that an input is paid in a period."""
    return sa.or_(
        _input.period == period,
        sa.and_(
            _input.period == EVERY,
            _input.first_period <= period,
            sa.or_(_input.last_period == "", _input.last_period >= period),
        ),
    )


def inputs_with_state() -> sa.Select[Any]:
    """Pay inputs, each with the status of the run that took it."""
    return select(tables.pay_input, tables.pay_input, _run.status.label("run_status")).outerjoin(
        tables.payroll_run, sa.and_(_run.tenant_id == _input.tenant_id, _run.run_id == _input.run_id)
    )


async def open_inputs_for(
    tx: Tx, run: RunState, employees: Sequence[EmployeeId]
) -> Mapping[EmployeeId, tuple[TakenInput, ...]]:
    """The inputs that a run would take, by employee."""
    if not employees:
        return {}
    wanted = (
        inputs_with_state()
        .where(
            _input.pay_group == run.pay_group,
            _input.period.in_((run.period, EVERY)),  # one index range each
            _input.run_kind == run.kind.value,
            _input.employee_id >= employees[0],
            _input.employee_id <= employees[-1],
            _input.cancelled == sa.false(),
            covering(run.period),
            sa.or_(_input.run_id.is_(None), _input.run_id == run.id, _run.status.in_(DEAD_VALUES)),
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
                    bool(row["recurring"]),
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
        row = None if locked is None else await self._tx.row(inputs_with_state().where(_input.pay_input_id == id))
        if row is None:
            raise PayInputNotFound("there is no such pay input; check the id", field="pay_input_id", pay_input_id=id)
        if seen is not None and row["version"] != seen:
            raise Stale("the pay input was changed meanwhile; read it again", version=row["version"])
        return PayInput(input_state(row))

    async def add(self, entered: PayInput) -> None:
        state = entered.state
        await self._tx.insert(
            tables.pay_input,
            {
                "pay_input_id": state.id,
                "employee_id": state.employee_id,
                "pay_group": state.pay_group,
                "period": EVERY if state.recurring else state.period,
                "first_period": state.period if state.recurring else "",
                "run_kind": state.run_kind.value,
                "component": state.component,
                "currency": state.amount.currency,
                "amount_minor": state.amount.minor,
                "quantity": state.quantity,
                "reason": state.reason,
                "cancelled": False,
                "run_id": None,
                "version": 1,
                "recurring": state.recurring,
                "last_period": state.last_period,
            },
        )
        self._kept(entered, Version(1))

    async def save(self, entered: PayInput) -> None:
        state = entered.state
        version = Version(state.version + 1)
        changed = update(tables.pay_input).where(_input.pay_input_id == state.id, _input.version == state.version)
        if (
            await self._tx.execute(
                changed.values(cancelled=state.cancelled, last_period=state.last_period, version=version)
            )
            != 1
        ):
            raise Stale("the pay input was changed meanwhile; read it again", pay_input_id=state.id)
        self._kept(entered, version)

    def _kept(self, entered: PayInput, version: Version) -> None:
        entered.state = replace(entered.state, version=version)
        self._outbox.add("pay_input", entered.state.id, version, entered.pull_events())

    async def open_for(
        self, run: RunState, employees: Sequence[EmployeeId]
    ) -> Mapping[EmployeeId, tuple[TakenInput, ...]]:
        return await open_inputs_for(self._tx, run, employees)

    async def take(self, run: RunState, ids: Sequence[UUID]) -> bool:
        dead = sa.select(_run.run_id).where(_run.tenant_id == self._tx.tenant_id, _run.live.is_(None))
        matched = 0
        for part in parts(ids):
            taken = update(tables.pay_input).where(
                _input.pay_input_id.in_(part),
                _input.cancelled == sa.false(),
                sa.or_(_input.run_id.is_(None), _input.run_id == run.id, _input.run_id.in_(dead)),
            )
            matched += await self._tx.execute(taken.values(run_id=run.id))
        return matched == len(ids)
