"""How somebody comes in: a counted try, a session, its refreshes, and an operator's token.

None of these answers is stored for idempotency: each is a secret.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from contexts.identity.domain.account import (
    Account,
    AccountId,
    AccountState,
    Grant,
    GrantId,
    Login,
    Role,
    Scope,
    Status,
    claims_on,
    token_login,
)
from contexts.identity.domain.errors import AccountIsDisabled, SignInRefused
from contexts.identity.domain.policies import WINDOW
from contexts.identity.domain.session import MAX_SESSIONS, EndReason, Session, SessionId
from contexts.identity.handlers.accounts import existing_tenant
from contexts.identity.repository.port import IdentityWork
from kernel.ids import EmployeeId
from kernel.period import Period

KEPT = timedelta(days=90)  # expired sessions, for investigations


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a password must be held against; `account_id` is None where nothing can match."""

    account_id: AccountId | None
    password_hash: str | None


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Open a session after the password matched `password_hash`; `secret_hash` is SHA-256 of the refresh secret."""

    account_id: AccountId
    login: Login
    password_hash: str
    secret_hash: bytes


@dataclass(frozen=True, slots=True)
class RefreshSession:
    """Use up one refresh secret for the next; both are SHA-256. The next one follows from the presented one."""

    session_id: SessionId
    presented: bytes
    following: bytes
    request_id: UUID | None


@dataclass(frozen=True, slots=True)
class IssueToken:
    """Stand up the account of an operator's token."""

    role: Role
    employee_id: EmployeeId | None


@dataclass(frozen=True, slots=True)
class Admitted:
    """Somebody who may have an access token now, with the roles of today."""

    account: AccountState
    roles: tuple[str, ...]
    session: Session | None = None


NOBODY = Challenge(None, None)


async def count_try(login: Login, work: IdentityWork) -> Challenge:
    """Count one try, then say what to hold the password against. Raises TooManyTries."""
    if await work.tenants.get() is None:
        return NOBODY  # nothing is stored for a tenant that does not exist
    now = work.now()
    await work.tries.forget_before(now - WINDOW)
    await work.tries.count(login, now)
    account = await work.accounts.by_login(login)
    work.note(account.state.id if account else "unknown login")
    if account is None or account.state.status is not Status.ACTIVE or account.state.password_hash is None:
        return NOBODY
    return Challenge(account.state.id, account.state.password_hash)


async def open_session(cmd: OpenSession, work: IdentityWork) -> Admitted:
    """The session of a password that matched. Raises SignInRefused where the account changed meanwhile."""
    now = work.now()
    account = (await work.accounts.get(cmd.account_id)).state
    if account.status is not Status.ACTIVE or account.password_hash != cmd.password_hash:
        raise SignInRefused("login or password is wrong")
    await work.tries.forget(cmd.login)
    await work.sessions.forget(account.id, now - KEPT)
    live = await work.sessions.live_of(account.id, now)
    for displaced in live[: max(len(live) - MAX_SESSIONS + 1, 0)]:
        await work.sessions.save(displaced.ended(EndReason.DISPLACED, now))
    session = Session.open(SessionId(work.new_id()), account.id, cmd.secret_hash, now)
    await work.sessions.add(session)
    work.note(account.id)
    return Admitted(account, await _roles_today(account, work), session)


async def refresh_session(cmd: RefreshSession, work: IdentityWork) -> Admitted | None:
    """The refreshed session; None where it is refused, and then what ended with it is kept all the same."""
    now = work.now()
    session = await work.sessions.get(cmd.session_id)
    if session is None or not session.is_live(now):
        work.note(cmd.session_id, "over")
        return None
    work.note(session.account_id)
    account = (await work.accounts.get(session.account_id)).state
    if session.was_given(cmd.following, cmd.request_id) and account.status is Status.ACTIVE:
        return Admitted(account, await _roles_today(account, work), session)
    if not session.holds(cmd.presented):
        # Its holder and a thief cannot be told apart, so neither goes on.
        await work.sessions.save(session.ended(EndReason.REUSED, now))
        work.note(session.account_id, "refresh token used twice")
        return None
    if account.status is not Status.ACTIVE:
        await work.sessions.save(session.ended(EndReason.DISABLED, now))
        return None
    refreshed = session.refreshed(cmd.presented, cmd.following, now, cmd.request_id)
    await work.sessions.save(refreshed)
    return Admitted(account, await _roles_today(account, work), refreshed)


async def issue_token(cmd: IssueToken, work: IdentityWork) -> Admitted:
    """The account that the operator's token stands for, made at first use.

    Raises TenantNotFound, AccountIsDisabled, LoginTaken where another call made it meanwhile.
    """
    tenant = await existing_tenant(work)
    today = tenant.today(work.now())
    login = token_login(cmd.role, cmd.employee_id)
    account = await work.accounts.by_login(login)
    grant = Grant(GrantId(work.new_id()), cmd.role, Scope(), Period.since(today), work.actor)
    if account is None:
        account = Account.create(AccountId(work.new_id()), login, work.now(), employee_id=cmd.employee_id)
        account.grant(grant)
        await work.accounts.add(account)
    elif account.state.status is not Status.ACTIVE:
        raise AccountIsDisabled("the account of this token was disabled", account_id=account.state.id)
    elif grant.claim not in claims_on(account.state, today):
        account.grant(grant)
        await work.accounts.save(account)
    work.note(account.state.id, f"token for {cmd.role.value}")
    return Admitted(account.state, (cmd.role.value,))


async def _roles_today(account: AccountState, work: IdentityWork) -> tuple[str, ...]:
    tenant = await existing_tenant(work)
    return claims_on(account, tenant.today(work.now()))
