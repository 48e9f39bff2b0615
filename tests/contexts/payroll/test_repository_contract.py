"""What payroll's repositories promise, on memory, SQLite and MariaDB alike."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID, uuid4

import pytest

from chassis.clock import SystemClock
from chassis.database import Database
from chassis.outbox import Saved
from chassis.principal import Call, Principal
from contexts.payroll.adapters.chunk_service import payslip_ids
from contexts.payroll.domain.catalog import CatalogEntry, PayDateRule, PayFrequency, PayGroup
from contexts.payroll.domain.errors import PayslipNotFound, RunExists, RunNotFound
from contexts.payroll.domain.events import CalculationRequested, PayrollRunCreated
from contexts.payroll.domain.pay_input import PayInput, PayInputId, PayInputState, PayInputStatus
from contexts.payroll.domain.payment import PaymentStatus, SplitPart, arranged
from contexts.payroll.domain.payroll_run import PayrollRun, RunId, RunKind, RunRequest, RunStatus
from contexts.payroll.domain.payslip import (
    CalculatedBlocker,
    CalculatedPayslip,
    ChunkResult,
    ComponentSum,
    StoredChunk,
    results_hash,
)
from contexts.payroll.repository.documents import canonical
from contexts.payroll.repository.memory import MemoryReading, MemoryWork, Rows
from contexts.payroll.repository.port import PayrollReading, PayrollWork, PlacesTaken, SlotsInTheWay
from contexts.payroll.repository.sql import SqlPayrollReading, SqlPayrollWork
from contexts.payroll.repository.tables import metadata
from kernel.errors import Stale
from kernel.ids import EmployeeId, TenantId, Version
from kernel.money import Money
from tests.support.payroll import a_component

NOW = datetime(2026, 12, 1, 3, 0, 0, 123456, tzinfo=UTC)
GROUP = PayGroup(
    "CN-MONTHLY", "Monthly", "ACME-TAX", PayFrequency.MONTH, "CNY", "CN", "MONTHLY", 0, PayDateRule(1, 5),
    date(2020, 1, 1),
)  # fmt: skip


class Store(Protocol):
    """Payroll's repositories on one engine; a unit commits when its block ends and is forgotten when it raises."""

    saved: list[Saved]

    def unit(self, tenant_id: TenantId) -> AbstractAsyncContextManager[PayrollWork]: ...

    def view(self, tenant_id: TenantId) -> AbstractAsyncContextManager[PayrollReading]: ...


@dataclass
class MemoryStore:
    """In dictionaries."""

    saved: list[Saved] = field(default_factory=list)
    tenants: dict[TenantId, Rows] = field(default_factory=dict)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def unit(self, tenant_id: TenantId) -> AsyncIterator[PayrollWork]:
        async with self.turn:
            rows = self.tenants.setdefault(tenant_id, Rows())
            work = MemoryWork(rows, tenant_id, "tester", lambda: NOW, uuid4)
            yield work
            self.tenants[tenant_id] = work.rows
            self.saved += work.outbox.saved

    @asynccontextmanager
    async def view(self, tenant_id: TenantId) -> AsyncIterator[PayrollReading]:
        yield MemoryReading(self.tenants.setdefault(tenant_id, Rows()))


@dataclass
class SqlStore:
    """In a database."""

    database: Database
    saved: list[Saved] = field(default_factory=list)
    kept: dict[Any, Any] = field(default_factory=dict)

    @asynccontextmanager
    async def unit(self, tenant_id: TenantId) -> AsyncIterator[PayrollWork]:
        call = Call(Principal(tenant_id, "tester", frozenset()), "test", None, None, float("inf"))
        async with self.database.write(tenant_id) as tx:
            work = SqlPayrollWork(tx, call, SystemClock(), self.kept)
            yield work
        self.saved += work.outbox.saved

    @asynccontextmanager
    async def view(self, tenant_id: TenantId) -> AsyncIterator[PayrollReading]:
        async with self.database.read(tenant_id) as tx:
            yield SqlPayrollReading(tx, self.kept)


