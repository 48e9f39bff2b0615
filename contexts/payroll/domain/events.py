"""What happened in payroll, for the outbox."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from kernel.ids import EmployeeId


@dataclass(frozen=True, slots=True)
class PayrollRunCreated:
    """A run was created."""

    run_id: UUID
    pay_group: str
    period: str
    kind: str
    sequence: int


@dataclass(frozen=True, slots=True)
class CalculationRequested:
    """A run waits for somebody to calculate it."""

    run_id: UUID
    attempt: int
    pay_group: str
    period: str


@dataclass(frozen=True, slots=True)
class PayrollRunCalculated:
    """Every chunk of an attempt is stored."""

    run_id: UUID
    attempt: int
    pay_group: str
    period: str
    payslip_count: int
    blocked_count: int


@dataclass(frozen=True, slots=True)
class PayrollRunChanged:
    """Payslips of a calculated run changed: RECALCULATED, STALE or DEFERRED; PAYMENTS of a final one."""

    run_id: UUID
    change: str
    employee_count: int


@dataclass(frozen=True, slots=True)
class PayrollRunApproved:
    """A second person approved what the hash binds."""

    run_id: UUID
    calculation_hash: str


@dataclass(frozen=True, slots=True)
class PayrollRunFinalized:
    """The payslips never change again."""

    run_id: UUID
    pay_group: str
    period: str
    pay_date: date
    payslip_count: int


@dataclass(frozen=True, slots=True)
class PayrollRunVoided:
    """The run was given up."""

    run_id: UUID


@dataclass(frozen=True, slots=True)
class PayrollRunReversed:
    """A final run took this one back."""

    run_id: UUID
    reversal_run_id: UUID


@dataclass(frozen=True, slots=True)
class PayInputChanged:
    """A pay input was entered or taken back."""

    pay_input_id: UUID
    employee_id: EmployeeId
    component: str
    period: str


@dataclass(frozen=True, slots=True)
class CatalogPublished:
    """The catalog has a new version."""

    catalog_version: int
    codes: tuple[str, ...]
