"""The roster, where the newest version wins, and the catalog, whose versions never change, on every engine."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest

from contexts.attendance.domain.catalog import Shift, WorkSchedule
from contexts.attendance.domain.errors import CatalogEntryNotFound, CatalogReferenceUnknown
from contexts.attendance.domain.events import TimeCatalogPublished
from contexts.attendance.domain.periods import Frequency, TimeCalendar
from contexts.attendance.domain.rounding import PunchRounding, RoundingMode
from contexts.attendance.handlers.ensure_roster import ensure_rosters
from contexts.attendance.handlers.publish_catalog import PublishEntry, get_entry, list_entries, publish_entry
from kernel.errors import Stale
from kernel.ids import EmployeeId, TenantId, Version
from kernel.period import Period
from tests.support.attendance import (
    CN_OVERTIME,
    DAY,
    FIRST_DAY,
    NIGHTS,
    Store,
    a_placement,
    an_entry,
    china_2026,
    enrol,
    publish,
    spans,
)


async def test_an_entry_is_read_back_whole(store: Store, tenant: TenantId) -> None:
    before = a_placement()
    placements = (
        type(before)(Period(FIRST_DAY, date(2026, 11, 1)), before.assignment_id, "A", "Asia/Shanghai", "HR"),
        type(before)(
            Period.since(date(2026, 11, 1)), before.assignment_id, "B", "Europe/Berlin", "ENG", EmployeeId(uuid4()),
            "PG", "TC", True,
        ),
    )  # fmt: skip
    entry = an_entry(None, *placements, number="E1", version=5)

    await enrol(store, tenant, entry)

    async with store.readings(tenant) as readings:
        assert await readings.roster_entry(entry.employee_id) == entry
        assert await readings.roster_entry(EmployeeId(uuid4())) is None


async def test_the_newest_version_of_an_entry_wins_in_any_order(store: Store, tenant: TenantId) -> None:
    person = EmployeeId(uuid4())
    versions = [an_entry(person, version=version, number=f"E{version}") for version in (1, 2, 3)]

    applied = []
    for entry in (versions[1], versions[0], versions[1], versions[2]):
        async with store.work(tenant) as work:
            [answer] = await ensure_rosters([entry], work)
            applied.append((answer.applied, answer.source_version))

    assert applied == [(True, 2), (False, 2), (False, 2), (True, 3)]
    async with store.readings(tenant) as readings:
        assert await readings.roster_entry(person) == versions[2]


async def test_a_batch_takes_each_entry_by_itself(store: Store, tenant: TenantId) -> None:
    known = an_entry(version=2)
    await enrol(store, tenant, known)
    new = an_entry()

    async with store.work(tenant) as work:
        answers = await ensure_rosters([an_entry(known.employee_id, version=1), new], work)

    assert [answer.applied for answer in answers] == [False, True]


async def test_the_people_of_a_pay_group_are_found_by_page(store: Store, tenant: TenantId) -> None:
    november = Period.month(2026, 11)
    entries = [an_entry() for _ in range(3)]
    left = a_placement()
    gone = an_entry(
        None, type(left)(Period(FIRST_DAY, date(2026, 10, 1)), left.assignment_id, "", "UTC", pay_group="CN-MONTHLY")
    )
    await enrol(store, tenant, *entries, gone)
    people = sorted(entry.employee_id for entry in entries)

    async with store.work(tenant) as work:
        first = await work.roster.population(pay_group="CN-MONTHLY", department="", span=november, after=None, limit=2)
        rest = await work.roster.population(
            pay_group="CN-MONTHLY", department="", span=november, after=first[-1], limit=2
        )
        nobody = await work.roster.population(pay_group="X", department="", span=november, after=None, limit=2)

    assert first + rest == people
    assert nobody == []


async def test_every_kind_of_definition_is_read_back_as_it_was(store: Store, tenant: TenantId) -> None:
    rounding = PunchRounding(RoundingMode.NEAREST, 15)
    definitions: list[Any] = [
        TimeCalendar("WEEKS", "Weeks", Frequency.WEEKLY, 0, 6, 30),
        Shift.of("SPLIT", spans("08:00-12:00", "18:00-02:00"), in_rounding=rounding, out_rounding=rounding),
        WorkSchedule("TURNS", ("DAY", ""), "Turns", date(2026, 1, 1), "CN", "CN-STANDARD", True, True, True),
        china_2026(),
        CN_OVERTIME,
    ]

    await publish(store, tenant, *definitions)

    async with store.readings(tenant) as readings:
        for definition in definitions:
            entry = await get_entry(type(definition), definition.code, None, None, readings)
            assert entry.definition == definition
            assert entry.effective_date == FIRST_DAY


async def test_a_published_version_never_changes(store: Store, tenant: TenantId) -> None:
    longer = Shift.of("DAY", spans("08:00-18:00"))
    first_known = store.clock.now()
    async with store.work(tenant) as work:
        published = await publish_entry(PublishEntry(longer, date(2026, 12, 1), None), work)

    async with store.readings(tenant) as readings:
        november = await get_entry(Shift, "DAY", date(2026, 11, 30), None, readings)
        december = await get_entry(Shift, "DAY", date(2026, 12, 1), None, readings)
        then = await get_entry(Shift, "DAY", date(2026, 12, 1), first_known, readings)
        before = (await readings.planner(published.version - 1)).catalog
        with pytest.raises(CatalogEntryNotFound):
            await get_entry(Shift, "DAY", FIRST_DAY - timedelta(days=1), None, readings)

    assert november.definition == then.definition == DAY
    assert december.definition == longer
    assert before.get(Shift, "DAY", date(2026, 12, 1)).definition == DAY
    assert store.saved[-1].event == TimeCatalogPublished(published.version, "SHIFT", "DAY", date(2026, 12, 1))


async def test_entries_are_listed_by_code(store: Store, tenant: TenantId) -> None:
    async with store.readings(tenant) as readings:
        first = await list_entries(Shift, None, None, "", 1, readings)
        rest = await list_entries(Shift, None, None, "DAY", 50, readings)

    assert [entry.definition.code for entry in (*first, *rest)] == ["DAY", "NIGHT"]


async def test_two_publishers_of_one_code_are_told_apart_by_etag(store: Store, tenant: TenantId) -> None:
    async with store.work(tenant) as work:
        published = await publish_entry(PublishEntry(DAY, FIRST_DAY, None), work)

    with pytest.raises(Stale):
        async with store.work(tenant) as work:
            await publish_entry(PublishEntry(DAY, FIRST_DAY, Version(published.version - 1)), work)
    async with store.work(tenant) as work:
        assert (await publish_entry(PublishEntry(DAY, FIRST_DAY, published_version(published.version)), work)).version


def published_version(number: int) -> Version:
    return Version(number)


async def test_a_schedule_refers_only_to_what_is_published(store: Store, tenant: TenantId) -> None:
    for schedule in (
        WorkSchedule("X", ("NONE",) * 7),
        WorkSchedule("X", ("DAY",) * 7, holiday_calendar="NONE"),
        WorkSchedule("X", ("DAY",) * 7, overtime_policy="NONE"),
    ):
        with pytest.raises(CatalogReferenceUnknown) as refused:
            async with store.work(tenant) as work:
                await publish_entry(PublishEntry(schedule, FIRST_DAY, None), work)
        assert refused.value.field is not None
    async with store.work(tenant) as work:
        await publish_entry(PublishEntry(NIGHTS, FIRST_DAY, None), work)
