"""Effective-dated statutory tables: rows with a source, picked by the date that each table names."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import Enum
from itertools import pairwise

from contexts.payroll.domain.statutory.errors import StatutoryTableMissing


class KeyDate(Enum):
    """Which date of a payslip picks the version of a table."""

    PAY_DATE = "PAY_DATE"
    CONTRIBUTION_MONTH = "CONTRIBUTION_MONTH"
    WORK_DATE = "WORK_DATE"
    ABSENCE_DATE = "ABSENCE_DATE"
    EVENT_DATE = "EVENT_DATE"


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of one version of a statutory table, as published.

    Invariants: `key` names it for ever; a row holds from `effective_from` to `effective_to` (both inclusive), or where
    that is None until the next version of the same table and place.
    """

    table: str
    key_date: KeyDate
    place: str  # "" for the whole country, else the city code, with "/zone" where the city has zones
    effective_from: date
    effective_to: date | None
    position: int  # 1, 2, ... within one version
    values: tuple[tuple[str, Decimal], ...]
    source: str

    @property
    def key(self) -> str:
        """The row's name, as traces write it: table, place, version, position."""
        place = f":{self.place}" if self.place else ""
        return f"{self.table}{place}@{self.effective_from}#{self.position}"

    def __getitem__(self, column: str) -> Decimal:
        for name, value in self.values:
            if name == column:
                return value
        raise KeyError(column)

    def get(self, column: str) -> Decimal | None:
        """The value of a column, None where this row has none."""
        return next((value for name, value in self.values if name == column), None)


@dataclass(frozen=True, slots=True)
class _Version:
    effective_from: date
    effective_to: date | None
    rows: tuple[TableRow, ...]


class Tables:
    """All statutory tables of one country in one edition.

    Invariants: row keys are unique; the versions of one table and place never overlap; a lookup never falls back to
    another date or place.
    """

    __slots__ = ("_by_key", "_versions", "country", "edition", "fingerprint", "rows")

    def __init__(self, country: str, edition: date, rows: Iterable[TableRow]) -> None:
        self.country = country
        self.edition = edition  # the day on which these tables were known to be right
        self.rows = tuple(rows)
        self._by_key = {row.key: row for row in self.rows}
        self._versions = _versions_of(self.rows)
        self.fingerprint = hashlib.sha256("\n".join(map(repr, self.rows)).encode()).hexdigest()

    def at(self, table: str, day: date, place: str = "") -> tuple[TableRow, ...]:
        """The rows of the version in force on `day`. Raises StatutoryTableMissing."""
        version = self._version(table, day, place)
        if version is not None:
            return version.rows
        where = f" for {place}" if place else ""
        raise StatutoryTableMissing(
            f"no row of {table}{where} is in force on {day}; update the statutory pack or correct the date or place",
            table=table,
            city=place,
            date=day.isoformat(),
        )

    def row(self, table: str, day: date, place: str = "") -> TableRow:
        """The only row of the version in force on `day`. Raises StatutoryTableMissing."""
        return self.at(table, day, place)[0]

    def holds(self, table: str, day: date, place: str = "") -> bool:
        """Whether a version of the table is in force on `day`."""
        return self._version(table, day, place) is not None

    def by_key(self, key: str) -> TableRow:
        """The row of that name. Raises StatutoryTableMissing, where another edition had it."""
        row = self._by_key.get(key)
        if row is None:
            raise StatutoryTableMissing(f"the tables of {self.edition} have no row {key}", table=key)
        return row

    def published(self, table: str, place: str) -> bool:
        """Whether any version of the table exists for the place, at whatever date."""
        return (table, place) in self._versions

    def places(self, table: str, city: str) -> tuple[str, ...]:
        """The zones ("city/zone") in which `table` is published for a city, in order; empty where it has none."""
        return tuple(sorted({p for name, p in self._versions if name == table and p.startswith(f"{city}/")}))

    def zones(self, city: str) -> frozenset[str]:
        """Every zone that any table of the city names."""
        return frozenset(p.partition("/")[2] for _, p in self._versions if p.startswith(f"{city}/"))

    def _version(self, table: str, day: date, place: str) -> _Version | None:
        versions = self._versions.get((table, place), ())
        index = bisect_right(versions, day, key=lambda version: version.effective_from) - 1
        if index < 0:
            return None
        found = versions[index]
        return found if found.effective_to is None or day <= found.effective_to else None

    def altered(self, key: str, column: str, value: Decimal) -> "Tables":
        """The same tables with one value of one row changed. Raises KeyError for an unknown row or column."""
        changed = []
        found = False
        for row in self.rows:
            if row.key == key and row.get(column) is not None:
                found = True
                changed.append(replace(row, values=tuple((n, value if n == column else v) for n, v in row.values)))
            else:
                changed.append(row)
        if not found:
            raise KeyError(f"{key} {column}")
        return Tables(self.country, self.edition, changed)


def _versions_of(rows: Iterable[TableRow]) -> dict[tuple[str, str], tuple[_Version, ...]]:
    grouped: dict[tuple[str, str], dict[date, list[TableRow]]] = {}
    seen: set[str] = set()
    for row in rows:
        if row.key in seen:
            raise ValueError(f"two rows are called {row.key}")
        seen.add(row.key)
        grouped.setdefault((row.table, row.place), {}).setdefault(row.effective_from, []).append(row)
    versions: dict[tuple[str, str], tuple[_Version, ...]] = {}
    for name, by_date in grouped.items():
        in_order = [_Version(day, members[0].effective_to, tuple(members)) for day, members in sorted(by_date.items())]
        for earlier, later in pairwise(in_order):
            if earlier.effective_to is not None and earlier.effective_to >= later.effective_from:
                raise ValueError(f"two versions of {name[0]} {name[1]} hold on {later.effective_from}")
        versions[name] = tuple(in_order)
    return versions
