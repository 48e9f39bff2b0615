"""Every line explains itself: its rule over its leaves gives its amount, and each leaf comes from somewhere."""

import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contexts.payroll.domain.statutory import pack
from contexts.payroll.domain.statutory.cn.contributions import Enrolment
from contexts.payroll.domain.statutory.cn.income_tax import BasicDeduction, Remuneration, TaxPosition, YearToDate
from contexts.payroll.domain.statutory.cn.labour import DayKind, Proration, WageSegment
from contexts.payroll.domain.statutory.cn.pack import MonthPay, WageParts
from contexts.payroll.domain.statutory.cn.rules import RULES
from contexts.payroll.domain.statutory.errors import StatutoryRuleUnknown, StatutoryTableMissing
from contexts.payroll.domain.statutory.trace import Line, explain
from tests.contexts.payroll.statutory.evaluator import evaluated, steps

CHINA = pack("CN")
DAY = date(2026, 11, 30)
fen = st.decimals(min_value=0, max_value=200_000, places=2)
cities = st.sampled_from(
    [("SHANGHAI", None, Decimal("0.05")), ("KUNMING", "I", Decimal(0)), ("KUNMING", "II", Decimal(0))]
)


def agrees(lines: Sequence[Line]) -> None:
    for line in lines:
        assert evaluated(line) == Fraction(line.amount), explain(line)
        assert steps(line) == {name: Fraction(line.bound()[name]) for name in steps(line)}
        for leaf in line.spec.rule.leaves:
            if leaf.origin == "ROW":
                index, _, column = leaf.of.partition(".")
                assert line.bound()[leaf.name] == line.spec.rows[int(index)][column]


@given(
    city=cities, base=fen, fund=fen, wage=fen, prior=fen, bonus=fen, severance=fen, rule=st.sampled_from(BasicDeduction)
)
def test_a_months_lines_are_what_their_rules_say(
    city: tuple[str, str | None, Decimal],
    base: Decimal,
    fund: Decimal,
    wage: Decimal,
    prior: Decimal,
    bonus: Decimal,
    severance: Decimal,
    rule: BasicDeduction,
) -> None:
    place, zone, supplementary = city
    enrolment = Enrolment(place, base, fund, Decimal("0.07"), Decimal("0.004"), supplementary, zone)
    position = TaxPosition(True, rule, Decimal(1500), 11, YearToDate(prior, Decimal(100), Decimal(0), 10, Decimal(50)))
    pay = MonthPay(wage, bonus, Decimal(0), severance, Decimal(10_000))

    found = CHINA.assess_month(enrolment, position, pay, DAY, DAY)

    agrees(found.lines)
    assert all(CHINA.kinds[line.code] == line.kind for line in found.lines)
    assert all(json.loads("{" + line.fragment + "}")["rule"] == line.spec.rule.id for line in found.lines)


@given(wage=fen, bonus=fen)
def test_a_non_residents_lines_are_what_their_rules_say(wage: Decimal, bonus: Decimal) -> None:
    enrolment = Enrolment("SHANGHAI", None, None, Decimal(0), Decimal(0))

    found = CHINA.assess_month(enrolment, TaxPosition(resident=False), MonthPay(wage, Decimal(0), bonus), DAY, DAY)

    agrees(found.lines)


@given(
    wage=fen,
    days=st.decimals(min_value=0, max_value=23, places=1),
    hours=st.decimals(min_value=0, max_value=36, places=2),
    proration=st.sampled_from(Proration),
)
def test_wage_lines_are_what_their_rules_say(
    wage: Decimal, days: Decimal, hours: Decimal, proration: Proration
) -> None:
    parts = WageParts(
        proration=proration,
        monthly_wage=wage,
        days_paid=days,
        unpaid_days=days,
        segments=(WageSegment(wage, days), WageSegment(wage + 1000, days)),
        period_working_days=Decimal(21),
        overtime_hours=dict.fromkeys(DayKind, hours),
        other_taxable=hours,
        maternity_allowance_paid_by_fund=days,
        unused_annual_leave_days=days,
        average_monthly_wage_12m=wage,
    )

    found = CHINA.wage_income(parts, DAY)

    agrees(found.lines)
    assert found.total == sum(line.amount for line in found.lines)


