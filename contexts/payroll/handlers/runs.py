"""Commands of a payroll run that change its header: create, calculate, approve, finalize, void."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from contexts.payroll.domain.catalog import Catalog, PayComponent
from contexts.payroll.domain.countries import statutory_of
from contexts.payroll.domain.errors import (
    EmployeeNotBlocked,
    PredecessorMoved,
    RunClaimed,
    RunExists,
    RunFenced,
    RunInvalid,
)
from contexts.payroll.domain.payroll_run import (
    LEASE_S,
    TOLD_EMPLOYEES,
    PayrollRun,
    RunId,
    RunKind,
    RunRequest,
    RunState,
    RunStatus,
    calculation_hash,
    stale_hash,
)
from contexts.payroll.domain.payslip import Encode
from contexts.payroll.handlers.catalog import group_of, period_of
from contexts.payroll.repository.port import Lease, PayrollWork, RunView
from kernel.ids import EmployeeId, Version


@dataclass(frozen=True, slots=True)
class CreatePayrollRun:
    """A run for a pay group and period."""

    pay_group: str
    period: str
    request: RunRequest


@dataclass(frozen=True, slots=True)
class StartCalculation:
    """A new attempt. `latest` is the youngest instant whose facts are settled."""

    run_id: RunId
    seen: Version | None
    cutoff: datetime | None
    latest: datetime


@dataclass(frozen=True, slots=True)
class ClaimCalculation:
    """A worker wants the run. `now` is the database's clock."""

    run_id: RunId
    worker_id: str
    positions: Mapping[str, int]
    now: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the worker has to do."""

    run: RunView
    lease: Lease
    next_chunk_no: int
    after_id: EmployeeId | None


@dataclass(frozen=True, slots=True)
class InputChange:
    """Facts of an employee changed; `record_time` is None where nobody knows when that was recorded."""

    employee_id: EmployeeId
    reason: str
    record_time: datetime | None


@dataclass(frozen=True, slots=True)
class RefreshInputs:
    """What changed in the sources since the run's positions."""

    run_id: RunId
    changes: Sequence[InputChange]
    positions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ApprovePayrollRun:
    """An approval of what was seen; `accepted` is the hash of the stale list, or empty."""

    run_id: RunId
    seen: Version | None
    calculation_hash: str
    accepted: str


_MADE_BY = {RunKind.OPENING: "import opening balances", RunKind.REVERSAL: "reverse the final run"}


async def create_run(cmd: CreatePayrollRun, work: PayrollWork) -> RunView:
    """A run in DRAFT. Raises PayGroupNotFound, PayPeriodNotFound, RunInvalid, RunExists."""
    if cmd.request.kind in _MADE_BY:
        raise RunInvalid(f"{_MADE_BY[cmd.request.kind]}; that makes the run", field="kind")
    catalog = await work.catalogs.for_reference()
    period = period_of(catalog, cmd.pay_group, cmd.period)
    group_of(catalog, cmd.pay_group, period.span.end)
    await work.lock(f"payroll.runs.{cmd.pay_group}")
    live = await work.runs.live(cmd.pay_group, cmd.period, cmd.request.kind)
    regular = cmd.request.kind is RunKind.REGULAR
    if regular and live:
        raise RunExists(
            "the period has its regular run; use it, void it before it is final, or make an OFF_CYCLE run",
            run_id=live[0].id,
            status=live[0].status.value,
        )
    sequence = 0 if regular else await work.runs.next_sequence(cmd.pay_group, cmd.period, cmd.request.kind)
    run = PayrollRun.create(RunId(work.new_id()), period, cmd.request, sequence, work.actor, work.now())
    await work.runs.add(run)
    return await view_of(run.state, work)


async def start_calculation(cmd: StartCalculation, work: PayrollWork, encode: Encode) -> RunView:
    """A new attempt with frozen cut-off and versions. Raises RunStatusWrong, CutoffUnsettled, Stale."""
    catalog = await work.catalogs.for_reference()
    run = await work.runs.get(cmd.run_id, cmd.seen)
    state = run.state
    statutory = statutory_of(state.country)
    versions = (catalog.version, statutory.version if statutory is not None else "")
    if not state.from_facts:  # a reversal keeps those of the run that it takes back
        versions = (state.catalog_version, state.statutory_version)
    run.start_calculation(work.actor, cmd.cutoff, cmd.latest, *versions, encode)
    await work.runs.save(run)
    await work.runs.ask_for_calculation(run.state.id, work.now())
    return await view_of(run.state, work)


