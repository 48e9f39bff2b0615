"""Who is in, late or out at an instant, and which days somebody has to look at, on every engine."""

from datetime import date, datetime
from decimal import Decimal
from uuid import uuid4

import pytest

from contexts.attendance.domain.boards import DayException, ExceptionKind, Presence, Standing
from contexts.attendance.domain.catalog import DayKind, FlexibleHours, OvertimePolicy, OvertimeRule, Shift, WorkSchedule
from contexts.attendance.domain.errors import PeriodUnknown
from contexts.attendance.domain.timesheet import Status
from contexts.attendance.handlers.close_timesheets import ChangeTimesheet, submit_timesheet
from contexts.attendance.handlers.enter_absences import EnterEmployeeAbsence, TimeOff, enter_employee_absence
from contexts.attendance.handlers.read_boards import get_board, list_exceptions
from contexts.attendance.handlers.record_punches import import_punches
from kernel.ids import EmployeeId, TenantId
from tests.support.attendance import Store, a_day, a_punch, an_entry, at, enrol, publish, spans

TUESDAY = date(2026, 11, 24)


async def somebody(store: Store, tenant: TenantId, *texts: str, **placed: object) -> EmployeeId:
    """Somebody on the roster who punched so."""
    entry = an_entry(**placed)  # type: ignore[arg-type]
    await enrol(store, tenant, entry)
    if texts:
        async with store.work(tenant) as work:
            await import_punches([a_punch(entry.employee_id, text) for text in texts], work)
    return entry.employee_id


async def on_leave(store: Store, tenant: TenantId, person: EmployeeId, day: date = TUESDAY) -> None:
    async with store.work(tenant) as work:
        time_off = TimeOff("ANNUAL", day, day, None, Decimal(1))
        await enter_employee_absence(EnterEmployeeAbsence(person, time_off), work)


async def standings(store: Store, tenant: TenantId, moment: datetime, *people: EmployeeId) -> list[Standing | None]:
    async with store.readings(tenant) as readings:
        return [row.standing for row in await get_board(people, moment, readings)]


async def presences(store: Store, tenant: TenantId, moment: str, *people: EmployeeId) -> list[str]:
    found = await standings(store, tenant, at(moment), *people)
    return ["" if one is None else one.presence.value for one in found]


async def test_the_board_tells_who_is_in_late_out_absent_or_on_leave(store: Store, tenant: TenantId) -> None:
    early = await somebody(store, tenant, "in 2026-11-24 08:55", "out 2026-11-24 18:05")
    late = await somebody(store, tenant, "in 2026-11-24 09:20")
    nobody = await somebody(store, tenant)
    away = await somebody(store, tenant)
    await on_leave(store, tenant, away)
    team = (early, late, nobody, away)

    before = await presences(store, tenant, "2026-11-24 08:30", *team)
    grace = await presences(store, tenant, "2026-11-24 09:05", *team)
    morning = await presences(store, tenant, "2026-11-24 09:30", *team)
    evening = await presences(store, tenant, "2026-11-24 18:30", *team)
    sunday = await presences(store, tenant, "2026-11-29 10:00", *team)
    [_, came_late, missing, _] = await standings(store, tenant, at("2026-11-24 09:30"), *team)
    [gone, *_] = await standings(store, tenant, at("2026-11-24 18:30"), *team)

    assert before == ["EXPECTED", "EXPECTED", "EXPECTED", "ON_LEAVE"]
    assert grace == ["IN", "EXPECTED", "EXPECTED", "ON_LEAVE"]
    assert morning == ["IN", "IN", "LATE", "ON_LEAVE"]
    assert evening == ["OUT", "IN", "ABSENT", "ON_LEAVE"]
    assert sunday == ["DAY_OFF"] * 4
    assert came_late is not None
    assert missing is not None
    assert gone is not None
    assert (came_late.late_minutes, came_late.since) == (20, at("2026-11-24 09:20"))
    assert (missing.late_minutes, missing.since) == (30, None)
    assert (gone.since, gone.late_minutes) == (at("2026-11-24 18:05"), 0)


async def test_who_forgot_to_punch_out_is_not_in_for_ever(store: Store, tenant: TenantId) -> None:
    person = await somebody(store, tenant, "in 2026-11-23 09:00")

    midnight, next_day = [
        (await presences(store, tenant, moment, person))[0] for moment in ("2026-11-24 00:30", "2026-11-24 08:00")
    ]

    assert (midnight, next_day) == ("IN", "EXPECTED")


async def test_the_night_shift_is_in_past_midnight_and_over_the_end_of_the_month(
    store: Store, tenant: TenantId
) -> None:
    person = await somebody(store, tenant, "in 2026-11-30 21:55", "out 2026-12-01 06:05", schedule="NIGHT-5X8")

    night = await standings(store, tenant, at("2026-12-01 03:00"), person)
    morning = await standings(store, tenant, at("2026-12-01 07:00"), person)

    assert [(one.presence, one.outcome.work_date) for one in (*night, *morning) if one is not None] == [
        (Presence.IN, date(2026, 11, 30)),
        (Presence.OUT, date(2026, 11, 30)),
    ]


