"""What a country's pack must give so that the engine can put its lines on a payslip."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from contexts.payroll.domain.catalog import LineKind
from contexts.payroll.domain.statutory.trace import RuleText


class Earned(NamedTuple):
    """What a payslip pays, by how it is taxed, in major units."""

    wage: Decimal
    separate_bonus: Decimal
    severance: Decimal
    exempt: Decimal


class Assessed(NamedTuple):
    """A payslip's statutory month, computed. `bound` is the pack's own: what its lines are written from."""

    withheld: Decimal  # deductions and taxes
    bound: Any


class StatutoryLines(NamedTuple):
    """A payslip's statutory lines in the order of the places given, and what the next payslip starts from.

    Invariants: a line is canonical JSON and stands where it is shown; "" where the amount is hidden; `totals` is
    canonical JSON of one object.
    """

    amounts: Sequence[Decimal]
    lines: Sequence[str]
    totals: str
    on_top: Decimal  # employer contributions


class Place(NamedTuple):
    """Where a statutory line is shown: the component and whether an amount of zero is left out."""

    statutory_line: str
    component: str
    kind: LineKind
    hide_zero: bool


class Assessor(Protocol):
    """Computes the statutory month of a payslip, and writes its lines, for a plan that shows them in some places."""

    def assess(
        self,
        start: date,
        pay_date: date,
        tax_period: int,
        inputs_only: bool,
        monthly_wage: Decimal,
        wage_text: str,
        profile: Mapping[str, Any],
        earned: Earned,
        prior: Mapping[str, Any] | None,
    ) -> Assessed:
        """The numbers of one payslip. `profile` and `prior` are frozen inputs; the wage is that of the last piece.

        Raises Blocked and the pack's own errors.
        """
        ...

    def amount_of(self, assessed: Assessed, statutory_line: str) -> Decimal:
        """The amount of one line, for a formula that reads it."""
        ...

    def written(self, assessed: Assessed) -> StatutoryLines:
        """The lines. Raises Blocked where no component shows an amount."""
        ...


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

    def completed(self, values: Mapping[str, str], start: date) -> dict[str, str]:
        """A profile with what is not known filled in by the pack's own rule, before it is frozen."""
        ...

    def assessor(self, places: Sequence[Place]) -> Assessor:
        """For a plan that shows the lines in these places."""
        ...

    def opening_problem(self, totals: Mapping[str, Decimal], pay_date: date) -> str:
        """What is wrong with opening balances as of a pay date; empty where a payslip can go on from them."""
        ...

    def describe(self, rule: str, rows: Sequence[str]) -> RuleText:
        """A stored line's rule in words, from its rule and row keys. Raises the pack's errors."""
        ...
