"""Commands of pay inputs: an amount that changes makes the payslip that it touches stale, in the same transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from contexts.payroll.domain.countries import statutory_of
from contexts.payroll.domain.engine import Plan
from contexts.payroll.domain.errors import PayInputInvalid
from contexts.payroll.domain.pay_input import PayInput, PayInputId, PayInputState
from contexts.payroll.domain.payroll_run import DEAD, PayrollRun, RunKind, RunState, RunStatus
from contexts.payroll.handlers.catalog import group_of, period_of
from contexts.payroll.repository.port import PayrollWork
from kernel.ids import EmployeeId, Version
from kernel.money import Money

STALE_REASON = "PAY_INPUT_CHANGED"
_TAKES_NO_MORE = (RunStatus.APPROVED, RunStatus.FINALIZED)


@dataclass(frozen=True, slots=True)
class CreatePayInput:
    """An amount for one employee, component and period."""

    employee_id: EmployeeId
    pay_group: str
    period: str
    component: str
    amount: Money
    quantity: Decimal | None
    reason: str
    run_kind: RunKind
    recurring: bool
    last_period: str


async def create_pay_input(cmd: CreatePayInput, work: PayrollWork) -> PayInputState:
    """Enter an amount. Raises PayInputInvalid, PayGroupNotFound, PayPeriodNotFound."""
    _must_recur_well(cmd)
    catalog = await work.catalogs.for_reference()
    period = period_of(catalog, cmd.pay_group, cmd.period)
    group = group_of(catalog, cmd.pay_group, period.span.start)
    if cmd.amount.currency != group.currency:
        raise PayInputInvalid(f"{cmd.pay_group} pays in {group.currency}", field="amount.currency")
    plan = Plan(catalog.components(period.span.last_day, cmd.pay_group), group.currency, statutory_of(group.country))
    if cmd.component not in plan.input_components:
        readers = ", ".join(sorted(plan.input_components)) or "none yet"
        raise PayInputInvalid(
            f"no formula of {cmd.component} reads input_amount in that period; components that do: {readers}",
            field="component",
        )
    live = await work.runs.live(cmd.pay_group, cmd.period, cmd.run_kind)
    run = await _open_run(live, cmd.run_kind, work)
    entered = PayInput.create(
        PayInputState(
            id=PayInputId(work.new_id()),
            employee_id=cmd.employee_id,
            pay_group=cmd.pay_group,
            period=cmd.period,
            run_kind=cmd.run_kind,
            component=cmd.component,
            amount=cmd.amount,
            quantity=cmd.quantity,
            reason=cmd.reason,
            cancelled=False,
            run_id=None,
            run_status=None,
            version=Version(0),
            recurring=cmd.recurring,
            last_period=cmd.last_period,
        )
    )
    if cmd.last_period:
        period_of(catalog, cmd.pay_group, cmd.last_period)
    await work.inputs.add(entered)
    if cmd.recurring:
        await _touch_open_runs(entered.state, work)
    elif run is not None:
        await _touch(run, cmd.employee_id, work)
    return entered.state


def _must_recur_well(cmd: CreatePayInput) -> None:
    """Raises PayInputInvalid."""
    if cmd.run_kind in (RunKind.OPENING, RunKind.REVERSAL):
        raise PayInputInvalid(f"{cmd.run_kind.value} runs pay no inputs", field="run_kind")
    if not cmd.recurring:
        if cmd.last_period:
            raise PayInputInvalid("only a recurring input has a last period", field="last_period")
        return
    if cmd.run_kind is not RunKind.REGULAR:
        raise PayInputInvalid("only regular runs come again; enter it for REGULAR runs", field="run_kind")
    if cmd.last_period and cmd.last_period < cmd.period:
        raise PayInputInvalid("the last period is not before the first", field="last_period")


async def end_pay_input(id: PayInputId, seen: Version | None, last_period: str, work: PayrollWork) -> PayInputState:
    """Pay a recurring amount for the last time in a period. Raises PayInputNotFound, PayInputInvalid, Stale."""
    catalog = await work.catalogs.for_reference()
    entered = await work.inputs.get(id, seen)
    before = entered.state
    period_of(catalog, before.pay_group, last_period)
    entered.end(last_period)
    await work.inputs.save(entered)
    await _touch_open_runs(before, work, unless=entered.state)
    return entered.state


async def _touch_open_runs(input: PayInputState, work: PayrollWork, unless: PayInputState | None = None) -> None:
    """The employee's payslips in open runs that the input changes are stale now.

    `unless` is what it became: runs that it pays as before are left alone.
    """
    for state in await work.runs.open(input.pay_group, RunKind.REGULAR):
        now = unless is not None and not unless.cancelled and unless.covers(state.period)
        if input.covers(state.period) == now:
            continue
        run = await work.runs.get(state.id)
        if run.state.status in (RunStatus.CALCULATING, RunStatus.CALCULATED):
            await _touch(run, input.employee_id, work)


async def _open_run(states: Sequence[RunState], kind: RunKind, work: PayrollWork) -> PayrollRun | None:
    """The run that will take the input, locked; None where there is none yet. Raises PayInputInvalid."""
    for state in states:
        run = await work.runs.get(state.id)
        if run.state.status not in _TAKES_NO_MORE and run.state.status not in DEAD:
            return run
    if states and kind is RunKind.REGULAR:
        raise PayInputInvalid(
            "the period's run is approved; enter the amount for a later period, or for an OFF_CYCLE run",
            field="period",
            run_id=states[0].id,
        )
    return None


async def cancel_pay_input(id: PayInputId, seen: Version | None, work: PayrollWork) -> PayInputState:
    """Take an amount back. Raises PayInputNotFound, PayInputUsed, Stale."""
    peeked = await work.inputs.get(id, seen)
    run = await work.runs.get(peeked.state.run_id) if peeked.state.run_id is not None else None
    entered = await work.inputs.get(id, seen)
    before = entered.state
    entered.cancel()
    await work.inputs.save(entered)
    if before.recurring and not before.cancelled:
        await _touch_open_runs(before, work)
    if run is not None and run.state.status in (RunStatus.CALCULATING, RunStatus.CALCULATED):
        await _touch(run, entered.state.employee_id, work)
    return entered.state


async def _touch(run: PayrollRun, employee: EmployeeId, work: PayrollWork) -> None:
    """The employee's payslip is stale now, where the run has one already."""
    if not await work.payslips.has(run.state, [employee]):
        return
    newly = await work.payslips.mark_stale(run.state, {employee: STALE_REASON})
    if newly and run.state.status is RunStatus.CALCULATED:
        run.became_stale(newly)
        await work.runs.save(run)
