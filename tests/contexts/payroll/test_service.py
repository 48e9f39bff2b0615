"""The payroll service over gRPC, on SQLite and MariaDB."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from dependency_injector import providers
from muster.job.v1 import job_pb2, job_pb2_grpc
from muster.payroll.v1 import payroll_catalog_pb2 as cpb
from muster.payroll.v1 import payroll_run_pb2 as pb
from muster.type.v1.money_pb2 import Money

from chassis import migrations
from chassis.bus.consumer import feed_principal
from chassis.database import Database, Tx
from chassis.principal import Call
from chassis.rpc.error_map import RemoteError
from chassis.service import Opened, Parts
from chassis.settings import Settings
from contexts.payroll.container import Container
from contexts.payroll.domain.payroll_run import RunId
from contexts.payroll.main import SERVICE, parts_of
from contexts.payroll.repository.sql import SqlPayrollWork
from contexts.payroll.repository.sql.runs import SqlRuns
from contexts.payroll.repository.tables import metadata
from kernel.clock import Clock
from kernel.ids import TenantId
from tests.support.payroll import NOVEMBER, Facts, Payroll, amounts, day_to, facts, in_order, instant_to, serving

ROOT = Path(__file__).parents[3]


async def refused(work: Awaitable[Any]) -> str:
    """The reason of a refusal."""
    with pytest.raises(RemoteError) as error:
        await work
    return error.value.reason


async def test_a_run_goes_from_draft_to_final(payroll: Payroll) -> None:
    people = [facts(str(10000 + 1000 * number)) for number in range(5)]

    calculated = await payroll.calculated(people, size=2)
    approved = await payroll.approve(calculated)
    final = (await payroll(payroll.runs.FinalizePayrollRun, pb.FinalizePayrollRunRequest(run_id=approved.run_id))).run

    slips = await payroll.payslips(final.run_id)
    assert (calculated.status, calculated.progress.done, calculated.progress.chunks) == (pb.RUN_STATUS_CALCULATED, 5, 3)
    assert calculated.totals.gross.minor_units == 6000000
    assert final.status == pb.RUN_STATUS_FINALIZED
    assert [slip.employee_id for slip in slips] == [str(one.employee_id) for one in in_order(people)]
    assert sum(slip.net.minor_units for slip in slips) == final.totals.net.minor_units


async def test_a_payslip_is_to_the_cent_and_explains_each_line(payroll: Payroll) -> None:
    person = facts("22000").worked("OVERTIME", {date(2026, 11, 5): 120})

    run = await payroll.calculated([person])
    slip = await payroll.payslip(run.run_id, person.employee_id)
    traces = {
        line.code: await payroll(
            payroll.runs.GetPayslipLineTrace,
            pb.GetPayslipLineTraceRequest(payslip_id=slip.summary.payslip_id, code=line.code),
        )
        for line in slip.lines
    }

    assert amounts(slip)["BASE"] == 2200000
    assert amounts(slip)["OVERTIME_WORKDAY"] == 37931
    assert amounts(slip)["PENSION_EMPLOYEE"] == 160000
    assert slip.summary.gross.minor_units == 2237931
    assert all(traces[line.code].steps[-1].name == "amount" for line in slip.lines)
    assert slip.versions.catalog == run.catalog_version


async def test_a_payslip_replays_to_the_byte(payroll: Payroll) -> None:
    person = facts("22000")

    run = await payroll.calculated([person])
    slip = await payroll.payslip(run.run_id, person.employee_id)
    request = pb.ReplayPayslipRequest(payslip_id=slip.summary.payslip_id)
    answer = await payroll(payroll.runs.ReplayPayslip, request)

    assert answer.matches
    assert (answer.stored_hash, answer.replayed_hash) == (slip.summary.content_hash,) * 2


async def test_blocked_employees_stop_approval_until_they_are_deferred_by_name(payroll: Payroll) -> None:
    missing = facts().blocked("TIMESHEET_MISSING", "T1")
    wageless = Facts()

    run = await payroll.calculated([facts(), missing, wageless])
    listed = await payroll(payroll.runs.ListBlockers, pb.ListBlockersRequest(run_id=run.run_id))
    reason = await refused(payroll.approve(run))
    deferring = pb.DeferEmployeesRequest(
        run_id=run.run_id, employee_ids=[str(missing.employee_id), str(wageless.employee_id)]
    )
    deferred = (await payroll(payroll.runs.DeferEmployees, deferring)).run
    approved = await payroll.approve(deferred)

    assert {one.employee_id: one.reason for one in listed.blockers} == {
        str(missing.employee_id): "TIMESHEET_MISSING",
        str(wageless.employee_id): "PAY_FACTS_MISSING",
    }
    assert reason == "RUN_BLOCKED"
    assert deferred.calculation_hash != run.calculation_hash
    assert (approved.status, approved.progress.deferred) == (pb.RUN_STATUS_APPROVED, 2)


async def test_nobody_approves_what_they_prepared(payroll: Payroll) -> None:
    run = await payroll.calculated([facts()])

    request = pb.ApprovePayrollRunRequest(run_id=run.run_id, calculation_hash=run.calculation_hash)
    reason = await refused(payroll(payroll.runs.ApprovePayrollRun, request))

    assert reason == "SELF_APPROVAL"


async def test_an_approval_binds_what_was_seen(payroll: Payroll) -> None:
    run = await payroll.calculated([facts()])

    reason = await refused(payroll.approve(run, calculation_hash="0" * 64))

    assert reason == "CALCULATION_CHANGED"


async def test_changed_facts_make_exactly_the_touched_payslips_stale(payroll: Payroll) -> None:
    people = in_order([facts() for _ in range(4)])
    run = await payroll.calculated(people, size=2)
    change = pb.InputChange(employee_id=str(people[1].employee_id), reason="COMPENSATION_CHANGED")
    refresh = pb.RefreshInputsRequest(
        run_id=run.run_id, changes=[change], source_positions=[pb.SourcePosition(source="organization", position=12)]
    )

    answer = await payroll(payroll.runs.RefreshInputs, refresh)
    again = await payroll(payroll.runs.RefreshInputs, pb.RefreshInputsRequest(run_id=run.run_id, changes=[change]))
    reason = await refused(payroll.approve(answer.run))
    listed = await payroll(payroll.runs.ListStalePayslips, pb.ListStalePayslipsRequest(run_id=run.run_id))
    approved = await payroll.approve(answer.run, accept_changes_as_retro=answer.run.stale_hash)

    assert (answer.newly_stale_count, again.newly_stale_count, answer.run.progress.stale) == (1, 0, 1)
    assert {one.source: one.position for one in answer.run.source_positions} == {"attendance": 9, "organization": 12}
    assert reason == "INPUTS_CHANGED"
    assert [(one.employee_id, list(one.reasons)) for one in listed.stale_payslips] == [
        (str(people[1].employee_id), ["COMPENSATION_CHANGED"])
    ]
    assert approved.status == pb.RUN_STATUS_APPROVED


async def test_a_payslip_is_not_stale_by_a_change_that_it_knew(payroll: Payroll) -> None:
    raised, blocked, gone, other = in_order([facts() for _ in range(4)])
    run = await payroll.calculated([raised, blocked, gone, other])
    cutoff = run.input_cutoff.ToDatetime(UTC)
    recorded, read = cutoff + timedelta(milliseconds=5), cutoff + timedelta(milliseconds=6)

    def refreshing(at: datetime, *people: Facts) -> pb.RefreshInputsRequest:
        changes = [
            pb.InputChange(employee_id=str(one.employee_id), reason="COMPENSATION_CHANGED", record_time=instant_to(at))
            for one in people
        ]
        return pb.RefreshInputsRequest(run_id=run.run_id, changes=changes)

    before_the_cutoff = await payroll(payroll.runs.RefreshInputs, refreshing(cutoff, raised, other))
    first = await payroll(payroll.runs.RefreshInputs, refreshing(recorded, raised, blocked, gone))
    again = pb.RecalculateEmployeesRequest(
        run_id=run.run_id,
        facts=[
            Facts(raised.employee_id, raised.assignment_id).paid("30000").message,
            blocked.blocked("TIMESHEET_OPEN").message,
        ],
        known_at=instant_to(read),
        gone_employee_ids=[str(gone.employee_id)],
    )
    await payroll(payroll.runs.RecalculateEmployees, again)
    # Its event has got its position meanwhile, so that it is told once more.
    second = await payroll(payroll.runs.RefreshInputs, refreshing(recorded, raised, blocked, gone))
    third = await payroll(payroll.runs.RefreshInputs, refreshing(recorded, other))
    later = await payroll(payroll.runs.RefreshInputs, refreshing(read + timedelta(microseconds=1), raised, blocked))

    assert (before_the_cutoff.newly_stale_count, first.newly_stale_count) == (0, 3)
    assert (second.newly_stale_count, second.run.progress.stale) == (0, 0)
    assert (third.newly_stale_count, later.newly_stale_count) == (1, 2)


async def test_recalculating_one_employee_equals_calculating_all_anew(payroll: Payroll) -> None:
    people = in_order([facts(str(10000 + number)) for number in range(6)])
    raised = Facts(people[2].employee_id, people[2].assignment_id).paid("30000")
    run = await payroll.calculated(people, size=2)
    change = pb.InputChange(employee_id=str(raised.employee_id), reason="COMPENSATION_CHANGED")
    await payroll(payroll.runs.RefreshInputs, pb.RefreshInputsRequest(run_id=run.run_id, changes=[change]))

    request = pb.RecalculateEmployeesRequest(run_id=run.run_id, facts=[raised.message], known_at=run.input_cutoff)
    answer = await payroll(payroll.runs.RecalculateEmployees, request)

    totals = await payroll(payroll.runs.ListComponentTotals, pb.ListComponentTotalsRequest(run_id=run.run_id))
    await payroll(payroll.runs.VoidPayrollRun, pb.VoidPayrollRunRequest(run_id=run.run_id, reason="again"))
    fresh = await payroll.create()
    fresh = await payroll.calculate(
        fresh.run_id, [raised if one.employee_id == raised.employee_id else one for one in people], size=2
    )
    anew = await payroll(payroll.runs.ListComponentTotals, pb.ListComponentTotalsRequest(run_id=fresh.run_id))
    assert (answer.payslip_count, answer.run.progress.stale) == (1, 0)
    assert answer.run.calculation_hash != run.calculation_hash
    assert answer.run.totals == fresh.totals
    assert list(totals.totals) == list(anew.totals)


async def test_the_same_chunk_again_gives_the_stored_answer_and_another_one_is_refused(payroll: Payroll) -> None:
    people = in_order([facts() for _ in range(3)])
    run = await payroll.create()
    await payroll.start(run.run_id)
    claim = await payroll.claim(run.run_id)

    first = await payroll.send(claim, people[:2], last=False)
    again = await payroll.send(claim, people[:2], last=False)
    other = await refused(payroll.send(claim, people[:1], last=False))
    gap = await refused(payroll.send(claim, people[2:], chunk_no=3, after=people[1].employee_id))
    overlap = await refused(payroll.send(claim, people[1:], chunk_no=2, after=people[0].employee_id))
    done = await payroll.send(claim, people[2:], chunk_no=2, after=people[1].employee_id)
    repeated = await payroll.send(claim, people[2:], chunk_no=2, after=people[1].employee_id)

    assert first.results_hash == again.results_hash
    assert (other, gap, overlap) == ("CHUNK_CONFLICT", "CHUNK_OUT_OF_ORDER", "CHUNK_OUT_OF_ORDER")
    assert (done.run_status, repeated.run_status) == (pb.RUN_STATUS_CALCULATED,) * 2
    assert (done.done_count, repeated.done_count) == (3, 3)


async def test_an_older_fence_cannot_write_a_chunk(payroll: Payroll, settings: Settings) -> None:
    await older_fence_is_refused(payroll, settings)


async def older_fence_is_refused(payroll: Payroll, settings: Settings) -> None:
    """Of two workers that claimed a run, the later one writes and the earlier one is told to stop."""
    run = await payroll.create()
    await payroll.start(run.run_id)
    old = await payroll.claim(run.run_id, "w1")
    claimed = await refused(payroll.claim(run.run_id, "w2"))
    await end_lease(settings, payroll, run.run_id)

    new = await payroll.claim(run.run_id, "w2")
    fenced = await refused(payroll.send(old, [facts()]))
    slips = await payroll.payslips(run.run_id)
    done = await payroll.send(new, [facts()])

    assert (claimed, fenced, slips) == ("RUN_CLAIMED", "RUN_FENCED", [])
    assert new.fence > old.fence
    assert done.run_status == pb.RUN_STATUS_CALCULATED


class UnfencedRuns(SqlRuns):
    """The planted bug: takes whoever writes for the one who holds the run."""

    async def extend(self, id: RunId, fence: int, until: datetime) -> bool:
        return await super().extend(id, (await self.lease(id)).fence, until)


class UnfencedWork(SqlPayrollWork):
    """Payroll's work with that bug in it."""

    def __init__(self, tx: Tx, call: Call, clock: Clock) -> None:
        super().__init__(tx, call, clock, {})
        self.runs = UnfencedRuns(tx, self.outbox)


