"""Forgotten and wrong punches, overtime that needs approval, and changes after lock, on every engine."""

import asyncio
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from muster.attendance.v1 import timesheet_pb2 as pb

from contexts.attendance.domain.adjustments import AdjustmentLine
from contexts.attendance.domain.catalog import DayKind, OvertimePolicy, OvertimeRule, WorkSchedule
from contexts.attendance.domain.errors import (
    AdjustmentBelowZero,
    AdjustmentUnbalanced,
    CorrectionExists,
    CorrectionNotFound,
    CorrectionOutsidePeriod,
    OpenOccurrence,
    OvertimeRequestNotFound,
    PunchNotFound,
    RequestDecided,
    SelfApproval,
    TimesheetNotOpen,
    TimesheetNotReady,
    WorkDateOutsidePeriod,
)
from contexts.attendance.domain.evaluation import Outcome
from contexts.attendance.domain.events import CorrectionDecided, CorrectionRequested, TimesheetAdjusted
from contexts.attendance.domain.punches import Direction
from contexts.attendance.domain.requests import RequestStatus
from contexts.attendance.domain.timesheet import Status, TimesheetState
from contexts.attendance.handlers.adjust_timesheets import AdjustTimesheet, adjust_timesheet
from contexts.attendance.handlers.close_timesheets import (
    ChangeTimesheet,
    approve_timesheet,
    lock_timesheet,
    reopen_timesheet,
    submit_timesheet,
)
from contexts.attendance.handlers.decide_requests import (
    DecideRequest,
    RequestCorrection,
    RequestOvertime,
    decide_correction,
    decide_overtime,
    request_correction,
    request_overtime,
)
from contexts.attendance.handlers.read_requests import get_request, list_requests
from contexts.attendance.handlers.read_timesheets import TimesheetView, find_timesheet
from contexts.attendance.handlers.read_totals import ListChangedSince, get_period_totals, list_changed_since
from contexts.attendance.handlers.record_punches import import_punches
from contexts.attendance.repository.port import RequestFilter, RequestKind
from kernel.errors import InvalidValue, Stale
from kernel.ids import EmployeeId, TenantId, Version
from tests.support.attendance import Store, a_day, a_punch, an_entry, at, enrol, publish

WORKDAYS = [date(2026, 11, day) for day in range(1, 31) if date(2026, 11, day).weekday() < 5]
FORGOTTEN = date(2026, 11, 24)
LEAVING = at("2026-11-24 18:00")
STEPS = (submit_timesheet, approve_timesheet, lock_timesheet)


async def somebody(store: Store, tenant: TenantId, schedule: str = "STANDARD-5X8") -> EmployeeId:
    entry = an_entry(schedule=schedule)
    await enrol(store, tenant, entry)
    return entry.employee_id


async def who_forgot_to_punch_out(store: Store, tenant: TenantId) -> EmployeeId:
    """A month of full days, but for one without a way out."""
    person = await somebody(store, tenant)
    made = [one for day in WORKDAYS for one in a_day(person, day)[: 1 if day == FORGOTTEN else 2]]
    async with store.work(tenant) as work:
        await import_punches(made, work)
    return person


async def view_of(store: Store, tenant: TenantId, person: EmployeeId) -> TimesheetView:
    async with store.readings(tenant) as readings:
        return await find_timesheet(person, "2026-11", None, readings, store.clock.now())


async def sheet_of(store: Store, tenant: TenantId, person: EmployeeId) -> TimesheetState:
    return (await view_of(store, tenant, person)).state


async def day_of(store: Store, tenant: TenantId, person: EmployeeId, day: date = FORGOTTEN) -> Outcome:
    found = await view_of(store, tenant, person)
    return next(one for one in found.outcomes if one.work_date == day)


async def steps(store: Store, tenant: TenantId, sheet: UUID, count: int = 3) -> None:
    for step in STEPS[:count]:
        async with store.work(tenant, "hr") as work:
            await step(ChangeTimesheet(sheet, None), work)


async def ask(
    store: Store,
    tenant: TenantId,
    sheet: UUID,
    punched_at: datetime | None = LEAVING,
    *,
    punch_id: UUID | None = None,
    direction: Direction = Direction.OUT,
    seen: Version | None = None,
) -> UUID:
    cmd = RequestCorrection(sheet, seen, punch_id, punched_at, direction, "forgot to punch out")
    async with store.work(tenant, "the employee") as work:
        return (await request_correction(cmd, work))[0]


