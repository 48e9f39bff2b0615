"""Many rows into one table: the statement and its values are made once per table, column by column.

Core's own executemany makes a dictionary and calls each column's converter anew for every row; that costs more than the
database's part. The text and the converters are Core's, so what is stored is the same.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

MAX_PLANS = 256

Convert = Callable[[Any], Any]


class BulkInsert:
    """The INSERT of some columns of one table, for one dialect.

    Invariants: columns that the table fills by itself in Python are not among those it can leave out.
    """

    def __init__(self, table: sa.Table, columns: Sequence[str], dialect: Dialect) -> None:
        """Raises TypeError for a table whose left-out columns have Python defaults."""
        compiled: Any = sa.insert(table).compile(dialect=dialect, column_keys=list(columns))
        if compiled.insert_prefetch:
            raise TypeError(f"name every column of {table.name} that has a default")
        self.sql: str = compiled.string
        self._columns: list[str] = list(compiled.positiontup)
        converters: Mapping[str, Convert] = compiled._bind_processors
        self._converters: list[Convert | None] = [converters.get(column) for column in self._columns]

    def values(self, rows: Sequence[Mapping[str, Any]], given: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows as the driver takes them; `given` stands in every row."""
        columns: list[Sequence[Any]] = []
        for name, convert in zip(self._columns, self._converters, strict=True):
            if name in given:
                columns.append([given[name] if convert is None else convert(given[name])] * len(rows))
            elif convert is None:
                columns.append([row[name] for row in rows])
            else:
                columns.append(_converted([row[name] for row in rows], convert))
        return list(zip(*columns, strict=True))


def _converted(values: list[Any], convert: Convert) -> list[Any]:
    """Each value converted; a run of the same object (an id of all rows) is converted once."""
    before = values[0]
    after = convert(before)
    converted = []
    for value in values:
        if value is not before:
            before, after = value, convert(value)
        converted.append(after)
    return converted


class BulkInserts:
    """The inserts of one database, remembered by table and columns."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._plans: dict[tuple[str, tuple[str, ...]], BulkInsert] = {}

    def of(self, table: sa.Table, columns: tuple[str, ...]) -> BulkInsert:
        """The insert of these columns. Raises what BulkInsert raises."""
        plan = self._plans.get((table.name, columns))
        if plan is None:
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            plan = self._plans[table.name, columns] = BulkInsert(table, columns, self._dialect)
        return plan
