"""Long work: what processes carry on until it is done, one after the other if need be, as an operator sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import sqlalchemy as sa

from chassis.database import Database, SystemScope
from chassis.jobs.job import State
from chassis.tables import consumer, feed_head, parked
from kernel.ids import TenantId

MOST_REPLAYED = 1000

_SCOPE = SystemScope("consumers read the feeds of all tenants, and the operator looks at them")


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of long work.

    Invariants: `error` holds no personal data; `total` is 0 where nobody knows how much there is.
    """

    id: str
    subject: str  # in words
    state: State
    done: int
    total: int = 0
    tenant_id: TenantId | None = None  # None: of all
    worker: str = ""
    lease_until: datetime | None = None
    asked_time: datetime | None = None
    error: str = ""


class LongWork(Protocol):
    """One kind of long work of a data service."""

    kind: str

    async def look(self, now: datetime, limit: int) -> Sequence[Work]:
        """What there is, oldest first, at most `limit`; what is done only where it goes on later."""
        ...

    async def retry(self, work_id: str, now: datetime) -> bool:
        """Have it tried again now; False where there is no such work."""
        ...


class Consumers:
    """What follows from a data service's events, by consumer: how far each is, and what it set aside."""

    kind = "consumer"

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look(self, now: datetime, limit: int) -> Sequence[Work]:
        """See LongWork: DONE where nothing is left to follow."""
        aside = sa.select(parked.c.consumer, sa.func.count().label("count"), sa.func.max(parked.c.reason).label("why"))
        aside = aside.where(parked.c.replay_time.is_(None)).group_by(parked.c.consumer)
        async with self._database.system_read(_SCOPE) as tx:
            head = await tx.row(sa.select(feed_head.c.position).where(feed_head.c.id == 1))
            rows = await tx.rows(sa.select(consumer).order_by(consumer.c.name).limit(limit))
            parked_of = {row["consumer"]: row for row in await tx.rows(aside)}
        newest, found = 0 if head is None else int(head["position"]), []
        for row in rows:
            name, held = row["name"], row["lease_until"] is not None and row["lease_until"] > now
            if name in parked_of:
                state, one = State.FAILED, parked_of[name]
                error = f"{one['count']} events set aside (muster events parked), one of them: {one['why']}"
            else:
                behind = State.RUNNING if held else State.WAITING
                state, error = behind if row["acked_position"] < newest else State.DONE, ""
            found.append(
                Work(
                    name, "follows the events", state, int(row["acked_position"]), newest,
                    worker=row["lease_owner"] or "", lease_until=row["lease_until"] if held else None,
                    asked_time=row["seen_time"], error=error,
                )
            )  # fmt: skip
        return found

    async def retry(self, work_id: str, now: datetime) -> bool:
        """See LongWork: the oldest thousand events that were set aside are handed out once more."""
        mine = (parked.c.consumer == work_id) & parked.c.replay_time.is_(None)
        oldest = sa.select(parked.c.event_id).where(mine).order_by(parked.c.position).limit(MOST_REPLAYED)
        async with self._database.system(_SCOPE) as tx:
            if await tx.row(sa.select(consumer.c.name).where(consumer.c.name == work_id)) is None:
                return False
            ids = [row["event_id"] for row in await tx.rows(oldest)]
            if ids:
                await tx.execute(sa.update(parked).where(mine, parked.c.event_id.in_(ids)).values(replay_time=now))
        return True
