"""The registry of one process: what is registered here is seen here."""

import asyncio
from collections.abc import AsyncIterator

from chassis.mesh.registry import GRACE_S, Belief, Instance, Registration, Services, believing


class MemoryRegistry:
    """Instances in a dictionary.

    Invariants: those of `Registry`.
    """

    def __init__(self, *, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s
        self._instances: dict[tuple[str, str], Instance] = {}
        self._beliefs: set[Belief] = set()

    def register(self, instance: Instance) -> Registration:
        """Visible at once."""
        self._put(instance)
        return _Registered(self, instance)

    def watch(self) -> AsyncIterator[Services]:
        """Who is there, and each change."""
        return believing(self._follow, self._grace_s)

    async def close(self) -> None:
        """Everybody leaves."""
        for instance in list(self._instances.values()):
            self.withdraw(instance)

    def withdraw(self, instance: Instance) -> None:
        """Take an instance out, unless another one has its address by now."""
        if self._instances.get((instance.service, instance.address)) == instance:
            self._put(instance.farewell())
            del self._instances[instance.service, instance.address]

    def forget(self) -> None:
        """Lose everything without a word, as a registry that was emptied does."""
        self._instances.clear()
        self._tell()

    def _put(self, instance: Instance) -> None:
        self._instances[instance.service, instance.address] = instance
        self._tell()

    def _tell(self) -> None:
        for belief in self._beliefs:
            belief.seen(self._instances.values())

    async def _follow(self, belief: Belief) -> None:
        self._beliefs.add(belief)
        try:
            belief.seen(self._instances.values())
            await asyncio.Event().wait()
        finally:
            self._beliefs.discard(belief)


class _Registered:
    def __init__(self, registry: MemoryRegistry, instance: Instance) -> None:
        self._registry = registry
        self._instance = instance

    async def close(self) -> None:
        self._registry.withdraw(self._instance)
