"""Planners that are kept between calls: a version of the catalog never changes."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable

from contexts.attendance.domain.catalog import CatalogEntry, TimeCatalog
from contexts.attendance.domain.planning import Planner
from kernel.ids import TenantId

KEPT = 64  # tenants and versions; each holds at most a few hundred plans

EntriesAfter = Callable[[int, int], Awaitable[list[CatalogEntry]]]


class Planners:
    """The last used planners by tenant and catalog version."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[TenantId, int], Planner] = OrderedDict()

    async def get(self, tenant_id: TenantId, version: int, entries: EntriesAfter) -> Planner:
        """The planner of a version; `entries(after, up_to)` reads the versions that are not known yet."""
        key = (tenant_id, version)
        planner = self._kept.get(key)
        if planner is None:
            known = self._latest_before(tenant_id, version)
            catalog = TimeCatalog(version, (*known.entries, *await entries(known.version, version)))
            planner = self._kept[key] = Planner(catalog)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return planner

    def _latest_before(self, tenant_id: TenantId, version: int) -> TimeCatalog:
        versions = [kept for tenant, kept in self._kept if tenant == tenant_id and kept < version]
        return self._kept[tenant_id, max(versions)].catalog if versions else TimeCatalog(0)
