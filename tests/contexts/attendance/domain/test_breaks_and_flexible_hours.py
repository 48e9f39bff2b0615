"""Breaks of each kind, flexible hours, and presence from the first way in to the last way out."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contexts.attendance.domain.catalog import FlexibleHours, PresenceRule, PunchedBreak, Shift, WorkSchedule
from contexts.attendance.domain.evaluation import Outcome
from contexts.attendance.repository.documents import definition_from_json, definition_to_json
from kernel.errors import InvalidValue
from tests.support.attendance import CN_OVERTIME, a_catalog, a_plan, minutes, off, outcomes, parts, punches, spans

MONDAY = date(2026, 11, 23)
PAID = Shift.of("PAID", spans("09:00-18:00"), spans("12:00-13:00"), paid_breaks=spans("15:00-15:20"))
LUNCH = Shift.of("LUNCH", spans("09:00-18:00"), punched_breaks=[PunchedBreak(spans("11:00-14:00")[0], 60)])
FLEXIBLE = Shift.of(
    "FLEXIBLE",
    spans("07:00-20:00"),
    late_grace_minutes=5,
    flexible=FlexibleHours(480, tuple(spans("10:00-12:00", "14:00-16:00")), break_minutes=30, break_after_minutes=360),
)
SPREAD = Shift.of("SPREAD", spans("09:00-18:00"), spans("12:00-13:00"), presence=PresenceRule.FIRST_IN_LAST_OUT)
SPLIT = Shift.of("SPLIT", spans("10:00-14:00", "17:00-21:00"))


def monday(shift: Shift, *texts: str, exempt: bool = False, away: int = 0) -> Outcome:
    """What came of a Monday on that shift: "in 09:00"."""
    schedule = WorkSchedule("W", (shift.code,) * 5 + ("", ""), overtime_policy=CN_OVERTIME.code)
    plan = a_plan(MONDAY, schedule="W", catalog=a_catalog(shift, schedule), punch_exempt=exempt)
    stamps = punches(*(text.replace(" ", f" {MONDAY} ", 1) for text in texts))
    [found] = outcomes(plan, stamps, off(str(MONDAY), minutes=away) if away else None)
    return found


def test_who_comes_back_within_a_paid_break_has_not_been_away() -> None:
    found = monday(PAID, "in 09:00", "out 15:02", "in 15:18", "out 18:00")

    assert parts([found]) == {("REGULAR", "WORKDAY"): 480}


def test_who_overstays_a_paid_break_is_absent_for_the_rest() -> None:
    found = monday(PAID, "in 09:00", "out 15:00", "in 15:35", "out 18:00")

    assert (found.tally.regular_minutes, found.tally.absent_minutes) == (465, 15)


def test_who_leaves_in_a_paid_break_for_good_leaves_early() -> None:
    found = monday(PAID, "in 09:00", "out 15:10")

    assert found.tally.early_leave_minutes == 170


def test_a_punched_break_is_taken_when_people_like_within_its_window() -> None:
    found = monday(LUNCH, "in 09:00", "out 11:40", "in 12:40", "out 18:00")

    assert found.tally.planned_minutes == 480
    assert parts([found]) == {("REGULAR", "WORKDAY"): 480}


def test_a_break_that_is_too_long_is_absence() -> None:
    found = monday(LUNCH, "in 09:00", "out 11:40", "in 13:00", "out 18:00")

    assert (found.tally.regular_minutes, found.tally.absent_minutes) == (460, 20)


def test_a_punched_break_that_nobody_took_is_worked_beyond_the_plan() -> None:
    found = monday(LUNCH, "in 09:00", "out 18:00")

    assert (found.tally.regular_minutes, found.tally.overtime_workday_minutes) == (480, 60)


def test_who_never_comes_owes_the_shift_without_its_break() -> None:
    found = monday(LUNCH)

    assert found.tally.absent_minutes == 480


def test_who_does_not_punch_takes_the_break_too() -> None:
    found = monday(LUNCH, exempt=True)

    assert parts([found]) == {("REGULAR", "WORKDAY"): 480}


@pytest.mark.parametrize(("came", "went"), [("07:00", "15:30"), ("09:58", "18:28"), ("10:00", "18:30")])
def test_flexible_hours_are_done_at_times_of_ones_own(came: str, went: str) -> None:
    found = monday(FLEXIBLE, f"in {came}", f"out {went}")

    assert parts([found]) == {("REGULAR", "WORKDAY"): 480}


def test_who_misses_core_hours_is_late_even_with_all_minutes_done_later() -> None:
    found = monday(FLEXIBLE, "in 10:40", "out 18:30")

    assert (found.tally.regular_minutes, found.tally.late_minutes, found.tally.absent_minutes) == (440, 40, 0)


def test_the_grace_holds_for_core_hours() -> None:
    found = monday(FLEXIBLE, "in 10:05", "out 18:35")

    assert found.tally.late_minutes == 0


def test_too_few_flexible_minutes_outside_the_core_are_absence() -> None:
    found = monday(FLEXIBLE, "in 09:30", "out 16:30")

    assert (found.tally.regular_minutes, found.tally.late_minutes, found.tally.absent_minutes) == (390, 0, 90)


def test_a_break_that_was_punched_is_a_part_of_the_one_taken_for_granted() -> None:
    found = monday(FLEXIBLE, "in 08:00", "out 12:00", "in 12:20", "out 16:30")

    assert found.tally.regular_minutes == 480


def test_more_than_the_required_minutes_is_overtime() -> None:
    found = monday(FLEXIBLE, "in 08:00", "out 18:30")

    assert (found.tally.regular_minutes, found.tally.overtime_workday_minutes) == (480, 120)


def test_an_hour_off_from_flexible_hours_is_excused() -> None:
    found = monday(FLEXIBLE, "in 09:00", "out 16:30", away=60)

    assert (found.tally.regular_minutes, found.tally.absence_minutes, found.tally.absent_minutes) == (420, 60, 0)


def test_with_first_in_last_out_what_lies_between_does_not_matter() -> None:
    found = monday(SPREAD, "in 09:00", "out 10:00", "out 11:00", "in 15:00", "out 18:00")

    assert parts([found]) == {("REGULAR", "WORKDAY"): 480}


def test_with_first_in_last_out_a_way_in_alone_stays_open() -> None:
    found = monday(SPREAD, "in 09:00")

    assert found.status.value == "OPEN"


def test_between_the_parts_of_a_split_shift_nobody_owes_anything() -> None:
    found = monday(SPLIT, "in 10:00", "out 14:00", "in 17:03", "out 21:00")

    assert (found.tally.planned_minutes, found.tally.regular_minutes, found.tally.absent_minutes) == (480, 477, 3)


clocks = st.integers(min_value=6 * 60, max_value=22 * 60)


@given(st.sampled_from([PAID, LUNCH, FLEXIBLE, SPREAD, SPLIT]), st.lists(clocks, max_size=6, unique=True))
def test_what_is_owed_is_worked_or_missing_whatever_the_punches(shift: Shift, marks: list[int]) -> None:
    words = [
        f"{'in' if place % 2 == 0 else 'out'} {mark // 60:02}:{mark % 60:02}"
        for place, mark in enumerate(sorted(marks))
    ]

    tally = monday(shift, *words).tally

    if len(marks) % 2 == 0:
        missing = tally.late_minutes + tally.early_leave_minutes + tally.absent_minutes
        assert tally.regular_minutes + missing == tally.planned_minutes == 480
        assert min(tally.late_minutes, tally.early_leave_minutes, tally.absent_minutes) >= 0


@pytest.mark.parametrize("shift", [PAID, LUNCH, FLEXIBLE, SPREAD, SPLIT], ids=lambda shift: shift.code)
def test_a_shift_is_stored_and_read_back_as_it_was(shift: Shift) -> None:
    assert definition_from_json("SHIFT", definition_to_json(shift)) == shift


@pytest.mark.parametrize(
    "wrong",
    [
        {"paid_breaks": spans("19:00-19:10")},
        {"paid_breaks": spans("12:30-12:40"), "breaks": spans("12:00-13:00")},
        {"punched_breaks": [PunchedBreak((minutes("17:30"), minutes("19:00")), 30)]},
        {"flexible": FlexibleHours(600)},
        {"flexible": FlexibleHours(300, tuple(spans("08:00-10:00")))},
        {"flexible": FlexibleHours(300), "punched_breaks": [PunchedBreak((minutes("12:00"), minutes("13:00")), 30)]},
    ],
)
def test_a_shift_that_contradicts_itself_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidValue):
        Shift.of("WRONG", spans("09:00-18:00"), **wrong)  # type: ignore[arg-type]
