"""What came of a day: worked, late, absent, at night, overtime."""

from datetime import date, datetime, timedelta
from uuid import uuid4

import pytest

from contexts.attendance.domain.catalog import (
    DayKind,
    HolidayCalendar,
    MidnightRule,
    OvertimePolicy,
    OvertimeRule,
    Shift,
    WorkSchedule,
)
from contexts.attendance.domain.evaluation import OccurrenceStatus, Outcome
from contexts.attendance.domain.punches import Direction, Stamp
from tests.support.attendance import (
    CN_OVERTIME,
    FIRST_DAY,
    a_catalog,
    a_plan,
    at,
    minutes,
    off,
    outcomes,
    parts,
    published,
    punches,
    spans,
)

MONDAY = date(2026, 11, 23)


def of_day(found: tuple[Outcome, ...], day: date) -> Outcome:
    return next(outcome for outcome in found if outcome.work_date == day)


def test_a_full_day_is_regular_work_without_its_break() -> None:
    [outcome] = outcomes(a_plan(MONDAY), punches("in 2026-11-23 08:55", "out 2026-11-23 18:05"))

    assert parts([outcome]) == {("REGULAR", "WORKDAY"): 480}
    assert outcome.status is OccurrenceStatus.COMPLETE


def test_coming_within_the_grace_is_on_time() -> None:
    [outcome] = outcomes(a_plan(MONDAY), punches("in 2026-11-23 09:05", "out 2026-11-23 17:55"))

    assert parts([outcome]) == {("REGULAR", "WORKDAY"): 480}


def test_coming_after_the_grace_is_late_by_all_of_it() -> None:
    [outcome] = outcomes(a_plan(MONDAY), punches("in 2026-11-23 09:06", "out 2026-11-23 17:00"))

    assert parts([outcome]) == {
        ("REGULAR", "WORKDAY"): 414,
        ("LATE", "WORKDAY"): 6,
        ("EARLY_LEAVE", "WORKDAY"): 60,
    }


def test_an_hour_away_in_the_middle_is_absence() -> None:
    [outcome] = outcomes(
        a_plan(MONDAY),
        punches("in 2026-11-23 09:00", "out 2026-11-23 14:00", "in 2026-11-23 15:00", "out 2026-11-23 18:00"),
    )

    assert parts([outcome]) == {("REGULAR", "WORKDAY"): 420, ("ABSENT", "WORKDAY"): 60}


def test_staying_on_is_overtime_of_a_workday_from_the_smallest_stretch_on() -> None:
    short = outcomes(a_plan(MONDAY), punches("in 2026-11-23 09:00", "out 2026-11-23 18:29"))
    long = outcomes(a_plan(MONDAY), punches("in 2026-11-23 09:00", "out 2026-11-23 20:00"))

    assert parts(short) == {("REGULAR", "WORKDAY"): 480}
    assert parts(long) == {("REGULAR", "WORKDAY"): 480, ("OVERTIME", "WORKDAY"): 120}


def test_all_work_on_a_rest_day_is_overtime_of_a_rest_day() -> None:
    saturday = date(2026, 11, 28)

    found = outcomes(a_plan(saturday), punches("in 2026-11-28 10:00", "out 2026-11-28 14:00"))

    assert parts(found) == {("OVERTIME", "REST_DAY"): 240}


def test_all_work_on_a_statutory_holiday_is_overtime_of_a_holiday() -> None:
    found = outcomes(a_plan(date(2026, 10, 1)), punches("in 2026-10-01 09:00", "out 2026-10-01 17:00"))

    assert parts(found) == {("OVERTIME", "HOLIDAY"): 480}


def test_a_made_up_saturday_is_a_workday() -> None:
    found = outcomes(a_plan(date(2026, 10, 10)), punches("in 2026-10-10 09:00", "out 2026-10-10 19:00"))

    assert parts(found) == {("REGULAR", "WORKDAY"): 480, ("OVERTIME", "WORKDAY"): 60}


def test_overtime_that_needs_approval_does_not_count_by_itself() -> None:
    policy = OvertimePolicy("CN-STANDARD", (OvertimeRule(DayKind.WORKDAY, "X", approval_required=True),))
    plan = a_plan(MONDAY, catalog=a_catalog(policy))

    [outcome] = outcomes(plan, punches("in 2026-11-23 09:00", "out 2026-11-23 20:00"))

    assert parts([outcome]) == {("REGULAR", "WORKDAY"): 480}
    assert outcome.tally.unapproved_overtime_minutes == 120


