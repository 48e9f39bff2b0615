"""One request id, one effect: answers are stored with the effect, given again, and told apart by fingerprint."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import StringValue

from chassis.clock import SystemClock
from chassis.columns import Code, Id, tenant_column
from chassis.crypto import FieldCipher
from chassis.database import Database, Duplicate, SystemScope
from chassis.idempotency import RequestIdMissing, RequestIdReused, RequestInFlight, store_answer, stored_answer
from chassis.keyring import FileKeyring
from chassis.principal import Call, Principal, serving
from chassis.tables import audit, context_metadata, idempotency
from chassis.unit_of_work import Commands, UnitOfWork, replayed
from kernel.errors import DomainError, Kind
from kernel.ids import TenantId

METADATA = context_metadata()
NOTE = sa.Table(
    "sticky_note", METADATA, tenant_column(), sa.Column("id", Id, primary_key=True), sa.Column("text", Code(100))
)
TENANT = TenantId(uuid4())
SECRET = "the words of a person"


class Refused(DomainError):
    """A rule said no."""

    kind, reason = Kind.RULE, "REFUSED_FOR_TEST"


def a_call(request_id: UUID | None = None, fingerprint: bytes = b"\1" * 32, tenant: TenantId = TENANT) -> Call:
    """A verified write."""
    deadline = asyncio.get_running_loop().time() + 10
    principal = Principal(tenant, str(UUID(int=1)), frozenset({"hr_admin"}))
    return Call(principal, "test.v1.Notes/Write", request_id or uuid4(), fingerprint, deadline)


@pytest.fixture(params=["sqlite", "mariadb"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database of each kind."""
    url = f"sqlite:///{tmp_path / 'notes.sqlite3'}"
    if request.param == "mariadb":
        url = request.getfixturevalue("mariadb").create_database(f"notes_{uuid4().hex[:8]}")
    opened = Database(url, METADATA)
    await opened.create_tables()
    yield opened
    await opened.close()


@pytest.fixture
def commands(database: Database, tmp_path: Path) -> Commands[UnitOfWork]:
    """Commands as a process has them, with sealed answers."""
    cipher = FieldCipher(FileKeyring.open_or_create(tmp_path / "keyring"))
    return Commands(database, UnitOfWork, lambda event: None, SystemClock(), cipher=cipher)


async def write(unit: UnitOfWork) -> str:
    """The handler: one row, its text as the result."""
    text = f"{SECRET} {uuid4()}"
    await unit.tx.insert(NOTE, {"id": unit.new_id(), "text": text[:100]})
    return text


async def run(
    commands: Commands[UnitOfWork], call: Call, handler: Callable[[UnitOfWork], Awaitable[str]] = write
) -> Message:
    """Serve the call in a task of its own, as the server does."""

    async def served() -> Message:
        with serving(call):
            return await commands.run(handler, lambda text: StringValue(value=text))

    return await asyncio.create_task(served())


async def count(database: Database, table: sa.Table) -> int:
    """Rows of all tenants."""
    async with database.system(SystemScope("a test looks")) as tx:
        return len(await tx.rows(sa.select(table)))


async def test_the_same_request_gets_the_same_answer_and_has_one_effect(
    commands: Commands[UnitOfWork], database: Database
) -> None:
    call = a_call()

    first = await run(commands, call)
    second = await run(commands, call)

    assert first == second
    assert (await count(database, NOTE), await count(database, audit)) == (1, 1)


async def test_a_replay_is_told_apart_from_a_first_answer(commands: Commands[UnitOfWork]) -> None:
    call = a_call()

    async def served() -> bool:
        with serving(call):
            await commands.run(write, lambda text: StringValue(value=text))
        return replayed.get()

    assert [await asyncio.create_task(served()), await asyncio.create_task(served())] == [False, True]


