"""The sliding window of `chassis.rate_limit` kept in Redis: one count for all processes, decided in one atomic step."""

import asyncio
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from chassis.rate_limit import Limit, Verdict

CONNECTIONS = 32
AWAY_S = 0.5  # after a failure nobody asks for so long, so that a hung Redis does not hold up everybody
# The last passes of a key, oldest first, at most `count`; the clock is Redis's own.
TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local count, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local passes = redis.call('LLEN', KEYS[1])
local oldest = now
while passes > 0 do
  oldest = tonumber(redis.call('LINDEX', KEYS[1], 0))
  if oldest > now - window then break end
  redis.call('LPOP', KEYS[1])
  passes = passes - 1
end
if passes >= count then return {0, 0, oldest + window - now} end
redis.call('RPUSH', KEYS[1], string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
return {1, count - passes - 1, window}
"""


class CountAway(Exception):
    """Redis did not decide in time; the caller's policy does."""


class SharedWindows:
    """Never more than a limit's count in any window, however many processes ask.

    Invariants: a key is the caller's and names the tenant or the address; nothing here is needed later: what Redis
    forgets passes once more. An answer or CountAway comes within `within_s`.
    """

    def __init__(self, url: str, *, within_s: float) -> None:
        pool: Any = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=within_s,
            socket_connect_timeout=within_s,
            socket_timeout=within_s,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis: Redis = Redis.from_pool(pool)
        self._script = self._redis.register_script(TAKE)
        self._within_s = within_s
        self._away_until = float("-inf")

    async def take(self, key: str, limit: Limit) -> Verdict:
        """Count one request of `key`. Raises CountAway."""
        clock = asyncio.get_running_loop()
        if clock.time() < self._away_until:
            raise CountAway
        try:
            async with asyncio.timeout(self._within_s):
                passed, remaining, reset_us = await self._script(
                    keys=[key], args=[limit.count, limit.window_s * 1_000_000]
                )
        except (RedisError, OSError, TimeoutError) as error:
            self._away_until = clock.time() + AWAY_S
            raise CountAway from error
        return Verdict(limit, bool(passed), int(remaining), int(reset_us) / 1e6)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
