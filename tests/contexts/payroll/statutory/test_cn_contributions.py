"""Social insurance and housing fund: clamped, rounded per line, refused where no row holds."""

from datetime import date
from decimal import ROUND_CEILING, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contexts.payroll.domain.statutory import pack
from contexts.payroll.domain.statutory.cn.contributions import Contributions, Enrolment
from contexts.payroll.domain.statutory.errors import (
    HousingFundRateOutOfRange,
    InjuryRateOutOfRange,
    MinimumWageZoneNeeded,
    StatutoryInputInvalid,
    StatutoryTableMissing,
)

INSURANCE = pack("CN").social_insurance
NOVEMBER = date(2026, 11, 1)
fen = st.decimals(min_value=0, max_value=100_000, places=2)
months = st.dates(date(2026, 1, 1), date(2027, 6, 30))
places = st.sampled_from([("SHANGHAI", None), ("KUNMING", "I"), ("KUNMING", "II")])


def enrolled(
    base: str | Decimal | None = "20000", fund: str | Decimal | None = "20000", city: str = "SHANGHAI",
    zone: str | None = None, fund_rate: str = "0.07", injury: str = "0.002", supplementary: str = "0",
) -> Enrolment:  # fmt: skip
    return Enrolment(
        city,
        None if base is None else Decimal(base),
        None if fund is None else Decimal(fund),
        Decimal(fund_rate),
        Decimal(injury),
        Decimal(supplementary),
        zone,
    )


def amounts(found: Contributions) -> dict[str, Decimal]:
    return {line.code: line.amount for line in found.lines}


@given(place=places, month=months, lower=fen, more=fen)
def test_contributions_never_fall_when_the_base_rises(
    place: tuple[str, str | None], month: date, lower: Decimal, more: Decimal
) -> None:
    city, zone = place
    below = amounts(INSURANCE.assess(enrolled(lower, lower, city, zone), month))

    above = amounts(INSURANCE.assess(enrolled(lower + more, lower + more, city, zone), month))

    assert all(Decimal(0) < below[code] <= above[code] for code in below)


@given(place=places, month=months, base=fen)
def test_contributions_stay_between_those_of_floor_and_ceiling(
    place: tuple[str, str | None], month: date, base: Decimal
) -> None:
    city, zone = place
    lowest = amounts(INSURANCE.assess(enrolled("0", "0", city, zone), month))
    highest = amounts(INSURANCE.assess(enrolled("1000000", "1000000", city, zone), month))

    found = amounts(INSURANCE.assess(enrolled(base, base, city, zone), month))

    assert all(lowest[code] <= found[code] <= highest[code] for code in found)


@given(base=fen, fund=fen)
def test_totals_are_the_sums_of_the_lines(base: Decimal, fund: Decimal) -> None:
    found = INSURANCE.assess(enrolled(base, fund, supplementary="0.05"), NOVEMBER)

    assert found.employee_total == sum(line.amount for line in found.lines if line.kind == "DEDUCTION")
    assert found.employer_total == sum(line.amount for line in found.lines if line.kind == "EMPLOYER_CONTRIBUTION")
    assert found.employee_total == sum(found.by_scheme("EMPLOYEE").values())
    assert found.employer_total == sum(found.by_scheme("EMPLOYER").values())


def test_the_fund_is_whole_yuan_half_up_and_the_two_parts_round_apart() -> None:
    found = amounts(INSURANCE.assess(enrolled("10010", "10010", supplementary="0.05"), NOVEMBER))

    assert found["HOUSING_FUND_EMPLOYEE"] == found["HOUSING_FUND_EMPLOYER"] == 701
    assert found["HOUSING_FUND_SUPPLEMENTARY_EMPLOYEE"] == 501


def test_kunmings_medical_base_moves_on_its_own_date() -> None:
    august, september = (INSURANCE.assess(enrolled("30000", None, "KUNMING"), date(2026, m, 1)) for m in (8, 9))

    assert amounts(august)["PENSION_EMPLOYEE"] == amounts(september)["PENSION_EMPLOYEE"] == Decimal("1761.36")
    assert amounts(august)["MEDICAL_EMPLOYEE"] == Decimal("435.78")
    assert amounts(september)["MEDICAL_EMPLOYEE"] == Decimal("440.34")


def test_any_day_of_a_month_gives_its_contributions() -> None:
    first, last = (INSURANCE.assess(enrolled("1"), date(2026, 7, day)) for day in (1, 31))

    assert amounts(first) == amounts(last)


