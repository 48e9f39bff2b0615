"""What other programs got wrong, from the punch to the totals that payroll reads, on every engine."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from contexts.attendance.domain.catalog import (
    CalendarDay,
    DayKind,
    HolidayCalendar,
    OvertimePolicy,
    Shift,
    WorkSchedule,
)
from contexts.attendance.domain.evaluation import OccurrenceStatus, Outcome
from contexts.attendance.domain.timesheet import Status, TimesheetState
from contexts.attendance.handlers import publish_catalog
from contexts.attendance.handlers.close_timesheets import (
    ChangeTimesheet,
    approve_timesheet,
    lock_timesheet,
    submit_timesheet,
)
from contexts.attendance.handlers.publish_catalog import PublishEntry
from contexts.attendance.handlers.read_boards import list_exceptions
from contexts.attendance.handlers.read_timesheets import TimesheetView, find_timesheet
from contexts.attendance.handlers.record_punches import PunchAnswer, PunchMade, record_punch
from kernel.clock import utc
from kernel.ids import EmployeeId, TenantId
from tests.support.attendance import SHANGHAI, Store, a_day, a_punch, an_entry, at, enrol, minutes, publish, spans


async def somebody(
    store: Store, tenant: TenantId, schedule: str = "STANDARD-5X8", time_zone: str = SHANGHAI
) -> EmployeeId:
    entry = an_entry(schedule=schedule, time_zone=time_zone)
    await enrol(store, tenant, entry)
    return entry.employee_id


async def punched(store: Store, tenant: TenantId, *made: PunchMade) -> list[PunchAnswer]:
    """Each punch by itself, as people make them."""
    answers = []
    for one in made:
        store.clock.at = one.punch.stamp.instant
        async with store.work(tenant) as work:
            answers.append(await record_punch(one, work))
    return answers


async def sheet_of(store: Store, tenant: TenantId, person: EmployeeId, period: str, now: datetime) -> TimesheetView:
    async with store.readings(tenant) as readings:
        return await find_timesheet(person, period, None, readings, now)


def day_of(view: TimesheetView, day: date) -> Outcome:
    return next(one for one in view.outcomes if one.work_date == day)


async def locked(store: Store, tenant: TenantId, view: TimesheetView) -> TimesheetState:
    states: list[TimesheetState] = []
    for step in (submit_timesheet, approve_timesheet, lock_timesheet):
        async with store.work(tenant, "hr") as work:
            states.append(await step(ChangeTimesheet(view.state.id, None), work))
    return states[-1]


def numbers(state: TimesheetState, code: str, days: Sequence[date] = ()) -> int:
    """Minutes of a pay code, on these work dates or on all."""
    return sum(
        one.minutes for one in state.totals.buckets if one.pay_code == code and (not days or one.work_date in days)
    )


async def test_g1_a_night_shift_is_worked_on_the_day_it_starts_and_leaves_the_next_days_shift_alone(
    store: Store, tenant: TenantId
) -> None:
    """Source: frappe/hrms issue 3298, where the punch out went to the next day's shift and the night was absent."""
    night, afternoon = Shift.of("LONG-NIGHT", spans("18:00-07:00")), Shift.of("AFTERNOON", spans("14:00-20:00"))
    turns = WorkSchedule("TURNS", ("LONG-NIGHT", "AFTERNOON"), cycle_start=date(2026, 7, 13))
    await publish(store, tenant, night, afternoon, turns)
    person = await somebody(store, tenant, "TURNS")

    answers = await punched(
        store, tenant, a_punch(person, "in 2026-07-13 18:30"), a_punch(person, "out 2026-07-14 07:10")
    )

    view = await sheet_of(store, tenant, person, "2026-07", at("2026-07-14 12:00"))
    worked, next_day = day_of(view, date(2026, 7, 13)), day_of(view, date(2026, 7, 14))
    assert [one.work_date for one in answers] == [date(2026, 7, 13)] * 2
    assert worked.status is OccurrenceStatus.COMPLETE
    assert (worked.tally.regular_minutes, worked.tally.late_minutes) == (12 * 60 + 30, 30)
    assert (next_day.status, next_day.stamps) == (OccurrenceStatus.PLANNED, ())


async def test_g3_of_a_shift_from_one_to_nine_five_hours_are_night_work_and_three_are_not(
    store: Store, tenant: TenantId
) -> None:
    """Source: OCA/hr-attendance issue 237, which counted 13 night hours in an 8 hour shift."""
    policy = OvertimePolicy("SMALL-HOURS", (), night=(minutes("00:00"), minutes("06:00")))
    schedule = WorkSchedule("BAKERY", ("EARLY",) * 5 + ("", ""), overtime_policy="SMALL-HOURS")
    await publish(store, tenant, Shift.of("EARLY", spans("01:00-09:00")), policy, schedule)
    person = await somebody(store, tenant, "BAKERY")
    tuesday = date(2026, 11, 24)

    await punched(store, tenant, *a_day(person, tuesday, "01:00", "09:00"))

    view = await sheet_of(store, tenant, person, "2026-11", at("2026-12-01 12:00"))
    state = await locked(store, tenant, view)
    assert numbers(state, "NIGHT", [tuesday]) == 5 * 60
    assert numbers(state, "REGULAR", [tuesday]) - numbers(state, "NIGHT", [tuesday]) == 3 * 60


