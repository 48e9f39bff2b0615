"""Chunks from the wire to the store: computed outside the transaction, written in order, several in flight."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf.message import Message
from muster.payroll.v1 import employee_facts_pb2, payroll_run_pb2
from prometheus_client import Counter

from chassis import audit
from chassis.database import Contention, Database, Tx
from chassis.principal import Call, current_call
from chassis.unit_of_work import MAX_TRIES, UnitOfWork
from contexts.payroll.adapters.calculation import Calculator, Job, Own, PlanSource
from contexts.payroll.adapters.facts import employee_of
from contexts.payroll.adapters.reversals import taken_back
from contexts.payroll.domain.errors import RunFenced, RunInvalid, RunNotCalculating
from contexts.payroll.domain.payroll_run import CHUNK_EMPLOYEES, RunId, RunState, RunStatus
from contexts.payroll.domain.payslip import ChunkResult, Payslip, instant_text, without_places
from contexts.payroll.handlers.chunks import ChunkStored, InputsMoved, StoreChunk, store_chunk
from contexts.payroll.handlers.runs import components_of
from contexts.payroll.repository.documents import line_amounts
from contexts.payroll.repository.port import ChunkWork, PayrollReading, PayrollWork, PlacesTaken, SlotsInTheWay
from kernel.clock import Clock
from kernel.errors import DomainError, Kind
from kernel.ids import EmployeeId, TenantId

EMPLOYEES = Counter("muster_payroll_employees_calculated_total", "Employees whose chunk of a run was stored")

R = TypeVar("R")

MAX_SOURCES = 64  # plans ready to travel
MAX_IN_FLIGHT = 256


class InputsKeepMoving(DomainError):
    """Pay inputs of these employees change faster than they can be calculated."""

    kind, reason = Kind.STALE, "PAY_INPUTS_MOVING"


class Calculations:
    """Reads what payroll knows itself, and has employees calculated.

    Invariants: nothing is calculated inside a transaction.
    """

    def __init__(
        self, database: Database, open_reading: Callable[[Tx], PayrollReading], calculator: Calculator
    ) -> None:
        self._database = database
        self._open_reading = open_reading
        self._calculator = calculator
        self._sources: dict[tuple[TenantId, int, str, str], PlanSource] = {}

    def expect_work(self) -> None:
        """A run is about to be calculated."""
        self._calculator.expect_work()

    async def calculate(
        self,
        call: Call,
        run_id: RunId,
        facts: Sequence[employee_facts_pb2.EmployeeFacts],
        employees: Sequence[EmployeeId],
        known_at: datetime | None,
    ) -> tuple[ChunkWork, ChunkResult]:
        """The employees' results, and what they were calculated with; `known_at` None: the run's cut-off.

        Raises RunNotFound, RunNotCalculating, FactsInvalid, VersionGone.
        """
        async with self._database.read(call.tenant_id, call.deadline) as tx:
            view = self._open_reading(tx)
            work = await view.work_for(run_id, employees)
            source = await self._source(call.tenant_id, work.run, view)
        state = work.run
        if state.input_cutoff is None:
            raise RunNotCalculating("start the calculation first", run_id=run_id, status=state.status.value)
        own = {
            str(employee): Own(work.inputs.get(employee, ()), work.predecessors.get(employee))
            for employee in {*work.inputs, *work.predecessors}
        }
        job = Job(
            source,
            state.header,
            instant_text(known_at or state.input_cutoff),
            payroll_run_pb2.SubmitChunkRequest(facts=facts).SerializeToString(),
            own,
            frozenset(map(str, state.employee_ids)),
        )
        return work, await self._calculator.calculate(job)

    async def to_take_back(
        self, call: Call, run_id: RunId, after: EmployeeId | None, limit: int
    ) -> tuple[ChunkWork, Sequence[Payslip]]:
        """The next payslips that a reversal takes back, and the latest final ones of the year of those employees.

        Raises RunNotFound, RunInvalid, RunNotCalculating.
        """
        async with self._database.read(call.tenant_id, call.deadline) as tx:
            view = self._open_reading(tx)
            state = (await view.run(run_id)).state
            if state.reverses is None:
                raise RunInvalid("only a run of kind REVERSAL takes payslips back", field="run_id", run_id=run_id)
            if state.input_cutoff is None:
                raise RunNotCalculating("start the calculation first", run_id=run_id, status=state.status.value)
            original = (await view.run(state.reverses)).state
            payslips = await view.documents(original, after, limit)
            return await view.work_for(run_id, [one.summary.employee_id for one in payslips]), payslips

    async def _source(self, tenant_id: TenantId, state: RunState, view: PayrollReading) -> PlanSource:
        key = (tenant_id, state.catalog_version, state.pay_group, state.period)
        source = self._sources.get(key)
        if source is None:
            catalog = await view.catalog_at(state.catalog_version)
            name = "|".join(map(str, (*key, state.statutory_version)))
            source = PlanSource.of(name, components_of(catalog, state), state.currency, state.country)
            if len(self._sources) >= MAX_SOURCES:
                self._sources.clear()
            self._sources[key] = source
        return source

    async def source_of(self, tenant_id: TenantId, state: RunState, view: PayrollReading) -> PlanSource:
        """The plan of a run, ready to compile."""
        return await self._source(tenant_id, state, view)


def payslip_ids(now: datetime, count: int) -> tuple[UUID, ...]:
    """New UUIDv7s in rising order, so that their index grows at its end."""
    milliseconds = int(now.timestamp() * 1000) & ((1 << 48) - 1)
    head = milliseconds << 80 | 0x7 << 76 | 0x2 << 62
    noise = os.urandom(8 * count + 2)
    start = int.from_bytes(noise[:2], "big") & 0x3FF
    return tuple(
        UUID(
            int=head
            | ((start + index) & 0xFFF) << 64
            | (int.from_bytes(noise[2 + 8 * index : 10 + 8 * index], "big") & ((1 << 62) - 1))
        )
        for index in range(count)
    )


class Chunks:
    """Answers SubmitChunk.

    Invariants: a chunk waits for the one before where this process is still storing it, so that the next can be
    calculated meanwhile; no idempotency, audit or outbox row per chunk, but for the last one's completion.
    """

    def __init__(
        self,
        database: Database,
        open_work: Callable[[Tx, Call, Clock], "UnitOfWork"],
        publish: Callable[[object], Message | None],
        clock: Clock,
        calculations: Calculations,
        committed: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._open_work = open_work
        self._publish = publish
        self._clock = clock
        self._calculations = calculations
        self._committed = committed
        self._in_flight: dict[tuple[TenantId, RunId, int, int, int], asyncio.Future[None]] = {}

    async def submit(self, request: payroll_run_pb2.SubmitChunkRequest) -> ChunkStored:
        """Calculate and store a chunk. Raises what `store_chunk` and the calculation raise."""
        call = current_call()
        run_id = RunId(UUID(request.run_id))
        key = (call.tenant_id, run_id, request.attempt, request.fence, request.chunk_no)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        mine = len(self._in_flight) < MAX_IN_FLIGHT and self._in_flight.setdefault(key, done) is done
        try:
            employees = tuple(EmployeeId(employee_of(facts)) for facts in request.facts)
            for _ in range(MAX_TRIES):
                work, result = await self._calculations.calculate(call, run_id, request.facts, employees, None)
                if work.run.status is RunStatus.CALCULATING and work.run.attempt != request.attempt:
                    raise RunFenced("a newer attempt has begun; stop working on this one", run_id=run_id)
                before = self._in_flight.get((*key[:4], request.chunk_no - 1))
                if before is not None:
                    await asyncio.wait({before})
                try:
                    return await self._store(call, request, run_id, employees, work, result)
                except InputsMoved:
                    continue
            raise InputsKeepMoving("pay inputs of these employees keep changing; send the chunk again")
        finally:
            done.set_result(None)
            if mine:
                del self._in_flight[key]

    async def take_back(self, request: payroll_run_pb2.SubmitReversalChunkRequest) -> ChunkStored:
        """Negate and store the next payslips of a reversal. Raises what `store_chunk` raises, RunInvalid."""
        call = current_call()
        run_id = RunId(UUID(request.run_id))
        after = EmployeeId(UUID(request.after_employee_id)) if request.after_employee_id else None
        limit = request.limit or CHUNK_EMPLOYEES
        work, payslips = await self._calculations.to_take_back(call, run_id, after, limit)
        if work.run.status is RunStatus.CALCULATING and work.run.attempt != request.attempt:
            raise RunFenced("a newer attempt has begun; stop working on this one", run_id=run_id)
        chunk = payroll_run_pb2.SubmitChunkRequest(
            run_id=request.run_id,
            attempt=request.attempt,
            fence=request.fence,
            chunk_no=request.chunk_no,
            after_employee_id=request.after_employee_id,
            last=len(payslips) < limit,
        )
        employees = tuple(payslip.summary.employee_id for payslip in payslips)
        result = await taken_back(work.run, payslips, work.predecessors)
        return await self._store(call, chunk, run_id, employees, work, result)

    async def _store(
        self,
        call: Call,
        request: payroll_run_pb2.SubmitChunkRequest,
        run_id: RunId,
        employees: tuple[EmployeeId, ...],
        work: ChunkWork,
        result: ChunkResult,
    ) -> ChunkStored:
        now = await self._database.now()
        careful = request.attempt > 1

        async def store(unit: PayrollWork) -> ChunkStored:
            return await store_chunk(
                StoreChunk(
                    run_id=run_id,
                    attempt=request.attempt,
                    fence=request.fence,
                    chunk_no=request.chunk_no,
                    after_id=EmployeeId(UUID(request.after_employee_id)) if request.after_employee_id else None,
                    employees=employees,
                    last=request.last,
                    result=result,
                    used=work.inputs,
                    payslip_ids=payslip_ids(self._clock.now(), len(result.payslips)),
                    now=now,
                    careful=careful,
                ),
                unit,
            )

        for tries_left in reversed(range(MAX_TRIES)):
            try:
                stored = await self._run(call, store)
                EMPLOYEES.inc(len(employees))
                return stored
            except SlotsInTheWay:
                if not tries_left:
                    raise
                careful = True
            except PlacesTaken as taken:
                if not tries_left:
                    raise
                result = without_places(result, taken.holders, partial(line_amounts, currency=work.run.currency))
        raise AssertionError("unreachable")

    async def _run(self, call: Call, handler: Callable[[Any], Awaitable[R]]) -> R:
        for tries_left in reversed(range(MAX_TRIES)):
            try:
                return await self._once(call, handler)
            except Contention:
                if not tries_left or call.deadline <= asyncio.get_running_loop().time():
                    raise
                await asyncio.sleep(random.uniform(0.001, 0.02))
        raise AssertionError("unreachable")

    async def _once(self, call: Call, handler: Callable[[Any], Awaitable[R]]) -> R:
        published = 0
        async with self._database.write(call.tenant_id, call.deadline) as tx:
            unit = self._open_work(tx, call, self._clock)
            answer = await handler(unit)
            if unit.outbox.saved:
                now = unit.now()
                published = await unit.outbox.write(tx, self._publish, unit.new_id, now)
                await audit.write(tx, call, unit.audit_note(), unit.new_id(), now)
        if published:
            self._committed()
        return answer
