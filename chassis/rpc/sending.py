"""What stands between a call and the wire: breaker, turn, retries within a budget, a second copy of a slow read."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from chassis.rpc.breaker import Breaker, Verdict
from chassis.rpc.hedging import Hedge
from chassis.rpc.places import Turns
from chassis.rpc.recent import Extra
from chassis.settings import Settings
from chassis.telemetry import RETRIES

ATTEMPTS = 4
FIRST_PAUSE_S, GROWTH, LEAST_OF_A_PAUSE = 0.025, 4, 0.75
RETRIED_SHARE, LEAST_RETRIES = 0.1, 20
FAIR_S = 0.5  # a caller who waits for less learns nothing about the service

Metadata = tuple[tuple[str, str], ...]

_AGAIN = grpc.StatusCode.UNAVAILABLE
_NO_ANSWER = frozenset(
    {_AGAIN, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED}
)


class Sender:
    """Sends one process's calls of one data service.

    Retries are made here, not by gRPC, whose budget is not told over xDS: one layer, the same for every kind of target.

    Invariants: only UNAVAILABLE is tried again, at most four times in all, after a pause that nobody else takes at the
    same moment, within the call's deadline, and for at most a tenth of the calls of the last ten seconds (or twenty);
    every other answer, a refusal by the business above all, stands as it came. The pauses together are longer than a
    channel waits before it dials again (`channels.REDIALLED_MS`): a service that is back answers the first who asks.
    """

    def __init__(self, service: str, settings: Settings) -> None:
        self.breaker = Breaker(service)
        self._turns = Turns(service, settings.calls_in_flight, settings.calls_waiting)
        self._retries = Extra(RETRIED_SHARE, LEAST_RETRIES)
        self._hedge = Hedge() if settings.hedging else None
        self._breaking = settings.breaker
        self._retried = RETRIES.labels(service)

    async def send(
        self,
        method: Callable[..., Any],
        request: Any,
        metadata: Metadata,
        *,
        label: str,
        deadline: float,
        hedged: bool,
    ) -> tuple[Any, Any]:
        """The call that was answered and its answer. Raises AioRpcError; RemoteError where nothing was sent."""
        with self._watched(deadline) as watch:
            await self._turns.take(label, deadline)
            try:
                watch.sent = True
                if not hedged or self._hedge is None:
                    return await self._attempts(method, request, metadata, deadline)
                return await self._hedge.call(
                    label,
                    lambda: self._attempts(method, request, metadata, deadline),
                    lambda: self._attempts(method, request, metadata, deadline, once=True),
                    _is_answer,
                )
            finally:
                self._turns.give(label)

    async def stream(
        self, method: Callable[..., Any], request: Any, metadata: Metadata, *, label: str, deadline: float
    ) -> AsyncGenerator[Any, None]:
        """The answers of a streaming read, tried again until the first of them came. Raises as `send` does."""
        loop = asyncio.get_running_loop()
        with self._watched(deadline) as watch:
            await self._turns.take(label, deadline)
            try:
                watch.sent = True
                self._retries.asked(loop.time())
                attempt, begun = 1, False
                while True:
                    running = method(request, timeout=deadline - loop.time(), metadata=metadata)
                    try:
                        async for answer in running:
                            begun = True
                            yield answer
                        return
                    except grpc.aio.AioRpcError as error:
                        if begun or not await self._again(error, attempt, deadline):
                            raise
                        attempt += 1
                    finally:
                        running.cancel()
            finally:
                self._turns.give(label)

    async def _attempts(
        self, method: Callable[..., Any], request: Any, metadata: Metadata, deadline: float, once: bool = False
    ) -> tuple[Any, Any]:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._retries.asked(now)
        attempt = 1
        while True:
            try:
                running = method(request, timeout=deadline - now, metadata=metadata)
                return running, await running
            except grpc.aio.AioRpcError as error:
                if once or not await self._again(error, attempt, deadline):
                    raise
            attempt += 1
            now = loop.time()

    async def _again(self, error: grpc.aio.AioRpcError, attempt: int, deadline: float) -> bool:
        """Wait before the next attempt, where there may be one."""
        if error.code() is not _AGAIN or attempt >= ATTEMPTS:
            return False
        pause = random.uniform(LEAST_OF_A_PAUSE, 1.0) * FIRST_PAUSE_S * GROWTH ** (attempt - 1)
        now = asyncio.get_running_loop().time()
        if now + pause >= deadline or not self._retries.take(now):
            return False
        self._retried.inc()
        await asyncio.sleep(pause)
        return True

    @contextmanager
    def _watched(self, deadline: float) -> Iterator["_Watch"]:
        """Let the call past the breaker, which hears what became of it."""
        loop = asyncio.get_running_loop()
        watch, started = _Watch(), loop.time()
        probe = self._breaking and self.breaker.enter(started)
        verdict = Verdict.NONE
        try:
            yield watch
            verdict = Verdict.ANSWERED
        except grpc.aio.AioRpcError as error:
            verdict = _verdict(error.code(), deadline - started)
            raise
        finally:
            if self._breaking:
                self.breaker.ended(loop.time(), verdict if watch.sent else Verdict.NONE, probe)


class _Watch:
    """Whether a call came as far as the wire."""

    __slots__ = ("sent",)

    def __init__(self) -> None:
        self.sent = False


def _verdict(code: grpc.StatusCode, given_s: float) -> Verdict:
    if code is _AGAIN:
        return Verdict.FAILED
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Verdict.FAILED if given_s >= FAIR_S else Verdict.NONE
    return Verdict.NONE if code is grpc.StatusCode.CANCELLED else Verdict.ANSWERED


def _is_answer(error: BaseException) -> bool:
    """Whether another copy of the call would be answered the same."""
    return isinstance(error, grpc.aio.AioRpcError) and error.code() not in _NO_ANSWER
