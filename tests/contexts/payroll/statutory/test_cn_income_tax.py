"""Income tax: cumulative withholding adds up to the year, bonuses have their cliffs, nothing is ever negative."""

from datetime import date
from decimal import Decimal
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contexts.payroll.domain.statutory import pack
from contexts.payroll.domain.statutory.cn.income_tax import BasicDeduction, Remuneration, TaxPosition, YearToDate
from contexts.payroll.domain.statutory.errors import StatutoryInputInvalid, StatutoryTableMissing

TAX = pack("CN").income_tax
ZERO = Decimal(0)
fen = st.decimals(min_value=0, max_value=500_000, places=2)


def year_of(wages: list[Decimal], contributions: Decimal = ZERO, special: Decimal = ZERO) -> list[Decimal]:
    """What is withheld month by month."""
    prior, withheld = YearToDate(), []
    for month, wage in enumerate(wages, start=1):
        position = TaxPosition(special_additional=special, months=month, prior=prior)
        found = TAX.withhold(position, wage, contributions, date(2026, month, 25))
        withheld.append(found.line.amount)
        prior = found.year_to_date
    return withheld


@given(wage=fen, contributions=st.decimals(0, 10_000, places=2), special=st.integers(0, 5000))
def test_twelve_level_months_withhold_the_tax_of_the_year(wage: Decimal, contributions: Decimal, special: int) -> None:
    withheld = year_of([wage] * 12, contributions, Decimal(special))

    year = TAX.comprehensive_year(wage, ZERO, contributions, Decimal(special * 12), 2026)
    assert sum(withheld) == year.amount


@given(first=fen, raises=st.lists(st.decimals(0, 20_000, places=2), min_size=11, max_size=11))
def test_twelve_rising_months_withhold_the_tax_of_the_year(first: Decimal, raises: list[Decimal]) -> None:
    wages = list(accumulate([first, *raises]))

    withheld = year_of(wages)

    whole = TAX.withhold(TaxPosition(months=12), sum(wages, ZERO), ZERO, date(2026, 12, 25))
    assert sum(withheld) == whole.line.amount


@given(wages=st.lists(fen, min_size=1, max_size=12), rule=st.sampled_from(BasicDeduction))
def test_nothing_is_ever_refunded_inside_the_year(wages: list[Decimal], rule: BasicDeduction) -> None:
    prior = YearToDate()

    for month, wage in enumerate(wages, start=1):
        found = TAX.withhold(TaxPosition(True, rule, ZERO, month, prior), wage, ZERO, date(2026, month, 25))

        assert found.line.amount >= 0
        assert found.taxable >= 0
        assert found.year_to_date.tax == prior.tax + found.line.amount
        prior = found.year_to_date


def test_a_negative_result_is_carried_to_the_next_month() -> None:
    assert year_of([Decimal(50_000), ZERO, Decimal(10_000)]) == [Decimal("1980.00"), ZERO, ZERO]


def test_withholding_may_start_from_an_empty_month() -> None:
    assert year_of([ZERO] * 12) == [ZERO] * 12


@pytest.mark.parametrize(
    ("rule", "months", "expected"),
    [
        (BasicDeduction.MONTHS_EMPLOYED, 2, 10_000),
        (BasicDeduction.FIRST_JOB_FROM_JANUARY, 2, 35_000),
        (BasicDeduction.SIXTY_THOUSAND_FROM_JANUARY, 2, 60_000),
    ],
)
def test_the_basic_deduction_follows_its_rule(rule: BasicDeduction, months: int, expected: int) -> None:
    found = TAX.withhold(TaxPosition(True, rule, ZERO, months), Decimal(100_000), ZERO, date(2026, 7, 31))

    assert found.basic_deduction == expected
    assert found.taxable == 100_000 - expected


@pytest.mark.parametrize(
    ("bonus", "tax"),
    [
        ("0", "0"), ("36000", "1080"), ("36000.01", "3390.00"), ("36001", "3390.10"), ("144000", "14190"),
        ("144001", "27390.20"), ("960000", "328840"), ("960001", "416840.45"),
    ],
)  # fmt: skip
def test_a_bonus_taxed_alone_has_its_cliffs(bonus: str, tax: str) -> None:
    assert TAX.separate_bonus(Decimal(bonus), date(2026, 1, 31)).amount == Decimal(tax)


def test_a_bonus_is_taxed_alone_until_the_end_of_2027_and_not_after() -> None:
    assert TAX.separate_bonus(Decimal(36_000), date(2027, 12, 31)).amount == 1080
    with pytest.raises(StatutoryTableMissing) as refused:
        TAX.separate_bonus(Decimal(36_000), date(2028, 1, 1))

    assert refused.value.facts["table"] == "iit.annual_bonus_separate"
    assert not TAX.separate_bonus_allowed(None, date(2028, 1, 1))


def test_one_bonus_a_tax_year_is_taxed_alone() -> None:
    assert TAX.separate_bonus_allowed(None, date(2026, 2, 1))
    assert TAX.separate_bonus_allowed(date(2025, 12, 1), date(2026, 1, 1))
    assert not TAX.separate_bonus_allowed(date(2026, 1, 1), date(2026, 12, 1))


@given(bonus=fen)
def test_a_bonus_tax_lies_between_nothing_and_45_percent(bonus: Decimal) -> None:
    assert 0 <= TAX.separate_bonus(bonus, date(2026, 1, 31)).amount <= bonus * Decimal("0.45") + Decimal("0.01")
    assert 0 <= TAX.multi_month_bonus(bonus, date(2026, 1, 31)).amount <= bonus * Decimal("0.45") + Decimal("0.01")


def test_a_non_residents_bonus_is_spread_over_six_months() -> None:
    assert TAX.multi_month_bonus(Decimal(60_000), date(2026, 1, 31)).amount == Decimal(4740)


def test_a_non_residents_wage_leaves_contributions_out() -> None:
    position = TaxPosition(resident=False)

    found = TAX.withhold(position, Decimal(9000), Decimal(972), date(2025, 12, 31))

    assert found.line.amount == 190


@given(income=fen, kind=st.sampled_from(Remuneration))
def test_remuneration_withholding_is_never_negative(income: Decimal, kind: Remuneration) -> None:
    assert TAX.remuneration(income, kind, date(2026, 1, 31)).amount >= 0
    assert TAX.non_resident_remuneration(income, kind, date(2026, 1, 31)).amount >= 0


def test_the_law_before_2019_is_not_known_here() -> None:
    with pytest.raises(StatutoryTableMissing, match="2018-12-31"):
        TAX.withhold(TaxPosition(), Decimal(10_000), ZERO, date(2018, 12, 31))


def test_a_severance_is_free_up_to_three_years_of_local_wages() -> None:
    limit = TAX.severance_exempt_limit_of("Shanghai", date(2026, 8, 1))

    assert limit == 36 * 12_577
    assert TAX.severance_exempt_limit_of("KUNMING", date(2026, 1, 31)) == 390_522
    assert TAX.severance(limit, limit, date(2026, 8, 1)).amount == 0
    assert TAX.severance(limit + 100, limit, date(2026, 8, 1)).amount == 3


def test_early_retirement_needs_years() -> None:
    with pytest.raises(StatutoryInputInvalid):
        TAX.early_retirement(Decimal(500_000), ZERO, date(2026, 1, 31))
