"""What a command leaves behind for others: events saved with the state, in the same transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from google.protobuf.message import Message

from chassis.database import Tx
from chassis.tables import outbox

MAX_EVENTS_PER_TRANSACTION = 10_000


@dataclass(frozen=True, slots=True)
class Saved:
    """One event as a repository handed it over. `ordinal` keeps the order of events of one version."""

    aggregate_type: str
    aggregate_id: UUID
    aggregate_version: int
    ordinal: int
    event: object


class Outbox(Protocol):
    """Where `add` and `save` of a repository put an aggregate's pulled events."""

    def add(self, aggregate_type: str, aggregate_id: UUID, version: int, events: Sequence[object]) -> None:
        """Keep the events of one new version, oldest first."""
        ...


class PendingOutbox:
    """Events of the running transaction, written with its last statements; alone it serves the memory repositories."""

    def __init__(self) -> None:
        self.saved: list[Saved] = []

    def add(self, aggregate_type: str, aggregate_id: UUID, version: int, events: Sequence[object]) -> None:
        """Keep the events of one new version, oldest first. Raises RuntimeError past the limit of a transaction."""
        if len(self.saved) + len(events) > MAX_EVENTS_PER_TRANSACTION:
            raise RuntimeError(f"one transaction holds at most {MAX_EVENTS_PER_TRANSACTION} events")
        for ordinal, event in enumerate(events):
            self.saved.append(Saved(aggregate_type, aggregate_id, version, ordinal, event))

    async def write(
        self, tx: Tx, publish: Callable[[object], Message | None], new_id: Callable[[], UUID], now: datetime
    ) -> int:
        """Insert the rows of those events that are published (`publish` gives None for the others); how many."""
        rows = []
        for saved in self.saved:
            message = publish(saved.event)
            if message is not None:
                rows.append(
                    {
                        "event_id": new_id(),
                        "aggregate_type": saved.aggregate_type,
                        "aggregate_id": saved.aggregate_id,
                        "aggregate_version": saved.aggregate_version,
                        "ordinal": saved.ordinal,
                        "type": message.DESCRIPTOR.full_name,
                        "occurred_time": now,
                        "payload": message.SerializeToString(deterministic=True),
                        "position": None,
                    }
                )
        if rows:
            await tx.insert(outbox, rows, later=True)
        return len(rows)
