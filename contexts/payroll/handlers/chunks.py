"""The chunk protocol: results that were calculated outside go in once, in order, and only from the claim that holds."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from contexts.payroll.domain.errors import (
    ChunkConflict,
    ChunkOutOfOrder,
    FactsInvalid,
    RunFenced,
    RunNotCalculating,
)
from contexts.payroll.domain.payroll_run import (
    LEASE_S,
    ControlTotals,
    PayrollRun,
    RunId,
    RunState,
    RunStatus,
    calculation_hash,
)
from contexts.payroll.domain.payslip import (
    ChunkResult,
    ComponentSum,
    StoredChunk,
    TakenInput,
    results_hash,
)
from contexts.payroll.handlers.runs import view_of
from contexts.payroll.repository.port import PayrollWork, RunView, StoredResult
from kernel.ids import EmployeeId, Version

LineAmounts = Callable[[bytes], Mapping[str, int]]
"""The amount of each line of a stored payslip by component, in minor units."""


class InputsMoved(Exception):
    """A pay input was entered or taken back between calculating and storing: the chunk is calculated again."""


@dataclass(frozen=True, slots=True)
class StoreChunk:
    """A calculated chunk. `now` is the database's clock; `used` are the inputs that it was calculated with."""

    run_id: RunId
    attempt: int
    fence: int
    chunk_no: int
    after_id: EmployeeId | None
    employees: tuple[EmployeeId, ...]
    last: bool
    result: ChunkResult
    used: Mapping[EmployeeId, tuple[TakenInput, ...]]
    payslip_ids: tuple[UUID, ...]
    now: datetime
    careful: bool


@dataclass(frozen=True, slots=True)
class ChunkStored:
    """What the chunk left."""

    chunk: StoredChunk
    status: RunStatus
    done: int  # payslips and blocked employees of the attempt


@dataclass(frozen=True, slots=True)
class RecalculateEmployees:
    """Employees calculated again from newer facts, and those that left the pay group."""

    run_id: RunId
    seen: Version | None
    employees: tuple[EmployeeId, ...]
    gone: tuple[EmployeeId, ...]
    result: ChunkResult
    used: Mapping[EmployeeId, tuple[TakenInput, ...]]
    payslip_ids: tuple[UUID, ...]
    known_at: datetime


async def store_chunk(cmd: StoreChunk, work: PayrollWork) -> ChunkStored:
    """Store a chunk; the last one completes the calculation.

    Raises RunNotCalculating, RunFenced, ChunkConflict, ChunkOutOfOrder; InputsMoved, PlacesTaken, SlotsInTheWay.
    """
    run = await work.runs.get(cmd.run_id, shared=not cmd.last)
    state = run.state
    if state.status is RunStatus.CALCULATING and state.attempt != cmd.attempt:
        raise RunFenced("a newer attempt has begun; stop working on this one", run_id=state.id, attempt=state.attempt)
    stored = await work.payslips.chunk(state, cmd.chunk_no) if state.attempt == cmd.attempt else None
    if state.status is not RunStatus.CALCULATING:
        # The answer to the last chunk may have been lost: the same chunk is answered again.
        if stored is not None and stored.facts_hash == cmd.result.facts_hash:
            return ChunkStored(stored, state.status, _done(state.totals))
        run.must_be_calculating()
    if not await work.runs.extend(cmd.run_id, cmd.fence, cmd.now + timedelta(seconds=LEASE_S)):
        raise RunFenced("another worker has taken the run; stop working on it", run_id=state.id)
    if stored is not None:
        if stored.facts_hash != cmd.result.facts_hash:
            raise ChunkConflict(
                "this chunk is stored already, made from other facts; claim the run again", chunk_no=cmd.chunk_no
            )
        return ChunkStored(stored, state.status, 0)
    before = await work.payslips.chunk(state, cmd.chunk_no - 1) if cmd.chunk_no > 1 else None
    _must_follow(cmd, before)
    await _same_inputs(state, cmd.employees, cmd.used, work)
    chunk = StoredChunk(
        chunk_no=cmd.chunk_no,
        after_id=cmd.after_id,
        last_id=cmd.employees[-1] if cmd.employees else cmd.after_id,
        last=cmd.last,
        facts_hash=cmd.result.facts_hash,
        results_hash=cmd.result.results_hash,
        totals=cmd.result.totals,
        sums=cmd.result.sums,
    )
    known_at = _known_at(state)
    await work.payslips.add_chunk(state, chunk, cmd.result, cmd.payslip_ids, known_at, careful=cmd.careful)
    taken = [one for payslip in cmd.result.payslips for one in payslip.input_ids]
    if taken and not await work.inputs.take(state, taken):
        raise InputsMoved
    if not cmd.last:
        return ChunkStored(chunk, state.status, 0)
    await _complete(run, work)
    return ChunkStored(chunk, run.state.status, _done(run.state.totals))


def _done(totals: ControlTotals) -> int:
    return totals.payslip_count + totals.blocked_count


def _known_at(state: RunState) -> datetime:
    if state.input_cutoff is None:
        raise RunNotCalculating("the run was never calculated", run_id=state.id)
    return state.input_cutoff


def _must_follow(cmd: StoreChunk, before: StoredChunk | None) -> None:
    """Each chunk begins where the one before ended. Raises ChunkOutOfOrder, FactsInvalid."""
    if cmd.chunk_no > 1 and before is None:
        raise ChunkOutOfOrder("the chunk before is not stored; send it first", chunk_no=cmd.chunk_no - 1)
    if before is not None and before.last:
        raise ChunkOutOfOrder("the last chunk is stored; nothing follows it", chunk_no=cmd.chunk_no)
    expected = before.last_id if before is not None else None
    if cmd.after_id != expected:
        raise ChunkOutOfOrder(
            "the chunk does not begin where the one before ended; claim the run again",
            field="after_employee_id",
            chunk_no=cmd.chunk_no,
            expected=expected,
        )
    if cmd.employees and expected is not None and cmd.employees[0].bytes <= expected.bytes:
        raise ChunkOutOfOrder(
            "the chunk holds employees of the one before; claim the run again", field="facts", chunk_no=cmd.chunk_no
        )
    if not cmd.employees and not cmd.last:
        raise FactsInvalid("only the last chunk may be empty", field="facts")


