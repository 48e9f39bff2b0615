"""How a statutory amount explains itself: the rule, the values bound in it, and the table rows used."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, NamedTuple

from contexts.payroll.domain.statutory.table import TableRow

Origin = Literal["INPUT", "ROW", "LINE"]
LineKind = Literal["EARNING", "DEDUCTION", "TAX", "EMPLOYER_CONTRIBUTION"]
Bound = Decimal | int


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value that a rule is given: a frozen input, a column of a table row, or the sum of other lines."""

    name: str
    origin: Origin
    of: str  # INPUT: the input's path; ROW: "<index into the line's rows>.<column>"; LINE: which lines


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One statutory formula as people read it, and as a test evaluates it.

    Invariants: the last step is `amount`; a step uses leaves and earlier steps only. The words are `+ - * /`,
    `clamp(value, low, high)`, `max`, `min` and `half_up(value, digits)`.
    """

    id: str
    leaves: tuple[Leaf, ...]
    steps: tuple[tuple[str, str], ...]
    source: str

    @property
    def names(self) -> tuple[str, ...]:
        """What `Line.values` holds, in order: the leaves, then every step but the amount."""
        return tuple(leaf.name for leaf in self.leaves) + tuple(name for name, _ in self.steps[:-1])


@dataclass(frozen=True, slots=True, eq=False)
class LineSpec:
    """What is the same for everybody whose line comes from the same rule and table rows.

    It is made once per city and month or per pay date and shared, so that a caller may key what it derives from it (an
    encoded fragment) by identity.
    """

    code: str
    kind: LineKind
    scheme: str
    rule: Rule
    rows: tuple[TableRow, ...]
    fragment: str = field(init=False)  # canonical JSON without braces: "rows":[...],"rule":"..."

    def __post_init__(self) -> None:
        keys = ",".join(f'"{row.key}"' for row in self.rows)
        object.__setattr__(self, "fragment", f'"rows":[{keys}],"rule":"{self.rule.id}"')


class Line(NamedTuple):
    """One computed amount with everything that explains it."""

    spec: LineSpec
    amount: Decimal  # in the currency's major unit, already rounded
    base: Decimal | None  # what the rate was applied to
    rate: Decimal | None  # a fraction, or a factor
    quantity: Decimal | None  # hours or days
    values: tuple[Bound, ...]  # in the order of spec.rule.names

    @property
    def code(self) -> str:
        """The line's code within its country."""
        return self.spec.code

    @property
    def kind(self) -> LineKind:
        """Which side of the payslip it stands on."""
        return self.spec.kind

    @property
    def fragment(self) -> str:
        """Canonical JSON of the rule and rows, the same string for all lines of one spec."""
        return self.spec.fragment

    def bound(self) -> dict[str, Bound]:
        """Every leaf and intermediate value by name."""
        return dict(zip(self.spec.rule.names, self.values, strict=True))


def explained(
    spec: LineSpec,
    amount: Decimal,
    given: Mapping[str, Bound],
    rate: Decimal | None = None,
    quantity: Decimal | None = None,
) -> Line:
    """A line whose values are `given` (inputs, lines and steps by name) and, for the rest, the columns of its rows.

    For rules that are not computed for everybody; the base is the taxable amount, or the first value.
    """
    columns = {leaf.name: leaf for leaf in spec.rule.leaves if leaf.origin == "ROW"}
    values: list[Bound] = []
    for name in spec.rule.names:
        if name in columns:
            index, _, column = columns[name].of.partition(".")
            values.append(spec.rows[int(index)][column])
        else:
            values.append(given[name])
    base = given.get("taxable", values[0])
    return Line(spec, amount, Decimal(base), rate, quantity, tuple(values))


class RuleText(NamedTuple):
    """A rule with the rows that one line used, for people: nothing here depends on the person."""

    leaves: tuple[tuple[str, Origin, str], ...]  # name; INPUT, ROW or LINE; path, "<row key> <column>", or which lines
    steps: tuple[tuple[str, str], ...]  # name, formula
    law: str
    rows: tuple[TableRow, ...]

    @classmethod
    def of(cls, rule: Rule, rows: tuple[TableRow, ...]) -> "RuleText":
        """The rule's words over these rows."""
        leaves = []
        for leaf in rule.leaves:
            origin = leaf.of
            if leaf.origin == "ROW":
                index, _, column = leaf.of.partition(".")
                origin = f"{rows[int(index)].key} {column}"
            leaves.append((leaf.name, leaf.origin, origin))
        return cls(tuple(leaves), rule.steps, rule.source, rows)


def explain(line: Line) -> tuple[str, ...]:
    """The line as sentences: its leaves, each step with its numbers, then the rows and the law that it rests on."""
    bound = line.bound()
    text = RuleText.of(line.spec.rule, line.spec.rows)
    told = [f"{line.code} = {line.amount}"]
    told += [f"{name} = {bound[name]} ({origin})" for name, _, origin in text.leaves]
    told += [f"{name} = {formula} = {bound.get(name, line.amount)}" for name, formula in text.steps]
    told += [f"{row.key} by {row.key_date.value}: {row.source}" for row in text.rows]
    told.append(f"{line.spec.rule.id}: {text.law}")
    return tuple(told)
