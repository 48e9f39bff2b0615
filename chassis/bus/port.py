"""The fast path: a hint of new entries that may lose, repeat or reorder them, and must never block its publisher."""

from collections.abc import Sequence
from typing import Protocol

from muster.event.v1 import event_feed_pb2

Entry = event_feed_pb2.Entry


class FastPath(Protocol):
    """Carries the same entries as the feed, sooner. Everything it forgets is read from the feed.

    Invariants: no method raises for an outage, and none takes longer than its bound; `read` gives entries in order of
    position, perhaps with gaps.
    """

    async def adopt(self, context: str, head: int) -> None:
        """Forget entries beyond `head`: the context's database may have been restored from a backup."""
        ...

    async def publish(self, context: str, entries: Sequence[Entry]) -> None:
        """Announce entries, in order of position."""
        ...

    async def read(self, context: str, after: int, limit: int, wait_s: float) -> Sequence[Entry]:
        """Entries after that position as soon as there are any, none after `wait_s` seconds of silence."""
        ...

    def head_of(self, context: str) -> int | None:
        """The newest position that was given, where nothing given can have escaped it: then silence says that nothing
        happened, and the feed need not be asked each second. None where that cannot be known.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
