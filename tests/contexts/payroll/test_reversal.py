"""A final run that was wrong is taken back line by line, and its period paid again."""

from collections.abc import Awaitable
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from muster.payroll.v1 import payroll_run_pb2 as pb
from muster.type.v1.money_pb2 import Money

from chassis.rpc.error_map import RemoteError
from tests.support.payroll import NOVEMBER, Facts, Payroll, amounts, day_to, facts, in_order

OCTOBER = date(2026, 10, 1)


async def refused(work: Awaitable[Any]) -> str:
    """The reason of a refusal."""
    with pytest.raises(RemoteError) as error:
        await work
    return error.value.reason


def in_month(person: Facts, start: date, end: date, amount: str) -> Facts:
    """The same person in another month."""
    return Facts(person.employee_id, person.assignment_id, start, end).paid(amount)


async def a_bonus(payroll: Payroll, person: Facts) -> Any:
    """Entered for November."""
    request = pb.CreatePayInputRequest(
        employee_id=str(person.employee_id),
        pay_group="CN-MONTHLY",
        period="2026-11",
        component="BONUS",
        amount=Money(currency="CNY", minor_units=3600000),
    )
    return (await payroll(payroll.runs.CreatePayInput, request)).pay_input


async def pay_inputs(payroll: Payroll) -> list[pb.PayInput]:
    """All that were entered."""
    return list((await payroll(payroll.runs.ListPayInputs, pb.ListPayInputsRequest())).pay_inputs)


async def settled(payroll: Payroll, run_id: str, *people: Facts) -> Any:
    """The bank paid these people."""
    employees = [str(one.employee_id) for one in people]
    request = pb.SettlePaymentsRequest(run_id=run_id, employee_ids=employees)
    return (await payroll(payroll.runs.SettlePayments, request)).run


async def of_employee(payroll: Payroll, employee: UUID) -> list[tuple[int, int]]:
    """What an employee sees: status of the run and net pay, newest first."""
    request = pb.ListPayslipsRequest(employee_id=str(employee), finalized_only=True)
    listed = (await payroll(payroll.runs.ListPayslips, request)).payslips
    return [(one.run_status, one.net.minor_units) for one in listed]


async def test_a_reversed_period_is_paid_again_as_if_it_had_never_been(payroll: Payroll) -> None:
    person = facts("30000")
    await a_bonus(payroll, person)
    october = await payroll.finalize(
        await payroll.calculated([in_month(person, OCTOBER, NOVEMBER, "30000")], "2026-10")
    )
    wrong = await payroll.finalize(await payroll.calculated([person]))
    before = await payroll.payslip(wrong.run_id, person.employee_id)

    reversal = await payroll.reversal(wrong.run_id)
    still = await payroll.run(wrong.run_id)
    taken_back = await payroll.payslip(reversal.run_id, person.employee_id)
    alone = await refused(
        payroll(
            payroll.runs.ApprovePayrollRun,
            pb.ApprovePayrollRunRequest(run_id=reversal.run_id, calculation_hash=reversal.calculation_hash),
        )
    )
    final = await payroll.finalize(reversal)
    gone = await payroll.run(wrong.run_id)
    [bonus] = await pay_inputs(payroll)
    again = await payroll.finalize(await payroll.calculated([person]))
    slip = await payroll.payslip(again.run_id, person.employee_id)
    october_slip = await payroll.payslip(october.run_id, person.employee_id)

    assert (reversal.kind, reversal.status, reversal.reverses_run_id) == (
        pb.RUN_KIND_REVERSAL,
        pb.RUN_STATUS_CALCULATED,
        wrong.run_id,
    )
    assert (still.status, alone) == (pb.RUN_STATUS_FINALIZED, "SELF_APPROVAL")
    assert amounts(taken_back) == {code: -minor for code, minor in amounts(before).items()}
    assert reversal.totals.net.minor_units == -wrong.totals.net.minor_units
    assert reversal.totals.employer_cost.minor_units == -wrong.totals.employer_cost.minor_units
    assert taken_back.year_to_date.totals == october_slip.year_to_date.totals
    assert taken_back.year_to_date.predecessor_payslip_id == before.summary.payslip_id
    assert (final.status, final.due_payment_count) == (pb.RUN_STATUS_FINALIZED, 0)
    assert (gone.status, gone.reversed_by_run_id) == (pb.RUN_STATUS_REVERSED, reversal.run_id)
    assert bonus.status == pb.PAY_INPUT_STATUS_OPEN
    assert amounts(slip) == amounts(before)
    assert slip.year_to_date == before.year_to_date
    assert slip.year_to_date.predecessor_payslip_id == october_slip.summary.payslip_id
    net = before.summary.net.minor_units
    assert sorted(await of_employee(payroll, person.employee_id)) == sorted(
        [
            (pb.RUN_STATUS_FINALIZED, october_slip.summary.net.minor_units),
            (pb.RUN_STATUS_REVERSED, net),
            (pb.RUN_STATUS_FINALIZED, -net),
            (pb.RUN_STATUS_FINALIZED, net),
        ]
    )


