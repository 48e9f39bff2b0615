"""Many who wait for one end, each by a future of its own, so that one who goes away takes nothing from the others."""

from asyncio import Future
from collections.abc import Iterable


def settle(waiting: Iterable[Future[None]], error: BaseException | None = None) -> None:
    """Tell those who still wait: it is done, or why not."""
    for one in waiting:
        if one.done():
            continue
        if error is None:
            one.set_result(None)
        else:
            one.set_exception(error)
            one.exception()  # who waited may be gone by the time that it is told