async def decide(
    store: Store, tenant: TenantId, id: UUID, *, approved: bool = True, by: EmployeeId | None = None
) -> TimesheetState:
    async with store.work(tenant, "the manager", by) as work:
        return await decide_correction(DecideRequest(id, approved, "seen him leave"), work)


async def totals_of(
    store: Store, tenant: TenantId, person: EmployeeId, known_at: datetime | None = None
) -> dict[str, int]:
    """Minutes by pay code, as payroll reads them."""
    async with store.readings(tenant) as readings:
        [payload] = await get_period_totals([person], "2026-11", known_at, readings, store.clock.now())
    found: dict[str, int] = {}
    for line in pb.PeriodTotals.FromString(payload).lines:
        found[line.pay_code] = found.get(line.pay_code, 0) + sum(line.minutes)
    return found


async def test_a_forgotten_punch_is_corrected_and_the_month_can_be_submitted(store: Store, tenant: TenantId) -> None:
    person = await who_forgot_to_punch_out(store, tenant)
    sheet = await sheet_of(store, tenant, person)
    before = await day_of(store, tenant, person)
    with pytest.raises(OpenOccurrence):
        await steps(store, tenant, sheet.id, 1)

    asked = await ask(store, tenant, sheet.id, seen=sheet.version)
    waiting = await day_of(store, tenant, person)
    decided = await decide(store, tenant, asked)

    after = await day_of(store, tenant, person)
    assert before.missing
    assert waiting.missing
    assert (after.missing, after.tally.regular_minutes) == ("", 480)
    assert [stamp.punch_id for stamp in after.stamps][1:] == [asked]
    assert decided.corrections[0].asked.status is RequestStatus.APPROVED
    assert (decided.corrections[0].asked.by, decided.corrections[0].asked.decided_by) == ("the employee", "the manager")
    assert await sheet_of(store, tenant, person) == decided
    assert [type(one.event) for one in store.saved[-2:]] == [CorrectionRequested, CorrectionDecided]
    await steps(store, tenant, sheet.id)
    assert await totals_of(store, tenant, person) == {"REGULAR": 21 * 480}


async def test_nobody_decides_about_their_own_correction(store: Store, tenant: TenantId) -> None:
    person = await who_forgot_to_punch_out(store, tenant)
    asked = await ask(store, tenant, (await sheet_of(store, tenant, person)).id)

    with pytest.raises(SelfApproval):
        await decide(store, tenant, asked, by=person)
    with pytest.raises(SelfApproval):
        await decide(store, tenant, asked, approved=False, by=person)

    assert (await sheet_of(store, tenant, person)).corrections[0].asked.status is RequestStatus.REQUESTED


async def test_of_two_managers_who_decide_at_once_one_decides(store: Store, tenant: TenantId) -> None:
    person = await who_forgot_to_punch_out(store, tenant)
    asked = await ask(store, tenant, (await sheet_of(store, tenant, person)).id)

    found = await asyncio.gather(
        decide(store, tenant, asked), decide(store, tenant, asked, approved=False), return_exceptions=True
    )

    refused = [one for one in found if isinstance(one, BaseException)]
    assert [type(one) for one in refused] == [RequestDecided]
    decided = [one.event for one in store.saved if isinstance(one.event, CorrectionDecided)]
    assert len(decided) == 1


async def test_what_was_declined_changes_nothing_and_may_be_asked_anew(store: Store, tenant: TenantId) -> None:
    person = await who_forgot_to_punch_out(store, tenant)
    sheet = (await sheet_of(store, tenant, person)).id
    first = await ask(store, tenant, sheet)
    with pytest.raises(CorrectionExists):
        await ask(store, tenant, sheet)

    await decide(store, tenant, first, approved=False)
    second = await ask(store, tenant, sheet)

    assert (await day_of(store, tenant, person)).missing
    with pytest.raises(RequestDecided):
        await decide(store, tenant, first)
    async with store.readings(tenant) as readings:
        waiting, _ = await list_requests(
            RequestFilter(RequestKind.CORRECTION, RequestStatus.REQUESTED), None, 10, readings
        )
    assert [one.id for _, one in waiting] == [second]


