"""The days over which a period's pay is shared, for payroll's proration."""

from dataclasses import replace
from datetime import date

from contexts.attendance.domain.planning import Planner
from kernel.period import Period
from tests.support.attendance import a_catalog, a_placement, a_plan

OCTOBER = Period(date(2026, 10, 1), date(2026, 11, 1))
# 1 and 2 October are statutory holidays on weekdays, 5 to 7 are rest days moved by the State Council, Saturday the
# 10th is worked for one of them: 20 paid days, of which 18 are worked.
PAID_IN_OCTOBER = "1100000111011111001111100111110"


def test_statutory_holidays_on_planned_days_are_paid_days_and_moved_rest_days_are_not() -> None:
    plan = a_plan(OCTOBER.start, OCTOBER.last_day)

    assert plan.paid_days == PAID_IN_OCTOBER
    assert plan.paid_days.count("1") == 20
    assert plan.standard_day_minutes == 480


def test_days_before_a_joiner_and_after_a_leaver_follow_the_schedule_of_the_nearest_day() -> None:
    joiner = replace(a_placement(), span=Period.since(date(2026, 10, 12)))
    leaver = replace(a_placement(), span=Period(date(2022, 5, 9), date(2026, 10, 21)))

    plans = [Planner(a_catalog()).plan([placement], OCTOBER) for placement in (joiner, leaver)]

    assert [plan.paid_days for plan in plans] == [PAID_IN_OCTOBER] * 2


def test_somebody_who_leaves_during_a_holiday_has_the_standard_day_of_the_schedule() -> None:
    leaver = replace(a_placement("NIGHT-5X8"), span=Period(date(2022, 5, 9), date(2026, 10, 3)))

    plan = Planner(a_catalog()).plan([leaver], OCTOBER)

    assert plan.standard_day_minutes == 450


def test_without_a_schedule_no_day_is_said_to_be_paid() -> None:
    plan = Planner(a_catalog()).plan([a_placement("")], OCTOBER)

    assert plan.paid_days == ""