async def test_g6_an_office_where_it_is_tomorrow_already_marks_its_attendance(store: Store, tenant: TenantId) -> None:
    """Source: frappe/hrms issue 661, which refused attendance of an office ahead of the head office."""
    person = await somebody(store, tenant, time_zone="Pacific/Auckland")
    nine = utc(datetime(2026, 11, 25, 9, 0, tzinfo=ZoneInfo("Pacific/Auckland")))
    came = a_punch(person, "in 2026-11-25 09:00")
    came = came._replace(punch=came.punch._replace(stamp=came.punch.stamp._replace(instant=nine)))

    [answer] = await punched(store, tenant, came)

    assert nine.astimezone(ZoneInfo("Asia/Shanghai")).date() == date(2026, 11, 25)
    assert nine.astimezone(ZoneInfo("America/Los_Angeles")).date() == date(2026, 11, 24)
    assert answer.work_date == date(2026, 11, 25)
    view = await sheet_of(store, tenant, person, "2026-11", nine + timedelta(minutes=1))
    assert day_of(view, date(2026, 11, 25)).status is OccurrenceStatus.IN_PROGRESS


async def test_g7_three_clicks_in_a_second_are_one_punch(store: Store, tenant: TenantId) -> None:
    """Source: odoo issue 216667."""
    person = await somebody(store, tenant)
    first = a_punch(person, "2026-11-24 09:00")
    clicks = [
        one._replace(punch=one.punch._replace(stamp=one.punch.stamp._replace(instant=at_click)))
        for turn in range(3)
        for one in [a_punch(person, "2026-11-24 09:00")]
        for at_click in [first.punch.stamp.instant + timedelta(milliseconds=333 * turn)]
    ]

    answers = await punched(store, tenant, *clicks, a_punch(person, "2026-11-24 18:00"))

    view = await sheet_of(store, tenant, person, "2026-11", at("2026-11-24 19:00"))
    day = day_of(view, date(2026, 11, 24))
    assert [one.outcome.value for one in answers] == ["RECORDED", "DUPLICATE", "DUPLICATE", "RECORDED"]
    assert {one.duplicate_of for one in answers[1:3]} == {answers[0].punch_id}
    assert (len(day.present), day.tally.regular_minutes, day.tally.overtime_workday_minutes) == (1, 480, 0)


async def test_g16_next_years_holiday_list_leaves_decembers_holidays_holidays(store: Store, tenant: TenantId) -> None:
    """Source: frappe/hrms issues 1516 and 2768, where a new list turned the old year's holidays into absences."""
    christmas = (date(2026, 12, 24), date(2026, 12, 25))
    old = HolidayCalendar("PLACE", tuple(CalendarDay(day, DayKind.HOLIDAY) for day in christmas))
    new = HolidayCalendar("PLACE", (CalendarDay(date(2027, 1, 1), DayKind.HOLIDAY),))
    schedule = WorkSchedule("OFFICE", ("DAY",) * 5 + ("", ""), holiday_calendar="PLACE", overtime_policy="CN-STANDARD")
    await publish(store, tenant, old, schedule)
    person = await somebody(store, tenant, "OFFICE")
    december = [date(2026, 12, day) for day in range(1, 32)]
    working = [day for day in december if day.weekday() < 5 and day not in christmas]
    made = [one for day in working for one in a_day(person, day)]
    await punched(store, tenant, *made, *a_day(person, christmas[1], "10:00", "14:00"))

    store.clock.at = at("2027-01-04 09:00")
    async with store.work(tenant) as work:
        await publish_catalog.publish_entry(PublishEntry(new, date(2027, 1, 1), None), work)
    view = await sheet_of(store, tenant, person, "2026-12", store.clock.at)
    state = await locked(store, tenant, view)

    async with store.readings(tenant) as readings:
        nothing = await list_exceptions([person], "2026-12", readings, store.clock.at)
    assert state.status is Status.LOCKED
    assert [day_of(view, day).planned.day_kind for day in christmas] == [DayKind.HOLIDAY] * 2
    assert nothing == []
    assert state.totals.tally.absent_minutes == 0
    assert state.totals.tally.overtime_holiday_minutes == 4 * 60
    assert numbers(state, "REGULAR") == len(working) * 480
    assert state.totals.paid_days[christmas[0].day - 1] == "1"
    assert Decimal(state.totals.paid_days.count("1")) == len(working) + len(christmas)
