"""The fast path over Redis: one stream per context whose entry ids are the positions."""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from chassis.bus.port import Entry

log = structlog.get_logger(__name__)

REMEMBERED = 10_000
PUBLISH_LIMIT_S = 0.5
CONNECT_LIMIT_S = 0.5
CONNECTIONS = 64
PAUSE_S = 1.0
_FIELD = b"e"


class RedisFastPath:
    """Streams `muster:<context>:events` with entry ids `<position>-0`.

    Invariants: Redis refuses an id that is not greater than its newest, so that a repeat does nothing and a gap shows;
    nothing here is needed: a consumer that sees a gap or hears nothing reads the feed.
    """

    def __init__(self, url: str) -> None:
        self._redis: Redis = Redis.from_url(
            url, max_connections=CONNECTIONS, socket_connect_timeout=CONNECT_LIMIT_S, socket_timeout=None
        )
        self._down = False

    async def adopt(self, context: str, head: int) -> None:
        """See FastPath."""
        try:
            async with asyncio.timeout(PUBLISH_LIMIT_S):
                newest: Any = await self._redis.xrevrange(_key(context), count=1)
                if newest and _position(newest[0][0]) > head:
                    log.warning("the fast path knew more than the feed and forgets it", context=context, head=head)
                    await self._redis.delete(_key(context))
        except (RedisError, OSError, TimeoutError) as error:
            self._note(error)

    async def publish(self, context: str, entries: Sequence[Entry]) -> None:
        """See FastPath; takes half a second at most."""
        try:
            async with asyncio.timeout(PUBLISH_LIMIT_S), self._redis.pipeline(transaction=False) as pipeline:
                for entry in entries:
                    pipeline.xadd(
                        _key(context),
                        {_FIELD: entry.SerializeToString()},
                        id=f"{entry.position}-0",
                        maxlen=REMEMBERED,
                        approximate=True,
                    )
                results = await pipeline.execute(raise_on_error=False)
            self._note(None)
        except (RedisError, OSError, TimeoutError) as error:
            self._note(error)
            return
        refused = [result for result in results if isinstance(result, ResponseError)]
        if refused and "equal or smaller" not in str(refused[0]):
            self._note(refused[0])

    async def read(self, context: str, after: int, limit: int, wait_s: float) -> Sequence[Entry]:
        """See FastPath."""
        try:
            async with asyncio.timeout(wait_s + 0.5):
                answer: Any = await self._redis.xread(
                    {_key(context): f"{after}-0"}, count=limit, block=max(int(wait_s * 1000), 1)
                )
            self._note(None)
        except (RedisError, OSError, TimeoutError) as error:
            self._note(error)
            await asyncio.sleep(min(wait_s, PAUSE_S))  # the feed is read at this pace meanwhile
            return []
        return [
            Entry.FromString(fields[_FIELD]) for _, found in answer or () for _, fields in found if _FIELD in fields
        ]

    def head_of(self, context: str) -> int | None:
        """See FastPath: Redis may lose and forget."""
        return None

    def _note(self, error: BaseException | None) -> None:
        if (error is not None) != self._down:
            self._down = error is not None
            if error is not None:
                log.warning("the fast path is away; events come from the feed", error=type(error).__name__)
            else:
                log.info("the fast path is back")

    async def close(self) -> None:
        """See FastPath."""
        await self._redis.aclose()


def _key(context: str) -> str:
    return f"muster:{context}:events"


def _position(entry_id: bytes) -> int:
    return int(entry_id.partition(b"-")[0])
