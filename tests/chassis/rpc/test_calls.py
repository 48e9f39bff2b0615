"""Deadlines, cancellation, principals, streams and health of served calls."""

import asyncio
from collections.abc import AsyncIterable, Callable
from typing import Any
from uuid import UUID

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from chassis.health import NotReady, Readiness
from chassis.lifecycle import AddressTaken, Listener
from chassis.principal import call_or_none
from chassis.rpc import server
from chassis.rpc.channels import Channels, spending
from chassis.rpc.error_map import RemoteError, Trouble
from chassis.unit_of_work import replayed
from kernel.errors import Kind
from tests.chassis.rpc.conftest import Served
from tests.chassis.rpc.probe import Probe, a_principal, messages, wire

REQUEST_ID = UUID("0192f0c0-0000-7000-8000-00000000abcd")


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(400):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come about within two seconds")


async def collect(answers: AsyncIterable[Any], into: list[int]) -> None:
    async for answer in answers:
        into.append(answer.number)  # noqa: PERF401 - those before a failure count too


async def test_a_handler_sees_who_calls(served: Served) -> None:
    with spending(5.0, trace_id="req-1"):
        answer = await served.client.call(
            served.stub.Do, messages.DoRequest(behaviour="echo"), principal=a_principal(7, "zoe", "auditor")
        )

    call = served.probe.calls[0]
    assert answer.text == "zoe"
    assert call.principal == a_principal(7, "zoe", "auditor")
    assert (call.operation, call.request_id, call.trace_id) == ("probe.v1.ProbeService/Do", None, "req-1")
    assert call_or_none() is None


async def test_a_write_carries_its_request_id_and_fingerprint(served: Served) -> None:
    await served.client.call(
        served.stub.Do,
        messages.DoRequest(behaviour="echo", request_id=str(REQUEST_ID)),
        principal=a_principal(),
        request_id=REQUEST_ID,
        fingerprint=b"f" * 32,
    )

    assert (served.probe.calls[0].request_id, served.probe.calls[0].fingerprint) == (REQUEST_ID, b"f" * 32)


async def test_another_request_id_in_the_body_than_asserted_is_refused(served: Served) -> None:
    with pytest.raises(RemoteError) as caught:
        await served.client.call(
            served.stub.Do,
            messages.DoRequest(behaviour="echo", request_id=str(UUID(int=1))),
            principal=a_principal(),
            request_id=REQUEST_ID,
        )

    assert caught.value.kind is Trouble.UNAUTHENTICATED
    assert served.probe.started["echo"] == 0


async def test_a_deadline_cancels_the_handler(served: Served) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()

    with pytest.raises(RemoteError) as caught:
        await served.client.call(
            served.stub.Do, messages.DoRequest(behaviour="sleep", sleep_ms=5000), principal=a_principal(), timeout_s=0.2
        )

    assert caught.value.kind is Trouble.TIMEOUT
    assert loop.time() - started < 0.5
    await until(lambda: served.probe.cancelled["sleep"] == 1)
    assert served.probe.started["sleep"] == 1


async def test_the_budget_of_the_request_bounds_all_its_calls(served: Served) -> None:
    slow = messages.DoRequest(behaviour="sleep", sleep_ms=150)

    async def five_calls() -> None:
        for _ in range(5):
            await served.client.call(served.stub.Do, slow, principal=a_principal(), timeout_s=10.0)

    with spending(0.4), pytest.raises(RemoteError) as caught:
        await five_calls()

    assert caught.value.kind is Trouble.TIMEOUT
    assert served.probe.finished["sleep"] == 2


async def test_a_spent_budget_makes_no_call(served: Served) -> None:
    with spending(-1.0), pytest.raises(RemoteError) as caught:
        await served.client.call(served.stub.Do, messages.DoRequest(behaviour="echo"), principal=a_principal())

    assert caught.value.kind is Trouble.TIMEOUT
    assert served.probe.started["echo"] == 0


