"""Worked cases from published sources; each case names its own."""

import json
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from contexts.attendance.domain.catalog import DayKind, OvertimePolicy, OvertimeRule, Shift, WorkSchedule
from contexts.attendance.domain.punches import Direction, Stamp, as_minutes, pair
from contexts.attendance.domain.rounding import PunchRounding, RoundingMode
from contexts.attendance.domain.spans import midnights, minute_of, split_at
from tests.support.attendance import (
    CN_OVERTIME,
    RECORDED,
    a_catalog,
    a_plan,
    at,
    minutes,
    outcomes,
    parts,
    punches,
    spans,
)

CASES = json.loads((Path(__file__).parents[3] / "data" / "cases_time.json").read_text(), parse_float=Decimal)


def cases(topic: str, kind: str | None = None) -> list[Any]:
    found = [case for case in CASES if case["topic"] == topic and kind in (None, case["kind"])]
    assert found
    return [pytest.param(case["inputs"], case["expected"], id=case["id"]) for case in found]


@pytest.mark.parametrize(("inputs", "expected"), cases("dst_overnight"))
def test_a_night_with_a_clock_change_counts_the_hours_that_passed(
    inputs: dict[str, Any], expected: dict[str, Any]
) -> None:
    zone = inputs["time_zone"]
    stamps = [
        stamp
        for punch in inputs["punches"]
        for stamp in punches(
            "in " + punch["in"].replace("T", " "), "out " + punch["out"].replace("T", " "), time_zone=zone
        )
    ]

    sessions = pair(stamps, 24 * 60).sessions

    worked = sum(end - start for start, end in map(as_minutes, sessions)) - inputs["unpaid_break_minutes"]
    assert worked == expected["hours_worked"] * 60


@pytest.mark.parametrize(("inputs", "expected"), cases("midnight_split"))
def test_time_is_split_at_midnight_without_loss(inputs: dict[str, Any], expected: dict[str, Any]) -> None:
    zone = inputs["time_zone"]
    span = (
        minute_of(at(inputs["start"].replace("T", " "), zone)),
        minute_of(at(inputs["end"].replace("T", " "), zone)),
    )

    pieces = split_at(span, midnights(span, ZoneInfo(zone)))

    assert [(end - start) * 60 for start, end in pieces] == expected["seconds_per_day"]


def seconds(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    hours, minute, second = [*map(int, text.lstrip("-").split(":")), 0][:3]
    return sign * (hours * 3600 + minute * 60 + second)


@pytest.mark.parametrize(("inputs", "expected"), cases("rounding"))
def test_punches_are_rounded_as_the_rule_says(inputs: dict[str, Any], expected: dict[str, Any]) -> None:
    rule = PunchRounding(RoundingMode[inputs["mode"].upper()], inputs["increment_minutes"], inputs["grace_minutes"])

    rounded = rule.seconds(seconds(inputs["value"]))

    assert rounded == seconds(expected["rounded"])


@pytest.mark.parametrize(("inputs", "expected"), cases("rounding_flsa", "minutes"))
def test_seven_minutes_go_down_and_eight_go_up(inputs: dict[str, Any], expected: dict[str, Any]) -> None:
    rule = PunchRounding(RoundingMode.NEAREST_WHOLE_MINUTES, inputs["increment_minutes"])

    rounded = rule.seconds(inputs["minutes_past_quarter"] * 60)

    assert rounded == expected["rounded_minutes"] * 60


@pytest.mark.parametrize(("inputs", "expected"), cases("rounding_flsa", "week"))
def test_a_rounded_week_of_a_shift(inputs: dict[str, Any], expected: dict[str, Any]) -> None:
    rule = PunchRounding(RoundingMode.NEAREST_WHOLE_MINUTES, inputs["increment_minutes"])
    shift = Shift.of(
        "EARLY",
        [(minutes(inputs["scheduled_start"]), minutes(inputs["scheduled_end"]))],
        spans("11:00-11:30"),
        in_rounding=rule,
        out_rounding=rule,
    )
    policy = OvertimePolicy("ALL", (OvertimeRule(DayKind.WORKDAY, "X"),))
    schedule = WorkSchedule("WEEK", ("EARLY",) * 5 + ("", ""), overtime_policy="ALL")
    monday = date(2026, 11, 16)
    plan = a_plan(monday, monday + timedelta(days=6), schedule="WEEK", catalog=a_catalog(shift, policy, schedule))
    week = [monday + timedelta(days=offset) for offset in range(inputs["days"])]
    stamps = [stamp for day in week for stamp in punches(f"in {day} 06:50", f"out {day} 15:37")]

    found = outcomes(plan, stamps)

    assert sum(outcome.tally.worked_minutes for outcome in found) == expected["hours_week"] * 60
    assert parts(found)["OVERTIME", "WORKDAY"] == expected["overtime_hours"] * 60


@pytest.mark.parametrize(("inputs", "expected"), cases("checkin_hours"))
def test_each_way_in_counts_to_the_next_way_out(inputs: dict[str, Any], expected: dict[str, Any]) -> None:
    stamps = [
        Stamp(RECORDED - timedelta(minutes=log["minutes_ago"]), Direction[log["type"] or "EITHER"], UUID(int=number))
        for number, log in enumerate(inputs["logs"])
    ]

    sessions = pair(stamps, 24 * 60).sessions

    assert sum(end - start for start, end in map(as_minutes, sessions)) == expected["hours"] * 60


def test_the_published_calendar_of_china_has_its_working_days() -> None:
    [counts] = [case["expected"] for case in CASES if case["kind"] == "year_counts"]
    [months] = [case["expected"] for case in CASES if case["kind"] == "month_counts"]

    plan = a_plan(date(2026, 1, 1), date(2026, 12, 31))

    working = [found.work_date for found in plan.inside if found.day_kind is DayKind.WORKDAY]
    holidays = [found.work_date for found in plan.inside if found.day_kind is DayKind.HOLIDAY]
    assert len(working) == counts["working_days_year"]
    assert len(holidays) == counts["statutory_holidays"]
    assert [str(day) for day in holidays] == months["statutory_holiday_dates"]
    by_month = [sum(day.month == month for day in working) for month in range(1, 13)]
    assert by_month == months["working_days_by_month"]


@pytest.mark.parametrize(("inputs", "expected"), cases("cn_overtime_class"))
def test_overtime_in_china_has_the_multiplier_of_its_day(inputs: dict[str, Any], expected: dict[str, Any]) -> None:
    multiplier = {DayKind.WORKDAY: "1.5", DayKind.REST_DAY: "2.0", DayKind.HOLIDAY: "3.0"}
    day = date.fromisoformat(inputs["date"])

    planned = a_plan(day).on(day)

    assert planned is not None
    rule = CN_OVERTIME.rule(planned.day_kind)
    assert rule is not None
    assert Decimal(multiplier[rule.day_kind]) == expected["overtime_multiplier"]
    assert (planned.day_kind is DayKind.WORKDAY) is expected["working_day"]
