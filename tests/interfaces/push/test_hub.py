"""The hub's looks at its connections, and the way it writes to them without a task."""

import asyncio
from typing import Any

import pytest

from application.events.cursor import Cursor
from interfaces.push import listener as listener_module
from interfaces.push.eager import begin
from interfaces.push.hub import Hub, Limits
from interfaces.push.listener import Listener
from interfaces.push.message import Message
from tests.interfaces.push.test_slow_readers import Stalled
from tests.support.push import until


class Reading(Stalled):
    """A wire whose reader reads everything."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Message] = []

    async def send(self, message: Message) -> None:
        self.messages.append(message)


def joined(hub: Hub, wire: Stalled, *, expires_s: float = 2.0**40) -> Listener:
    principal: Any = None
    listener = Listener(principal, (), frozenset(), expires_s, wire, wire)
    hub.join(listener)
    return listener


async def test_a_heartbeat_moves_the_place_on() -> None:
    hub, wire = Hub(), Reading()
    hub.begins("payroll", 41)
    joined(hub, wire)

    for tick in range(15):
        hub.look(tick)

    [beat] = wire.messages
    assert Cursor.parse(beat.cursor).at("payroll") == 41
    assert beat.sse["body"] == f"id: {beat.cursor}\n\n".encode()
    assert beat.web_socket["text"] == f'{{"id":"{beat.cursor}"}}'


async def test_a_write_that_takes_too_long_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "STALL_S", 0.02)
    monkeypatch.setattr(listener_module, "LAST_WORD_S", 0.02)
    hub, wire = Hub(), Stalled()
    listener = joined(hub, wire)
    listener.deliver(Message(b"{}"))

    await asyncio.sleep(0.05)
    hub.look(0)

    assert listener.closed
    assert not hub._listeners
    await until(lambda: wire.aborted)


async def test_a_connection_that_cannot_be_flushed_is_dropped_at_the_second_look() -> None:
    class Closing(Reading):
        def is_closing(self) -> bool:
            return True

    hub, wire = Hub(), Closing()
    joined(hub, wire)

    for tick in range(15):
        hub.look(tick)
    first = wire.aborted
    for tick in range(15):
        hub.look(tick)

    assert (first, wire.aborted) == (False, True)


async def test_a_token_that_expired_ends_its_stream_only() -> None:
    hub, wire, other = Hub(Limits(), now_s=lambda: 1000.0), Reading(), Reading()
    joined(hub, wire, expires_s=999.0)
    joined(hub, other, expires_s=1001.0)

    hub.look(14)

    assert wire.reason == "TOKEN_EXPIRED"
    assert not hasattr(other, "reason")


async def test_work_that_need_not_wait_is_done_at_once() -> None:
    done: list[int] = []

    async def work() -> None:
        done.append(1)

    assert begin(work()) is None
    assert done == [1]


async def test_work_that_waits_goes_on_as_a_task() -> None:
    gate, done = asyncio.Event(), []

    async def work() -> None:
        await gate.wait()
        done.append(1)
        await asyncio.sleep(0)
        done.append(2)

    task = begin(work())
    assert task is not None
    gate.set()
    await task

    assert done == [1, 2]


async def test_work_that_is_cancelled_cleans_up() -> None:
    cleaned: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    task = begin(work())
    assert task is not None
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})

    assert task.cancelled()
    assert cleaned == [True]


async def test_work_that_fails_at_once_says_so() -> None:
    async def work() -> None:
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011  # any of them
        begin(work())
