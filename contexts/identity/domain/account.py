"""The account: a principal of a tenant, with its credential and its grants."""

import unicodedata
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import NewType
from uuid import UUID

from contexts.identity.domain.errors import (
    AccountIsDisabled,
    GrantMalformed,
    GrantNotFound,
    GrantOverlaps,
    LoginMalformed,
    PasswordTooWeak,
    TooManyGrants,
)
from contexts.identity.domain.events import AccountCreated, AccountDisabled, AccountGranted, AccountRevoked
from kernel.aggregate import AggregateRoot
from kernel.ids import EmployeeId, Version
from kernel.period import FOREVER, Period

AccountId = NewType("AccountId", UUID)
GrantId = NewType("GrantId", UUID)
Login = NewType("Login", str)

MAX_GRANTS = 32
LOGIN_LENGTH = range(2, 121)
PASSWORD_LENGTH = range(10, 201)
RESERVED = ":"  # logins of operators' tokens are "token:<role>[:<employee>]", which nobody can type


class Status(Enum):
    """Whether an account may sign in."""

    ACTIVE = "ACTIVE"
    DISABLED = "DISABLED"


NEXT = {  # the whole state machine; verbs that are not here leave the status alone and need ACTIVE
    "disable": {Status.ACTIVE: Status.DISABLED},
}


class Role(Enum):
    """What a grant makes of an account; what a role allows is not known here."""

    OWNER = "owner"
    HR_ADMIN = "hr_admin"
    PAYROLL_ADMIN = "payroll_admin"
    PAYROLL_APPROVER = "payroll_approver"
    MANAGER = "manager"
    EMPLOYEE = "employee"
    DEVICE = "device"
    AUDITOR = "auditor"


def login(text: str, field: str = "login") -> Login:
    """What was typed in `field`, so that equal logins are equal strings. Raises LoginMalformed."""
    folded = unicodedata.normalize("NFKC", text).strip().casefold()
    folded = unicodedata.normalize("NFKC", folded)
    printable = all(unicodedata.category(letter)[0] not in "CZ" for letter in folded)
    if len(folded) not in LOGIN_LENGTH or not printable or RESERVED in folded:
        raise LoginMalformed("a login is 2 to 120 letters without spaces or colons", field=field)
    return Login(folded)


def token_login(role: Role, employee_id: EmployeeId | None) -> Login:
    """The login of the account that an operator's token for this role stands for."""
    parts = ("token", role.value) if employee_id is None else ("token", role.value, str(employee_id))
    return Login(RESERVED.join(parts))


def check_password(password: str, owner: Login, field: str = "password") -> None:
    """Raises PasswordTooWeak for one that is too short, too long, the login, or made of fewer than four letters."""
    if len(password) not in PASSWORD_LENGTH:
        raise PasswordTooWeak("a password is 10 to 200 characters long", field=field)
    if password.strip().casefold() == owner or len(set(password)) < 4:
        raise PasswordTooWeak("choose a password that is not the login and not one letter repeated", field=field)


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of a tenant to which a grant is limited; both empty means the whole tenant.

    Invariants: at most one of the two codes is set.
    """

    legal_entity: str = ""
    department: str = ""

    def __post_init__(self) -> None:
        if self.legal_entity and self.department:
            raise GrantMalformed(
                "a grant is limited by a legal entity or by a department, not both", field="department"
            )

    @property
    def suffix(self) -> str:
        """How tokens write it after the role: "", "@legal_entity:CODE" or "@department:CODE"."""
        if self.legal_entity:
            return f"@legal_entity:{self.legal_entity}"
        return f"@department:{self.department}" if self.department else ""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role for a time, given by somebody.

    Invariants: `during` is half-open civil days in the tenant's home zone, open-ended until revoked.
    """

    id: GrantId
    role: Role
    scope: Scope
    during: Period
    granted_by: str

    @property
    def valid_until(self) -> date | None:
        """The first day on which it no longer holds, None = until it is revoked."""
        return None if self.during.end == FOREVER else self.during.end

    @property
    def claim(self) -> str:
        """As a token's `roles` name it; a limited role never reads like the unlimited one."""
        return self.role.value + self.scope.suffix


