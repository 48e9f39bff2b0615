"""Chunks of employees calculated away from the event loop: bytes in, results out, in worker processes or inline."""

import asyncio
import decimal
import hashlib
import multiprocessing
import os
import pickle
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from decimal import Decimal
from multiprocessing.connection import wait
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import structlog
from muster.payroll.v1 import payroll_run_pb2

from contexts.payroll.adapters.facts import employee_of, facts_document
from contexts.payroll.adapters.reversals import replayed
from contexts.payroll.domain.arithmetic import ARITHMETIC, ZERO
from contexts.payroll.domain.catalog import PayComponent
from contexts.payroll.domain.countries import statutory_of
from contexts.payroll.domain.engine import Plan, Written
from contexts.payroll.domain.errors import Blocked, FactsInvalid, VersionGone
from contexts.payroll.domain.header import ENGINE_VERSION, FORMAT_VERSION, Header
from contexts.payroll.domain.opening import opening_year_to_date
from contexts.payroll.domain.payroll_run import RunKind
from contexts.payroll.domain.payslip import (
    CalculatedBlocker,
    CalculatedPayslip,
    ChunkResult,
    ComponentSum,
    Predecessor,
    TakenInput,
    content_hasher,
    frozen_inputs,
    results_hash,
)
from contexts.payroll.repository.documents import canonical

log = structlog.get_logger(__name__)

TURN_S = 0.005  # the loop is given back at least so often while a chunk is calculated inline
MAX_PLANS = 64  # compiled plans that a process keeps


class Own(NamedTuple):
    """What payroll itself knows of an employee: entered inputs, and the payslip that the year to date stands on."""

    inputs: tuple[TakenInput, ...]
    predecessor: Predecessor | None


NOTHING = Own((), None)


class PlanSource(NamedTuple):
    """A plan as it travels: components that were pickled once, and a name by which a process knows it again."""

    key: str
    components: bytes
    currency: str
    country: str

    @classmethod
    def of(cls, key: str, components: Sequence[PayComponent], currency: str, country: str) -> "PlanSource":
        """For the components of one pay group at one catalog version and date."""
        return cls(key, pickle.dumps(tuple(components)), currency, country)

    def plan(self) -> Plan:
        """Compiled at the first call in a process. Raises what Plan raises."""
        plan = _plans.get(self.key)
        if plan is None:
            if len(_plans) >= MAX_PLANS:
                _plans.clear()
            plan = _plans[self.key] = Plan(pickle.loads(self.components), self.currency, statutory_of(self.country))
        return plan


_plans: dict[str, Plan] = {}


class Job(NamedTuple):
    """One chunk to calculate. `facts` is an encoded SubmitChunkRequest of which only the facts are read."""

    plan: PlanSource
    header: bytes
    known_at: str
    facts: bytes
    own: Mapping[str, Own]
    only: frozenset[str]  # employees that the run is limited to; empty for all


def must_be_at_hand(header: Header) -> None:
    """Raises VersionGone where this program has another engine or statutory pack than the header names."""
    statutory = statutory_of(header.country)
    at_hand = statutory.version if statutory is not None else ""
    if (header.engine_version, header.format_version) != (ENGINE_VERSION, FORMAT_VERSION):
        raise VersionGone(
            f"this needs engine {header.engine_version}, the program has {ENGINE_VERSION}", engine=header.engine_version
        )
    if header.statutory_version != at_hand:
        raise VersionGone(
            f"this needs the statutory pack {header.statutory_version}, the program has {at_hand}; "
            "start the calculation again",
            statutory=header.statutory_version,
        )


def calculate(job: Job) -> ChunkResult:
    """The whole chunk at once, as a worker process does. Raises FactsInvalid, VersionGone."""
    steps = _calculate(job)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return _result(done)


def _result(done: StopIteration) -> ChunkResult:
    result: ChunkResult = done.value
    return result


def _calculate(job: Job) -> Generator[None, None, ChunkResult]:
    """The chunk, giving way after each employee; the generator's return value is the ChunkResult."""
    plan = job.plan.plan()
    header = Header.of_document(orjson.loads(job.header))
    must_be_at_hand(header)
    messages = payroll_run_pb2.SubmitChunkRequest.FromString(job.facts).facts
    payslips: list[CalculatedPayslip] = []
    blockers: list[CalculatedBlocker] = []
    amounts: list[tuple[Decimal, ...]] = []
    facts_digest = hashlib.sha256()
    hasher = content_hasher(job.header)
    first: UUID | None = None
    employee: UUID | None = None
    # The context belongs to this task or thread alone, also while the generator waits.
    with decimal.localcontext(ARITHMETIC):
        for message in messages:
            before, employee = employee, employee_of(message)
            if before is not None and before.bytes >= employee.bytes:
                raise FactsInvalid("facts stand in rising order of employee id, each once", field="facts")
            if job.only and message.employee_id not in job.only:
                raise FactsInvalid(f"the run does not pay {employee}", field="facts", employee_id=employee)
            first = first or employee
            try:
                if message.blockers:
                    facts_digest.update(message.SerializeToString(deterministic=True))
                    blockers += [
                        CalculatedBlocker(employee, given.reason, _TOLD.get(given.reason, _MEND), given.subject)
                        for given in message.blockers
                    ]
                    continue
                facts = canonical(document := facts_document(message, header, plan))
                facts_digest.update(facts)
                own = job.own.get(message.employee_id, NOTHING)
                payslip, paid = _one(plan, header, hasher, employee, document, facts, own, job.known_at)
            except Blocked as blocked:
                facts_digest.update(message.SerializeToString(deterministic=True))
                blockers.append(CalculatedBlocker(employee, blocked.reason, blocked.message, blocked.subject))
            else:
                payslips.append(payslip)
                amounts.append(paid)
            yield
        sums = _sums(plan, amounts)
    hashed = results_hash(
        [(payslip.employee_id, payslip.content_hash) for payslip in payslips],
        [(blocker.employee_id, blocker.reason, blocker.subject) for blocker in blockers],
    )
    return ChunkResult(facts_digest.digest(), hashed, first, employee, tuple(payslips), tuple(blockers), sums)


