"""Punches at a terminal by badge, with the terminal's own clock, on every engine."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from chassis.database import Contention
from contexts.attendance.domain.errors import BadgeHeld, BadgeNotHeld, BadgeUnknown, PunchIdTaken, RosterUnknown
from contexts.attendance.domain.punches import Direction, Punch, Source, Stamp
from contexts.attendance.handlers.issue_badges import IssueBadge, ReturnBadge, get_badge, issue_badge, return_badge
from contexts.attendance.handlers.read_timesheets import find_timesheet
from contexts.attendance.handlers.record_punches import (
    PunchAnswer,
    PunchMade,
    PunchOutcome,
    import_punches,
    record_punch,
)
from kernel.errors import InvalidValue, Stale
from kernel.ids import EmployeeId, TenantId, Version
from tests.support.attendance import Store, an_entry, at, enrol

MORNING = at("2026-11-24 09:00")
LONG_AGO = at("2026-01-01 00:00")


async def somebody(store: Store, tenant: TenantId, badge: str = "", since: datetime = LONG_AGO) -> EmployeeId:
    """Somebody on the roster, with a badge where one is named."""
    entry = an_entry()
    await enrol(store, tenant, entry)
    if badge:
        await issue(store, tenant, badge, entry.employee_id, since)
    return entry.employee_id


async def issue(
    store: Store, tenant: TenantId, badge: str, person: EmployeeId, since: datetime | None, seen: Version | None = None
) -> None:
    async with store.work(tenant) as work:
        await issue_badge(IssueBadge(badge, seen, person, since), work)


def shown(
    badge: str,
    clock: datetime,
    *,
    sent: datetime | None = None,
    punch_id: UUID | None = None,
    way: Direction = Direction.EITHER,
) -> PunchMade:
    """A badge at the terminal, whose clock said `clock` then and `sent` on sending."""
    stamp = Stamp(clock, way, punch_id or uuid4())
    return PunchMade(Punch(stamp, Source.DEVICE, "", "gate-1", 1, clock), None, badge_number=badge, sent_clock=sent)


async def arrive(store: Store, tenant: TenantId, made: PunchMade, received: datetime) -> PunchAnswer:
    store.clock.at = received
    async with store.work(tenant) as work:
        return await record_punch(made, work)


async def test_a_badge_at_the_terminal_is_its_holders_punch(store: Store, tenant: TenantId) -> None:
    person = await somebody(store, tenant, "B-1")

    answer = await arrive(store, tenant, shown("B-1", MORNING, sent=MORNING), MORNING + timedelta(seconds=2))

    assert (answer.outcome, answer.employee_id) == (PunchOutcome.RECORDED, person)
    assert (answer.punched_at, answer.clock_skew_seconds) == (MORNING, 2)


async def test_a_terminal_whose_clock_is_slow_is_set_right(store: Store, tenant: TenantId) -> None:
    await somebody(store, tenant, "B-1")
    clock = MORNING - timedelta(minutes=10)
    held_back = timedelta(hours=3)
    received = MORNING + held_back

    answer = await arrive(store, tenant, shown("B-1", clock, sent=clock + held_back), received)

    assert answer.clock_skew_seconds == 600
    assert answer.punched_at == MORNING


async def test_a_terminal_that_lost_its_date_still_tells_when_somebody_came(store: Store, tenant: TenantId) -> None:
    await somebody(store, tenant, "B-1")
    clock = at("1970-01-02 00:03")

    answer = await arrive(store, tenant, shown("B-1", clock, sent=clock), MORNING)

    assert answer.work_date == MORNING.date()
    assert answer.punched_at is not None
    assert abs(answer.punched_at - MORNING) < timedelta(seconds=2)


async def test_a_clock_that_was_set_between_punch_and_sending_is_refused(store: Store, tenant: TenantId) -> None:
    await somebody(store, tenant, "B-1")

    with pytest.raises(InvalidValue) as refusal:
        await arrive(store, tenant, shown("B-1", MORNING, sent=MORNING - timedelta(minutes=1)), MORNING)
    with pytest.raises(InvalidValue):
        await arrive(store, tenant, shown("B-1", MORNING - timedelta(days=40), sent=MORNING), MORNING)

    assert refusal.value.field == "device_sent_at"


async def test_a_punch_sent_again_is_the_same_punch_however_late_it_arrives(store: Store, tenant: TenantId) -> None:
    person = await somebody(store, tenant, "B-1")
    id, clock = uuid4(), MORNING - timedelta(minutes=10)
    first = await arrive(store, tenant, shown("B-1", clock, sent=clock, punch_id=id), MORNING)

    slower = clock + timedelta(minutes=5)
    again = await arrive(
        store, tenant, shown("B-1", clock, sent=slower, punch_id=id), MORNING + timedelta(minutes=5, seconds=9)
    )
    other = shown("B-1", clock + timedelta(minutes=1), sent=slower, punch_id=id)
    with pytest.raises(PunchIdTaken):
        await arrive(store, tenant, other, MORNING + timedelta(minutes=6))

    assert (first.outcome, again.outcome) == (PunchOutcome.RECORDED, PunchOutcome.REPLAYED)
    assert again.punched_at == first.punched_at
    async with store.readings(tenant) as readings:
        view = await find_timesheet(person, "2026-11", None, readings, store.clock.now())
    assert view.state.punch_count == 1


async def test_three_taps_and_a_buffer_in_the_wrong_order_are_one_way_in_and_one_way_out(
    store: Store, tenant: TenantId
) -> None:
    person = await somebody(store, tenant, "B-1")
    taps = [shown("B-1", MORNING + timedelta(milliseconds=300 * turn)) for turn in range(3)]
    evening = shown("B-1", at("2026-11-24 18:00"))
    store.clock.at = at("2026-11-24 18:01")

    async with store.work(tenant) as work:
        answers = await import_punches([evening, *reversed(taps), evening], work)

    async with store.readings(tenant) as readings:
        view = await find_timesheet(person, "2026-11", None, readings, at("2026-11-24 20:00"))
    day = next(one for one in view.outcomes if one.work_date == MORNING.date())
    assert sorted(answer.outcome.value for answer in answers) == [
        "DUPLICATE", "DUPLICATE", "RECORDED", "RECORDED", "REPLAYED",
    ]  # fmt: skip
    assert (day.tally.regular_minutes, day.tally.late_minutes, day.missing) == (480, 0, "")


async def test_a_badge_that_changed_hands_names_who_had_it_when_the_punch_was_made(
    store: Store, tenant: TenantId
) -> None:
    before = await somebody(store, tenant, "B-1")
    after = await somebody(store, tenant)
    with pytest.raises(BadgeHeld):
        await issue(store, tenant, "B-1", after, None)
    store.clock.at = at("2026-11-20 12:00")
    async with store.work(tenant) as work:
        await return_badge(ReturnBadge("B-1", Version(1)), work)
    await issue(store, tenant, "B-1", after, None)

    late = await arrive(store, tenant, shown("B-1", at("2026-11-20 09:00")), MORNING)
    new = await arrive(store, tenant, shown("B-1", MORNING), MORNING)

    async with store.readings(tenant) as readings:
        badge = await get_badge("B-1", readings)
        mine = await readings.badges("", after, "", 10)
        others = await readings.badges("", before, "", 10)
    assert (late.employee_id, new.employee_id) == (before, after)
    assert [one.employee_id for one in badge.holdings] == [before, after]
    assert (badge.version, badge.holder) == (3, after)
    assert (mine, others) == ([badge], [])


async def test_a_new_badge_that_two_people_are_given_at_once_is_one_persons(store: Store, tenant: TenantId) -> None:
    people = [await somebody(store, tenant) for _ in range(2)]

    found = await asyncio.gather(
        *(issue(store, tenant, "B-7", person, None) for person in people), return_exceptions=True
    )

    refused = [one for one in found if isinstance(one, BaseException)]
    assert len(refused) == 1
    assert isinstance(refused[0], BadgeHeld | Contention)
    async with store.readings(tenant) as readings:
        badge = await get_badge("B-7", readings)
    assert (badge.version, len(badge.holdings)) == (1, 1)


async def test_badges_that_nobody_has_are_refused(store: Store, tenant: TenantId) -> None:
    person = await somebody(store, tenant, "B-1", at("2026-11-01 00:00"))

    with pytest.raises(BadgeUnknown):
        await arrive(store, tenant, shown("B-2", MORNING), MORNING)
    with pytest.raises(BadgeUnknown):
        await arrive(store, tenant, shown("B-1", at("2026-10-30 09:00")), MORNING)
    with pytest.raises(BadgeUnknown):
        async with store.work(tenant) as work:
            await return_badge(ReturnBadge("B-2", None), work)
    with pytest.raises(RosterUnknown):
        await issue(store, tenant, "B-3", EmployeeId(uuid4()), None)
    with pytest.raises(Stale):
        await issue(store, tenant, "B-1", person, None, Version(9))
    with pytest.raises(InvalidValue):
        await issue(store, tenant, "B-4", person, store.clock.at + timedelta(days=1))
    async with store.work(tenant) as work:
        await return_badge(ReturnBadge("B-1", None), work)
    with pytest.raises(BadgeNotHeld):
        async with store.work(tenant) as work:
            await return_badge(ReturnBadge("B-1", None), work)


async def test_one_refused_badge_of_a_buffer_does_not_hold_up_the_others(store: Store, tenant: TenantId) -> None:
    await somebody(store, tenant, "B-1")
    wrong = shown("B-1", MORNING, sent=MORNING - timedelta(hours=1))
    good = shown("B-1", MORNING, sent=MORNING)._replace(employee_id=None)
    store.clock.at = MORNING

    async with store.work(tenant) as work:
        answers = await import_punches([wrong, shown("B-9", MORNING), good], work)

    assert [answer.outcome for answer in answers] == [
        PunchOutcome.REFUSED, PunchOutcome.REFUSED, PunchOutcome.RECORDED,
    ]  # fmt: skip