@dataclass(frozen=True, slots=True)
class GiveBackCalculation:
    """A worker cannot go on. `reason` holds no personal data."""

    run_id: RunId
    fence: int
    reason: str


async def give_back_calculation(cmd: GiveBackCalculation, work: PayrollWork) -> None:
    """The run waits for another claim. Raises RunNotCalculating, RunFenced."""
    run = await work.runs.get(cmd.run_id, shared=True)
    run.must_be_calculating()
    if not await work.runs.give_back(cmd.run_id, cmd.fence, cmd.reason):
        raise RunFenced("another worker has taken the run; stop working on it", run_id=cmd.run_id)
    work.note(f"payroll_run/{cmd.run_id}", cmd.reason)


async def claim_calculation(cmd: ClaimCalculation, work: PayrollWork) -> Claimed:
    """The run for one worker, with a higher fence. Raises RunNotCalculating, RunClaimed."""
    run = await work.runs.get(cmd.run_id, shared=True)
    run.must_be_calculating()
    until = cmd.now + timedelta(seconds=LEASE_S)
    lease = await work.runs.claim(cmd.run_id, cmd.worker_id, cmd.now, until, cmd.positions)
    if lease is None:
        held = await work.runs.lease(cmd.run_id)
        left_s = (held.lease_until - cmd.now).total_seconds() if held.lease_until is not None else 0.0
        raise RunClaimed(
            "another worker calculates this run; ask again when its lease has ended",
            run_id=cmd.run_id,
            seconds_left=max(0, round(left_s)),
        )
    chunks = await work.payslips.chunks(run.state)
    work.note(f"payroll_run/{cmd.run_id}")
    return Claimed(
        await view_of(run.state, work),
        lease,
        len(chunks) + 1,
        chunks[-1].last_id if chunks else None,
    )


async def refresh_inputs(cmd: RefreshInputs, work: PayrollWork) -> tuple[RunView, int]:
    """Mark payslips stale whose facts changed; how many were not stale before. Raises RunStatusWrong."""
    run = await work.runs.get(cmd.run_id)
    run.must_be_open_for_changes()
    touched = await _unknown(run.state, cmd.changes, work)
    newly = await work.payslips.mark_stale(run.state, touched) if touched else 0
    if cmd.positions:
        await work.runs.move_positions(cmd.run_id, cmd.positions)
    if newly:
        run.became_stale(newly)
        await work.runs.save(run)
    work.note(f"payroll_run/{cmd.run_id}")
    return await view_of(run.state, work), newly


async def _unknown(state: RunState, changes: Sequence[InputChange], work: PayrollWork) -> dict[EmployeeId, str]:
    """The reason of each employee with a change that the run's facts do not hold.

    A change is told again once its event has a position in the feed: what was read as known then has it already.
    """
    if not state.from_facts or state.input_cutoff is None:
        return {}
    known_at = await work.payslips.recalculated(state, [change.employee_id for change in changes])
    return {
        change.employee_id: change.reason
        for change in changes
        if change.record_time is None or change.record_time > known_at.get(change.employee_id, state.input_cutoff)
    }


async def defer_employees(
    run_id: RunId, seen: Version | None, employees: Sequence[EmployeeId], work: PayrollWork
) -> RunView:
    """Leave blocked employees to a later run. Raises RunStatusWrong, EmployeeNotBlocked."""
    run = await work.runs.get(run_id, seen)
    run.must_be_open_for_changes()
    run.must_pay()
    others = await work.payslips.defer(run.state, employees)
    if others:
        raise EmployeeNotBlocked(
            "only blocked employees can be left to a later run",
            field="employee_ids",
            employee_ids=",".join(str(employee) for employee in others[:TOLD_EMPLOYEES]),
        )
    chunks = await work.payslips.chunks(run.state)
    deferred = await work.payslips.deferred(run.state)
    bound = calculation_hash(run.state.header, (chunk.results_hash for chunk in chunks), deferred)
    run.deferred(bound, len(employees), work.actor)
    await work.runs.save(run)
    return await view_of(run.state, work)