def test_a_scheme_without_a_base_is_not_paid() -> None:
    assert INSURANCE.assess(enrolled(None, None), NOVEMBER).lines == ()
    assert {line.spec.scheme for line in INSURANCE.assess(enrolled(None), NOVEMBER).lines} == {"housing_fund"}


def test_who_pays_no_scheme_needs_no_table_of_a_city() -> None:
    found = INSURANCE.assess(enrolled(None, None, city=""), date(1999, 1, 1))

    assert (found.lines, found.employee_total, found.employer_total) == ((), Decimal(0), Decimal(0))


@pytest.mark.parametrize(
    ("city", "month", "table"),
    [
        ("SHANGHAI", date(2025, 6, 30), "social_insurance.base.pension"),
        ("KUNMING", date(2024, 12, 31), "social_insurance.base.pension"),
        ("BEIJING", NOVEMBER, "social_insurance.base.pension"),
    ],
)
def test_a_month_or_city_without_a_row_is_refused_by_name(city: str, month: date, table: str) -> None:
    with pytest.raises(StatutoryTableMissing) as refused:
        INSURANCE.assess(enrolled(city=city), month)

    assert refused.value.reason == "STATUTORY_TABLE_MISSING"
    assert refused.value.facts == {"table": table, "city": city, "date": month.replace(day=1).isoformat()}


@pytest.mark.parametrize(("city", "rate"), [("SHANGHAI", "0.08"), ("SHANGHAI", "0.049"), ("KUNMING", "0.13")])
def test_a_fund_rate_that_the_city_does_not_allow_is_refused(city: str, rate: str) -> None:
    with pytest.raises(HousingFundRateOutOfRange) as refused:
        INSURANCE.assess(enrolled(city=city, zone="I", fund_rate=rate), NOVEMBER)

    assert refused.value.field == "housing_fund_rate"


@pytest.mark.parametrize(("city", "rate"), [("SHANGHAI", "0.06"), ("KUNMING", "0.01")])
def test_a_supplementary_rate_that_the_city_does_not_allow_is_refused(city: str, rate: str) -> None:
    with pytest.raises(HousingFundRateOutOfRange) as refused:
        INSURANCE.assess(enrolled(city=city, zone="I", supplementary=rate), NOVEMBER)

    assert refused.value.field == "housing_fund_supplementary_rate"


@pytest.mark.parametrize("rate", ["0.2", "-0.001"])
def test_an_injury_rate_of_no_class_is_refused(rate: str) -> None:
    with pytest.raises(InjuryRateOutOfRange):
        INSURANCE.assess(enrolled(injury=rate), NOVEMBER)


def test_injury_classes_have_their_rates() -> None:
    assert INSURANCE.injury_rate(1, NOVEMBER) == Decimal("0.002")
    assert INSURANCE.injury_rate(8, NOVEMBER) == Decimal("0.019")
    with pytest.raises(StatutoryInputInvalid):
        INSURANCE.injury_rate(9, NOVEMBER)


def test_the_zone_is_asked_for_only_where_it_matters() -> None:
    rich = INSURANCE.assess(enrolled("5000", "5000", "KUNMING"), NOVEMBER)

    assert amounts(rich)["HOUSING_FUND_EMPLOYEE"] == 350
    with pytest.raises(MinimumWageZoneNeeded):
        INSURANCE.assess(enrolled("2000", "2000", "KUNMING"), NOVEMBER)
    with pytest.raises(MinimumWageZoneNeeded):
        INSURANCE.assess(enrolled(city="KUNMING", zone="IX"), NOVEMBER)


def test_a_base_from_the_own_average_lies_between_60_and_300_percent() -> None:
    local = Decimal(4000)

    assert INSURANCE.own_average_base(Decimal(1000), local) == 2400
    assert INSURANCE.own_average_base(Decimal(5000), local) == 5000
    assert INSURANCE.own_average_base(Decimal(15_000), local) == 12_000


@given(base=fen)
def test_the_callers_decimal_context_changes_nothing(base: Decimal) -> None:
    usual = INSURANCE.assess(enrolled(base, base), NOVEMBER)

    with localcontext() as context:
        context.prec, context.rounding = 28, ROUND_CEILING
        other = INSURANCE.assess(enrolled(base, base), NOVEMBER)

    assert usual == other
