"""Punches: idempotent, debounced, matched to occurrences, single and in bulk, on every engine."""

from datetime import date, timedelta
from uuid import uuid4

import pytest

from contexts.attendance.domain.errors import (
    NotPlaced,
    PunchIdTaken,
    PunchTooFarAhead,
    RosterUnknown,
    TimesheetNotOpen,
)
from contexts.attendance.domain.evaluation import OccurrenceStatus
from contexts.attendance.domain.events import PunchesImported, PunchRecorded
from contexts.attendance.domain.timesheet import Status
from contexts.attendance.handlers.close_timesheets import ChangeTimesheet, submit_timesheet
from contexts.attendance.handlers.read_timesheets import TimesheetView, find_timesheet
from contexts.attendance.handlers.record_punches import (
    PunchAnswer,
    PunchMade,
    PunchOutcome,
    import_punches,
    record_punch,
)
from kernel.ids import EmployeeId, TenantId
from kernel.period import Period
from tests.support.attendance import SHANGHAI, Store, a_day, a_placement, a_punch, an_entry, at, enrol

MONDAY = date(2026, 11, 23)


async def punch(store: Store, tenant: TenantId, made: PunchMade) -> PunchAnswer:
    async with store.work(tenant) as work:
        return await record_punch(made, work)


async def bring(store: Store, tenant: TenantId, made: list[PunchMade]) -> list[PunchAnswer]:
    async with store.work(tenant) as work:
        return await import_punches(made, work)


async def shown(store: Store, tenant: TenantId, employee: EmployeeId, period: str = "2026-11") -> TimesheetView:
    async with store.readings(tenant) as readings:
        return await find_timesheet(employee, period, None, readings, store.clock.now())


async def test_the_first_punch_opens_the_timesheet(store: Store, tenant: TenantId) -> None:
    entry = an_entry()
    await enrol(store, tenant, entry)

    answer = await punch(store, tenant, a_punch(entry.employee_id, "in 2026-11-23 09:00"))

    view = await shown(store, tenant, entry.employee_id)
    assert answer.outcome is PunchOutcome.RECORDED
    assert answer.work_date == MONDAY
    assert view.state.id == answer.timesheet_id
    assert view.state.status is Status.OPEN
    assert view.state.version == answer.version == 1
    assert view.state.period.span == Period.month(2026, 11)
    [event] = [saved.event for saved in store.saved if saved.aggregate_type == "timesheet"]
    assert event == PunchRecorded(
        view.state.id, entry.employee_id, answer.punch_id, at("2026-11-23 09:00"), MONDAY, None
    )


async def test_the_same_punch_again_answers_as_before(store: Store, tenant: TenantId) -> None:
    entry = an_entry()
    await enrol(store, tenant, entry)
    made = a_punch(entry.employee_id, "in 2026-11-23 09:00")
    first = await punch(store, tenant, made)

    second = await punch(store, tenant, made)

    assert second.outcome is PunchOutcome.REPLAYED
    assert (second.timesheet_id, second.work_date, second.version) == (
        first.timesheet_id,
        first.work_date,
        first.version,
    )
    assert (await shown(store, tenant, entry.employee_id)).state.punch_count == 1


async def test_a_punch_id_names_one_punch_for_ever(store: Store, tenant: TenantId) -> None:
    entry, other = an_entry(), an_entry()
    await enrol(store, tenant, entry, other)
    made = a_punch(entry.employee_id, "in 2026-11-23 09:00")
    await punch(store, tenant, made)

    for again in (
        a_punch(entry.employee_id, "in 2026-11-23 09:01", punch_id=made.punch.stamp.punch_id),
        a_punch(other.employee_id, "in 2026-11-23 09:00", punch_id=made.punch.stamp.punch_id),
        a_punch(entry.employee_id, "in 2026-12-23 09:01", punch_id=made.punch.stamp.punch_id),
    ):
        with pytest.raises(PunchIdTaken):
            await punch(store, tenant, again)


async def test_another_tenant_may_use_the_same_punch_id(store: Store, tenant: TenantId) -> None:
    entry, elsewhere = an_entry(), TenantId(uuid4())
    await enrol(store, tenant, entry)
    await enrol(store, elsewhere, entry)
    made = a_punch(entry.employee_id, "in 2026-11-23 09:00")

    await punch(store, tenant, made)

    assert (await punch(store, elsewhere, made)).outcome is PunchOutcome.RECORDED


async def test_a_debounced_punch_is_kept_as_a_duplicate_and_never_an_error(store: Store, tenant: TenantId) -> None:
    entry = an_entry()
    await enrol(store, tenant, entry)
    first = await punch(store, tenant, a_punch(entry.employee_id, "2026-11-23 09:00:00"))

    second = await punch(store, tenant, a_punch(entry.employee_id, "2026-11-23 09:00:01"))

    assert second.outcome is PunchOutcome.DUPLICATE
    assert second.duplicate_of == first.punch_id
    view = await shown(store, tenant, entry.employee_id)
    [outcome] = [outcome for outcome in view.outcomes if outcome.stamps]
    assert outcome.duplicate_of == {second.punch_id: first.punch_id}


