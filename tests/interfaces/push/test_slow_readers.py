"""A reader who stops reading is cut and harms nobody; what each connection may cost has a bound."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from muster.event.v1.event_feed_pb2 import Entry

from chassis.bus.in_process import InProcessFastPath
from chassis.rpc.channels import Client
from interfaces.push import listener as listener_module
from interfaces.push.hub import Hub
from interfaces.push.listener import QUEUE, Listener
from interfaces.push.message import Message
from kernel.ids import TenantId, uuid7
from tests.chassis.bus.publisher import TENANT, Publisher, a_publisher, served
from tests.chassis.rpc.probe import messages
from tests.support.push import RunningHub, SseClient, Tokens, a_hub, until

pytestmark = pytest.mark.second_process  # for --fast: megabytes through sockets

MANY = 1500
TEXT = "x" * 8000


@pytest.fixture
async def running(publisher: Publisher, client: Client) -> AsyncIterator[RunningHub]:
    async with a_hub({"probe": client}, publisher.fast_path, Tokens()) as made:
        yield made


@pytest.fixture
async def publisher(tmp_path: Path) -> AsyncIterator[Publisher]:
    async with a_publisher(f"sqlite:///{tmp_path}/probe.sqlite3", InProcessFastPath()) as made:
        yield made


@pytest.fixture
async def client(publisher: Publisher, tmp_path: Path) -> AsyncIterator[Client]:
    async with served(publisher, tmp_path) as made:
        yield made


async def flood(running: RunningHub, readers: list[SseClient], count: int) -> list[list[int]]:
    """Publish much at once; what each of those who read has heard."""
    entries = [big_entry(position) for position in range(1, count + 1)]

    async def publishing() -> None:
        for start in range(0, count, 20):
            await running.hub.publish("probe", entries[start : start + 20])
            await asyncio.sleep(0)

    publishing_task = asyncio.create_task(publishing())
    heard = await asyncio.gather(*(one.events(count, timeout_s=60) for one in readers))
    await publishing_task
    return [[message.sequence for message in one] for one in heard]


async def test_a_stalled_reader_is_cut_and_harms_nobody(running: RunningHub) -> None:
    token = running.tokens.token(TENANT, "owner")
    stalled = await running.listen(token)
    readers = [await running.listen(running.tokens.token(TENANT, "owner")) for _ in range(5)]
    stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]

    heard = await flood(running, readers, MANY)

    assert heard == [list(range(1, MANY + 1))] * 5
    await until(lambda: running.hub._taken == 5)


async def test_who_was_cut_comes_back_and_gets_the_rest(running: RunningHub) -> None:
    token = running.tokens.token(TENANT, "owner")
    slow = await running.listen(token)
    slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await flood(running, [], MANY)
    await running.hub.publish("probe", [big_entry(MANY + 1)])
    await until(lambda: running.hub._taken == 0)

    slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
    seen: list[int] = []
    while True:
        try:
            message = await slow.next()
        except (OSError, asyncio.IncompleteReadError, ValueError):
            break
        if message is None:
            break
        if not message.event:
            seen.append(message.sequence)
    again = await running.listen(token, last_id=slow.last_id)
    rest = [one.sequence for one in await again.events(MANY + 1 - len(seen), timeout_s=60)]

    assert len(seen) < MANY
    assert seen + rest == list(range(1, MANY + 2))


async def test_a_loop_that_waits_for_each_reader_would_be_found(
    running: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def waiting(self: Hub, message: Message, hearers: list[Listener]) -> None:
        for one in hearers:
            await one._wire.send(message)

    monkeypatch.setattr(Hub, "_hand_out", waiting)
    stalled = await running.listen(running.tokens.token(TENANT, "owner"))
    reader = await running.listen(running.tokens.token(TENANT, "owner"))
    stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await flood(running, [reader], MANY)
    stalled.close()


class Stalled:
    """A wire whose reader reads nothing."""

    def __init__(self) -> None:
        self.sent = 0
        self.aborted = False

    async def send(self, message: Message) -> None:
        self.sent += 1
        await asyncio.Event().wait()

    async def close(self, reason: str, retry_ms: int) -> None:
        self.reason = reason

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return False


async def test_a_queue_has_an_end_and_one_write_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "LAST_WORD_S", 0.05)
    principal: Any = None
    wire = Stalled()
    listener = Listener(principal, (), frozenset(), 0.0, wire, wire)

    taken = [listener.deliver(Message(b"{}")) for _ in range(QUEUE + 2)]
    now = asyncio.get_running_loop().time()

    assert taken == [True] * (QUEUE + 1) + [False]
    assert wire.sent == 1
    assert not listener.stalled(now + 29)
    assert listener.stalled(now + 31)
    listener.cut("TOO_SLOW")
    await until(lambda: wire.aborted)
    assert listener.deliver(Message(b"{}"))
    assert wire.sent == 1


class Ended(Stalled):
    """A wire that its server has ended."""

    async def send(self, message: Message) -> None:
        raise RuntimeError("after sending 'websocket.close'")


async def test_a_connection_that_takes_no_more_is_dropped_and_its_hub_goes_on() -> None:
    principal: Any = None
    wire = Ended()
    listener = Listener(principal, (), frozenset(), 0.0, wire, wire)

    assert listener.deliver(Message(b"{}"))

    assert wire.aborted
    assert listener.closed


def big_entry(position: int, tenant: TenantId = TENANT) -> Entry:
    """An event of some 8 kB."""
    message = messages.DoResponse(text=TEXT)
    now = datetime.now(UTC)
    entry = Entry(
        position=position,
        event_id=str(uuid7(now, bytes(10))),
        tenant_id=str(tenant),
        type=message.DESCRIPTOR.full_name,
        aggregate_type="thing",
        aggregate_id=str(UUID(int=1)),
        aggregate_version=position,
        payload=message.SerializeToString(),
    )
    entry.occurred_time.FromDatetime(now)
    return entry
