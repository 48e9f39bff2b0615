"""The aggregate root: a verb-only shell round one frozen state."""

from dataclasses import replace
from typing import Any, Generic, TypeVar

StateT = TypeVar("StateT")


class AggregateRoot(Generic[StateT]):
    """Guards first, then one `_apply`: the state is replaced whole and the event is remembered.

    Restoring is `Root(state)`: no rule runs on load, or yesterday's rows could not be read.
    """

    def __init__(self, state: StateT) -> None:
        self.state = state
        self._events: list[object] = []

    def _apply(self, event: object, **changes: Any) -> None:
        self.state = replace(self.state, **changes)  # type: ignore[type-var]
        self._events.append(event)

    def pull_events(self) -> tuple[object, ...]:
        """The events since the last pull, oldest first; the repository saves them with the state."""
        events, self._events = tuple(self._events), []
        return events
