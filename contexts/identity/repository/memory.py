"""Identity in dictionaries: for tests and trials, with the same promises as SQL."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import UUID

from chassis.in_memory import RowsInMemory, TenantsInMemory, WorkInMemory
from chassis.outbox import Outbox, PendingOutbox
from contexts.identity.domain.account import Account, AccountId, AccountState, Login, is_lasting_owner
from contexts.identity.domain.errors import AccountNotFound, LoginTaken, NoSigningKey, TenantExists
from contexts.identity.domain.events import TenantCreated
from contexts.identity.domain.policies import Tries
from contexts.identity.domain.session import EndReason, Session, SessionId
from contexts.identity.domain.signing_key import KeyRing, SigningKey
from contexts.identity.domain.tenant import Tenant
from kernel.errors import Stale
from kernel.ids import EmployeeId, TenantId, Version


@dataclass(slots=True)
class Rows(RowsInMemory):
    """What one tenant has stored."""

    accounts: dict[AccountId, AccountState] = field(default_factory=dict)
    sessions: dict[SessionId, Session] = field(default_factory=dict)
    tries: dict[Login, Tries] = field(default_factory=dict)
    tenants: dict[TenantId, Tenant] = field(default_factory=dict)
    signing_keys: dict[str, SigningKey] = field(default_factory=dict)
    private_keys: dict[str, bytes] = field(default_factory=dict)


class MemoryAccounts:
    """Accounts with their grants, and as they are read."""

    def __init__(self, rows: Rows, outbox: Outbox) -> None:
        self._rows = rows.accounts
        self._outbox = outbox

    async def get(self, id: AccountId, seen: Version | None = None) -> Account:
        state = self._rows.get(id)
        if state is None:
            raise AccountNotFound("there is no such account; check the id", field="account_id", account_id=id)
        if seen is not None and state.version != seen:
            raise Stale("the account was changed meanwhile; read it again", version=state.version)
        return Account(state)

    async def by_login(self, login: Login) -> Account | None:
        return next((Account(state) for state in self._rows.values() if state.login == login), None)

    async def add(self, account: Account) -> None:
        if await self.by_login(account.state.login) is not None:
            raise LoginTaken("an account of this tenant has the login already", field="login")
        self._saved(account, Version(1))

    async def save(self, account: Account) -> None:
        stored = self._rows.get(account.state.id)
        if stored is None or stored.version != account.state.version:
            raise Stale("the account was changed meanwhile; read it again", account_id=account.state.id)
        self._saved(account, Version(account.state.version + 1))

    async def another_lasting_owner(self, besides: AccountId, day: date) -> bool:
        return any(is_lasting_owner(state, day) for id, state in self._rows.items() if id != besides)

    def _saved(self, account: Account, version: Version) -> None:
        state = replace(account.state, version=version)
        self._rows[state.id] = state
        self._outbox.add("account", state.id, version, account.pull_events())
        account.state = state


class MemoryAccountList:
    """Accounts as they are read."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def find(
        self, *, login: Login | None, employee_id: EmployeeId | None, after: AccountId | None, limit: int
    ) -> Sequence[AccountState]:
        found = (
            state
            for id, state in sorted(self._rows.accounts.items())
            if (login is None or state.login == login)
            and (employee_id is None or state.employee_id == employee_id)
            and (after is None or id > after)
        )
        return list(found)[:limit]

    async def get(self, id: AccountId) -> AccountState:
        return (await MemoryAccounts(self._rows, PendingOutbox()).get(id)).state

    async def tenant(self) -> Tenant | None:
        return next(iter(self._rows.tenants.values()), None)


class MemorySessions:
    """Sessions by id."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows.sessions

    async def get(self, id: SessionId) -> Session | None:
        return self._rows.get(id)

    async def live_of(self, account_id: AccountId, at: datetime) -> Sequence[Session]:
        own = (session for _, session in sorted(self._rows.items()) if session.account_id == account_id)
        return [session for session in own if session.is_live(at)]

    async def add(self, session: Session) -> None:
        self._rows[session.id] = session

    async def save(self, session: Session) -> None:
        self._rows[session.id] = session

    async def end_all(self, account_id: AccountId, reason: EndReason, at: datetime) -> None:
        for id, session in self._rows.items():
            if session.account_id == account_id:
                self._rows[id] = session.ended(reason, at)

    async def forget(self, account_id: AccountId, before: datetime) -> None:
        for id, session in list(self._rows.items()):
            if session.account_id == account_id and session.expires_time < before:
                del self._rows[id]


class MemorySignInTries:
    """Tries by login."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows.tries

    async def count(self, login: Login, at: datetime) -> Tries:
        before = self._rows.get(login)
        self._rows[login] = Tries.first(at) if before is None else before.another(at)
        return self._rows[login]

    async def forget(self, login: Login) -> None:
        self._rows.pop(login, None)

    async def forget_before(self, at: datetime) -> None:
        for login, tries in list(self._rows.items()):
            if tries.since < at:
                del self._rows[login]


class MemoryTenants:
    """The one tenant of these rows."""

    def __init__(self, rows: Rows, outbox: Outbox) -> None:
        self._rows = rows.tenants
        self._outbox = outbox

    async def get(self) -> Tenant | None:
        return next(iter(self._rows.values()), None)

    async def add(self, tenant: Tenant) -> None:
        if self._rows:
            raise TenantExists("a tenant with this code exists; choose another", field="code")
        self._rows[tenant.id] = tenant
        created = TenantCreated(tenant.id, tenant.code, tenant.home_zone, tenant.currency)
        self._outbox.add("tenant", tenant.id, 1, [created])


class MemorySigningKeys:
    """Keys by name."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def ring(self) -> KeyRing:
        return KeyRing.of(tuple(self._rows.signing_keys.values()))

    async def save(self, ring: KeyRing, minted: SigningKey, private_key: bytes) -> None:
        self._rows.signing_keys.update({key.kid: key for key in ring.keys})
        self._rows.private_keys[minted.kid] = private_key

    async def private_key(self, kid: str) -> bytes:
        if kid not in self._rows.private_keys:
            raise NoSigningKey("the key is gone; start the identity service again")
        return self._rows.private_keys[kid]


class MemoryIdentityWork(WorkInMemory):
    """A unit of work over a copy of the tenant's rows."""

    def __init__(
        self, rows: Rows, tenant_id: TenantId, actor: str, now: Callable[[], datetime], new_id: Callable[[], UUID]
    ) -> None:
        super().__init__(tenant_id, now, new_id, actor)
        self.accounts = MemoryAccounts(rows, self.outbox)
        self.sessions = MemorySessions(rows)
        self.tries = MemorySignInTries(rows)
        self.tenants = MemoryTenants(rows, self.outbox)
        self.signing_keys = MemorySigningKeys(rows)


class MemoryIdentity(TenantsInMemory[Rows]):
    """Every tenant's accounts, sessions and keys."""

    def __init__(self, now: Callable[[], datetime], new_id: Callable[[], UUID]) -> None:
        super().__init__(Rows)
        self._now = now
        self._new_id = new_id

    def work(self, tenant_id: TenantId, actor: str = "process:test") -> AbstractAsyncContextManager[MemoryIdentityWork]:
        """One command's work, kept when the block ends without an error."""
        return self.changed(tenant_id, lambda rows: MemoryIdentityWork(rows, tenant_id, actor, self._now, self._new_id))

    def view(self, tenant_id: TenantId) -> MemoryAccountList:
        """The tenant's accounts as they are now."""
        return MemoryAccountList(self._rows[tenant_id])