async def _same_inputs(
    state: RunState,
    employees: Sequence[EmployeeId],
    used: Mapping[EmployeeId, tuple[TakenInput, ...]],
    work: PayrollWork,
) -> None:
    if employees and await work.inputs.open_for(state, employees) != used:
        raise InputsMoved


async def _complete(run: PayrollRun, work: PayrollWork) -> None:
    """Fold the chunks into the run. Raises ChunkOutOfOrder where they are not contiguous."""
    state = run.state
    chunks = await work.payslips.chunks(state)
    reached: EmployeeId | None = None
    for number, chunk in enumerate(chunks, start=1):
        if chunk.chunk_no != number or chunk.after_id != reached:
            raise ChunkOutOfOrder("the chunks do not join; claim the run again", chunk_no=number)
        reached = chunk.last_id
    deferred = await work.payslips.deferred(state)
    bound = calculation_hash(state.header, (chunk.results_hash for chunk in chunks), deferred)
    await work.payslips.keep_component_totals(state, _folded(chunk.sums for chunk in chunks))
    run.complete(_total(chunks), bound)
    await work.runs.save(run)


def _folded(sums: Iterable[Mapping[str, ComponentSum]]) -> dict[str, ComponentSum]:
    folded: dict[str, ComponentSum] = {}
    for one in sums:
        for code, (amount, lines) in one.items():
            before = folded.get(code, ComponentSum(0, 0))
            folded[code] = ComponentSum(before.amount + amount, before.lines + lines)
    return folded


def _total(chunks: Sequence[StoredChunk]) -> ControlTotals:
    total = ControlTotals()
    for chunk in chunks:
        total = total + chunk.totals
    return total


async def recalculate_employees(
    cmd: RecalculateEmployees, work: PayrollWork, amounts_of: LineAmounts
) -> tuple[RunView, int, int]:
    """Put new results in place of old ones; payslips and blocked employees among the new ones.

    Raises RunStatusWrong, Stale, FactsInvalid; InputsMoved, PlacesTaken, SlotsInTheWay.
    """
    run = await work.runs.get(cmd.run_id, cmd.seen)
    run.must_be_open_for_changes()
    run.must_pay()
    state = run.state
    if cmd.known_at < _known_at(state):
        raise FactsInvalid("the facts are older than the run's", field="known_at")
    await _same_inputs(state, cmd.employees, cmd.used, work)
    await work.payslips.replace(state, cmd.gone, cmd.result, cmd.payslip_ids, cmd.known_at)
    taken = [one for payslip in cmd.result.payslips for one in payslip.input_ids]
    if taken and not await work.inputs.take(state, taken):
        raise InputsMoved
    chunks = list(await work.payslips.chunks(state))
    touched = [*cmd.employees, *cmd.gone]
    for index in sorted({_chunk_of(chunks, employee) for employee in touched}):
        chunks[index] = await _refolded(state, chunks, index, touched, work, amounts_of)
        await work.payslips.save_chunk(state, chunks[index])
    deferred = await work.payslips.deferred(state)
    bound = calculation_hash(state.header, (chunk.results_hash for chunk in chunks), deferred)
    await work.payslips.keep_component_totals(state, _folded(chunk.sums for chunk in chunks))
    run.recalculated(_total(chunks), bound, len(touched), work.actor)
    await work.runs.save(run)
    totals = cmd.result.totals
    return await view_of(run.state, work), totals.payslip_count, totals.blocked_count


def _chunk_of(chunks: Sequence[StoredChunk], employee: EmployeeId) -> int:
    """The chunk whose span holds the employee; the last one holds everybody beyond it."""
    for index, chunk in enumerate(chunks[:-1]):
        if chunk.last_id is not None and employee.bytes <= chunk.last_id.bytes:
            return index
    return len(chunks) - 1


async def _refolded(
    state: RunState,
    chunks: Sequence[StoredChunk],
    index: int,
    touched: Sequence[EmployeeId],
    work: PayrollWork,
    amounts_of: LineAmounts,
) -> StoredChunk:
    """A chunk's hash and sums from what is stored in its span now."""
    chunk = chunks[index]
    final = index == len(chunks) - 1
    stored = await work.payslips.results(state, chunk.after_id, None if final else chunk.last_id)
    blocked = await work.payslips.blocked(state, chunk.after_id, None if final else chunk.last_id)
    last_id = chunk.last_id
    if final:
        known = [*touched, *([last_id] if last_id is not None else [])]
        last_id = max(known, key=lambda employee: employee.bytes)
    return replace(
        chunk,
        last_id=last_id,
        results_hash=results_hash([(one.employee_id, one.content_hash) for one in stored], blocked),
        totals=ControlTotals(
            len(stored),
            len({employee for employee, _, _ in blocked}),
            sum(one.gross for one in stored),
            sum(one.net for one in stored),
            sum(one.employer_cost for one in stored),
        ),
        sums=_summed(stored, amounts_of),
    )


def _summed(stored: Sequence[StoredResult], amounts_of: LineAmounts) -> dict[str, ComponentSum]:
    return _folded(
        {code: ComponentSum(amount, 1) for code, amount in amounts_of(one.lines).items() if amount} for one in stored
    )
