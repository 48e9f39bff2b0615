"""One employee's result in a run: what is stored of it, and how it is hashed."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple, NewType
from uuid import UUID

from contexts.payroll.domain.payroll_run import ControlTotals, RunId, RunStatus
from kernel.ids import AssignmentId, EmployeeId

PayslipId = NewType("PayslipId", UUID)
Encode = Callable[[Any], bytes]
"""Canonical JSON of plain values: sorted keys, no spaces, UTF-8."""


class Predecessor(NamedTuple):
    """The payslip that the year to date stands on."""

    payslip_id: UUID
    content_hash: bytes
    year_to_date: bytes  # as stored


class TakenInput(NamedTuple):
    """A pay input as a payslip freezes it; decimals as stored documents write them."""

    id: UUID
    component: str
    amount: str
    quantity: str | None
    recurring: bool = False  # comes again, so that no run takes it for good

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"amount": self.amount, "component": self.component, "id": str(self.id), "quantity": self.quantity}


class PaidDays(NamedTuple):
    """Half-open days of one assignment that a payslip pays by one component."""

    assignment_id: AssignmentId
    component: str
    start: date
    end: date


class CalculatedPayslip(NamedTuple):
    """One payslip fresh from the engine. Amounts are minor units."""

    employee_id: UUID
    gross: int
    net: int
    employer_cost: int
    deductions: int
    content_hash: bytes
    predecessor_id: UUID | None
    inputs: bytes
    lines: bytes
    year_to_date: bytes
    paid: tuple[tuple[UUID, str, int, int], ...]  # assignment, component, first day, day after the last (ordinals)
    input_ids: tuple[UUID, ...]


class CalculatedBlocker(NamedTuple):
    """An employee without a payslip, and why."""

    employee_id: UUID
    reason: str
    message: str
    subject: str


class ComponentSum(NamedTuple):
    """What the payslips of a chunk pay by one component, minor units, and on how many lines."""

    amount: int
    lines: int


class ChunkResult(NamedTuple):
    """The employees of one chunk, calculated."""

    facts_hash: bytes
    results_hash: bytes
    first_id: UUID | None
    last_id: UUID | None
    payslips: tuple[CalculatedPayslip, ...]
    blockers: tuple[CalculatedBlocker, ...]
    sums: Mapping[str, ComponentSum]

    @property
    def totals(self) -> ControlTotals:
        """The chunk's control totals."""
        return ControlTotals(
            len(self.payslips),
            len({blocker.employee_id for blocker in self.blockers}),
            sum(payslip.gross for payslip in self.payslips),
            sum(payslip.net for payslip in self.payslips),
            sum(payslip.employer_cost for payslip in self.payslips),
        )


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """One chunk of an attempt as it is stored."""

    chunk_no: int
    after_id: EmployeeId | None
    last_id: EmployeeId | None
    last: bool
    facts_hash: bytes
    results_hash: bytes
    totals: ControlTotals
    sums: Mapping[str, ComponentSum]


@dataclass(frozen=True, slots=True)
class PayslipSummary:
    """A payslip without its documents. Amounts are minor units of `currency`."""

    id: PayslipId
    run_id: RunId
    run_status: RunStatus
    employee_id: EmployeeId
    period: str
    pay_date: date
    currency: str
    gross: int
    net: int
    employer_cost: int
    deductions: int
    content_hash: bytes
    stale: bool


@dataclass(frozen=True, slots=True)
class Payslip:
    """A payslip with its documents, as stored."""

    summary: PayslipSummary
    predecessor_id: PayslipId | None
    known_at: datetime
    inputs: bytes
    lines: bytes
    year_to_date: bytes


@dataclass(frozen=True, slots=True)
class Blocker:
    """An employee of a run without a payslip, and why; `deferred` ones are left to a later run by name."""

    employee_id: EmployeeId
    ordinal: int  # several reasons of one employee keep their order
    reason: str
    message: str
    subject: str
    deferred: bool


@dataclass(frozen=True, slots=True)
class StalePayslip:
    """An employee of a run whose facts changed since the calculation, and why."""

    employee_id: EmployeeId
    reasons: tuple[str, ...]
    left_to_retro: bool


def instant_text(instant: datetime) -> str:
    """An instant as stored documents write it: UTC with microseconds."""
    return f"{instant:%Y-%m-%dT%H:%M:%S.%fZ}"


def frozen_inputs(
    facts: bytes, inputs: Sequence[TakenInput], known_at: str, prior: Mapping[str, Any] | None, encode: Encode
) -> bytes:
    """The canonical JSON of everything that a payslip was computed from; `facts` is canonical already."""
    own = encode([entry.document() for entry in inputs]) if inputs else b"[]"
    before = encode(prior) if prior is not None else b"null"
    return b'{"facts":%b,"inputs":%b,"known_at":"%b","prior":%b}' % (facts, own, known_at.encode(), before)


def content_hash(header: bytes, inputs: bytes, lines: bytes, year_to_date: bytes) -> bytes:
    """SHA-256 over the versions (which the header holds), the inputs, the lines and the year to date, joined by LF."""
    return content_hasher(header)(inputs, lines, year_to_date)


def content_hasher(header: bytes) -> Callable[[bytes, bytes, bytes], bytes]:
    """`content_hash` for many payslips of one header."""
    begun = hashlib.sha256(header)

    def digest(*parts: bytes) -> bytes:
        running = begun.copy()
        whole = b"\n" + b"\n".join(parts)
        # hashlib gives up the interpreter for longer pieces, and waiting to get it back costs more than the hash.
        for start in range(0, len(whole), _PIECE):
            running.update(whole[start : start + _PIECE])
        return running.digest()

    return digest


_PIECE = 2000


def results_hash(members: Sequence[tuple[UUID, bytes]], blockers: Sequence[tuple[UUID, str, str]]) -> bytes:
    """The hash of a chunk's results: employee and content hash in order, then who is blocked, why and by what."""
    digest = hashlib.sha256()
    for employee, content in members:
        digest.update(employee.bytes)
        digest.update(content)
    for employee, reason, subject in sorted(blockers, key=lambda blocked: (blocked[0].bytes, blocked[1], blocked[2])):
        digest.update(b"|blocked|" + employee.bytes + f"{reason}|{subject}".encode())
    return digest.digest()


def without_places(
    result: ChunkResult, holders: Mapping[EmployeeId, RunId], amounts_of: Callable[[bytes], Mapping[str, int]]
) -> ChunkResult:
    """The chunk with those employees blocked whose place or days another run pays; `amounts_of` reads stored lines."""
    kept = tuple(payslip for payslip in result.payslips if payslip.employee_id not in holders)
    moved = [payslip for payslip in result.payslips if payslip.employee_id in holders]
    blockers = result.blockers + tuple(
        CalculatedBlocker(
            payslip.employee_id,
            "PAYSLIP_SLOT_TAKEN",
            "another live payslip pays these days or has this place; void its run, or defer the employee",
            str(holders[EmployeeId(payslip.employee_id)]),
        )
        for payslip in moved
    )
    sums = dict(result.sums)
    for payslip in moved:
        for code, amount in amounts_of(payslip.lines).items():
            if amount:
                sums[code] = ComponentSum(sums[code].amount - amount, sums[code].lines - 1)
    return result._replace(
        payslips=kept,
        blockers=blockers,
        sums={code: one for code, one in sums.items() if one.lines},
        results_hash=results_hash(
            [(payslip.employee_id, payslip.content_hash) for payslip in kept],
            [(blocker.employee_id, blocker.reason, blocker.subject) for blocker in blockers],
        ),
    )