def test_a_night_shift_belongs_to_the_day_on_which_it_starts() -> None:
    plan = a_plan(MONDAY, MONDAY + timedelta(days=1), schedule="NIGHT-5X8")

    first, second = outcomes(plan, punches("in 2026-11-23 21:50", "out 2026-11-24 06:10"))

    assert parts([first]) == {("REGULAR", "WORKDAY"): 450, ("NIGHT", "WORKDAY"): 450}
    assert second.stamps == ()


def test_a_night_shift_into_a_rest_day_stays_ordinary_work() -> None:
    friday = date(2026, 11, 27)
    plan = a_plan(friday, friday + timedelta(days=1), schedule="NIGHT-5X8")

    found = outcomes(plan, punches("in 2026-11-27 22:00", "out 2026-11-28 06:00"))

    assert parts(found[:1]) == {("REGULAR", "WORKDAY"): 450, ("NIGHT", "WORKDAY"): 450}


def test_a_night_shift_into_a_statutory_holiday_is_split_at_midnight() -> None:
    eve = date(2026, 9, 30)
    plan = a_plan(eve, schedule="NIGHT-5X8")

    [outcome] = outcomes(plan, punches("in 2026-09-30 22:00", "out 2026-10-01 06:00"))

    assert parts([outcome]) == {
        ("REGULAR", "WORKDAY"): 120,
        ("OVERTIME", "HOLIDAY"): 330,
        ("NIGHT", "WORKDAY"): 120,
        ("NIGHT", "HOLIDAY"): 330,
    }
    assert outcome.tally.planned_minutes == 120


def test_a_policy_may_keep_a_night_into_a_holiday_with_the_day_of_its_start() -> None:
    policy = OvertimePolicy(
        "CN-STANDARD", CN_OVERTIME.rules, holiday_midnight=MidnightRule.BY_SHIFT_START, night=CN_OVERTIME.night
    )
    plan = a_plan(date(2026, 9, 30), schedule="NIGHT-5X8", catalog=a_catalog(policy))

    found = outcomes(plan, punches("in 2026-09-30 22:00", "out 2026-10-01 06:00"))

    assert parts(found) == {("REGULAR", "WORKDAY"): 450, ("NIGHT", "WORKDAY"): 450}


def test_work_from_a_holiday_into_the_next_rest_day_is_split_at_midnight() -> None:
    third = date(2026, 10, 3)

    found = outcomes(a_plan(third), punches("in 2026-10-03 22:00", "out 2026-10-04 06:00"))

    assert parts(found) == {
        ("OVERTIME", "HOLIDAY"): 120,
        ("OVERTIME", "REST_DAY"): 360,
        ("NIGHT", "HOLIDAY"): 120,
        ("NIGHT", "REST_DAY"): 360,
    }


def test_continuous_operation_keeps_its_shifts_on_holidays() -> None:
    schedule = WorkSchedule(
        "ALWAYS", ("DAY",) * 7, holiday_calendar="CN", overtime_policy="CN-STANDARD", works_on_holidays=True,
        ignores_moved_days=True,
    )  # fmt: skip
    plan = a_plan(date(2026, 10, 1), date(2026, 10, 4), schedule="ALWAYS", catalog=a_catalog(schedule))

    found = outcomes(plan, punches("in 2026-10-01 09:00", "out 2026-10-01 18:00"))

    assert parts(found[:1]) == {("OVERTIME", "HOLIDAY"): 480}
    assert found[3].tally.planned_minutes == 480


# Golden cases from defects of other programs.


def test_a_long_night_is_whole_and_the_next_days_shift_is_untouched() -> None:
    """Source: frappe/hrms issue 3298, where the punch out went to the next day's shift."""
    night = Shift.of("LONG", spans("18:00-07:00"))
    late = Shift.of("LATE", spans("14:00-20:00"))
    schedule = WorkSchedule("TURNS", ("LONG", "LATE"), cycle_start=date(2026, 7, 13))
    plan = a_plan(date(2026, 7, 13), date(2026, 7, 14), schedule="TURNS", catalog=a_catalog(night, late, schedule))

    for ways in (("in ", "out "), ("", "")):
        first, second = outcomes(plan, punches(ways[0] + "2026-07-13 18:30", ways[1] + "2026-07-14 07:10"))

        assert first.status is OccurrenceStatus.COMPLETE
        assert first.tally.regular_minutes == 12 * 60 + 30
        assert first.tally.late_minutes == 30
        assert second.stamps == ()
        assert second.status is OccurrenceStatus.ABSENT


