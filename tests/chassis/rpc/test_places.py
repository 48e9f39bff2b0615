"""What happens where more is asked at once than a service can do: who waits, who is refused, who is not disturbed."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from chassis.assertion import METADATA_KEY
from chassis.lifecycle import Listener
from chassis.rpc import interceptors, server
from chassis.rpc.channels import Channels
from chassis.rpc.error_map import RemoteError, Trouble
from chassis.rpc.places import Places, Turns
from chassis.telemetry import SERVER_REFUSED
from tests.chassis.rpc.conftest import Served
from tests.chassis.rpc.probe import Probe, a_principal, messages, wire
from tests.chassis.rpc.test_calls import collect, until

A, B, C = "a", "b", "c"
SLOW = messages.DoRequest(behaviour="sleep", sleep_ms=1500)


def filled(places: Places, methods: Sequence[str]) -> list[str]:
    """Who of those who come in this order gets a place."""
    got = []
    for method in methods:
        if places.free(method):
            places.take(method)
            got.append(method)
    return got


def test_one_method_takes_three_quarters_and_leaves_the_rest_to_others() -> None:
    places = Places(8)

    assert filled(places, [A] * 20) == [A] * 6
    assert filled(places, [B] * 20) == [B] * 2
    places.give(A)
    assert filled(places, [A]) == []
    assert filled(places, [C]) == [C]


def test_a_method_below_its_half_may_take_the_last_place() -> None:
    places = Places(8)

    assert filled(places, [A] * 3 + [B] * 3 + [A, A, B]) == [A] * 3 + [B] * 3 + [A, B]


def test_a_single_place_is_a_place() -> None:
    places = Places(1)

    assert filled(places, [A, A, B]) == [A]


async def test_turns_come_in_order_and_methods_do_not_wait_for_each_other() -> None:
    turns, order = Turns("probe", 4, 100), []
    deadline = asyncio.get_running_loop().time() + 5
    held = [turns.take(A, deadline) for _ in range(3)]
    await asyncio.gather(*held)

    async def caller(name: str) -> None:
        await turns.take(name[0], deadline)
        order.append(name)

    waiting = [asyncio.create_task(caller(f"a{number}")) for number in range(3)]
    await asyncio.sleep(0)
    other = asyncio.create_task(caller("b0"))
    await asyncio.sleep(0)
    assert order == ["b0"]

    for _ in range(4):
        turns.give(A) if len(order) < 4 else None
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    await asyncio.gather(*waiting, other)
    assert order == ["b0", "a0", "a1", "a2"]


async def test_who_gives_up_waiting_takes_no_place_with_it() -> None:
    turns = Turns("probe", 1, 2)
    loop = asyncio.get_running_loop()
    await turns.take(A, loop.time() + 5)
    waiting = [asyncio.create_task(turns.take(A, loop.time() + 5)) for _ in range(2)]
    await asyncio.sleep(0)

    with pytest.raises(RemoteError) as crowded:
        await turns.take(A, loop.time() + 5)
    waiting[0].cancel()
    turns.give(A)
    await waiting[1]
    with pytest.raises(RemoteError) as late:
        await turns.take(A, loop.time() + 0.02)
    turns.give(A)
    await turns.take(A, loop.time() + 5)

    assert (crowded.value.kind, late.value.kind) == (Trouble.OVERLOADED, Trouble.OVERLOADED)


@asynccontextmanager
async def crowded(served: Served, places: int, **changes: Any) -> AsyncIterator[tuple[Probe, Any]]:
    """A probe with few places, and a bare stub of it."""
    probe = Probe()
    settings = dataclasses.replace(served.settings, concurrent_calls=places, **changes)
    registration = (wire.add_ProbeServiceServicer_to_server, probe)
    running = await server.start(Listener(), [registration], name="probe", settings=settings)
    probe.address = running.address
    async with grpc.aio.insecure_channel(running.address) as channel:
        yield probe, wire.ProbeServiceStub(channel)
    await running.stop(0.0)


def asserted(served: Served) -> dict[str, Any]:
    return {"metadata": ((METADATA_KEY, served.signer.for_read(a_principal(), "probe")),), "timeout": 10}


async def refusals_while_slow_calls_hold_on(served: Served, probe: Probe, stub: Any) -> list[float]:
    """A slow method takes what it gets; then how long each further call of it waits for its refusal."""
    loop = asyncio.get_running_loop()
    holding = [asyncio.ensure_future(stub.Do(SLOW, **asserted(served))) for _ in range(6)]
    await until(lambda: probe.started["sleep"] == 6)
    taken = []
    for _ in range(20):
        started = loop.time()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Do(SLOW, **asserted(served))
        taken.append(loop.time() - started)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    for call in holding:
        call.cancel()
    await asyncio.gather(*holding, return_exceptions=True)
    return taken


async def test_a_refusal_comes_within_50_ms_says_when_to_come_back_and_is_counted(served: Served) -> None:
    counted = SERVER_REFUSED.labels("probe.v1.ProbeService/Do")
    before = counted._value.get()
    async with crowded(served, 8) as (probe, stub):
        taken = await refusals_while_slow_calls_hold_on(served, probe, stub)
        holding = [asyncio.ensure_future(stub.Do(SLOW, **asserted(served))) for _ in range(6)]
        await until(lambda: probe.started["sleep"] == 12)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Do(SLOW, **asserted(served))
        for call in holding:
            call.cancel()

    details = dict(caught.value.trailing_metadata() or ())["grpc-status-details-bin"]
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in status_pb2.Status.FromString(details).details)
    assert retry.retry_delay.seconds == 1
    assert sorted(taken)[len(taken) // 2] < 0.05
    assert counted._value.get() - before == 21
    assert not probe.finished["sleep"]


async def test_a_slow_method_leaves_the_others_their_places(served: Served) -> None:
    async with crowded(served, 8) as (probe, stub):
        holding = [asyncio.ensure_future(stub.Do(SLOW, **asserted(served))) for _ in range(8)]
        await until(lambda: probe.started["sleep"] == 6)
        numbers: list[int] = []
        for _ in range(10):
            await collect(stub.DoMany(messages.DoManyRequest(behaviour="count", count=1), **asserted(served)), numbers)
        results = await asyncio.gather(*holding, return_exceptions=True)

    assert numbers == [0] * 10
    refused = [one.code() for one in results if isinstance(one, grpc.aio.AioRpcError)]
    assert refused == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 2


class Shared(Places):
    """The planted bug: places that know no methods."""

    def free(self, method: str) -> bool:
        return self.taken < self.places


async def test_places_that_know_no_methods_would_starve_the_others(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interceptors, "Places", Shared)
    async with crowded(served, 8) as (probe, stub):
        holding = [asyncio.ensure_future(stub.Do(SLOW, **asserted(served))) for _ in range(8)]
        await until(lambda: probe.started["sleep"] == 8)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.DoMany(messages.DoManyRequest(behaviour="count", count=1), **asserted(served)).read()
        for call in holding:
            call.cancel()

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def latencies_of_500_callers(served: Served, calls_in_flight: int) -> list[float | RemoteError]:
    """Seconds per call, or its error, where 500 callers share one channel to a server of 128 places."""
    async with crowded(served, 128, longest_deadline_s=20.0) as (probe, _):
        settings = dataclasses.replace(served.settings, calls_in_flight=calls_in_flight)
        channels = Channels(settings, served.signer, {"probe": probe.address})
        client = channels.to("probe")
        do = client.stub(wire.ProbeServiceStub).Do
        request = messages.DoRequest(behaviour="sleep", sleep_ms=150)
        loop = asyncio.get_running_loop()

        async def caller() -> float | RemoteError:
            started = loop.time()
            try:
                await client.call(do, request, principal=a_principal(), timeout_s=20.0)
            except RemoteError as error:
                return error
            return loop.time() - started

        found = await asyncio.gather(*(caller() for _ in range(500)))
        await channels.close()
    return found


def nobody_starved(found: Sequence[float | RemoteError]) -> None:
    """No error; and nobody waited much longer than the whole crowd took in the mean."""
    assert not [one for one in found if isinstance(one, RemoteError)]
    seconds = sorted(one for one in found if isinstance(one, float))
    assert seconds[494] <= 3 * seconds[250]  # in turns, the last waits twice as long as the middle one


async def test_500_callers_of_one_channel_are_all_served_in_turns(served: Served) -> None:
    nobody_starved(await latencies_of_500_callers(served, calls_in_flight=96))


async def test_500_callers_without_turns_would_be_refused(served: Served) -> None:
    with pytest.raises(AssertionError):
        nobody_starved(await latencies_of_500_callers(served, calls_in_flight=5000))
