"""Payroll in dictionaries: for tests and trials, with the same promises as SQL."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import UUID

from chassis.in_memory import RowsInMemory, WorkInMemory
from chassis.outbox import Outbox
from contexts.payroll.domain.arithmetic import plain
from contexts.payroll.domain.catalog import Catalog, CatalogEntry
from contexts.payroll.domain.errors import PayInputNotFound, PayslipNotFound, RunExists, RunNotFound
from contexts.payroll.domain.events import CatalogPublished
from contexts.payroll.domain.pay_input import PayInput, PayInputId, PayInputState
from contexts.payroll.domain.payment import Payment, PaymentId, PaymentStatus
from contexts.payroll.domain.payroll_run import (
    DEAD,
    ControlTotals,
    PayrollRun,
    RunId,
    RunKind,
    RunState,
    RunStatus,
    stale_hash,
)
from contexts.payroll.domain.payslip import (
    Blocker,
    ChunkResult,
    ComponentSum,
    Payslip,
    PayslipId,
    PayslipSummary,
    Predecessor,
    StalePayslip,
    StoredChunk,
    TakenInput,
)
from contexts.payroll.repository.port import (
    ChunkWork,
    FinalizedRun,
    Lease,
    PlacesTaken,
    RunView,
    SlotsInTheWay,
    StoredResult,
)
from kernel.errors import Stale
from kernel.ids import EmployeeId, TenantId, Version, derived_id
from kernel.money import Money

Attempt = tuple[RunId, int]


@dataclass(frozen=True, slots=True)
class Request:
    """A lease with the instant at which the calculation was last asked for."""

    lease: Lease
    requested_time: datetime


@dataclass(frozen=True, slots=True)
class PaidRange:
    """Days that a payslip of a run pays by one component."""

    component: str
    assignment_id: UUID
    start: int
    end: int
    attempt: Attempt
    employee_id: EmployeeId


@dataclass(slots=True)
class Rows(RowsInMemory):
    """What one tenant has stored."""

    version: int = 0
    entries: list[CatalogEntry] = field(default_factory=list)
    runs: dict[RunId, RunState] = field(default_factory=dict)
    requests: dict[RunId, Request] = field(default_factory=dict)
    chunks: dict[tuple[Attempt, int], StoredChunk] = field(default_factory=dict)
    payslips: dict[tuple[Attempt, EmployeeId], Payslip] = field(default_factory=dict)
    slots: dict[tuple[str, EmployeeId], RunId] = field(default_factory=dict)
    ranges: list[PaidRange] = field(default_factory=list)
    blockers: dict[tuple[Attempt, EmployeeId], tuple[Blocker, ...]] = field(default_factory=dict)
    stale: dict[tuple[Attempt, EmployeeId], StalePayslip] = field(default_factory=dict)
    recalculated: dict[tuple[Attempt, EmployeeId], datetime] = field(default_factory=dict)
    totals: dict[Attempt, dict[str, ComponentSum]] = field(default_factory=dict)
    inputs: dict[PayInputId, PayInputState] = field(default_factory=dict)
    payments: dict[tuple[RunId, EmployeeId], tuple[Payment, ...]] = field(default_factory=dict)


def _attempt(run: RunState) -> Attempt:
    return run.id, run.attempt


def _missing(id: UUID) -> RunNotFound:
    return RunNotFound("there is no such payroll run; check the id", field="run_id", run_id=id)


class MemoryCatalogs:
    """The catalog."""

    def __init__(self, rows: Rows, outbox: Outbox, tenant_id: TenantId) -> None:
        self._rows, self._outbox, self._tenant_id = rows, outbox, tenant_id

    async def newest(self) -> Catalog:
        return await self.at(self._rows.version)

    async def at(self, version: int) -> Catalog:
        return Catalog(version, self._rows.entries)

    async def for_change(self) -> Catalog:
        return await self.newest()

    async def for_reference(self) -> Catalog:
        return await self.newest()

    async def publish(self, entries: Sequence[CatalogEntry], version: int, by: str, now: datetime) -> None:
        if version != self._rows.version + 1:
            raise Stale("the catalog was changed meanwhile; read it again")
        self._rows.version = version
        self._rows.entries.extend(entries)
        codes = tuple(f"{entry.kind.value.lower()}:{entry.definition.code}" for entry in entries)
        aggregate = derived_id(self._tenant_id, "payroll-catalog")
        self._outbox.add("payroll_catalog", aggregate, version, [CatalogPublished(version, codes)])


class MemoryRuns:
    """Runs, and who may work on them."""

    def __init__(self, rows: Rows, outbox: Outbox) -> None:
        self._rows, self._outbox = rows, outbox

    async def get(self, id: RunId, seen: Version | None = None, *, shared: bool = False) -> PayrollRun:
        state = self._rows.runs.get(id)
        if state is None:
            raise _missing(id)
        if seen is not None and state.version != seen:
            raise Stale("the run was changed meanwhile; read it again", version=state.version)
        return PayrollRun(state)

    async def add(self, run: PayrollRun) -> None:
        state = run.state
        for other in await self.live(state.pay_group, state.period, state.kind):
            if other.sequence == state.sequence:
                raise RunExists("another run has this place; use it, or void it first", pay_group=state.pay_group)
        self._rows.requests[state.id] = Request(Lease(0, "", None, None), state.created_time)
        self._kept(run, Version(1))

    async def save(self, run: PayrollRun) -> None:
        stored = self._rows.runs.get(run.state.id)
        if stored is None or stored.version != run.state.version:
            raise Stale("the run was changed meanwhile; read it again", run_id=run.state.id)
        self._kept(run, Version(run.state.version + 1))

    def _kept(self, run: PayrollRun, version: Version) -> None:
        run.state = self._rows.runs[run.state.id] = replace(run.state, version=version)
        self._outbox.add("payroll_run", run.state.id, version, run.pull_events())

    async def live(self, pay_group: str, period: str, kind: RunKind) -> Sequence[RunState]:
        return sorted(
            (state for state in self._at(pay_group, period, kind) if state.status not in DEAD),
            key=lambda state: state.sequence,
        )

    def _at(self, pay_group: str, period: str, kind: RunKind) -> Iterable[RunState]:
        place = (pay_group, period, kind)
        return (one for one in self._rows.runs.values() if (one.pay_group, one.period, one.kind) == place)

    async def open(self, pay_group: str, kind: RunKind) -> Sequence[RunState]:
        statuses = (RunStatus.DRAFT, RunStatus.CALCULATING, RunStatus.CALCULATED)
        found = (
            state
            for state in self._rows.runs.values()
            if (state.pay_group, state.kind) == (pay_group, kind) and state.status in statuses
        )
        return sorted(found, key=lambda state: state.period)

    async def next_sequence(self, pay_group: str, period: str, kind: RunKind) -> int:
        return 1 + max((state.sequence for state in self._at(pay_group, period, kind)), default=0)

    async def finalized(self, registration: str, tax_year: int) -> Sequence[FinalizedRun]:
        return _finalized(self._rows, registration, tax_year)

    async def last_number(self, registration: str, tax_year: int) -> int:
        place = (registration, tax_year)
        mine = (one for one in self._rows.runs.values() if (one.registration, one.tax_year) == place)
        return max((one.finalized_number for one in mine), default=0)

    async def ask_for_calculation(self, id: RunId, now: datetime) -> None:
        fence = (await self.lease(id)).fence + 1
        self._rows.requests[id] = Request(Lease(fence, "", None, None), now)

    async def lease(self, id: RunId) -> Lease:
        if id not in self._rows.requests:
            raise _missing(id)
        return self._rows.requests[id].lease

    async def claim(
        self, id: RunId, worker_id: str, now: datetime, until: datetime, positions: Mapping[str, int]
    ) -> Lease | None:
        held = await self.lease(id)
        if held.lease_until is not None and held.lease_until > now:
            return None
        noted = held.positions if held.positions is not None else dict(positions)
        return self._lease(id, Lease(held.fence + 1, worker_id, until, noted))

    def _lease(self, id: RunId, lease: Lease) -> Lease:
        self._rows.requests[id] = replace(self._rows.requests[id], lease=lease)
        return lease

    async def extend(self, id: RunId, fence: int, until: datetime) -> bool:
        held = await self.lease(id)
        if held.fence != fence:
            return False
        self._lease(id, replace(held, lease_until=until))
        return True

    async def give_back(self, id: RunId, fence: int, reason: str) -> bool:
        held = await self.lease(id)
        if held.fence != fence:
            return False
        self._lease(id, replace(held, lease_until=None))
        return True

    async def waiting(self, now: datetime, asked_before: datetime, limit: int) -> Sequence[PayrollRun]:
        def waits(state: RunState) -> bool:
            request = self._rows.requests[state.id]
            until = request.lease.lease_until
            dead = until is None or until < now
            return state.status is RunStatus.CALCULATING and dead and request.requested_time < asked_before

        states = sorted(self._rows.runs.values(), key=lambda state: state.id.bytes)
        return [PayrollRun(state) for state in states if waits(state)][:limit]

    async def note_request(self, id: RunId, now: datetime) -> None:
        self._rows.requests[id] = replace(self._rows.requests[id], requested_time=now)

    async def move_positions(self, id: RunId, positions: Mapping[str, int]) -> None:
        held = await self.lease(id)
        self._lease(id, replace(held, positions={**(held.positions or {}), **positions}))


def _finalized(rows: Rows, registration: str, tax_year: int) -> Sequence[FinalizedRun]:
    found = (
        FinalizedRun(state.id, state.attempt, state.finalized_number)
        for state in rows.runs.values()
        if (state.registration, state.tax_year) == (registration, tax_year)
        and state.status is RunStatus.FINALIZED
        and state.kind is not RunKind.REVERSAL
    )
    return sorted(found, key=lambda one: -one.number)


class MemoryPayslips:
    """Payslips in chunks, with the rules that nobody is paid twice."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def chunk(self, run: RunState, chunk_no: int) -> StoredChunk | None:
        return self._rows.chunks.get((_attempt(run), chunk_no))

    async def chunks(self, run: RunState) -> Sequence[StoredChunk]:
        mine = (chunk for (attempt, _), chunk in self._rows.chunks.items() if attempt == _attempt(run))
        return sorted(mine, key=lambda chunk: chunk.chunk_no)

    async def add_chunk(
        self,
        run: RunState,
        chunk: StoredChunk,
        result: ChunkResult,
        payslip_ids: Sequence[UUID],
        known_at: datetime,
        *,
        careful: bool,
    ) -> None:
        self._insert(run, result, payslip_ids, known_at, careful)
        self._rows.chunks[_attempt(run), chunk.chunk_no] = chunk

    def _insert(
        self, run: RunState, result: ChunkResult, payslip_ids: Sequence[UUID], known_at: datetime, careful: bool
    ) -> None:
        attempt = _attempt(run)
        self._must_be_free(run, result, careful)
        for payslip, payslip_id in zip(result.payslips, payslip_ids, strict=True):
            employee = EmployeeId(payslip.employee_id)
            holder = self._rows.slots.get((run.slot, employee))
            if holder is not None and self._rows.runs[holder].status is RunStatus.REVERSED:
                self._rows.slots[f"{run.slot}|{holder}", employee] = holder  # it stays in the employee's list
            self._rows.slots[run.slot, employee] = run.id
            self._rows.ranges.extend(
                PaidRange(component, assignment, first, stop, attempt, employee)
                for assignment, component, first, stop in payslip.paid
            )
            self._rows.payslips[attempt, employee] = Payslip(
                summary=PayslipSummary(
                    id=PayslipId(payslip_id),
                    run_id=run.id,
                    run_status=run.status,
                    employee_id=employee,
                    period=run.period,
                    pay_date=run.pay_date,
                    currency=run.currency,
                    gross=payslip.gross,
                    net=payslip.net,
                    employer_cost=payslip.employer_cost,
                    deductions=payslip.deductions,
                    content_hash=payslip.content_hash,
                    stale=False,
                ),
                predecessor_id=None if payslip.predecessor_id is None else PayslipId(payslip.predecessor_id),
                known_at=known_at,
                inputs=payslip.inputs,
                lines=payslip.lines,
                year_to_date=payslip.year_to_date,
            )
        for blocked in result.blockers:
            employee = EmployeeId(blocked.employee_id)
            before = self._rows.blockers.get((attempt, employee), ())
            one = Blocker(employee, len(before), blocked.reason, blocked.message, blocked.subject, False)
            self._rows.blockers[attempt, employee] = (*before, one)

    def _must_be_free(self, run: RunState, result: ChunkResult, careful: bool) -> None:
        taken: dict[EmployeeId, RunId] = {}
        for payslip in result.payslips:
            employee = EmployeeId(payslip.employee_id)
            holder = self._rows.slots.get((run.slot, employee))
            if holder is not None and holder != run.id and self._rows.runs[holder].status not in DEAD:
                taken[employee] = holder
        if taken and not careful:
            raise SlotsInTheWay
        alive = [one for one in self._rows.ranges if self._alive(one.attempt) and one.attempt != _attempt(run)]
        self._rows.ranges[:] = [one for one in self._rows.ranges if self._alive(one.attempt)]
        for payslip in result.payslips:
            for assignment, component, first, stop in payslip.paid:
                for one in alive:
                    same = (one.assignment_id, one.component) == (assignment, component)
                    if same and one.start < stop and first < one.end:
                        taken[EmployeeId(payslip.employee_id)] = one.attempt[0]
        if taken:
            raise PlacesTaken(taken)

    def _alive(self, attempt: Attempt) -> bool:
        state = self._rows.runs[attempt[0]]
        return state.status not in DEAD and state.attempt == attempt[1]

    async def replace(
        self,
        run: RunState,
        gone: Sequence[EmployeeId],
        result: ChunkResult,
        payslip_ids: Sequence[UUID],
        known_at: datetime,
    ) -> None:
        attempt = _attempt(run)
        touched = {
            *gone,
            *(EmployeeId(payslip.employee_id) for payslip in result.payslips),
            *(EmployeeId(blocked.employee_id) for blocked in result.blockers),
        }
        for employee in touched:
            self._rows.payslips.pop((attempt, employee), None)
            self._rows.blockers.pop((attempt, employee), None)
            self._rows.stale.pop((attempt, employee), None)
            self._rows.recalculated[attempt, employee] = known_at
            if self._rows.slots.get((run.slot, employee)) == run.id:
                del self._rows.slots[run.slot, employee]
        self._rows.ranges[:] = [
            one for one in self._rows.ranges if one.attempt[0] != run.id or one.employee_id not in touched
        ]
        self._insert(run, result, payslip_ids, known_at, True)

    def _span(self, after: EmployeeId | None, last: EmployeeId | None) -> Callable[[EmployeeId], bool]:
        def inside(employee: EmployeeId) -> bool:
            return (after is None or employee.bytes > after.bytes) and (last is None or employee.bytes <= last.bytes)

        return inside

    async def results(self, run: RunState, after: EmployeeId | None, last: EmployeeId | None) -> Sequence[StoredResult]:
        inside = self._span(after, last)
        mine = (
            payslip
            for (attempt, employee), payslip in self._rows.payslips.items()
            if attempt == _attempt(run) and inside(employee)
        )
        return [
            StoredResult(
                one.summary.employee_id,
                one.summary.content_hash,
                one.summary.gross,
                one.summary.net,
                one.summary.employer_cost,
                one.lines,
            )
            for one in sorted(mine, key=lambda payslip: payslip.summary.employee_id.bytes)
        ]

    def _blockers(self, run: RunState) -> list[Blocker]:
        mine = (found for (attempt, _), found in self._rows.blockers.items() if attempt == _attempt(run))
        every = (blocker for found in mine for blocker in found)
        return sorted(every, key=lambda blocker: (blocker.employee_id.bytes, blocker.ordinal))

    async def blocked(
        self, run: RunState, after: EmployeeId | None, last: EmployeeId | None
    ) -> Sequence[tuple[EmployeeId, str, str]]:
        inside = self._span(after, last)
        return [(one.employee_id, one.reason, one.subject) for one in self._blockers(run) if inside(one.employee_id)]

    async def save_chunk(self, run: RunState, chunk: StoredChunk) -> None:
        self._rows.chunks[_attempt(run), chunk.chunk_no] = chunk

    async def keep_component_totals(self, run: RunState, sums: Mapping[str, ComponentSum]) -> None:
        self._rows.totals[_attempt(run)] = dict(sums)

    async def predecessors(
        self, finalized: Sequence[FinalizedRun], employees: Sequence[EmployeeId]
    ) -> Mapping[EmployeeId, Predecessor]:
        return _predecessors(self._rows, finalized, employees)

    async def moved_predecessors(
        self, run: RunState, finalized: Sequence[FinalizedRun], limit: int
    ) -> Sequence[EmployeeId]:
        moved = []
        for (attempt, employee), payslip in self._rows.payslips.items():
            if attempt == _attempt(run):
                latest = _predecessors(self._rows, finalized, [employee]).get(employee)
                if (None if latest is None else latest.payslip_id) != payslip.predecessor_id:
                    moved.append(employee)
        return moved[:limit]

    async def has(self, run: RunState, employees: Sequence[EmployeeId]) -> Sequence[EmployeeId]:
        attempt = _attempt(run)
        return [
            employee
            for employee in employees
            if (attempt, employee) in self._rows.payslips or (attempt, employee) in self._rows.blockers
        ]

    async def undeferred(self, run: RunState) -> int:
        return len({one.employee_id for one in self._blockers(run) if not one.deferred})

    async def deferred(self, run: RunState) -> Sequence[EmployeeId]:
        return list(dict.fromkeys(one.employee_id for one in self._blockers(run) if one.deferred))

    async def defer(self, run: RunState, employees: Sequence[EmployeeId]) -> Sequence[EmployeeId]:
        others = []
        for employee in employees:
            found = self._rows.blockers.get((_attempt(run), employee))
            if found is None:
                others.append(employee)
            else:
                marked = tuple(replace(one, deferred=True) for one in found)
                self._rows.blockers[_attempt(run), employee] = marked
        return others

    async def stale(self, run: RunState) -> Sequence[StalePayslip]:
        mine = (found for (attempt, _), found in self._rows.stale.items() if attempt == _attempt(run))
        return sorted(mine, key=lambda found: found.employee_id.bytes)

    async def mark_stale(self, run: RunState, reasons: Mapping[EmployeeId, str]) -> int:
        newly = 0
        for employee, reason in reasons.items():
            before = self._rows.stale.get((_attempt(run), employee))
            known = before.reasons if before is not None else ()
            newly += before is None
            if reason not in known and len(known) < 30:
                known = (*known, reason)
            self._rows.stale[_attempt(run), employee] = StalePayslip(employee, known, False)
        return newly

    async def leave_to_retro(self, run: RunState) -> None:
        for found in await self.stale(run):
            self._rows.stale[_attempt(run), found.employee_id] = replace(found, left_to_retro=True)

    async def recalculated(self, run: RunState, employees: Sequence[EmployeeId]) -> Mapping[EmployeeId, datetime]:
        found = self._rows.recalculated
        return {one: found[_attempt(run), one] for one in employees if (_attempt(run), one) in found}

    async def purge_old_attempts(self, limit: int) -> int:
        old = [key for key in self._rows.payslips if key[0][1] < self._rows.runs[key[0][0]].attempt][:limit]
        for key in old:
            del self._rows.payslips[key]
        return len(old)


