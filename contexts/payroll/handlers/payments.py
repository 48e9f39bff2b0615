"""Commands of payments: what the bank said of the net pay of a final run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from contexts.payroll.domain.errors import PaymentNotDue
from contexts.payroll.domain.payment import PaymentStatus
from contexts.payroll.domain.payroll_run import TOLD_EMPLOYEES, RunId
from contexts.payroll.handlers.runs import view_of
from contexts.payroll.repository.port import PayrollWork, RunView
from kernel.ids import EmployeeId, Version


@dataclass(frozen=True, slots=True)
class RecordPayments:
    """Payments of these employees in one run were settled, or returned for a reason."""

    run_id: RunId
    seen: Version | None
    employees: Sequence[EmployeeId]
    outcome: PaymentStatus
    reason: str


async def record_payments(cmd: RecordPayments, work: PayrollWork) -> RunView:
    """The run with its payments counted; the same news again changes nothing.

    Raises RunStatusWrong, PaymentNotDue, Stale.
    """
    run = await work.runs.get(cmd.run_id, cmd.seen)
    run.must_be_final()
    employees = sorted(set(cmd.employees), key=lambda employee: employee.bytes)
    found = await work.payments.of(run.state, employees)
    others = [employee for employee in employees if employee not in found]
    if others:
        raise PaymentNotDue(
            "the run has nothing to pay out to these employees",
            field="employee_ids",
            employee_ids=",".join(str(employee) for employee in others[:TOLD_EMPLOYEES]),
        )
    changed = [
        replace(payment, status=cmd.outcome, reason=cmd.reason)
        for payment in found.values()
        if payment.status is not cmd.outcome
    ]
    if changed:
        settled = cmd.outcome is PaymentStatus.SETTLED
        before = sum(found[payment.employee_id].status is PaymentStatus.SETTLED for payment in changed)
        await work.payments.record(changed, work.now())
        run.payments_recorded(len(changed) * settled - before, len(changed))
        await work.runs.save(run)
    work.note(f"payroll_run/{cmd.run_id}", cmd.reason or None)
    return await view_of(run.state, work)
