"""What happened to timesheets and to the catalog."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from kernel.ids import EmployeeId


@dataclass(frozen=True, slots=True)
class PunchRecorded:
    """A punch was recorded."""

    timesheet_id: UUID
    employee_id: EmployeeId
    punch_id: UUID
    punched_at: datetime
    work_date: date
    duplicate_of: UUID | None


@dataclass(frozen=True, slots=True)
class PunchesImported:
    """Several punches were recorded together."""

    timesheet_id: UUID
    employee_id: EmployeeId
    punch_count: int
    first_work_date: date
    last_work_date: date


@dataclass(frozen=True, slots=True)
class AbsenceEntered:
    """An absence was entered."""

    timesheet_id: UUID
    employee_id: EmployeeId
    absence_id: UUID
    start_date: date
    end_date: date


@dataclass(frozen=True, slots=True)
class AbsenceCancelled:
    """An absence was taken out."""

    timesheet_id: UUID
    employee_id: EmployeeId
    absence_id: UUID


@dataclass(frozen=True, slots=True)
class TimesheetSubmitted:
    """A timesheet waits for approval."""

    timesheet_id: UUID
    employee_id: EmployeeId
    period: str


@dataclass(frozen=True, slots=True)
class TimesheetApproved:
    """A timesheet was accepted."""

    timesheet_id: UUID
    employee_id: EmployeeId
    period: str


@dataclass(frozen=True, slots=True)
class TimesheetReopened:
    """A timesheet takes punches again."""

    timesheet_id: UUID
    employee_id: EmployeeId
    period: str


@dataclass(frozen=True, slots=True)
class TimesheetLocked:
    """A timesheet is final."""

    timesheet_id: UUID
    employee_id: EmployeeId
    period: str


@dataclass(frozen=True, slots=True)
class TimeCatalogPublished:
    """A version of the time catalog was published."""

    catalog_version: int
    kind: str
    code: str
    effective_date: date


@dataclass(frozen=True, slots=True)
class CorrectionRequested:
    """Somebody asked for a punch to be corrected."""

    timesheet_id: UUID
    employee_id: EmployeeId
    correction_id: UUID


@dataclass(frozen=True, slots=True)
class CorrectionDecided:
    """A correction was approved or declined."""

    timesheet_id: UUID
    employee_id: EmployeeId
    correction_id: UUID
    approved: bool


@dataclass(frozen=True, slots=True)
class OvertimeRequested:
    """Somebody asked for overtime to be counted."""

    timesheet_id: UUID
    employee_id: EmployeeId
    overtime_request_id: UUID
    work_date: date


@dataclass(frozen=True, slots=True)
class OvertimeDecided:
    """Overtime was approved or declined."""

    timesheet_id: UUID
    employee_id: EmployeeId
    overtime_request_id: UUID
    work_date: date
    approved: bool


@dataclass(frozen=True, slots=True)
class TimesheetAdjusted:
    """A locked timesheet's totals of these work dates changed."""

    timesheet_id: UUID
    employee_id: EmployeeId
    period: str
    work_dates: tuple[date, ...]
