"""How many requests pass in a time, by a clock that the test moves."""

import random
from dataclasses import dataclass

import pytest

from chassis.rate_limit import MOST_KEYS, Limit, SlidingWindows, TokenBuckets


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("count", [1, 3, 5, 7, 999])
@pytest.mark.parametrize("kind", [TokenBuckets, SlidingWindows])
def test_exactly_the_count_passes_at_once(kind: type[TokenBuckets] | type[SlidingWindows], count: int) -> None:
    clock = Clock(1_795_000_000.123)
    limiter = kind(Limit(count, 60), clock)

    passed = [limiter.take("a").passed for _ in range(count + 20)]

    assert passed == [True] * count + [False] * 20


def test_a_bucket_fills_steadily() -> None:
    clock = Clock()
    buckets = TokenBuckets(Limit(10, 1), clock)
    while buckets.take("a").passed:
        pass

    clock.now += 0.35

    assert [buckets.take("a").passed for _ in range(4)] == [True, True, True, False]


def test_no_window_ever_holds_more_than_the_count() -> None:
    dice, clock = random.Random(7), Clock()
    windows = SlidingWindows(Limit(5, 10), clock)

    passes = []
    for _ in range(5000):
        clock.now += dice.choice([0.0, 0.01, 0.5, 4.9, 9.99])
        if windows.take("a").passed:
            passes.append(clock.now)

    assert all(later - earlier >= 10 for earlier, later in zip(passes, passes[5:], strict=False))
    assert len(passes) > 1000


def test_what_was_refused_does_not_count() -> None:
    clock = Clock()
    windows = SlidingWindows(Limit(1, 10), clock)
    windows.take("a")
    clock.now += 9
    windows.take("a")

    clock.now += 1

    assert windows.take("a").passed


@pytest.mark.parametrize("kind", [TokenBuckets, SlidingWindows])
def test_one_key_takes_nothing_from_another(kind: type[TokenBuckets] | type[SlidingWindows]) -> None:
    limiter = kind(Limit(1, 60), Clock())

    assert limiter.take("a").passed
    assert not limiter.take("a").passed
    assert limiter.take("b").passed


@pytest.mark.parametrize("kind", [TokenBuckets, SlidingWindows])
def test_who_waits_as_long_as_told_passes(kind: type[TokenBuckets] | type[SlidingWindows]) -> None:
    clock = Clock()
    limiter = kind(Limit(3, 10), clock)
    for _ in range(3):
        limiter.take("a")
        clock.now += 0.7
    refused = limiter.take("a")

    clock.now += int(refused.headers["Retry-After"])

    assert limiter.take("a").passed
    assert refused.headers["RateLimit-Limit"] == "3"
    assert refused.headers["RateLimit-Remaining"] == "0"


@pytest.mark.parametrize("kind", [TokenBuckets, SlidingWindows])
def test_what_is_remembered_has_a_bound(kind: type[TokenBuckets] | type[SlidingWindows]) -> None:
    limiter = kind(Limit(1, 60), Clock())
    for number in range(MOST_KEYS + 1):
        limiter.take(str(number))

    assert limiter.take("0").passed  # forgotten
    assert not limiter.take(str(MOST_KEYS)).passed


@pytest.mark.parametrize("text", ["", "5", "5/", "/5", "0/1", "5/0", "-1/5", "5/3601", "1.5/1", "5/60s"])
def test_a_limit_is_two_whole_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="60/60"):
        Limit.parse(text)
