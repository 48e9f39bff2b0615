"""The fast path of the embedded form: publisher and consumers share a process."""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakValueDictionary

from chassis.bus.port import Entry

REMEMBERED = 1000


@dataclass(slots=True)
class _Stream:
    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    news: asyncio.Event = field(default_factory=asyncio.Event)
    head: int | None = None  # None until the sequencer told where the feed stands


class InProcessFastPath:
    """The newest 1,000 entries of each context in memory."""

    def __init__(self) -> None:
        self._streams: defaultdict[str, _Stream] = defaultdict(_Stream)

    async def adopt(self, context: str, head: int) -> None:
        """See FastPath."""
        stream = self._streams[context]
        if stream.entries and stream.entries[-1].position > head:
            stream.entries.clear()
        stream.head = head
        self._tell(stream)

    async def publish(self, context: str, entries: Sequence[Entry]) -> None:
        """See FastPath."""
        stream = self._streams[context]
        newest = stream.entries[-1].position if stream.entries else 0
        stream.entries.extend(entry for entry in entries if entry.position > newest)
        if stream.head is not None and entries:
            stream.head = max(stream.head, entries[-1].position)
        self._tell(stream)

    @staticmethod
    def _tell(stream: _Stream) -> None:
        stream.news.set()
        stream.news = asyncio.Event()  # whoever waited is awake; the next ones wait for the next news

    async def read(self, context: str, after: int, limit: int, wait_s: float) -> Sequence[Entry]:
        """See FastPath."""
        stream = self._streams[context]
        news = stream.news
        found = self._after(stream, after, limit)
        if not found:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await news.wait()
            found = self._after(stream, after, limit)
        return found

    @staticmethod
    def _after(stream: _Stream, after: int, limit: int) -> list[Entry]:
        found = []
        for entry in reversed(stream.entries):  # from the newest: most readers are nearly up to date
            if entry.position <= after:
                break
            found.append(entry)
        found.reverse()
        return found[:limit]

    def head_of(self, context: str) -> int | None:
        """See FastPath: the sequencer, of which a data folder has one, tells it of everything."""
        return self._streams[context].head

    async def close(self) -> None:
        """Nothing to let go of: other parts may still use it."""


# Lives as long as one of the parts that share it.
_by_folder: WeakValueDictionary[Path, InProcessFastPath] = WeakValueDictionary()


def in_process(data_dir: Path) -> InProcessFastPath:
    """The one fast path of the backend that works in this data folder."""
    return _by_folder.setdefault(data_dir.absolute(), InProcessFastPath())
