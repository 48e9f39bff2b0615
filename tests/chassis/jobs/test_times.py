"""Nominal times follow from the wall clock alone: every civil day once, in every zone, whatever its clocks do."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.jobs.job import MOST_MISSED, Firing, Job, Missed
from chassis.jobs.times import Daily, Every, Times

SINCE = datetime(1999, 1, 1, tzinfo=UTC)
instants = st.integers(0, 40 * 366 * 86_400_000_000).map(lambda passed: SINCE + timedelta(microseconds=passed))
zones = st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"}))


async def nothing(firing: Firing) -> None:
    """Do nothing."""


@given(instants, st.one_of(st.builds(Every, st.integers(1, 10_080)), st.builds(Daily, st.times(), zones)))
def test_nothing_is_due_between_the_last_time_and_the_next(instant: datetime, times: Times) -> None:
    last, after = times.last(instant), times.after(instant)

    assert last <= instant < after
    assert times.after(last) == after
    assert times.last(after) == after
    assert times.last(after - datetime.resolution) == last


@given(zones, st.integers(2000, 2037), st.times())
def test_every_civil_day_has_its_time_once_over_a_year_of_clock_changes(zone: str, year: int, at: time) -> None:
    daily, here = Daily(at, zone), ZoneInfo(zone)
    found = [daily.after(datetime(year, 1, 1, tzinfo=UTC))]
    while len(found) < 366:
        found.append(daily.after(found[-1]))

    assert found == sorted(set(found))
    days = [one.astimezone(here).date() for one in found]
    # A gap may push a late time over midnight, and one zone once left a day out.
    assert len(set(days)) >= 364
    assert all(timedelta(hours=20) < later - one < timedelta(hours=50) for one, later in pairwise(found))


def test_a_time_that_the_clocks_jump_over_is_taken_late_and_one_shown_twice_is_the_first() -> None:
    daily = Daily(time(2, 30), "Europe/Berlin")

    spring = daily.after(datetime(2026, 3, 28, 12, tzinfo=UTC))
    autumn = daily.after(datetime(2026, 10, 24, 12, tzinfo=UTC))

    assert spring == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # 03:30 on clocks that show no 02:30
    assert autumn == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 of summer time
    assert daily.after(autumn) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_what_was_missed_is_done_once_or_each_as_the_job_says() -> None:
    since, now = datetime(2026, 11, 1, 0, 30, tzinfo=UTC), datetime(2026, 11, 1, 5, 10, tzinfo=UTC)
    once = Job("once", Every(60), nothing)
    each = Job("each", Every(60), nothing, Missed.EACH)

    assert [one.hour for one in once.due(since, now)] == [5]
    assert [one.hour for one in each.due(since, now)] == [1, 2, 3, 4, 5]
    assert once.due(now, now) == each.due(now, now) == []
    assert len(each.due(since, now + timedelta(days=365))) == MOST_MISSED
    assert each.due(since, now + timedelta(days=365))[-1] == now.replace(minute=0) + timedelta(days=365)


@pytest.mark.parametrize("minutes", [0, -5, 10_081])
def test_odd_intervals_are_refused(minutes: int) -> None:
    with pytest.raises(ValueError, match="minutes"):
        Every(minutes)
