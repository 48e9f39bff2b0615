"""The questions that identity's handlers ask of what is stored."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from contexts.identity.domain.account import Account, AccountId, AccountState, Login
from contexts.identity.domain.policies import Tries
from contexts.identity.domain.session import EndReason, Session, SessionId
from contexts.identity.domain.signing_key import KeyRing, SigningKey
from contexts.identity.domain.tenant import Tenant
from kernel.ids import EmployeeId, TenantId, Version


class Accounts(Protocol):
    """The accounts of one tenant."""

    async def get(self, id: AccountId, seen: Version | None = None) -> Account:
        """Raises AccountNotFound, and Stale where its version is not the one that was seen."""
        ...

    async def by_login(self, login: Login) -> Account | None:
        """The account with this login."""
        ...

    async def add(self, account: Account) -> None:
        """Keep a new account; its version becomes 1. Raises LoginTaken."""
        ...

    async def save(self, account: Account) -> None:
        """Keep a changed account; its version rises by one. Raises Stale."""
        ...

    async def another_lasting_owner(self, besides: AccountId, day: date) -> bool:
        """Whether somebody else owns the whole tenant on that day with no end in sight."""
        ...


class AccountList(Protocol):
    """The accounts of one tenant, for reading."""

    async def find(
        self, *, login: Login | None, employee_id: EmployeeId | None, after: AccountId | None, limit: int
    ) -> Sequence[AccountState]:
        """At most `limit` accounts in the order of their ids, those after `after`."""
        ...

    async def get(self, id: AccountId) -> AccountState:
        """Raises AccountNotFound."""
        ...

    async def tenant(self) -> Tenant | None:
        """The tenant itself, None where it was never created."""
        ...


class Sessions(Protocol):
    """The sessions of one tenant's accounts."""

    async def get(self, id: SessionId) -> Session | None:
        """A session, which no other transaction changes until this one ends."""
        ...

    async def live_of(self, account_id: AccountId, at: datetime) -> Sequence[Session]:
        """The account's live sessions, oldest first."""
        ...

    async def add(self, session: Session) -> None:
        """Keep a new session."""
        ...

    async def save(self, session: Session) -> None:
        """Keep a changed session."""
        ...

    async def end_all(self, account_id: AccountId, reason: EndReason, at: datetime) -> None:
        """End every session of the account that has not ended."""
        ...

    async def forget(self, account_id: AccountId, before: datetime) -> None:
        """Drop the account's sessions that expired before that instant."""
        ...


class SignInTries(Protocol):
    """How often a sign-in was tried with which login, existing or not."""

    async def count(self, login: Login, at: datetime) -> Tries:
        """One more try. Raises TooManyTries."""
        ...

    async def forget(self, login: Login) -> None:
        """Start afresh for this login."""
        ...

    async def forget_before(self, at: datetime) -> None:
        """Drop every window that opened before that instant."""
        ...


class Tenants(Protocol):
    """The tenant of the call."""

    async def get(self) -> Tenant | None:
        """None where it was never created."""
        ...

    async def add(self, tenant: Tenant) -> None:
        """Keep the new tenant. Raises TenantExists."""
        ...


class SigningKeys(Protocol):
    """The installation's signing keys."""

    async def ring(self) -> KeyRing:
        """All keys that are kept."""
        ...

    async def save(self, ring: KeyRing, minted: SigningKey, private_key: bytes) -> None:
        """Keep a ring that `minted` was added to, with the private half of it (PEM)."""
        ...

    async def private_key(self, kid: str) -> bytes:
        """The private half of a key of the ring (PEM)."""
        ...


class IdentityWork(Protocol):
    """One command's work in one tenant: everything commits together or not at all."""

    @property
    def tenant_id(self) -> TenantId:
        """The tenant of the call."""
        ...

    @property
    def actor(self) -> str:
        """The subject that calls."""
        ...

    @property
    def accounts(self) -> Accounts:
        """Its accounts."""
        ...

    @property
    def sessions(self) -> Sessions:
        """Their sessions."""
        ...

    @property
    def tries(self) -> SignInTries:
        """Sign-ins that were tried."""
        ...

    @property
    def tenants(self) -> Tenants:
        """The tenant itself."""
        ...

    @property
    def signing_keys(self) -> SigningKeys:
        """The installation's keys; only under the installation's own tenant id."""
        ...

    def now(self) -> datetime:
        """The current instant."""
        ...

    def new_id(self) -> UUID:
        """A new UUIDv7."""
        ...

    async def lock(self, name: str) -> None:
        """Hold the tenant's named lock until the work ends."""
        ...

    def note(self, subject: UUID | str, reason: str | None = None) -> None:
        """What the audit row says."""
        ...