async def test_a_call_without_a_deadline_gets_the_longest_one(served: Served) -> None:
    async with grpc.aio.insecure_channel(served.address) as channel:
        stub = wire.ProbeServiceStub(channel)
        token = served.signer.for_read(a_principal(), "probe")
        started = asyncio.get_running_loop().time()

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Do(
                messages.DoRequest(behaviour="sleep", sleep_ms=20_000), metadata=(("muster-assertion", token),)
            )

    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert 1.9 < asyncio.get_running_loop().time() - started < 3.0
    assert served.probe.cancelled["sleep"] == 1


async def test_a_caller_who_goes_away_cancels_the_handler(served: Served) -> None:
    request = messages.DoRequest(behaviour="sleep", sleep_ms=1900)
    calling = asyncio.create_task(served.client.call(served.stub.Do, request, principal=a_principal()))
    await until(lambda: served.probe.started["sleep"] == 1)

    calling.cancel()

    with pytest.raises(asyncio.CancelledError):
        await calling
    await until(lambda: served.probe.cancelled["sleep"] == 1)


async def test_a_replayed_answer_is_known_to_the_caller(served: Served) -> None:
    async def again(_request: object) -> str:
        replayed.set(True)
        return "the first answer"

    served.probe._again = again
    request = messages.DoRequest(behaviour="again", request_id=str(REQUEST_ID))

    with spending(5.0) as budget:
        await served.client.call(served.stub.Do, request, principal=a_principal(), request_id=REQUEST_ID)
    with spending(5.0) as other:
        await served.client.call(served.stub.Do, messages.DoRequest(behaviour="echo"), principal=a_principal())

    assert budget.replayed
    assert not other.replayed


async def test_answers_stream(served: Served) -> None:
    request = messages.DoManyRequest(behaviour="count", count=5)

    numbers: list[int] = []
    await collect(served.client.stream(served.stub.DoMany, request, principal=a_principal()), numbers)

    assert numbers == [0, 1, 2, 3, 4]


async def test_a_stream_ends_with_its_refusal_or_incident(served: Served) -> None:
    numbers: list[int] = []
    for behaviour, kind in (("refuse", Kind.RULE), ("fail", Trouble.INTERNAL)):
        request = messages.DoManyRequest(behaviour=behaviour, count=5)

        with pytest.raises(RemoteError) as caught:
            await collect(served.client.stream(served.stub.DoMany, request, principal=a_principal()), numbers)

        assert caught.value.kind is kind
        assert "secret" not in str(caught.value)
    assert numbers == [0, 1, 0, 1]


async def test_a_stream_ends_at_its_deadline(served: Served) -> None:
    request = messages.DoManyRequest(behaviour="slow", count=1000)

    with pytest.raises(RemoteError) as caught:
        await collect(served.client.stream(served.stub.DoMany, request, principal=a_principal(), timeout_s=0.2), [])

    assert caught.value.kind is Trouble.TIMEOUT


async def test_more_calls_than_allowed_are_refused_at_once(served: Served) -> None:
    import dataclasses

    probe = Probe()
    settings = dataclasses.replace(served.settings, concurrent_calls=4)
    registration = (wire.add_ProbeServiceServicer_to_server, probe)
    running = await server.start(Listener(), [registration], name="probe", settings=settings)
    channels = Channels(settings, served.signer, {"probe": running.address})
    client = channels.to("probe")
    stub = client.stub(wire.ProbeServiceStub)
    request = messages.DoRequest(behaviour="sleep", sleep_ms=400)

    results = await asyncio.gather(
        *(client.call(stub.Do, request, principal=a_principal()) for _ in range(6)), return_exceptions=True
    )

    await channels.close()
    await running.stop(0.5)
    kinds = [result.kind for result in results if isinstance(result, RemoteError)]
    assert kinds == [Trouble.OVERLOADED] * 3


