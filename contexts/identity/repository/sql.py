"""Identity in SQL: explicit mapping between rows and values."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.engine import RowMapping

from chassis.crypto import FieldCipher, Place
from chassis.database import Duplicate, Lock, Tx, delete, select, update
from chassis.outbox import Outbox
from chassis.principal import Call
from chassis.unit_of_work import UnitOfWork
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
)
from contexts.identity.domain.errors import AccountNotFound, LoginTaken, NoSigningKey, TenantExists
from contexts.identity.domain.events import TenantCreated
from contexts.identity.domain.policies import Tries
from contexts.identity.domain.session import EndReason, Session, SessionId
from contexts.identity.domain.signing_key import KeyRing, SigningKey
from contexts.identity.domain.tenant import Tenant
from contexts.identity.repository import tables
from kernel.clock import Clock
from kernel.errors import Stale
from kernel.ids import EmployeeId, TenantId, Version, derived_id
from kernel.period import FOREVER, Period

Row = RowMapping

_account = tables.account.c
_grant = tables.account_grant.c
_session = tables.session.c
_tries = tables.sign_in_tries.c
_key = tables.signing_key.c


class Logins:
    """How a tenant's logins are stored: sealed for reading, with a blind index for finding."""

    def __init__(self, cipher: FieldCipher, tenant_id: TenantId) -> None:
        self._cipher = cipher
        self._tenant_id = tenant_id

    def index(self, login: Login) -> bytes:
        """32 bytes that are equal for equal logins of this tenant."""
        return self._cipher.blind_index(self._tenant_id, "account.login", login)

    def seal(self, login: Login, account_id: AccountId) -> bytes:
        """For the account's row only."""
        return self._cipher.seal_text(login, self._place(account_id))

    def open(self, sealed: bytes, account_id: UUID) -> Login:
        """What was sealed. Raises CiphertextRefused."""
        return Login(self._cipher.open_text(sealed, self._place(account_id)))

    def _place(self, account_id: UUID) -> Place:
        return Place(self._tenant_id, "account", "login_sealed", account_id)


async def _grants(tx: Tx, accounts: Sequence[UUID]) -> Mapping[UUID, tuple[Grant, ...]]:
    if not accounts:
        return {}
    table = tables.account_grant
    found = await tx.rows(select(table).where(_grant.account_id.in_(accounts)).order_by(_grant.grant_id))
    grants: dict[UUID, list[Grant]] = defaultdict(list)
    for row in found:
        grants[row["account_id"]].append(
            Grant(
                GrantId(row["grant_id"]),
                Role(row["role"]),
                Scope(row["legal_entity"], row["department"]),
                Period(row["valid_from"], row["valid_until"]),
                row["granted_by"],
            )
        )
    return {account: tuple(held) for account, held in grants.items()}


async def _states(tx: Tx, logins: Logins, rows: Sequence[Row]) -> list[AccountState]:
    grants = await _grants(tx, [row["account_id"] for row in rows])
    return [
        AccountState(
            AccountId(row["account_id"]),
            logins.open(row["login_sealed"], row["account_id"]),
            row["password_hash"],
            None if row["employee_id"] is None else EmployeeId(row["employee_id"]),
            Status(row["status"]),
            grants.get(row["account_id"], ()),
            Version(row["version"]),
            row["created_time"],
        )
        for row in rows
    ]


def _grant_row(account_id: AccountId, grant: Grant) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "grant_id": grant.id,
        "role": grant.role.value,
        "legal_entity": grant.scope.legal_entity,
        "department": grant.scope.department,
        "valid_from": grant.during.start,
        "valid_until": grant.during.end,
        "granted_by": grant.granted_by,
    }


def _not_found(id: AccountId) -> AccountNotFound:
    return AccountNotFound("there is no such account; check the id", field="account_id", account_id=id)


