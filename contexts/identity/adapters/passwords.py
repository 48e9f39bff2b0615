"""Passwords hashed and checked with argon2id, off the event loop and never more at once than the machine bears."""

import asyncio
import base64
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from chassis.rpc.error_map import RemoteError, Trouble

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HashingCost:
    """What one hash costs. The defaults (some 150 ms and 64 MiB) are above what OWASP asks of argon2id; one lane, since
    the cores are busy with other requests.

    Invariants: `at_once` hashes run at a time and at most `waiting` more wait; others are turned away.
    """

    rounds: int = 3
    memory_kib: int = 64 * 1024
    lanes: int = 1
    at_once: int = 2
    waiting: int = 64


class Passwords:
    """Hashes and checks passwords.

    Invariants: checking takes the same time whether there is a hash to check against or not.
    """

    def __init__(self, cost: HashingCost) -> None:
        self._cost = cost
        self._hasher = PasswordHasher(cost.rounds, cost.memory_kib, cost.lanes)
        # Of nobody's password: the right shape and cost, and no password is known that gives these bytes.
        salt, digest = (base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
        parameters = f"m={cost.memory_kib},t={cost.rounds},p={cost.lanes}"
        self._of_nobody = f"$argon2id$v=19${parameters}${salt}${digest}"
        self._threads = ThreadPoolExecutor(cost.at_once, thread_name_prefix="password")
        self._pending = 0

    async def hash(self, password: str) -> str:
        """For storing. Raises RemoteError (OVERLOADED)."""
        return await self._run(lambda: self._hasher.hash(password))

    async def matches(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the password of that hash; never for None, after the same work. Raises RemoteError."""
        against = password_hash or self._of_nobody
        return await self._run(lambda: self._matches(password, against)) and password_hash is not None

    @property
    def busy(self) -> bool:
        """Whether a hash runs or waits, its caller there or not."""
        return self._pending > 0

    def close(self) -> None:
        """Let running hashes end; no other starts."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _matches(self, password: str, password_hash: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (Argon2Error, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._pending >= self._cost.at_once + self._cost.waiting:
            raise RemoteError.of(Trouble.OVERLOADED)
        # A caller that goes away does not stop a hash that runs, so the place is free when the thread is, not before.
        running = self._threads.submit(work)
        self._pending += 1
        loop = asyncio.get_running_loop()
        running.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave))
        return await asyncio.wrap_future(running)

    def _leave(self) -> None:
        self._pending -= 1
