"""A stored line in words: its leaves with their origin, the steps between, and the amount."""

import decimal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any

from contexts.payroll.domain import formula as language
from contexts.payroll.domain.arithmetic import ARITHMETIC, plain, shown
from contexts.payroll.domain.catalog import FormulaScope, PayComponent
from contexts.payroll.domain.engine import Plan
from contexts.payroll.domain.errors import PayslipLineNotFound
from contexts.payroll.domain.header import Header
from contexts.payroll.domain.names import Meaning, Origin
from kernel.money import Rounding

MAX_STEPS = 1000


class StepSource(Enum):
    """What a value in a trace is."""

    INPUT = "INPUT"
    TABLE = "TABLE"
    LINE = "LINE"
    STEP = "STEP"


@dataclass(frozen=True, slots=True)
class Step:
    """One value of a trace. `segment` counts from 1; 0 is the whole payslip.

    Invariants: an INPUT names its place in the frozen inputs, a TABLE its row and column, a LINE its component; a STEP
    has the expression that gave it.
    """

    name: str
    value: str
    source: StepSource
    expression: str
    origin: str
    segment: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """How one line came about: leaves first, the amount last."""

    formula: str
    steps: tuple[Step, ...]


def explain(plan: Plan, header: Header, facts: Mapping[str, Any], line: Mapping[str, Any]) -> Explanation:
    """The line of a payslip in words. Raises PayslipLineNotFound for a line of another plan."""
    index = plan.by_code.get(line["code"])
    if index is None:
        raise PayslipLineNotFound("the line's component is not in the catalog of this run", field="code")
    component = plan.components[index]
    with decimal.localcontext(ARITHMETIC):
        if "rule" in line:
            return _statutory(plan, line)
        return _formula(plan, header, facts, component, line)


def explain_reversed(facts: Mapping[str, Any], line: Mapping[str, Any]) -> Explanation:
    """The line of a reversal's payslip in words: the one that it takes back, negated."""
    code = line["code"]
    number, before = next((at, one) for at, one in enumerate(facts["lines"]) if one["code"] == code)
    where = f"lines[{number}].amount of payslip {facts['reverses']['payslip']}"
    return Explanation(
        "-paid",
        (
            Step("paid", before["amount"], StepSource.INPUT, "", where, 0),
            Step("amount", line["amount"], StepSource.STEP, "-paid", "", 0),
        ),
    )


def _formula(
    plan: Plan, header: Header, facts: Mapping[str, Any], component: PayComponent, line: Mapping[str, Any]
) -> Explanation:
    trees = plan.trees(component.code)
    by_segment = component.scope is FormulaScope.SEGMENT
    steps: list[Step] = []
    shares: list[Decimal] = []
    for number, values in enumerate(line["trace"], start=1 if by_segment else 0):
        bound = dict(zip((leaf.name for leaf in trees.leaves), values, strict=True))
        segment = facts["segments"][number - 1] if by_segment else facts["segments"][-1]
        steps += [_leaf(plan, header, leaf, bound[leaf.name], segment, number, component.code) for leaf in trees.leaves]
        value_of = _reader(plan, bound)
        for name in _derived_in(plan, (*(tree for _, tree in trees.shown), trees.amount)):
            text = _derivation(plan, name).text
            steps.append(Step(name, shown(value_of(name)), StepSource.STEP, text, "", number))
        for name, tree in trees.shown:
            value = shown(language.evaluate(tree, value_of))
            steps.append(Step(name, value, StepSource.STEP, language.written(tree), "", number))
        share = language.evaluate(trees.amount, value_of)
        shares.append(share)
        steps.append(Step("share", shown(share), StepSource.STEP, language.written(trees.amount), "", number))
    rounding, _, digits = line["rounding"].partition("/")
    total = sum(shares, Decimal(0))
    amount = Rounding[rounding].to(round(total, 18), int(digits))
    text = f"round({'sum of shares' if len(shares) > 1 else 'share'}, {digits}, {rounding})"
    steps.append(Step("amount", plain(amount), StepSource.STEP, text, "", 0))
    return Explanation(component.formula, tuple(steps[-MAX_STEPS:]))


def _leaf(
    plan: Plan, header: Header, leaf: Meaning, value: str, segment: Mapping[str, Any], number: int, component: str
) -> Step:
    if leaf.origin is Origin.TABLE:
        assert plan.statutory is not None
        first, stop = date.fromisoformat(segment["from"]), date.fromisoformat(segment["to"])
        inside = first < header.end and header.start < stop
        day = max(first, header.start) if inside else first
        _, row = plan.statutory.table_value(leaf.name, day)
        column = plan.tables[leaf.name].rpartition(" ")[2]
        return Step(leaf.name, value, StepSource.TABLE, "", f"{row} {column}", number)
    if leaf.origin is Origin.LINE:
        return Step(leaf.name, value, StepSource.LINE, "", leaf.path, number)
    path = leaf.path.replace("this component", component)
    if number:
        path = path.replace("segments[]", f"segments[{number - 1}]")
    return Step(leaf.name, value, StepSource.INPUT, "", path, number)


def _reader(plan: Plan, bound: Mapping[str, str]) -> Callable[[str], Decimal]:
    def value_of(name: str) -> Decimal:
        if name in bound:
            return Decimal(bound[name])
        return language.evaluate(_derivation(plan, name).tree, value_of)

    return value_of


def _derivation(plan: Plan, name: str) -> language.Formula:
    found = plan.meaning(name)
    if found is None or found.formula is None:
        raise ValueError(f"{name} is not derived from others")
    return found.formula


def _derived_in(plan: Plan, trees: Sequence[language.Node]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for tree in trees:
        for name in language.names_in(tree):
            meaning = plan.meaning(name)
            if meaning is not None and meaning.formula is not None:
                found.setdefault(name)
    return tuple(found)


def _statutory(plan: Plan, line: Mapping[str, Any]) -> Explanation:
    assert plan.statutory is not None
    rule = plan.statutory.describe(line["rule"], line["rows"])
    given = iter(line["trace"][0])
    columns = {f"{row.key} {name}": value for row in rule.rows for name, value in row.values}
    bound: dict[str, Decimal] = {}
    steps: list[Step] = []
    for name, origin, of in rule.leaves:
        if origin == "ROW":
            bound[name] = columns[of]
            source, where = StepSource.TABLE, of
        else:
            bound[name] = Decimal(next(given))
            source = StepSource.LINE if origin == "LINE" else StepSource.INPUT
            where = of
        steps.append(Step(name, plain(bound[name]), source, "", where, 0))
    for name, text in rule.steps:
        bound[name] = language.evaluate(language.parse_rule(text).tree, bound.__getitem__)
        steps.append(Step(name, plain(bound[name]), StepSource.STEP, text, "", 0))
    return Explanation(f"{line['rule']}: {rule.law}", tuple(steps))