async def approve_run(cmd: ApprovePayrollRun, work: PayrollWork) -> RunView:
    """A second person accepts the run. Raises what `PayrollRun.approve` raises, Stale."""
    newest = await work.catalogs.for_reference()
    run = await work.runs.get(cmd.run_id, cmd.seen)
    state = run.state
    stale = [one.employee_id for one in await work.payslips.stale(state)]
    moved = await catalog_moved(state, newest, work)
    blocked = await work.payslips.undeferred(state) if state.status is RunStatus.CALCULATED else 0
    run.approve(
        work.actor, cmd.calculation_hash, blocked, stale, stale_hash(moved, stale), cmd.accepted
    )  # fmt: skip
    if stale:
        await work.payslips.leave_to_retro(state)
    await work.runs.save(run)
    return await view_of(run.state, work)


async def finalize_run(run_id: RunId, seen: Version | None, work: PayrollWork) -> RunView:
    """Make it final. Raises RunStatusWrong, PredecessorMoved, Stale."""
    run = await work.runs.get(run_id, seen)
    state = run.state
    await work.lock(f"payroll.finalize.{state.registration}.{state.tax_year}")
    finalized = await work.runs.finalized(state.registration, state.tax_year)
    last = await work.runs.last_number(state.registration, state.tax_year)
    run.finalize(last + 1, await work.payments.due(state))
    moved = await work.payslips.moved_predecessors(state, finalized, TOLD_EMPLOYEES)
    if moved:
        raise PredecessorMoved(
            "another run was finalized meanwhile, so the year to date of these employees moved; void this run's"
            " approval by a new calculation, or recalculate them",
            run_id=run_id,
            employee_ids=",".join(str(employee) for employee in moved),
        )
    await work.runs.save(run)
    await _take_back(run, work)
    return await view_of(run.state, work)


async def _take_back(run: PayrollRun, work: PayrollWork) -> None:
    """The run that a final reversal takes back is REVERSED. Raises RunStatusWrong, PaymentsSettled."""
    if run.state.reverses is None:
        return
    original = await work.runs.get(run.state.reverses)
    original.must_be_recovered(run.state.recover_settled)
    original.reversed_by(run.state.id)
    await work.runs.save(original)


async def void_run(run_id: RunId, seen: Version | None, reason: str, work: PayrollWork) -> RunView:
    """Give the run up. Raises RunStatusWrong, Stale."""
    run = await work.runs.get(run_id, seen)
    run.void()
    await work.runs.save(run)
    await work.runs.ask_for_calculation(run_id, work.now())
    work.note(f"payroll_run/{run_id}", reason)
    return await view_of(run.state, work)


def components_of(catalog: Catalog, state: RunState) -> tuple[PayComponent, ...]:
    """The components of a run: those in force on the last day of its period."""
    return catalog.components(state.span.last_day, state.pay_group)


async def catalog_moved(state: RunState, newest: Catalog, work: PayrollWork) -> int:
    """The newest catalog version where it says something else for this run than its own; 0 where it does not."""
    if newest.version == state.catalog_version or not state.from_facts:
        return 0
    pinned = await work.catalogs.at(state.catalog_version)
    return 0 if components_of(pinned, state) == components_of(newest, state) else newest.version


async def view_of(state: RunState, work: PayrollWork) -> RunView:
    """The run with its counts, inside the work that changed it."""
    if state.status is RunStatus.DRAFT:
        return RunView(state, state.totals, 0, 0, 0, "", {})
    chunks = await work.payslips.chunks(state)
    stale = await work.payslips.stale(state)
    totals = sum((chunk.totals for chunk in chunks[1:]), chunks[0].totals) if chunks else state.totals
    lease = await work.runs.lease(state.id)
    return RunView(
        state,
        totals,
        len(chunks),
        len(stale),
        len(await work.payslips.deferred(state)),
        stale_hash(0, (one.employee_id for one in stale)),
        lease.positions or {},
    )