class SqlAccounts:
    """Accounts with their grants."""

    def __init__(self, tx: Tx, logins: Logins, outbox: Outbox) -> None:
        self._tx = tx
        self._logins = logins
        self._outbox = outbox

    async def get(self, id: AccountId, seen: Version | None = None) -> Account:
        # Held until the end, so that the grants read next are those of this version.
        rows = await self._tx.rows(select(tables.account).where(_account.account_id == id), lock=Lock.UPDATE)
        if not rows:
            raise _not_found(id)
        if seen is not None and rows[0]["version"] != seen:
            raise Stale("the account was changed meanwhile; read it again", version=rows[0]["version"])
        return Account((await _states(self._tx, self._logins, rows))[0])

    async def by_login(self, login: Login) -> Account | None:
        rows = await self._tx.rows(select(tables.account).where(_account.login_index == self._logins.index(login)))
        states = await _states(self._tx, self._logins, rows)
        return Account(states[0]) if states else None

    async def add(self, account: Account) -> None:
        state = replace(account.state, version=Version(1))
        row = {
            "account_id": state.id,
            "login_index": self._logins.index(state.login),
            "login_sealed": self._logins.seal(state.login, state.id),
            "password_hash": state.password_hash,
            "employee_id": state.employee_id,
            "status": state.status.value,
            "version": state.version,
            "created_time": state.created_time,
        }
        try:
            await self._tx.insert(tables.account, row)
        except Duplicate as duplicate:
            if not duplicate.touches("login_index"):
                raise
            raise LoginTaken("an account of this tenant has the login already", field="login") from None
        if state.grants:
            await self._tx.insert(tables.account_grant, [_grant_row(state.id, grant) for grant in state.grants])
        self._saved(account, state)

    async def save(self, account: Account) -> None:
        state = replace(account.state, version=Version(account.state.version + 1))
        changed = update(tables.account).where(
            _account.account_id == state.id, _account.version == account.state.version
        )
        matched = await self._tx.execute(
            changed.values(password_hash=state.password_hash, status=state.status.value, version=state.version)
        )
        if matched != 1:
            raise Stale("the account was changed meanwhile; read it again", account_id=state.id)
        stored = {grant.id for grant in (await _grants(self._tx, [state.id])).get(state.id, ())}
        wanted = {grant.id: grant for grant in state.grants}
        gone = stored - wanted.keys()
        if gone:
            own = delete(tables.account_grant).where(_grant.account_id == state.id, _grant.grant_id.in_(gone))
            await self._tx.execute(own)
        fresh = [_grant_row(state.id, grant) for grant in state.grants if grant.id not in stored]
        if fresh:
            await self._tx.insert(tables.account_grant, fresh)
        self._saved(account, state)

    async def another_lasting_owner(self, besides: AccountId, day: date) -> bool:
        lasting = (
            select(tables.account_grant, _grant.account_id)
            .join(
                tables.account,
                (_account.tenant_id == _grant.tenant_id) & (_account.account_id == _grant.account_id),
            )
            .where(
                _grant.role == Role.OWNER.value,
                _grant.legal_entity == "",
                _grant.department == "",
                _grant.valid_from <= day,
                _grant.valid_until == FOREVER,
                _grant.account_id != besides,
                _account.status == Status.ACTIVE.value,
                _account.password_hash.is_not(None),
            )
            .limit(1)
        )
        return await self._tx.row(lasting) is not None

    def _saved(self, account: Account, state: AccountState) -> None:
        self._outbox.add("account", state.id, state.version, account.pull_events())
        account.state = state


class SqlAccountList:
    """Accounts as they are read, without the aggregate round them."""

    def __init__(self, tx: Tx, cipher: FieldCipher) -> None:
        self._tx = tx
        self._logins = Logins(cipher, tx.tenant_id)

    async def find(
        self, *, login: Login | None, employee_id: EmployeeId | None, after: AccountId | None, limit: int
    ) -> Sequence[AccountState]:
        page = select(tables.account).order_by(_account.account_id).limit(limit)
        if login is not None:
            page = page.where(_account.login_index == self._logins.index(login))
        if employee_id is not None:
            page = page.where(_account.employee_id == employee_id)
        if after is not None:
            page = page.where(_account.account_id > after)
        return await _states(self._tx, self._logins, await self._tx.rows(page))

    async def get(self, id: AccountId) -> AccountState:
        rows = await self._tx.rows(select(tables.account).where(_account.account_id == id))
        if not rows:
            raise _not_found(id)
        return (await _states(self._tx, self._logins, rows))[0]

    async def tenant(self) -> Tenant | None:
        return await _tenant(self._tx)


