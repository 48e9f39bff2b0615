"""From open to locked, one by one and in bulk, and what payroll reads of it, on every engine."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from muster.attendance.v1 import timesheet_pb2 as pb

from chassis.bus.in_process import InProcessFastPath
from chassis.database import Contention
from chassis.feed import Sequencer
from contexts.attendance.domain.errors import (
    AbsenceCodeReserved,
    AbsenceNotFound,
    AbsenceOutsidePeriod,
    AbsenceOverlaps,
    NotPlaced,
    NotSettled,
    OpenOccurrence,
    RosterUnknown,
    SelfApproval,
    TimesheetNotFound,
    TimesheetNotOpen,
    TimesheetNotReady,
)
from contexts.attendance.domain.timesheet import Status, TimesheetState
from contexts.attendance.handlers.close_timesheets import (
    ChangeTimesheet,
    CloseAnswer,
    CloseTimesheets,
    approve_timesheet,
    close_timesheets,
    lock_timesheet,
    reopen_timesheet,
    submit_timesheet,
)
from contexts.attendance.handlers.enter_absences import (
    CancelAbsence,
    EnterAbsence,
    EnterEmployeeAbsence,
    TimeOff,
    cancel_absence,
    enter_absence,
    enter_employee_absence,
)
from contexts.attendance.handlers.read_timesheets import find_timesheet, get_timesheet
from contexts.attendance.handlers.read_totals import (
    ListChangedSince,
    get_frontier,
    get_period_totals,
    list_changed_since,
)
from contexts.attendance.handlers.record_punches import import_punches
from contexts.attendance.repository.port import ListKey, TimesheetFilter
from kernel.errors import InvalidValue, Stale
from kernel.ids import EmployeeId, TenantId, Version
from kernel.period import Period
from tests.support.attendance import FIRST_DAY, SqlStore, Store, a_day, a_placement, a_punch, an_entry, at, enrol

MONDAY = date(2026, 11, 23)
WORKDAYS = [date(2026, 11, day) for day in range(1, 31) if date(2026, 11, day).weekday() < 5]


async def a_month(store: Store, tenant: TenantId, *entries_made: EmployeeId) -> list[EmployeeId]:
    """People who worked every day of November."""
    people = list(entries_made)
    if not people:
        entry = an_entry()
        await enrol(store, tenant, entry)
        people = [entry.employee_id]
    async with store.work(tenant) as work:
        await import_punches([made for person in people for day in WORKDAYS for made in a_day(person, day)], work)
    return people


async def the_sheet(store: Store, tenant: TenantId, person: EmployeeId) -> TimesheetState:
    async with store.readings(tenant) as readings:
        return (await find_timesheet(person, "2026-11", None, readings, store.clock.now())).state


async def totals(store: Store, tenant: TenantId, *people: EmployeeId, known_at: object = None) -> list[pb.PeriodTotals]:
    async with store.readings(tenant) as readings:
        rows = await get_period_totals(people, "2026-11", known_at, readings, store.clock.now())  # type: ignore[arg-type]
    return [pb.PeriodTotals.FromString(row) for row in rows]


async def close(
    store: Store,
    tenant: TenantId,
    target: Status = Status.LOCKED,
    *,
    after: EmployeeId | None = None,
    limit: int = 500,
    actor_employee: EmployeeId | None = None,
    department: str = "",
) -> tuple[tuple[CloseAnswer, ...], EmployeeId | None]:
    group = "" if department else "CN-MONTHLY"
    async with store.work(tenant, "closer", actor_employee) as work:
        page = await close_timesheets(CloseTimesheets(group, department, "2026-11", target, after, limit), work)
    return page.answers, page.last


async def test_a_timesheet_goes_from_open_to_locked(store: Store, tenant: TenantId) -> None:
    [person] = await a_month(store, tenant)
    opened = await the_sheet(store, tenant, person)

    states: list[TimesheetState] = []
    for verb in (submit_timesheet, approve_timesheet, lock_timesheet):
        seen = states[-1].version if states else opened.version
        async with store.work(tenant, "manager") as work:
            states.append(await verb(ChangeTimesheet(opened.id, seen), work))

    assert [state.status for state in states] == [Status.SUBMITTED, Status.APPROVED, Status.LOCKED]
    assert [state.version for state in states] == [opened.version + 1, opened.version + 2, opened.version + 3]
    assert states[-1].totals.tally.regular_minutes == 21 * 480
    stored = await the_sheet(store, tenant, person)
    assert stored == states[-1]
    assert (stored.submitted_by, stored.approved_by) == ("manager", "manager")


async def test_an_etag_that_is_not_the_latest_is_stale(store: Store, tenant: TenantId) -> None:
    [person] = await a_month(store, tenant)
    opened = await the_sheet(store, tenant, person)

    with pytest.raises(Stale):
        async with store.work(tenant) as work:
            await submit_timesheet(ChangeTimesheet(opened.id, Version(opened.version + 1)), work)


async def test_the_second_of_two_writers_is_refused(store: Store, tenant: TenantId) -> None:
    [person] = await a_month(store, tenant)
    opened = await the_sheet(store, tenant, person)
    async with store.work(tenant) as work:
        await submit_timesheet(ChangeTimesheet(opened.id, opened.version), work)

    with pytest.raises(Stale):
        async with store.work(tenant) as work:
            await submit_timesheet(ChangeTimesheet(opened.id, opened.version), work)


async def test_steps_out_of_order_are_refused(store: Store, tenant: TenantId) -> None:
    [person] = await a_month(store, tenant)
    opened = await the_sheet(store, tenant, person)

    for verb in (approve_timesheet, lock_timesheet, reopen_timesheet):
        with pytest.raises(TimesheetNotReady):
            async with store.work(tenant) as work:
                await verb(ChangeTimesheet(opened.id, None), work)


async def test_nobody_approves_their_own_time(store: Store, tenant: TenantId) -> None:
    [person] = await a_month(store, tenant)
    opened = await the_sheet(store, tenant, person)
    async with store.work(tenant) as work:
        await submit_timesheet(ChangeTimesheet(opened.id, None), work)

    with pytest.raises(SelfApproval):
        async with store.work(tenant, "me", person) as work:
            await approve_timesheet(ChangeTimesheet(opened.id, None), work)


async def test_an_open_occurrence_cannot_be_submitted_and_is_named(store: Store, tenant: TenantId) -> None:
    [person] = await a_month(store, tenant)
    async with store.work(tenant) as work:
        await import_punches([a_punch(person, "in 2026-11-28 09:00")], work)
    opened = await the_sheet(store, tenant, person)

    with pytest.raises(OpenOccurrence) as refused:
        async with store.work(tenant) as work:
            await submit_timesheet(ChangeTimesheet(opened.id, None), work)

    assert refused.value.facts["work_date"] == date(2026, 11, 28)
    assert (await the_sheet(store, tenant, person)).status is Status.OPEN


async def test_a_reopened_timesheet_takes_punches_again(store: Store, tenant: TenantId) -> None:
    [person] = await a_month(store, tenant)
    await close(store, tenant, Status.APPROVED)
    sheet = await the_sheet(store, tenant, person)

    async with store.work(tenant) as work:
        reopened = await reopen_timesheet(ChangeTimesheet(sheet.id, None, "a punch was missing"), work)
    async with store.work(tenant) as work:
        await import_punches(a_day(person, date(2026, 11, 28), "10:00", "12:00"), work)
    await close(store, tenant)

    assert reopened.status is Status.OPEN
    [found] = await totals(store, tenant, person)
    assert found.status == pb.TIMESHEET_STATUS_LOCKED
    assert found.sums.overtime_rest_day_minutes == 120


async def test_an_unknown_timesheet_is_not_found(store: Store, tenant: TenantId) -> None:
    with pytest.raises(TimesheetNotFound):
        async with store.work(tenant) as work:
            await submit_timesheet(ChangeTimesheet(uuid4(), None), work)
    with pytest.raises(TimesheetNotFound):
        async with store.readings(tenant) as readings:
            await get_timesheet(uuid4(), readings, store.clock.now())


async def test_a_timesheet_of_another_tenant_is_not_found(store: Store, tenant: TenantId) -> None:
    [person] = await a_month(store, tenant)
    sheet = await the_sheet(store, tenant, person)

    with pytest.raises(TimesheetNotFound):
        async with store.work(TenantId(uuid4())) as work:
            await submit_timesheet(ChangeTimesheet(sheet.id, None), work)


# Absences.


def unpaid(sheet: TimesheetState, first: date, last: date | None = None, **changes: object) -> EnterAbsence:
    return EnterAbsence(sheet.id, None, time_off(first, last, **changes))


def time_off(first: date, last: date | None = None, **changes: object) -> TimeOff:
    return replace(TimeOff("UNPAID", first, last or first, None, Decimal(0)), **changes)  # type: ignore[arg-type]


async def test_an_absence_is_counted_with_its_share_of_pay(store: Store, tenant: TenantId) -> None:
    entry = an_entry()
    await enrol(store, tenant, entry)
    await close(store, tenant, Status.SUBMITTED)
    sheet = await the_sheet(store, tenant, entry.employee_id)
    async with store.work(tenant) as work:
        await reopen_timesheet(ChangeTimesheet(sheet.id, None), work)

    async with store.work(tenant) as work:
        await enter_absence(unpaid(sheet, date(2026, 11, 1), date(2026, 11, 29)), work)
    async with store.work(tenant) as work:
        sick = unpaid(sheet, date(2026, 11, 30), code="SICK", minutes=240, paid_share=Decimal("0.6"))
        _, state = await enter_absence(sick, work)
    await close(store, tenant)

    [found] = await totals(store, tenant, entry.employee_id)
    last_minutes = {(line.pay_code, line.paid_share): line.minutes[-1] for line in found.lines}
    assert state.absences[1].paid_share == Decimal("0.6")
    assert last_minutes == {("UNPAID", "0"): 480, ("SICK", "0.6"): 240, ("ABSENT", ""): 240}
    assert sum(sum(line.minutes) for line in found.lines if line.pay_code == "UNPAID") == 20 * 480
    assert all(planned == 480 for line in found.lines for planned in line.planned_minutes)


async def test_an_absence_that_cannot_be_is_refused(store: Store, tenant: TenantId) -> None:
    [person] = await a_month(store, tenant)
    sheet = await the_sheet(store, tenant, person)
    async with store.work(tenant) as work:
        await enter_absence(unpaid(sheet, MONDAY), work)

    for cmd, refusal in (
        (unpaid(sheet, MONDAY), AbsenceOverlaps),
        (unpaid(sheet, MONDAY, minutes=60), AbsenceOverlaps),
        (unpaid(sheet, MONDAY, code="OVERTIME"), AbsenceCodeReserved),
        (unpaid(sheet, date(2026, 11, 30), date(2026, 12, 1)), AbsenceOutsidePeriod),
        (unpaid(sheet, date(2026, 11, 2), date(2026, 11, 3), minutes=60), AbsenceOutsidePeriod),
        (unpaid(sheet, MONDAY, MONDAY - timedelta(days=1)), InvalidValue),
    ):
        with pytest.raises(refusal):
            async with store.work(tenant) as work:
                await enter_absence(cmd, work)


async def test_an_absence_opens_the_timesheet_of_who_has_not_punched_yet(store: Store, tenant: TenantId) -> None:
    entry = an_entry()
    await enrol(store, tenant, entry)
    person = entry.employee_id

    async with store.work(tenant) as work:
        first_id, opened = await enter_employee_absence(EnterEmployeeAbsence(person, time_off(MONDAY)), work)
    async with store.work(tenant) as work:
        _, again = await enter_employee_absence(
            EnterEmployeeAbsence(person, time_off(MONDAY + timedelta(days=1), code="SICK")), work
        )
    async with store.work(tenant) as work:
        await import_punches(a_day(person, date(2026, 11, 2)), work)

    kept = await the_sheet(store, tenant, person)
    assert (opened.status, opened.period.name, opened.version) == (Status.OPEN, "2026-11", 1)
    assert again.id == opened.id == kept.id
    assert [absence.code for absence in kept.absences] == ["UNPAID", "SICK"]
    assert kept.absences[0].absence_id == first_id


async def test_an_absence_of_who_is_unknown_or_not_here_or_whose_time_is_locked_is_refused(
    store: Store, tenant: TenantId
) -> None:
    [person] = await a_month(store, tenant)
    await close(store, tenant)
    far = time_off(store.clock.now().date() + timedelta(days=800))

    for employee_id, off, refusal in (
        (EmployeeId(uuid4()), time_off(MONDAY), RosterUnknown),
        (person, time_off(FIRST_DAY - timedelta(days=1)), NotPlaced),
        (person, time_off(MONDAY), TimesheetNotOpen),
        (person, far, InvalidValue),
    ):
        with pytest.raises(refusal):
            async with store.work(tenant) as work:
                await enter_employee_absence(EnterEmployeeAbsence(employee_id, off), work)


async def test_absences_that_are_entered_at_once_share_one_timesheet(store: Store, tenant: TenantId) -> None:
    entry = an_entry()
    await enrol(store, tenant, entry)

    async def enter(day: date) -> None:
        for _ in range(3):  # as the wrapper of commands does
            try:
                async with store.work(tenant) as work:
                    await enter_employee_absence(EnterEmployeeAbsence(entry.employee_id, time_off(day)), work)
                return
            except (Contention, Stale):
                continue
        raise AssertionError("three tries were not enough")

    await asyncio.gather(enter(MONDAY), enter(MONDAY + timedelta(days=1)))

    sheet = await the_sheet(store, tenant, entry.employee_id)
    assert [absence.span.start for absence in sheet.absences] == [MONDAY, MONDAY + timedelta(days=1)]


async def test_an_absence_can_be_taken_out_while_the_timesheet_is_open(store: Store, tenant: TenantId) -> None:
    [person] = await a_month(store, tenant)
    sheet = await the_sheet(store, tenant, person)
    async with store.work(tenant) as work:
        absence_id, _ = await enter_absence(unpaid(sheet, MONDAY), work)

    async with store.work(tenant) as work:
        state = await cancel_absence(CancelAbsence(sheet.id, None, absence_id), work)

    assert state.absences == ()
    with pytest.raises(AbsenceNotFound):
        async with store.work(tenant) as work:
            await cancel_absence(CancelAbsence(sheet.id, None, absence_id), work)
    await close(store, tenant)
    with pytest.raises(TimesheetNotOpen):
        async with store.work(tenant) as work:
            await enter_absence(unpaid(sheet, MONDAY), work)


# In bulk.


async def test_closing_opens_the_timesheets_of_who_never_punched(store: Store, tenant: TenantId) -> None:
    absentee, exempt = an_entry(), an_entry(punch_exempt=True)
    joiner = an_entry(since=date(2026, 11, 26), punch_exempt=True)
    await enrol(store, tenant, absentee, exempt, joiner)

    answers, more = await close(store, tenant)

    assert more is None
    assert all(answer.changed and answer.status is Status.LOCKED and not answer.refusal for answer in answers)
    by_person = {
        found.employee_id: found
        for found in await totals(store, tenant, absentee.employee_id, exempt.employee_id, joiner.employee_id)
    }
    assert by_person[str(absentee.employee_id)].sums.absent_minutes == 21 * 480
    assert by_person[str(exempt.employee_id)].sums.regular_minutes == 21 * 480
    assert by_person[str(joiner.employee_id)].sums.regular_minutes == 3 * 480


async def test_closing_names_who_cannot_be_closed_and_closes_the_others(store: Store, tenant: TenantId) -> None:
    entries = [an_entry() for _ in range(3)]
    await enrol(store, tenant, *entries)
    good, forgetful, boss = (entry.employee_id for entry in entries)
    await a_month(store, tenant, good, boss)
    async with store.work(tenant) as work:
        await import_punches([a_punch(forgetful, "in 2026-11-23 09:00")], work)

    answers, _ = await close(store, tenant, actor_employee=boss)

    by_person = {answer.employee_id: answer for answer in answers}
    assert by_person[good].status is Status.LOCKED
    assert by_person[forgetful].status is Status.OPEN
    assert by_person[forgetful].work_date == MONDAY
    assert isinstance(by_person[forgetful].refusal, OpenOccurrence)
    assert by_person[boss].status is Status.SUBMITTED
    assert isinstance(by_person[boss].refusal, SelfApproval)


async def test_closing_goes_page_by_page_and_again_changes_nothing(store: Store, tenant: TenantId) -> None:
    entries = [an_entry() for _ in range(5)]
    await enrol(store, tenant, *entries)

    seen: list[EmployeeId] = []
    after: EmployeeId | None = None
    for _ in range(3):
        answers, after = await close(store, tenant, Status.APPROVED, after=after, limit=2)
        seen += [answer.employee_id for answer in answers]

    assert after is None
    assert seen == sorted(entry.employee_id for entry in entries)
    again, _ = await close(store, tenant, Status.SUBMITTED)
    assert not any(answer.changed for answer in again)
    assert {answer.status for answer in again} == {Status.APPROVED}


async def test_a_department_can_be_closed(store: Store, tenant: TenantId) -> None:
    entry = an_entry()
    await enrol(store, tenant, entry)

    assert len((await close(store, tenant, department="ENG"))[0]) == 1
    assert (await close(store, tenant, department="SALES"))[0] == ()


async def test_a_missing_schedule_keeps_a_timesheet_from_being_submitted(store: Store, tenant: TenantId) -> None:
    entry = an_entry(schedule="NOWHERE")
    await enrol(store, tenant, entry)

    [answer], _ = await close(store, tenant)

    assert answer.refusal is not None
    assert answer.refusal.reason == "PLAN_UNKNOWN"
    assert "NOWHERE" in answer.refusal.message


async def test_who_moves_to_another_pay_group_is_closed_with_the_new_one(store: Store, tenant: TenantId) -> None:
    stays = a_placement()
    moved = type(stays)(
        Period.since(date(2026, 11, 16)), stays.assignment_id, "STANDARD-5X8", "Asia/Shanghai", pay_group="OTHER"
    )
    before = type(stays)(
        Period(FIRST_DAY, date(2026, 11, 16)), stays.assignment_id, "STANDARD-5X8", "Asia/Shanghai",
        pay_group="CN-MONTHLY",
    )  # fmt: skip
    await enrol(store, tenant, an_entry(None, before, moved))

    assert (await close(store, tenant))[0] == ()


# What payroll reads.


async def test_totals_are_as_known_at_an_instant(store: Store, tenant: TenantId) -> None:
    [person] = await a_month(store, tenant)
    before = store.clock.now()
    await close(store, tenant, Status.SUBMITTED)
    submitted = store.clock.now()
    sheet = await the_sheet(store, tenant, person)
    async with store.work(tenant) as work:
        await reopen_timesheet(ChangeTimesheet(sheet.id, None), work)
    reopened = store.clock.now()
    async with store.work(tenant) as work:
        await import_punches(a_day(person, date(2026, 11, 29), "10:00", "14:00"), work)
    await close(store, tenant)

    known = [await totals(store, tenant, person, known_at=instant) for instant in (before, submitted, reopened)]
    [latest] = await totals(store, tenant, person)

    assert known[0] == []
    assert [row.status for row in known[1]] == [pb.TIMESHEET_STATUS_SUBMITTED]
    assert known[1][0].sums.overtime_rest_day_minutes == 0
    assert [row.status for row in known[2]] == [pb.TIMESHEET_STATUS_OPEN]
    assert not known[2][0].lines
    assert latest.status == pb.TIMESHEET_STATUS_LOCKED
    assert latest.sums.overtime_rest_day_minutes == 240


async def test_an_instant_that_is_not_settled_is_refused(store: Store, tenant: TenantId) -> None:
    async with store.readings(tenant) as readings:
        ahead = await readings.database_time() + timedelta(minutes=5)

    with pytest.raises(NotSettled):
        await totals(store, tenant, EmployeeId(uuid4()), known_at=ahead)


async def test_totals_of_many_come_by_employee(store: Store, tenant: TenantId) -> None:
    entries = [an_entry() for _ in range(4)]
    await enrol(store, tenant, *entries)
    await close(store, tenant)
    people = sorted((entry.employee_id for entry in entries), reverse=True)

    found = await totals(store, tenant, *people, EmployeeId(uuid4()))

    assert [row.employee_id for row in found] == [str(person) for person in sorted(people)]


async def test_what_changed_after_the_frontier_is_listed_once_per_employee(store: Store, tenant: TenantId) -> None:
    entries = [an_entry() for _ in range(3)]
    await enrol(store, tenant, *entries)
    await close(store, tenant)
    await sequence(store)
    async with store.readings(tenant) as readings:
        frontier = await get_frontier("CN-MONTHLY", readings)
        nothing = await list_changed_since(
            ListChangedSince("CN-MONTHLY", "2026-11", frontier.feed_position, None, 500), readings
        )
        everybody = await list_changed_since(ListChangedSince("CN-MONTHLY", "2026-11", 0, None, 2), readings)
        rest = await list_changed_since(ListChangedSince("CN-MONTHLY", "2026-11", 0, everybody[1], 2), readings)
        elsewhere = await list_changed_since(ListChangedSince("CN-MONTHLY", "2026-12", 0, None, 500), readings)

    assert frontier.feed_position > 0
    assert frontier.latest_record_time is not None
    assert nothing == ([], None)
    people = sorted(entry.employee_id for entry in entries)
    assert [change.employee_id for change in everybody[0]] == people[:2]
    assert {change.event for change in everybody[0]} == {"TimesheetLockedEvent"}
    assert [change.employee_id for change in rest[0]] == people[2:]
    assert rest[1] is None
    assert elsewhere == ([], None)


async def test_a_change_without_a_position_yet_counts_as_later(store: Store, tenant: TenantId) -> None:
    entry = an_entry()
    await enrol(store, tenant, entry)
    async with store.readings(tenant) as readings:
        frontier = await get_frontier("CN-MONTHLY", readings)

    await close(store, tenant)

    async with store.readings(tenant) as readings:
        changed, _ = await list_changed_since(
            ListChangedSince("CN-MONTHLY", "2026-11", frontier.feed_position, None, 500), readings
        )
        frontier = await get_frontier("CN-MONTHLY", readings)
    assert [change.employee_id for change in changed] == [entry.employee_id]
    assert [change.record_time for change in changed] == [frontier.latest_record_time]


async def sequence(store: Store) -> None:
    """Give the events of a database their positions."""
    if isinstance(store, SqlStore):
        while await Sequencer(store.database, "attendance", InProcessFastPath()).sequence():
            pass


async def test_timesheets_are_listed_by_employee_with_filters(store: Store, tenant: TenantId) -> None:
    entries = [an_entry() for _ in range(3)]
    await enrol(store, tenant, *entries)
    await close(store, tenant)
    people = sorted(entry.employee_id for entry in entries)

    async with store.readings(tenant) as readings:
        first = await readings.listing(TimesheetFilter(period="2026-11", pay_group="CN-MONTHLY"), None, 2)
        after = ListKey(first[-1].employee_id, first[-1].period.name, first[-1].id)
        rest = await readings.listing(TimesheetFilter(period="2026-11"), after, 2)
        mine = await readings.listing(TimesheetFilter(employee_id=people[1], status=Status.LOCKED), None, 50)
        none = await readings.listing(TimesheetFilter(status=Status.OPEN), None, 50)
        team = await readings.listing(TimesheetFilter(employee_ids=tuple(people[:2])), None, 50)
        later = await readings.listing(
            TimesheetFilter(updated_since=store.clock.now() + timedelta(seconds=1)), None, 50
        )
        recent = TimesheetFilter(department="ENG", updated_since=at("2026-01-01 00:00"))
        there = await readings.listing(recent, None, 50)

    assert [one.employee_id for one in (*first, *rest)] == people
    assert [one.employee_id for one in mine] == [people[1]]
    assert [one.employee_id for one in team] == people[:2]
    assert (none, later) == ([], [])
    assert len(there) == 3
