"""The loop that nobody has to restart a run: calculations whose worker is gone are asked for again."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import structlog
from google.protobuf.message import Message
from prometheus_client import Counter

from chassis.database import Database, Tx, Unavailable
from chassis.jobs.job import Firing
from chassis.principal import Call
from chassis.unit_of_work import OwnWork, UnitOfWork
from contexts.payroll.domain.payroll_run import LEASE_S
from contexts.payroll.handlers.reminding import remind, tidy
from kernel.clock import Clock
from kernel.ids import TenantId

REMINDERS = Counter(
    "muster_payroll_run_reminders_total", "Calculating runs that nobody held and that were asked for again"
)

log = structlog.get_logger(__name__)

EVERY_S = 5.0
TIDY_MINUTES = 5
PROCESS = "process:payroll-reminders"
MOST_BATCHES = 100  # of one tenant before the next has its turn

Tenants = Callable[[Database], Awaitable[list[TenantId]]]
"""The tenants that have something to do."""


class Reminders:
    """Publishes PayrollRunCalculationRequested again for CALCULATING runs whose lease is dead by the database's clock,
    and deletes what attempts that count no more left behind.

    Invariants: one transaction per tenant; a run is asked for at most once per lease time.
    """

    def __init__(
        self,
        database: Database,
        open_work: Callable[[Tx, Call, Clock], UnitOfWork],
        publish: Callable[[object], Message | None],
        waiting: Tenants,
        outdated: Tenants,
        clock: Clock,
        committed: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self.own = OwnWork(PROCESS, database, open_work, publish, clock, committed)
        self._waiting = waiting
        self._outdated = outdated

    async def run(self) -> None:
        """Look every five seconds. For `Lifecycle.spawn`."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.look()
            except Unavailable as error:
                log.warning("payroll reminders wait for their database", error=type(error).__name__)

    async def look(self) -> int:
        """Ask again for every run that waits; how many. Raises Unavailable."""
        now = await self._database.now()
        asked = 0
        for tenant_id in await self._waiting(self._database):
            asked += await self._serve(tenant_id, lambda unit: remind(now, timedelta(seconds=LEASE_S), unit))
        REMINDERS.inc(asked)
        return asked

    async def tidy(self, firing: Firing) -> None:
        """Delete what old attempts left. For a Job. Raises Unavailable."""
        for tenant_id in await self._outdated(self._database):
            for _ in range(MOST_BATCHES):
                if not await self._serve(tenant_id, tidy):
                    break

    async def _serve(self, tenant_id: TenantId, handler: Callable[[Any], Awaitable[int]]) -> int:
        return await self.own.run(tenant_id, "muster.payroll.v1/Reminders", handler)
