"""What every store of organization promises, on memory, SQLite and MariaDB."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from muster.organization.v1.employee_pb2 import WorkFacts

from chassis.crypto import CiphertextRefused
from contexts.organization.domain import events
from contexts.organization.domain.errors import (
    EmployeeNotFound,
    EmployeeNumberTaken,
    EntryInUse,
    EntryNotFound,
    EntryNotValid,
    ManagerCycle,
    ManagerNotFound,
    TeamTooLarge,
)
from contexts.organization.domain.history import STATUTORY, ChangeKind
from contexts.organization.domain.org_chart import Department, EntryChange, EntryKind, Location, Position
from contexts.organization.domain.values import BankAccount, EmployeeStatus, EndReason
from contexts.organization.handlers import change, chart, hire, read
from contexts.organization.handlers.change import Target
from contexts.organization.repository.port import Criteria, PayQuestion, Sort, Unit
from kernel.errors import DomainError, InvalidValue, Stale
from kernel.ids import EmployeeId, TenantId, Version
from kernel.period import Period
from tests.support.organization import (
    FIRST_DAY,
    FOUNDED,
    MemoryStore,
    Store,
    a_hire,
    an_entry,
    events_of,
    hired,
    monthly,
    publish,
)

TODAY = date(2026, 11, 23)
NOVEMBER = Period.month(2026, 11)


def a_target(id: EmployeeId, seen: int | None = None) -> Target:
    """An employee to change."""
    return Target(id, None if seen is None else Version(seen))


async def transferred(
    store: Store, tenant: TenantId, id: EmployeeId, day: date, seen: int | None = None, **fields: Any
) -> None:
    """Somebody whose assignment changes."""
    async with store.unit(tenant) as unit:
        await change.transfer_employee(change.TransferEmployee(a_target(id, seen), day, fields, None), unit)


async def raised(store: Store, tenant: TenantId, id: EmployeeId, day: date, amount: str) -> None:
    """Somebody whose pay changes."""
    async with store.unit(tenant) as unit:
        cmd = change.ChangeCompensation(a_target(id), day, {"compensation": monthly(amount)})
        await change.change_compensation(cmd, unit)


async def terminated(store: Store, tenant: TenantId, id: EmployeeId, day: date) -> None:
    """Somebody who leaves."""
    async with store.unit(tenant) as unit:
        await change.terminate_employee(change.TerminateEmployee(a_target(id), day, EndReason.RESIGNATION), unit)


async def test_what_is_written_is_read_back_to_the_microsecond(store: Store, tenant: TenantId) -> None:
    state = await hired(store, tenant, end_date=date(2026, 12, 31))

    async with store.unit(tenant) as unit:
        employee = await unit.employees.get(state.id)

    assert employee.state == state


async def test_many_are_added_and_got_at_once(store: Store, tenant: TenantId) -> None:
    hires = [a_hire() for _ in range(30)]

    async with store.unit(tenant) as unit:
        states = await hire.hire_employees(hire.HireEmployees(hires), unit)

    wanted = {state.id: state for state in states if not isinstance(state, DomainError)}
    async with store.unit(tenant) as unit:
        found = await unit.employees.get_many([*wanted, EmployeeId(uuid4())])
    assert {id: employee.state for id, employee in found.items()} == wanted
    assert len(wanted) == 30


async def test_a_batch_refuses_each_item_alone(store: Store, tenant: TenantId) -> None:
    await hired(store, tenant, number="E-TAKEN")
    hires = [
        a_hire("E-TAKEN"),
        a_hire("E-NEW"),
        a_hire("E-NEW"),
        a_hire(department="NOWHERE"),
        a_hire(manager_id=EmployeeId(uuid4())),
        a_hire(hire_date=date(1800, 1, 1)),
    ]

    async with store.unit(tenant) as unit:
        outcomes = await hire.hire_employees(hire.HireEmployees(hires), unit)

    reasons = [outcome.reason if isinstance(outcome, DomainError) else "" for outcome in outcomes]
    assert reasons == [
        "EMPLOYEE_NUMBER_TAKEN",
        "",
        "EMPLOYEE_NUMBER_TAKEN",
        "ENTRY_NOT_VALID",
        "MANAGER_NOT_FOUND",
        "DATE_OUT_OF_RANGE",
    ]


async def test_a_dry_run_writes_nothing(store: Store, tenant: TenantId) -> None:
    async with store.unit(tenant) as unit:
        await hire.hire_employees(hire.HireEmployees([a_hire("E-DRY")], dry_run=True), unit)

    async with store.unit(tenant) as unit:
        assert await unit.employees.numbers_taken(["E-DRY"]) == frozenset()


async def test_the_second_of_two_writers_of_one_version_is_refused(store: Store, tenant: TenantId) -> None:
    state = await hired(store, tenant)
    await raised(store, tenant, state.id, TODAY, "21000.00")

    with pytest.raises(Stale):
        await transferred(store, tenant, state.id, TODAY, seen=1, department="OPS")


async def test_of_many_writers_with_one_version_one_wins(store: Store, tenant: TenantId) -> None:
    assert await winners_of(store.unit, store, tenant) == 1


async def winners_of(
    opened: Callable[[TenantId], AbstractAsyncContextManager[Unit]], store: Store, tenant: TenantId
) -> int:
    """How many of eight writers who all saw version 1 of somebody have their change."""
    state = await hired(store, tenant)

    async def race(amount: int) -> bool:
        try:
            async with opened(tenant) as unit:
                fields: Any = {"compensation": monthly(f"{amount}.00")}
                cmd = change.ChangeCompensation(a_target(state.id, seen=1), TODAY, fields)
                await change.change_compensation(cmd, unit)
        except Stale:
            return False
        return True

    return sum(await asyncio.gather(*(race(21000 + index) for index in range(8))))


async def test_writers_whose_version_is_not_looked_at_would_all_win(store: Store, tenant: TenantId) -> None:
    """The planted bug: a repository that takes no notice of what its caller saw."""

    @asynccontextmanager
    async def careless(tenant_id: TenantId) -> AsyncIterator[Unit]:
        async with store.unit(tenant_id) as unit:
            looked_at = unit.employees.get
            unit.employees.get = lambda id, seen=None: looked_at(id)  # type: ignore[method-assign]
            yield unit

    assert await winners_of(careless, store, tenant) == 8


async def test_a_national_id_that_was_moved_to_another_employee_does_not_open(store: Store, tenant: TenantId) -> None:
    person = {"national_id": "110101199003077758"}
    one, other = [await hired(store, tenant, person=person) for _ in range(2)]

    async with store.view(tenant) as view:
        mine, theirs = [await view.employees.one(each.id, TODAY, None) for each in (one, other)]
        assert mine is not None
        assert theirs is not None
        opened = view.vault.open(one.id, "national_id", mine.sealed()["national_id"])
        with pytest.raises(CiphertextRefused, match="moved or altered"):
            view.vault.open(one.id, "national_id", theirs.sealed()["national_id"])

    assert opened == "110101199003077758"


async def test_of_many_hires_under_one_number_one_wins(store: Store, tenant: TenantId) -> None:
    async def race() -> bool:
        try:
            await hired(store, tenant, number="E-ONE")
        except EmployeeNumberTaken:
            return False
        return True

    won = await asyncio.gather(*(race() for _ in range(6)))

    assert sorted(won) == [False] * 5 + [True]


async def test_a_refused_command_leaves_nothing(store: Store, tenant: TenantId) -> None:
    state = await hired(store, tenant)

    with pytest.raises(EntryNotValid):
        await transferred(store, tenant, state.id, TODAY, department="NOWHERE")

    async with store.view(tenant) as view:
        assert len((await read.get_history(state.id, None, view)).changes) == 1


async def test_events_are_saved_with_the_state(store: Store, tenant: TenantId) -> None:
    store.saved.clear()

    state = await hired(store, tenant)
    await transferred(store, tenant, state.id, TODAY, department="OPS")

    work = state.projection.segments[0].work
    assert work is not None
    async with store.view(tenant) as view:
        recorded = (await read.get_history(state.id, None, view)).changes
    assert events_of(store.saved) == [
        events.EmployeeHired(state.id, state.number, recorded[0].change_id, FIRST_DAY, work.assignment),
        events.EmployeeTransferred(state.id, recorded[1].change_id, TODAY, ("department",)),
    ]


async def test_another_tenant_sees_nothing_of_it(store: Store, tenant: TenantId) -> None:
    state = await hired(store, tenant)
    other = TenantId(uuid4())
    await publish(store, other)

    async with store.view(other) as view:
        with pytest.raises(EmployeeNotFound):
            await read.get_employee(read.GetEmployees([state.id], TODAY), view)
        assert await view.employees.page(Criteria(TODAY), None, 10) == []
        with pytest.raises(EmployeeNotFound):
            await read.get_history(state.id, None, view)
    with pytest.raises(EmployeeNotFound):
        await terminated(store, other, state.id, TODAY)
    with pytest.raises(ManagerNotFound):
        await hired(store, other, manager_id=state.id)
    await hired(store, other, number=state.number)


async def test_an_employee_is_read_as_of_a_date_and_as_known_at_an_instant(store: Store, tenant: TenantId) -> None:
    state = await hired(store, tenant)
    before_the_raise = store.clock.now()
    await raised(store, tenant, state.id, date(2026, 11, 16), "25000.00")

    async with store.view(tenant) as view:
        now = await view.employees.one(state.id, date(2026, 11, 16), None)
        day_before = await view.employees.one(state.id, date(2026, 11, 15), None)
        then = await view.employees.one(state.id, date(2026, 11, 16), before_the_raise)
        never = await view.employees.one(state.id, TODAY, before_the_raise - timedelta(days=1))

    assert now is not None
    assert day_before is not None
    assert then is not None
    assert never is None
    assert day_before.work == then.work != now.work
    assert now.version == then.version == 2


async def test_status_follows_from_the_date_asked(store: Store, tenant: TenantId) -> None:
    state = await hired(store, tenant, hire_date=date(2026, 3, 1), end_date=date(2026, 6, 30))

    async with store.view(tenant) as view:
        days = [date(2026, 2, 28), date(2026, 3, 1), date(2026, 6, 30), date(2026, 7, 1)]
        readings = [await view.employees.one(state.id, day, None) for day in days]

    assert [None if each is None else each.status(day) for each, day in zip(readings, days, strict=True)] == [
        EmployeeStatus.PENDING,
        EmployeeStatus.ACTIVE,
        EmployeeStatus.ACTIVE,
        EmployeeStatus.TERMINATED,
    ]


async def test_encrypted_fields_are_opened_only_where_asked(store: Store, tenant: TenantId) -> None:
    account = BankAccount("Li Wei", "6222020000001", "102290000000", "ICBC", Decimal(100))
    person = {"national_id": "310101199001011234", "email": "li.wei@example.com", "bank_accounts": [account]}
    state = await hired(store, tenant, person=person)

    async with store.view(tenant) as view:
        basic = await read.get_employee(read.GetEmployees([state.id], TODAY), view)
        full = await read.get_employee(read.GetEmployees([state.id], TODAY, opened=read.FULL), view)

    assert basic.fields == {}
    assert full.fields["national_id"] == "310101199001011234"
    assert full.fields["email"] == "li.wei@example.com"
    assert "6222020000001" in full.fields["bank_accounts"]
    assert b"310101199001011234" not in full.reading.person


async def test_a_national_id_is_found_by_its_blind_index(store: Store, tenant: TenantId) -> None:
    state = await hired(store, tenant, person={"national_id": "31010119900101123x"})
    await hired(store, tenant, person={"national_id": "310101199001015678"})
    query = read.ListEmployees(Criteria(TODAY), "310101 19900101 123X", None, 10)

    async with store.view(tenant) as view:
        found = await read.list_employees(query, view)

    assert [each.reading.employee_id for each in found] == [state.id]


async def test_a_list_is_filtered(store: Store, tenant: TenantId) -> None:
    boss = await hired(store, tenant, number="E1", name="Zhang San", department="HQ", position="")
    li = await hired(store, tenant, number="E2", name="李伟", manager_id=boss.id)
    wang = await hired(
        store, tenant, number="E3", name="Wang Fang", department="OPS", position="", pay_group="CN-WEEKLY"
    )
    await terminated(store, tenant, wang.id, date(2026, 6, 30))
    since = store.clock.now()
    await raised(store, tenant, li.id, TODAY, "30000.00")

    async def listed(**criteria: Any) -> list[str]:
        async with store.view(tenant) as view:
            return [each.reading.number for each in await view.employees.page(Criteria(TODAY, **criteria), None, 10)]

    assert await listed() == ["E1", "E2", "E3"]
    assert await listed(statuses=(EmployeeStatus.ACTIVE,)) == ["E1", "E2"]
    assert await listed(statuses=(EmployeeStatus.TERMINATED, EmployeeStatus.PENDING)) == ["E3"]
    assert await listed(departments=("HQ", "OPS")) == ["E1", "E3"]
    assert await listed(legal_entities=("ACME-UK",)) == []
    assert await listed(pay_group="CN-WEEKLY") == ["E3"]
    assert await listed(location="SHANGHAI", manager_id=boss.id) == ["E2"]
    assert await listed(q="伟") == ["E2"]
    assert await listed(q="wang") == ["E3"]
    assert await listed(q="e2") == ["E2"]
    assert await listed(q="%") == []
    assert await listed(employee_number="E1") == ["E1"]
    assert await listed(updated_since=since) == ["E2"]


async def test_a_team_is_who_reports_to_a_manager_on_a_day_directly_or_through_others(
    store: Store, tenant: TenantId
) -> None:
    boss = await hired(store, tenant, number="E1")
    lead = await hired(store, tenant, number="E2", manager_id=boss.id)
    await hired(store, tenant, number="E3", manager_id=lead.id)
    moved = await hired(store, tenant, number="E4", manager_id=lead.id)
    await hired(store, tenant, number="E5")
    await transferred(store, tenant, moved.id, TODAY, manager_id=None)

    async def team(manager: EmployeeId, day: date, **criteria: Any) -> list[str]:
        query = read.ListEmployees(Criteria(TODAY, **criteria), "", None, 10, below=(manager, day))
        async with store.view(tenant) as view:
            return [each.reading.number for each in await read.list_employees(query, view)]

    assert await team(boss.id, TODAY) == ["E2", "E3"]
    assert await team(boss.id, TODAY - timedelta(days=1)) == ["E2", "E3", "E4"]
    assert await team(lead.id, TODAY) == ["E3"]
    assert await team(boss.id, TODAY, sort=Sort.NAME, manager_id=lead.id) == ["E3"]
    assert await team(moved.id, TODAY) == []


async def test_a_team_with_too_many_managers_is_refused(store: Store, tenant: TenantId) -> None:
    boss = await hired(store, tenant)
    for _ in range(3):
        lead = await hired(store, tenant, manager_id=boss.id)
        await hired(store, tenant, manager_id=lead.id)
    query = read.ListEmployees(Criteria(TODAY), "", None, 10, below=(boss.id, TODAY), most_managers=3)

    with pytest.raises(TeamTooLarge):
        async with store.view(tenant) as view:
            await read.list_employees(query, view)
    async with store.view(tenant) as view:
        assert len(await read.list_employees(replace(query, most_managers=4), view)) == 6


@pytest.mark.parametrize("sort", Sort)
async def test_pages_of_every_sort_show_everybody_once(store: Store, tenant: TenantId, sort: Sort) -> None:
    names = ["Li Wei", "li wei", "Zhang San", "Li Wei", "王芳"]
    for index, name in enumerate(names):
        await hired(store, tenant, name=name, hire_date=FIRST_DAY + timedelta(days=index % 2))

    seen: list[tuple[str, str]] = []
    after: tuple[str, EmployeeId] | None = None
    async with store.view(tenant) as view:
        for _ in range(4):
            page = await view.employees.page(Criteria(TODAY, sort=sort), after, 2)
            seen += [(each.key, str(each.reading.employee_id)) for each in page]
            if page:
                after = (page[-1].key, page[-1].reading.employee_id)

    assert len(seen) == len(names)
    assert seen == sorted(set(seen))


async def test_a_pay_slice_gives_each_stretch_of_constant_facts(store: Store, tenant: TenantId) -> None:
    steady = await hired(store, tenant)
    gets_a_raise = await hired(store, tenant)
    await raised(store, tenant, gets_a_raise.id, date(2026, 11, 16), "25000.00")
    joiner = await hired(store, tenant, hire_date=date(2026, 11, 10))
    leaver = await hired(store, tenant)
    await terminated(store, tenant, leaver.id, date(2026, 11, 20))
    moves_away = await hired(store, tenant)
    await transferred(store, tenant, moves_away.id, date(2026, 11, 11), pay_group="CN-WEEKLY")
    await hired(store, tenant, hire_date=date(2026, 12, 1))
    gone = await hired(store, tenant)
    await terminated(store, tenant, gone.id, date(2026, 10, 31))

    async with store.view(tenant) as view:
        page = await view.employees.pay_slice(PayQuestion("CN-MONTHLY", NOVEMBER), None, 500)

    days = sorted((str(each.employee_id), each.days.start.day, each.days.last_day.day) for each in page.segments)
    assert days == sorted(
        [
            (str(steady.id), 1, 30),
            (str(gets_a_raise.id), 1, 15),
            (str(gets_a_raise.id), 16, 30),
            (str(joiner.id), 10, 30),
            (str(leaver.id), 1, 20),
            (str(moves_away.id), 1, 10),
        ]
    )
    assert page.next_after is None


async def test_a_raise_in_mid_month_gives_one_person_two_segments_and_no_more(store: Store, tenant: TenantId) -> None:
    """Golden case G8: 100 for the days 1 to 15, 200 for the days 16 to 30."""
    state = await hired(store, tenant, hire_date=date(2026, 11, 1))
    hire_id = state.changes[0].change_id
    async with store.unit(tenant) as unit:
        cmd = change.CorrectEmployee(a_target(state.id), hire_id, None, {"compensation": monthly("100.00")}, {})
        await change.correct_employee(cmd, unit)
    await raised(store, tenant, state.id, date(2026, 11, 16), "200.00")

    async with store.view(tenant) as view:
        page = await view.employees.pay_slice(PayQuestion("CN-MONTHLY", NOVEMBER), None, 500)

    paid = [(each.days, WorkFacts.FromString(each.work).compensation.amount) for each in page.segments]
    assert paid == [
        (Period(date(2026, 11, 1), date(2026, 11, 16)), "100.00"),
        (Period(date(2026, 11, 16), date(2026, 12, 1)), "200.00"),
    ]
    assert {each.employee_id for each in page.segments} == {state.id}
    assert {each.spell.start for each in page.segments} == {date(2026, 11, 1)}


async def test_a_newcomer_in_a_batch_changes_nothing_for_the_others(store: Store, tenant: TenantId) -> None:
    """Golden case G23: the others are paid for the whole month, the newcomer from the first day on."""
    async with store.unit(tenant) as unit:
        hires = [a_hire("OLD-1"), a_hire("NEW", hire_date=date(2026, 11, 16)), a_hire("OLD-2"), a_hire("OLD-1")]
        outcomes = await hire.hire_employees(hire.HireEmployees(hires), unit)

    async with store.view(tenant) as view:
        page = await view.employees.pay_slice(PayQuestion("CN-MONTHLY", NOVEMBER), None, 500)

    days = {each.number: (each.spell.start, each.days) for each in page.segments}
    assert [isinstance(outcome, DomainError) for outcome in outcomes] == [False, False, False, True]
    assert days == {
        "OLD-1": (FIRST_DAY, NOVEMBER),
        "OLD-2": (FIRST_DAY, NOVEMBER),
        "NEW": (date(2026, 11, 16), Period(date(2026, 11, 16), date(2026, 12, 1))),
    }


async def test_a_change_of_the_person_does_not_cut_a_pay_segment(store: Store, tenant: TenantId) -> None:
    state = await hired(store, tenant)
    async with store.unit(tenant) as unit:
        cmd = change.UpdatePerson(a_target(state.id), date(2026, 11, 16), {"legal_name": "Li Wei-Zhang"})
        await change.update_person(cmd, unit)

    async with store.view(tenant) as view:
        page = await view.employees.pay_slice(PayQuestion("CN-MONTHLY", NOVEMBER), None, 500)

    assert [each.days for each in page.segments] == [NOVEMBER]


async def test_pages_of_a_pay_slice_show_everybody_once_in_order_of_id(store: Store, tenant: TenantId) -> None:
    everybody = [(await hired(store, tenant)).id for _ in range(7)]
    for id in everybody[::2]:
        await raised(store, tenant, id, date(2026, 11, 16), "25000.00")

    seen: list[EmployeeId] = []
    after: EmployeeId | None = None
    async with store.view(tenant) as view:
        for _ in range(10):
            page = await view.employees.pay_slice(PayQuestion("CN-MONTHLY", NOVEMBER), after, 2)
            seen += dict.fromkeys(each.employee_id for each in page.segments)
            after = page.next_after
            if after is None:
                break

    assert seen == sorted(everybody)


async def test_a_pay_slice_can_be_asked_for_some_people_and_for_the_past(store: Store, tenant: TenantId) -> None:
    first, second = await hired(store, tenant), await hired(store, tenant)
    then = store.clock.now()
    await terminated(store, tenant, first.id, date(2026, 10, 31))
    question = PayQuestion("CN-MONTHLY", NOVEMBER, employee_ids=(first.id,))

    async with store.view(tenant) as view:
        now = await view.employees.pay_slice(question, None, 500)
        known_then = await view.employees.pay_slice(PayQuestion("CN-MONTHLY", NOVEMBER, then), None, 500)

    assert now.segments == []
    assert {each.employee_id for each in known_then.segments} == {first.id, second.id}


async def test_who_was_changed_since_an_instant_is_named_exactly(store: Store, tenant: TenantId) -> None:
    people = [(await hired(store, tenant)).id for _ in range(6)]
    cutoff = store.clock.now()
    await raised(store, tenant, people[0], date(2026, 11, 16), "25000.00")
    await raised(store, tenant, people[1], date(2026, 12, 1), "25000.00")
    await transferred(store, tenant, people[2], date(2026, 11, 16), manager_id=people[3])
    await terminated(store, tenant, people[3], date(2026, 11, 20))
    await raised(store, tenant, people[4], date(2026, 11, 16), "25000.00")
    await raised(store, tenant, people[4], date(2026, 11, 16), "20000.00")
    newcomer = await hired(store, tenant, hire_date=date(2026, 11, 10))
    question = PayQuestion("CN-MONTHLY", NOVEMBER, cutoff)

    async with store.view(tenant) as view:
        found = await read.list_changed(read.ListChanged(question, 0, None, 50), view)

    assert {each.employee_id: each.kinds for each in found.employees} == {
        people[0]: (ChangeKind.COMPENSATION,),
        people[3]: (ChangeKind.TERMINATION,),
        newcomer.id: (ChangeKind.HIRE,),
    }


async def test_a_roster_names_zone_and_schedule_of_every_employed_day(store: Store, tenant: TenantId) -> None:
    state = await hired(store, tenant, end_date=date(2026, 12, 31))
    await transferred(store, tenant, state.id, date(2026, 7, 1), location="LONDON", legal_entity="ACME-UK", position="")
    stranger = EmployeeId(uuid4())

    async with store.view(tenant) as view:
        [roster] = await read.get_roster([stranger, state.id], FOUNDED, view)

    assert roster.source_version == 3 + 1
    assert [(each.days, each.time_zone) for each in roster.days] == [
        (Period(FIRST_DAY, date(2026, 7, 1)), "Asia/Shanghai"),
        (Period(date(2026, 7, 1), date(2027, 1, 1)), "Europe/London"),
    ]


async def test_a_location_that_moves_to_another_zone_cuts_the_roster(store: Store, tenant: TenantId) -> None:
    state = await hired(store, tenant)
    before = await _roster(store, tenant, state.id)
    await publish(store, tenant, an_entry("SHANGHAI", Location("Asia/Urumqi", "CN"), date(2026, 7, 1)))

    after = await _roster(store, tenant, state.id)

    assert [each.time_zone for each in after.days] == ["Asia/Shanghai", "Asia/Urumqi"]
    assert after.source_version > before.source_version


async def _roster(store: Store, tenant: TenantId, id: EmployeeId) -> read.RosterReading:
    async with store.view(tenant) as view:
        [roster] = await read.get_roster([id], FOUNDED, view)
    return roster


async def test_nobody_comes_to_report_to_themselves(store: Store, tenant: TenantId) -> None:
    top = await hired(store, tenant)
    middle = await hired(store, tenant, manager_id=top.id)
    bottom = await hired(store, tenant, manager_id=middle.id)

    with pytest.raises(ManagerCycle):
        await transferred(store, tenant, top.id, TODAY, manager_id=bottom.id)


async def test_a_circle_that_would_close_on_a_later_day_is_refused(store: Store, tenant: TenantId) -> None:
    first, second = await hired(store, tenant), await hired(store, tenant)
    await transferred(store, tenant, first.id, date(2027, 1, 1), manager_id=second.id)

    with pytest.raises(ManagerCycle):
        await transferred(store, tenant, second.id, TODAY, manager_id=first.id)


async def test_two_people_may_manage_each_other_one_after_the_other(store: Store, tenant: TenantId) -> None:
    first, second = await hired(store, tenant), await hired(store, tenant)
    await transferred(store, tenant, first.id, date(2026, 7, 1), manager_id=second.id)
    await transferred(store, tenant, first.id, date(2026, 9, 1), manager_id=None)

    await transferred(store, tenant, second.id, date(2026, 9, 1), manager_id=first.id)

    async with store.unit(tenant) as unit:
        lines = await unit.employees.reporting_lines([first.id, second.id])
    assert len(lines) == 2


async def test_a_department_with_people_cannot_be_closed(store: Store, tenant: TenantId) -> None:
    state = await hired(store, tenant, department="OPS", position="")
    close = EntryChange(EntryKind.DEPARTMENT, "OPS", TODAY, None)

    with pytest.raises(EntryInUse):
        await publish(store, tenant, close)

    await terminated(store, tenant, state.id, TODAY - timedelta(days=1))
    assert await publish(store, tenant, close) == 2


async def test_a_refused_closing_tells_how_many_are_in_it_and_who(store: Store, tenant: TenantId) -> None:
    closure = EntryChange(EntryKind.DEPARTMENT, "OPS", TODAY, None)
    for index in range(6):
        await hired(store, tenant, number=f"OPS-{index}", department="OPS", position="")
    leaver = await hired(store, tenant, number="LEAVER", department="OPS", position="")
    await terminated(store, tenant, leaver.id, TODAY - timedelta(days=1))
    mover = await hired(store, tenant, number="MOVER", department="OPS", position="")
    await transferred(store, tenant, mover.id, TODAY, department="HQ")
    newcomer = await hired(store, tenant, number="NEXT-YEAR", department="HQ", position="")
    await transferred(store, tenant, newcomer.id, date(2027, 1, 1), department="OPS")

    with pytest.raises(EntryInUse) as refusal:
        await publish(store, tenant, closure)

    assert refusal.value.message == (
        "7 employees have OPS from 2026-11-23 on (NEXT-YEAR, OPS-0, OPS-1, OPS-2, OPS-3 and others): "
        "transfer or terminate them first"
    )
    assert refusal.value.facts["count"] == 7
    for index in range(6):
        async with store.view(tenant) as view:
            [one] = await view.employees.page(Criteria(TODAY, employee_number=f"OPS-{index}"), None, 1)
        await transferred(store, tenant, one.reading.employee_id, TODAY, department="HQ")
    with pytest.raises(EntryInUse, match="1 employee has OPS"):
        await publish(store, tenant, closure)


async def test_a_headcount_follows_the_day_that_is_asked(store: Store, tenant: TenantId) -> None:
    await publish(store, tenant, an_entry("COOK", Position()))
    first, second, third = [await hired(store, tenant) for _ in range(3)]
    await hired(store, tenant, hire_date=date(2026, 12, 1))
    await hired(store, tenant, position="COOK", department="HQ")
    await transferred(store, tenant, second.id, TODAY, position="COOK")
    await terminated(store, tenant, third.id, TODAY)
    await transferred(store, tenant, first.id, date(2026, 12, 1), location="LONDON")

    async def held(day: date) -> dict[str, int]:
        async with store.view(tenant) as view:
            return dict((await chart.list_headcount(chart.ReadChart(day, limit=10), view))[1])

    assert await held(FIRST_DAY - timedelta(days=1)) == {}
    assert await held(TODAY - timedelta(days=1)) == {"COOK": 1, "ENGINEER": 3}
    assert await held(TODAY) == {"COOK": 2, "ENGINEER": 2}
    assert await held(TODAY + timedelta(days=1)) == {"COOK": 2, "ENGINEER": 1}
    assert await held(date(2026, 12, 1)) == {"COOK": 2, "ENGINEER": 2}


async def test_future_dated_changes_take_effect_by_themselves(store: Store, tenant: TenantId) -> None:
    boss = await hired(store, tenant, number="BOSS", department="HQ", position="")
    li = await hired(store, tenant, number="LI")
    day = date(2027, 3, 1)
    eve = day - timedelta(days=1)
    await transferred(store, tenant, li.id, day, department="OPS", position="", manager_id=boss.id, location="LONDON")
    await raised(store, tenant, li.id, day, "30000.00")
    leaver = await hired(store, tenant, number="LEAVER", position="")
    await terminated(store, tenant, leaver.id, eve)
    await hired(store, tenant, number="JOINER", position="", hire_date=day)
    accounts = [BankAccount("Li Wei", "6222-1", "", "ICBC", Decimal(100))]
    async with store.unit(tenant) as unit:
        await change.change_bank_accounts(change.ChangeBankAccounts(a_target(li.id), day, accounts), unit)
    profile = change.ChangeStatutoryProfile(
        a_target(li.id), day, "CN", {f"{STATUTORY}CN.social_insurance_city": "KUNMING"}
    )
    async with store.unit(tenant) as unit:
        await change.change_statutory_profile(profile, unit)

    async def listed(as_of: date, **criteria: Any) -> list[str]:
        async with store.view(tenant) as view:
            return [each.reading.number for each in await view.employees.page(Criteria(as_of, **criteria), None, 10)]

    async def segment(as_of: date) -> Any:
        async with store.unit(tenant) as unit:
            return (await unit.employees.get(li.id)).state.projection.at(as_of)

    before, after = await segment(eve), await segment(day)
    assert (before.work.assignment.department, after.work.assignment.department) == ("ENG", "OPS")
    assert (before.work.compensation, after.work.compensation) == (monthly("20000.00"), monthly("30000.00"))
    assert [dict(each.work.statutory[0][1])["social_insurance_city"] for each in (before, after)] == [
        "SHANGHAI",
        "KUNMING",
    ]
    assert (before.person.bank_accounts is None, after.person.bank_accounts is None) == (True, False)
    active: Any = {"statuses": (EmployeeStatus.ACTIVE,)}
    assert (await listed(eve, **active), await listed(day, **active)) == (
        ["BOSS", "LEAVER", "LI"],
        ["BOSS", "JOINER", "LI"],
    )
    assert (await listed(eve, departments=("OPS",)), await listed(day, departments=("OPS",))) == ([], ["LI"])
    assert (await listed(eve, location="LONDON"), await listed(day, location="LONDON")) == ([], ["LI"])
    assert (await listed(eve, manager_id=boss.id), await listed(day, manager_id=boss.id)) == ([], ["LI"])
    pending: Any = {"statuses": (EmployeeStatus.PENDING,)}
    terminated_: Any = {"statuses": (EmployeeStatus.TERMINATED,)}
    assert (await listed(eve, **pending), await listed(day, **pending)) == (["JOINER"], [])
    assert (await listed(eve, **terminated_), await listed(day, **terminated_)) == ([], ["LEAVER"])


async def test_statutory_answers_of_two_countries_have_timelines_of_their_own(store: Store, tenant: TenantId) -> None:
    state = await hired(store, tenant)
    for country, day, answers in (
        ("GB", date(2026, 4, 6), {"tax_code": "1257L", "ni_category": "A"}),
        ("GB", date(2027, 4, 6), {"tax_code": "1300L"}),
        ("CN", date(2026, 7, 1), {"housing_fund_rate": "0.05"}),
        ("GB", date(2027, 6, 1), {"ni_category": ""}),
    ):
        fields = {f"{STATUTORY}{country}.{name}": answer or None for name, answer in answers.items()}
        async with store.unit(tenant) as unit:
            cmd = change.ChangeStatutoryProfile(a_target(state.id), day, country, fields)
            await change.change_statutory_profile(cmd, unit)

    async def answers_on(day: date) -> dict[str, dict[str, str]]:
        async with store.unit(tenant) as unit:
            segment = (await unit.employees.get(state.id)).state.projection.at(day)
        assert segment is not None
        assert segment.work is not None
        return {country: dict(said) for country, said in segment.work.statutory}

    china = {"housing_fund_rate": "0.07", "social_insurance_city": "SHANGHAI"}
    assert await answers_on(date(2026, 4, 5)) == {"CN": china}
    assert await answers_on(date(2026, 4, 6)) == {"CN": china, "GB": {"tax_code": "1257L", "ni_category": "A"}}
    assert await answers_on(date(2027, 4, 6)) == {
        "CN": china | {"housing_fund_rate": "0.05"},
        "GB": {"tax_code": "1300L", "ni_category": "A"},
    }
    assert await answers_on(date(2027, 6, 1)) == {
        "CN": china | {"housing_fund_rate": "0.05"},
        "GB": {"tax_code": "1300L"},
    }


async def test_nobody_is_hired_into_what_closes_later(store: Store, tenant: TenantId) -> None:
    await publish(store, tenant, EntryChange(EntryKind.DEPARTMENT, "OPS", date(2027, 1, 1), None))

    with pytest.raises(EntryNotValid):
        await hired(store, tenant, department="OPS", position="")

    await hired(store, tenant, department="OPS", position="", end_date=date(2026, 12, 31))


async def test_people_beyond_the_plan_of_a_position_are_hired_and_counted(store: Store, tenant: TenantId) -> None:
    await publish(store, tenant, an_entry("ENGINEER", Position("ENG", 1)), an_entry("CLERK", Position("OPS")))
    await hired(store, tenant)
    leaver = await hired(store, tenant)
    await hired(store, tenant, hire_date=TODAY + timedelta(days=1))
    await hired(store, tenant, position="")
    await terminated(store, tenant, leaver.id, TODAY)

    async def counted(day: date, **page: Any) -> tuple[list[str], dict[str, int]]:
        async with store.view(tenant) as view:
            reading, filled = await chart.list_headcount(chart.ReadChart(day, **{"limit": 10, **page}), view)
        return sorted(code for _, code in reading.content.timelines), dict(filled)

    assert await counted(TODAY) == (["CLERK", "ENGINEER"], {"ENGINEER": 2})
    assert await counted(TODAY + timedelta(days=1)) == (["CLERK", "ENGINEER"], {"ENGINEER": 2})
    assert await counted(TODAY + timedelta(days=1), limit=1) == (["CLERK"], {})
    assert await counted(FIRST_DAY - timedelta(days=1), after_code="CLERK") == (["ENGINEER"], {})


async def test_content_at_a_version_and_date_is_the_same_for_ever(store: Store, tenant: TenantId) -> None:
    async def read_at(version: int, day: date) -> str:
        async with store.view(tenant) as view:
            query = chart.ReadChart(day, version, EntryKind.DEPARTMENT, "ENG")
            reading = await chart.read_entry(query, view)
        entry = reading.content.at(EntryKind.DEPARTMENT, "ENG", day)
        assert entry is not None
        return entry.name

    await publish(store, tenant, an_entry("ENG", Department("HQ"), date(2026, 7, 1), "Engineering"))
    await publish(store, tenant, an_entry("ENG", Department(), date(2026, 7, 1), "Technology"))

    assert [await read_at(version, TODAY) for version in (1, 2, 3)] == ["Eng", "Engineering", "Technology"]
    assert [await read_at(version, date(2026, 6, 30)) for version in (1, 2, 3)] == ["Eng"] * 3
    with pytest.raises(EntryNotFound):
        await read_at(4, TODAY)


async def test_chart_and_headcount_are_read_as_they_were_known(store: Store, tenant: TenantId) -> None:
    async def read_known(known_at: datetime) -> tuple[int, str | None, list[str], dict[str, int]]:
        async with store.view(tenant) as view:
            whole = await chart.read_chart(chart.ReadChart(TODAY, known_at=known_at), view)
            query = chart.ReadChart(TODAY, kind=EntryKind.DEPARTMENT, limit=10, known_at=known_at)
            listed = await chart.list_entries(query, view)
            _, filled = await chart.list_headcount(chart.ReadChart(TODAY, limit=10, known_at=known_at), view)
        entry = whole.content.at(EntryKind.DEPARTMENT, "ENG", TODAY)
        codes = sorted(code for _, code in listed.content.timelines)
        return whole.catalog_version, None if entry is None else entry.name, codes, dict(filled)

    founded = store.clock.now()
    await publish(store, tenant, an_entry("ENG", Department("HQ"), date(2026, 7, 1), "Engineering"))
    first = await hired(store, tenant)
    renamed = store.clock.now()
    await hired(store, tenant)
    await terminated(store, tenant, first.id, TODAY - timedelta(days=1))

    departments = ["ENG", "HQ", "OPS"]
    assert await read_known(store.clock.now()) == (2, "Engineering", departments, {"ENGINEER": 1})
    assert await read_known(renamed) == (2, "Engineering", departments, {"ENGINEER": 1})
    assert await read_known(founded) == (1, "Eng", departments, {})
    assert await read_known(datetime(2020, 1, 1, tzinfo=UTC)) == (0, None, [], {})
    async with store.view(tenant) as view:
        with pytest.raises(InvalidValue, match="one of them"):
            await chart.read_chart(chart.ReadChart(TODAY, 1, known_at=renamed), view)


async def test_entries_are_listed_in_pages_by_code(store: Store, tenant: TenantId) -> None:
    codes: list[str] = []
    after: str | None = ""
    async with store.view(tenant) as view:
        while after is not None:
            query = chart.ReadChart(TODAY, kind=EntryKind.DEPARTMENT, after_code=after, limit=2)
            reading = await chart.list_entries(query, view)
            codes += sorted(code for _, code in reading.content.timelines)
            after = reading.next_code

    assert codes == ["ENG", "HQ", "OPS"]


async def test_an_entry_that_somebody_else_published_first_is_stale(store: Store, tenant: TenantId) -> None:
    await publish(store, tenant, an_entry("ENG", Department("HQ"), TODAY, "Engineering"))
    change_of_eng = an_entry("ENG", Department(), TODAY, "Technology")

    with pytest.raises(Stale):
        async with store.unit(tenant) as unit:
            await chart.publish(chart.Publish([change_of_eng], seen=1), unit)


async def test_the_frontier_tells_the_youngest_fact_of_the_pay_group(store: Store, tenant: TenantId) -> None:
    store.clock.instant = store.clock.instant.replace(year=2020)
    state = await hired(store, tenant)

    async with store.view(tenant) as view:
        frontier = await read.get_frontier("CN-MONTHLY", view)

    assert frontier.latest_record_time is not None
    assert frontier.latest_record_time >= (state.last_record_time or frontier.latest_record_time)
    assert frontier.settled_time <= frontier.database_time


async def test_who_was_changed_after_a_position_of_the_feed_is_named() -> None:
    store, tenant = MemoryStore(), TenantId(uuid4())  # the feed of a database is written by the service
    await publish(store, tenant)
    old = await hired(store, tenant)
    async with store.view(tenant) as view:
        position = await view.employees.feed_position()
    new = await hired(store, tenant)
    await raised(store, tenant, old.id, date(2026, 12, 1), "25000.00")

    async with store.view(tenant) as view:
        found = await read.list_changed(read.ListChanged(PayQuestion("CN-MONTHLY", NOVEMBER), position, None, 50), view)

    assert [each.employee_id for each in found.employees] == [new.id]
