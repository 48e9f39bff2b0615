"""Both fast paths keep the same contract, and an outage of Redis is nobody's failure."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from muster.event.v1.event_feed_pb2 import Entry

from chassis.bus.in_process import InProcessFastPath, in_process
from chassis.bus.open import fast_path_of
from chassis.bus.port import FastPath
from chassis.bus.redis_streams import RedisFastPath
from chassis.settings import Settings
from tests.support.servers import PrivateRedis


@pytest.fixture(params=["in process", "redis"])
async def fast_path(request: pytest.FixtureRequest) -> AsyncIterator[FastPath]:
    made: FastPath
    if request.param == "redis":
        server: PrivateRedis = request.getfixturevalue("redis_server")
        server.flush()
        made = RedisFastPath(server.url)
    else:
        made = InProcessFastPath()
    yield made
    await made.close()


def entries(*positions: int) -> list[Entry]:
    return [Entry(position=position, event_id=f"e{position}") for position in positions]


async def positions(fast_path: FastPath, after: int, limit: int = 100, wait_s: float = 0.05) -> list[int]:
    return [entry.position for entry in await fast_path.read("probe", after, limit, wait_s)]


async def test_what_is_published_is_heard_in_order(fast_path: FastPath) -> None:
    await fast_path.publish("probe", entries(1, 2, 3))

    assert await positions(fast_path, 0) == [1, 2, 3]
    assert await positions(fast_path, 1) == [2, 3]
    assert await positions(fast_path, 1, limit=1) == [2]
    assert (await fast_path.read("probe", 0, 1, 0.05))[0].event_id == "e1"


async def test_silence_ends_after_its_time(fast_path: FastPath) -> None:
    started = asyncio.get_running_loop().time()

    assert await positions(fast_path, 0, wait_s=0.2) == []
    assert 0.15 < asyncio.get_running_loop().time() - started < 1.0


async def test_who_waits_is_woken(fast_path: FastPath) -> None:
    waiting = [asyncio.create_task(positions(fast_path, 0, wait_s=5.0)) for _ in range(3)]
    await asyncio.sleep(0.1)
    started = asyncio.get_running_loop().time()

    await fast_path.publish("probe", entries(1))

    assert await asyncio.gather(*waiting) == [[1]] * 3
    assert asyncio.get_running_loop().time() - started < 1.0


async def test_a_repeat_does_nothing_and_a_gap_shows(fast_path: FastPath) -> None:
    await fast_path.publish("probe", entries(1, 2))
    await fast_path.publish("probe", entries(1, 2))
    await fast_path.publish("probe", entries(5))
    await fast_path.publish("probe", entries(3, 4))

    assert await positions(fast_path, 0) == [1, 2, 5]


async def test_contexts_do_not_mix(fast_path: FastPath) -> None:
    await fast_path.publish("other", entries(1))

    assert await positions(fast_path, 0) == []


async def test_what_lies_beyond_the_feed_is_forgotten(fast_path: FastPath) -> None:
    await fast_path.publish("probe", entries(1, 2, 3))

    await fast_path.adopt("probe", 3)
    kept = await positions(fast_path, 0)
    await fast_path.adopt("probe", 2)

    assert kept == [1, 2, 3]
    assert await positions(fast_path, 0) == []
    await fast_path.publish("probe", entries(3))
    assert await positions(fast_path, 2) == [3]


async def test_only_who_is_told_everything_knows_where_the_feed_stands(fast_path: FastPath) -> None:
    await fast_path.publish("probe", entries(1, 2))
    before = fast_path.head_of("probe")
    await fast_path.adopt("probe", 2)
    adopted = fast_path.head_of("probe")
    await fast_path.publish("probe", entries(3))
    told = fast_path.head_of("probe")
    await fast_path.adopt("probe", 7)  # some were given that it was not told of

    heads = (before, adopted, told, fast_path.head_of("probe"))
    assert heads == ((None, 2, 3, 7) if isinstance(fast_path, InProcessFastPath) else (None,) * 4)


async def test_without_redis_nothing_fails_and_nothing_takes_long() -> None:
    fast_path = RedisFastPath("redis://127.0.0.1:1/0")
    started = asyncio.get_running_loop().time()

    await fast_path.adopt("probe", 1)
    await fast_path.publish("probe", entries(1))

    assert await positions(fast_path, 0, wait_s=0.3) == []
    assert asyncio.get_running_loop().time() - started < 2.0
    await fast_path.close()


@pytest.mark.usefixtures("redis_server")  # `--fast` leaves out what needs a server
async def test_a_redis_that_hangs_holds_nobody_up() -> None:
    with PrivateRedis() as server:
        fast_path = RedisFastPath(server.url)
        await fast_path.publish("probe", entries(1))
        os.kill(server.pid, signal.SIGSTOP)
        started = asyncio.get_running_loop().time()

        await fast_path.publish("probe", entries(2))
        heard = await positions(fast_path, 1, wait_s=0.2)

        assert heard == []
        assert asyncio.get_running_loop().time() - started < 2.0
        os.kill(server.pid, signal.SIGCONT)
        await fast_path.publish("probe", entries(3))
        assert (await positions(fast_path, 0, wait_s=1.0))[0] == 1
        await fast_path.close()


async def test_the_parts_of_one_data_folder_share_a_fast_path(tmp_path: Path) -> None:
    here, elsewhere = Settings.embedded(tmp_path / "a"), Settings.embedded(tmp_path / "b")

    assert fast_path_of(here) is in_process(tmp_path / "a")
    assert fast_path_of(here) is not fast_path_of(elsewhere)
