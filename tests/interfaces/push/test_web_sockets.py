"""The same streams over a WebSocket: how a browser signs in, what a message is, and how it closes."""

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from muster.organization.v1 import events_pb2 as organization
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from chassis.bus.in_process import InProcessFastPath
from chassis.rpc.channels import Client
from interfaces.push import hub as hub_module
from tests.chassis.bus.publisher import TENANT, Publisher, a_publisher, served
from tests.interfaces.push.test_slow_readers import MANY, big_entry
from tests.support.push import RunningHub, Tokens, a_hub, an_employee, until

PATIENCE_S = 30.0


@pytest.fixture
async def publisher(tmp_path: Path) -> AsyncIterator[Publisher]:
    async with a_publisher(f"sqlite:///{tmp_path}/probe.sqlite3", InProcessFastPath()) as made:
        yield made


@pytest.fixture
async def client(publisher: Publisher, tmp_path: Path) -> AsyncIterator[Client]:
    async with served(publisher, tmp_path) as made:
        yield made


@pytest.fixture
async def running(publisher: Publisher, client: Client) -> AsyncIterator[RunningHub]:
    async with a_hub({"probe": client}, publisher.fast_path, Tokens()) as made:
        yield made


def opened(running: RunningHub, token: str, query: str = "", **options: Any) -> connect:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return connect(f"ws://{running.address}/v1/ws{query}", additional_headers=headers, proxy=None, **options)


async def next_of(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        found: dict[str, Any] = json.loads(await socket.recv())
    return found


async def closing_of(socket: ClientConnection) -> tuple[int, str]:
    async with asyncio.timeout(PATIENCE_S):
        with contextlib.suppress(ConnectionClosed):
            async for _ in socket:
                pass
        await socket.wait_closed()
    assert socket.close_code is not None
    return socket.close_code, socket.close_reason or ""


async def hire(publisher: Publisher) -> str:
    one = an_employee()
    await publisher.publish("employee", one, 1, organization.EmployeeHiredEvent(employee_id=str(one)))
    return str(one)


async def test_a_message_has_an_id_and_an_event(publisher: Publisher, running: RunningHub) -> None:
    async with opened(running, running.tokens.token(TENANT, "owner")) as socket:
        hello = await next_of(socket)
        employee = await hire(publisher)
        message = await next_of(socket)

    assert hello["event"] == "hello"
    assert message.keys() == {"id", "data"}
    assert message["data"]["subject"] == f"employee/{employee}"
    assert socket.protocol.extensions == []


async def test_a_browser_signs_in_with_a_subprotocol(publisher: Publisher, running: RunningHub) -> None:
    token = running.tokens.token(TENANT, "owner")
    async with opened(running, "", subprotocols=["muster.v1", f"muster.bearer.{token}"]) as socket:
        hello = await next_of(socket)

    assert socket.subprotocol == "muster.v1"
    assert hello["event"] == "hello"


@pytest.mark.parametrize(
    ("roles", "query", "status"), [([], "", 403), (["employee"], "?topics=payroll", 403), (["owner"], "?a=b", 422)]
)
async def test_a_refusal_is_a_problem_document(running: RunningHub, roles: list[str], query: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with opened(running, running.tokens.token(TENANT, *roles), query):
            pass

    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["status"] == status
    assert running.hub._taken == 0


async def test_without_a_token_it_does_not_open(running: RunningHub) -> None:
    for forged in ("", Tokens().token(TENANT, "owner")):
        with pytest.raises(InvalidStatus) as refused:
            async with opened(running, forged):
                pass
        assert refused.value.response.status_code == 401


async def test_nothing_is_logged_of_who_connects(running: RunningHub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with opened(running, running.tokens.token(TENANT, "owner")) as socket:
        port = str(socket.local_address[1])
        await next_of(socket)
    await until(lambda: running.hub._taken == 0)

    ours = [one for one in caplog.records if one.name not in ("websockets.client", "asyncio")]
    # Whom another connection to this process is from is not of this test.
    said = [re.sub(rf"127\.0\.0\.1:(?!{port}\b)[0-9]+", "", one.getMessage()) for one in ours]
    assert [one for one in said if "127.0.0.1" in one or "connection" in one] == []


async def test_what_was_missed_comes_first(publisher: Publisher, running: RunningHub) -> None:
    token = running.tokens.token(TENANT, "owner")
    async with opened(running, token) as socket:
        await next_of(socket)
        await hire(publisher)
        last = (await next_of(socket))["id"]
    for _ in range(3):
        await hire(publisher)

    async with opened(running, token, f"?after={last}") as socket:
        assert (await next_of(socket))["event"] == "hello"
        heard = [(await next_of(socket))["data"]["sequence"] for _ in range(3)]

    assert [int(one) for one in heard] == [2, 3, 4]


async def test_it_closes_with_its_token(running: RunningHub) -> None:
    async with opened(running, running.tokens.token(TENANT, "owner", seconds=2)) as socket:
        assert await closing_of(socket) == (3000, "TOKEN_EXPIRED")


async def test_it_closes_when_the_hub_stops(running: RunningHub) -> None:
    async with opened(running, running.tokens.token(TENANT, "owner")) as socket:
        await next_of(socket)
        stopping = asyncio.create_task(running.stop(4.0))

        end = await next_of(socket)
        closing = await closing_of(socket)
        await stopping

    assert (end["event"], end["data"]["reason"]) == ("end", "DRAINING")
    assert 500 <= end["data"]["retry_ms"] <= hub_module.LONGEST_RETRY_MS
    assert closing == (1012, "DRAINING")


async def test_a_reader_who_speaks_is_told_not_to(running: RunningHub) -> None:
    async with opened(running, running.tokens.token(TENANT, "owner")) as socket:
        await socket.send("hello?")

        assert await closing_of(socket) == (1008, "NO_MESSAGES")


async def test_a_reader_who_is_too_slow_is_told_so_if_they_read_on(running: RunningHub) -> None:
    async with opened(running, running.tokens.token(TENANT, "owner"), max_queue=1, max_size=None) as socket:
        await next_of(socket)
        await running.hub.publish("probe", [big_entry(position) for position in range(1, MANY + 1)])
        await until(lambda: not running.hub._listeners)

        assert await closing_of(socket) == (1013, "TOO_SLOW")
    await until(lambda: running.hub._taken == 0)