async def test_a_wrong_punch_is_left_out_and_the_right_one_stands_in_its_place(store: Store, tenant: TenantId) -> None:
    person = await somebody(store, tenant)
    came = a_punch(person, "in 2026-11-24 11:00")
    async with store.work(tenant) as work:
        await import_punches([came, a_punch(person, "out 2026-11-24 18:00")], work)
    sheet = (await sheet_of(store, tenant, person)).id
    late = await day_of(store, tenant, person)

    asked = await ask(
        store, tenant, sheet, at("2026-11-24 09:00"), punch_id=came.punch.stamp.punch_id, direction=Direction.IN
    )
    await decide(store, tenant, asked)
    again = await ask(store, tenant, sheet, None, punch_id=asked)
    on_time = await day_of(store, tenant, person)
    await decide(store, tenant, again)
    nobody = await day_of(store, tenant, person)

    assert (late.tally.late_minutes, on_time.tally.late_minutes) == (120, 0)
    assert on_time.tally.regular_minutes == 480
    assert [stamp.direction for stamp in nobody.stamps] == [Direction.OUT]


async def test_a_correction_names_a_punch_of_the_timesheet_and_a_time_of_its_period(
    store: Store, tenant: TenantId
) -> None:
    person = await who_forgot_to_punch_out(store, tenant)
    sheet = (await sheet_of(store, tenant, person)).id

    for punched_at in (at("2026-12-02 18:00"), at("2026-10-30 18:00"), at("2026-11-24 18:00").replace(year=2027)):
        with pytest.raises(CorrectionOutsidePeriod):
            await ask(store, tenant, sheet, punched_at)
    with pytest.raises(PunchNotFound):
        await ask(store, tenant, sheet, punch_id=uuid4())
    with pytest.raises(InvalidValue):
        await ask(store, tenant, sheet, None)
    with pytest.raises(CorrectionNotFound):
        await decide(store, tenant, uuid4())
    with pytest.raises(Stale):
        await ask(store, tenant, sheet, seen=Version(99))


async def test_a_submitted_timesheet_has_to_be_reopened_before_a_correction_is_approved(
    store: Store, tenant: TenantId
) -> None:
    person = await somebody(store, tenant)
    async with store.work(tenant) as work:
        await import_punches(a_day(person, FORGOTTEN, "09:00", "15:00"), work)
    sheet = (await sheet_of(store, tenant, person)).id
    await steps(store, tenant, sheet, 1)
    asked = await ask(store, tenant, sheet, at("2026-11-24 18:30"))

    with pytest.raises(TimesheetNotOpen):
        await decide(store, tenant, asked)
    async with store.work(tenant) as work:
        await reopen_timesheet(ChangeTimesheet(sheet, None), work)
    await decide(store, tenant, asked)

    assert (await sheet_of(store, tenant, person)).corrections[0].asked.status is RequestStatus.APPROVED


async def test_a_correction_approved_after_lock_becomes_an_adjustment_of_its_own_work_date(
    store: Store, tenant: TenantId
) -> None:
    person = await somebody(store, tenant)
    made = [one for day in WORKDAYS for one in a_day(person, day, "09:00", "15:00" if day == FORGOTTEN else "18:00")]
    async with store.work(tenant) as work:
        await import_punches(made, work)
    sheet = (await sheet_of(store, tenant, person)).id
    await steps(store, tenant, sheet)
    locked_at = store.clock.now()
    wrong = next(one.punch.stamp.punch_id for one in made[::-1] if one.punch.stamp.instant == at("2026-11-24 15:00"))

    asked = await ask(store, tenant, sheet, punch_id=wrong)
    state = await decide(store, tenant, asked)

    assert state.status is Status.LOCKED
    [adjustment] = state.adjustments
    assert (adjustment.work_date, adjustment.cause, adjustment.by) == (FORGOTTEN, asked, "the manager")
    assert adjustment.lines == (
        AdjustmentLine("EARLY_LEAVE", DayKind.WORKDAY, -180),
        AdjustmentLine("REGULAR", DayKind.WORKDAY, 180),
    )
    assert await sheet_of(store, tenant, person) == state
    assert state.totals.tally.early_leave_count == 0
    assert await totals_of(store, tenant, person) == {"REGULAR": 21 * 480}
    assert await totals_of(store, tenant, person, locked_at) == {"REGULAR": 21 * 480 - 180, "EARLY_LEAVE": 180}
    assert store.saved[-1].event == TimesheetAdjusted(sheet, person, "2026-11", (FORGOTTEN,))


