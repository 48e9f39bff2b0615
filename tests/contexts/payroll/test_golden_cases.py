"""Golden cases of payroll, from defects of other programs. G8 and G23 are computed in domain/test_engine.py."""

from collections.abc import Awaitable
from datetime import date
from typing import Any

import pytest
from muster.payroll.v1 import payroll_run_pb2 as pb
from muster.type.v1.money_pb2 import Money

from chassis.rpc.error_map import RemoteError
from tests.support.payroll import Facts, Payroll, amounts, day_to, facts


async def refused(work: Awaitable[Any]) -> str:
    """The reason of a refusal."""
    with pytest.raises(RemoteError) as error:
        await work
    return error.value.reason


async def test_a_period_whose_payslip_is_paid_is_not_made_again_but_corrected(payroll: Payroll) -> None:
    """Golden case G24: a batch that is run once more must not write over a payslip that was paid."""
    person = facts("20000")
    raised = Facts(person.employee_id, person.assignment_id).paid("22000")
    run = await payroll.finalize(await payroll.calculated([person]))
    employees = [str(person.employee_id)]
    settling = pb.SettlePaymentsRequest(run_id=run.run_id, employee_ids=employees)
    paid = (await payroll(payroll.runs.SettlePayments, settling)).run
    before = await payroll.payslip(run.run_id, person.employee_id)

    tries = [
        await refused(payroll.create()),
        await refused(payroll.start(run.run_id)),
        await refused(
            payroll(
                payroll.runs.RecalculateEmployees,
                pb.RecalculateEmployeesRequest(run_id=run.run_id, facts=[raised.message], known_at=run.input_cutoff),
            )
        ),
        await refused(payroll(payroll.runs.VoidPayrollRun, pb.VoidPayrollRunRequest(run_id=run.run_id, reason="no"))),
        await refused(payroll.reversal(run.run_id)),
    ]
    difference = pb.CreatePayInputRequest(
        employee_id=str(person.employee_id),
        pay_group="CN-MONTHLY",
        period="2026-11",
        component="ADJUSTMENT",
        amount=Money(currency="CNY", minor_units=200000),
        run_kind=pb.RUN_KIND_CORRECTION,
        reason="raise known too late",
    )
    await payroll(payroll.runs.CreatePayInput, difference)
    correcting = await payroll.create(
        kind=pb.RUN_KIND_CORRECTION,
        employee_ids=employees,
        reason="raise known too late",
        pay_date=day_to(date(2026, 12, 20)),
    )
    correction = await payroll.finalize(await payroll.calculate(correcting.run_id, [raised]))
    slip = await payroll.payslip(correction.run_id, person.employee_id)

    assert paid.status == pb.RUN_STATUS_PAID
    assert tries == ["RUN_EXISTS", "RUN_STATUS_WRONG", "RUN_STATUS_WRONG", "RUN_STATUS_WRONG", "PAYMENTS_SETTLED"]
    assert await payroll.payslip(run.run_id, person.employee_id) == before
    assert await payroll.run(run.run_id) == paid
    # 2,000 more, taxed with the month: the contributions of November are taken already.
    assert {code: minor for code, minor in amounts(slip).items() if minor} == {"ADJUSTMENT": 200000, "IIT": 6000}
    assert slip.year_to_date.predecessor_payslip_id == before.summary.payslip_id
    assert slip.year_to_date.totals["gross"] == "22000"
