"""What a country's pack must give so that the engine can put its lines on a payslip."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from contexts.payroll.domain.catalog import LineKind


class Earned(NamedTuple):
    """What a payslip pays, by how it is taxed, in major units."""

    wage: Decimal
    separate_bonus: Decimal
    severance: Decimal
    exempt: Decimal


class StatutoryLine(NamedTuple):
    """One statutory amount with everything that explains it, its parts written already.

    Invariants: `fragment` is canonical JSON of what everybody has under the same rule and rows,
    `"rows":[...],"rule":"..."`; `trace` holds the values of the rule's leaves that are no rows, in the rule's order.
    """

    code: str
    amount: Decimal
    base: str  # "" where there is none
    rate: str
    quantity: str
    fragment: str
    trace: str


class Assessment(NamedTuple):
    """A payslip's statutory lines, and the totals to date that the next payslip starts from."""

    lines: tuple[StatutoryLine, ...]
    totals: Mapping[str, str]  # decimals as stored documents write them, or codes


@dataclass(frozen=True, slots=True)
class RuleLeaf:
    """A value that a statutory rule is given. `origin` is INPUT, LINE or ROW; of a row, `of` is "<index>.<column>"."""

    name: str
    origin: str
    of: str


@dataclass(frozen=True, slots=True)
class RuleText:
    """A statutory rule in words: its leaves, its steps (name, expression; the last is `amount`) and its law."""

    name: str
    leaves: tuple[RuleLeaf, ...]
    steps: tuple[tuple[str, str], ...]
    source: str


@dataclass(frozen=True, slots=True)
class RowText:
    """A row of a statutory table: its key, what picks it, its values and its source."""

    key: str
    key_date: str
    values: Mapping[str, Decimal]
    source: str


class Statutory(Protocol):
    """The pack of one country in one version, as the engine sees it."""

    @property
    def version(self) -> str:
        """What is recorded with the payslip."""
        ...

    @property
    def kinds(self) -> Mapping[str, LineKind]:
        """Every line that it may give, with its kind."""
        ...

    @property
    def tables(self) -> Mapping[str, str]:
        """Names that formulas may use for values of its tables, with the table and column that each stands for."""
        ...

    def table_value(self, name: str, day: date) -> tuple[Decimal, str]:
        """The value of such a name on a day, and the key of its row. Raises the pack's errors."""
        ...

    def assess(
        self,
        start: date,
        pay_date: date,
        tax_period: int,
        inputs_only: bool,
        profile: Mapping[str, Any],
        earned: Earned,
        prior: Mapping[str, Any] | None,
    ) -> Assessment:
        """The statutory lines of one payslip. `profile` and `prior` are frozen inputs.

        Raises Blocked and the pack's own errors.
        """
        ...

    def rule(self, name: str) -> RuleText:
        """A rule by the name that lines carry. Raises KeyError."""
        ...

    def row(self, key: str) -> RowText:
        """A table row by the key that lines carry. Raises KeyError."""
        ...
