"""The stored projection is the fold of the recorded changes, at every date and instant."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contexts.organization.adapters.documents import ProtoDocuments
from contexts.organization.domain.errors import EmployeeNotFound
from contexts.organization.domain.history import fold, known_at
from contexts.organization.domain.values import EndReason
from contexts.organization.handlers import change, hire, read
from contexts.organization.handlers.change import Target
from contexts.organization.repository.port import View
from kernel.errors import DomainError
from kernel.ids import EmployeeId, TenantId
from tests.support.organization import FIRST_DAY, Store, a_hire, monthly, publish, some_terms

days = st.integers(0, 40).map(lambda offset: FIRST_DAY + timedelta(days=offset))
commands = st.lists(
    st.one_of(
        st.tuples(st.just("raise"), days, st.integers(1, 5)),
        st.tuples(st.just("transfer"), days, st.sampled_from(["ENG", "OPS", "HQ"])),
        st.tuples(st.just("rename"), days, st.sampled_from(["Wei", "Xiao Wei"])),
        st.tuples(st.just("terminate"), days, st.just(0)),
        st.tuples(st.just("rehire"), days, st.integers(1, 5)),
        st.tuples(st.just("correct"), days, st.integers(0, 9)),
        st.tuples(st.just("cancel"), days, st.integers(0, 9)),
    ),
    min_size=1,
    max_size=8,
)


async def command(store: Store, tenant: TenantId, id: EmployeeId, verb: str, day: date, value: Any) -> None:
    """Run one command as far as it is allowed."""
    target = Target(id, None)
    async with store.view(tenant) as view:
        recorded = (await read.get_history(id, None, view)).changes
    change_id = recorded[value % len(recorded)].change_id if isinstance(value, int) else uuid4()
    work: Any = {
        "raise": lambda uow: change.change_compensation(
            change.ChangeCompensation(target, day, {"compensation": monthly(f"{value}000.00")}), uow
        ),
        "transfer": lambda uow: change.transfer_employee(
            change.TransferEmployee(target, day, {"department": value}, None), uow
        ),
        "rename": lambda uow: change.update_person(change.UpdatePerson(target, day, {"preferred_name": value}), uow),
        "terminate": lambda uow: change.terminate_employee(
            change.TerminateEmployee(target, day, EndReason.RESIGNATION), uow
        ),
        "rehire": lambda uow: hire.rehire_employee(
            hire.RehireEmployee(id, None, day, None, some_terms(f"{value}000.00")), uow
        ),
        "correct": lambda uow: change.correct_employee(change.CorrectEmployee(target, change_id, day, {}, {}), uow),
        "cancel": lambda uow: change.cancel_employee_change(change.CancelEmployeeChange(target, change_id), uow),
    }
    try:
        async with store.unit(tenant) as unit:
            await work[verb](unit)
    except DomainError:
        return


async def stored(view: View, id: EmployeeId, day: date, instant: datetime | None) -> tuple[Any, ...] | None:
    """What the projection says."""
    try:
        reading = (await read.get_employee(read.GetEmployees([id], day, instant), view)).reading
    except EmployeeNotFound:
        return None
    return reading.spell, reading.person, reading.work


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    commands,
    st.one_of(st.none(), st.integers(0, 60).map(lambda offset: FIRST_DAY + timedelta(days=offset))),
)
async def test_the_projection_is_the_fold_of_the_changes(
    store: Store, played: list[tuple[str, date, Any]], end_date: date | None
) -> None:
    tenant = TenantId(uuid4())
    await publish(store, tenant)
    async with store.unit(tenant) as unit:
        state, _ = await hire.hire_employee(hire.HireEmployee(a_hire(end_date=end_date)), unit)
    for verb, day, value in played:
        await command(store, tenant, state.id, verb, day, value)

    async with store.view(tenant) as view:
        changes = (await read.get_history(state.id, None, view)).changes
        instants = [None, *(each.record_time + timedelta(microseconds=by) for each in changes for by in (-1, 0))]
        for instant in instants:
            projection = fold(changes if instant is None else known_at(changes, instant))
            starts = {segment.start for segment in projection.segments} | {FIRST_DAY, date(2027, 1, 1)}
            for day in starts | {start - timedelta(days=1) for start in starts if start >= FIRST_DAY}:
                segment = projection.at(day)
                wanted = None if segment is None else (segment.spell, *ProtoDocuments().encode(segment))
                assert await stored(view, state.id, day, instant) == wanted