async def test_payroll_is_told_who_was_adjusted(store: Store, tenant: TenantId) -> None:
    person = await who_forgot_to_punch_out(store, tenant)
    sheet = (await sheet_of(store, tenant, person)).id
    await decide(store, tenant, await ask(store, tenant, sheet))
    await steps(store, tenant, sheet)
    cmd = AdjustTimesheet(sheet, None, FORGOTTEN, (overtime(60),), "stayed for the stocktaking")

    async with store.work(tenant, "hr") as work:
        await adjust_timesheet(cmd, work)

    async with store.readings(tenant) as readings:
        changes, _ = await list_changed_since(ListChangedSince("CN-MONTHLY", "2026-11", 0, None, 10), readings)
    assert [(one.employee_id, one.event) for one in changes] == [(person, "TimesheetAdjustedEvent")]
    assert await totals_of(store, tenant, person) == {"REGULAR": 21 * 480, "OVERTIME": 60}


def overtime(minutes: int, kind: DayKind = DayKind.WORKDAY) -> AdjustmentLine:
    return AdjustmentLine("OVERTIME", kind, minutes)


async def test_an_adjustment_moves_minutes_and_never_makes_owed_ones(store: Store, tenant: TenantId) -> None:
    person = await somebody(store, tenant)
    async with store.work(tenant) as work:
        await import_punches([one for day in WORKDAYS[:-1] for one in a_day(person, day)], work)
    sheet = (await sheet_of(store, tenant, person)).id
    absent = WORKDAYS[-1]
    sick = (
        AdjustmentLine("ABSENT", DayKind.WORKDAY, -480),
        AdjustmentLine("SICK", DayKind.WORKDAY, 480, Decimal("0.8")),
    )

    async def adjust(day: date, *lines: AdjustmentLine, by: EmployeeId | None = None) -> TimesheetState:
        async with store.work(tenant, "hr", by) as work:
            return (await adjust_timesheet(AdjustTimesheet(sheet, None, day, lines, "note of the doctor"), work))[1]

    with pytest.raises(TimesheetNotReady):
        await adjust(absent, *sick)
    await steps(store, tenant, sheet)
    with pytest.raises(SelfApproval):
        await adjust(absent, *sick, by=person)
    with pytest.raises(AdjustmentUnbalanced):
        await adjust(absent, sick[1])
    with pytest.raises(AdjustmentUnbalanced):
        await adjust(absent, sick[0], replace(sick[1], paid_share=None))
    with pytest.raises(AdjustmentBelowZero):
        await adjust(WORKDAYS[0], *sick)
    with pytest.raises(AdjustmentBelowZero):
        await adjust(absent, AdjustmentLine("NIGHT", DayKind.WORKDAY, 30))
    with pytest.raises(WorkDateOutsidePeriod):
        await adjust(date(2026, 12, 1), *sick)
    state = await adjust(absent, *sick)

    assert state.totals.tally.absence_minutes == 480
    assert state.totals.tally.absent_minutes == 0
    assert await totals_of(store, tenant, person) == {"REGULAR": 20 * 480, "SICK": 480}
    assert await sheet_of(store, tenant, person) == state


async def test_what_somebody_entered_after_lock_stays_when_a_correction_is_approved_later(
    store: Store, tenant: TenantId
) -> None:
    person = await somebody(store, tenant)
    made = a_day(person, FORGOTTEN, "09:00", "15:00")
    async with store.work(tenant) as work:
        await import_punches(made, work)
    sheet = (await sheet_of(store, tenant, person)).id
    await steps(store, tenant, sheet)
    async with store.work(tenant, "hr") as work:
        await adjust_timesheet(AdjustTimesheet(sheet, None, WORKDAYS[0], (overtime(90),), "stocktaking"), work)

    await decide(store, tenant, await ask(store, tenant, sheet, punch_id=made[1].punch.stamp.punch_id))
    came_again = await ask(store, tenant, sheet, at("2026-11-24 19:30"), direction=Direction.IN)
    with pytest.raises(OpenOccurrence):
        await decide(store, tenant, came_again)

    found = await totals_of(store, tenant, person)
    assert (found["OVERTIME"], found["REGULAR"]) == (90, 480)


# ------------------------------------------------------------------------------------------------- overtime


