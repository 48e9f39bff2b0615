"""Commands of payments: which accounts get the net pay of a final run, and what the bank said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from contexts.payroll.domain.errors import PaymentNotDue
from contexts.payroll.domain.payment import Payment, PaymentId, PaymentStatus, SplitPart, arranged
from contexts.payroll.domain.payroll_run import TOLD_EMPLOYEES, RunId
from contexts.payroll.handlers.runs import view_of
from contexts.payroll.repository.port import PayrollWork, RunView
from kernel.errors import InvalidValue
from kernel.ids import EmployeeId, Version


@dataclass(frozen=True, slots=True)
class ArrangePayments:
    """How employees split their net pay, as known at an instant; no parts where somebody has no account."""

    run_id: RunId
    seen: Version | None
    known_at: datetime
    splits: Mapping[EmployeeId, Sequence[SplitPart]]


@dataclass(frozen=True, slots=True)
class RecordPayments:
    """All payments of these employees, and these single ones, were settled, or returned for a reason."""

    run_id: RunId
    seen: Version | None
    employees: Sequence[EmployeeId]
    payments: Sequence[PaymentId]
    outcome: PaymentStatus
    reason: str


async def arrange_payments(cmd: ArrangePayments, work: PayrollWork) -> RunView:
    """One payment per account. Employees of whom something was settled or returned are left as they are.

    Raises RunStatusWrong, PaySplitInvalid, Stale.
    """
    run = await work.runs.get(cmd.run_id, cmd.seen)
    run.must_be_payable()
    found = await work.payments.of(run.state, sorted(cmd.splits, key=lambda employee: employee.bytes))
    changed: dict[EmployeeId, Sequence[Payment]] = {}
    for employee, before in found.items():
        if all(payment.status is PaymentStatus.PENDING for payment in before):
            after = arranged(before, cmd.splits[employee], cmd.known_at)
            if after != list(before):
                changed[employee] = after
    if changed:
        await work.payments.keep(run.state, changed, work.now())
        more = sum(len(after) - len(found[employee]) for employee, after in changed.items())
        run.payments_arranged(more, len(changed))
        await work.runs.save(run)
    work.note(f"payroll_run/{cmd.run_id}")
    return await view_of(run.state, work)


async def record_payments(cmd: RecordPayments, work: PayrollWork) -> RunView:
    """The run with its payments counted; the same news again changes nothing.

    Raises RunStatusWrong, PaymentNotDue, Stale, InvalidValue.
    """
    run = await work.runs.get(cmd.run_id, cmd.seen)
    if not cmd.employees and not cmd.payments:
        raise InvalidValue("name an employee or a payment", field="employee_ids")
    run.must_be_final()
    whole, single = set(cmd.employees), set(cmd.payments)
    payees = await work.payments.payees(run.state, sorted(single, key=lambda payment: payment.bytes))
    members = sorted({*whole, *payees}, key=lambda employee: employee.bytes)
    found = await work.payments.of(run.state, members)
    _must_be_due(found, whole, single)
    changed: dict[EmployeeId, Sequence[Payment]] = {}
    newly_settled = count = 0
    for employee, before in found.items():
        after = [
            replace(payment, status=cmd.outcome, reason=cmd.reason)
            if (employee in whole or payment.id in single) and payment.status is not cmd.outcome
            else payment
            for payment in before
        ]
        if after != list(before):
            changed[employee] = after
            newly_settled += _settled(after) - _settled(before)
            count += sum(one is not other for one, other in zip(before, after, strict=True))
    if changed:
        await work.payments.keep(run.state, changed, work.now())
        run.payments_recorded(newly_settled, count)
        await work.runs.save(run)
    work.note(f"payroll_run/{cmd.run_id}", cmd.reason or None)
    return await view_of(run.state, work)


def _must_be_due(found: Mapping[EmployeeId, Sequence[Payment]], whole: set[EmployeeId], single: set[PaymentId]) -> None:
    others = sorted(str(employee) for employee in whole if employee not in found)
    if others:
        raise PaymentNotDue(
            "the run has nothing to pay out to these employees",
            field="employee_ids",
            employee_ids=",".join(others[:TOLD_EMPLOYEES]),
        )
    unknown = single - {payment.id for payments in found.values() for payment in payments}
    if unknown:
        raise PaymentNotDue(
            "the run has no such payments now: arrange them first, or list them again after they were arranged anew",
            field="payment_ids",
            payment_ids=",".join(sorted(str(payment) for payment in unknown)[:TOLD_EMPLOYEES]),
        )


def _settled(payments: Sequence[Payment]) -> int:
    return sum(payment.status is PaymentStatus.SETTLED for payment in payments)