def _sums(plan: Plan, amounts: Sequence[tuple[Decimal, ...]]) -> dict[str, ComponentSum]:
    """The chunk's sums and lines per component, in minor units, without components that nobody has."""
    scale = 10**plan.digits
    sums = {}
    for component, column in zip(plan.components, zip(*amounts, strict=True), strict=True) if amounts else ():
        lines = len(column) - column.count(ZERO)
        if lines:
            sums[component.code] = ComponentSum(int(sum(column, ZERO) * scale), lines)
    return sums


_MEND = "mend what the reason names, then recalculate the employee"
_TOLD = {
    "TIMESHEET_MISSING": "open and close the employee's timesheet of the period, then recalculate",
    "TIMESHEET_OPEN": "submit, approve and lock the timesheet, then recalculate",
    "WITHHOLDER_MISMATCH": "this employer does not hold the pay group's withholding registration; move them to a"
    " pay group of that employer from the day of the transfer, then recalculate",
    "TIMESHEET_NOT_LOCKED": "lock the timesheet, then recalculate",
}


def _one(
    plan: Plan,
    header: Header,
    hasher: Callable[[bytes, bytes, bytes], bytes],
    employee: UUID,
    document: dict[str, Any],
    facts: bytes,
    own: Own,
    known_at: str,
) -> tuple[CalculatedPayslip, tuple[Decimal, ...]]:
    """One employee's payslip with its stored bytes, and its amounts by component. Raises Blocked."""
    prior: dict[str, Any] | None = None
    predecessor = own.predecessor
    if predecessor is not None:
        prior = orjson.loads(predecessor.year_to_date)
        prior["hash"] = predecessor.content_hash.hex()
        prior["payslip"] = str(predecessor.payslip_id)
    entered = [entry.document() for entry in own.inputs] if own.inputs else ()
    whole = {"facts": document, "inputs": entered, "prior": prior}
    computed = plan.compute_inside(header, whole)
    written = plan.write_inside(header, whole, computed)
    inputs = frozen_inputs(facts, own.inputs, known_at, prior, canonical)
    lines, year_to_date = written.lines.encode(), written.year_to_date.encode()
    payslip = CalculatedPayslip(
        employee,
        written.gross,
        written.net,
        written.employer_cost,
        written.deductions,
        hasher(inputs, lines, year_to_date),
        predecessor.payslip_id if predecessor is not None else None,
        inputs,
        lines,
        year_to_date,
        _paid(plan, header, written) if written.paid else (),
        tuple([entry.id for entry in own.inputs if not entry.recurring]) if own.inputs else (),
    )
    return payslip, written.amounts


def _paid(plan: Plan, header: Header, written: Written) -> tuple[tuple[UUID, str, int, int], ...]:
    ranges = [(UUID(assignment), first, stop) for assignment, first, stop in written.paid]
    return tuple(
        [
            (assignment, component.code, first, stop)
            for index, component in plan.paying_for_time
            if written.amounts[index] or not (component.hide_zero or header.inputs_only)
            for assignment, first, stop in ranges
        ]
    )


def replay(plan: Plan, header_bytes: bytes, inputs: bytes) -> tuple[bytes, bytes]:
    """Lines and year to date computed afresh from nothing but stored header and inputs. Raises Blocked, VersionGone."""
    header = Header.of_document(orjson.loads(header_bytes))
    if header.kind == RunKind.OPENING.value:
        return b"[]", opening_year_to_date(header, orjson.loads(inputs)["facts"], canonical)
    if header.kind == RunKind.REVERSAL.value:
        return replayed(header, orjson.loads(inputs)["facts"])
    must_be_at_hand(header)
    _, written = plan.compute(header, orjson.loads(inputs))
    return written.lines.encode(), written.year_to_date.encode()


def _end_with_parent() -> None:
    """In a worker: end at once when the service is killed, which leaves no time to tell its workers."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


class Calculator:
    """Calculates chunks: in a pool of `workers` spawned processes, or inline where there are none.

    Invariants: the event loop is never held longer than some 5 ms; the pool starts with the first calculation; a pool
    that broke (a worker was killed) is replaced, once per chunk; workers end when their service is killed.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    async def calculate(self, job: Job) -> ChunkResult:
        """The chunk's result. Raises FactsInvalid, VersionGone, and what compiling the components raises."""
        if not self._workers:
            return await self._inline(job)
        loop = asyncio.get_running_loop()
        pool = self._started()
        try:
            return await loop.run_in_executor(pool, calculate, job)
        except BrokenProcessPool:
            log.warning("a calculation worker died; its chunk is calculated again")
            if self._pool is pool:  # else another chunk has found it broken before
                self.close()
            return await loop.run_in_executor(self._started(), calculate, job)

    def expect_work(self) -> None:
        """Start the workers, so that they are there when the first chunk comes."""
        if self._workers and self._pool is None:
            self._started().submit(os.getpid)

    async def _inline(self, job: Job) -> ChunkResult:
        steps = _calculate(job)
        while True:
            end = time.monotonic() + TURN_S
            try:
                while time.monotonic() < end:
                    next(steps)
            except StopIteration as done:
                return _result(done)
            await asyncio.sleep(0)

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._workers, mp_context=context, initializer=_end_with_parent)
        return self._pool

    def close(self) -> None:
        """End the workers; those that calculate finish first."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
