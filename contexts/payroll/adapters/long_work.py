"""Runs that are being calculated, as an operator sees them: how far, by whom, and why not."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.database import Database
from chassis.jobs.job import State
from chassis.jobs.work import Work
from chassis.unit_of_work import OwnWork
from contexts.payroll.domain.payroll_run import RunId
from contexts.payroll.handlers.reminding import ask_now
from kernel.ids import TenantId

MOST_OF_A_TENANT = 1000

Rows = Callable[[Database, TenantId, int], Awaitable[Sequence[Mapping[str, Any]]]]


class RunsBeingCalculated:
    """See chassis.jobs.work.LongWork. A run is WAITING between two claims, FAILED where the last one was given back."""

    kind = "calculation"

    def __init__(
        self,
        database: Database,
        own: OwnWork[Any],
        tenants: Callable[[Database], Awaitable[list[TenantId]]],
        rows: Rows,
    ) -> None:
        self._database = database
        self._own = own
        self._tenants = tenants
        self._rows = rows

    async def look(self, now: datetime, limit: int) -> Sequence[Work]:
        """See LongWork."""
        found: list[Work] = []
        for tenant_id in await self._tenants(self._database):
            if len(found) >= limit:
                break
            rows = await self._rows(self._database, tenant_id, limit - len(found))
            found += [_work(tenant_id, row, now) for row in rows]
        return found

    async def retry(self, work_id: str, now: datetime) -> bool:
        """See LongWork."""
        try:
            run_id = RunId(UUID(work_id))
        except ValueError:
            return False
        for tenant_id in await self._tenants(self._database):
            if any(row["run_id"] == run_id for row in await self._rows(self._database, tenant_id, MOST_OF_A_TENANT)):
                return await self._own.run(
                    tenant_id, "muster.payroll.v1/RetryCalculation", lambda unit: ask_now(run_id, now, unit)
                )
        return False


def _work(tenant_id: TenantId, row: Mapping[str, Any], now: datetime) -> Work:
    held = row["lease_until"] is not None and row["lease_until"] > now
    idle = State.FAILED if row["trouble"] else State.WAITING
    return Work(
        str(row["run_id"]),
        f"{row['pay_group']} {row['period']} {row['kind']}, attempt {row['attempt']}",
        State.RUNNING if held else idle,
        int(row["done"]),
        tenant_id=tenant_id,
        worker=row["worker_id"],
        lease_until=row["lease_until"] if held else None,
        asked_time=row["requested_time"],
        error=row["trouble"] or "",
    )
