"""What is particular to calls within one process; all other tests of calls here run over both transports."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import grpc
import pytest

from chassis.rpc.channels import Channels
from chassis.rpc.error_map import RemoteError, Trouble
from chassis.rpc.in_process import InProcessServer, serve_at, serve_no_more
from tests.chassis.rpc.conftest import Served
from tests.chassis.rpc.probe import SERVICE, a_principal, messages, wire

NOWHERE = "127.0.0.1:1"  # nobody listens there
KEPT = messages.DoResponse(text="as it was")


@dataclass(slots=True)
class Beside:
    """A server without any socket, and who calls it: within the process, and over the wire."""

    server: InProcessServer
    begun: asyncio.Event
    may_end: asyncio.Event
    call: Callable[[Any], Awaitable[Any]]
    call_by_wire: Callable[[Any], Awaitable[Any]]


@pytest.fixture
async def beside(served: Served) -> AsyncIterator[Beside]:
    begun, may_end = asyncio.Event(), asyncio.Event()
    may_end.set()

    async def kept(request: Any, context: Any) -> Any:
        request.behaviour = "changed by the server"
        begun.set()
        await may_end.wait()
        return KEPT

    do = grpc.unary_unary_rpc_method_handler(
        kept,
        request_deserializer=messages.DoRequest.FromString,
        response_serializer=messages.DoResponse.SerializeToString,
    )
    server = InProcessServer(message_bytes=100)
    server.add(SERVICE, {"Do": do})
    serve_at(NOWHERE, server)
    made: list[Channels] = []

    def caller(in_process: bool) -> Callable[[Any], Awaitable[Any]]:
        settings = replace(served.settings, in_process=in_process)
        made.append(Channels(settings, served.signer, {"probe": NOWHERE}))
        client = made[-1].to("probe")
        stub = client.stub(wire.ProbeServiceStub)
        return lambda request: client.call(stub.Do, request, principal=a_principal(), timeout_s=1.0)

    yield Beside(server, begun, may_end, caller(True), caller(False))
    for channels in made:
        await channels.close()
    serve_no_more(NOWHERE, server)


async def test_no_socket_is_needed_and_no_message_is_held_by_two(beside: Beside) -> None:
    request = messages.DoRequest(behaviour="mine")

    first = await beside.call(request)
    first.text = "changed by the caller"
    second = await beside.call(request)

    assert request.behaviour == "mine"
    assert second.text == KEPT.text == "as it was"


async def test_without_the_setting_calls_take_the_wire(beside: Beside) -> None:
    with pytest.raises(RemoteError):
        await beside.call_by_wire(messages.DoRequest(behaviour="mine"))

    assert not beside.begun.is_set()


async def test_a_message_has_the_size_that_it_may_have_on_the_wire(beside: Beside) -> None:
    with pytest.raises(RemoteError) as caught:
        await beside.call(messages.DoRequest(behaviour="x" * 200))

    assert caught.value.kind is Trouble.OVERLOADED


async def test_a_server_that_stops_refuses_and_finishes_what_it_began(beside: Beside) -> None:
    beside.may_end.clear()
    slow = asyncio.ensure_future(beside.call(messages.DoRequest(behaviour="mine")))
    await beside.begun.wait()

    stopping = asyncio.ensure_future(beside.server.stop(1.0))
    await asyncio.sleep(0)
    with pytest.raises(RemoteError) as caught:
        await beside.call(messages.DoRequest(behaviour="mine"))
    beside.may_end.set()
    await stopping

    assert caught.value.kind is Trouble.UNAVAILABLE
    assert (await slow).text == "as it was"


async def test_a_server_that_has_no_time_left_gives_up_what_it_began(beside: Beside) -> None:
    beside.may_end.clear()
    slow = asyncio.ensure_future(beside.call(messages.DoRequest(behaviour="mine")))
    await beside.begun.wait()

    await beside.server.stop(0.0)

    with pytest.raises(RemoteError) as caught:
        await slow
    assert caught.value.kind is Trouble.UNAVAILABLE
