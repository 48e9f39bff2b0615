"""Commands and queries about accounts and their grants."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from contexts.identity.domain.account import (
    Account,
    AccountId,
    AccountState,
    Grant,
    GrantId,
    Login,
    Role,
    Scope,
    is_lasting_owner,
)
from contexts.identity.domain.errors import GrantMalformed, LastOwner, TenantNotFound
from contexts.identity.domain.session import EndReason
from contexts.identity.domain.tenant import Tenant
from contexts.identity.repository.port import AccountList, IdentityWork
from kernel.ids import EmployeeId, Version
from kernel.period import FOREVER, Period

OWNERS = "owners"  # the set rule "a tenant keeps an owner" holds under this lock


@dataclass(frozen=True, slots=True)
class CreateAccount:
    """Let somebody in. `password_hash` is None for an account that cannot sign in by itself."""

    login: Login
    employee_id: EmployeeId | None
    password_hash: str | None


@dataclass(frozen=True, slots=True)
class GrantRole:
    """Give a role; without `valid_from` from today on."""

    account_id: AccountId
    seen: Version | None
    role: Role
    scope: Scope
    valid_from: date | None
    valid_until: date | None


@dataclass(frozen=True, slots=True)
class RevokeRole:
    """Take a grant back."""

    account_id: AccountId
    seen: Version | None
    grant_id: GrantId


@dataclass(frozen=True, slots=True)
class DisableAccount:
    """Never let it in again; `why` goes to the audit trail."""

    account_id: AccountId
    seen: Version | None
    why: str


@dataclass(frozen=True, slots=True)
class FindAccounts:
    """A page of accounts."""

    login: Login | None
    employee_id: EmployeeId | None
    after: AccountId | None
    limit: int


async def create_account(cmd: CreateAccount, work: IdentityWork) -> AccountState:
    """Raises TenantNotFound, LoginTaken."""
    await existing_tenant(work)
    account = Account.create(
        AccountId(work.new_id()),
        cmd.login,
        work.now(),
        password_hash=cmd.password_hash,
        employee_id=cmd.employee_id,
    )
    await work.accounts.add(account)
    return account.state


async def grant_role(cmd: GrantRole, work: IdentityWork) -> AccountState:
    """Raises AccountNotFound, Stale, AccountIsDisabled, GrantMalformed, GrantOverlaps, TooManyGrants."""
    tenant = await existing_tenant(work)
    account = await work.accounts.get(cmd.account_id, seen=cmd.seen)
    during = granted_days(cmd.valid_from or tenant.today(work.now()), cmd.valid_until)
    account.grant(Grant(GrantId(work.new_id()), cmd.role, cmd.scope, during, work.actor))
    await work.accounts.save(account)
    return account.state


async def revoke_role(cmd: RevokeRole, work: IdentityWork) -> AccountState:
    """Raises AccountNotFound, Stale, AccountIsDisabled, GrantNotFound, LastOwner."""
    await work.lock(OWNERS)
    account = await work.accounts.get(cmd.account_id, seen=cmd.seen)
    before = account.state
    account.revoke(cmd.grant_id)
    await _keep_an_owner(before, account.state, work)
    await work.accounts.save(account)
    return account.state


async def disable_account(cmd: DisableAccount, work: IdentityWork) -> AccountState:
    """Raises AccountNotFound, Stale, AccountIsDisabled, LastOwner."""
    await work.lock(OWNERS)
    account = await work.accounts.get(cmd.account_id, seen=cmd.seen)
    before = account.state
    account.disable()
    await _keep_an_owner(before, account.state, work)
    await work.accounts.save(account)
    await work.sessions.end_all(cmd.account_id, EndReason.DISABLED, work.now())
    work.note(cmd.account_id, cmd.why or None)
    return account.state


async def get_account(account_id: AccountId, accounts: AccountList) -> AccountState:
    """Raises AccountNotFound."""
    return await accounts.get(account_id)


async def find_accounts(query: FindAccounts, accounts: AccountList) -> Sequence[AccountState]:
    """One page, in the order of creation."""
    return await accounts.find(login=query.login, employee_id=query.employee_id, after=query.after, limit=query.limit)


async def existing_tenant(work: IdentityWork) -> Tenant:
    """The tenant of the call. Raises TenantNotFound."""
    tenant = await work.tenants.get()
    if tenant is None:
        raise TenantNotFound("this tenant was never created; create it first")
    return tenant


def granted_days(start: date, end: date | None) -> Period:
    """The days of a grant. Raises GrantMalformed."""
    if end is not None and end <= start:
        raise GrantMalformed("a grant ends after it starts", field="valid_until")
    return Period(start, FOREVER if end is None else end)


async def _keep_an_owner(before: AccountState, after: AccountState, work: IdentityWork) -> None:
    day = (await existing_tenant(work)).today(work.now())
    if not is_lasting_owner(before, day) or is_lasting_owner(after, day):
        return
    if not await work.accounts.another_lasting_owner(after.id, day):
        raise LastOwner("this is the tenant's last owner; make somebody else an owner first", account_id=after.id)