def _predecessors(
    rows: Rows, finalized: Sequence[FinalizedRun], employees: Sequence[EmployeeId]
) -> Mapping[EmployeeId, Predecessor]:
    found: dict[EmployeeId, Predecessor] = {}
    for employee in employees:
        for one in finalized:
            payslip = rows.payslips.get(((one.run_id, one.attempt), employee))
            if payslip is not None:
                summary = payslip.summary
                found[employee] = Predecessor(summary.id, summary.content_hash, payslip.year_to_date)
                break
    return found


class MemoryPayments:
    """What became of the payments of runs."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def due(self, run: RunState) -> int:
        return len(_payments(self._rows, run))

    async def of(self, run: RunState, employees: Sequence[EmployeeId]) -> Mapping[EmployeeId, Sequence[Payment]]:
        found: dict[EmployeeId, list[Payment]] = {}
        for one in _payments(self._rows, run):
            if one.employee_id in employees:
                found.setdefault(one.employee_id, []).append(one)
        return found

    async def payees(self, run: RunState, payments: Sequence[PaymentId]) -> Sequence[EmployeeId]:
        mine = ((employee, kept) for (id, employee), kept in self._rows.payments.items() if id == run.id)
        return [employee for employee, kept in mine if not {one.id for one in kept}.isdisjoint(payments)]

    async def keep(self, run: RunState, payments: Mapping[EmployeeId, Sequence[Payment]], now: datetime) -> None:
        for employee, kept in payments.items():
            self._rows.payments[run.id, employee] = tuple(replace(one, status=one.status.stored) for one in kept)


def _payments(rows: Rows, run: RunState) -> list[Payment]:
    found: list[Payment] = []
    for (attempt, employee), payslip in rows.payslips.items():
        summary = payslip.summary
        if attempt == _attempt(run) and summary.net > 0:
            amount = Money(summary.net, run.currency)
            pending = (Payment(summary.id, run.id, employee, amount, PaymentStatus.PENDING, ""),)
            kept = rows.payments.get((run.id, employee), pending)
            found.extend(replace(one, status=PaymentStatus.told(run, one.status)) for one in kept)
    return sorted(found, key=lambda payment: (payment.employee_id.bytes, payment.split))


class MemoryPayInputs:
    """Amounts entered for employees."""

    def __init__(self, rows: Rows, outbox: Outbox) -> None:
        self._rows, self._outbox = rows, outbox

    async def get(self, id: PayInputId, seen: Version | None = None) -> PayInput:
        state = self._rows.inputs.get(id)
        if state is None:
            raise PayInputNotFound("there is no such pay input; check the id", field="pay_input_id", pay_input_id=id)
        if seen is not None and state.version != seen:
            raise Stale("the pay input was changed meanwhile; read it again", version=state.version)
        return PayInput(_with_status(self._rows, state))

    async def add(self, entered: PayInput) -> None:
        self._kept(entered, Version(1))

    async def save(self, entered: PayInput) -> None:
        stored = self._rows.inputs.get(entered.state.id)
        if stored is None or stored.version != entered.state.version:
            raise Stale("the pay input was changed meanwhile; read it again", pay_input_id=entered.state.id)
        self._kept(entered, Version(entered.state.version + 1))

    def _kept(self, entered: PayInput, version: Version) -> None:
        entered.state = self._rows.inputs[entered.state.id] = replace(entered.state, version=version)
        self._outbox.add("pay_input", entered.state.id, version, entered.pull_events())

    async def open_for(
        self, run: RunState, employees: Sequence[EmployeeId]
    ) -> Mapping[EmployeeId, tuple[TakenInput, ...]]:
        return _open_for(self._rows, run, employees)

    async def take(self, run: RunState, ids: Sequence[UUID]) -> bool:
        free = {entry.id for taken in _open_for(self._rows, run, None).values() for entry in taken}
        if not free.issuperset(ids):
            return False
        for id in ids:
            state = self._rows.inputs[PayInputId(id)]
            self._rows.inputs[state.id] = replace(state, run_id=run.id)
        return True


def _with_status(rows: Rows, state: PayInputState) -> PayInputState:
    return replace(state, run_status=None if state.run_id is None else rows.runs[state.run_id].status)


def _open_for(
    rows: Rows, run: RunState, employees: Sequence[EmployeeId] | None
) -> Mapping[EmployeeId, tuple[TakenInput, ...]]:
    found: dict[EmployeeId, list[TakenInput]] = {}
    place = (run.pay_group, run.kind)
    for state in sorted((_with_status(rows, one) for one in rows.inputs.values()), key=lambda one: one.id.bytes):
        free = state.run_id in (None, run.id) or state.run_status in DEAD
        mine = (state.pay_group, state.run_kind) == place and state.covers(run.period)
        if mine and free and not state.cancelled and (employees is None or state.employee_id in employees):
            quantity = None if state.quantity is None else plain(state.quantity)
            taken = TakenInput(state.id, state.component, plain(state.amount.amount), quantity, state.recurring)
            found.setdefault(state.employee_id, []).append(taken)
    return {employee: tuple(inputs) for employee, inputs in found.items()}


class MemoryWork(WorkInMemory):
    """One command's work over `rows`, a copy of the tenant's; whoever keeps it as the tenant's makes it happen."""

    def __init__(
        self, rows: Rows, tenant_id: TenantId, actor: str, now: Callable[[], datetime], new_id: Callable[[], UUID]
    ) -> None:
        super().__init__(tenant_id, now, new_id, actor)
        self.rows = rows.copied()
        self.catalogs = MemoryCatalogs(self.rows, self.outbox, tenant_id)
        self.runs = MemoryRuns(self.rows, self.outbox)
        self.payslips = MemoryPayslips(self.rows)
        self.payments = MemoryPayments(self.rows)
        self.inputs = MemoryPayInputs(self.rows, self.outbox)


