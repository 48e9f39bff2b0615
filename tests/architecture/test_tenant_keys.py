"""A tenant is in every key of every context's tables."""

import importlib

import pytest
from sqlalchemy import Column, ForeignKeyConstraint, Integer, MetaData, PrimaryKeyConstraint, Table, UniqueConstraint

from chassis.columns import Id, tenant_column
from chassis.tables import PLUMBING
from tests.architecture.tree import ROOT

CONTEXTS = sorted(path.parents[1].name for path in (ROOT / "contexts").glob("*/repository/tables.py"))


def keys_without_tenant(metadata: MetaData) -> list[str]:
    """Primary keys, unique keys, unique indexes and foreign keys that do not start with the tenant."""
    found = []
    for table in metadata.tables.values():
        if table.name in PLUMBING.tables or table.name.startswith("alembic_version"):
            continue
        keys: list[tuple[str, list[str]]] = [
            (type(constraint).__name__, list(constraint.columns.keys()))
            for constraint in table.constraints
            if isinstance(constraint, (PrimaryKeyConstraint, UniqueConstraint, ForeignKeyConstraint))
        ]
        keys += [(f"index {index.name}", list(index.columns.keys())) for index in table.indexes if index.unique]
        found += [
            f"{table.name}: {kind} ({', '.join(columns)}) must start with tenant_id"
            for kind, columns in keys
            if columns[:1] != ["tenant_id"]
        ]
    return sorted(found)


@pytest.mark.parametrize("context", CONTEXTS)
def test_every_key_starts_with_the_tenant(context: str) -> None:
    tables = importlib.import_module(f"contexts.{context}.repository.tables")

    assert keys_without_tenant(tables.metadata) == []


def test_keys_without_a_tenant_are_caught() -> None:
    metadata = MetaData()
    Table("right", metadata, tenant_column(), Column("id", Id, primary_key=True))
    Table("no_tenant", metadata, Column("id", Id, primary_key=True))
    Table(
        "late", metadata, tenant_column(), Column("id", Id, primary_key=True), Column("code", Integer, unique=True),
        ForeignKeyConstraint(["id"], ["right.id"]),
    )  # fmt: skip

    assert [line.split(" must")[0] for line in keys_without_tenant(metadata)] == [
        "late: ForeignKeyConstraint (id)",
        "late: UniqueConstraint (code)",
        "no_tenant: PrimaryKeyConstraint (id)",
    ]
