"""Rules that hold between transactions that overlap, on a real MariaDB."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from chassis.database import Contention, Database, Unavailable
from contexts.organization.domain.errors import EntryInUse, EntryNotValid, ManagerCycle, NotSettled
from contexts.organization.domain.org_chart import EntryChange, EntryKind
from contexts.organization.handlers import change, chart, hire, read
from contexts.organization.handlers.change import Target
from contexts.organization.repository.port import PayQuestion
from contexts.organization.repository.tables import metadata
from kernel.errors import DomainError
from kernel.ids import EmployeeId, TenantId
from kernel.period import Period
from tests.support.organization import SqlStore, TestClock, a_hire, hired, publish
from tests.support.servers import PrivateMariaDB

TODAY = date(2026, 11, 23)
OLDEST_WRITE_S = 1.0  # margin 2 s, so that the tests need not wait longer
NOVEMBER = PayQuestion("CN-MONTHLY", Period.month(2026, 11))


class MachineClock(TestClock):
    """The clock of the machine: settled reads compare it with the database's."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@pytest.fixture
async def store(mariadb: PrivateMariaDB) -> AsyncIterator[SqlStore]:
    """A store on MariaDB whose clock is the machine's."""
    url = mariadb.create_database(f"organization_{uuid4().hex[:12]}")
    database = Database(url, metadata, oldest_write_s=OLDEST_WRITE_S)
    await database.create_tables()
    yield SqlStore(database, clock=MachineClock())
    await database.close()


@pytest.fixture
async def tenant(store: SqlStore) -> TenantId:
    """A tenant with the chart of acme."""
    tenant_id = TenantId(uuid4())
    await publish(store, tenant_id)
    return tenant_id


@pytest.mark.parametrize("hire_delay_s", [0.0, 0.05, 0.1])
async def test_closing_a_department_and_hiring_into_it_cannot_both_win(
    store: SqlStore, tenant: TenantId, hire_delay_s: float
) -> None:
    async def close() -> str:
        try:
            async with store.unit(tenant) as unit:
                closure = EntryChange(EntryKind.DEPARTMENT, "OPS", TODAY, None)
                await chart.publish(chart.Publish([closure]), unit)
                await asyncio.sleep(0.1)
        except (EntryInUse, Contention) as refusal:
            return type(refusal).__name__
        return "closed"

    async def employ() -> str:
        await asyncio.sleep(hire_delay_s)
        try:
            async with store.unit(tenant) as unit:
                item = a_hire(hire_date=TODAY, department="OPS", position="")
                await hire.hire_employee(hire.HireEmployee(item), unit)
                await asyncio.sleep(0.1)
        except (EntryNotValid, Contention) as refusal:
            return type(refusal).__name__
        return "hired"

    outcomes = tuple(await asyncio.gather(close(), employ()))

    assert outcomes in {("closed", "EntryNotValid"), ("EntryInUse", "hired")}


async def test_without_the_shared_lock_both_would_win(store: SqlStore, tenant: TenantId) -> None:
    """The planted bug: a hire that looks the chart up without holding its version."""
    looked_up, closed = asyncio.Event(), asyncio.Event()

    async def employ() -> None:
        async with store.view(tenant) as view:
            version, _ = await view.org_charts.head()
            content = await view.org_charts.content(version)
        looked_up.set()
        await closed.wait()
        async with store.unit(tenant) as unit:

            async def stale_lookup(_references: object) -> object:
                return content

            unit.org_charts.looked_up = stale_lookup  # type: ignore[method-assign,assignment]
            item = a_hire(hire_date=TODAY, department="OPS", position="")
            await hire.hire_employee(hire.HireEmployee(item), unit)

    async def close() -> None:
        await looked_up.wait()
        await publish(store, tenant, EntryChange(EntryKind.DEPARTMENT, "OPS", TODAY, None))
        closed.set()

    await asyncio.gather(employ(), close())

    async with store.view(tenant) as view:
        version, _ = await view.org_charts.head()
        content = await view.org_charts.content(version)
    async with store.unit(tenant) as unit:
        in_use = await unit.employees.who_names(EntryKind.DEPARTMENT, "OPS", Period(TODAY, date(2027, 1, 1)))
    assert (content.at(EntryKind.DEPARTMENT, "OPS", TODAY), in_use.count) == (None, 1)


async def test_two_transfers_that_would_close_a_circle_cannot_both_win(store: SqlStore, tenant: TenantId) -> None:
    first, second = await hired(store, tenant), await hired(store, tenant)

    async def put_under(employee_id: EmployeeId, manager_id: EmployeeId) -> str:
        try:
            async with store.unit(tenant) as unit:
                cmd = change.TransferEmployee(Target(employee_id, None), TODAY, {"manager_id": manager_id}, None)
                await change.transfer_employee(cmd, unit)
                await asyncio.sleep(0.1)
        except ManagerCycle:
            return "refused"
        return "done"

    outcomes = await asyncio.gather(put_under(first.id, second.id), put_under(second.id, first.id))

    assert sorted(outcomes) == ["done", "refused"]


