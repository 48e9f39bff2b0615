"""The count in Redis does what the count in memory does, over any number of processes."""

import asyncio
import time

import pytest
from redis.asyncio import Redis

from chassis.rate_limit import Limit, SlidingWindows, Verdict
from chassis.shared_rate import CountAway, SharedWindows
from tests.support.servers import PrivateRedis


class Memory:
    """The twin, by the same calls."""

    def __init__(self) -> None:
        self._windows: dict[Limit, SlidingWindows] = {}

    async def take(self, key: str, limit: Limit) -> Verdict:
        return self._windows.setdefault(limit, SlidingWindows(limit)).take(key)

    async def close(self) -> None: ...


@pytest.fixture(params=["memory", "redis"])
async def count(request: pytest.FixtureRequest) -> "Memory | SharedWindows":
    if request.param == "memory":
        return Memory()
    server: PrivateRedis = request.getfixturevalue("redis_server")
    server.flush()
    return SharedWindows(server.url, within_s=10.0)


async def test_exactly_the_count_passes_of_fifty_at_once(count: Memory | SharedWindows) -> None:
    verdicts = await asyncio.gather(*(count.take("acme:EXPORT", Limit(5, 60)) for _ in range(50)))

    passed = [one for one in verdicts if one.passed]
    assert sorted(one.remaining for one in passed) == [0, 1, 2, 3, 4]
    assert all(one.headers["Retry-After"] in ("59", "60") for one in verdicts if not one.passed)
    await count.close()


async def test_a_count_that_looks_first_and_counts_then_would_let_more_pass(redis_server: PrivateRedis) -> None:
    client = Redis.from_url(redis_server.url, max_connections=60)

    async def careless() -> bool:
        seen = int(await client.get("careless:EXPORT") or 0)
        if seen >= 5:
            return False
        await client.incr("careless:EXPORT")
        return True

    passed = await asyncio.gather(*(careless() for _ in range(50)))

    assert sum(passed) > 5
    await client.aclose()


async def test_a_boundary_gives_no_second_burst(count: Memory | SharedWindows) -> None:
    passes: list[float] = []
    ends = time.monotonic() + 3.2

    while time.monotonic() < ends:
        before = time.monotonic()
        if (await count.take("acme:EXPORT", Limit(5, 1))).passed:
            passes.append(before)
        await asyncio.sleep(0.01)

    # A request was counted after it was made: five later the window has gone by, but for the time that one call took.
    assert all(later - earlier > 0.7 for earlier, later in zip(passes, passes[5:], strict=False))
    assert 11 <= len(passes) <= 20
    await count.close()


async def test_one_key_takes_nothing_from_another(count: Memory | SharedWindows) -> None:
    limit = Limit(1, 60)

    assert (await count.take("acme:EXPORT", limit)).passed
    assert not (await count.take("acme:EXPORT", limit)).passed
    assert (await count.take("other:EXPORT", limit)).passed
    assert (await count.take("acme:BULK", limit)).passed
    await count.close()


async def test_what_is_kept_ends_with_the_window(redis_server: PrivateRedis) -> None:
    import redis

    count = SharedWindows(redis_server.url, within_s=10.0)
    for _ in range(20):
        await count.take("acme:SHORT", Limit(5, 1))

    with redis.Redis(port=redis_server.port) as client:
        kept, ttl_ms = client.llen("acme:SHORT"), client.pttl("acme:SHORT")
    assert kept == 5
    assert 0 < int(ttl_ms) <= 1000
    await count.close()


async def test_a_redis_that_hangs_or_is_gone_is_told_in_time() -> None:
    with PrivateRedis() as server:
        count = SharedWindows(server.url, within_s=0.2)
        await count.take("acme:EXPORT", Limit(5, 60))
        server.sigstop()

        began = time.monotonic()
        with pytest.raises(CountAway):
            await count.take("acme:EXPORT", Limit(5, 60))
        hung_s = time.monotonic() - began
        began = time.monotonic()
        for _ in range(100):
            with pytest.raises(CountAway):
                await count.take("acme:EXPORT", Limit(5, 60))
        spared_s = time.monotonic() - began
        server.sigcont()
        await asyncio.sleep(0.6)

        assert (await count.take("acme:EXPORT", Limit(5, 60))).passed
        server.kill()
        with pytest.raises(CountAway):
            await count.take("acme:EXPORT", Limit(5, 60))
        assert hung_s < 2.0
        assert spared_s < 2.0  # not one by one
        await count.close()
