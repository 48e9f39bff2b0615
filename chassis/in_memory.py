"""What the memory repositories of all contexts have in common: rows by tenant, and works that take turns."""

import asyncio
import copy
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Generic, Self, TypeVar
from uuid import UUID

from chassis.outbox import PendingOutbox, Saved
from kernel.ids import TenantId


@dataclass(slots=True)
class RowsInMemory:
    """What one tenant has stored: its fields are containers of frozen values, or numbers."""

    def copied(self) -> Self:
        """The same rows, to be changed apart."""
        made = copy.copy(self)
        for one in fields(self):
            value = getattr(self, one.name)
            setattr(made, one.name, value if isinstance(value, int) else value.copy())
        return made


class WorkInMemory:
    """One command's work: who works for whom, the clock, ids, and what it leaves behind."""

    def __init__(
        self, tenant_id: TenantId, now: Callable[[], datetime], new_id: Callable[[], UUID], actor: str = "process:test"
    ) -> None:
        self.tenant_id = tenant_id
        self.actor = actor
        self.outbox = PendingOutbox()
        self.noted: tuple[UUID | str, str | None] | None = None
        self._now = now
        self._new_id = new_id

    def now(self) -> datetime:
        """The current instant."""
        return self._now()

    def new_id(self) -> UUID:
        """A new id."""
        return self._new_id()

    async def lock(self, name: str) -> None:
        """Nothing to do: works take turns."""

    def note(self, subject: UUID | str, reason: str | None = None, before: bytes = b"", after: bytes = b"") -> None:
        """What the audit row would say."""
        self.noted = (subject, reason)


Rows = TypeVar("Rows", bound=RowsInMemory)
Work = TypeVar("Work", bound=WorkInMemory)


class TenantsInMemory(Generic[Rows]):
    """Every tenant's rows.

    Invariants: works take turns; a work that raises leaves nothing behind.
    """

    def __init__(self, empty: Callable[[], Rows]) -> None:
        self.saved: list[Saved] = []
        self._rows: defaultdict[TenantId, Rows] = defaultdict(empty)
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def changed(self, tenant_id: TenantId, open_work: Callable[[Rows], Work]) -> AsyncIterator[Work]:
        """A work over a copy of the tenant's rows, kept when the block ends without an error."""
        async with self._turn:
            rows = self._rows[tenant_id].copied()
            work = open_work(rows)
            yield work
            self._rows[tenant_id] = rows
            self.saved += work.outbox.saved
