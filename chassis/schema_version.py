"""Which version a database's schema has, and which one this program needs: what every start asks, without Alembic."""

import re
from pathlib import Path

import sqlalchemy as sa

from chassis.database import Database
from chassis.lifecycle import CannotStart

_STEP = re.compile(r'^revision = "([^"]+)"\ndown_revision = (?:None|"([^"]+)")$', re.MULTILINE)


class SchemaBehind(CannotStart):
    """The database's schema is not this program's: migrate it first."""


def version_table(context: str) -> str:
    """Where Alembic writes the version down."""
    return f"alembic_version_{context}"


def wanted(versions: Path) -> set[str]:
    """The revisions of that folder which no other one follows; one, unless two were written side by side.

    Raises ValueError for a step that does not name its revision and the one before in two lines.
    """
    revisions, followed = set[str](), set[str]()
    for file in versions.glob("[!_]*.py"):
        step = _STEP.search(file.read_text())
        if step is None:
            raise ValueError(f"{file} does not name its revision and the one before it in two lines")
        revisions.add(step[1])
        followed.add(step[2])
    return revisions - followed


async def found(database: Database, context: str) -> set[str]:
    """The revisions that the database is at; none where it is empty."""
    at: set[str] = set()

    def read(connection: sa.Connection) -> None:
        name = version_table(context)
        if sa.inspect(connection).has_table(name):
            at.update(connection.scalars(sa.select(sa.table(name, sa.column("version_num")).c.version_num)))

    await database.run_schema(read)
    return at


async def check(database: Database, context: str, versions: Path) -> None:
    """Raises SchemaBehind where the database's version is not this program's."""
    needed, at = wanted(versions), await found(database, context)
    if at != needed:
        raise SchemaBehind(
            f"{context}: the schema is at {sorted(at) or 'nothing'}, this program needs {sorted(needed)}; "
            f"run: muster migrate {context}"
        )