async def test_a_payslip_of_a_reversal_replays_and_explains_itself(payroll: Payroll) -> None:
    person = facts("30000")
    wrong = await payroll.finalize(await payroll.calculated([person]))
    reversal = await payroll.reversal(wrong.run_id)
    before = await payroll.payslip(wrong.run_id, person.employee_id)
    slip = await payroll.payslip(reversal.run_id, person.employee_id)
    payslip_id = slip.summary.payslip_id

    replayed = await payroll(payroll.runs.ReplayPayslip, pb.ReplayPayslipRequest(payslip_id=payslip_id))
    trace = pb.GetPayslipLineTraceRequest(payslip_id=payslip_id, code="IIT")
    told = await payroll(payroll.runs.GetPayslipLineTrace, trace)
    rows = await payroll(payroll.runs.ListRegisterRows, pb.ListRegisterRowsRequest(run_id=reversal.run_id))
    changes = await payroll(payroll.runs.ListVariances, pb.ListVariancesRequest(run_id=reversal.run_id))

    assert replayed.matches
    assert [(step.name, step.source) for step in told.steps] == [
        ("paid", pb.TRACE_SOURCE_INPUT),
        ("amount", pb.TRACE_SOURCE_STEP),
    ]
    assert before.summary.payslip_id in told.steps[0].origin
    assert told.line.amount.minor_units == -amounts(before)["IIT"]
    assert rows.rows[0].net_minor == -wrong.totals.net.minor_units
    by_code = dict(zip((column.code for column in rows.columns), rows.rows[0].amounts_minor, strict=True))
    assert by_code == {code: minor for code, minor in amounts(slip).items() if minor}
    assert sum(column.total_minor for column in rows.columns) == sum(amounts(slip).values())
    assert {reason for line in changes.employees[0].lines for reason in line.reasons} == {pb.VARIANCE_REASON_REVERSAL}
    assert slip.year_to_date.totals["gross"] == "0"


async def test_money_that_went_out_comes_back_first_or_is_said_to(payroll: Payroll) -> None:
    ann, bob = in_order([facts("20000"), facts("30000")])
    final = await payroll.finalize(await payroll.calculated([ann, bob]))
    await settled(payroll, final.run_id, ann)

    paid_out = await refused(payroll.reversal(final.run_id))
    returning = pb.ReturnPaymentsRequest(
        run_id=final.run_id, employee_ids=[str(ann.employee_id)], reason="wrong amount"
    )
    await payroll(payroll.runs.ReturnPayments, returning)
    reversal = await payroll.reversal(final.run_id)
    await payroll.approve(reversal)
    await settled(payroll, final.run_id, ann)
    paid_meanwhile = await refused(
        payroll(payroll.runs.FinalizePayrollRun, pb.FinalizePayrollRunRequest(run_id=reversal.run_id))
    )
    await payroll(payroll.runs.VoidPayrollRun, pb.VoidPayrollRunRequest(run_id=reversal.run_id, reason="paid"))
    await payroll.finalize(await payroll.reversal(final.run_id, recover_settled=True))
    listed = await payroll(payroll.runs.ListPayments, pb.ListPaymentsRequest(run_id=final.run_id))

    assert (paid_out, paid_meanwhile) == ("PAYMENTS_SETTLED", "PAYMENTS_SETTLED")
    assert (await payroll.run(final.run_id)).status == pb.RUN_STATUS_REVERSED
    assert {one.employee_id: one.status for one in listed.payments} == {
        str(ann.employee_id): pb.PAYMENT_STATUS_SETTLED,
        str(bob.employee_id): pb.PAYMENT_STATUS_CANCELLED,
    }