@pytest.fixture(params=["memory", "sqlite", "mariadb"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """The same promises, three times."""
    if request.param == "memory":
        yield MemoryStore()
        return
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'payroll.sqlite3'}"
    else:
        url = request.getfixturevalue("mariadb").create_database(f"payroll_{uuid4().hex[:12]}")
    database = Database(url, metadata, synchronous="OFF")
    await database.create_tables()
    yield SqlStore(database)
    await database.close()


@pytest.fixture
def tenant() -> TenantId:
    """A tenant of its own."""
    return TenantId(uuid4())


def a_run(period: str = "2026-11", kind: RunKind = RunKind.REGULAR, sequence: int = 0) -> PayrollRun:
    """A run in DRAFT."""
    employees = () if kind is RunKind.REGULAR else (EmployeeId(UUID(int=7)), EmployeeId(UUID(int=9)))
    request = RunRequest(kind, date(2026, 12, 5), employees, "because", NOW - timedelta(microseconds=1), False)
    return PayrollRun.create(RunId(uuid4()), GROUP.period(period), request, sequence, "preparer", NOW)


def started(run: PayrollRun) -> PayrollRun:
    """In its next attempt."""
    run.start_calculation("preparer", None, NOW, 3, "CN-x", canonical)
    return run


def an_employee(number: int) -> EmployeeId:
    """Employees in order."""
    return EmployeeId(UUID(int=number << 64))


def a_payslip(employee: EmployeeId, assignment: int = 0, inputs: tuple[UUID, ...] = (), **changes: Any) -> Any:
    """A payslip of November."""
    made = CalculatedPayslip(
        employee_id=employee,
        gross=100,
        net=80,
        employer_cost=130,
        deductions=20,
        content_hash=employee.bytes * 2,
        predecessor_id=None,
        inputs=b"{}",
        lines=b'[{"amount":"1","code":"BASE","kind":"EARNING"}]',
        year_to_date=b'{"n":"%d"}' % employee.int,
        paid=((UUID(int=assignment or employee.int), "BASE", 739921, 739951),),
        input_ids=inputs,
    )
    return made._replace(**changes)


def a_result(payslips: list[Any], blockers: list[CalculatedBlocker] | None = None) -> ChunkResult:
    """A calculated chunk."""
    blocked = tuple(blockers or ())
    return ChunkResult(
        b"f" * 32,
        results_hash([(one.employee_id, one.content_hash) for one in payslips], []),
        None,
        None,
        tuple(payslips),
        blocked,
        {"BASE": ComponentSum(100 * len(payslips), len(payslips))},
    )


async def put_chunk(
    work: PayrollWork, run: PayrollRun, result: ChunkResult, number: int = 1, careful: bool = False
) -> StoredChunk:
    """A chunk of these results."""
    last = result.payslips[-1].employee_id if result.payslips else None
    chunk = StoredChunk(
        number,
        None,
        None if last is None else EmployeeId(last),
        True,
        result.facts_hash,
        result.results_hash,
        result.totals,
        result.sums,
    )
    ids = payslip_ids(NOW, len(result.payslips))
    await work.payslips.add_chunk(run.state, chunk, result, ids, NOW, careful=careful)
    return chunk


async def test_a_run_is_read_back_as_it_was_written(store: Store, tenant: TenantId) -> None:
    run = a_run(kind=RunKind.OFF_CYCLE, sequence=1)
    async with store.unit(tenant) as work:
        await work.runs.add(run)
        await work.runs.save(started(run))

    async with store.unit(tenant) as work:
        found = await work.runs.get(run.state.id)
    async with store.view(tenant) as view:
        seen = await view.run(run.state.id)

    assert found.state == run.state == seen.state
    assert (found.state.version, found.state.input_cutoff) == (2, NOW - timedelta(microseconds=1))


async def test_events_are_saved_with_the_version_that_they_made(store: Store, tenant: TenantId) -> None:
    run = a_run()
    async with store.unit(tenant) as work:
        await work.runs.add(run)
        await work.runs.save(started(run))

    assert [(one.aggregate_version, type(one.event)) for one in store.saved] == [
        (1, PayrollRunCreated),
        (2, CalculationRequested),
    ]


async def test_the_second_of_two_writers_is_refused(store: Store, tenant: TenantId) -> None:
    run = a_run()
    async with store.unit(tenant) as work:
        await work.runs.add(run)
    async with store.unit(tenant) as work:
        first, second = await work.runs.get(run.state.id), await work.runs.get(run.state.id)
        await work.runs.save(started(first))

        with pytest.raises(Stale):
            await work.runs.save(started(second))
        with pytest.raises(Stale):
            await work.runs.get(run.state.id, Version(1))


async def test_a_place_has_one_live_run_and_is_free_again_after_a_void_one(store: Store, tenant: TenantId) -> None:
    first, second, third = a_run(), a_run(), a_run()
    async with store.unit(tenant) as work:
        await work.runs.add(first)
    with pytest.raises(RunExists):
        async with store.unit(tenant) as work:
            await work.runs.add(second)
    async with store.unit(tenant) as work:
        void = await work.runs.get(first.state.id)
        void.void()
        await work.runs.save(void)
        await work.runs.add(third)

        live = await work.runs.live("CN-MONTHLY", "2026-11", RunKind.REGULAR)

    assert [state.id for state in live] == [third.state.id]


async def test_sequences_rise_over_void_runs_too(store: Store, tenant: TenantId) -> None:
    async with store.unit(tenant) as work:
        await work.runs.add(a_run(kind=RunKind.OFF_CYCLE, sequence=4))

        following = await work.runs.next_sequence("CN-MONTHLY", "2026-11", RunKind.OFF_CYCLE)
        first = await work.runs.next_sequence("CN-MONTHLY", "2026-12", RunKind.OFF_CYCLE)

    assert (following, first) == (5, 1)


async def test_a_claim_raises_the_fence_and_keeps_the_first_positions(store: Store, tenant: TenantId) -> None:
    run = a_run()
    until = NOW + timedelta(seconds=15)
    async with store.unit(tenant) as work:
        await work.runs.add(run)
        await work.runs.ask_for_calculation(run.state.id, NOW)
        first = await work.runs.claim(run.state.id, "w1", NOW, until, {"organization": 5})
        held = await work.runs.claim(run.state.id, "w2", NOW, until, {})
        later = await work.runs.claim(run.state.id, "w2", until + timedelta(seconds=1), until, {"organization": 9})
        assert first is not None
        assert later is not None

        extended = await work.runs.extend(run.state.id, later.fence, until)
        fenced = await work.runs.extend(run.state.id, first.fence, until)
        await work.runs.move_positions(run.state.id, {"attendance": 3})
        lease = await work.runs.lease(run.state.id)

    assert held is None
    assert later.fence == first.fence + 1
    assert (extended, fenced) == (True, False)
    assert lease.positions == {"organization": 5, "attendance": 3}
    assert lease.worker_id == "w2"


async def test_runs_that_nobody_holds_wait(store: Store, tenant: TenantId) -> None:
    run, draft = started(a_run()), a_run("2026-10")
    async with store.unit(tenant) as work:
        await work.runs.add(run)
        await work.runs.add(draft)
        await work.runs.ask_for_calculation(run.state.id, NOW)
        asked = await work.runs.waiting(NOW, NOW, 10)
        waiting = await work.runs.waiting(NOW, NOW + timedelta(seconds=1), 10)
        await work.runs.claim(run.state.id, "w", NOW, NOW + timedelta(seconds=15), {})
        held = await work.runs.waiting(NOW, NOW + timedelta(seconds=1), 10)
        dead = await work.runs.waiting(NOW + timedelta(seconds=16), NOW + timedelta(seconds=1), 10)

    assert ([one.state.id for one in waiting], [one.state.id for one in dead]) == ([run.state.id],) * 2
    assert (asked, held) == ([], [])


async def test_a_chunk_is_read_back_with_everything_in_it(store: Store, tenant: TenantId) -> None:
    run = started(a_run())
    people = [an_employee(number) for number in (3, 1, 2)]
    ordered = sorted(people, key=lambda one: one.bytes)
    blocked = CalculatedBlocker(an_employee(9), "TIMESHEET_OPEN", "lock it", "T9")
    result = a_result([a_payslip(one) for one in ordered], [blocked, blocked._replace(reason="WAGE_MISSING")])
    async with store.unit(tenant) as work:
        await work.runs.add(run)
        chunk = await put_chunk(work, run, result)
        stored = await work.payslips.chunks(run.state)
        results = await work.payslips.results(run.state, ordered[0], None)
        spans = await work.payslips.blocked(run.state, None, None)
        has = await work.payslips.has(run.state, [*people, an_employee(9), an_employee(10)])
        undeferred = await work.payslips.undeferred(run.state)

    async with store.view(tenant) as view:
        listed = await view.payslips_of_run(run.state.id, None, 2)
        rest = await view.payslips_of_run(run.state.id, listed[-1].employee_id, 2)
        one = await view.payslip(listed[0].id)
        same = await view.payslip_of(run.state.id, ordered[0])
        seen = await view.run(run.state.id)
        blockers = await view.blockers(run.state.id, None, 1)
        more = await view.blockers(run.state.id, (blockers[0].employee_id, blockers[0].ordinal), 5)

    assert list(stored) == [chunk]
    assert [found.employee_id for found in results] == ordered[1:]
    assert [(employee, reason) for employee, reason, _ in spans] == [
        (an_employee(9), "TIMESHEET_OPEN"),
        (an_employee(9), "WAGE_MISSING"),
    ]
    assert (set(has), undeferred) == ({*people, an_employee(9)}, 1)
    assert [summary.employee_id for summary in (*listed, *rest)] == ordered
    assert one == same
    assert (one.known_at, one.lines, one.year_to_date) == (
        NOW,
        result.payslips[0].lines,
        result.payslips[0].year_to_date,
    )
    assert (seen.totals.payslip_count, seen.totals.blocked_count, seen.totals.net_minor) == (3, 1, 240)
    assert (blockers[0].reason, [other.reason for other in more]) == ("TIMESHEET_OPEN", ["WAGE_MISSING"])


async def test_n_runs_that_race_for_one_employees_days_have_one_winner(store: Store, tenant: TenantId) -> None:
    runs = [started(a_run(kind=RunKind.OFF_CYCLE, sequence=number)) for number in range(1, 6)]
    async with store.unit(tenant) as work:
        for run in runs:
            await work.runs.add(run)

    async def pay(run: PayrollRun) -> bool:
        for careful in (False, True, True):
            try:
                async with store.unit(tenant) as work:
                    locked = await work.runs.get(run.state.id, shared=True)
                    await put_chunk(work, locked, a_result([a_payslip(an_employee(1))]), careful=careful)
                return True
            except PlacesTaken:
                return False
            except SlotsInTheWay:
                continue
        return False

    won = await asyncio.gather(*(pay(run) for run in runs))

    assert sum(won) == 1


async def test_days_may_join_but_not_overlap(store: Store, tenant: TenantId) -> None:
    first, second = started(a_run()), started(a_run(kind=RunKind.OFF_CYCLE, sequence=1))
    early = a_payslip(an_employee(1), paid=((UUID(int=5), "BASE", 739921, 739931),))
    late = a_payslip(an_employee(1), paid=((UUID(int=5), "BASE", 739931, 739951),))
    across = a_payslip(an_employee(2), paid=((UUID(int=5), "BASE", 739930, 739940),))
    async with store.unit(tenant) as work:
        await work.runs.add(first)
        await work.runs.add(second)
        await put_chunk(work, first, a_result([early]))
        await put_chunk(work, second, a_result([late]))

    with pytest.raises(PlacesTaken) as taken:
        async with store.unit(tenant) as work:
            await put_chunk(work, second, a_result([across]), number=2)

    assert taken.value.holders.keys() == {an_employee(2)}


async def test_what_a_void_run_or_an_older_attempt_holds_is_taken_over(store: Store, tenant: TenantId) -> None:
    run = started(a_run())
    result = a_result([a_payslip(an_employee(1))])
    async with store.unit(tenant) as work:
        await work.runs.add(run)
        await put_chunk(work, run, result)
    async with store.unit(tenant) as work:
        again = started(await work.runs.get(run.state.id))
        await work.runs.save(again)
        await put_chunk(work, again, result, careful=True)
    async with store.unit(tenant) as work:
        void = await work.runs.get(run.state.id)
        void.void()
        await work.runs.save(void)
        other = started(a_run())
        await work.runs.add(other)
    async with store.unit(tenant) as work:
        await put_chunk(work, other, result, careful=True)
        purged = await work.payslips.purge_old_attempts(100)

    async with store.view(tenant) as view:
        listed = await view.payslips_of_employee(an_employee(1), 0, False, None, 10)

    assert [summary.run_id for summary in listed] == [other.state.id]
    assert purged >= 1


async def test_employees_are_replaced_with_their_slots_marks_and_days(store: Store, tenant: TenantId) -> None:
    run = started(a_run())
    people = [an_employee(number) for number in (1, 2, 3)]
    async with store.unit(tenant) as work:
        await work.runs.add(run)
        await put_chunk(work, run, a_result([a_payslip(one) for one in people]))
        newly = await work.payslips.mark_stale(run.state, {people[0]: "RAISED", people[1]: "RAISED"})
        again = await work.payslips.mark_stale(run.state, {people[0]: "PUNCHED"})
        before = await work.payslips.stale(run.state)

        fresh = a_result(
            [a_payslip(people[0], gross=500)], [CalculatedBlocker(people[1], "NEGATIVE_NET", "look", "-1")]
        )
        untouched = await work.payslips.recalculated(run.state, people)
        await work.payslips.replace(run.state, [people[2]], fresh, payslip_ids(NOW, 1), NOW)
        known = await work.payslips.recalculated(run.state, [*people, an_employee(4)])
        results = await work.payslips.results(run.state, None, None)
        after = await work.payslips.stale(run.state)
        others = await work.payslips.defer(run.state, [people[1], people[2]])
        undeferred = await work.payslips.undeferred(run.state)
        deferred = await work.payslips.deferred(run.state)

    assert (newly, again, [one.reasons for one in before]) == (2, 0, [("RAISED", "PUNCHED"), ("RAISED",)])
    assert [(one.employee_id, one.gross) for one in results] == [(people[0], 500)]
    assert (after, others, undeferred, deferred) == ([], [people[2]], 0, [people[1]])
    assert (untouched, known) == ({}, dict.fromkeys(people, NOW))


async def test_predecessors_are_those_of_the_latest_final_run(store: Store, tenant: TenantId) -> None:
    first, second, mine = (started(a_run(period)) for period in ("2026-09", "2026-10", "2026-11"))
    ann, bob = an_employee(1), an_employee(2)
    async with store.unit(tenant) as work:
        for number, (run, people) in enumerate(((first, [ann, bob]), (second, [ann])), start=1):
            await work.runs.add(run)
            slips = [a_payslip(one, content_hash=bytes([number]) * 32, paid=()) for one in people]
            await put_chunk(work, run, a_result(slips))
            run.complete(run.state.totals, "0" * 64)
            run.approve("other", "0" * 64, 0, [], "", "")
            run.finalize(number, 1)
            await work.runs.save(run)
        await work.runs.add(mine)
        finalized = await work.runs.finalized("ACME-TAX", 2026)
        found = await work.payslips.predecessors(finalized, [ann, bob, an_employee(3)])
        stands = a_payslip(ann, paid=(), predecessor_id=found[ann].payslip_id)
        moved_one = a_payslip(bob, paid=())
        await put_chunk(work, mine, a_result([stands, moved_one, a_payslip(an_employee(3), paid=())]))
        moved = await work.payslips.moved_predecessors(mine.state, finalized, 10)

    assert [one.number for one in finalized] == [2, 1]
    assert {employee: one.content_hash[0] for employee, one in found.items()} == {ann: 2, bob: 1}
    assert list(moved) == [bob]


async def test_a_run_is_compared_with_the_latest_final_regular_run_before(store: Store, tenant: TenantId) -> None:
    people = [an_employee(number) for number in (1, 2, 3)]
    august, september, october = a_run("2026-08"), a_run("2026-09"), a_run("2026-10")
    missing = CalculatedBlocker(people[2], "WAGE_MISSING", "enter a wage", "")
    async with store.unit(tenant) as work:
        for number, run in enumerate((august, september, october), start=1):
            await work.runs.add(run)
            await work.runs.save(started(run))
            await put_chunk(
                work, run, a_result([a_payslip(people[0], number), a_payslip(people[1], number + 9)], [missing])
            )
            if run is not october:
                run.state = replace(run.state, status=RunStatus.FINALIZED, finalized_number=number)
                await work.runs.save(run)

    async with store.view(tenant) as view:
        before = await view.before(october.state)
        first = await view.before(august.state)
        page = await view.documents(september.state, people[0], 10)
        blocked = await view.blocked(september.state, None, people[2])
        none_blocked = await view.blocked(september.state, None, people[1])

    assert before is not None
    assert before.id == september.state.id
    assert first is None
    assert [(one.summary.employee_id, one.summary.run_id) for one in page] == [(people[1], september.state.id)]
    assert (list(blocked), list(none_blocked)) == ([people[2]], [])


async def test_payments_are_pending_until_something_is_recorded(store: Store, tenant: TenantId) -> None:
    run = started(a_run())
    ann, bob, eve = (an_employee(number) for number in (1, 2, 3))
    async with store.unit(tenant) as work:
        await work.runs.add(run)
        await put_chunk(work, run, a_result([a_payslip(ann), a_payslip(bob), a_payslip(eve, net=0)]))
        due = await work.payments.due(run.state)
        found = await work.payments.of(run.state, [ann, bob, eve])
        settled = replace(found[ann][0], status=PaymentStatus.SETTLED)
        await work.payments.keep(run.state, {ann: [settled]}, NOW)
        returned = replace(settled, status=PaymentStatus.RETURNED, reason="closed")
        await work.payments.keep(run.state, {ann: [returned]}, NOW)
        run.complete(run.state.totals, "0" * 64)
        run.approve("other", "0" * 64, 0, [], "", "")
        run.finalize(1, due)
        run.payments_recorded(1, 1)
        await work.runs.save(run)

    async with store.view(tenant) as view:
        listed = await view.payments(run.state.id, None, 10)
        later = await view.payments(run.state.id, (ann, 0), 10)
        told = {
            status: [one.state.id for one in await view.runs("", "", status, None, 10)]
            for status in (RunStatus.FINALIZED, RunStatus.PARTIALLY_PAID, RunStatus.PAID)
        }

    assert due == 2
    assert [(one.employee_id, one.status, one.reason) for one in listed] == [
        (ann, PaymentStatus.RETURNED, "closed"),
        (bob, PaymentStatus.PENDING, ""),
    ]
    assert [one.employee_id for one in later] == [bob]
    assert listed[0].id == found[ann][0].id
    assert told == {RunStatus.FINALIZED: [], RunStatus.PARTIALLY_PAID: [run.state.id], RunStatus.PAID: []}


async def test_payments_by_account_are_kept_whole_and_found_by_their_ids(store: Store, tenant: TenantId) -> None:
    run = started(a_run())
    ann, bob = an_employee(1), an_employee(2)
    fixed, rest = SplitPart(1, Money(30, "CNY"), None), SplitPart(2, None, None)
    async with store.unit(tenant) as work:
        await work.runs.add(run)
        await put_chunk(work, run, a_result([a_payslip(ann), a_payslip(bob)]))
        before = await work.payments.of(run.state, [ann, bob])
        await work.payments.keep(run.state, {ann: arranged(before[ann], [fixed, rest], NOW)}, NOW)
        found = await work.payments.of(run.state, [ann, bob])
        ids = [payment.id for payment in found[ann]]
        payees = await work.payments.payees(run.state, [*ids, before[bob][0].id, before[ann][0].id])
        await work.payments.keep(run.state, {ann: arranged(found[ann], [rest], NOW)}, NOW)
        again = await work.payments.of(run.state, [ann])
        await put_final(work, run, 1)

    async with store.view(tenant) as view:
        listed = await view.payments(run.state.id, None, 2)
        rest_of_them = await view.payments(run.state.id, (listed[0].employee_id, listed[0].split), 10)

    assert [(one.split, one.account, one.amount.minor, one.accounts_known_at) for one in found[ann]] == [
        (0, 1, 30, NOW),
        (1, 2, 50, NOW),
    ]
    assert list(payees) == [ann]
    assert [(one.account, one.amount.minor, one.issue) for one in again[ann]] == [(2, 80, 2)]
    assert again[ann][0].id not in {*ids, before[ann][0].id}
    assert [one.employee_id for one in (*listed[:1], *rest_of_them)] == [ann, bob]


def an_input(employee: EmployeeId, id: int = 1, **changes: Any) -> PayInput:
    """A bonus."""
    state = PayInputState(
        PayInputId(UUID(int=id)), employee, "CN-MONTHLY", "2026-11", RunKind.REGULAR, "BONUS", Money(12345, "CNY"),
        Decimal("1.5"), "why", False, None, None, Version(0), False, "",
    )  # fmt: skip
    return PayInput.create(replace(state, **changes))


async def test_a_recurring_input_is_open_in_each_of_its_periods(store: Store, tenant: TenantId) -> None:
    october, november, december = (started(a_run(period)) for period in ("2026-10", "2026-11", "2026-12"))
    beside = started(a_run(kind=RunKind.OFF_CYCLE, sequence=1))
    ann = an_employee(1)
    async with store.unit(tenant) as work:
        for run in (october, november, december, beside):
            await work.runs.add(run)
        await work.inputs.add(an_input(ann, 2, recurring=True))
        await work.inputs.add(an_input(ann, 1))
        before = await work.inputs.open_for(october.state, [ann])
        first = await work.inputs.open_for(november.state, [ann])
        endless = await work.inputs.open_for(december.state, [ann])
        other = await work.inputs.open_for(beside.state, [ann])
        entered = await work.inputs.get(PayInputId(UUID(int=2)))
        entered.end("2026-11")
        await work.inputs.save(entered)
        ended = await work.inputs.open_for(december.state, [ann])
        kept = await work.inputs.get(PayInputId(UUID(int=2)))
        listed = await work.inputs.open_for(october.state, [ann])
        still = [state.period for state in await work.runs.open("CN-MONTHLY", RunKind.REGULAR)]

    async with store.view(tenant) as view:
        seen = {
            period: [one.id.int for one in await view.pay_inputs(None, "", period, None, 10)]
            for period in ("2026-10", "2026-11", "2026-12")
        }

    assert (before, other, ended, listed) == ({}, {}, {}, {})
    assert seen == {"2026-10": [], "2026-11": [2, 1], "2026-12": []}
    assert kept.state.period == "2026-11"
    assert [(one.id.int, one.recurring) for one in first[ann]] == [(1, False), (2, True)]
    assert [one.id.int for one in endless[ann]] == [2]
    assert (kept.state.last_period, kept.state.status) == ("2026-11", PayInputStatus.OPEN)
    assert still == ["2026-10", "2026-11", "2026-12"]


async def test_an_input_is_taken_once_and_free_again_when_its_run_is_void(store: Store, tenant: TenantId) -> None:
    run, other = started(a_run()), started(a_run(kind=RunKind.OFF_CYCLE, sequence=1))
    ann, bob = an_employee(1), an_employee(2)
    async with store.unit(tenant) as work:
        await work.runs.add(run)
        await work.runs.add(other)
        for entered in (an_input(ann), an_input(bob, 2), an_input(bob, 3, period="2026-12")):
            await work.inputs.add(entered)
        cancelled = an_input(ann, 4)
        await work.inputs.add(cancelled)
        cancelled.cancel()
        await work.inputs.save(cancelled)
        free = await work.inputs.open_for(run.state, [ann, bob])
        took = await work.inputs.take(run.state, [UUID(int=1)])
        refused = await work.inputs.take(run.state, [UUID(int=4)])
        stolen = await work.inputs.take(other.state, [UUID(int=1)])
        taken = await work.inputs.get(PayInputId(UUID(int=1)))
    async with store.unit(tenant) as work:
        void = await work.runs.get(run.state.id)
        void.void()
        await work.runs.save(void)
        again = await work.inputs.get(PayInputId(UUID(int=1)))
    async with store.view(tenant) as view:
        newest = await view.pay_inputs(None, "", "", None, 2)
        older = await view.pay_inputs(None, "", "", newest[-1].id, 10)

    assert {employee: [one.id.int for one in entries] for employee, entries in free.items()} == {ann: [1], bob: [2]}
    assert (free[ann][0].amount, free[ann][0].quantity) == ("123.45", "1.5")
    assert (took, refused, stolen) == (True, False, False)
    assert (taken.state.status, again.state.status) == (PayInputStatus.TAKEN, PayInputStatus.OPEN)
    assert [state.id.int for state in (*newest, *older)] == [4, 3, 2, 1]


async def test_the_catalog_says_the_same_for_ever(store: Store, tenant: TenantId) -> None:
    first = a_component("PAY", "100")
    second = replace(first, formula="200", effective_date=date(2026, 6, 1))
    async with store.unit(tenant) as work:
        await work.catalogs.publish([CatalogEntry(1, GROUP), CatalogEntry(1, first)], 1, "me", NOW)
    async with store.unit(tenant) as work:
        await work.catalogs.for_change()
        await work.catalogs.publish([CatalogEntry(2, second)], 2, "me", NOW)
        with pytest.raises(Stale):
            await work.catalogs.publish([CatalogEntry(2, second)], 2, "me", NOW)

    async with store.view(tenant) as view:
        newest, older = await view.newest_catalog(), await view.catalog_at(1)

    assert (newest.version, newest.pay_group("CN-MONTHLY")) == (2, GROUP)
    assert (newest.component("PAY", date(2026, 7, 1)), newest.component("PAY", date(2026, 5, 1))) == (second, first)
    assert older.component("PAY", date(2026, 7, 1)) == first


async def test_component_totals_are_replaced_whole(store: Store, tenant: TenantId) -> None:
    run = started(a_run())
    async with store.unit(tenant) as work:
        await work.runs.add(run)
        await work.payslips.keep_component_totals(run.state, {"A": ComponentSum(1, 1), "B": ComponentSum(2, 2)})
        await work.payslips.keep_component_totals(run.state, {"B": ComponentSum(3, 2)})

    async with store.view(tenant) as view:
        assert await view.component_totals(run.state.id) == {"B": ComponentSum(3, 2)}


async def test_runs_are_listed_newest_first_with_filters(store: Store, tenant: TenantId) -> None:
    runs = [a_run(f"2026-{month:02}") for month in range(1, 5)]
    async with store.unit(tenant) as work:
        for run in runs:
            await work.runs.add(run)
    ordered = sorted((run.state.id for run in runs), key=lambda id: id.bytes, reverse=True)

    async with store.view(tenant) as view:
        first = await view.runs("", "", None, None, 3)
        rest = await view.runs("", "", None, first[-1].state.id, 3)
        none = await view.runs("", "", RunStatus.VOID, None, 3)
        one = await view.runs("CN-MONTHLY", "2026-02", RunStatus.DRAFT, None, 3)

    assert [seen.state.id for seen in (*first, *rest)] == ordered
    assert (none, [seen.state.period for seen in one]) == ([], ["2026-02"])


async def test_another_tenant_finds_nothing(store: Store, tenant: TenantId) -> None:
    run = started(a_run())
    async with store.unit(tenant) as work:
        await work.runs.add(run)
        await put_chunk(work, run, a_result([a_payslip(an_employee(1))]))
    stranger = TenantId(uuid4())

    async with store.view(stranger) as view:
        reads: list[Callable[[], Any]] = [
            lambda: view.run(run.state.id),
            lambda: view.payslips_of_run(run.state.id, None, 10),
            lambda: view.blockers(run.state.id, None, 10),
            lambda: view.work_for(run.state.id, []),
        ]
        for read in reads:
            with pytest.raises(RunNotFound):
                await read()
        with pytest.raises(PayslipNotFound):
            await view.payslip_of(run.state.id, an_employee(1))
        assert await view.payslips_of_employee(an_employee(1), 0, False, None, 10) == []


async def test_a_reversed_run_leaves_its_place_days_and_year_and_stays_in_the_employees_list(
    store: Store, tenant: TenantId
) -> None:
    ann = an_employee(1)
    wrong, beside = started(a_run()), started(a_run("2026-10"))
    async with store.unit(tenant) as work:
        await work.runs.add(wrong)
        await put_chunk(work, wrong, a_result([a_payslip(ann, 5)]))
        await put_final(work, wrong, 1)
        found = await work.payslips.predecessors(await work.runs.finalized("ACME-TAX", 2026), [ann])
        await work.runs.add(beside)
        await put_chunk(work, beside, a_result([a_payslip(ann, 6, predecessor_id=found[ann].payslip_id)]))
        taking_back = PayrollRun.reversal(RunId(uuid4()), wrong, date(2026, 12, 9), True, "why", 1, "preparer", NOW)
        await work.runs.add(started(taking_back))
        await put_chunk(work, taking_back, a_result([a_payslip(ann, 7, net=-80, paid=())]))
        await put_final(work, taking_back, 2)
        wrong.reversed_by(taking_back.state.id)
        await work.runs.save(wrong)
    async with store.unit(tenant) as work:
        finalized = await work.runs.finalized("ACME-TAX", 2026)
        last = await work.runs.last_number("ACME-TAX", 2026)
        moved = await work.payslips.moved_predecessors(beside.state, finalized, 10)
        live = await work.runs.live("CN-MONTHLY", "2026-11", RunKind.REGULAR)
        again = started(a_run())
        await work.runs.add(again)
        await put_chunk(work, again, a_result([a_payslip(ann, 5)]), careful=True)
        stored = await work.runs.get(taking_back.state.id)
        gone = await work.runs.get(wrong.state.id)

    async with store.view(tenant) as view:
        listed = await view.payslips_of_employee(ann, 0, False, None, 10)
        final = await view.payslips_of_employee(ann, 0, True, None, 10)
        payments = await view.payments(wrong.state.id, None, 10)
        reversed_runs = await view.runs("", "", RunStatus.REVERSED, None, 10)

    assert (list(finalized), last, list(moved), list(live)) == ([], 2, [ann], [])
    assert (stored.state.reverses, stored.state.recover_settled) == (wrong.state.id, True)
    assert (gone.state.status, gone.state.reversed_by) == (RunStatus.REVERSED, taking_back.state.id)
    ours = {again.state.id, beside.state.id, taking_back.state.id, wrong.state.id}
    assert {summary.run_id for summary in listed} == ours
    assert {summary.run_id for summary in final} == {wrong.state.id, taking_back.state.id}
    assert [payment.status for payment in payments] == [PaymentStatus.CANCELLED]
    assert [one.state.id for one in reversed_runs] == [wrong.state.id]


async def put_final(work: PayrollWork, run: PayrollRun, number: int) -> None:
    """Approved by somebody else, and final."""
    run.complete(run.state.totals, "0" * 64)
    run.approve("other", "0" * 64, 0, [], "", "")
    run.finalize(number, 1)
    await work.runs.save(run)
