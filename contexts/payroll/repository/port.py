"""The questions that payroll's handlers ask of what is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from contexts.payroll.domain.catalog import Catalog, CatalogEntry
from contexts.payroll.domain.pay_input import PayInput, PayInputId, PayInputState
from contexts.payroll.domain.payment import Payment, PaymentId
from contexts.payroll.domain.payroll_run import ControlTotals, PayrollRun, RunId, RunKind, RunState, RunStatus
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
from kernel.ids import EmployeeId, TenantId, Version


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may write chunks of a run. `positions` is None before the first claim of an attempt."""

    fence: int
    worker_id: str
    lease_until: datetime | None
    positions: Mapping[str, int] | None


@dataclass(frozen=True, slots=True)
class FinalizedRun:
    """A final run under a registration in a tax year; a higher number was finalized later."""

    run_id: RunId
    attempt: int
    number: int


@dataclass(frozen=True, slots=True)
class StoredResult:
    """What of a stored payslip the sums and hashes of its chunk need. Amounts are minor units."""

    employee_id: EmployeeId
    content_hash: bytes
    gross: int
    net: int
    employer_cost: int
    lines: bytes


@dataclass(frozen=True, slots=True)
class RunView:
    """A run with its counts, for reading."""

    state: RunState
    totals: ControlTotals  # of the chunks stored so far
    chunks: int
    stale: int
    deferred: int
    stale_hash: str
    positions: Mapping[str, int]


class Catalogs(Protocol):
    """The tenant's catalog of pay groups and components."""

    async def newest(self) -> Catalog:
        """The newest version; version 0 where nothing was published."""
        ...

    async def at(self, version: int) -> Catalog:
        """The catalog at a version."""
        ...

    async def for_change(self) -> Catalog:
        """The newest version, which nobody else changes until this work ends."""
        ...

    async def for_reference(self) -> Catalog:
        """The newest version, which nobody changes until this work ends."""
        ...

    async def publish(self, entries: Sequence[CatalogEntry], version: int, by: str, now: datetime) -> None:
        """Keep a change set as the next version. Raises Stale."""
        ...


class Runs(Protocol):
    """The payroll runs of one tenant, and who may work on them."""

    async def get(self, id: RunId, seen: Version | None = None, *, shared: bool = False) -> PayrollRun:
        """The run, which nobody else changes until this work ends (`shared`: others may read it so too).

        Raises RunNotFound, Stale.
        """
        ...

    async def add(self, run: PayrollRun) -> None:
        """Keep a new run. Raises RunExists."""
        ...

    async def save(self, run: PayrollRun) -> None:
        """Keep a changed run; its version rises by one. Raises Stale."""
        ...

    async def live(self, pay_group: str, period: str, kind: RunKind) -> Sequence[RunState]:
        """The runs of a place that are neither void nor reversed, by sequence."""
        ...

    async def open(self, pay_group: str, kind: RunKind) -> Sequence[RunState]:
        """The runs of a pay group whose payslips may still change (DRAFT to CALCULATED), by period; at most 100."""
        ...

    async def next_sequence(self, pay_group: str, period: str, kind: RunKind) -> int:
        """One above the highest sequence of the place, void and reversed runs included; 1 for the first."""
        ...

    async def finalized(self, registration: str, tax_year: int) -> Sequence[FinalizedRun]:
        """The final runs under a registration that a tax year stands on, the latest first; at most 400.

        Neither a reversed run is among them nor the one that took it back: the year goes on as if both had not been.
        """
        ...

    async def last_number(self, registration: str, tax_year: int) -> int:
        """The number of the run that was finalized last, of any kind; 0 where there is none."""
        ...

    async def ask_for_calculation(self, id: RunId, now: datetime) -> None:
        """End every claim: the fence rises, there is no lease and no position."""
        ...

    async def lease(self, id: RunId) -> Lease:
        """Who holds the run."""
        ...

    async def claim(
        self, id: RunId, worker_id: str, now: datetime, until: datetime, positions: Mapping[str, int]
    ) -> Lease | None:
        """Take the run where no lease is alive at `now`, with a higher fence; None where one is."""
        ...

    async def extend(self, id: RunId, fence: int, until: datetime) -> bool:
        """Extend the lease of this fence; False where the fence is an older one."""
        ...

    async def give_back(self, id: RunId, fence: int, reason: str) -> bool:
        """End the lease of this fence, with why; False where the fence is an older one."""
        ...

    async def waiting(self, now: datetime, asked_before: datetime, limit: int) -> Sequence[PayrollRun]:
        """CALCULATING runs without a lease that is alive at `now`, last asked for before that instant."""
        ...

    async def note_request(self, id: RunId, now: datetime) -> None:
        """Remember that the calculation was asked for again."""
        ...

    async def move_positions(self, id: RunId, positions: Mapping[str, int]) -> None:
        """Remember how far the sources were asked."""
        ...


