"""One request id, one effect: the answer is stored in the effect's transaction and given again, byte for byte."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

from chassis.crypto import FieldCipher, Place
from chassis.database import Database, Prepared, SystemScope, Tx, select
from chassis.principal import Call
from chassis.tables import idempotency
from kernel.errors import DomainError, Kind

KEPT = timedelta(days=8)
IN_FLIGHT_WAIT_S = 0.1
PURGE_ROWS = 1000


class RequestIdMissing(DomainError):
    """A change without a request id cannot be told from its own retry."""

    kind, reason = Kind.INVALID, "REQUEST_ID_REQUIRED"


class RequestIdReused(DomainError):
    """The same idempotency key came with another request."""

    kind, reason = Kind.INVALID, "IDEMPOTENCY_KEY_REUSED"


class RequestInFlight(DomainError):
    """The first request with this key is still being served."""

    kind, reason = Kind.RULE, "REQUEST_IN_FLIGHT"


_stored = Prepared(
    select(idempotency, idempotency.c.fingerprint, idempotency.c.response_type, idempotency.c.response).where(
        idempotency.c.request_id == sa.bindparam("request_id", type_=idempotency.c.request_id.type)
    )
)


async def stored_answer(tx: Tx, call: Call, cipher: FieldCipher | None = None) -> Message | None:
    """The answer given to this request before, None for a new one. Raises RequestIdReused."""
    row = await tx.row(_stored, {"request_id": call.request_id})
    if row is None:
        return None
    if row["fingerprint"] != (call.fingerprint or b""):
        raise RequestIdReused(
            "this Idempotency-Key was used for another request; take a new key for a new request",
            field="Idempotency-Key",
        )
    kind: Any = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(row["response_type"]))
    response = row["response"]
    if cipher is not None:
        response = cipher.open(response, _place(call))
    answer: Message = kind.FromString(response)
    return answer


def _place(call: Call) -> Place:
    assert call.request_id is not None
    return Place(call.tenant_id, idempotency.name, "response", call.request_id)


async def store_answer(tx: Tx, call: Call, answer: Message, now: datetime, cipher: FieldCipher | None = None) -> None:
    """Keep the answer with the effect, sealed where a cipher is given (an answer may hold personal data).

    Raises Duplicate where another process served the same request first.
    """
    response = answer.SerializeToString(deterministic=True)
    if cipher is not None:
        response = cipher.seal(response, _place(call))
    await tx.insert(
        idempotency,
        {
            "request_id": call.request_id,
            "operation": call.operation[-120:],
            "fingerprint": call.fingerprint or b"",
            "response_type": answer.DESCRIPTOR.full_name,
            "response": response,
            "created_time": now,
        },
        later=True,
    )


class InFlight:
    """The requests that this process serves now: a second one with the same id waits a little, then is refused."""

    def __init__(self) -> None:
        self._served: dict[tuple[UUID, UUID], asyncio.Event] = {}

    @asynccontextmanager
    async def alone(self, tenant_id: UUID, request_id: UUID) -> AsyncIterator[None]:
        """Be the only one with this id in this process. Raises RequestInFlight after 100 ms."""
        key = (tenant_id, request_id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IN_FLIGHT_WAIT_S):
                while (other := self._served.get(key)) is not None:
                    await other.wait()
        if key in self._served:
            raise RequestInFlight("the first request with this Idempotency-Key is still running; ask again in a second")
        done = self._served[key] = asyncio.Event()
        try:
            yield
        finally:
            del self._served[key]
            done.set()


async def purge(database: Database, now: datetime) -> int:
    """Delete up to 1,000 answers older than eight days; how many."""
    old = sa.select(idempotency.c.tenant_id, idempotency.c.request_id).where(idempotency.c.created_time < now - KEPT)
    async with database.system(SystemScope("retention of idempotency records")) as tx:
        rows = await tx.rows(old.limit(PURGE_ROWS))
        for row in rows:
            await tx.execute(
                sa.delete(idempotency).where(
                    idempotency.c.tenant_id == row["tenant_id"], idempotency.c.request_id == row["request_id"]
                )
            )
    return len(rows)
