"""Calls of a service that is gone fail at once; one that answers is never cut off."""

import asyncio
import itertools
import time

import pytest

from chassis.rpc import sending
from chassis.rpc.breaker import LEAST_FAILED, LONGEST_PAUSE_S, SILENT_S, Breaker, Verdict
from chassis.rpc.error_map import RemoteError, Trouble
from chassis.telemetry import BREAKER_OPEN, CALLS_REFUSED
from tests.chassis.rpc.conftest import Served
from tests.chassis.rpc.probe import a_principal, messages
from tests.chassis.rpc.replicas import Replicas, replicas
from tests.chassis.rpc.test_calls import until


def opened(now: float = 100.0) -> Breaker:
    """A breaker of a service that failed until it opened."""
    breaker = Breaker("probe")
    for _ in range(LEAST_FAILED):
        breaker.ended(now, Verdict.FAILED, breaker.enter(now))
    assert breaker.is_open
    return breaker


def test_ten_failures_and_no_answer_open_it_and_it_says_when_to_come_back() -> None:
    breaker = opened(100.0)

    with pytest.raises(RemoteError) as caught:
        breaker.enter(100.01)

    assert (caught.value.kind, caught.value.retry_after_s) == (Trouble.UNAVAILABLE, 1)


@pytest.mark.parametrize("verdict", [Verdict.NONE, Verdict.ANSWERED])
def test_cancelled_calls_and_refusals_never_open_it(verdict: Verdict) -> None:
    breaker = Breaker("probe")

    for number in range(1000):
        breaker.ended(100.0 + number / 100, verdict, breaker.enter(100.0 + number / 100))

    assert not breaker.is_open


def test_a_third_that_answers_keeps_it_shut() -> None:
    breaker = Breaker("probe")

    for number in range(3000):
        now = 100.0 + number / 10
        breaker.ended(now, Verdict.ANSWERED if number % 3 == 0 else Verdict.FAILED, breaker.enter(now))

    assert not breaker.is_open


def test_failures_open_it_only_once_nothing_was_answered_for_a_second() -> None:
    breaker = Breaker("probe")
    breaker.ended(100.0, Verdict.ANSWERED, breaker.enter(100.0))

    for _ in range(100):
        breaker.ended(100.0 + SILENT_S / 2, Verdict.FAILED, probe=False)
    early = breaker.is_open
    breaker.ended(100.0 + SILENT_S, Verdict.FAILED, probe=False)

    assert (early, breaker.is_open) == (False, True)


def test_one_probe_at_a_time_goes_through_and_its_answer_shuts_it() -> None:
    breaker = opened(100.0)

    assert breaker.enter(101.0)
    for _ in range(20):
        with pytest.raises(RemoteError):
            breaker.enter(101.0)
    breaker.ended(101.2, Verdict.ANSWERED, probe=True)

    assert not breaker.is_open
    assert not breaker.enter(101.3)


def test_a_probe_that_was_given_up_makes_room_for_the_next() -> None:
    breaker = opened(100.0)
    assert breaker.enter(101.0)

    breaker.ended(101.1, Verdict.NONE, probe=True)

    assert breaker.is_open
    assert breaker.enter(101.2)


def test_a_probe_that_waits_for_news_does_not_keep_the_others_out() -> None:
    breaker = opened(100.0)
    assert breaker.enter(101.0)

    with pytest.raises(RemoteError):
        breaker.enter(101.0 + LONGEST_PAUSE_S / 2)
    second = breaker.enter(101.0 + LONGEST_PAUSE_S)
    breaker.ended(102.1, Verdict.ANSWERED, second)
    breaker.ended(121.0, Verdict.FAILED, probe=True)

    assert not breaker.is_open


def test_it_probes_for_ever_at_pauses_of_a_second_at_most() -> None:
    breaker, now, probes = opened(100.0), 100.0, []
    while now < 400.0:
        now += 0.05
        try:
            probe = breaker.enter(now)
        except RemoteError:
            continue
        probes.append(now)
        breaker.ended(now, Verdict.FAILED, probe)

    pauses = [later - earlier for earlier, later in itertools.pairwise(probes)]
    assert pauses[0] < pauses[2]
    assert max(pauses) <= LONGEST_PAUSE_S + 0.06
    assert len(probes) >= 280


class Statistics(Breaker):
    """The planted bug: a breaker that opens at a third of failures, as many do."""

    def _is_gone(self, now: float) -> bool:
        return self._recent.second >= LEAST_FAILED and self._recent.second >= 0.3 * self._recent.first


async def answers_while_one_replica_fails(three: Replicas) -> int:
    """How many of 400 calls are answered while one replica of three fails and retries cannot help."""
    three.replicas[0].away = True
    found = await three.load(6, 400)
    return sum(isinstance(one, float) for one in found)


async def test_one_bad_replica_of_three_is_no_outage(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "ATTEMPTS", 1)
    async with replicas(served, 3) as three:
        assert await answers_while_one_replica_fails(three) >= 240
        assert not three.client._sender.breaker.is_open


async def test_a_breaker_by_statistics_would_make_it_one(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "ATTEMPTS", 1)
    monkeypatch.setattr(sending, "Breaker", Statistics)
    async with replicas(served, 1) as one:  # of whose calls a third fails, so that no balancing helps
        one.replicas[0].pause_s = 0.002
        answered = 0
        for number in range(300):
            one.replicas[0].away = number % 3 == 0
            answered += isinstance(await one.outcome(), float)

    assert answered < 100


async def test_a_service_that_is_gone_costs_less_than_a_millisecond_and_is_back_when_it_is_back(
    served: Served,
) -> None:
    refused = CALLS_REFUSED.labels("probe", "breaker")
    async with replicas(served, 1) as one:
        address = await one.stop(0)
        await asyncio.sleep(SILENT_S)
        await one.load(10, 40)
        assert one.client._sender.breaker.is_open
        assert BREAKER_OPEN.labels("probe")._value.get() == 1

        before, cpu = refused._value.get(), time.process_time()
        found = await one.load(1, 200)
        cpu = time.process_time() - cpu
        assert all(isinstance(outcome, RemoteError) for outcome in found)
        assert refused._value.get() - before >= 190
        assert cpu / 200 < 0.001

        await one.start(0, address)
        started = asyncio.get_running_loop().time()
        for _ in range(400):
            if not isinstance(await one.outcome(), RemoteError):
                break
            await asyncio.sleep(0.02)
        back_s = asyncio.get_running_loop().time() - started

    assert back_s < 5.0  # 1 s of gRPC's own pause, 1 s of ours, and a busy machine
    assert BREAKER_OPEN.labels("probe")._value.get() == 0


async def test_callers_who_go_away_do_not_open_it(served: Served) -> None:
    request = messages.DoRequest(behaviour="sleep", sleep_ms=1900)
    for _ in range(2):
        calls = [
            asyncio.create_task(served.client.call(served.stub.Do, request, principal=a_principal())) for _ in range(20)
        ]
        await until(lambda: served.probe.started["sleep"] - served.probe.cancelled["sleep"] == 20)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await until(lambda: served.probe.started["sleep"] == served.probe.cancelled["sleep"])

    answer = await served.client.call(served.stub.Do, messages.DoRequest(behaviour="echo"), principal=a_principal())

    assert answer.text == "amy"
    assert not served.client._sender.breaker.is_open