class Payslips(Protocol):
    """The payslips of runs, stored in chunks."""

    async def chunk(self, run: RunState, chunk_no: int) -> StoredChunk | None:
        """A chunk of the run's current attempt."""
        ...

    async def chunks(self, run: RunState) -> Sequence[StoredChunk]:
        """All chunks of the current attempt, by number."""
        ...

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
        """Keep a chunk with its payslips, slots, paid days and blockers.

        Not `careful`, it expects free slots and raises SlotsInTheWay where one is not; careful, it takes over what void
        and reversed runs and older attempts left. Raises PlacesTaken.
        """
        ...

    async def replace(
        self,
        run: RunState,
        gone: Sequence[EmployeeId],
        result: ChunkResult,
        payslip_ids: Sequence[UUID],
        known_at: datetime,
    ) -> None:
        """Put new payslips and blockers in place of what the employees of `gone` and `result` had.

        Raises PlacesTaken.
        """
        ...

    async def results(self, run: RunState, after: EmployeeId | None, last: EmployeeId | None) -> Sequence[StoredResult]:
        """Stored payslips of employees after `after` up to `last`, by employee."""
        ...

    async def blocked(
        self, run: RunState, after: EmployeeId | None, last: EmployeeId | None
    ) -> Sequence[tuple[EmployeeId, str, str]]:
        """Blocked employees of a span, with reason and subject."""
        ...

    async def save_chunk(self, run: RunState, chunk: StoredChunk) -> None:
        """Keep a chunk's changed hash, sums and end."""
        ...

    async def keep_component_totals(self, run: RunState, sums: Mapping[str, ComponentSum]) -> None:
        """The sums of the whole run, in place of older ones."""
        ...

    async def predecessors(
        self, finalized: Sequence[FinalizedRun], employees: Sequence[EmployeeId]
    ) -> Mapping[EmployeeId, Predecessor]:
        """Each employee's payslip in the first of these runs that has one."""
        ...

    async def moved_predecessors(
        self, run: RunState, finalized: Sequence[FinalizedRun], limit: int
    ) -> Sequence[EmployeeId]:
        """Employees of the run whose payslip stands on another one than the latest final one, or on one taken back."""
        ...

    async def has(self, run: RunState, employees: Sequence[EmployeeId]) -> Sequence[EmployeeId]:
        """Which of these have a payslip or a blocker in the run."""
        ...

    async def undeferred(self, run: RunState) -> int:
        """How many employees are blocked and not deferred."""
        ...

    async def deferred(self, run: RunState) -> Sequence[EmployeeId]:
        """The employees that were left to a later run."""
        ...

    async def defer(self, run: RunState, employees: Sequence[EmployeeId]) -> Sequence[EmployeeId]:
        """Mark blocked employees as deferred; those that are not blocked."""
        ...

    async def stale(self, run: RunState) -> Sequence[StalePayslip]:
        """The stale employees of the current attempt, by employee."""
        ...

    async def mark_stale(self, run: RunState, reasons: Mapping[EmployeeId, str]) -> int:
        """Add a reason to each; how many were not stale before."""
        ...

    async def leave_to_retro(self, run: RunState) -> None:
        """Mark all stale payslips as left to retro."""
        ...

    async def recalculated(self, run: RunState, employees: Sequence[EmployeeId]) -> Mapping[EmployeeId, datetime]:
        """The instant as known at which facts were read, of those who were calculated again since the cut-off."""
        ...

    async def purge_old_attempts(self, limit: int) -> int:
        """Delete at most so many rows of attempts that their runs have left behind; how many."""
        ...


class PayInputs(Protocol):
    """Amounts entered for employees."""

    async def get(self, id: PayInputId, seen: Version | None = None) -> PayInput:
        """The input, which nobody else changes until this work ends. Raises PayInputNotFound, Stale."""
        ...

    async def add(self, entered: PayInput) -> None:
        """Keep a new one."""
        ...

    async def save(self, entered: PayInput) -> None:
        """Keep a changed one. Raises Stale."""
        ...

    async def open_for(
        self, run: RunState, employees: Sequence[EmployeeId]
    ) -> Mapping[EmployeeId, tuple[TakenInput, ...]]:
        """What the run may take for these employees (in rising order): open inputs, and those that it took before."""
        ...

    async def take(self, run: RunState, ids: Sequence[UUID]) -> bool:
        """The run takes these inputs; False where one was cancelled or taken by another run meanwhile."""
        ...


class Payments(Protocol):
    """What became of the payments of runs."""

    async def due(self, run: RunState) -> int:
        """How many payslips of the run have something to pay out."""
        ...

    async def of(self, run: RunState, employees: Sequence[EmployeeId]) -> Mapping[EmployeeId, Sequence[Payment]]:
        """The payments of these employees by split, pending ones included."""
        ...

    async def payees(self, run: RunState, payments: Sequence[PaymentId]) -> Sequence[EmployeeId]:
        """Whose these payments are, those that are kept."""
        ...

    async def keep(self, run: RunState, payments: Mapping[EmployeeId, Sequence[Payment]], now: datetime) -> None:
        """Keep all payments of these employees in place of what was kept of them."""
        ...


