"""The command that takes a final run back: a new run of negated lines."""

from dataclasses import dataclass
from datetime import date, datetime

from contexts.payroll.domain.errors import RunExists
from contexts.payroll.domain.payroll_run import PayrollRun, RunId, RunKind
from contexts.payroll.domain.payslip import Encode
from contexts.payroll.handlers.runs import view_of
from contexts.payroll.repository.port import PayrollWork, RunView
from kernel.ids import Version


@dataclass(frozen=True, slots=True)
class ReversePayrollRun:
    """Take a final run back on a day. `latest` is the youngest instant whose facts are settled."""

    run_id: RunId
    seen: Version | None
    reason: str
    day: date
    recover_settled: bool
    latest: datetime


async def reverse_run(cmd: ReversePayrollRun, work: PayrollWork, encode: Encode) -> RunView:
    """The run of kind REVERSAL, in CALCULATING with the versions of the one that it takes back.

    Raises RunStatusWrong, RunInvalid, ReversalLate, PaymentsSettled, RunExists, Stale.
    """
    original = await work.runs.get(cmd.run_id, cmd.seen)
    state = original.state
    await work.lock(f"payroll.runs.{state.pay_group}")
    sequence = await work.runs.next_sequence(state.pay_group, state.period, RunKind.REVERSAL)
    run = PayrollRun.reversal(
        RunId(work.new_id()), original, cmd.day, cmd.recover_settled, cmd.reason, sequence, work.actor, work.now()
    )
    for other in await work.runs.live(state.pay_group, state.period, RunKind.REVERSAL):
        if other.reverses == state.id:
            raise RunExists(
                "this run is being taken back already; use that reversal, or void it first",
                run_id=other.id,
                status=other.status.value,
            )
    await work.runs.add(run)
    run.start_calculation(work.actor, None, cmd.latest, state.catalog_version, state.statutory_version, encode)
    await work.runs.save(run)
    await work.runs.ask_for_calculation(run.state.id, work.now())
    work.note(f"payroll_run/{cmd.run_id}", cmd.reason)
    return await view_of(run.state, work)
