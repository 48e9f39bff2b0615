"""The one wrapper round every handler: idempotency, rule, audit, events and state in one transaction."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID, uuid4

from google.protobuf.message import Message

from chassis import audit
from chassis.crypto import FieldCipher
from chassis.database import Contention, Database, Duplicate, Tx, Unavailable
from chassis.idempotency import InFlight, RequestIdMissing, store_answer, stored_answer
from chassis.outbox import PendingOutbox
from chassis.principal import Call, Principal, current_call
from kernel.clock import Clock
from kernel.errors import DomainError
from kernel.ids import TenantId, uuid7

MAX_TRIES = 3

replayed: ContextVar[bool] = ContextVar("muster_replayed", default=False)
"""True in the serving task once the answer is one that was stored before; the server says so in its trailers."""


class UnitOfWork:
    """One command's work: its transaction, its call, the time and new ids. Contexts add their repositories.

    Invariants: what the command changed, its events, its audit row and its answer commit together or not at all.
    """

    def __init__(self, tx: Tx, call: Call, clock: Clock) -> None:
        self.tx = tx
        self.call = call
        self.outbox = PendingOutbox()
        self.noted: audit.Note | None = None
        self._clock = clock

    def now(self) -> datetime:
        """The current instant, read inside the write transaction."""
        return self._clock.now()

    def new_id(self) -> UUID:
        """A new UUIDv7."""
        return uuid7(self._clock.now(), os.urandom(10))

    def note(self, subject: UUID | str, reason: str | None = None, before: bytes = b"", after: bytes = b"") -> None:
        """What the audit row of this command says; without it, the first aggregate that was saved."""
        self.noted = audit.Note(str(subject), reason, before, after)

    def audit_note(self) -> audit.Note:
        """The note, or one made from the first saved aggregate."""
        if self.noted is not None:
            return self.noted
        first = self.outbox.saved[0] if self.outbox.saved else None
        return audit.Note(f"{first.aggregate_type}/{first.aggregate_id}" if first else "")


U = TypeVar("U", bound=UnitOfWork)
Q = TypeVar("Q")
R = TypeVar("R")


class Commands(Generic[U]):
    """Runs commands, each in one transaction; a lost race for a lock is run again, at most three times in all."""

    def __init__(
        self,
        database: Database,
        open_unit: Callable[[Tx, Call, Clock], U],
        publish: Callable[[object], Message | None],
        clock: Clock,
        committed: Callable[[], None] = lambda: None,
        cipher: FieldCipher | None = None,
    ) -> None:
        """`publish` turns a domain event into its published message; `committed` wakes the sequencer.

        With a `cipher`, stored answers are sealed: for contexts whose answers hold personal data.
        """
        self._cipher = cipher
        self._database = database
        self._open_unit = open_unit
        self._publish = publish
        self._clock = clock
        self._committed = committed
        self._in_flight = InFlight()

    async def run(
        self, handler: Callable[[U], Awaitable[R]], answer: Callable[[R], Message], *, together: bool = False
    ) -> Message:
        """The handler's result as the response message, or the stored one of a request that was served before.

        A command that is short and comes often may share its commit with others like it (`together`).
        Raises what the handler raises, RequestIdMissing, RequestIdReused, RequestInFlight, Unavailable.
        """
        call = current_call()
        if call.request_id is None:
            raise RequestIdMissing("a change needs a request_id", field="request_id")
        async with self._in_flight.alone(call.tenant_id, call.request_id):
            for tries_left in reversed(range(MAX_TRIES)):
                try:
                    return await self._once(call, handler, answer, together)
                except (DomainError, Duplicate):
                    # Another process may have served this very request meanwhile: then its answer is the answer.
                    before = await self._answered(call)
                    if before is not None:
                        return before
                    raise
                except Unavailable as error:
                    if not tries_left or call.deadline <= asyncio.get_running_loop().time():
                        raise
                    if isinstance(error, Contention):
                        await asyncio.sleep(random.uniform(0.001, 0.02))
        raise AssertionError("unreachable")

    async def _once(
        self, call: Call, handler: Callable[[U], Awaitable[R]], answer: Callable[[R], Message], together: bool
    ) -> Message:
        async with self._database.write(call.tenant_id, call.deadline, together=together) as tx:
            before = await stored_answer(tx, call, self._cipher)
            if before is not None:
                replayed.set(True)
                return before
            unit = self._open_unit(tx, call, self._clock)
            message = answer(await handler(unit))
            now = unit.now()
            published = await unit.outbox.write(tx, self._publish, unit.new_id, now)
            await audit.write(tx, call, unit.audit_note(), unit.new_id(), now)
            await store_answer(tx, call, message, now, self._cipher)
        if published:
            self._committed()
        return message

    async def _answered(self, call: Call) -> Message | None:
        async with self._database.read(call.tenant_id, call.deadline) as tx:
            before = await stored_answer(tx, call, self._cipher)
        if before is not None:
            replayed.set(True)
        return before


class OwnWork(Generic[U]):
    """Runs what a service does by itself for one tenant: loops that nobody called.

    Invariants: one transaction each, audited where it published something; a lost race for a lock is run again, at most
    three times in all.
    """

    def __init__(
        self,
        process: str,
        database: Database,
        open_unit: Callable[[Tx, Call, Clock], U],
        publish: Callable[[object], Message | None],
        clock: Clock,
        committed: Callable[[], None] = lambda: None,
        *,
        budget_s: float = 20.0,
    ) -> None:
        """`process`: the subject that the audit names, "process:<name>"."""
        self._process = process
        self._database = database
        self._open_unit = open_unit
        self._publish = publish
        self._clock = clock
        self._committed = committed
        self._budget_s = budget_s

    async def run(self, tenant_id: TenantId, operation: str, handler: Callable[[U], Awaitable[R]]) -> R:
        """The handler's result. Raises what the handler raises, Unavailable."""
        deadline = asyncio.get_running_loop().time() + self._budget_s
        principal = Principal(tenant_id, self._process, frozenset({self._process}))
        call = Call(principal, operation, uuid4(), None, deadline)
        for tries_left in reversed(range(MAX_TRIES)):
            try:
                return await self._once(call, handler)
            except Contention:
                if not tries_left:
                    raise
                await asyncio.sleep(random.uniform(0.001, 0.02))
        raise AssertionError("unreachable")

    async def _once(self, call: Call, handler: Callable[[U], Awaitable[R]]) -> R:
        async with self._database.write(call.tenant_id, call.deadline) as tx:
            unit = self._open_unit(tx, call, self._clock)
            result = await handler(unit)
            now = unit.now()
            published = await unit.outbox.write(tx, self._publish, unit.new_id, now)
            if published:
                await audit.write(tx, call, unit.audit_note(), unit.new_id(), now)
        if published:
            self._committed()
        return result


class Queries(Generic[Q]):
    """Runs reads; a connection that the server had closed is replaced once."""

    def __init__(self, database: Database, open_view: Callable[[Tx], Q]) -> None:
        self._database = database
        self._open_view = open_view

    async def run(self, handler: Callable[[Q], Awaitable[R]]) -> R:
        """The handler's result. Raises what it raises, Unavailable."""
        call = current_call()
        for last in (False, True):
            try:
                async with self._database.read(call.tenant_id, call.deadline) as tx:
                    return await handler(self._open_view(tx))
            except Unavailable:
                if last or call.deadline <= asyncio.get_running_loop().time():
                    raise
        raise AssertionError("unreachable")
