"""The time period of a day has one of few names, whatever the calendar's cut-off."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.self_service.use_cases import periods_around


@pytest.mark.parametrize(
    ("day", "names"),
    [
        (date(2026, 11, 24), ("2026-11", "2026-W48", "2026-12", "2026-10")),
        (date(2026, 12, 31), ("2026-12", "2026-W53", "2027-01", "2026-11")),
        (date(2027, 1, 1), ("2027-01", "2026-W53", "2027-02", "2026-12")),
        (date(2028, 2, 29), ("2028-02", "2028-W09", "2028-03", "2028-01")),
    ],
)
def test_the_month_comes_first_then_the_week_then_the_months_beside_it(day: date, names: tuple[str, ...]) -> None:
    assert periods_around(day) == names


@given(st.dates(date(1900, 2, 1), date(2199, 11, 30)))
def test_they_are_four_different_ones(day: date) -> None:
    assert len(set(periods_around(day))) == 4
