"""Wages by the labour law: part months, overtime, leave, severance, floors."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contexts.payroll.domain.statutory import pack
from contexts.payroll.domain.statutory.cn.contributions import Enrolment
from contexts.payroll.domain.statutory.cn.labour import DayKind, Ground, Proration, WageSegment
from contexts.payroll.domain.statutory.cn.pack import WageParts
from contexts.payroll.domain.statutory.errors import (
    MinimumWageZoneNeeded,
    StatutoryInputInvalid,
    StatutoryTableMissing,
)

CHINA = pack("CN")
LABOUR = CHINA.labour
DAY = date(2026, 11, 30)
fen = st.decimals(min_value=0, max_value=100_000, places=2)


@given(wage=fen, days=st.lists(st.integers(0, 23), min_size=1, max_size=5), whole=st.integers(18, 23))
def test_segments_add_up_to_the_whole_rounded_once(wage: Decimal, days: list[int], whole: int) -> None:
    segments = [WageSegment(wage + index * 100, Decimal(count)) for index, count in enumerate(days)]

    lines = LABOUR.working_days(segments, Decimal(whole))

    exact = sum((segment.monthly_wage * segment.working_days for segment in segments), Decimal(0)) / whole
    assert abs(sum((line.amount for line in lines), Decimal(0)) - exact) <= Decimal("0.005") + Decimal("1e-20")


@given(wage=fen, whole=st.integers(1, 23), split=st.integers(0, 23))
def test_a_month_in_pieces_of_one_wage_pays_that_wage(wage: Decimal, whole: int, split: int) -> None:
    first = Decimal(min(split, whole))

    lines = LABOUR.working_days([WageSegment(wage, first), WageSegment(wage, whole - first)], Decimal(whole))

    assert sum(line.amount for line in lines) == wage


@given(wage=fen, days=st.integers(0, 21))
def test_a_wage_and_its_unpaid_days_add_up(wage: Decimal, days: int) -> None:
    kept = LABOUR.unpaid_days(wage, Decimal(days), DAY).amount
    lost = LABOUR.unpaid_deduction(wage, Decimal(days), DAY).amount

    assert kept + lost == wage


def test_paid_days_count_1_of_21_75_each() -> None:
    assert LABOUR.paid_days(Decimal(21_750), Decimal(10), DAY).amount == 10_000
    assert LABOUR.paid_days(Decimal(22_000), Decimal(11), DAY).amount == Decimal("11126.44")


@pytest.mark.parametrize(("day", "pay"), [(DayKind.WORKDAY, 375), (DayKind.REST_DAY, 500), (DayKind.HOLIDAY, 750)])
def test_two_hours_of_overtime_pay_one_and_a_half_two_and_three_times(day: DayKind, pay: int) -> None:
    assert LABOUR.overtime(Decimal(21_750), Decimal(2), day, DAY).amount == pay


def test_the_hour_is_not_rounded_before_overtime_is() -> None:
    assert LABOUR.day_rate(Decimal(10_000), DAY).hourly == Decimal("57.47")
    assert LABOUR.overtime(Decimal(10_000), Decimal(10), DayKind.WORKDAY, DAY).amount == Decimal("862.07")


def test_a_wage_is_the_sum_of_its_parts() -> None:
    parts = WageParts(
        proration=Proration.UNPAID_DAYS_21_75,
        monthly_wage=Decimal(21_750),
        unpaid_days=Decimal(1),
        overtime_hours={DayKind.WORKDAY: Decimal(2), DayKind.HOLIDAY: Decimal(8)},
        other_taxable=Decimal("99.995"),
    )

    found = CHINA.wage_income(parts, DAY)

    assert [line.amount for line in found.lines] == [20_750, 375, 3000, 100]
    assert found.total == 24_225
    assert found.overtime_pay == 3375
    assert found.hourly_base == 125


def test_an_allowance_of_the_fund_takes_off_no_more_than_the_wage() -> None:
    parts = WageParts(monthly_wage=Decimal(20_000), maternity_allowance_paid_by_fund=Decimal(25_000))

    assert CHINA.wage_income(parts, DAY).total == 0


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        (WageParts(), "monthly_wage"),
        (WageParts(proration=Proration.WORKING_DAYS), "period_working_days"),
        (WageParts(proration=Proration.WORKING_DAYS, period_working_days=Decimal(22)), "segments"),
        (WageParts(monthly_wage=Decimal(1), unused_annual_leave_days=Decimal(1)), "average_monthly_wage_12m"),
    ],
)
def test_a_part_without_what_it_is_computed_from_is_refused(parts: WageParts, field: str) -> None:
    with pytest.raises(StatutoryInputInvalid) as refused:
        CHINA.wage_income(parts, DAY)

    assert refused.value.field == field


@pytest.mark.parametrize(
    ("months", "wage", "ground", "amount"),
    [
        ("60", "5000", Ground.ART_46, "25000"),
        ("61", "5000", Ground.ART_46, "27500"),
        ("66", "5000", Ground.ART_46, "30000"),
        ("240", "5000", Ground.ART_46, "100000"),
        ("240", "12000", Ground.ART_46, "240000"),
        ("240", "12000.01", Ground.ART_46, "144000"),
        ("60", "5000", Ground.ART_87, "50000"),
        ("60", "5000", Ground.ART_40, "31000"),
        ("0", "5000", Ground.ART_46, "0"),
    ],
)
def test_severance_counts_months_and_caps_high_wages(months: str, wage: str, ground: Ground, amount: str) -> None:
    found = LABOUR.severance(Decimal(months), Decimal(wage), Decimal(4000), ground, Decimal(6000), DAY)

    assert found.amount == Decimal(amount)


def test_annual_leave_grows_with_all_months_of_work() -> None:
    hired = date(2016, 7, 1)

    assert LABOUR.annual_leave_days(hired, date(2017, 6, 30), Decimal(0)) == 0
    assert LABOUR.annual_leave_days(hired, date(2017, 7, 1), Decimal(0)) == 5
    assert LABOUR.annual_leave_days(hired, date(2026, 6, 30), Decimal(0)) == 5
    assert LABOUR.annual_leave_days(hired, date(2026, 6, 30), Decimal(1)) == 10
    assert LABOUR.annual_leave_days(hired, date(2026, 7, 1), Decimal(120)) == 15


def test_days_taken_too_many_are_not_asked_back() -> None:
    found = LABOUR.leave_cash_out(date(2019, 1, 1), date(2026, 6, 30), Decimal(0), Decimal(22_000), Decimal(4))

    assert found.prorated_days == 2
    assert found.pay.amount == 0


def test_nobody_leaves_before_they_came() -> None:
    with pytest.raises(StatutoryInputInvalid):
        LABOUR.leave_cash_out(date(2026, 1, 2), date(2026, 1, 1), Decimal(0), Decimal(1), Decimal(0))


@pytest.mark.parametrize(
    ("hours", "before", "accepted", "rule"),
    [
        ("3", "33", True, None),
        ("3.5", "0", False, "MAX_3_HOURS_PER_DAY"),
        ("4", "36", False, "MAX_3_HOURS_PER_DAY"),
        ("1", "35.5", False, "MAX_36_HOURS_PER_MONTH"),
    ],
)
def test_overtime_has_a_limit_a_day_and_a_month(hours: str, before: str, accepted: bool, rule: str | None) -> None:
    assert LABOUR.overtime_request(Decimal(hours), Decimal(before), DAY) == (accepted, rule)


def test_the_minimum_wage_needs_the_zone_of_a_city_that_has_zones() -> None:
    assert LABOUR.minimum_wage_month("Shanghai", None, DAY) == 2740
    assert LABOUR.minimum_wage_month("KUNMING", "II", DAY) == 2120
    assert LABOUR.minimum_wage_hour("KUNMING", "III", date(2026, 8, 31)) == 19
    with pytest.raises(MinimumWageZoneNeeded):
        LABOUR.minimum_wage_month("KUNMING", None, DAY)
    with pytest.raises(StatutoryTableMissing):
        LABOUR.minimum_wage_hour("SHANGHAI", None, DAY)


def test_the_shanghai_floor_is_net_of_contributions() -> None:
    enrolment = Enrolment("SHANGHAI", Decimal(3800), Decimal(3800), Decimal("0.07"), Decimal(0))

    found = CHINA.wage_above_minimum(enrolment, Decimal(3800), DAY)

    assert found.net_of_contributions == Decimal("3800") - found.contributions
    assert found.accepted == (found.net_of_contributions >= 2740)


def test_days_before_2025_have_no_row_here() -> None:
    with pytest.raises(StatutoryTableMissing) as refused:
        LABOUR.paid_days(Decimal(1), Decimal(1), date(2024, 12, 31))

    assert refused.value.facts["table"] == "labour.days"
