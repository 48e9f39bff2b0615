"""A slow replica of three costs a read no more than the delay; a second copy is rare, wins fairly and is cancelled."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from chassis.rpc import hedging
from chassis.rpc.error_map import RemoteError
from chassis.rpc.hedging import Hedge, Pace
from chassis.rpc.recent import Extra
from tests.chassis.rpc.conftest import Served
from tests.chassis.rpc.replicas import LABEL, Replicas, replicas
from tests.chassis.rpc.test_calls import until

FAST_S, SLOW_S = 0.03, 1.2
MOST_EXTRA = 1.15


def pace_of(three: Replicas) -> Pace:
    hedge = three.client._sender._hedge
    assert hedge is not None
    return hedge._paces[LABEL]


@dataclass
class Tail:
    """Sorted seconds of the reads, copies per read, the longest delay, and how late this machine ran at worst."""

    seconds: Sequence[float] = ()
    copies: float = 1.0
    delay_s: float = 0.0
    late_s: float = 0.0

    async def watch(self, three: Replicas) -> None:
        """Note the delay and how late a task is called."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.01
            await asyncio.sleep(0.01)
            self.late_s = max(self.late_s, loop.time() - due)
            self.delay_s = max(self.delay_s, pace_of(three).delay_s or 0.0)

    def is_short(self) -> None:
        """The slowest of a hundred took no longer than the usual one and the delay: it waited for no slow one."""
        at = len(self.seconds)
        slowest_of_100 = self.seconds[at - at // 100 - 1]
        assert slowest_of_100 <= self.seconds[at // 2] + self.delay_s + self.late_s
        assert slowest_of_100 < SLOW_S


def sorted_seconds(found: Sequence[float | RemoteError]) -> list[float]:
    """All of them answered."""
    assert not [one for one in found if isinstance(one, RemoteError)]
    return sorted(one for one in found if isinstance(one, float))


async def one_turns_slow(three: Replicas) -> Tail:
    """Three replicas, one of which turns slow: the reads after that."""
    for replica in three.replicas:
        replica.pause_s = FAST_S
    await three.load(6, 200)
    three.replicas[0].pause_s = SLOW_S
    await three.load(6, 300)  # until its weight is known: reports are looked at once a second
    before, tail = three.executed, Tail()
    watching = asyncio.create_task(tail.watch(three))
    tail.seconds = sorted_seconds(await three.load(6, 500))
    watching.cancel()
    tail.copies = (three.executed - before) / 500
    return tail


@pytest.mark.parametrize("xds", [False, True], ids=["by addresses", "by xDS"])
async def test_a_slow_replica_of_three_costs_no_more_than_the_delay(served: Served, xds: bool) -> None:
    async with replicas(served, 3, hedged=True, xds=xds) as three:
        tail = await one_turns_slow(three)
        slow, other, _ = three.replicas

        tail.is_short()
        assert tail.copies <= MOST_EXTRA
        await until(lambda: slow.cancelled["read"] > 0)
        assert slow.started["read"] < 0.5 * other.started["read"]  # less is sent to it, too


async def test_without_a_second_copy_the_slow_replica_would_be_waited_for(served: Served) -> None:
    async with replicas(served, 3, hedged=True, hedging=False) as three:
        three.replicas[0].pause_s = SLOW_S

        found = await three.load(3, 12)

    with pytest.raises(AssertionError):
        Tail(sorted_seconds(found), delay_s=4 * FAST_S).is_short()


async def all_turn_slow(three: Replicas) -> float:
    """How many copies each read has where every replica is slower than usual at once."""
    for replica in three.replicas:
        replica.pause_s = 0.01
    await three.load(6, 100)
    for replica in three.replicas:
        replica.pause_s = 0.2
    before = three.executed
    await three.load(30, 300)
    return (three.executed - before) / 300


async def test_where_all_are_slow_hardly_any_read_is_sent_twice(served: Served) -> None:
    async with replicas(served, 3, hedged=True) as three:
        assert await all_turn_slow(three) <= MOST_EXTRA


async def test_without_a_budget_a_slow_service_would_get_twice_the_load(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hedging, "Extra", lambda share, least: Extra(1.0, 1000))
    async with replicas(served, 3, hedged=True) as three:
        assert await all_turn_slow(three) > MOST_EXTRA


def known(hedge: Hedge, seconds: float) -> Hedge:
    """A hedge that knows how long the method takes."""
    pace = hedge._paces["m"] = Pace()
    for _ in range(40):
        pace.took(seconds)
    return hedge


async def copies(hedge: Hedge, *answers: tuple[float, Any]) -> tuple[Any, float, list[int]]:
    """The answer, how long it took, and which copies were cancelled; each copy: seconds and answer or error."""
    cancelled: list[int] = []

    async def copy(number: int) -> Any:
        seconds, answer = answers[number]
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    started = asyncio.get_running_loop().time()
    answer = await hedge.call("m", lambda: copy(0), lambda: copy(1), lambda error: isinstance(error, KeyError))
    took = asyncio.get_running_loop().time() - started
    await asyncio.sleep(0)
    return answer, took, cancelled


async def test_the_first_copy_wins_where_it_is_first_although_a_second_was_sent() -> None:
    answer, took, cancelled = await copies(known(Hedge(), 0.01), (0.1, "first"), (5.0, "second"))

    assert (answer, cancelled) == ("first", [1])
    assert took < 2.5


class Impatient(Hedge):
    """The planted bug: once the second copy is sent, the first one's answer is thrown away."""

    @staticmethod
    async def _winner(copies: Any, is_answer: Any) -> Any:
        await asyncio.wait(copies[-1:])
        return copies[-1]


async def test_a_hedge_that_discards_the_first_answer_would_wait_for_the_second() -> None:
    answer, took, _ = await copies(known(Impatient(), 0.01), (0.1, "first"), (0.5, "second"))

    assert answer == "second"
    assert took > 0.4


async def test_the_second_copy_wins_where_the_first_hangs() -> None:
    answer, _, cancelled = await copies(known(Hedge(), 0.01), (5.0, "first"), (0.05, "second"))

    assert (answer, cancelled) == ("second", [0])


async def test_a_copy_without_an_answer_does_not_win_and_a_refusal_does() -> None:
    answer, _, _ = await copies(known(Hedge(), 0.01), (0.2, "first"), (0.01, OSError("away")))
    with pytest.raises(KeyError):
        await copies(known(Hedge(), 0.01), (5.0, "first"), (0.01, KeyError("refused")))
    with pytest.raises(OSError, match="first"):
        await copies(known(Hedge(), 0.01), (0.1, OSError("first")), (0.1, OSError("second")))

    assert answer == "first"


async def test_a_caller_who_goes_away_cancels_both_copies() -> None:
    hedge, cancelled = known(Hedge(), 0.01), []

    async def copy(number: int) -> None:
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise

    calling = asyncio.create_task(hedge.call("m", lambda: copy(0), lambda: copy(1), lambda error: False))
    await asyncio.sleep(0.2)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await asyncio.sleep(0)

    assert sorted(cancelled) == [0, 1]


def test_the_delay_is_what_one_in_twenty_exceeds_within_bounds() -> None:
    quick, usual, slow_third = Pace(), Pace(), Pace()
    for number in range(96):
        quick.took(0.001)
        usual.took(0.02 if number % 24 else 0.06)
        slow_third.took(0.02 if number % 3 else 1.0)

    assert Pace().delay_s is None
    assert quick.delay_s == 0.01
    assert usual.delay_s == 0.02
    assert slow_third.delay_s == 0.08