async def read_slice(
    store: SqlStore, tenant: TenantId, known_at: datetime, settle: bool = True
) -> frozenset[EmployeeId]:
    """Who was in the slice as known at that instant."""
    question = PayQuestion(NOVEMBER.pay_group, NOVEMBER.period, known_at)
    async with store.view(tenant) as view:
        if settle:
            page = await read.list_pay_slice(read.ListPaySlice(question, None, 500), view, datetime.now(UTC))
        else:
            page = await view.employees.pay_slice(question, None, 500)
    return frozenset(segment.employee_id for segment in page.segments)


async def test_a_settled_slice_is_the_same_a_thousand_times_while_commits_are_delayed(
    store: SqlStore, tenant: TenantId
) -> None:
    done = asyncio.Event()

    async def hire_slowly(delay_s: float) -> None:
        while not done.is_set():
            # A transaction that grew too old on a busy machine is refused at commit: that is the promise.
            with contextlib.suppress(Unavailable):
                async with store.unit(tenant) as unit:
                    await hire.hire_employee(hire.HireEmployee(a_hire()), unit)
                    await asyncio.sleep(delay_s)  # the record time is stamped, the commit is late

    writers = [asyncio.create_task(hire_slowly(delay_s)) for delay_s in (0.05, 0.3, 0.8)]
    await asyncio.sleep(store.database.settle_margin_s + 1.0)
    cutoff = await store.database.now() - timedelta(seconds=store.database.settle_margin_s)
    first = await read_slice(store, tenant, cutoff)

    pages = {await read_slice(store, tenant, cutoff) for _ in range(1000)}

    done.set()
    await asyncio.gather(*writers)
    assert first
    assert pages == {first}


async def test_an_unsettled_slice_changes_under_a_delayed_commit_and_is_refused(
    store: SqlStore, tenant: TenantId
) -> None:
    stamped, commit = asyncio.Event(), asyncio.Event()

    async def hire_slowly() -> None:
        async with store.unit(tenant) as unit:
            await hire.hire_employee(hire.HireEmployee(a_hire()), unit)
            stamped.set()
            await commit.wait()

    writer = asyncio.create_task(hire_slowly())
    await stamped.wait()
    cutoff = datetime.now(UTC)

    before = await read_slice(store, tenant, cutoff, settle=False)
    with pytest.raises(NotSettled):
        await read_slice(store, tenant, cutoff)
    commit.set()
    await writer
    after = await read_slice(store, tenant, cutoff, settle=False)

    assert (len(before), len(after)) == (0, 1)


async def slices_round_a_late_commit(
    store: SqlStore, tenant: TenantId
) -> tuple[frozenset[EmployeeId], frozenset[EmployeeId]]:
    """A settled slice, before and after a hire commits whose record time the slice's instant had passed already."""
    stamped, commit = asyncio.Event(), asyncio.Event()

    async def hire_late() -> None:
        with contextlib.suppress(Unavailable):
            async with store.unit(tenant) as unit:
                await hire.hire_employee(hire.HireEmployee(a_hire()), unit)
                stamped.set()
                await commit.wait()

    writer = asyncio.create_task(hire_late())
    await stamped.wait()
    stamped_by = await store.database.now()
    margin = timedelta(seconds=store.database.settle_margin_s)
    await asyncio.sleep(margin.total_seconds() + 0.05)
    cutoff = await store.database.now() - margin
    assert cutoff > stamped_by

    before = await read_slice(store, tenant, cutoff)
    commit.set()
    await writer
    return before, await read_slice(store, tenant, cutoff)


async def test_a_commit_that_comes_too_late_for_a_settled_slice_is_refused(store: SqlStore, tenant: TenantId) -> None:
    before, after = await slices_round_a_late_commit(store, tenant)

    assert before == after == frozenset()


async def test_without_the_age_limit_a_settled_slice_would_change(store: SqlStore, tenant: TenantId) -> None:
    """The planted bug: writes may take longer than the margin that readers keep."""
    patient = Database(store.database.url.render_as_string(hide_password=False), metadata, oldest_write_s=60.0)
    patient.settle_margin_s = 0.2

    before, after = await slices_round_a_late_commit(SqlStore(patient, clock=MachineClock()), tenant)

    await patient.close()
    assert (len(before), len(after)) == (0, 1)


async def test_hires_of_many_clients_into_one_chart_do_not_stop_each_other(store: SqlStore, tenant: TenantId) -> None:
    async def employ() -> bool:
        try:
            await hired(store, tenant)
        except DomainError:
            return False
        return True

    assert all(await asyncio.gather(*(employ() for _ in range(40))))