def test_five_of_the_eight_hours_after_one_are_night_when_night_ends_at_six() -> None:
    """Source: OCA/hr-attendance issue 237, which counted 13 night hours in an 8 hour shift."""
    shift = Shift.of("SMALL-HOURS", spans("01:00-09:00"))
    policy = OvertimePolicy("NIGHTLY", (), night=(minutes("00:00"), minutes("06:00")))
    schedule = WorkSchedule("SMALL", ("SMALL-HOURS",) * 7, overtime_policy="NIGHTLY")
    plan = a_plan(MONDAY, schedule="SMALL", catalog=a_catalog(shift, policy, schedule))

    [outcome] = outcomes(plan, punches("in 2026-11-23 01:00", "out 2026-11-23 09:00"))

    assert outcome.tally.night_minutes == 5 * 60
    assert outcome.tally.regular_minutes - outcome.tally.night_minutes == 3 * 60


def test_an_office_that_is_in_tomorrow_already_counts_its_own_date() -> None:
    """Source: frappe/hrms issue 661, which refused attendance of an office ahead of the head office."""
    plan = a_plan(MONDAY, time_zone="Pacific/Auckland", catalog=a_catalog())

    [outcome] = outcomes(
        plan,
        punches("in 2026-11-23 09:00", "out 2026-11-23 18:00", time_zone="Pacific/Auckland"),
        now=at("2026-11-22 23:00", "America/Los_Angeles"),
    )

    assert outcome.stamps[0].instant.date() == date(2026, 11, 22)
    assert parts([outcome]) == {("REGULAR", "WORKDAY"): 480}


def test_three_clicks_in_a_second_are_one_punch() -> None:
    """Source: odoo issue 216667."""
    start = at("2026-11-23 09:00")
    clicks = [Stamp(start + timedelta(milliseconds=300 * click), Direction.EITHER, uuid4()) for click in range(3)]

    [outcome] = outcomes(a_plan(MONDAY), [*clicks, *punches("2026-11-23 18:00")])

    assert parts([outcome]) == {("REGULAR", "WORKDAY"): 480}
    assert outcome.duplicate_of == {clicks[1].punch_id: clicks[0].punch_id, clicks[2].punch_id: clicks[0].punch_id}
    assert len(outcome.stamps) == 4


def test_next_years_holiday_list_leaves_last_years_holidays_alone() -> None:
    """Source: frappe/hrms issues 1516 and 2768, where a new list turned last year's holidays into absences."""
    catalog = published(a_catalog(), HolidayCalendar("CN", ()), date(2027, 1, 1))

    [outcome] = outcomes(a_plan(date(2026, 10, 1), catalog=catalog))

    assert outcome.planned.day_kind is DayKind.HOLIDAY
    assert outcome.status is OccurrenceStatus.DAY_OFF


# Which occurrence a punch belongs to.


def test_work_past_midnight_on_a_rest_day_stays_with_the_day_on_which_it_began() -> None:
    saturday = date(2026, 11, 28)
    plan = a_plan(saturday, saturday + timedelta(days=1))

    for ways in (("in ", "out "), ("", "")):
        first, second = outcomes(plan, punches(ways[0] + "2026-11-28 20:00", ways[1] + "2026-11-29 03:00"))

        assert first.tally.overtime_rest_day_minutes == 7 * 60
        assert second.status is OccurrenceStatus.DAY_OFF


def test_who_forgets_to_punch_out_spoils_only_that_day() -> None:
    plan = a_plan(MONDAY, MONDAY + timedelta(days=1))

    first, second = outcomes(plan, punches("2026-11-23 09:00", "2026-11-24 08:58", "2026-11-24 18:00"))

    assert first.status is OccurrenceStatus.OPEN
    assert "no punch out" in first.missing
    assert parts([second]) == {("REGULAR", "WORKDAY"): 480}


def test_a_punch_out_without_one_in_leaves_the_occurrence_open() -> None:
    [outcome] = outcomes(a_plan(MONDAY), punches("out 2026-11-23 18:00"))

    assert outcome.status is OccurrenceStatus.OPEN
    assert "no punch in" in outcome.missing