class SqlSessions:
    """Sessions, one row each."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def get(self, id: SessionId) -> Session | None:
        row = await self._tx.row(select(tables.session).where(_session.session_id == id), lock=Lock.UPDATE)
        return None if row is None else _session_of(row)

    async def live_of(self, account_id: AccountId, at: datetime) -> Sequence[Session]:
        live = select(tables.session).where(
            _session.account_id == account_id, _session.ended_time.is_(None), _session.expires_time > at
        )
        return [_session_of(row) for row in await self._tx.rows(live.order_by(_session.session_id))]

    async def add(self, session: Session) -> None:
        await self._tx.insert(
            tables.session,
            {
                "session_id": session.id,
                "account_id": session.account_id,
                "secret_hash": session.secret_hash,
                "generation": session.generation,
                "opened_time": session.opened_time,
                "expires_time": session.expires_time,
                "refreshed_by": session.refreshed_by,
                "ended_time": session.ended_time,
                "end_reason": None if session.end_reason is None else session.end_reason.value,
            },
        )

    async def save(self, session: Session) -> None:
        changed = update(tables.session).where(_session.session_id == session.id)
        await self._tx.execute(
            changed.values(
                secret_hash=session.secret_hash,
                generation=session.generation,
                expires_time=session.expires_time,
                refreshed_by=session.refreshed_by,
                ended_time=session.ended_time,
                end_reason=None if session.end_reason is None else session.end_reason.value,
            )
        )

    async def end_all(self, account_id: AccountId, reason: EndReason, at: datetime) -> None:
        open_ones = update(tables.session).where(_session.account_id == account_id, _session.ended_time.is_(None))
        await self._tx.execute(open_ones.values(ended_time=at, end_reason=reason.value))

    async def forget(self, account_id: AccountId, before: datetime) -> None:
        old = delete(tables.session).where(_session.account_id == account_id, _session.expires_time < before)
        await self._tx.execute(old)


def _session_of(row: Row) -> Session:
    return Session(
        SessionId(row["session_id"]),
        AccountId(row["account_id"]),
        bytes(row["secret_hash"]),
        row["generation"],
        row["opened_time"],
        row["expires_time"],
        row["refreshed_by"],
        row["ended_time"],
        None if row["end_reason"] is None else EndReason(row["end_reason"]),
    )


class SqlSignInTries:
    """One row per login that was tried, whether it exists or not."""

    def __init__(self, tx: Tx, logins: Logins) -> None:
        self._tx = tx
        self._logins = logins

    async def count(self, login: Login, at: datetime) -> Tries:
        index = self._logins.index(login)
        row = await self._locked(index)
        if row is None:
            first = Tries.first(at)
            try:
                await self._tx.insert(
                    tables.sign_in_tries, {"login_index": index, "since": first.since, "count": first.count}
                )
                return first
            except Duplicate:
                row = await self._locked(index)  # another try was first; its row is there now
                if row is None:
                    raise
        tries = Tries(row["since"], row["count"]).another(at)
        changed = update(tables.sign_in_tries).where(_tries.login_index == index)
        await self._tx.execute(changed.values(since=tries.since, count=tries.count))
        return tries

    async def forget(self, login: Login) -> None:
        await self._tx.execute(delete(tables.sign_in_tries).where(_tries.login_index == self._logins.index(login)))

    async def forget_before(self, at: datetime) -> None:
        await self._tx.execute(delete(tables.sign_in_tries).where(_tries.since < at))

    async def _locked(self, index: bytes) -> Row | None:
        return await self._tx.row(select(tables.sign_in_tries).where(_tries.login_index == index), lock=Lock.UPDATE)


async def _tenant(tx: Tx) -> Tenant | None:
    row = await tx.row(select(tables.tenant))
    if row is None:
        return None
    return Tenant(
        TenantId(row["tenant_id"]),
        row["code"],
        row["name"],
        row["home_zone"],
        row["locale"],
        row["currency"],
        row["created_time"],
    )


class SqlTenants:
    """The tenant of the transaction, one row."""

    def __init__(self, tx: Tx, outbox: Outbox) -> None:
        self._tx = tx
        self._outbox = outbox

    async def get(self) -> Tenant | None:
        return await _tenant(self._tx)

    async def add(self, tenant: Tenant) -> None:
        row = {
            "code": tenant.code,
            "name": tenant.name,
            "home_zone": tenant.home_zone,
            "locale": tenant.locale,
            "currency": tenant.currency,
            "created_time": tenant.created_time,
        }
        try:
            await self._tx.insert(tables.tenant, row)
        except Duplicate:
            raise TenantExists("a tenant with this code exists; choose another", field="code") from None
        created = TenantCreated(tenant.id, tenant.code, tenant.home_zone, tenant.currency)
        self._outbox.add("tenant", tenant.id, 1, [created])


class SqlSigningKeys:
    """The installation's keys; private halves are sealed."""

    def __init__(self, tx: Tx, cipher: FieldCipher) -> None:
        self._tx = tx
        self._cipher = cipher

    async def ring(self) -> KeyRing:
        rows = await self._tx.rows(select(tables.signing_key).limit(1000))
        return KeyRing.of(
            tuple(SigningKey(row["kid"], row["x"], row["y"], row["active_time"], row["expire_time"]) for row in rows)
        )

    async def save(self, ring: KeyRing, minted: SigningKey, private_key: bytes) -> None:
        for key in ring.keys:
            if key.kid != minted.kid:
                older = update(tables.signing_key).where(_key.kid == key.kid)
                await self._tx.execute(older.values(expire_time=key.expire_time))
        await self._tx.insert(
            tables.signing_key,
            {
                "kid": minted.kid,
                "x": minted.x,
                "y": minted.y,
                "private_sealed": self._cipher.seal(private_key, self._place(minted.kid)),
                "active_time": minted.active_time,
                "expire_time": minted.expire_time,
            },
        )

    async def private_key(self, kid: str) -> bytes:
        row = await self._tx.row(select(tables.signing_key, _key.private_sealed).where(_key.kid == kid))
        if row is None:
            raise NoSigningKey("the key is gone; start the identity service again")
        return self._cipher.open(row["private_sealed"], self._place(kid))

    def _place(self, kid: str) -> Place:
        return Place(self._tx.tenant_id, "signing_key", "private_sealed", derived_id("signing_key", kid))


class SqlIdentityWork(UnitOfWork):
    """A unit of work with identity's repositories."""

    def __init__(self, tx: Tx, call: Call, clock: Clock, cipher: FieldCipher) -> None:
        super().__init__(tx, call, clock)
        logins = Logins(cipher, tx.tenant_id)
        self.accounts = SqlAccounts(tx, logins, self.outbox)
        self.sessions = SqlSessions(tx)
        self.tries = SqlSignInTries(tx, logins)
        self.tenants = SqlTenants(tx, self.outbox)
        self.signing_keys = SqlSigningKeys(tx, cipher)

    @property
    def tenant_id(self) -> TenantId:
        """The tenant of the transaction."""
        return self.tx.tenant_id

    @property
    def actor(self) -> str:
        """The subject that calls."""
        return self.call.principal.subject

    async def lock(self, name: str) -> None:
        """Hold the tenant's named lock until the transaction ends."""
        await self.tx.lock(name)


def sql_work(cipher: FieldCipher) -> Callable[[Tx, Call, Clock], SqlIdentityWork]:
    """Opens units of work that seal with this cipher."""
    return lambda tx, call, clock: SqlIdentityWork(tx, call, clock, cipher)
