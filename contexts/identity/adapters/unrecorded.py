"""Commands whose answer is a secret: audited and committed like any other, but no answer is stored."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from google.protobuf.message import Message

from chassis import audit
from chassis.database import Contention, Database, Tx
from chassis.principal import Call, current_call
from chassis.unit_of_work import MAX_TRIES, UnitOfWork
from kernel.clock import Clock

U = TypeVar("U", bound=UnitOfWork)
R = TypeVar("R")


class Unrecorded(Generic[U]):
    """Runs such commands, each in one transaction; a lost race for a lock is run again, at most three times in all.

    Invariants: the answer is not in the database, so that a copy of the database opens no session.
    """

    def __init__(
        self,
        database: Database,
        open_unit: Callable[[Tx, Call, Clock], U],
        publish: Callable[[object], Message | None],
        clock: Clock,
        committed: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._open_unit = open_unit
        self._publish = publish
        self._clock = clock
        self._committed = committed

    async def run(self, handler: Callable[[U], Awaitable[R]]) -> R:
        """The handler's result. Raises what the handler raises, Unavailable."""
        call = current_call()
        for tries_left in reversed(range(MAX_TRIES)):
            try:
                return await self._once(call, handler)
            except Contention:
                if not tries_left or call.deadline <= asyncio.get_running_loop().time():
                    raise
                await asyncio.sleep(random.uniform(0.001, 0.02))
        raise AssertionError("unreachable")

    async def _once(self, call: Call, handler: Callable[[U], Awaitable[R]]) -> R:
        async with self._database.write(call.tenant_id, call.deadline) as tx:
            unit = self._open_unit(tx, call, self._clock)
            result = await handler(unit)
            now = unit.now()
            published = await unit.outbox.write(tx, self._publish, unit.new_id, now)
            await audit.write(tx, call, unit.audit_note(), unit.new_id(), now)
        if published:
            self._committed()
        return result