async def test_stopping_lets_calls_in_flight_finish(served: Served) -> None:
    probe = Probe()
    registration = (wire.add_ProbeServiceServicer_to_server, probe)
    running = await server.start(Listener(), [registration], name="probe", settings=served.settings)
    channels = Channels(served.settings, served.signer, {"probe": running.address})
    client = channels.to("probe")
    request = messages.DoRequest(behaviour="sleep", sleep_ms=300)
    calls = [
        asyncio.create_task(client.call(client.stub(wire.ProbeServiceStub).Do, request, principal=a_principal()))
        for _ in range(10)
    ]
    await until(lambda: probe.started["sleep"] == 10)

    await running.stop(2.0)

    assert len(await asyncio.gather(*calls)) == 10
    assert probe.finished["sleep"] == 10
    await channels.close()


async def test_stopping_lets_streams_finish(served: Served) -> None:
    probe = Probe()
    registration = (wire.add_ProbeServiceServicer_to_server, probe)
    running = await server.start(Listener(), [registration], name="probe", settings=served.settings)
    channels = Channels(served.settings, served.signer, {"probe": running.address})
    client = channels.to("probe")
    request = messages.DoManyRequest(behaviour="slow", count=20)
    numbers: list[list[int]] = [[] for _ in range(5)]
    stub = client.stub(wire.ProbeServiceStub)
    streams = [
        asyncio.create_task(collect(client.stream(stub.DoMany, request, principal=a_principal()), into))
        for into in numbers
    ]
    await until(lambda: all(numbers))

    await running.stop(5.0)

    await asyncio.gather(*streams)
    assert numbers == [list(range(20))] * 5
    await channels.close()


async def test_stopping_without_a_grace_would_break_streams_off(served: Served) -> None:
    running = await server.start(
        Listener(), [(wire.add_ProbeServiceServicer_to_server, Probe())], name="probe", settings=served.settings
    )
    channels = Channels(served.settings, served.signer, {"probe": running.address})
    client, numbers = channels.to("probe"), list[int]()
    request = messages.DoManyRequest(behaviour="slow", count=50)
    stream = client.stream(client.stub(wire.ProbeServiceStub).DoMany, request, principal=a_principal())
    reading = asyncio.create_task(collect(stream, numbers))
    await until(lambda: bool(numbers))

    await running.stop(0.0)

    with pytest.raises(RemoteError):
        await reading
    await channels.close()


async def test_a_taken_address_is_said_in_words(served: Served) -> None:
    host, _, port = served.address.rpartition(":")

    with pytest.raises(AddressTaken, match="free it or choose another"):
        await server.start(Listener(host, int(port)), [], name="second", settings=served.settings)


async def test_a_unix_socket_serves_too(served: Served) -> None:
    path = served.settings.data_dir.parent / "probe.sock"
    registration = (wire.add_ProbeServiceServicer_to_server, Probe())
    running = await server.start(Listener(path=str(path)), [registration], name="probe", settings=served.settings)
    channels = Channels(served.settings, served.signer, {"probe": running.address})
    client = channels.to("probe")

    answer = await client.call(
        client.stub(wire.ProbeServiceStub).Do, messages.DoRequest(behaviour="echo"), principal=a_principal()
    )

    await channels.close()
    await running.stop(1.0)
    assert running.address == f"unix:{path}"
    assert answer.text == "amy"


async def test_a_service_that_is_not_ready_is_alive_all_the_same(served: Served) -> None:
    readiness = Readiness()

    async def away() -> None:
        raise NotReady("the database is away")

    readiness.add("database", away)
    running = await server.start(Listener(), [], name="probe", settings=served.settings, readiness=readiness)
    async with grpc.aio.insecure_channel(running.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)

        async def asked(service: str) -> int:
            answer = await health.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
            status: int = answer.status
            return status

        for _ in range(500):
            if await asked("") == health_pb2.HealthCheckResponse.NOT_SERVING:
                break
            await asyncio.sleep(0.02)

        assert await asked("") == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await asked("live") == health_pb2.HealthCheckResponse.SERVING
    await running.stop(0.0)


async def test_health_needs_no_assertion_and_follows_readiness(served: Served) -> None:
    async with grpc.aio.insecure_channel(served.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)

        answers = [await health.Check(health_pb2.HealthCheckRequest(service=service)) for service in ("", "probe")]

    assert [answer.status for answer in answers] == [health_pb2.HealthCheckResponse.SERVING] * 2