@dataclass(frozen=True, slots=True)
class AccountState:
    """Everything about an account but its sessions, which are stored as parts of it."""

    id: AccountId
    login: Login
    password_hash: str | None
    employee_id: EmployeeId | None
    status: Status
    grants: tuple[Grant, ...]
    version: Version
    created_time: datetime


class Account(AggregateRoot[AccountState]):
    """A principal of a tenant: a person's sign-in, a device, or what an operator's token stands for.

    Invariants: at most 32 grants; no role is held twice in one scope on one day; a disabled account never changes.
    """

    @classmethod
    def create(
        cls,
        id: AccountId,
        login: Login,
        at: datetime,
        *,
        password_hash: str | None = None,
        employee_id: EmployeeId | None = None,
    ) -> "Account":
        """A new account without grants."""
        state = AccountState(id, login, password_hash, employee_id, Status.ACTIVE, (), Version(0), at)
        account = cls(state)
        account._apply(AccountCreated(id, employee_id))
        return account

    def grant(self, grant: Grant) -> None:
        """Give a role. Raises AccountIsDisabled, TooManyGrants, GrantOverlaps."""
        self._check_active()
        if len(self.state.grants) >= MAX_GRANTS:
            raise TooManyGrants(f"an account holds at most {MAX_GRANTS} grants; revoke one first")
        for held in self.state.grants:
            if (held.role, held.scope) == (grant.role, grant.scope) and held.during.overlaps(grant.during):
                raise GrantOverlaps("the account holds this role there already on some of these days", grant_id=held.id)
        granted = AccountGranted(
            self.state.id,
            grant.id,
            grant.role.value,
            grant.scope.legal_entity,
            grant.scope.department,
            grant.during.start,
            grant.valid_until,
        )
        self._apply(granted, grants=(*self.state.grants, grant))

    def revoke(self, grant_id: GrantId) -> None:
        """Take a grant back. Raises AccountIsDisabled, GrantNotFound."""
        self._check_active()
        revoked = self.held(grant_id)
        kept = tuple(grant for grant in self.state.grants if grant.id != grant_id)
        self._apply(AccountRevoked(self.state.id, grant_id, revoked.role.value), grants=kept)

    def disable(self) -> None:
        """Never let it in again. Raises AccountIsDisabled."""
        self._check_active()
        self._apply(AccountDisabled(self.state.id), status=NEXT["disable"][self.state.status])

    def held(self, grant_id: GrantId) -> Grant:
        """One of its grants. Raises GrantNotFound."""
        for grant in self.state.grants:
            if grant.id == grant_id:
                return grant
        raise GrantNotFound("the account holds no such grant; read it again", field="grant_id")

    def _check_active(self) -> None:
        if self.state.status is not Status.ACTIVE:
            raise AccountIsDisabled("the account is disabled and can no longer be changed", account_id=self.state.id)


def claims_on(state: AccountState, day: date) -> tuple[str, ...]:
    """The roles that a token issued on that day carries, in alphabetical order."""
    return tuple(sorted({grant.claim for grant in state.grants if day in grant.during}))


def is_lasting_owner(state: AccountState, day: date) -> bool:
    """Whether somebody who can sign in owns the whole tenant on that day with no end in sight."""
    can_sign_in = state.status is Status.ACTIVE and state.password_hash is not None
    return can_sign_in and any(owns_for_good(grant, day) for grant in state.grants)


def owns_for_good(grant: Grant, day: date) -> bool:
    """Whether this grant alone makes an owner of the whole tenant from that day on."""
    return grant.role is Role.OWNER and grant.scope == Scope() and day in grant.during and grant.during.end == FOREVER
