"""Statements that are sent all the time, compiled once: a look into an index costs a tenth of what is done round it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Dialect, RowMapping
from sqlalchemy.types import TupleType

MOST_TEXTS = 64  # of one query: a list of values has a text for each of its lengths

Convert = Callable[[Any], Any]


class _Compiled:
    """How a statement is sent to SQLite, once it was."""

    def __init__(self, statement: sa.Select[Any] | sa.Update) -> None:
        self._sent = statement
        self._plan: _Plan | None = None

    def plan(self, dialect: Dialect) -> "_Plan | None":
        """How it is sent to SQLite, None where that takes Core (an operand that only Core can write)."""
        if self._plan is None:
            self._plan = _Plan(self._sent, dialect)
        return self._plan if self._plan.whole else None


class PreparedChange(_Compiled):
    """An update of a module that reaches a few rows by their keys: give it to `Tx.execute` in its statement's place."""

    def __init__(self, statement: sa.Update) -> None:
        super().__init__(statement)
        self.statement = statement


class Prepared(_Compiled):
    """A query of a module: give it to `Tx.rows` and `Tx.row` in the place of its statement.

    Its values and rows are converted by the types of its columns, as Core does.
    """

    def __init__(self, statement: sa.Select[Any]) -> None:
        super().__init__(statement)
        self.statement = statement
        self._locking: dict[bool, sa.Select[Any]] = {}

    def locking(self, *, share: bool) -> sa.Select[Any]:
        """The statement, which locks its rows; the same one each time, so that it is compiled once."""
        if share not in self._locking:
            self._locking[share] = self.statement.with_for_update(read=share)
        return self._locking[share]


class _Plan:
    """The text of a statement with a mark for each of its values, and what converts them and its rows."""

    def __init__(self, statement: sa.Select[Any] | sa.Update, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self._sql: str = compiled.string
        self._names: list[str] = [str(name) for name in compiled.positiontup or ()]
        binds = [compiled.binds[name] for name in self._names]
        self._lists = [name for name, bind in zip(self._names, binds, strict=True) if bind.expanding]
        self._given = {
            name: bind.effective_value for name, bind in zip(self._names, binds, strict=True) if not bind.required
        }
        self._binds: list[tuple[str, Convert | None, bool]] = [
            (name, bind.type.dialect_impl(dialect).bind_processor(dialect), bind.expanding)
            for name, bind in zip(self._names, binds, strict=True)
        ]
        marks = [_mark(name) for name in self._lists]
        tuples = any(isinstance(bind.type, TupleType) for bind in binds)
        self.whole = (
            not tuples
            and all(self._sql.count(mark) == 1 for mark in marks)
            and self._sql.count("POSTCOMPILE") == len(marks)
        )
        self._texts: dict[tuple[int, ...], str] = {}
        columns: Any = statement.selected_columns if isinstance(statement, sa.Select) else {}
        self._keys = tuple(columns.keys())
        found = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns or ()]
        self._converters = [(place, convert) for place, convert in enumerate(found) if convert is not None]

    def asked(self, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """The text and the values as the driver takes them. Raises KeyError for a value that is missing."""
        bound: list[Any] = []
        lengths = []
        for name, convert, many in self._binds:
            value = values[name] if name in values else self._given[name]
            if many:
                lengths.append(len(value))
                bound += value if convert is None else map(convert, value)
            else:
                bound.append(value if convert is None else convert(value))
        return self._text(tuple(lengths)), bound

    def _text(self, lengths: tuple[int, ...]) -> str:
        text = self._texts.get(lengths)
        if text is None:
            if len(self._texts) >= MOST_TEXTS:
                self._texts.clear()
            text = self._sql
            for name, length in zip(self._lists, lengths, strict=True):
                # Nothing is in an empty list, and nothing is equal to NULL.
                text = text.replace(_mark(name), ", ".join("?" * length) if length else "NULL")
            self._texts[lengths] = text
        return text

    def rows(self, fetched: Sequence[tuple[Any, ...]]) -> Sequence[RowMapping]:
        """The rows by the names of their columns."""
        made = []
        for row in fetched:
            values = list(row)
            for place, convert in self._converters:
                values[place] = convert(values[place])
            made.append(dict(zip(self._keys, values, strict=True)))
        return cast(Sequence[RowMapping], made)  # who reads a row by its names does not tell the two apart


def _mark(name: str) -> str:
    return f"__[POSTCOMPILE_{name}]"
