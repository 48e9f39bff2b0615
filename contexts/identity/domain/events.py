"""What happened to tenants and accounts."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from kernel.ids import EmployeeId, TenantId


@dataclass(frozen=True, slots=True)
class TenantCreated:
    """A company started to use the installation."""

    tenant_id: TenantId
    code: str
    home_zone: str
    currency: str


@dataclass(frozen=True, slots=True)
class AccountCreated:
    """An account exists."""

    account_id: UUID
    employee_id: EmployeeId | None


@dataclass(frozen=True, slots=True)
class AccountGranted:
    """An account was given a role; `legal_entity` and `department` limit it, "" = the whole tenant."""

    account_id: UUID
    grant_id: UUID
    role: str
    legal_entity: str
    department: str
    valid_from: date
    valid_until: date | None


@dataclass(frozen=True, slots=True)
class AccountRevoked:
    """A grant was taken back."""

    account_id: UUID
    grant_id: UUID
    role: str


@dataclass(frozen=True, slots=True)
class AccountDisabled:
    """An account may not sign in any more."""

    account_id: UUID
