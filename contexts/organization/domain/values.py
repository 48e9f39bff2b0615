"""What is known of a person and of the work, as values."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from uuid import UUID

from kernel.ids import AssignmentId, EmployeeId
from kernel.money import Money
from kernel.period import FOREVER

BEGINNING = date(1000, 1, 1)  # the first day that every engine stores; the first segment of an employee begins here
EARLIEST, LATEST = date(1900, 1, 1), date(2200, 1, 1)  # effective dates that a caller may name


class EmploymentType(Enum):
    """The kind of the employment contract."""

    FULL_TIME = "FULL_TIME"
    PART_TIME = "PART_TIME"
    INTERN = "INTERN"
    CONTRACTOR = "CONTRACTOR"
    TEMPORARY = "TEMPORARY"


class EndReason(Enum):
    """Why a spell ended."""

    RESIGNATION = "RESIGNATION"
    DISMISSAL = "DISMISSAL"
    REDUNDANCY = "REDUNDANCY"
    END_OF_TERM = "END_OF_TERM"
    MUTUAL_AGREEMENT = "MUTUAL_AGREEMENT"
    RETIREMENT = "RETIREMENT"
    DEATH = "DEATH"


class PayUnit(Enum):
    """The span of work that an amount pays for."""

    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"
    YEAR = "YEAR"


class FlsaStatus(Enum):
    """Status under the US Fair Labor Standards Act."""

    EXEMPT = "EXEMPT"
    NON_EXEMPT = "NON_EXEMPT"


class EmployeeStatus(Enum):
    """Where an employee stands on a date; it follows from the spell and is stored nowhere."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    TERMINATED = "TERMINATED"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A value that was encrypted before it came here: the domain keeps it and never reads it.

    `index` is its blind index where it can be searched for, else empty.
    """

    ciphertext: bytes
    index: bytes = b""


SEALED_FIELDS = ("national_id", "email", "phone", "bank_accounts")


@dataclass(frozen=True, slots=True)
class BankAccount:
    """Where a part of the net pay goes: an amount, a percentage of what those leave, or, with neither, the rest."""

    holder_name: str
    account_number: str
    bank_code: str
    bank_name: str
    share_percent: Decimal | None = None
    amount: Money | None = None

    @property
    def takes_rest(self) -> bool:
        """Whether it gets what the other accounts leave."""
        return self.share_percent is None and self.amount is None


@dataclass(frozen=True, slots=True)
class Compensation:
    """An agreed amount in major units (at most 4 digits after the point) per hour, day, week, month or year."""

    amount: Decimal
    currency: str
    unit: PayUnit


@dataclass(frozen=True, slots=True)
class Person:
    """Who somebody is."""

    legal_name: str
    preferred_name: str = ""
    birth_date: date | None = None
    national_id: Sealed | None = None
    email: Sealed | None = None
    phone: Sealed | None = None
    bank_accounts: Sealed | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where and for whom somebody works. Codes are empty where there is none."""

    assignment_id: AssignmentId
    legal_entity: str
    department: str
    location: str
    position: str = ""
    manager_id: EmployeeId | None = None
    work_schedule: str = ""
    pay_group: str = ""
    fte: Decimal = Decimal(1)
    flsa_status: FlsaStatus | None = None
    employment_type: EmploymentType = EmploymentType.FULL_TIME
    grade: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """Everything that holds of the work on a day: assignment, pay, and the answers that the law asks for.

    Invariants: allowances stand in order of their code, statutory answers in order of country and name.
    """

    assignment: Assignment
    compensation: Compensation | None = None
    allowances: tuple[tuple[str, Compensation], ...] = ()
    statutory: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()  # country, then (name, value)


@dataclass(frozen=True, slots=True)
class Spell:
    """One employment from its first day up to, not including, `end`; `FOREVER` while open.

    Invariants: start < end.
    """

    start: date
    end: date = FOREVER
    end_reason: EndReason | None = None

    def __contains__(self, day: date) -> bool:
        return self.start <= day < self.end

    @property
    def open(self) -> bool:
        """Whether no end is agreed."""
        return self.end == FOREVER

    def status(self, day: date) -> EmployeeStatus:
        """Where an employee whose spell this is stands on `day`."""
        if day < self.start:
            return EmployeeStatus.PENDING
        return EmployeeStatus.ACTIVE if day < self.end else EmployeeStatus.TERMINATED


FieldValue = str | bool | date | Decimal | UUID | Sealed | Compensation | EndReason | FlsaStatus | EmploymentType | None
