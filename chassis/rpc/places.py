"""How many calls are in flight: places, of which one method never takes so many that the others have none."""

import asyncio
from collections import OrderedDict, deque

from chassis.rpc.error_map import RemoteError, Trouble
from chassis.telemetry import CALLS_REFUSED


class Places:
    """The places of one server, or of one client for one service.

    Invariants: no more are taken than there are; a method takes more than half of them only while at most three
    quarters are taken in all, so that a slow one leaves the others a quarter at least.
    """

    def __init__(self, places: int) -> None:
        self.places = places
        self.taken = 0
        self._half = max(places // 2, 1)
        self._three_quarters = max(places * 3 // 4, 1)
        self._by_method: dict[str, int] = {}

    def free(self, method: str) -> bool:
        """Whether the method may take one more."""
        if self.taken >= self.places:
            return False
        return self.taken < self._three_quarters or self._by_method.get(method, 0) < self._half

    def take(self, method: str) -> None:
        """Take one; ask `free` before."""
        self.taken += 1
        self._by_method[method] = self._by_method.get(method, 0) + 1

    def give(self, method: str) -> None:
        """Give one back."""
        self.taken -= 1
        self._by_method[method] -= 1

    def taken_by(self, method: str) -> int:
        """How many the method has now."""
        return self._by_method.get(method, 0)


class Turns:
    """Places that are waited for, first come first served within a method; methods do not wait for each other.

    Invariants: at most `waiting` callers wait; who waits is bounded by the deadline round it.
    """

    def __init__(self, service: str, places: int, waiting: int) -> None:
        self._service = service
        self._places = Places(places)
        self._most_waiting = waiting
        self._waiting = 0
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def take(self, method: str, deadline: float) -> None:
        """Take a place, after those who came before. Raises RemoteError: too many wait, or the deadline (loop time)."""
        if method not in self._queues and self._places.free(method):
            self._places.take(method)
            return
        if self._waiting >= self._most_waiting:
            CALLS_REFUSED.labels(self._service, "queue").inc()
            raise RemoteError.of(Trouble.OVERLOADED)
        turn = asyncio.get_running_loop().create_future()
        self._queues.setdefault(method, deque()).append(turn)
        self._waiting += 1
        try:
            async with asyncio.timeout_at(deadline):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.give(method)  # it came in the same moment
            if isinstance(error, TimeoutError):
                CALLS_REFUSED.labels(self._service, "queue").inc()
                raise RemoteError.of(Trouble.OVERLOADED) from None
            raise
        finally:
            self._waiting -= 1

    def give(self, method: str) -> None:
        """Give a place back: to who has waited longest among those who may have it, each method in its turn."""
        self._places.give(method)
        for waiting in tuple(self._queues):
            if self._places.taken >= self._places.places:
                return
            queue = self._queues[waiting]
            while queue and queue[0].done():  # gave up
                queue.popleft()
            if queue and self._places.free(waiting):
                self._places.take(waiting)
                queue.popleft().set_result(None)
                self._queues.move_to_end(waiting)
            if not queue:
                del self._queues[waiting]
