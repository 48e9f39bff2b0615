"""Keeps the issuer's keys as they are stored, so that a rotation in one replica reaches them all."""

import asyncio
from collections.abc import Callable
from typing import Any

from chassis.database import Database, Tx
from chassis.principal import Call, Principal, serving
from contexts.identity.adapters.issuer import REREAD_S, RingSource, TokenIssuer, mint
from contexts.identity.adapters.unrecorded import Unrecorded
from contexts.identity.handlers.signing_keys import ensure_signing_key
from kernel.clock import Clock
from kernel.ids import INSTALLATION

STARTING_S = 30.0  # for the first key, at the start of the process


class KeyWatch:
    """Reads the ring again and again.

    Invariants: after `start` the installation has a key that signs.
    """

    def __init__(
        self,
        database: Database,
        unrecorded: "Unrecorded[Any]",
        issuer: TokenIssuer,
        keys: Callable[[Tx], RingSource],
        clock: Clock,
    ) -> None:
        self._database = database
        self._unrecorded = unrecorded
        self._issuer = issuer
        self._keys = keys
        self._clock = clock

    async def start(self) -> None:
        """Make the first key where there is none, and read the ring. Raises Unavailable."""
        minted = mint()
        deadline = asyncio.get_running_loop().time() + STARTING_S
        principal = Principal(INSTALLATION, "process:identity", frozenset({"process:identity"}))
        with serving(Call(principal, "muster.identity.v1.SigningKeyService/Start", None, None, deadline)):
            await self._unrecorded.run(lambda work: ensure_signing_key(minted, work))
        await self.read()

    async def read(self) -> None:
        """Take over the ring as it is stored now. Raises Unavailable."""
        async with self._database.read(INSTALLATION) as tx:
            await self._issuer.read(self._keys(tx), self._clock.now())

    async def follow(self) -> None:
        """Read every 20 s, for ever."""
        while True:
            await asyncio.sleep(REREAD_S)
            await self.read()
