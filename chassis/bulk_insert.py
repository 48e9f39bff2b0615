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
        """Raises TypeError for a table whose left-out columns have Python defaults, ValueError for no column of it."""
        compiled: Any = sa.insert(table).compile(dialect=dialect, column_keys=list(columns))
        if compiled.insert_prefetch:
            raise TypeError(f"name every column of {table.name} that has a default")
        order = [str(name) for name in compiled.positiontup]
        if sorted(order) != sorted(columns):
            raise ValueError(f"{table.name} is given {', '.join(columns)} and takes {', '.join(order)}")
        self.sql: str = compiled.string
        self._columns = [(name, _converter(table.c[name].type, dialect)) for name in order]

    def values(self, rows: Sequence[Mapping[str, Any]], given: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows as the driver takes them; `given` stands in every row. Raises KeyError for a row that lacks one."""
        columns: list[Sequence[Any]] = []
        for name, convert in self._columns:
            if name in given:
                columns.append([given[name] if convert is None else convert(given[name])] * len(rows))
            elif convert is None:
                columns.append([row[name] for row in rows])
            else:
                columns.append(_converted([row[name] for row in rows], convert))
        return list(zip(*columns, strict=True))


def _converter(type: sa.types.TypeEngine[Any], dialect: Dialect) -> Convert | None:
    """How a value is handed to the driver; None where it goes as it is."""
    found = type.dialect_impl(dialect)
    if not isinstance(found, sa.types.TypeDecorator) and found.python_type is bytes:
        return None if dialect.name == "sqlite" else _blob_of
    return found.bind_processor(dialect)


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
        self._repeated: dict[tuple[str, int], str] = {}

    def of(self, table: sa.Table, columns: tuple[str, ...]) -> BulkInsert:
        """The insert of these columns. Raises what BulkInsert raises."""
        plan = self._plans.get((table.name, columns))
        if plan is None:
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            plan = self._plans[table.name, columns] = BulkInsert(table, columns, self._dialect)
        return plan

    def repeated(self, sql: str, rows: int) -> str:
        """The same INSERT for so many rows at once, their values one after the other."""
        many = self._repeated.get((sql, rows))
        if many is None:
            if len(self._repeated) >= MAX_PLANS:
                self._repeated.clear()
            head, values, row = sql.partition(" VALUES ")
            many = self._repeated[sql, rows] = head + values + ", ".join([row] * rows)
        return many

    def statement(
        self, table: sa.Table, rows: Sequence[Mapping[str, Any]], given: Mapping[str, Any]
    ) -> tuple[str, list[tuple[Any, ...]]]:
        """What the driver executes to add rows of the same columns. Raises what BulkInsert and its values raise."""
        insert = self.of(table, (*rows[0], *given))
        return insert.sql, insert.values(rows, given)


class Blob:
    """Bytes that are written into a statement by `blob_literal`: the driver's own way takes 50 ns for each byte."""

    __slots__ = ("value",)

    def __init__(self, value: bytes) -> None:
        self.value = value


def _blob_of(value: bytes | None) -> Blob | None:
    return None if value is None else Blob(value)


def blob_literal(blob: Blob, _encoders: Any = None) -> str:
    """A literal of these bytes; only the quote and the backslash mean something in it (sql_mode is ours)."""
    quoted = blob.value.replace(b"\\", b"\\\\").replace(b"'", b"\\'")
    return f"_binary'{quoted.decode('ascii', 'surrogateescape')}'"
