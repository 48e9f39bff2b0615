"""Which tenants have work to do: for loops that then serve one tenant at a time."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from chassis.database import Database, SystemScope
from kernel.ids import TenantId

MOST_TENANTS = 1000

_SCOPE = SystemScope("loops look which tenants have work before they serve them one by one")


async def tenants_with(database: Database, table: sa.Table, *conditions: Any) -> Sequence[TenantId]:
    """Tenants that have a row of `table` for which all conditions hold, at most 1,000; nothing else leaves the row."""
    tenant = table.c["tenant_id"]
    wanted = sa.select(tenant).where(*conditions).distinct().limit(MOST_TENANTS)
    async with database.system_read(_SCOPE) as tx:
        return [TenantId(row["tenant_id"]) for row in await tx.rows(wanted)]
