"""What a listener missed: from the feeds, then from the hub's memory; then it joins at exactly that place."""

import asyncio
import contextlib

from application.events.cursor import Cursor
from application.events.feeds import CursorExpired, Feeds
from chassis.rpc.error_map import RemoteError
from interfaces.push.hub import Hub, retry_ms
from interfaces.push.listener import Listener, Wire
from interfaces.push.message import HELLO, RESET, Published, told
from kernel.errors import InvalidValue

CATCH_UP_S = 30.0
WAIT_S = 1.0
PAGE = 100
READERS = 32  # catch up from the feeds at once; each holds at most a page of every service
UNKNOWN = "CURSOR_UNKNOWN"
TOO_LONG, FEED_AWAY = "CATCH_UP_TOO_LONG", "FEED_UNAVAILABLE"


class CatchUp:
    """One listener on its way to the present.

    Invariants: what is sent follows the cursor without a gap, each event once; the listener joins in the same step in
    which nothing is missing any more, so that live events begin exactly there; it takes 30 s at most, and then the
    client comes back and goes on.
    """

    def __init__(self, hub: Hub, feeds: Feeds, readers: asyncio.Semaphore, listener: Listener, wire: Wire) -> None:
        """`readers` bounds how many read the feeds at once."""
        self._hub = hub
        self._feeds = feeds
        self._readers = readers
        self._listener = listener
        self._wire = wire
        self._cursor = Cursor()

    async def run(self, after: str) -> None:
        """Send what was missed since `after`, "" for nothing, and join. Raises OSError where the client went away."""
        hub, listener = self._hub, self._listener
        if not after:
            hub.join(listener)
            listener.deliver(told(HELLO, {}, cursor=str(hub.cursor), retry_ms=retry_ms()))
            return
        try:
            async with asyncio.timeout(CATCH_UP_S):
                await self._wire.send(told(HELLO, {}, retry_ms=retry_ms()))
                self._cursor = Cursor.parse(after)
                while not await self._step():
                    pass
        except CursorExpired as expired:
            self._start_over(expired.reason)
        except InvalidValue:
            self._start_over(UNKNOWN)
        except TimeoutError:
            listener.close(TOO_LONG)
        except RemoteError:
            listener.close(FEED_AWAY, retry_ms())

    async def _step(self) -> bool:
        """Go on a little; True once the listener has joined."""
        missed = self._hub.missed(self._cursor)
        if missed is None:
            await self._read_page()
        elif missed:
            for event in missed:
                await self._tell(event)
        elif self._hub.is_behind(self._cursor):
            await self._wait()
        else:
            self._hub.join(self._listener)
            return True
        return False

    async def _read_page(self) -> None:
        """What the hub does not remember is told from the feeds."""
        async with self._readers:
            page = await self._feeds.page(self._listener.principal, self._cursor, PAGE)
            for service, entry in page.entries:
                await self._tell(Published(service, entry))
        self._cursor = page.cursor

    async def _tell(self, event: Published) -> None:
        self._cursor = self._cursor.moved(event.service, event.position)
        listener = self._listener
        if listener.transport.is_closing():
            raise ConnectionResetError
        if listener.wants(event.entry.type) and not set(event.keys).isdisjoint(listener.keys):
            await self._wire.send(event.after(self._cursor))

    async def _wait(self) -> None:
        """The client is further than this hub (another one was faster): what it has seen must not come again.

        Raises CursorExpired where it has seen what the feeds do not know.
        """
        reached = self._hub.reached
        await self._feeds.page(self._listener.principal, self._cursor, 1)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S):
                await reached.wait()

    def _start_over(self, reason: str) -> None:
        """The client reads again what it shows; it hears everything that happens meanwhile."""
        self._hub.join(self._listener)
        self._listener.deliver(told(RESET, {"reason": reason}, cursor=str(self._hub.cursor)))
