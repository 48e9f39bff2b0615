"""The payroll run: one pay group's pay event for one period, from draft to final."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum
from typing import Any, NewType
from uuid import UUID

from contexts.payroll.domain.catalog import PayFrequency, PayPeriod, tax_period_of
from contexts.payroll.domain.errors import (
    CalculationChanged,
    CutoffUnsettled,
    InputsChanged,
    PaymentsSettled,
    ReversalLate,
    RunBlocked,
    RunInvalid,
    RunNotCalculating,
    RunStatusWrong,
    SelfApproval,
)
from contexts.payroll.domain.events import (
    CalculationRequested,
    PayrollRunApproved,
    PayrollRunCalculated,
    PayrollRunChanged,
    PayrollRunCreated,
    PayrollRunFinalized,
    PayrollRunReversed,
    PayrollRunVoided,
)
from contexts.payroll.domain.header import Header
from kernel.aggregate import AggregateRoot
from kernel.ids import EmployeeId, Version
from kernel.period import Period

RunId = NewType("RunId", UUID)

LEASE_S = 15
CHUNK_EMPLOYEES = 500
MAX_NAMED_EMPLOYEES = 1000
MAX_PREPARERS = 20
TOLD_EMPLOYEES = 50  # ids named in a refusal


class RunKind(Enum):
    """What a run pays."""

    REGULAR = "REGULAR"
    OFF_CYCLE = "OFF_CYCLE"
    CORRECTION = "CORRECTION"
    TERMINATION = "TERMINATION"
    OPENING = "OPENING"
    REVERSAL = "REVERSAL"


class RunStatus(Enum):
    """Where a run stands."""

    DRAFT = "DRAFT"
    CALCULATING = "CALCULATING"
    CALCULATED = "CALCULATED"
    APPROVED = "APPROVED"
    FINALIZED = "FINALIZED"
    VOID = "VOID"
    REVERSED = "REVERSED"
    # What a final run is told to be, by its payments; never a state of its own.
    PARTIALLY_PAID = "PARTIALLY_PAID"
    PAID = "PAID"


# Payslips of such runs count for nothing: their places, days and inputs are free, and no year to date stands on them.
DEAD = frozenset({RunStatus.VOID, RunStatus.REVERSED})

# The whole state machine; the diagram in LANGUAGE.md says the same.
NEXT: Mapping[str, Mapping[RunStatus, RunStatus]] = {
    "start the calculation": {
        RunStatus.DRAFT: RunStatus.CALCULATING,
        RunStatus.CALCULATING: RunStatus.CALCULATING,
        RunStatus.CALCULATED: RunStatus.CALCULATING,
    },
    "complete the calculation": {RunStatus.CALCULATING: RunStatus.CALCULATED},
    "import": {RunStatus.DRAFT: RunStatus.CALCULATED},
    "change payslips": {RunStatus.CALCULATED: RunStatus.CALCULATED},
    "approve": {RunStatus.CALCULATED: RunStatus.APPROVED},
    "finalize": {RunStatus.APPROVED: RunStatus.FINALIZED},
    # The bank's word counts for a reversed run too: what went out is to be got back, what came back is not.
    "record payments": {RunStatus.FINALIZED: RunStatus.FINALIZED, RunStatus.REVERSED: RunStatus.REVERSED},
    "arrange payments": {RunStatus.FINALIZED: RunStatus.FINALIZED},
    "reverse": {RunStatus.FINALIZED: RunStatus.REVERSED},
    "void": {
        RunStatus.DRAFT: RunStatus.VOID,
        RunStatus.CALCULATING: RunStatus.VOID,
        RunStatus.CALCULATED: RunStatus.VOID,
        RunStatus.APPROVED: RunStatus.VOID,
    },
}


@dataclass(frozen=True, slots=True)
class ControlTotals:
    """Sums over a run's employees; amounts are minor units of the run's currency."""

    payslip_count: int = 0
    blocked_count: int = 0
    gross_minor: int = 0
    net_minor: int = 0
    employer_cost_minor: int = 0

    def __add__(self, other: "ControlTotals") -> "ControlTotals":
        return ControlTotals(
            self.payslip_count + other.payslip_count,
            self.blocked_count + other.blocked_count,
            self.gross_minor + other.gross_minor,
            self.net_minor + other.net_minor,
            self.employer_cost_minor + other.employer_cost_minor,
        )


@dataclass(frozen=True, slots=True)
class RunState:
    """Everything about a run but its payslips."""

    id: RunId
    pay_group: str
    period: str
    span: Period
    pay_date: date
    tax_year: int
    tax_period: int
    kind: RunKind
    sequence: int
    registration: str
    currency: str
    country: str
    time_calendar: str
    time_periods: tuple[str, ...]
    employee_ids: tuple[EmployeeId, ...]
    reason: str
    wanted_cutoff: datetime | None
    status: RunStatus
    attempt: int
    input_cutoff: datetime | None
    catalog_version: int
    statutory_version: str
    header: bytes  # canonical JSON of what the attempt's payslips share; empty in DRAFT
    totals: ControlTotals
    calculation_hash: str
    preparers: tuple[str, ...]
    approved_by: str
    finalized_number: int  # the order of finalisation under the registration in the tax year; 0 before
    created_time: datetime
    version: Version
    include_regular: bool  # pays the regular components too, not the inputs entered alone
    due_count: int  # payments: one per payslip with something to pay out until they are arranged; 0 before it is final
    settled_count: int
    reverses: RunId | None = None  # the run that this one takes back
    reversed_by: RunId | None = None
    recover_settled: bool = False  # of a reversal: what was paid out is got back in another way

    @property
    def told_status(self) -> RunStatus:
        """The status as people are told it: a final run by what was paid out of it."""
        if self.status is not RunStatus.FINALIZED or not self.settled_count:
            return self.status
        return RunStatus.PAID if self.settled_count >= self.due_count else RunStatus.PARTIALLY_PAID

    @property
    def slot(self) -> str:
        """The place of this run's payslips: an employee has one live payslip in it."""
        return f"{self.registration}|{self.pay_group}|{self.period}|{self.kind.value}|{self.sequence}"

    @property
    def from_facts(self) -> bool:
        """Whether its payslips follow from facts of the sources and from the catalog, and not from other payslips."""
        return self.kind not in (RunKind.OPENING, RunKind.REVERSAL)

    @property
    def inputs_only(self) -> bool:
        """Whether it pays the inputs entered and nothing else."""
        return not self.include_regular

    def shared(self) -> Header:
        """What the payslips of an attempt that starts now share."""
        return Header(
            pay_group=self.pay_group,
            period=self.period,
            kind=self.kind.value,
            sequence=self.sequence,
            start=self.span.start,
            end=self.span.end,
            pay_date=self.pay_date,
            tax_year=self.tax_year,
            tax_period=self.tax_period,
            registration=self.registration,
            currency=self.currency,
            country=self.country,
            catalog_version=self.catalog_version,
            statutory_version=self.statutory_version,
            inputs_only=self.inputs_only,
        )


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What is asked for when a run is created."""

    kind: RunKind
    pay_date: date | None
    employee_ids: tuple[EmployeeId, ...]
    reason: str
    input_cutoff: datetime | None
    include_regular: bool


class PayrollRun(AggregateRoot[RunState]):
    """One pay group's pay event for one period.

    Invariants: the status moves along NEXT only; nobody approves what they prepared; approval binds the hash of what
    was seen; a finalized run never changes.
    """

    @classmethod
    def create(
        cls, id: RunId, period: PayPeriod, request: RunRequest, sequence: int, by: str, now: datetime
    ) -> "PayrollRun":
        """A run in DRAFT. Raises RunInvalid."""
        _check_request(request, now)
        pay_date = request.pay_date or period.pay_date
        frequency = PayFrequency.WEEK if "W" in period.name else PayFrequency.MONTH
        run = cls(
            RunState(
                id=id,
                pay_group=period.pay_group,
                period=period.name,
                span=period.span,
                pay_date=pay_date,
                tax_year=pay_date.year,
                tax_period=tax_period_of(pay_date, frequency),
                kind=request.kind,
                sequence=sequence,
                registration=period.withholding_registration,
                currency=period.currency,
                country=period.country,
                time_calendar=period.time_calendar,
                time_periods=period.time_periods,
                employee_ids=tuple(sorted(request.employee_ids, key=lambda employee: employee.bytes)),
                reason=request.reason,
                wanted_cutoff=request.input_cutoff,
                status=RunStatus.DRAFT,
                attempt=0,
                input_cutoff=None,
                catalog_version=0,
                statutory_version="",
                header=b"",
                totals=ControlTotals(),
                calculation_hash="",
                preparers=_with((), by),
                approved_by="",
                finalized_number=0,
                created_time=now,
                version=Version(0),
                include_regular=request.include_regular or request.kind is RunKind.REGULAR,
                due_count=0,
                settled_count=0,
            )
        )
        state = run.state
        run._events.append(PayrollRunCreated(id, state.pay_group, state.period, state.kind.value, sequence))
        return run

    @classmethod
    def reversal(
        cls, id: RunId, of: "PayrollRun", day: date, recover_settled: bool, reason: str, sequence: int, by: str,
        now: datetime,
    ) -> "PayrollRun":  # fmt: skip
        """A run in DRAFT that takes a final one back on a day. Raises RunStatusWrong, RunInvalid, ReversalLate,
        PaymentsSettled."""
        of._next("reverse")
        state = of.state
        if state.kind is RunKind.REVERSAL:
            raise RunInvalid("a reversal is not reversed: pay the period again", run_id=state.id)
        if day.year > state.tax_year:
            raise ReversalLate(
                f"the tax year {state.tax_year} is over; enter the differences in a CORRECTION run of this year",
                run_id=state.id,
                tax_year=state.tax_year,
            )
        of.must_be_recovered(recover_settled)
        run = cls(
            replace(
                state,
                id=id,
                kind=RunKind.REVERSAL,
                sequence=sequence,
                employee_ids=(),
                reason=reason,
                wanted_cutoff=None,
                status=RunStatus.DRAFT,
                attempt=0,
                input_cutoff=None,
                header=b"",
                totals=ControlTotals(),
                calculation_hash="",
                preparers=_with((), by),
                approved_by="",
                finalized_number=0,
                created_time=now,
                version=Version(0),
                due_count=0,
                settled_count=0,
                reverses=state.id,
                reversed_by=None,
                recover_settled=recover_settled,
            )
        )
        run._events.append(PayrollRunCreated(id, state.pay_group, state.period, RunKind.REVERSAL.value, sequence))
        return run

    def must_be_recovered(self, recover_settled: bool) -> None:
        """Raises PaymentsSettled where money of it is out and nobody said how it comes back."""
        if self.state.settled_count and not recover_settled:
            raise PaymentsSettled(
                f"{self.state.settled_count} payments of this run are settled: record them as returned first, or"
                " reverse it with recover_settled and get the money back from the employees",
                run_id=self.state.id,
                settled=self.state.settled_count,
            )

    def reversed_by(self, reversal: RunId) -> None:
        """Another final run took it back. Raises RunStatusWrong."""
        status = self._next("reverse")
        self._apply(PayrollRunReversed(self.state.id, reversal), status=status, reversed_by=reversal)

    def start_calculation(
        self,
        by: str,
        cutoff: datetime | None,
        latest: datetime,
        catalog_version: int,
        statutory_version: str,
        encode: Callable[[Any], bytes],
    ) -> None:
        """A new attempt with frozen cut-off and versions; `latest` is the youngest instant whose facts are settled.

        Raises RunStatusWrong, CutoffUnsettled.
        """
        status = self._next("start the calculation")
        self.must_be_calculable()
        wanted = cutoff or self.state.wanted_cutoff
        if wanted is not None and wanted > latest:
            raise CutoffUnsettled(
                "facts up to that cut-off may still be recorded; choose an earlier one or none",
                field="input_cutoff",
                latest=latest.isoformat(),
            )
        state = self.state
        self._apply(
            CalculationRequested(state.id, state.attempt + 1, state.pay_group, state.period),
            status=status,
            attempt=state.attempt + 1,
            input_cutoff=wanted or latest,
            catalog_version=catalog_version,
            statutory_version=statutory_version,
            header=encode(self.header_of(catalog_version, statutory_version).document()),
            totals=ControlTotals(),
            calculation_hash="",
            preparers=_with(state.preparers, by),
        )

    def must_be_calculable(self) -> None:
        """Raises RunInvalid where the payslips were brought in, not calculated."""
        if self.state.kind is RunKind.OPENING:
            raise RunInvalid(
                "opening balances are not calculated; void the run and import them anew", run_id=self.state.id
            )

    def must_pay(self) -> None:
        """Raises RunInvalid where single employees cannot be calculated anew or left out."""
        self.must_be_calculable()
        if self.state.kind is RunKind.REVERSAL:
            raise RunInvalid(
                "a reversal takes back everybody; mend what blocks it and calculate it anew", run_id=self.state.id
            )

    def header_of(self, catalog_version: int, statutory_version: str) -> Header:
        """What payslips at these versions would share."""
        return replace(self.state, catalog_version=catalog_version, statutory_version=statutory_version).shared()

    def imported(
        self,
        totals: ControlTotals,
        calculation_hash: str,
        header: bytes,
        catalog_version: int,
        statutory_version: str,
        now: datetime,
    ) -> None:
        """The payslips were brought in from another payroll. Raises RunStatusWrong."""
        status = self._next("import")
        state = self.state
        self._apply(
            PayrollRunCalculated(state.id, 1, state.pay_group, state.period, totals.payslip_count, 0),
            status=status,
            attempt=1,
            input_cutoff=now,
            catalog_version=catalog_version,
            statutory_version=statutory_version,
            header=header,
            totals=totals,
            calculation_hash=calculation_hash,
        )

    def must_be_calculating(self, attempt: int | None = None) -> None:
        """Raises RunNotCalculating where nobody may work on it, or an older attempt is meant."""
        if self.state.status is not RunStatus.CALCULATING or (attempt is not None and attempt != self.state.attempt):
            raise RunNotCalculating(
                "the run is not being calculated in this attempt; stop working on it",
                run_id=self.state.id,
                status=self.state.status.value,
                attempt=self.state.attempt,
            )

    def ask_again(self) -> None:
        """Nobody works on it: say once more that it waits. Raises RunNotCalculating."""
        self.must_be_calculating()
        state = self.state
        self._apply(CalculationRequested(state.id, state.attempt, state.pay_group, state.period))

    def complete(self, totals: ControlTotals, calculation_hash: str) -> None:
        """Every chunk is stored. Raises RunStatusWrong."""
        status = self._next("complete the calculation")
        state = self.state
        self._apply(
            PayrollRunCalculated(
                state.id, state.attempt, state.pay_group, state.period, totals.payslip_count, totals.blocked_count
            ),
            status=status,
            totals=totals,
            calculation_hash=calculation_hash,
        )

    def must_be_open_for_changes(self) -> None:
        """Raises RunStatusWrong where payslips cannot be changed any more, or not yet."""
        self._next("change payslips")

    def recalculated(self, totals: ControlTotals, calculation_hash: str, employees: int, by: str) -> None:
        """Some employees were calculated again. Raises RunStatusWrong."""
        status = self._next("change payslips")
        self._apply(
            PayrollRunChanged(self.state.id, "RECALCULATED", employees),
            status=status,
            totals=totals,
            calculation_hash=calculation_hash,
            preparers=_with(self.state.preparers, by),
        )

    def became_stale(self, employees: int) -> None:
        """Facts of some employees changed. Raises RunStatusWrong."""
        status = self._next("change payslips")
        self._apply(PayrollRunChanged(self.state.id, "STALE", employees), status=status)

    def deferred(self, calculation_hash: str, employees: int, by: str) -> None:
        """Blocked employees were left to a later run. Raises RunStatusWrong."""
        status = self._next("change payslips")
        self._apply(
            PayrollRunChanged(self.state.id, "DEFERRED", employees),
            status=status,
            calculation_hash=calculation_hash,
            preparers=_with(self.state.preparers, by),
        )

    def approve(
        self, by: str, calculation_hash: str, blocked: int, stale: Sequence[EmployeeId], stale_hash: str, accepted: str
    ) -> None:
        """A second person accepts what they saw; `accepted` is the hash of the stale list that is left to retro.

        Raises RunStatusWrong, SelfApproval, CalculationChanged, RunBlocked, InputsChanged.
        """
        status = self._next("approve")
        state = self.state
        if by in state.preparers:
            raise SelfApproval("somebody other than those who prepared the run must approve it", run_id=state.id)
        if calculation_hash != state.calculation_hash:
            raise CalculationChanged(
                "the run was calculated anew meanwhile; look at it again", field="calculation_hash", run_id=state.id
            )
        if blocked:
            raise RunBlocked(
                f"{blocked} employees are blocked; mend and recalculate them, or defer them by name",
                run_id=state.id,
                blocked=blocked,
            )
        if stale_hash and accepted != stale_hash:
            raise InputsChanged(
                "facts changed since the calculation; recalculate these employees, or accept the list as retro",
                run_id=state.id,
                stale=len(stale),
                stale_hash=stale_hash,
                employee_ids=",".join(str(employee) for employee in stale[:TOLD_EMPLOYEES]),
            )
        self._apply(PayrollRunApproved(state.id, calculation_hash), status=status, approved_by=by)

    def finalize(self, number: int, due: int) -> None:
        """Make it final, the `number`th under its registration in the tax year, with so many payslips to pay out.

        Raises RunStatusWrong.
        """
        status = self._next("finalize")
        state = self.state
        self._apply(
            PayrollRunFinalized(state.id, state.pay_group, state.period, state.pay_date, state.totals.payslip_count),
            status=status,
            finalized_number=number,
            due_count=due,
        )

    def must_be_final(self) -> None:
        """Raises RunStatusWrong where nothing is paid out yet."""
        self._next("record payments")

    def must_be_payable(self) -> None:
        """Raises RunStatusWrong where nothing is paid out yet, or nothing any more."""
        self._next("arrange payments")

    def payments_arranged(self, more: int, employees: int) -> None:
        """There are so many more payments (fewer where it is negative). Raises RunStatusWrong."""
        status = self._next("arrange payments")
        self._apply(
            PayrollRunChanged(self.state.id, "PAYMENTS", employees),
            status=status,
            due_count=self.state.due_count + more,
        )

    def payments_recorded(self, newly_settled: int, payments: int) -> None:
        """So many more payments are settled (fewer where it is negative). Raises RunStatusWrong."""
        status = self._next("record payments")
        self._apply(
            PayrollRunChanged(self.state.id, "PAYMENTS", payments),
            status=status,
            settled_count=self.state.settled_count + newly_settled,
        )

    def void(self) -> None:
        """Give it up. Raises RunStatusWrong."""
        self._apply(PayrollRunVoided(self.state.id), status=self._next("void"))

    def _next(self, verb: str) -> RunStatus:
        found = NEXT[verb].get(self.state.status)
        if found is None:
            allowed = ", ".join(status.value for status in NEXT[verb])
            raise RunStatusWrong(
                f"cannot {verb}: the run is {self.state.status.value}; it has to be {allowed}",
                run_id=self.state.id,
                status=self.state.status.value,
            )
        return found


def _check_request(request: RunRequest, now: datetime) -> None:
    if request.kind is RunKind.REGULAR:
        if request.employee_ids:
            raise RunInvalid("a REGULAR run pays its whole pay group; name no employees", field="employee_ids")
    else:
        if not request.employee_ids:
            raise RunInvalid(f"name the employees of the {request.kind.value} run", field="employee_ids")
        if not request.reason:
            raise RunInvalid(f"say why there is a {request.kind.value} run", field="reason")
    if len(request.employee_ids) > MAX_NAMED_EMPLOYEES:
        raise RunInvalid(f"name at most {MAX_NAMED_EMPLOYEES} employees", field="employee_ids")
    if request.kind in (RunKind.OFF_CYCLE, RunKind.TERMINATION) and request.pay_date is None:
        raise RunInvalid(f"say when the {request.kind.value} run is paid", field="pay_date")
    if request.include_regular and request.kind in (RunKind.CORRECTION, RunKind.OPENING):
        raise RunInvalid(f"a {request.kind.value} run pays nothing regular", field="include_regular")
    if request.input_cutoff is not None and request.input_cutoff > now:
        raise RunInvalid("the input cut-off is an instant in the past", field="input_cutoff")


def _with(preparers: tuple[str, ...], by: str) -> tuple[str, ...]:
    """People only: a process prepares nothing on its own behalf."""
    if not by or by.startswith("process:") or by in preparers:
        return preparers
    return (*preparers, by)[:MAX_PREPARERS]


def stale_hash(catalog_moved_to: int, employees: Iterable[EmployeeId]) -> str:
    """What `accept_changes_as_retro` must say: a hash over the stale list; empty where nothing is stale."""
    members = sorted(employee.bytes for employee in employees)
    if not members and not catalog_moved_to:
        return ""
    digest = hashlib.sha256(f"catalog:{catalog_moved_to}".encode())
    for member in members:
        digest.update(member)
    return digest.hexdigest()


def calculation_hash(header: bytes, chunk_hashes: Iterable[bytes], deferred: Iterable[EmployeeId]) -> str:
    """What approval binds: header facts, the hash of each chunk (payslips and blockers) in order, the deferred list."""
    digest = hashlib.sha256(header)
    for chunk_hash in chunk_hashes:
        digest.update(chunk_hash)
    digest.update(b"|deferred|")
    for employee in sorted(member.bytes for member in deferred):
        digest.update(employee)
    return digest.hexdigest()