async def test_a_run_that_later_payslips_stand_on_is_reversed_after_them(payroll: Payroll) -> None:
    person, other = in_order([facts("30000"), facts("20000")])
    october = await payroll.finalize(
        await payroll.calculated([in_month(one, OCTOBER, NOVEMBER, "30000") for one in (person, other)], "2026-10")
    )
    november = await payroll.finalize(await payroll.calculated([person]))

    early = await payroll.reversal(october.run_id)
    blockers = await payroll(payroll.runs.ListBlockers, pb.ListBlockersRequest(run_id=early.run_id))
    deferring = pb.DeferEmployeesRequest(run_id=early.run_id, employee_ids=[str(person.employee_id)])
    left_out = await refused(payroll(payroll.runs.DeferEmployees, deferring))
    approved = await refused(payroll.approve(early))
    await payroll.finalize(await payroll.reversal(november.run_id))
    again = await payroll.reversal(early.run_id, again=True)
    await payroll.finalize(again)

    assert [(one.employee_id, one.reason) for one in blockers.blockers] == [
        (str(person.employee_id), "REVERSAL_OUT_OF_ORDER")
    ]
    assert (early.progress.done, left_out, approved) == (1, "RUN_INVALID", "RUN_BLOCKED")
    assert (again.progress.done, again.progress.blocked) == (2, 0)
    assert (await payroll.run(october.run_id)).status == pb.RUN_STATUS_REVERSED


async def test_a_payslip_that_stands_on_a_reversed_one_is_calculated_anew(payroll: Payroll) -> None:
    person = facts("30000")
    october = await payroll.finalize(
        await payroll.calculated([in_month(person, OCTOBER, NOVEMBER, "30000")], "2026-10")
    )
    standing = await payroll.calculated([person])
    await payroll.finalize(await payroll.reversal(october.run_id))

    moved = await refused(payroll.finalize(standing))
    anew = pb.RecalculateEmployeesRequest(
        run_id=standing.run_id, facts=[person.message], known_at=standing.input_cutoff
    )

    assert moved == "PREDECESSOR_MOVED"
    # An approved run is not recalculated: it is given up and made again.
    assert await refused(payroll(payroll.runs.RecalculateEmployees, anew)) == "RUN_STATUS_WRONG"
    await payroll(payroll.runs.VoidPayrollRun, pb.VoidPayrollRunRequest(run_id=standing.run_id, reason="moved"))
    fresh = await payroll.finalize(await payroll.calculated([person]))
    assert (await payroll.payslip(fresh.run_id, person.employee_id)).year_to_date.predecessor_payslip_id == ""


async def test_only_a_final_run_of_this_tax_year_is_reversed_and_only_once(payroll: Payroll) -> None:
    person = facts("30000")
    calculated = await payroll.calculated([person])
    early = await refused(payroll.reversal(calculated.run_id))
    final = await payroll.finalize(calculated)

    late = await refused(payroll.reversal(final.run_id, reversal_date=day_to(date(2027, 1, 4))))
    reversal = await payroll.reversal(final.run_id)
    twice = await refused(payroll.reversal(final.run_id))
    single = pb.RecalculateEmployeesRequest(
        run_id=reversal.run_id, facts=[person.message], known_at=reversal.input_cutoff
    )
    recalculated = await refused(payroll(payroll.runs.RecalculateEmployees, single))
    await payroll.finalize(reversal)
    after = await refused(payroll.reversal(final.run_id))
    back = await refused(payroll.reversal(reversal.run_id))
    entered = await refused(payroll.create(kind=pb.RUN_KIND_REVERSAL, employee_ids=[str(person.employee_id)]))

    assert (early, late, twice) == ("RUN_STATUS_WRONG", "REVERSAL_LATE", "RUN_EXISTS")
    assert (recalculated, after, back, entered) == ("RUN_INVALID", "RUN_STATUS_WRONG", "RUN_INVALID", "RUN_INVALID")


