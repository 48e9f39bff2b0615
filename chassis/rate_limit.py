"""How many requests pass in a time: the arithmetic, exact and in memory; the Redis twin is compared with it."""

import math
import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` requests in `window_s` seconds.

    Invariants: count is 1 to 1,000,000, the window 1 s to an hour.
    """

    count: int
    window_s: int

    @classmethod
    def parse(cls, text: str) -> "Limit":
        """From "60/60": count, then whole seconds. Raises ValueError."""
        match = re.fullmatch(r"([0-9]{1,7})/([0-9]{1,4})", text)
        if match is None or not 1 <= int(match[1]) <= 1_000_000 or not 1 <= int(match[2]) <= 3600:
            raise ValueError("write how many requests in how many seconds: 60/60")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.count}/{self.window_s}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one request passes, and what its sender may be told."""

    limit: Limit
    passed: bool
    remaining: int  # that would pass at once after this one
    reset_s: float  # until all would pass again; for a refused one: until the next would pass

    @property
    def headers(self) -> dict[str, str]:
        """RateLimit-* and, for a refused one, Retry-After in whole seconds, never 0."""
        reset = str(max(math.ceil(self.reset_s), 0))
        headers = {
            "RateLimit-Limit": str(self.limit.count),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": reset,
        }
        if not self.passed:
            headers["Retry-After"] = reset if reset != "0" else "1"
        return headers


@dataclass(slots=True)
class TokenBuckets:
    """A bucket per key that fills steadily (GCRA): short bursts up to the count, then the count per window.

    Invariants: at most MOST_KEYS keys; the one unused longest is forgotten, which gives it a full bucket.
    """

    limit: Limit
    clock: Callable[[], float] = time.monotonic
    _full_at: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def take(self, key: str) -> Verdict:
        """Count one request of `key`."""
        now = self.clock()
        each_s = self.limit.window_s / self.limit.count
        full_at = max(self._full_at.get(key, now), now)
        # A hair of tolerance: `count` steps of window/count must fit into the window in binary fractions too.
        if full_at + each_s - now > self.limit.window_s + each_s * 1e-6:
            return Verdict(self.limit, False, 0, full_at + each_s - now - self.limit.window_s)
        full_at += each_s
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        if len(self._full_at) > MOST_KEYS:
            self._full_at.popitem(last=False)
        left = self.limit.window_s - (full_at - now)
        return Verdict(self.limit, True, max(int(left / each_s + 1e-6), 0), full_at - now)


@dataclass(slots=True)
class SlidingWindows:
    """The last `count` passes of each key: never more than `count` in any window, at whatever boundary.

    Invariants: at most MOST_KEYS keys; the one unused longest is forgotten. What is refused is not counted.
    """

    limit: Limit
    clock: Callable[[], float] = time.monotonic
    _passes: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)

    def take(self, key: str) -> Verdict:
        """Count one request of `key`."""
        now, window = self.clock(), self.limit.window_s
        passes = self._passes.setdefault(key, deque())
        self._passes.move_to_end(key)
        if len(self._passes) > MOST_KEYS:
            self._passes.popitem(last=False)
        while passes and passes[0] <= now - window:
            passes.popleft()
        if len(passes) >= self.limit.count:
            return Verdict(self.limit, False, 0, passes[0] + window - now)
        passes.append(now)
        return Verdict(self.limit, True, self.limit.count - len(passes), window)