async def test_somebody_who_is_not_on_the_roster_is_named_by_reason(store: Store, tenant: TenantId) -> None:
    with pytest.raises(RosterUnknown):
        await punch(store, tenant, a_punch(EmployeeId(uuid4()), "in 2026-11-23 09:00"))
    with pytest.raises(RosterUnknown):
        await punch(store, tenant, a_punch(None, "in 2026-11-23 09:00", number="E9"))


async def test_a_kiosk_names_the_person_by_number(store: Store, tenant: TenantId) -> None:
    entry = an_entry(number="E0001")
    await enrol(store, tenant, entry)

    answer = await punch(store, tenant, a_punch(None, "in 2026-11-23 09:00", number="E0001"))

    assert answer.employee_id == entry.employee_id


async def test_a_number_that_two_people_have_names_nobody(store: Store, tenant: TenantId) -> None:
    await enrol(store, tenant, an_entry(number="E0001"), an_entry(number="E0001"))

    with pytest.raises(RosterUnknown):
        await punch(store, tenant, a_punch(None, "in 2026-11-23 09:00", number="E0001"))


async def test_a_punch_before_the_hire_is_refused(store: Store, tenant: TenantId) -> None:
    entry = an_entry(since=date(2026, 11, 24))
    await enrol(store, tenant, entry)

    with pytest.raises(NotPlaced):
        await punch(store, tenant, a_punch(entry.employee_id, "in 2026-11-23 09:00"))


async def test_a_punch_far_in_the_future_is_the_fault_of_a_clock(store: Store, tenant: TenantId) -> None:
    entry = an_entry()
    await enrol(store, tenant, entry)

    with pytest.raises(PunchTooFarAhead):
        await punch(store, tenant, a_punch(entry.employee_id, "in 2099-01-01 09:00"))


async def test_a_submitted_timesheet_takes_no_punch(store: Store, tenant: TenantId) -> None:
    entry = an_entry()
    await enrol(store, tenant, entry)
    [first, _] = await bring(store, tenant, a_day(entry.employee_id, MONDAY))
    assert first.timesheet_id is not None
    async with store.work(tenant) as work:
        await submit_timesheet(ChangeTimesheet(first.timesheet_id, None), work)

    with pytest.raises(TimesheetNotOpen):
        await punch(store, tenant, a_punch(entry.employee_id, "in 2026-11-24 09:00"))


@pytest.mark.parametrize("together", [True, False])
async def test_a_punch_that_was_recorded_answers_as_before_whatever_became_of_the_timesheet(
    store: Store, tenant: TenantId, together: bool
) -> None:
    entry = an_entry()
    await enrol(store, tenant, entry)
    made = a_day(entry.employee_id, MONDAY)
    [first, _] = await bring(store, tenant, made)
    assert first.timesheet_id is not None
    async with store.work(tenant) as work:
        await submit_timesheet(ChangeTimesheet(first.timesheet_id, None), work)

    again = (await bring(store, tenant, made))[0] if together else await punch(store, tenant, made[0])

    assert again.outcome is PunchOutcome.REPLAYED


async def test_a_tenant_without_a_catalog_takes_punches(store: Store) -> None:
    elsewhere = TenantId(uuid4())
    entry = an_entry(schedule="")
    await enrol(store, elsewhere, entry)

    answers = await bring(store, elsewhere, a_day(entry.employee_id, MONDAY))

    assert [answer.work_date for answer in answers] == [MONDAY, MONDAY]


# Periods and occurrences.


async def test_a_night_that_starts_in_a_period_ends_in_it(store: Store, tenant: TenantId) -> None:
    entry = an_entry(schedule="NIGHT-5X8")
    await enrol(store, tenant, entry)

    came = await punch(store, tenant, a_punch(entry.employee_id, "in 2026-11-30 21:55"))
    went = await punch(store, tenant, a_punch(entry.employee_id, "out 2026-12-01 06:05"))

    assert went.timesheet_id == came.timesheet_id
    assert went.work_date == date(2026, 11, 30)


