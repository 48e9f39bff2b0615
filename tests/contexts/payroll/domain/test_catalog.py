"""Pay groups with their periods, and what a catalog version says on a date."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contexts.payroll.domain.catalog import Catalog, CatalogEntry, PayDateRule, PayFrequency, PayGroup
from contexts.payroll.domain.errors import PayGroupInvalid, PayPeriodNotFound
from contexts.payroll.domain.standard_components import standard_components
from contexts.payroll.handlers.catalog import must_compile
from kernel.period import Period
from tests.support.payroll import a_component

MONTHLY = PayGroup(
    "M", "Monthly", "TAX", PayFrequency.MONTH, "CNY", "CN", "CAL", 0, PayDateRule(1, 31), date(2020, 1, 1)
)
WEEKLY = replace(MONTHLY, code="W", frequency=PayFrequency.WEEK, pay_date_rule=PayDateRule(1, 5))


def test_a_month_is_paid_on_the_last_day_of_the_next() -> None:
    november, january = MONTHLY.period("2026-11"), MONTHLY.period("2027-01")

    assert (november.span, november.pay_date) == (Period.month(2026, 11), date(2026, 12, 31))
    assert (january.pay_date, january.tax_year, january.tax_period) == (date(2027, 2, 28), 2027, 2)


def test_december_is_paid_in_the_next_tax_year() -> None:
    december = replace(MONTHLY, pay_date_rule=PayDateRule(1, 5)).period("2026-12")

    assert (december.pay_date, december.tax_year, december.tax_period) == (date(2027, 1, 5), 2027, 1)


def test_a_week_runs_from_monday_and_is_named_by_iso() -> None:
    week = WEEKLY.period("2026-W53")

    assert week.span == Period(date(2026, 12, 28), date(2027, 1, 4))
    assert (week.pay_date, week.tax_year, week.tax_period) == (date(2027, 1, 8), 2027, 2)


def test_a_period_may_pay_the_time_period_before() -> None:
    assert replace(MONTHLY, time_period_offset=-1).period("2026-01").time_periods == ("2025-12",)


@pytest.mark.parametrize("name", ["2026-13", "2026-00", "2026-W48", "26-11", "2026-1", "", "2026-11 ", "0000-01"])
def test_a_name_that_is_no_period_is_refused(name: str) -> None:
    with pytest.raises(PayPeriodNotFound):
        MONTHLY.period(name)


def test_a_week_that_the_year_does_not_have_is_refused() -> None:
    with pytest.raises(PayPeriodNotFound):
        WEEKLY.period("2027-W53")


@given(st.dates(date(1950, 1, 1), date(2100, 1, 1)), st.sampled_from([MONTHLY, WEEKLY]))
def test_periods_join_without_gap_and_are_found_by_name(day: date, group: PayGroup) -> None:
    first, second = group.periods(day, date(day.year + 1, 3, 1))[:2]

    assert day in first.span
    assert first.span.end == second.span.start
    assert group.period(first.name) == first


def test_a_listing_of_periods_is_bounded() -> None:
    assert len(WEEKLY.periods(date(2000, 1, 1), date(2100, 1, 1))) == 400


@pytest.mark.parametrize(
    "changes", [{"currency": "USD"}, {"frequency": PayFrequency.WEEK}, {"pay_date_rule": PayDateRule(0, 31)}]
)
def test_a_group_never_changes_currency_or_frequency(changes: dict[str, object]) -> None:
    changed = replace(MONTHLY, **changes)  # type: ignore[arg-type]

    if "pay_date_rule" in changes:
        changed = replace(WEEKLY, pay_date_rule=PayDateRule(0, 31))
        with pytest.raises(PayGroupInvalid):
            changed.check(WEEKLY)
    else:
        with pytest.raises(PayGroupInvalid):
            changed.check(MONTHLY)


def test_what_a_version_says_on_a_date_stays() -> None:
    first = a_component("PAY", "1")
    entries = [
        CatalogEntry(1, first),
        CatalogEntry(2, replace(first, formula="2", effective_date=date(2026, 6, 1))),
        CatalogEntry(3, replace(first, formula="3")),
        CatalogEntry(4, replace(first, ended=True, effective_date=date(2026, 9, 1))),
    ]

    told = {
        (version, day): (found.formula if found is not None else None)
        for version in (1, 2, 3, 4)
        for day in (date(2019, 1, 1), date(2026, 1, 1), date(2026, 7, 1), date(2026, 10, 1))
        for found in [Catalog(version, entries).component("PAY", day)]
    }

    assert [told[version, date(2026, 1, 1)] for version in (1, 2, 3, 4)] == ["1", "1", "3", "3"]
    assert [told[version, date(2026, 7, 1)] for version in (1, 2, 3, 4)] == ["1", "2", "2", "2"]
    assert [told[version, date(2026, 10, 1)] for version in (1, 2, 3, 4)] == ["1", "2", "2", None]
    assert told[4, date(2019, 1, 1)] is None


def test_components_of_other_groups_are_left_out() -> None:
    entries = [
        CatalogEntry(1, a_component("ALL", "1", order=2)),
        CatalogEntry(1, a_component("MINE", "1", pay_groups=("M",), order=1)),
        CatalogEntry(1, a_component("OTHERS", "1", pay_groups=("X",))),
    ]

    assert [one.code for one in Catalog(1, entries).components(date(2026, 1, 1), "M")] == ["MINE", "ALL"]


def test_every_group_compiles_on_every_date_from_the_change_on() -> None:
    from contexts.payroll.domain.errors import FormulaInvalid

    china = [CatalogEntry(1, one) for one in standard_components("CN", date(2020, 1, 1))]
    catalog = Catalog(1, [CatalogEntry(1, MONTHLY), *china])
    base = catalog.component("BASE")
    assert base is not None
    ended = catalog.with_entries([CatalogEntry(2, replace(base, ended=True, effective_date=date(2027, 1, 1)))])
    reader = a_component("EXTRA", "BASE * 0.1", order=999)

    must_compile(catalog, date(2020, 1, 1))
    must_compile(ended, date(2020, 1, 1))
    with pytest.raises(FormulaInvalid):
        must_compile(ended.with_entries([CatalogEntry(3, reader)]), date(2026, 1, 1))