class MemoryReading:
    """Payroll as it is read."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def newest_catalog(self) -> Catalog:
        return await self.catalog_at(self._rows.version)

    async def catalog_at(self, version: int) -> Catalog:
        return Catalog(version, self._rows.entries)

    def _state(self, id: RunId) -> RunState:
        state = self._rows.runs.get(id)
        if state is None:
            raise _missing(id)
        return state

    async def run(self, id: RunId) -> RunView:
        state = self._state(id)
        payslips = MemoryPayslips(self._rows)
        totals, chunks = ControlTotals(), await payslips.chunks(state)
        for chunk in chunks:
            totals = totals + chunk.totals
        stale = await payslips.stale(state)
        return RunView(
            state,
            totals,
            len(chunks),
            len(stale),
            len(await payslips.deferred(state)),
            stale_hash(0, (one.employee_id for one in stale)),
            self._rows.requests[id].lease.positions or {},
        )

    async def runs(
        self, pay_group: str, period: str, status: RunStatus | None, after: RunId | None, limit: int
    ) -> Sequence[RunView]:
        found = (
            state
            for state in sorted(self._rows.runs.values(), key=lambda state: state.id.bytes, reverse=True)
            if (not pay_group or state.pay_group == pay_group)
            and (not period or state.period == period)
            and status in (None, state.told_status)
            and (after is None or state.id.bytes < after.bytes)
        )
        return [await self.run(state.id) for state in list(found)[:limit]]

    def _current(self) -> Iterable[Payslip]:
        for (attempt, employee), payslip in self._rows.payslips.items():
            state = self._rows.runs[attempt[0]]
            if state.attempt == attempt[1]:
                stale = (attempt, employee) in self._rows.stale
                yield replace(payslip, summary=replace(payslip.summary, run_status=state.status, stale=stale))

    def _one(self, wanted: Callable[[PayslipSummary], bool]) -> Payslip:
        found = next((payslip for payslip in self._current() if wanted(payslip.summary)), None)
        if found is None:
            raise PayslipNotFound("there is no such payslip; check the id", field="payslip_id")
        return found

    async def payslip(self, id: PayslipId) -> Payslip:
        return self._one(lambda summary: summary.id == id)

    async def payslip_of(self, run: RunId, employee: EmployeeId) -> Payslip:
        return self._one(lambda summary: (summary.run_id, summary.employee_id) == (run, employee))

    async def payslips_of_run(self, run: RunId, after: EmployeeId | None, limit: int) -> Sequence[PayslipSummary]:
        self._state(run)
        mine = (payslip.summary for payslip in self._current() if payslip.summary.run_id == run)
        later = (one for one in mine if after is None or one.employee_id.bytes > after.bytes)
        return sorted(later, key=lambda summary: summary.employee_id.bytes)[:limit]

    async def payslips_of_employee(
        self, employee: EmployeeId, tax_year: int, finalized_only: bool, after: tuple[date, RunId] | None, limit: int
    ) -> Sequence[PayslipSummary]:
        def wanted(summary: PayslipSummary) -> bool:
            state = self._rows.runs[summary.run_id]
            held = (employee, state.id) in {(one, run) for (_, one), run in self._rows.slots.items()}
            year = tax_year in (0, state.tax_year)
            final = not finalized_only or state.finalized_number > 0
            place = (summary.pay_date, summary.run_id.bytes)
            later = after is None or place < (after[0], after[1].bytes)
            return summary.employee_id == employee and held and year and final and later

        found = [payslip.summary for payslip in self._current() if wanted(payslip.summary)]
        return sorted(found, key=lambda one: (one.pay_date, one.run_id.bytes), reverse=True)[:limit]

    async def blockers(self, run: RunId, after: tuple[EmployeeId, int] | None, limit: int) -> Sequence[Blocker]:
        state = self._state(run)
        place = None if after is None else (after[0].bytes, after[1])
        every = MemoryPayslips(self._rows)._blockers(state)
        return [one for one in every if place is None or (one.employee_id.bytes, one.ordinal) > place][:limit]

    async def stale_payslips(self, run: RunId, after: EmployeeId | None, limit: int) -> Sequence[StalePayslip]:
        found = await MemoryPayslips(self._rows).stale(self._state(run))
        return [one for one in found if after is None or one.employee_id.bytes > after.bytes][:limit]

    async def before(self, run: RunState) -> RunState | None:
        earlier = (
            state
            for state in self._rows.runs.values()
            if (state.pay_group, state.kind) == (run.pay_group, RunKind.REGULAR)
            and state.status is RunStatus.FINALIZED
            and state.span.start < run.span.start
        )
        return max(earlier, key=lambda state: state.span.start, default=None)

    async def documents(self, run: RunState, after: EmployeeId | None, limit: int) -> Sequence[Payslip]:
        mine = (one for one in self._current() if one.summary.run_id == run.id)
        later = (one for one in mine if after is None or one.summary.employee_id.bytes > after.bytes)
        return sorted(later, key=lambda one: one.summary.employee_id.bytes)[:limit]

    async def blocked(self, run: RunState, after: EmployeeId | None, last: EmployeeId | None) -> Sequence[EmployeeId]:
        found = await MemoryPayslips(self._rows).blocked(run, after, last)
        return list(dict.fromkeys(employee for employee, _, _ in found))

    async def component_totals(self, run: RunId) -> Mapping[str, ComponentSum]:
        return self._rows.totals.get(_attempt(self._state(run)), {})

    async def payments(self, run: RunId, after: tuple[EmployeeId, int] | None, limit: int) -> Sequence[Payment]:
        state = self._state(run)
        found = _payments(self._rows, state) if state.finalized_number else []
        place = None if after is None else (after[0].bytes, after[1])
        return [one for one in found if place is None or (one.employee_id.bytes, one.split) > place][:limit]

    async def pay_inputs(
        self, employee: EmployeeId | None, pay_group: str, period: str, after: PayInputId | None, limit: int
    ) -> Sequence[PayInputState]:
        found = (
            _with_status(self._rows, state)
            for state in sorted(self._rows.inputs.values(), key=lambda state: state.id.bytes, reverse=True)
            if employee in (None, state.employee_id)
            and (not pay_group or state.pay_group == pay_group)
            and (not period or state.covers(period))
            and (after is None or state.id.bytes < after.bytes)
        )
        return list(found)[:limit]

    async def work_for(self, run: RunId, employees: Sequence[EmployeeId]) -> ChunkWork:
        state = self._state(run)
        finalized = _finalized(self._rows, state.registration, state.tax_year)
        return ChunkWork(
            state, _open_for(self._rows, state, employees), _predecessors(self._rows, finalized, employees)
        )
