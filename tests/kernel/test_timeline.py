"""Periods and timelines: the pieces of a period agree with the value of each day."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.period import FOREVER, Period
from kernel.timeline import Timeline

days = st.dates(date(2020, 1, 1), date(2030, 12, 31))
periods = st.tuples(days, st.integers(1, 400)).map(lambda pair: Period(pair[0], pair[0] + timedelta(days=pair[1])))
changes = st.lists(st.tuples(days, st.integers(0, 3)), max_size=12)


@given(changes, periods)
def test_slices_agree_with_the_value_of_every_day(made: list[tuple[date, int]], within: Period) -> None:
    timeline = Timeline.from_changes(made)

    by_slices = {day: piece.value for piece in timeline.slices(within) for day in piece.period}

    assert by_slices == {day: timeline.at(day) for day in within if timeline.at(day) is not None}


@given(changes)
def test_the_last_change_of_a_field_holds_for_ever(made: list[tuple[date, int]]) -> None:
    timeline = Timeline.from_changes(made)

    if made:
        last, first = max(day for day, _ in made), min(day for day, _ in made)
        assert timeline.at(FOREVER - timedelta(days=1)) == dict(made)[last]
        assert timeline.at(first - timedelta(days=1)) is None
    else:
        assert timeline.at(date(2026, 1, 1)) is None


def test_equal_neighbours_become_one_piece() -> None:
    timeline = Timeline.from_changes([(date(2026, 1, 1), "a"), (date(2026, 2, 1), "a"), (date(2026, 3, 1), "b")])

    pieces = timeline.slices(Period(date(2026, 1, 1), date(2026, 4, 1)))

    assert [(piece.period.start, piece.value) for piece in pieces] == [(date(2026, 1, 1), "a"), (date(2026, 3, 1), "b")]


def test_two_values_on_one_day_are_refused() -> None:
    with pytest.raises(ValueError, match="two values"):
        Timeline.of([(Period.month(2026, 1), "a"), (Period(date(2026, 1, 31), date(2026, 2, 2)), "b")])


def test_a_month_is_half_open() -> None:
    october, december = Period.month(2026, 10), Period.month(2026, 12)

    assert (october.start, october.end, october.days) == (date(2026, 10, 1), date(2026, 11, 1), 31)
    assert december.end == date(2027, 1, 1)
    assert date(2026, 11, 1) not in october
    assert october.last_day == date(2026, 10, 31)
    with pytest.raises(ValueError, match="ends after"):
        Period(date(2026, 1, 2), date(2026, 1, 2))


@given(periods, periods)
def test_an_intersection_is_the_days_that_both_have(first: Period, second: Period) -> None:
    shared = first.intersection(second)

    assert set(shared or ()) == set(first) & set(second)
    assert first.overlaps(second) == (shared is not None)
    assert first.covers(second) == (set(second) <= set(first))