class PayrollWork(Protocol):
    """One command's work in one tenant: everything commits together or not at all."""

    @property
    def tenant_id(self) -> TenantId:
        """The tenant of the call."""
        ...

    @property
    def actor(self) -> str:
        """The subject that calls."""
        ...

    @property
    def catalogs(self) -> Catalogs:
        """Its catalog."""
        ...

    @property
    def runs(self) -> Runs:
        """Its runs."""
        ...

    @property
    def payslips(self) -> Payslips:
        """Their payslips."""
        ...

    @property
    def inputs(self) -> PayInputs:
        """Its pay inputs."""
        ...

    @property
    def payments(self) -> Payments:
        """The payments of its runs."""
        ...

    def now(self) -> datetime:
        """The current instant."""
        ...

    def new_id(self) -> UUID:
        """A new UUIDv7."""
        ...

    async def lock(self, name: str) -> None:
        """Hold the tenant's named lock until the work ends."""
        ...

    def note(self, subject: UUID | str, reason: str | None = None) -> None:
        """What the audit row says."""
        ...


class PlacesTaken(Exception):
    """Live payslips of other runs have the place, or pay the same days, of these employees."""

    def __init__(self, holders: Mapping[EmployeeId, RunId]) -> None:
        super().__init__(f"{len(holders)} employees")
        self.holders = holders


class SlotsInTheWay(Exception):
    """A slot or paid day has a row already; the work starts again and looks whether it is dead."""


class PayrollReading(Protocol):
    """One tenant's payroll as it is read."""

    async def newest_catalog(self) -> Catalog:
        """The newest catalog."""
        ...

    async def catalog_at(self, version: int) -> Catalog:
        """The catalog at a version."""
        ...

    async def run(self, id: RunId) -> RunView:
        """Raises RunNotFound."""
        ...

    async def runs(
        self, pay_group: str, period: str, status: RunStatus | None, after: RunId | None, limit: int
    ) -> Sequence[RunView]:
        """Newest first, those older than `after`."""
        ...

    async def payslip(self, id: PayslipId) -> Payslip:
        """Raises PayslipNotFound."""
        ...

    async def payslip_of(self, run: RunId, employee: EmployeeId) -> Payslip:
        """Raises PayslipNotFound."""
        ...

    async def payslips_of_run(self, run: RunId, after: EmployeeId | None, limit: int) -> Sequence[PayslipSummary]:
        """By employee, those after `after`. Raises RunNotFound."""
        ...

    async def payslips_of_employee(
        self, employee: EmployeeId, tax_year: int, finalized_only: bool, after: tuple[date, RunId] | None, limit: int
    ) -> Sequence[PayslipSummary]:
        """The latest pay date first; those of void runs are left out."""
        ...

    async def blockers(self, run: RunId, after: tuple[EmployeeId, int] | None, limit: int) -> Sequence[Blocker]:
        """By employee. Raises RunNotFound."""
        ...

    async def stale_payslips(self, run: RunId, after: EmployeeId | None, limit: int) -> Sequence[StalePayslip]:
        """By employee. Raises RunNotFound."""
        ...

    async def before(self, run: RunState) -> RunState | None:
        """The latest final REGULAR run of the pay group for an earlier period, None where there is none."""
        ...

    async def documents(self, run: RunState, after: EmployeeId | None, limit: int) -> Sequence[Payslip]:
        """The run's payslips with their documents, by employee, those after `after`."""
        ...

    async def blocked(self, run: RunState, after: EmployeeId | None, last: EmployeeId | None) -> Sequence[EmployeeId]:
        """Who of a span of employees is blocked in the run."""
        ...

    async def component_totals(self, run: RunId) -> Mapping[str, ComponentSum]:
        """The sums per component. Raises RunNotFound."""
        ...

    async def payments(self, run: RunId, after: tuple[EmployeeId, int] | None, limit: int) -> Sequence[Payment]:
        """Those of a final run, by employee and split; none before. Raises RunNotFound."""
        ...

    async def pay_inputs(
        self, employee: EmployeeId | None, pay_group: str, period: str, after: PayInputId | None, limit: int
    ) -> Sequence[PayInputState]:
        """Newest first, those older than `after`."""
        ...

    async def work_for(self, run: RunId, employees: Sequence[EmployeeId]) -> "ChunkWork":
        """What calculating these employees needs besides their facts. Raises RunNotFound."""
        ...


@dataclass(frozen=True, slots=True)
class ChunkWork:
    """A run as it is calculated, and what payroll itself knows of some of its employees."""

    run: RunState
    inputs: Mapping[EmployeeId, tuple[TakenInput, ...]]
    predecessors: Mapping[EmployeeId, Predecessor]