async def test_a_key_with_another_request_is_refused_and_another_tenant_is_not_concerned(
    commands: Commands[UnitOfWork], database: Database
) -> None:
    call = a_call()
    await run(commands, call)

    with pytest.raises(RequestIdReused):
        await run(commands, a_call(call.request_id, b"\2" * 32))
    await run(commands, a_call(call.request_id, b"\2" * 32, TenantId(uuid4())))

    assert await count(database, NOTE) == 2


async def test_a_refusal_is_not_stored_and_leaves_nothing(commands: Commands[UnitOfWork], database: Database) -> None:
    call = a_call()

    async def refuse(unit: UnitOfWork) -> str:
        await write(unit)
        raise Refused("not today")

    with pytest.raises(Refused):
        await run(commands, call, refuse)

    assert [await count(database, table) for table in (NOTE, idempotency, audit)] == [0, 0, 0]
    await run(commands, call)
    assert await count(database, NOTE) == 1


async def test_a_second_request_waits_for_the_first_only_shortly(commands: Commands[UnitOfWork]) -> None:
    call = a_call()
    let_go = asyncio.Event()

    async def slow(unit: UnitOfWork) -> str:
        await let_go.wait()
        return await write(unit)

    first = asyncio.create_task(run(commands, call, slow))
    await asyncio.sleep(0.05)
    with pytest.raises(RequestInFlight):
        await run(commands, call)
    let_go.set()

    assert await first == await run(commands, call)


async def test_two_processes_with_one_request_have_one_effect(database: Database) -> None:
    processes = [Commands(database, UnitOfWork, lambda event: None, SystemClock()) for _ in range(6)]

    for served in range(10):
        await one_effect(processes, database, served)


async def one_effect(processes: Sequence[Commands[UnitOfWork]], database: Database, before: int = 0) -> None:
    """All processes serve one request at once: one more row, and one answer for everybody."""
    call = a_call()
    answers = await asyncio.gather(*(run(commands, call) for commands in processes))
    assert await count(database, NOTE) == before + 1
    assert all(answer == answers[0] for answer in answers)


class LooksFirst(Commands[UnitOfWork]):
    """The planted bug: looks for the stored answer before its transaction, and keeps its own after it."""

    def __init__(self, database: Database, everybody_looked: asyncio.Barrier) -> None:
        super().__init__(database, UnitOfWork, lambda event: None, SystemClock())
        self._everybody_looked = everybody_looked

    async def _once(
        self, call: Call, handler: Callable[[UnitOfWork], Awaitable[Any]], answer: Any, together: bool
    ) -> Message:
        before = await self._answered(call)
        await self._everybody_looked.wait()
        if before is not None:
            return before
        async with self._database.write(call.tenant_id, call.deadline) as tx:
            message: Message = answer(await handler(UnitOfWork(tx, call, self._clock)))
        with contextlib.suppress(Duplicate):
            async with self._database.write(call.tenant_id, call.deadline) as tx:
                await store_answer(tx, call, message, self._clock.now())
        async with self._database.read(call.tenant_id, call.deadline) as tx:
            return await stored_answer(tx, call) or message


async def test_an_answer_kept_beside_the_effect_would_let_it_happen_again(database: Database) -> None:
    everybody_looked = asyncio.Barrier(6)
    processes = [LooksFirst(database, everybody_looked) for _ in range(6)]

    with pytest.raises(AssertionError):
        await one_effect(processes, database)

    assert await count(database, NOTE) == 6


async def test_a_change_without_a_request_id_is_refused(commands: Commands[UnitOfWork]) -> None:
    call = a_call()
    unnamed = Call(call.principal, call.operation, None, None, call.deadline)

    with pytest.raises(RequestIdMissing):
        await run(commands, unnamed)


async def test_a_stored_answer_is_sealed(commands: Commands[UnitOfWork], database: Database) -> None:
    await run(commands, a_call())

    async with database.system(SystemScope("a test looks")) as tx:
        stored = (await tx.rows(sa.select(idempotency)))[0]["response"]
    assert SECRET.encode() not in bytes(stored)