async def unfenced(opened: Opened) -> Parts:
    """Payroll wired with the bug."""
    container = Container(settings=opened.settings, database=opened.database, committed=opened.committed)
    container.work.override(providers.Object(UnfencedWork))
    return parts_of(container)


async def test_without_its_fence_an_older_claim_would_write(settings: Settings) -> None:
    async with serving(settings, replace(SERVICE, build=unfenced)) as (payroll, _):
        with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
            await older_fence_is_refused(payroll, settings)


WORKER = """
import asyncio, sys
from pathlib import Path
from uuid import UUID
from chassis.rpc.error_map import RemoteError
from chassis.settings import Settings
from kernel.ids import TenantId
from tests.support.payroll import calling, facts

folder, address, tenant, run_id, *people = sys.argv[1:]
first, second = (facts(employee_id=UUID(one), assignment_id=UUID(one)) for one in people)

async def work():
    go_on = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, go_on.set)
    async with calling(Settings.embedded(Path(folder)), address, TenantId(UUID(tenant))) as payroll:
        claim = await payroll.claim(run_id, "w1")
        while not go_on.is_set():
            await payroll.send(claim, [first], last=False)  # the same again: it only keeps the lease
            await asyncio.sleep(0.02)
        await payroll.send(claim, [second], 2, first.employee_id)

try:
    asyncio.run(work())
    print("stored")
except RemoteError as error:
    print(error.reason)
"""