async def who_needs_approval(store: Store, tenant: TenantId) -> EmployeeId:
    """Somebody whose overtime counts only as far as it was approved, two hours late one evening."""
    rules = tuple(OvertimeRule(kind, "X", approval_required=True) for kind in DayKind)
    asks = WorkSchedule("ASKS", ("DAY",) * 5 + ("", ""), holiday_calendar="CN", overtime_policy="ASKED")
    await publish(store, tenant, OvertimePolicy("ASKED", rules), asks)
    person = await somebody(store, tenant, "ASKS")
    async with store.work(tenant) as work:
        await import_punches(a_day(person, FORGOTTEN, "09:00", "20:00"), work)
    return person


async def ask_overtime(store: Store, tenant: TenantId, person: EmployeeId, minutes: int, day: date = FORGOTTEN) -> UUID:
    async with store.work(tenant, "the employee") as work:
        return (await request_overtime(RequestOvertime(person, day, minutes, "month's end"), work))[0]


async def decide_hours(
    store: Store,
    tenant: TenantId,
    id: UUID,
    minutes: int | None = None,
    *,
    approved: bool = True,
    by: EmployeeId | None = None,
) -> TimesheetState:
    async with store.work(tenant, "the manager", by) as work:
        return await decide_overtime(DecideRequest(id, approved, "", minutes), work)


async def test_only_approved_overtime_counts_and_up_to_what_was_approved(store: Store, tenant: TenantId) -> None:
    person = await who_needs_approval(store, tenant)
    asked = await ask_overtime(store, tenant, person, 90)
    waiting = (await day_of(store, tenant, person)).tally

    with pytest.raises(SelfApproval):
        await decide_hours(store, tenant, asked, by=person)
    await decide_hours(store, tenant, asked, 60)
    approved = (await day_of(store, tenant, person)).tally
    await decide_hours(store, tenant, await ask_overtime(store, tenant, person, 600))
    more = (await day_of(store, tenant, person)).tally

    assert (waiting.overtime_workday_minutes, waiting.unapproved_overtime_minutes) == (0, 120)
    assert (approved.overtime_workday_minutes, approved.unapproved_overtime_minutes) == (60, 60)
    assert (more.overtime_workday_minutes, more.unapproved_overtime_minutes) == (120, 0)


async def test_overtime_is_asked_for_before_anybody_has_punched(store: Store, tenant: TenantId) -> None:
    entry = an_entry()
    await enrol(store, tenant, entry)
    person = entry.employee_id

    asked = await ask_overtime(store, tenant, person, 120, date(2026, 11, 28))

    async with store.readings(tenant) as readings:
        state, request = await get_request(RequestKind.OVERTIME, asked, readings)
        mine, _ = await list_requests(RequestFilter(RequestKind.OVERTIME, None, (person,), "ENG"), None, 1, readings)
        others, _ = await list_requests(
            RequestFilter(RequestKind.OVERTIME, None, (EmployeeId(uuid4()),)), None, 1, readings
        )
    assert (state.status, state.employee_id) == (Status.OPEN, person)
    assert request.asked.status is RequestStatus.REQUESTED
    assert [one.id for _, one in mine] == [asked]
    assert not others
    with pytest.raises(OvertimeRequestNotFound):
        await decide_hours(store, tenant, uuid4())


async def test_overtime_approved_after_lock_is_an_adjustment(store: Store, tenant: TenantId) -> None:
    person = await who_needs_approval(store, tenant)
    asked = await ask_overtime(store, tenant, person, 120)
    sheet = (await sheet_of(store, tenant, person)).id
    await steps(store, tenant, sheet)
    before = await totals_of(store, tenant, person)

    state = await decide_hours(store, tenant, asked)

    assert [(one.work_date, one.lines) for one in state.adjustments] == [(FORGOTTEN, (overtime(120),))]
    assert "OVERTIME" not in before
    assert (await totals_of(store, tenant, person))["OVERTIME"] == 120


async def test_requests_are_listed_page_by_page(store: Store, tenant: TenantId) -> None:
    person = await who_needs_approval(store, tenant)
    asked = [await ask_overtime(store, tenant, person, 10 + turn) for turn in range(5)]
    await decide_hours(store, tenant, asked[0], approved=False)

    seen: list[UUID] = []
    after: UUID | None = None
    async with store.readings(tenant) as readings:
        for _ in range(3):
            page, after = await list_requests(RequestFilter(RequestKind.OVERTIME), after, 2, readings)
            seen += [one.id for _, one in page]
        declined, _ = await list_requests(
            RequestFilter(RequestKind.OVERTIME, RequestStatus.DECLINED), None, 10, readings
        )

    assert after is None
    assert seen == sorted(asked)
    assert [one.id for _, one in declined] == [asked[0]]
