"""Who may write where there is one writer: turns in order of arrival, and short commands that share one commit."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from chassis.waiting import settle

MOST_TOGETHER = 32  # commands of one commit
LONGEST_TOGETHER_S = 0.05  # since the first of them began; who comes later waits for the next commit


class Turns:
    """First come, first served: who waits steps out of the queue when cancelled."""

    def __init__(self, places: int, give_back: Callable[[], None] | None = None) -> None:
        """`give_back` is called instead of `pass_on` by who was cancelled when its turn had just come."""
        self._free = places
        self._queue: deque[tuple[asyncio.Future[None], bool]] = deque()
        self._give_back = give_back or self.pass_on

    async def take(self, *, joins: bool = False) -> None:
        """Wait for a turn; `pass_on` ends it. `joins` is what `next_joins` says of who waits first."""
        if self._free:
            self._free -= 1
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((waiter, joins))
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._give_back()
            raise

    def pass_on(self) -> None:
        """End a turn: the next in line has it."""
        while self._queue:
            waiter, _ = self._queue.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1

    def next_joins(self) -> bool:
        """Whether somebody waits, and the first of them would join."""
        while self._queue and self._queue[0][0].done():
            self._queue.popleft()
        return bool(self._queue) and self._queue[0][1]

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A turn for the length of the block."""
        await self.take()
        try:
            yield
        finally:
            self.pass_on()


class Writing(Protocol):
    """The one connection that writes."""

    async def begin(self) -> None:
        """Open a transaction."""
        ...

    def mark(self) -> None:
        """Remember this place in the transaction, once at a time."""
        ...

    def keep(self) -> None:
        """Forget the mark, keep what was done since."""
        ...

    def undo(self) -> None:
        """Undo what was done since the mark, and forget it."""
        ...

    async def commit(self) -> None:
        """Make the transaction durable."""
        ...

    def rollback(self) -> None:
        """Undo the whole transaction, if there is one."""
        ...

    @property
    def in_transaction(self) -> bool:
        """Whether the transaction is still there: some errors end it."""
        ...


W = TypeVar("W", bound=Writing)


class _Together:
    """One transaction of one or more commands."""

    __slots__ = ("_waiting", "began", "open", "patient", "size")

    def __init__(self, *, open: bool, patient: bool) -> None:
        self.began = time.monotonic()
        self.patient = patient  # committed however old it is
        self.open = open  # others may join
        self.size = 0  # commands whose work is in it
        self._waiting: list[asyncio.Future[None]] = []

    async def committed(self) -> None:
        """Wait while another commits. Raises why that failed."""
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        await mine

    def settle(self, error: BaseException | None) -> None:
        """Tell those who wait, if any still do."""
        settle(self._waiting, error)
        self._waiting = []


class Writer(Generic[W]):
    """Gives the one connection to commands in turn, each in a transaction.

    Commands that say so share the transaction of the one before them where they wait for it anyway: the disk is asked
    once for all of them.

    Invariants: one command runs at a time; a command that fails undoes its own work only; no command is answered, not
    even with a refusal that rests on another's work, before the commit of the transaction that it ran in; where that
    commit fails all of them fail.
    """

    def __init__(
        self,
        connect: Callable[[], W],
        *,
        check: Callable[[float], None],
        lost: Callable[[], Exception],
        committed: Callable[[], None],
    ) -> None:
        """`check` may refuse to commit what began at a reading of the monotonic clock; `lost` says that it was lost."""
        self.since: datetime | None = None  # when the transaction began that is not committed yet
        self._connect = connect
        self._check, self._lost, self._committed = check, lost, committed
        self._connection: W | None = None
        self._turns = Turns(1, self._hand_over)
        self._together: _Together | None = None
        self._committing: asyncio.Task[None] | None = None

    @property
    def connection(self) -> W | None:
        """The connection, None before its first use."""
        return self._connection

    @asynccontextmanager
    async def turn(self, *, together: bool, patient: bool = False) -> AsyncIterator[W]:
        """A transaction, committed when the block ends and undone when it raises. `together`: it may be a shared one.

        `patient`: it stamps nothing, and may take as long as it takes (`check` is not asked).
        A block that may be shared is short and waits for nothing. Raises what `begin`, `commit` and `check` raise, and
        what `lost` makes.
        """
        await self._turns.take(joins=together)
        connection, mine = await self._entered(together, patient)
        try:
            yield connection
        except BaseException as error:
            await self._failed(connection, mine, error)
            raise
        await self._done(connection, mine)

    async def _entered(self, together: bool, patient: bool) -> tuple[W, _Together]:
        try:
            if self._connection is None:
                self._connection = self._connect()
            connection = self._connection
            if self._together is not None:
                connection.mark()
                return connection, self._together
            self.since = datetime.now(UTC)
            mine = _Together(open=together, patient=patient)
            await connection.begin()
            self._together = mine
            return connection, mine
        except BaseException:
            if self._together is None:
                self._end()
            else:
                self._hand_over()
            raise

    async def _done(self, connection: W, mine: _Together) -> None:
        if mine.open and not connection.in_transaction:
            raise self._given_up(mine)
        if mine.size:
            connection.keep()
        mine.size += 1
        if mine.size == 1 and not self._next_joins(mine):
            self._together = None
            await self._commit(connection, mine)
        else:
            self._hand_over()
            await mine.committed()

    async def _failed(self, connection: W, mine: _Together, error: BaseException) -> None:
        if not mine.size or not connection.in_transaction:
            self._given_up(mine)
            return
        connection.undo()
        self._hand_over()
        if not isinstance(error, asyncio.CancelledError):
            # It may have failed by what the others did: that is true only once their work is.
            await mine.committed()

    def _given_up(self, mine: _Together) -> Exception:
        """Undo the whole transaction; what those get who wait for its commit."""
        lost = self._lost()
        self._together = None
        mine.settle(lost)
        self._end()
        return lost

    def _next_joins(self, mine: _Together) -> bool:
        fresh = time.monotonic() - mine.began < LONGEST_TOGETHER_S
        return mine.open and fresh and mine.size < MOST_TOGETHER and self._turns.next_joins()

    def _hand_over(self) -> None:
        """End a turn: the next in line joins the open transaction, or has the turn when that is committed."""
        mine, connection = self._together, self._connection
        if mine is None or connection is None or self._next_joins(mine):
            self._turns.pass_on()
            return
        self._together = None
        # A task of its own: nobody who is cancelled takes the others' commit along.
        self._committing = asyncio.create_task(self._commit_for_all(connection, mine))

    async def settled(self) -> None:
        """Wait for a commit that goes on by itself."""
        if self._committing is not None:
            await asyncio.wait({self._committing})

    async def _commit_for_all(self, connection: W, mine: _Together) -> None:
        try:
            await self._commit(connection, mine)
        except BaseException as error:
            mine.settle(error)
            if not isinstance(error, Exception):
                raise
        else:
            mine.settle(None)

    async def _commit(self, connection: W, mine: _Together) -> None:
        try:
            if not mine.patient:
                self._check(mine.began)
            await connection.commit()
            self._committed()
        finally:
            self._end()

    def _end(self) -> None:
        """What is not committed by now is undone; the turn passes on."""
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.rollback()
        self.since = None
        self._turns.pass_on()
