"""What is sent again, how often, and what never is."""

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from chassis.rpc import channels, sending
from chassis.rpc.error_map import RemoteError, Trouble
from chassis.rpc.recent import Extra, Recent
from kernel.errors import Kind
from tests.chassis.rpc.conftest import Served
from tests.chassis.rpc.probe import a_principal, messages
from tests.chassis.rpc.replicas import Replicas, replicas
from tests.chassis.rpc.test_calls import until

MOST_ATTEMPTS = 1.1


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [("refuse", Kind.RULE), ("misspell", Kind.INVALID), ("stale", Kind.STALE), ("crash", Trouble.INTERNAL)],
)
async def test_what_is_refused_or_fails_was_executed_once(served: Served, behaviour: str, kind: Kind | Trouble) -> None:
    with pytest.raises(RemoteError) as caught:
        await served.client.call(served.stub.Do, messages.DoRequest(behaviour=behaviour), principal=a_principal())

    assert caught.value.kind is kind
    assert served.probe.started[behaviour] == 1


async def test_what_is_not_available_is_tried_four_times(served: Served) -> None:
    with pytest.raises(RemoteError) as caught:
        await served.client.call(served.stub.Do, messages.DoRequest(behaviour="pool_empty"), principal=a_principal())

    assert caught.value.kind is Trouble.UNAVAILABLE
    assert served.probe.started["pool_empty"] == sending.ATTEMPTS


async def attempts_per_call_of_a_failing_service(served: Served, *, xds: bool) -> float:
    """Three replicas that execute every call and are available for none."""
    async with replicas(served, 3, xds=xds, breaker=False) as three:
        for replica in three.replicas:
            replica.away = True
        found = await three.load(20, 500)
        assert all(isinstance(one, RemoteError) for one in found)
        return three.executed / (500 + three.asked_before)


@pytest.mark.parametrize("xds", [False, True], ids=["by addresses", "by xDS"])
async def test_a_failing_service_gets_a_tenth_more_calls_at_most(served: Served, xds: bool) -> None:
    assert await attempts_per_call_of_a_failing_service(served, xds=xds) <= MOST_ATTEMPTS


async def test_retries_without_a_budget_would_multiply_the_load(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "Extra", lambda share, least: Extra(3.0, least))

    assert await attempts_per_call_of_a_failing_service(served, xds=True) > MOST_ATTEMPTS


async def one_is_killed(three: Replicas) -> list[float | RemoteError]:
    """A replica ends at once while all three serve, and comes back."""
    for replica in three.replicas:
        replica.pause_s = 0.05
    doomed = three.replicas[0]
    loading = asyncio.create_task(three.load(12, 400))
    await until(lambda: doomed.finished["read"] > 10)
    doomed.pause_s = 10.0  # what it serves when it ends it cannot have answered
    await until(lambda: doomed.started["read"] >= doomed.finished["read"] + 3)
    address = await three.stop(0)
    doomed.pause_s = 0.05
    await asyncio.sleep(0.5)
    await three.start(0, address)
    return await loading


async def test_a_replica_that_is_killed_fails_no_call(served: Served) -> None:
    async with replicas(served, 3) as three:
        found = await one_is_killed(three)

    assert not [one for one in found if isinstance(one, RemoteError)]


async def test_without_retries_the_calls_on_a_killed_replica_would_fail(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "ATTEMPTS", 1)
    async with replicas(served, 3) as three:
        found = await one_is_killed(three)

    assert [one for one in found if isinstance(one, RemoteError)]


async def first_calls_of_a_service_that_is_back(served: Served, times: int) -> list[float | RemoteError]:
    """What the first call is answered each time that the only replica was away for a while."""
    found = []
    async with replicas(served, 1, breaker=False) as one:
        for _ in range(times):
            address = await one.stop(0)
            await asyncio.sleep(1.8)
            await one.start(0, address)
            found.append(await one.outcome())
    return found


async def test_the_first_call_of_a_service_that_is_back_is_answered(served: Served) -> None:
    found = await first_calls_of_a_service_that_is_back(served, 3)

    assert not [one for one in found if isinstance(one, RemoteError)]


async def test_dialling_again_later_than_the_last_retry_would_fail_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "REDIALLED_MS", 5_000)

    found = await first_calls_of_a_service_that_is_back(served, 3)

    assert [one for one in found if isinstance(one, RemoteError)]


async def test_pauses_differ_from_call_to_call(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    # Of the calls alone: whatever else runs on this loop sleeps as ever.
    monkeypatch.setattr(sending, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": noted}))
    request = messages.DoRequest(behaviour="pool_empty")
    for _ in range(3):
        with pytest.raises(RemoteError):
            await served.client.call(served.stub.Do, request, principal=a_principal())
    monkeypatch.undo()

    ours = [one for one in pauses if one]
    assert len(set(ours)) == len(ours) >= 9
    assert all(0.01 <= one <= 0.5 for one in ours)


def the_seconds(recent: Recent) -> Iterator[tuple[int, int]]:
    """One of each at every second from 100 to 119, and what is counted then."""
    for now in range(100, 120):
        recent.add(now + 0.5, 1, 2)
        yield recent.first, recent.second


def test_what_is_older_than_ten_seconds_is_forgotten() -> None:
    recent = Recent()

    counts = list(the_seconds(recent))

    assert counts[:3] == [(1, 2), (2, 4), (3, 6)]
    assert counts[9:] == [(10, 20)] * 11
    recent.turn(1000.0)
    assert (recent.first, recent.second) == (0, 0)


def test_a_tenth_of_what_was_asked_may_be_done_beyond_it_or_a_few() -> None:
    few, many = Extra(0.1, 3), Extra(0.1, 3)
    for extra, asked in ((few, 5), (many, 200)):
        for _ in range(asked):
            extra.asked(7.0)

    assert [sum(one.take(8.0) for _ in range(100)) for one in (few, many)] == [3, 20]
    assert few.take(18.0)