def test_a_second_punch_in_or_out_is_ignored() -> None:
    [outcome] = outcomes(
        a_plan(MONDAY),
        punches("in 2026-11-23 09:00", "in 2026-11-23 13:00", "out 2026-11-23 18:00", "out 2026-11-23 18:10"),
    )

    assert parts([outcome]) == {("REGULAR", "WORKDAY"): 480}


def test_a_night_worker_who_stays_long_keeps_the_punch_out_with_the_night() -> None:
    plan = a_plan(MONDAY, MONDAY + timedelta(days=1), schedule="NIGHT-5X8")

    first, second = outcomes(plan, punches("in 2026-11-23 22:00", "out 2026-11-24 12:30"))

    assert first.tally.overtime_workday_minutes == 390
    assert second.stamps == ()


# Absences and people who do not punch.


def test_an_absence_of_whole_days_stands_for_all_planned_minutes() -> None:
    [outcome] = outcomes(a_plan(MONDAY), (), off("2026-11-23"))

    assert parts([outcome]) == {("UNPAID", "WORKDAY"): 480}
    assert outcome.status is OccurrenceStatus.ON_LEAVE


def test_a_morning_off_excuses_coming_late() -> None:
    [outcome] = outcomes(
        a_plan(MONDAY), punches("in 2026-11-23 13:00", "out 2026-11-23 18:00"), off("2026-11-23", "ANNUAL", minutes=180)
    )

    assert parts([outcome]) == {("REGULAR", "WORKDAY"): 300, ("ANNUAL", "WORKDAY"): 180}


def test_an_absence_on_a_day_off_takes_nothing() -> None:
    [outcome] = outcomes(a_plan(date(2026, 11, 28)), (), off("2026-11-28"))

    assert outcome.parts == ()


def test_who_does_not_punch_works_the_plan() -> None:
    friday = date(2026, 11, 27)

    found = outcomes(a_plan(friday, friday + timedelta(days=1), punch_exempt=True))

    assert parts(found) == {("REGULAR", "WORKDAY"): 480}
    assert [outcome.status for outcome in found] == [OccurrenceStatus.COMPLETE, OccurrenceStatus.DAY_OFF]


def test_who_does_not_punch_and_is_away_for_an_hour_works_the_rest() -> None:
    found = outcomes(a_plan(MONDAY, punch_exempt=True), (), off("2026-11-23", "CARE", minutes=60))

    assert parts(found) == {("REGULAR", "WORKDAY"): 420, ("CARE", "WORKDAY"): 60}


# A day that is not over.


@pytest.mark.parametrize(
    ("now", "stamps", "status"),
    [
        ("2026-11-23 08:00", [], OccurrenceStatus.PLANNED),
        ("2026-11-23 10:00", ["in 2026-11-23 09:00"], OccurrenceStatus.IN_PROGRESS),
        ("2026-11-24 03:00", ["in 2026-11-23 09:00"], OccurrenceStatus.OPEN),
        ("2026-11-23 18:00", [], OccurrenceStatus.ABSENT),
    ],
)
def test_a_day_that_is_not_over_is_neither_absent_nor_open(
    now: str, stamps: list[str], status: OccurrenceStatus
) -> None:
    [outcome] = outcomes(a_plan(MONDAY), punches(*stamps), now=at(now))

    assert outcome.status is status
    assert (outcome.tally.absent_minutes > 0) is (status is OccurrenceStatus.ABSENT)


def test_a_code_that_the_catalog_does_not_hold_is_named() -> None:
    plan = a_plan(MONDAY, schedule="NOWHERE")

    assert plan.unknown == ("work schedule NOWHERE on 2026-11-23",)


def test_the_catalog_of_a_day_before_the_first_definition_is_empty() -> None:
    day = FIRST_DAY - timedelta(days=1)

    plan = a_plan(day)

    assert plan.unknown == ()
    assert a_catalog().find(Shift, "DAY", day) is None


def test_a_punch_at_the_same_instant_is_decided_by_its_id() -> None:
    instant = at("2026-11-23 09:00")
    same = [Stamp(instant, Direction.IN, uuid4()) for _ in range(3)]

    [outcome] = outcomes(a_plan(MONDAY), [*same, *punches("out 2026-11-23 18:00")])

    assert isinstance(outcome.stamps[0].instant, datetime)
    assert set(outcome.duplicate_of.values()) == {min(stamp.punch_id for stamp in same)}
