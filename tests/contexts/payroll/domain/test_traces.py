"""Traces hold frozen inputs, table rows and lines only: each leaf, perturbed, moves its line."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any

import pytest
from muster.payroll.v1 import employee_facts_pb2 as facts_pb

from contexts.payroll.adapters.facts import facts_document
from contexts.payroll.domain.catalog import FormulaScope, LineKind, Proration
from contexts.payroll.domain.engine import Plan
from contexts.payroll.domain.explanation import Step, StepSource, explain
from tests.support.payroll import Facts, a_component, a_header, a_salary, china_plan

CHINA = china_plan()


def half_up(value: Fraction, digits: Fraction) -> Fraction:
    scale = 10 ** int(digits)
    sign = -1 if value < 0 else 1
    return Fraction(sign * int(abs(value) * scale + Fraction(1, 2)), scale)


def rounded(value: Fraction, digits: int, mode: str) -> Fraction:
    assert mode == "HALF_UP"
    return half_up(value, Fraction(digits))


WORDS: dict[str, Any] = {
    "if_": lambda condition, yes, no: yes if condition else no,
    "round": rounded,
    "half_up": half_up,
    "clamp": lambda value, low, high: min(max(value, low), high),
    "HALF_UP": "HALF_UP",
    "min": min,
    "max": max,
    "abs": abs,
}


def evaluated(steps: Sequence[Step], moved: int = -1, to: Fraction = Fraction(0)) -> Fraction:
    """The amount of a told line, computed with fractions; one leaf may be given another value."""
    total = Fraction(0)
    values: dict[str, Fraction] = {}
    segment = 0
    for index, step in enumerate(steps):
        if step.segment != segment:
            values, segment = {}, step.segment
        if step.source is not StepSource.STEP:
            values[step.name] = to if index == moved else Fraction(step.value)
            continue
        text = step.expression.replace("if(", "if_(").replace("sum of shares", "total").replace("share", "total")
        values[step.name] = Fraction(eval(text, {"__builtins__": {}}, {**WORDS, **values, "total": total}))
        if step.name == "share":
            total += values["share"]
    return values["amount"]


def told_lines() -> list[tuple[str, Sequence[Step], str]]:
    """Every line of a payslip that has all kinds of lines, with its explanation."""
    extra = [
        a_component("SENIORITY", "if(fte >= 0.5, min(prior_income * 0.01, 500), 0)", order=2000),
        a_component(
            "SHIFT", "quantity * rate", quantity_formula="hours_NIGHT", rate_formula="hourly_wage * 0.3",
            scope=FormulaScope.SEGMENT, order=2001,
        ),
        a_component("UNION", "gross * 0.005 + statutory_injury_rate", kind=LineKind.DEDUCTION, order=2002),
        a_salary(Proration.UNPAID_DAYS_21_75, order=2003, name="Y"),
    ]  # fmt: skip
    components = [one for one in CHINA.components if one.code != "BASE"] + extra
    plan = Plan(components, "CNY", CHINA.statutory)
    person = (
        Facts()
        .paid("30000", date(2026, 11, 3), date(2026, 11, 16), MEAL="300", HOUSING="1000")
        .paid("36000", date(2026, 11, 16), MEAL="400", HOUSING="1000")
        .worked("OVERTIME", {date(2026, 11, 5): 90, date(2026, 11, 20): 60})
        .worked("OVERTIME", {date(2026, 11, 7): 90, date(2026, 11, 21): 60}, facts_pb.DAY_KIND_REST_DAY)
        .worked("OVERTIME", {date(2026, 11, 8): 90, date(2026, 11, 22): 60}, facts_pb.DAY_KIND_HOLIDAY)
        .worked("NIGHT", {date(2026, 11, 5): 90, date(2026, 11, 20): 60})
        .worked("ABSENT", {date(2026, 11, 4): 480, date(2026, 11, 25): 240})
        .with_profile(housing_fund_supplementary_rate="0.04", special_additional_deduction="2000")
    )
    header = a_header(plan)
    document = facts_document(person.message, header, plan)
    prior = {
        "hash": "",
        "payslip": "",
        "statutory": {
            "contributions": "30000",
            "income": "200000",
            "months": "10",
            "special_additional": "20000",
            "tax": "5000",
        },
        "tax_period": 11,
        "tax_year": 2026,
        "totals": {"deductions": "1", "gross": "1", "net": "1"},
    }
    inputs = [
        {"amount": amount, "component": code, "id": "", "quantity": None}
        for code, amount in (("BONUS", "40000"), ("SEVERANCE", "500000"), ("EXPENSES", "12.3"), ("ADJUSTMENT", "77"))
    ]
    _, slip = plan.compute(header, {"facts": document, "inputs": inputs, "prior": prior})
    return [
        (line["code"], explain(plan, header, document, line).steps, line["amount"]) for line in json.loads(slip.lines)
    ]


LINES = told_lines()


def test_the_payslip_has_all_kinds_of_lines() -> None:
    assert len(LINES) >= 22


@pytest.mark.parametrize(("code", "steps", "amount"), LINES, ids=[line[0] for line in LINES])
def test_an_evaluator_of_its_own_finds_the_amount(code: str, steps: Sequence[Step], amount: str) -> None:
    assert evaluated(steps) == Fraction(amount)


@pytest.mark.parametrize(("code", "steps", "amount"), LINES, ids=[line[0] for line in LINES])
def test_each_leaf_moves_its_line(code: str, steps: Sequence[Step], amount: str) -> None:
    assert any(step.source is not StepSource.STEP for step in steps)
    assert idle_leaves(steps, amount) == []


def idle_leaves(steps: Sequence[Step], amount: str) -> list[str]:
    """The leaves that may have any other value and leave the line as it is."""
    leaves = [index for index, step in enumerate(steps) if step.source is not StepSource.STEP]
    still = []
    for index in leaves:
        value = Fraction(steps[index].value)
        others = (value + 1_000_000, value - 1_000_000, value * 3 + 1, value / 7)
        if all(evaluated(steps, index, other) == Fraction(amount) for other in others):
            still.append(steps[index].name)
    return still


@pytest.mark.parametrize(("code", "steps", "amount"), LINES, ids=[line[0] for line in LINES])
def test_a_trace_that_only_repeats_its_amount_is_caught(code: str, steps: Sequence[Step], amount: str) -> None:
    """The planted bug: the leaves are shown, and the amount does not come from them."""
    given = replace(steps[-1], name="given", value=amount, source=StepSource.INPUT, expression="")
    told = [*steps[:-1], given, replace(steps[-1], expression="given")]

    assert evaluated(told) == Fraction(amount)
    assert idle_leaves(told, amount) == [step.name for step in steps if step.source is not StepSource.STEP]


def test_leaves_name_where_they_come_from() -> None:
    origins = {(step.source, step.origin) for _, steps, _ in LINES for step in steps if step.source != StepSource.STEP}

    tables = {origin for source, origin in origins if source is StepSource.TABLE}
    assert "labour.overtime@1995-01-01#1 holiday" in tables
    assert "social_insurance.rate.pension:SHANGHAI@2025-07-01#1 employee" in tables
    assert (StepSource.INPUT, "facts.segments[1].amount (per facts.segments[1].unit, brought to a month)") in origins
