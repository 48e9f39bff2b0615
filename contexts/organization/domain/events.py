"""What happened, as other parts of this context and the outbox see it."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from contexts.organization.domain.org_chart import EntryKind
from contexts.organization.domain.values import Assignment
from kernel.ids import AssignmentId, EmployeeId


@dataclass(frozen=True, slots=True)
class EmployeeHired:
    """A person was hired who was never here."""

    employee_id: EmployeeId
    employee_number: str
    change_id: UUID
    hire_date: date
    assignment: Assignment


@dataclass(frozen=True, slots=True)
class EmployeeRehired:
    """A former employee was hired again."""

    employee_id: EmployeeId
    change_id: UUID
    hire_date: date
    assignment_id: AssignmentId
    pay_group: str


@dataclass(frozen=True, slots=True)
class EmployeeTransferred:
    """Facts of the assignment changed from a date on: by a transfer, a promotion or a change of the manager."""

    employee_id: EmployeeId
    change_id: UUID
    effective_date: date
    changed_fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CompensationChanged:
    """The compensation or allowances changed from a date on."""

    employee_id: EmployeeId
    change_id: UUID
    effective_date: date


@dataclass(frozen=True, slots=True)
class StatutoryProfileChanged:
    """Statutory answers of one country changed from a date on."""

    employee_id: EmployeeId
    change_id: UUID
    effective_date: date
    country: str


@dataclass(frozen=True, slots=True)
class PersonUpdated:
    """What is known of the person changed from a date on."""

    employee_id: EmployeeId
    change_id: UUID
    effective_date: date


@dataclass(frozen=True, slots=True)
class BankAccountsChanged:
    """The bank accounts changed from a date on."""

    employee_id: EmployeeId
    change_id: UUID
    effective_date: date


@dataclass(frozen=True, slots=True)
class EmployeeTerminated:
    """A spell was given a last day."""

    employee_id: EmployeeId
    change_id: UUID
    end_date: date


@dataclass(frozen=True, slots=True)
class EmployeeCorrected:
    """A recorded change was superseded, or cancelled so that nothing stands in its place."""

    employee_id: EmployeeId
    change_id: UUID
    corrected_change_id: UUID
    affected_from: date
    cancelled: bool


@dataclass(frozen=True, slots=True)
class OrgChartPublished:
    """The org chart has a new version; each entry is told as (kind, code, effective date, closed)."""

    catalog_version: int
    entries: tuple[tuple[EntryKind, str, date, bool], ...]