async def test_a_board_at_one_instant_shows_each_place_by_its_own_clock(store: Store, tenant: TenantId) -> None:
    shanghai = await somebody(store, tenant)
    berlin = await somebody(store, tenant, time_zone="Europe/Berlin")
    elsewhere = EmployeeId(uuid4())

    assert await presences(store, tenant, "2026-11-24 10:00", shanghai, berlin, elsewhere) == ["LATE", "EXPECTED", ""]


async def test_people_with_free_hours_are_late_for_their_core_hours_only(store: Store, tenant: TenantId) -> None:
    free = Shift.of("FREE", spans("07:00-20:00"), flexible=FlexibleHours(480, ((600, 900),)))
    await publish(store, tenant, free, WorkSchedule("FREE", ("FREE",) * 5 + ("", "")))
    person = await somebody(store, tenant, schedule="FREE")

    found = [(await presences(store, tenant, f"2026-11-24 {clock}", person))[0] for clock in ("09:59", "10:01")]

    assert found == ["EXPECTED", "LATE"]


async def test_who_does_not_punch_is_where_the_plan_says(store: Store, tenant: TenantId) -> None:
    person = await somebody(store, tenant, punch_exempt=True)

    found = [
        (await presences(store, tenant, f"2026-11-24 {clock}", person))[0]
        for clock in ("08:00", "10:00", "12:30", "19:00")
    ]

    assert found == ["EXPECTED", "IN", "OUT", "OUT"]


# ------------------------------------------------------------------------------------------------- exceptions


async def exceptions_of(
    store: Store, tenant: TenantId, *people: EmployeeId, now: str = "2026-11-26 20:00"
) -> dict[EmployeeId, tuple[DayException, ...]]:
    async with store.readings(tenant) as readings:
        return {one.employee_id: one.found for one in await list_exceptions(people, "2026-11", readings, at(now))}


async def test_exceptions_name_the_days_that_somebody_has_to_look_at(store: Store, tenant: TenantId) -> None:
    rules = tuple(OvertimeRule(kind, "X", approval_required=True) for kind in DayKind)
    asks = WorkSchedule("ASKS", ("DAY",) * 5 + ("", ""), overtime_policy="ASKED")
    await publish(store, tenant, OvertimePolicy("ASKED", rules), asks)
    placed = {"since": date(2026, 11, 23)}
    untidy = await somebody(
        store, tenant,
        "in 2026-11-23 09:00",
        "in 2026-11-24 09:30", "out 2026-11-24 17:00",
        "in 2026-11-25 09:00", "out 2026-11-25 20:00",
        schedule="ASKS", **placed,
    )  # fmt: skip
    tidy = await somebody(store, tenant, **placed)
    async with store.work(tenant) as work:
        await import_punches([one for day in range(23, 27) for one in a_day(tidy, date(2026, 11, day))], work)

    found = await exceptions_of(store, tenant, untidy, tidy)

    assert list(found) == [untidy]
    assert [(one.work_date.day, one.kind, one.minutes) for one in found[untidy]] == [
        (23, ExceptionKind.MISSING_PUNCH, 0),
        (24, ExceptionKind.LATE, 30),
        (24, ExceptionKind.EARLY_LEAVE, 60),
        (25, ExceptionKind.UNAPPROVED_OVERTIME, 120),
        (26, ExceptionKind.NO_PUNCHES, 480),
    ]
    assert "no punch out" in found[untidy][0].message


async def test_who_never_came_is_an_exception_before_there_is_a_timesheet(store: Store, tenant: TenantId) -> None:
    person = await somebody(store, tenant, since=date(2026, 11, 24))

    found = await exceptions_of(store, tenant, person)
    early = await exceptions_of(store, tenant, person, now="2026-11-24 08:00")

    assert [(one.work_date.day, one.kind) for one in found[person]] == [
        (24, ExceptionKind.NO_PUNCHES),
        (25, ExceptionKind.NO_PUNCHES),
        (26, ExceptionKind.NO_PUNCHES),
    ]
    assert early == {}


async def test_what_was_submitted_is_shown_as_it_was_submitted(store: Store, tenant: TenantId) -> None:
    person = await somebody(store, tenant, since=date(2026, 11, 30))
    await on_leave(store, tenant, person, date(2026, 11, 30))
    empty = await exceptions_of(store, tenant, person, now="2026-12-02 20:00")
    late = await somebody(store, tenant, "in 2026-11-30 10:00", "out 2026-11-30 18:00", since=date(2026, 11, 30))
    async with store.readings(tenant) as readings:
        [sheet] = await readings.find(late, "2026-11")
    async with store.work(tenant) as work:
        await submit_timesheet(ChangeTimesheet(sheet.id, None), work)

    async with store.readings(tenant) as readings:
        [found] = await list_exceptions([late, EmployeeId(uuid4())], "2026-11", readings, at("2026-12-02 20:00"))
        with pytest.raises(PeriodUnknown):
            await list_exceptions([late], "2026-W99", readings, at("2026-12-02 20:00"))

    assert empty == {}
    assert (found.status, found.timesheet_id) == (Status.SUBMITTED, sheet.id)
    assert [(one.kind, one.minutes) for one in found.found] == [(ExceptionKind.LATE, 60)]