async def test_a_long_reversal_goes_on_chunk_by_chunk(payroll: Payroll) -> None:
    people = in_order([facts(str(10000 + number)) for number in range(5)])
    final = await payroll.finalize(await payroll.calculated(people))

    reversal = await payroll.reversal(final.run_id, size=2)

    assert (reversal.progress.done, reversal.progress.chunks) == (5, 3)
    assert reversal.totals.gross.minor_units == -final.totals.gross.minor_units


async def test_an_opening_balance_that_was_wrong_is_taken_back_and_brought_in_anew(payroll: Payroll) -> None:
    person = facts("30000")
    statutory = {"income": "44000", "contributions": "7700", "special_additional": "0", "tax": "789", "months": "2"}

    async def imported(gross: str) -> Any:
        totals = {**statutory, "gross": gross, "deductions": "8489", "net": "35511"}
        request = pb.ImportOpeningBalancesRequest(
            pay_group="CN-MONTHLY",
            period="2026-10",
            source="Statement of Old Co",
            source_date=day_to(date(2026, 11, 2)),
            balances=[pb.OpeningBalance(employee_id=str(person.employee_id), totals=totals)],
        )
        return await payroll.finalize((await payroll(payroll.runs.ImportOpeningBalances, request)).run)

    wrong = await imported("99000")
    await payroll.finalize(await payroll.reversal(wrong.run_id))
    await imported("44000")
    slip = await payroll.payslip((await payroll.calculated([person])).run_id, person.employee_id)

    assert slip.year_to_date.totals["gross"] == "74000"
    assert slip.year_to_date.totals["months"] == "3"


async def test_a_reversal_that_was_interrupted_goes_on_after_its_last_chunk(payroll: Payroll) -> None:
    people = in_order([facts(str(10000 + number)) for number in range(3)])
    final = await payroll.finalize(await payroll.calculated(people))
    request = pb.ReversePayrollRunRequest(
        run_id=final.run_id, reason="wrong table", reversal_date=day_to(date(2026, 12, 10))
    )
    reversal_id = (await payroll(payroll.runs.ReversePayrollRun, request)).run.run_id
    claim = await payroll.claim(reversal_id)
    chunk = pb.SubmitReversalChunkRequest(
        run_id=reversal_id, attempt=claim.attempt, fence=claim.fence, chunk_no=1, limit=2
    )

    first = await payroll(payroll.runs.SubmitReversalChunk, chunk)
    lost = await payroll(payroll.runs.SubmitReversalChunk, chunk)
    chunk.fence = claim.fence - 1 or claim.fence + 1
    fenced = await refused(payroll(payroll.runs.SubmitReversalChunk, chunk))
    gap = pb.SubmitReversalChunkRequest(
        run_id=reversal_id, attempt=claim.attempt, fence=claim.fence, chunk_no=2, limit=2
    )
    overlapping = await refused(payroll(payroll.runs.SubmitReversalChunk, gap))
    gap.after_employee_id = first.last_employee_id
    last = await payroll(payroll.runs.SubmitReversalChunk, gap)

    assert first == lost
    assert first.last_employee_id == str(people[1].employee_id)
    assert (fenced, overlapping) == ("RUN_FENCED", "CHUNK_OUT_OF_ORDER")
    assert (last.run_status, last.last_employee_id) == (pb.RUN_STATUS_CALCULATED, "")
    assert (await payroll.run(reversal_id)).totals.net.minor_units == -final.totals.net.minor_units