@given(income=fen, years=st.integers(1, 10), kind=st.sampled_from(Remuneration))
def test_other_income_is_taxed_as_its_rule_says(income: Decimal, years: int, kind: Remuneration) -> None:
    tax = CHINA.income_tax

    agrees(
        [
            tax.remuneration(income, kind, DAY),
            tax.non_resident_remuneration(income, kind, DAY),
            tax.early_retirement(income * 10, Decimal(years), DAY),
            tax.comprehensive_year(income, income, Decimal(1000), Decimal(500), 2026),
        ]
    )


@pytest.mark.parametrize(
    ("code", "leaf"),
    [
        ("PENSION_EMPLOYEE", "declared_base"),
        ("PENSION_EMPLOYEE", "rate"),
        ("INJURY_EMPLOYER", "rate"),
        ("HOUSING_FUND_EMPLOYER", "declared_base"),
        *(
            ("IIT", leaf)
            for leaf in (
                "prior_income", "wage_income", "prior_contributions", "contributions", "prior_special_additional",
                "special_additional", "prior_tax", "rate", "quick_deduction", "deduction_month", "tax_months",
            )
        ),
        ("BONUS_IIT", "bonus"),
        ("SEVERANCE_IIT", "exempt_limit"),
    ],
)  # fmt: skip
def test_moving_a_leaf_moves_the_line(code: str, leaf: str) -> None:
    enrolment = Enrolment("SHANGHAI", Decimal(20_000), Decimal(20_000), Decimal("0.07"), Decimal("0.004"))
    prior = YearToDate(Decimal(220_000), Decimal(38_500), Decimal(15_000), 10, Decimal(8000))
    position = TaxPosition(special_additional=Decimal(1500), months=11, prior=prior)
    pay = MonthPay(Decimal(22_000), Decimal(50_000), Decimal(0), Decimal(90_000), Decimal(40_000))
    found = CHINA.assess_month(enrolment, position, pay, DAY, DAY)
    line = next(line for line in found.lines if line.code == code)

    moved = evaluated(line, **{leaf: Decimal(line.bound()[leaf]) * 2 + 1})

    assert moved != Fraction(line.amount)


def test_a_line_is_told_in_sentences_with_its_law_and_rows() -> None:
    line = CHINA.income_tax.separate_bonus(Decimal(36_001), DAY)

    told = "\n".join(explain(line))

    assert "BONUS_IIT = 3390.10" in told
    assert "bonus = 36001 (ANNUAL_BONUS)" in told
    assert "iit.monthly_table@2019-01-01#2 by PAY_DATE" in told
    assert "MOF/STA 2023 No.30" in told


def test_a_stored_rule_and_its_row_keys_are_enough_to_describe_it() -> None:
    line = CHINA.income_tax.separate_bonus(Decimal(36_001), DAY)
    stored = json.loads("{" + line.fragment + "}")

    text = CHINA.describe(stored["rule"], stored["rows"])

    assert text.rows == line.spec.rows
    assert tuple(name for name, _, _ in text.leaves) == ("bonus", "rate", "quick_deduction")


def test_a_rule_or_row_of_another_edition_is_named_in_the_refusal() -> None:
    with pytest.raises(StatutoryRuleUnknown, match=r"cn\.abolished"):
        CHINA.describe("cn.abolished", ())
    with pytest.raises(StatutoryTableMissing, match="no row"):
        CHINA.describe("cn.housing_fund", ("housing_fund.base:SHANGHAI@1999-01-01#1",))


def test_people_under_the_same_rows_share_one_line_spec() -> None:
    one = Enrolment("SHANGHAI", Decimal(9000), Decimal(9000), Decimal("0.07"), Decimal("0.004"))
    other = Enrolment("SHANGHAI", Decimal(19_000), None, Decimal("0.05"), Decimal("0.002"))

    first, second = (CHINA.social_insurance.assess(person, DAY).lines[0] for person in (one, other))

    assert first.spec is second.spec


def test_every_rule_ends_in_its_amount_and_names_its_law() -> None:
    for rule in RULES.values():
        assert rule.steps[-1][0] == "amount"
        assert rule.source
        assert len(set(rule.names)) == len(rule.names)