async def test_a_night_ends_with_its_timesheet_even_when_the_way_out_comes_first(
    store: Store, tenant: TenantId
) -> None:
    entry = an_entry(schedule="NIGHT-5X8")
    await enrol(store, tenant, entry)

    went = await punch(store, tenant, a_punch(entry.employee_id, "out 2026-12-01 06:05"))
    came = await punch(store, tenant, a_punch(entry.employee_id, "in 2026-11-30 21:55"))

    assert went.timesheet_id == came.timesheet_id
    view = await shown(store, tenant, entry.employee_id)
    assert view.outcomes[-1].status is OccurrenceStatus.COMPLETE


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(("came", "went"), [("in ", "out "), ("", "")])
async def test_work_on_a_rest_day_past_the_end_of_a_period_stays_in_it(
    store: Store, tenant: TenantId, came: str, went: str, together: bool
) -> None:
    entry = an_entry()
    await enrol(store, tenant, entry)
    made = [
        a_punch(entry.employee_id, f"{came}2026-10-31 20:00"),
        a_punch(entry.employee_id, f"{went}2026-11-01 02:00"),
    ]

    if together:
        answers = await bring(store, tenant, made[::-1])
    else:
        answers = [await punch(store, tenant, one) for one in made]

    assert {answer.work_date for answer in answers} == {date(2026, 10, 31)}
    view = await shown(store, tenant, entry.employee_id, "2026-10")
    assert view.tally.overtime_rest_day_minutes == 6 * 60


async def test_a_night_worker_who_leaves_the_company_still_punches_out(store: Store, tenant: TenantId) -> None:
    last = a_placement("NIGHT-5X8")
    entry = an_entry(
        None, type(last)(Period(date(2020, 1, 1), date(2026, 11, 28)), last.assignment_id, "NIGHT-5X8", SHANGHAI)
    )
    await enrol(store, tenant, entry)

    answers = await bring(
        store,
        tenant,
        [
            a_punch(entry.employee_id, "in 2026-11-27 22:00"),
            a_punch(entry.employee_id, "out 2026-11-28 06:00"),
        ],
    )

    assert [answer.work_date for answer in answers] == [date(2026, 11, 27)] * 2


# In bulk.


async def test_an_import_answers_each_punch_and_holds_up_none(store: Store, tenant: TenantId) -> None:
    entry, other = an_entry(number="E1"), an_entry()
    await enrol(store, tenant, entry, other)
    good = a_day(entry.employee_id, MONDAY)
    made = [
        *good,
        a_punch(EmployeeId(uuid4()), "in 2026-11-23 09:00"),
        a_punch(other.employee_id, "in 2026-11-23 09:00"),
        good[0],
        a_punch(other.employee_id, "in 2026-11-24 09:00", punch_id=good[1].punch.stamp.punch_id),
        a_punch(None, "out 2026-11-23 18:00:20", number="E1"),
    ]

    answers = await bring(store, tenant, made)

    assert [answer.outcome for answer in answers] == [
        PunchOutcome.RECORDED,
        PunchOutcome.RECORDED,
        PunchOutcome.REFUSED,
        PunchOutcome.RECORDED,
        PunchOutcome.REPLAYED,
        PunchOutcome.REFUSED,
        PunchOutcome.DUPLICATE,
    ]
    assert [answer.refusal.reason for answer in answers if answer.refusal] == ["ROSTER_UNKNOWN", "PUNCH_ID_TAKEN"]
    events = [saved.event for saved in store.saved if isinstance(saved.event, PunchesImported)]
    assert [event.punch_count for event in events] == [3, 1]


async def test_an_import_again_changes_nothing(store: Store, tenant: TenantId) -> None:
    entry = an_entry()
    await enrol(store, tenant, entry)
    made = [one for offset in range(5) for one in a_day(entry.employee_id, MONDAY + timedelta(days=offset))]
    await bring(store, tenant, made)
    before = await shown(store, tenant, entry.employee_id)

    answers = await bring(store, tenant, made)

    assert {answer.outcome for answer in answers} == {PunchOutcome.REPLAYED}
    assert await shown(store, tenant, entry.employee_id) == before


async def test_a_file_in_any_order_gives_the_same_timesheet(store: Store, tenant: TenantId) -> None:
    one, two = an_entry(), an_entry()
    await enrol(store, tenant, one, two)
    days = [MONDAY + timedelta(days=offset) for offset in range(7)]

    await bring(store, tenant, [made for day in days for made in a_day(one.employee_id, day, "08:00", "20:00")])
    for day in reversed(days):
        await bring(store, tenant, a_day(two.employee_id, day, "08:00", "20:00")[::-1])

    first, second = await shown(store, tenant, one.employee_id), await shown(store, tenant, two.employee_id)
    assert first.tally == second.tally
    assert first.tally.worked_minutes == 5 * (480 + 180) + 2 * 720


async def test_microseconds_and_devices_are_kept(store: Store, tenant: TenantId) -> None:
    entry = an_entry()
    await enrol(store, tenant, entry)
    made = a_punch(entry.employee_id, "in 2026-11-23 09:00:00.123457")
    await punch(store, tenant, made)

    async with store.work(tenant) as work:
        stored = await work.timesheets.punches([made.punch.stamp.punch_id])

    [kept] = stored.values()
    assert kept.punch.stamp == made.punch.stamp
    assert kept.punch.time_zone == SHANGHAI
    assert (kept.punch.device_id, kept.punch.device_sequence, kept.punch.device_clock) == (
        "gate-1",
        7,
        made.punch.stamp.instant,
    )
    assert kept.work_date == MONDAY
