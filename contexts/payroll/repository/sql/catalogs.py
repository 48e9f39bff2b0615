"""The catalog of pay components in SQL."""

from collections.abc import Sequence
from datetime import datetime

from chassis.database import Duplicate, Lock, Tx, select, update
from chassis.outbox import Outbox
from contexts.payroll.domain.catalog import Catalog, CatalogEntry
from contexts.payroll.domain.events import CatalogPublished
from contexts.payroll.repository import tables
from contexts.payroll.repository.documents import definition_document, entry_of
from kernel.errors import Stale
from kernel.ids import TenantId, derived_id

_head = tables.catalog_head.c
_entry = tables.catalog_entry.c

MAX_ENTRIES = 20_000  # of one tenant's catalog
KEPT_CATALOGS = 256


CatalogCache = dict[tuple[TenantId, int], Catalog]
"""Catalog versions that were read from one database, kept because they never change."""


class SqlCatalogs:
    """The catalog; `kept` is shared by all work on one database."""

    def __init__(self, tx: Tx, kept: CatalogCache, outbox: Outbox | None = None) -> None:
        self._tx = tx
        self._kept = kept
        self._outbox = outbox

    async def newest(self) -> Catalog:
        return await self.at(await self._version(None))

    async def for_change(self) -> Catalog:
        await self._tx.lock("payroll.catalog")
        return await self.at(await self._version(Lock.UPDATE))

    async def for_reference(self) -> Catalog:
        return await self.at(await self._version(Lock.SHARE))

    async def _version(self, lock: Lock | None) -> int:
        row = await self._tx.row(select(tables.catalog_head, _head.catalog_version), lock=lock)
        return 0 if row is None else int(row["catalog_version"])

    async def at(self, version: int) -> Catalog:
        key = (self._tx.tenant_id, version)
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        wanted = select(tables.catalog_entry).where(_entry.catalog_version <= version)
        rows = await self._tx.rows(wanted.order_by(_entry.catalog_version).limit(MAX_ENTRIES))
        catalog = Catalog(
            version, [entry_of(row["catalog_version"], row["kind"], bytes(row["definition"])) for row in rows]
        )
        if len(self._kept) >= KEPT_CATALOGS:
            self._kept.clear()
        self._kept[key] = catalog
        return catalog

    async def publish(self, entries: Sequence[CatalogEntry], version: int, by: str, now: datetime) -> None:
        rows = [
            {
                "catalog_version": version,
                "kind": entry.kind.value,
                "code": entry.definition.code,
                "effective_date": entry.definition.effective_date,
                "definition": definition_document(entry.definition),
                "published_time": now,
                "published_by": by[:80],
            }
            for entry in entries
        ]
        await self._raise_head(version)
        await self._tx.insert(tables.catalog_entry, rows)
        if self._outbox is not None:
            codes = tuple(f"{entry.kind.value.lower()}:{entry.definition.code}" for entry in entries)
            aggregate = derived_id(self._tx.tenant_id, "payroll-catalog")
            self._outbox.add("payroll_catalog", aggregate, version, [CatalogPublished(version, codes)])

    async def _raise_head(self, version: int) -> None:
        stale = Stale("the catalog was changed meanwhile; read it again", version=version)
        if version > 1:
            raised = update(tables.catalog_head).where(_head.catalog_version == version - 1)
            if await self._tx.execute(raised.values(catalog_version=version)) != 1:
                raise stale
            return
        try:
            await self._tx.insert(tables.catalog_head, {"catalog_version": 1})
        except Duplicate:
            raise stale from None