def a_worker(*arguments: object) -> "subprocess.Popen[str]":
    """A process that claims the run, keeps it, and writes the last chunk once it is told to go on."""
    command = [sys.executable, "-c", WORKER, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


async def frozen_worker_is_fenced(settings: Settings, payroll: Payroll, address: str) -> None:
    """A worker that runs keeps its lease; one that is stopped loses it, and is told so when it goes on."""
    first, second = in_order([facts(), facts()])
    run_id = (await payroll.create()).run_id
    await payroll.start(run_id)
    people = (first.employee_id, second.employee_id)
    with a_worker(settings.data_dir, address, payroll.tenant_id, run_id, *people) as worker:
        try:
            await until_lease(settings, payroll, run_id, held=True)
            await end_lease(settings, payroll, run_id)
            await until_lease(settings, payroll, run_id, held=True)
            while_it_runs = await refused(payroll.claim(run_id, "w2"))

            worker.send_signal(signal.SIGSTOP)
            await until_lease(settings, payroll, run_id, held=False)
            claim = await payroll.claim(run_id, "w2")
            worker.send_signal(signal.SIGCONT)
            said, _ = await asyncio.to_thread(worker.communicate, "go on\n", 30.0)
        finally:
            worker.kill()

    assert while_it_runs == "RUN_CLAIMED"
    assert said == "RUN_FENCED\n"
    done = await payroll.send(claim, [second], claim.next_chunk_no, UUID(claim.after_employee_id))
    assert (claim.next_chunk_no, done.run_status) == (2, pb.RUN_STATUS_CALCULATED)


@pytest.mark.second_process
async def test_a_frozen_worker_loses_its_lease_and_cannot_write_any_more(settings: Settings) -> None:
    async with serving(settings) as (payroll, address):
        await frozen_worker_is_fenced(settings, payroll, address)


@pytest.mark.second_process
async def test_without_its_fence_a_worker_that_was_frozen_would_write(settings: Settings) -> None:
    async with serving(settings, replace(SERVICE, build=unfenced)) as (payroll, address):
        with pytest.raises(AssertionError, match="stored"):
            await frozen_worker_is_fenced(settings, payroll, address)


async def until_lease(settings: Settings, payroll: Payroll, run_id: str, *, held: bool) -> None:
    """Until a worker holds the run; or, the lease being ended over and over, until nobody takes it up again."""
    database = Database(settings.database_url(SERVICE.name), metadata)
    lease = metadata.tables["run_lease"]
    for _ in range(2000 if held else 300):
        if not held:
            await end_lease(settings, payroll, run_id)
        await asyncio.sleep(0.02 if held else 0.3)
        async with database.read(payroll.tenant_id) as tx:
            row = await tx.row(tx.select(lease, lease.c.lease_until).where(lease.c.run_id == UUID(run_id)))
        if row is not None and (row["lease_until"] is not None) is held:
            break
    else:
        raise AssertionError("the lease never came to be " + ("held" if held else "free"))
    await database.close()


async def end_lease(settings: Settings, payroll: Payroll, run_id: str) -> None:
    """As if 15 s had passed."""
    database = Database(settings.database_url(SERVICE.name), metadata)
    lease = metadata.tables["run_lease"]
    async with database.write(payroll.tenant_id) as tx:
        ended = tx.update(lease).where(lease.c.run_id == UUID(run_id)).values(lease_until=None)
        await tx.execute(ended)
    await database.close()


async def test_a_new_claim_goes_on_where_the_last_chunk_ended(payroll: Payroll, settings: Settings) -> None:
    people = in_order([facts() for _ in range(4)])
    run = await payroll.create()
    await payroll.start(run.run_id)
    claim = await payroll.claim(run.run_id, organization=5)
    await payroll.send(claim, people[:3], last=False)
    await end_lease(settings, payroll, run.run_id)

    resumed = await payroll.claim(run.run_id, "w2", organization=99)
    await payroll.send(resumed, people[3:], resumed.next_chunk_no, UUID(resumed.after_employee_id))
    done = await payroll.run(run.run_id)

    assert (resumed.next_chunk_no, resumed.after_employee_id) == (2, str(people[2].employee_id))
    assert (done.status, done.progress.done) == (pb.RUN_STATUS_CALCULATED, 4)
    assert [(one.source, one.position) for one in done.source_positions] == [("organization", 5)]


async def test_a_regular_period_is_run_once_and_a_final_one_never_again(payroll: Payroll) -> None:
    run = await payroll.calculated([facts()])
    twice = await refused(payroll.create())
    await payroll.finalize(run)

    again = await refused(payroll.create())
    recalculated = await refused(payroll.start(run.run_id))
    voided = await refused(
        payroll(payroll.runs.VoidPayrollRun, pb.VoidPayrollRunRequest(run_id=run.run_id, reason="oops"))
    )

    assert (twice, again) == ("RUN_EXISTS", "RUN_EXISTS")
    assert (recalculated, voided) == ("RUN_STATUS_WRONG", "RUN_STATUS_WRONG")


async def test_the_place_of_a_void_run_is_free_again(payroll: Payroll) -> None:
    people = [facts() for _ in range(3)]
    first = await payroll.calculated(people)
    await payroll(payroll.runs.VoidPayrollRun, pb.VoidPayrollRunRequest(run_id=first.run_id, reason="wrong group"))

    second = await payroll.calculated(people)

    assert second.status == pb.RUN_STATUS_CALCULATED
    assert [slip.content_hash for slip in await payroll.payslips(second.run_id)] != []


async def test_a_bonus_is_taken_by_one_run_and_makes_the_payslip_stale(payroll: Payroll) -> None:
    people = in_order([facts(), facts()])
    run = await payroll.calculated(people)
    bonus = pb.CreatePayInputRequest(
        employee_id=str(people[0].employee_id),
        pay_group="CN-MONTHLY",
        period="2026-11",
        component="BONUS",
        amount=Money(currency="CNY", minor_units=3600000),
    )

    entered = (await payroll(payroll.runs.CreatePayInput, bonus)).pay_input
    stale = await payroll.run(run.run_id)
    request = pb.RecalculateEmployeesRequest(run_id=run.run_id, facts=[people[0].message], known_at=run.input_cutoff)
    await payroll(payroll.runs.RecalculateEmployees, request)
    slip = await payroll.payslip(run.run_id, people[0].employee_id)
    taken = await payroll(payroll.runs.ListPayInputs, pb.ListPayInputsRequest(period="2026-11"))
    await payroll.finalize(await payroll.run(run.run_id))
    used = await payroll(payroll.runs.ListPayInputs, pb.ListPayInputsRequest(period="2026-11"))
    cancelled = await refused(
        payroll(payroll.runs.CancelPayInput, pb.CancelPayInputRequest(pay_input_id=entered.pay_input_id))
    )

    assert entered.status == pb.PAY_INPUT_STATUS_OPEN
    assert (stale.progress.stale, stale.progress.done) == (1, 2)
    assert (amounts(slip)["BONUS"], amounts(slip)["BONUS_IIT"]) == (3600000, 108000)
    assert [one.status for one in taken.pay_inputs] == [pb.PAY_INPUT_STATUS_TAKEN]
    assert [one.status for one in used.pay_inputs] == [pb.PAY_INPUT_STATUS_USED]
    assert cancelled == "PAY_INPUT_USED"


async def test_the_year_to_date_stands_on_the_latest_final_payslip(payroll: Payroll) -> None:
    person = facts("30000")
    october = Facts(person.employee_id, person.assignment_id, date(2026, 10, 1), NOVEMBER).paid("30000")
    first = await payroll.finalize(await payroll.calculated([october], "2026-10"))

    second = await payroll.calculated([person])
    before = await payroll.payslip(first.run_id, person.employee_id)
    after = await payroll.payslip(second.run_id, person.employee_id)

    assert after.year_to_date.predecessor_payslip_id == before.summary.payslip_id
    assert after.year_to_date.totals["gross"] == "60000"
    assert after.year_to_date.totals["months"] == "2"


async def test_finalizing_names_the_employees_whose_year_to_date_moved(payroll: Payroll) -> None:
    person, other = facts("30000"), facts("30000")
    run = await payroll.calculated([person, other])
    late = Facts(person.employee_id, person.assignment_id, date(2026, 10, 1), NOVEMBER).paid("30000")
    approved = await payroll.approve(run)
    await payroll.finalize(await payroll.calculated([late], "2026-10"))

    with pytest.raises(RemoteError) as error:
        await payroll(payroll.runs.FinalizePayrollRun, pb.FinalizePayrollRunRequest(run_id=approved.run_id))

    assert error.value.reason == "PREDECESSOR_MOVED"
    assert error.value.facts["employee_ids"] == str(person.employee_id)


async def test_an_off_cycle_run_pays_only_the_inputs_entered(payroll: Payroll) -> None:
    person = facts("30000")
    await payroll.finalize(await payroll.calculated([person]))
    await payroll(
        payroll.runs.CreatePayInput,
        pb.CreatePayInputRequest(
            employee_id=str(person.employee_id),
            pay_group="CN-MONTHLY",
            period="2026-11",
            component="ADJUSTMENT",
            amount=Money(currency="CNY", minor_units=100000),
            run_kind=pb.RUN_KIND_OFF_CYCLE,
        ),
    )

    off = await payroll.create(
        kind=pb.RUN_KIND_OFF_CYCLE,
        pay_date=day_to(date(2026, 12, 10)),
        employee_ids=[str(person.employee_id)],
        reason="forgotten overtime",
    )
    run = await payroll.calculate(off.run_id, [person])
    slip = await payroll.payslip(run.run_id, person.employee_id)

    assert (off.sequence, run.progress.done) == (1, 1)
    assert amounts(slip)["ADJUSTMENT"] == 100000
    assert "PENSION_EMPLOYEE" not in amounts(slip)
    assert amounts(slip).get("BASE", 0) == 0
    assert slip.year_to_date.totals["months"] == "1"


async def test_two_live_runs_cannot_pay_the_same_days(payroll: Payroll) -> None:
    person, other = facts(), facts()
    regular = await payroll.calculated([person])
    termination = await payroll.create(
        kind=pb.RUN_KIND_TERMINATION,
        pay_date=day_to(date(2026, 12, 10)),
        employee_ids=[str(person.employee_id), str(other.employee_id)],
        reason="leaves",
        include_regular=True,
    )

    run = await payroll.calculate(termination.run_id, [person, other])
    listed = await payroll(payroll.runs.ListBlockers, pb.ListBlockersRequest(run_id=run.run_id))

    assert [(one.employee_id, one.reason, one.subject) for one in listed.blockers] == [
        (str(person.employee_id), "PAYSLIP_SLOT_TAKEN", regular.run_id)
    ]
    assert (run.progress.done, run.progress.blocked) == (1, 1)


async def test_negative_net_is_a_blocker(payroll: Payroll) -> None:
    person, other = facts("3000"), facts("30000")
    await payroll(
        payroll.runs.CreatePayInput,
        pb.CreatePayInputRequest(
            employee_id=str(person.employee_id),
            pay_group="CN-MONTHLY",
            period="2026-11",
            component="OTHER_DEDUCTION",
            amount=Money(currency="CNY", minor_units=900000),
        ),
    )

    run = await payroll.calculated([person.with_profile(social_insurance_base="", housing_fund_base=""), other])
    listed = await payroll(payroll.runs.ListBlockers, pb.ListBlockersRequest(run_id=run.run_id))

    assert [(one.employee_id, one.reason) for one in listed.blockers] == [(str(person.employee_id), "NEGATIVE_NET")]
    assert run.progress.done == 1


async def test_facts_that_contradict_themselves_are_refused_by_field(payroll: Payroll) -> None:
    run = await payroll.create()
    await payroll.start(run.run_id)
    claim = await payroll.claim(run.run_id)
    person = Facts().paid("1e9")

    with pytest.raises(RemoteError) as error:
        await payroll.send(claim, [person])

    assert error.value.reason == "FACTS_INVALID"
    assert [violation.field for violation in error.value.fields] == ["facts.segments.compensation_amount"]


async def test_a_catalog_change_makes_a_calculated_run_stale(payroll: Payroll) -> None:
    run = await payroll.calculated([facts(), facts()])
    got = await payroll(payroll.catalog.GetPayComponent, cpb.GetPayComponentRequest(code="ALLOWANCE_MEAL"))
    got.component.formula = "allowance_MEAL + 10"
    await payroll(payroll.catalog.PutPayComponent, cpb.PutPayComponentRequest(component=got.component))

    stale = await payroll.run(run.run_id)
    reason = await refused(payroll.approve(run))

    assert stale.progress.stale == 2
    assert reason == "INPUTS_CHANGED"


async def test_payslips_of_an_employee_are_listed_over_time(payroll: Payroll) -> None:
    person = facts("30000")
    october = Facts(person.employee_id, person.assignment_id, date(2026, 10, 1), NOVEMBER).paid("30000")
    await payroll.finalize(await payroll.calculated([october], "2026-10"))
    await payroll.calculated([person])

    request = pb.ListPayslipsRequest(employee_id=str(person.employee_id))
    listed = await payroll(payroll.runs.ListPayslips, request)
    final = pb.ListPayslipsRequest(employee_id=str(person.employee_id), finalized_only=True)
    finals = await payroll(payroll.runs.ListPayslips, final)

    assert [slip.period for slip in listed.payslips] == ["2026-11", "2026-10"]
    assert [slip.period for slip in finals.payslips] == ["2026-10"]


async def test_another_tenant_sees_nothing(payroll: Payroll) -> None:
    person = facts()
    run = await payroll.calculated([person])
    slip = await payroll.payslip(run.run_id, person.employee_id)
    stranger = replace(payroll, tenant_id=TenantId(uuid4()))

    assert await refused(stranger.run(run.run_id)) == "RUN_NOT_FOUND"
    assert await refused(stranger.payslips(run.run_id)) == "RUN_NOT_FOUND"
    assert (
        await refused(
            stranger(stranger.runs.ReplayPayslip, pb.ReplayPayslipRequest(payslip_id=slip.summary.payslip_id))
        )
        == "PAYSLIP_NOT_FOUND"
    )


async def test_chunks_in_flight_are_stored_in_order(payroll: Payroll) -> None:
    people = in_order([facts() for _ in range(6)])
    run = await payroll.create()
    await payroll.start(run.run_id)
    claim = await payroll.claim(run.run_id)

    answers = await asyncio.gather(
        *(
            payroll.send(
                claim, people[at : at + 2], at // 2 + 1, people[at - 1].employee_id if at else None, last=at == 4
            )
            for at in (0, 2, 4)
        )
    )
    done = await payroll.run(run.run_id)

    assert [answer.chunk_no for answer in answers] == [1, 2, 3]
    assert (done.status, done.progress.done) == (pb.RUN_STATUS_CALCULATED, 6)


async def test_a_run_that_nobody_holds_is_asked_for_again(payroll: Payroll, settings: Settings) -> None:
    run = await payroll.create()
    await payroll.start(run.run_id)
    database = Database(settings.database_url(SERVICE.name), metadata)
    container = Container(settings, database, lambda: None)
    reminders = container.reminders()
    early = await reminders.look()
    lease = metadata.tables["run_lease"]
    async with database.write(payroll.tenant_id) as tx:
        old = tx.update(lease).values(requested_time=datetime(2026, 1, 1, tzinfo=UTC))
        await tx.execute(old)

    asked = await reminders.look()
    again = await reminders.look()
    async with database.read(payroll.tenant_id) as tx:
        outbox = metadata.tables["outbox"]
        events = await tx.rows(tx.select(outbox, outbox.c.type).where(outbox.c.type.like("%CalculationRequested%")))
    await database.close()

    assert (early, asked, again) == (0, 1, 0)
    assert len(events) == 2


async def test_an_operator_sees_a_calculation_that_was_given_back_and_has_it_asked_for_again(
    payroll: Payroll, settings: Settings
) -> None:
    people = in_order([facts("20000"), facts("20000"), facts("20000")])
    run = await payroll.create()
    await payroll.start(run.run_id)
    jobs, operator = payroll.client.stub(job_pb2_grpc.JobServiceStub), feed_principal("operator")

    async def seen() -> Any:
        answer = await payroll.client.call(jobs.ListWork, job_pb2.ListWorkRequest(), principal=operator)
        [work] = [one for one in answer.works if one.work_id == run.run_id]
        return work

    async def retry() -> None:
        request = job_pb2.RetryWorkRequest(kind="calculation", work_id=run.run_id)
        await payroll.client.call(jobs.RetryWork, request, principal=operator)

    waiting = await seen()
    claim = await payroll.claim(run.run_id, "w1")
    await payroll.send(claim, people[:2], last=False)
    running = await seen()
    await retry()  # somebody is at it: no change
    given_back = pb.GiveBackCalculationRequest(run_id=run.run_id, fence=claim.fence, reason="UNAVAILABLE: start it")
    await payroll(payroll.runs.GiveBackCalculation, given_back)
    failed = await seen()
    await retry()
    claim = await payroll.claim(run.run_id, "w2")  # at once: no lease had to end
    late = await refused(
        payroll(
            payroll.runs.GiveBackCalculation,
            pb.GiveBackCalculationRequest(run_id=run.run_id, fence=claim.fence - 1, reason="late"),
        )
    )
    await payroll.send(claim, people[2:], 2, people[1].employee_id)
    events = await asked_for(settings, payroll)

    assert (waiting.state, waiting.done_count) == (job_pb2.RUN_STATE_WAITING, 0)
    assert waiting.tenant_id == str(payroll.tenant_id)
    assert (running.state, running.worker, running.done_count) == (job_pb2.RUN_STATE_RUNNING, "w1", 2)
    assert (failed.state, failed.error) == (job_pb2.RUN_STATE_FAILED, "UNAVAILABLE: start it")
    assert not failed.HasField("lease_until_time")
    assert late == "RUN_FENCED"
    assert events == 2
    with pytest.raises(ValueError, match="not enough values"):
        await seen()


async def asked_for(settings: Settings, payroll: Payroll) -> int:
    """How often somebody was asked to calculate."""
    database = Database(settings.database_url(SERVICE.name), metadata)
    outbox = metadata.tables["outbox"]
    async with database.read(payroll.tenant_id) as tx:
        events = await tx.rows(tx.select(outbox, outbox.c.type).where(outbox.c.type.like("%CalculationRequested%")))
    await database.close()
    return len(events)


async def test_a_new_attempt_replaces_everything(payroll: Payroll) -> None:
    people = in_order([facts("20000"), facts("20000"), facts("20000")])
    first = await payroll.calculated(people)
    raised = [Facts(one.employee_id, one.assignment_id).paid("25000") for one in people[:2]]

    second = await payroll.calculate(first.run_id, raised)
    slips = await payroll.payslips(first.run_id)

    assert (second.attempt, second.progress.done) == (2, 2)
    assert [slip.gross.minor_units for slip in slips] == [2500000, 2500000]
    assert second.calculation_hash != first.calculation_hash


async def test_employees_that_left_the_group_are_taken_out(payroll: Payroll) -> None:
    people = in_order([facts(), facts()])
    run = await payroll.calculated(people)

    request = pb.RecalculateEmployeesRequest(
        run_id=run.run_id, gone_employee_ids=[str(people[0].employee_id)], known_at=run.input_cutoff
    )
    answer = await payroll(payroll.runs.RecalculateEmployees, request)

    assert answer.run.progress.done == 1
    assert [slip.employee_id for slip in await payroll.payslips(run.run_id)] == [str(people[1].employee_id)]


async def test_a_formula_that_cannot_be_read_is_refused_with_its_position(payroll: Payroll) -> None:
    component = cpb.PayComponent(
        code="EXTRA",
        name="Extra",
        kind=cpb.LINE_KIND_EARNING,
        formula="monthly_wage * (1 + ",
        digits=2,
        tax_treatment=cpb.TAX_TREATMENT_WAGE,
        effective_date=day_to(date(2026, 1, 1)),
    )

    with pytest.raises(RemoteError) as error:
        await payroll(payroll.catalog.PutPayComponent, cpb.PutPayComponentRequest(component=component))

    assert error.value.reason == "FORMULA_INVALID"
    assert error.value.facts["component"] == "EXTRA"
    assert error.value.facts["position"] == "21"
    assert [violation.field for violation in error.value.fields] == ["formula"]


async def test_a_component_is_put_read_and_listed_by_version(payroll: Payroll) -> None:
    component = cpb.PayComponent(
        code="AAA",
        name="First",
        kind=cpb.LINE_KIND_EARNING,
        formula="100",
        digits=2,
        tax_treatment=cpb.TAX_TREATMENT_WAGE,
        effective_date=day_to(date(2026, 1, 1)),
    )

    put = await payroll(payroll.catalog.PutPayComponent, cpb.PutPayComponentRequest(component=component))
    stale = await refused(
        payroll(payroll.catalog.PutPayComponent, cpb.PutPayComponentRequest(component=component, etag="1"))
    )
    got = await payroll(payroll.catalog.GetPayComponent, cpb.GetPayComponentRequest(code="AAA"))
    before = await refused(
        payroll(
            payroll.catalog.GetPayComponent,
            cpb.GetPayComponentRequest(code="AAA", catalog_version=put.catalog_version - 1),
        )
    )
    page = await payroll(payroll.catalog.ListPayComponents, cpb.ListPayComponentsRequest(page_size=1))
    rest = await payroll(
        payroll.catalog.ListPayComponents, cpb.ListPayComponentsRequest(page_token=page.next_page_token)
    )

    assert (stale, before) == ("STALE_VERSION", "PAY_COMPONENT_NOT_FOUND")
    assert got.component == put.component
    assert page.components[0].code == "AAA"
    assert len(rest.components) == 28


async def test_periods_of_a_group_are_listed(payroll: Payroll) -> None:
    request = cpb.ListPayPeriodsRequest(
        pay_group="CN-MONTHLY",
        from_date=day_to(date(2026, 11, 15)),
        to_date=day_to(date(2027, 1, 1)),
    )

    listed = await payroll(payroll.catalog.ListPayPeriods, request)
    one = await payroll(payroll.catalog.GetPayPeriod, cpb.GetPayPeriodRequest(pay_group="CN-MONTHLY", name="2026-12"))

    assert [period.name for period in listed.pay_periods] == ["2026-11", "2026-12", "2027-01"]
    assert one.pay_period == listed.pay_periods[1]
    assert (one.pay_period.tax_year, one.pay_period.tax_period) == (2027, 1)


async def test_the_migrations_make_the_tables(settings: Settings, payroll: Payroll) -> None:
    database = Database(settings.database_url(SERVICE.name), metadata)

    found = await migrations.differences(database, SERVICE.name)
    await database.close()

    assert found == []
