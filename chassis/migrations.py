"""Alembic, one tree per context (`contexts/<name>/repository/migrations/versions`); expand only, forward only."""

import threading
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from chassis.database import Database
from chassis.schema_version import version_table
from chassis.tables import PLUMBING

_ENVIRONMENT = Path(__file__).parent / "alembic"
_one_at_a_time = threading.Lock()  # Alembic's `op` and `context` stand for the one migration of the whole process


def _config(context: str, versions: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_ENVIRONMENT))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", str(versions))
    config.attributes["version_table"] = version_table(context)
    return config


def run_environment(environment: Any) -> None:
    """What Alembic's env.py does: run the steps on the connection that `upgrade` put into the configuration."""
    attributes = environment.config.attributes
    environment.configure(
        connection=attributes["connection"],
        version_table=attributes["version_table"],
        target_metadata=attributes["metadata"],
        render_as_batch=True,
    )
    with environment.begin_transaction():
        environment.run_migrations()


async def upgrade(database: Database, context: str, versions: Path) -> None:
    """Bring the schema to this program's version; what is done already is not done again."""

    def work(connection: sa.Connection) -> None:
        config = _config(context, versions)
        config.attributes.update(connection=connection, metadata=database.metadata)
        with _one_at_a_time:
            command.upgrade(config, "heads")

    await database.run_schema(work)


async def differences(database: Database, context: str) -> list[Any]:
    """What the migrated schema lacks of the metadata or has beyond it (for the test that keeps both equal)."""
    found: list[Any] = []

    def read(connection: sa.Connection) -> None:
        migration = MigrationContext.configure(
            connection,
            opts={
                "version_table": version_table(context),
                "include_name": lambda name, kind, _parents: kind != "table" or name in database.metadata.tables,
            },
        )
        found.extend(compare_metadata(migration, database.metadata))

    await database.run_schema(read)
    return found


def create_plumbing(op: Any) -> None:
    """The first step of every context's first migration: the plumbing's own tables."""
    for table in PLUMBING.sorted_tables:
        table.create(op.get_bind(), checkfirst=True)


def extend_plumbing(op: Any) -> None:
    """A context's step to this program's plumbing: its tables, columns and indexes that the database lacks yet.

    A database made anew has them from its first step, so that every later step looks before it adds.
    """
    found = sa.inspect(op.get_bind())
    tables = set(found.get_table_names())
    for table in PLUMBING.sorted_tables:
        if table.name not in tables:
            table.create(op.get_bind())
            continue
        columns = {column["name"] for column in found.get_columns(table.name)}
        for column in table.columns:
            if column.name not in columns:
                default: Any = getattr(column.server_default, "arg", None)
                new = sa.Column(column.name, column.type, nullable=column.nullable, server_default=default)
                op.add_column(table.name, new)
        indexes = {index["name"] for index in found.get_indexes(table.name)}
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            if index.name not in indexes:
                op.create_index(index.name, table.name, [column.name for column in index.columns], unique=index.unique)
