"""Pay beside the month: opening balances, bonuses off cycle, the last pay of those who leave."""

from collections.abc import Awaitable
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest
from muster.payroll.v1 import payroll_run_pb2 as pb
from muster.type.v1.money_pb2 import Money

from chassis.rpc.error_map import RemoteError
from tests.support.payroll import DECEMBER, NOVEMBER, Facts, Payroll, amounts, day_to, facts

MARCH, APRIL = date(2026, 3, 1), date(2026, 4, 1)
BEFORE = {"income": "44000", "contributions": "7700", "special_additional": "0", "tax": "789", "months": "2"}


async def refused(work: Awaitable[Any]) -> str:
    """The reason of a refusal."""
    with pytest.raises(RemoteError) as error:
        await work
    return error.value.reason


def opening(employee: UUID, **changes: Any) -> pb.ImportOpeningBalancesRequest:
    """Two months with another payroll."""
    totals = {**BEFORE, "gross": "44000", "deductions": "8489", "net": "35511", **changes.pop("totals", {})}
    wanted: dict[str, Any] = {
        "pay_group": "CN-MONTHLY",
        "period": "2026-02",
        "source": "Payroll of Old Co, statement of February",
        "source_date": day_to(date(2026, 3, 2)),
        "balances": [pb.OpeningBalance(employee_id=str(employee), totals=totals)],
        **changes,
    }
    return pb.ImportOpeningBalancesRequest(**wanted)


async def an_input(payroll: Payroll, person: Facts, component: str, minor: int, kind: int) -> None:
    """An amount entered for November."""
    request = pb.CreatePayInputRequest(
        employee_id=str(person.employee_id),
        pay_group="CN-MONTHLY",
        period="2026-11",
        component=component,
        amount=Money(currency="CNY", minor_units=minor),
        run_kind=kind,  # type: ignore[arg-type]
    )
    await payroll(payroll.runs.CreatePayInput, request)


def beside(kind: int, *people: Facts, **changes: Any) -> dict[str, Any]:
    """A run beside the month for these people."""
    return {
        "kind": kind,
        "pay_date": day_to(date(2026, 12, 10)),
        "employee_ids": [str(one.employee_id) for one in people],
        "reason": "as agreed",
        **changes,
    }


async def test_tax_goes_on_from_what_the_payroll_before_withheld(payroll: Payroll) -> None:
    # Worked case CN-SH05-3-mar: two months at 22,000 elsewhere, then a raise to 26,400 on 16 March.
    middle = date(2026, 3, 16)
    person = Facts(start=MARCH, end=APRIL).paid("22000", MARCH, middle).paid("26400", middle, APRIL)
    person = person.with_profile(social_insurance_base="22000", housing_fund_base="22000")
    imported = (await payroll(payroll.runs.ImportOpeningBalances, opening(person.employee_id))).run
    await payroll.finalize(imported)

    march = await payroll.calculated([person], "2026-03")
    slip = await payroll.payslip(march.run_id, person.employee_id)
    before = await payroll.payslip(imported.run_id, person.employee_id)
    replayed = await payroll(payroll.runs.ReplayPayslip, pb.ReplayPayslipRequest(payslip_id=before.summary.payslip_id))

    assert (imported.status, imported.kind) == (pb.RUN_STATUS_CALCULATED, pb.RUN_KIND_OPENING)
    assert imported.reason == "Payroll of Old Co, statement of February (2026-03-02)"
    assert amounts(slip)["IIT"] == 87600
    assert (slip.summary.gross.minor_units, slip.summary.net.minor_units) == (2440000, 1967400)
    assert slip.year_to_date.predecessor_payslip_id == before.summary.payslip_id
    assert slip.year_to_date.totals["months"] == "3"
    assert slip.year_to_date.totals["gross"] == "68400"
    assert (list(before.lines), before.summary.net.minor_units) == ([], 0)
    assert replayed.matches


async def test_opening_balances_need_a_second_person_and_are_not_calculated(payroll: Payroll) -> None:
    imported = (await payroll(payroll.runs.ImportOpeningBalances, opening(uuid4()))).run

    alone = await refused(
        payroll(
            payroll.runs.ApprovePayrollRun,
            pb.ApprovePayrollRunRequest(run_id=imported.run_id, calculation_hash=imported.calculation_hash),
        )
    )
    started = await refused(payroll.start(imported.run_id))
    created = await refused(payroll.create(**beside(pb.RUN_KIND_OPENING, facts())))

    assert (alone, started, created) == ("SELF_APPROVAL", "RUN_INVALID", "RUN_INVALID")


async def test_an_opening_balance_comes_before_the_first_payslip_of_the_year(payroll: Payroll) -> None:
    person = Facts(start=MARCH, end=APRIL).paid("20000")
    await payroll.finalize(await payroll.calculated([person], "2026-03"))

    late = await refused(payroll(payroll.runs.ImportOpeningBalances, opening(person.employee_id)))

    assert late == "OPENING_BALANCE_LATE"


@pytest.mark.parametrize(
    "totals", [{"months": "2.5"}, {"months": "4"}, {"luck": "1"}], ids=["half a month", "too many months", "unknown"]
)
async def test_an_opening_balance_that_nothing_can_go_on_from_is_refused(
    payroll: Payroll, totals: dict[str, str]
) -> None:
    wrong = await refused(payroll(payroll.runs.ImportOpeningBalances, opening(uuid4(), totals=totals)))

    assert wrong == "OPENING_BALANCE_INVALID"


async def test_contributions_of_a_month_that_the_other_payroll_took_are_not_taken_again(payroll: Payroll) -> None:
    person = Facts(start=date(2026, 2, 1), end=MARCH).paid("22000")
    await payroll.finalize((await payroll(payroll.runs.ImportOpeningBalances, opening(person.employee_id))).run)

    february = await payroll.calculated([person], "2026-02")
    slip = await payroll.payslip(february.run_id, person.employee_id)

    assert "PENSION_EMPLOYEE" not in amounts(slip)


async def test_a_bonus_off_cycle_is_taxed_alone_and_the_month_stays_as_it_was(payroll: Payroll) -> None:
    person, other = facts("30000"), facts("30000")
    await payroll.finalize(await payroll.calculated([person, other]))
    await an_input(payroll, person, "BONUS", 3600000, pb.RUN_KIND_OFF_CYCLE)

    off = await payroll.create(**beside(pb.RUN_KIND_OFF_CYCLE, person))
    run = await payroll.calculate(off.run_id, [person])
    final = await payroll.finalize(run)
    slip = await payroll.payslip(run.run_id, person.employee_id)
    december = Facts(person.employee_id, person.assignment_id, DECEMBER, date(2027, 1, 1)).paid("30000")
    following = await payroll.calculated([december], "2026-12")

    assert final.status == pb.RUN_STATUS_FINALIZED
    assert {code: minor for code, minor in amounts(slip).items() if minor} == {"BONUS": 3600000, "BONUS_IIT": 108000}
    assert slip.summary.net.minor_units == 3492000
    assert slip.year_to_date.totals["months"] == "1"
    assert (following.progress.done, following.progress.blocked) == (1, 0)


async def test_two_bonuses_in_one_period_have_places_of_their_own(payroll: Payroll) -> None:
    person = facts("30000")
    await an_input(payroll, person, "ADJUSTMENT", 100000, pb.RUN_KIND_OFF_CYCLE)
    first = await payroll.create(**beside(pb.RUN_KIND_OFF_CYCLE, person))
    await payroll.calculate(first.run_id, [person])
    await an_input(payroll, person, "ADJUSTMENT", 50000, pb.RUN_KIND_OFF_CYCLE)

    second = await payroll.create(**beside(pb.RUN_KIND_OFF_CYCLE, person))
    run = await payroll.calculate(second.run_id, [person])
    slip = await payroll.payslip(run.run_id, person.employee_id)

    assert (first.sequence, second.sequence) == (1, 2)
    assert amounts(slip)["ADJUSTMENT"] == 50000


async def test_the_last_pay_of_a_leaver_pays_the_days_once(payroll: Payroll) -> None:
    leaver, stays = facts("21750"), facts("20000")
    half = Facts(leaver.employee_id, leaver.assignment_id).paid("21750", NOVEMBER, date(2026, 11, 16))
    await an_input(payroll, leaver, "SEVERANCE", 5000000, pb.RUN_KIND_TERMINATION)
    last = await payroll.create(**beside(pb.RUN_KIND_TERMINATION, leaver, include_regular=True))
    run = await payroll.calculate(last.run_id, [half])
    await payroll.finalize(run)

    slip = await payroll.payslip(run.run_id, leaver.employee_id)
    regular = await payroll.calculated([half, stays])
    blockers = await payroll(payroll.runs.ListBlockers, pb.ListBlockersRequest(run_id=regular.run_id))

    assert last.include_regular
    assert amounts(slip)["SEVERANCE"] == 5000000
    assert 0 < amounts(slip)["BASE"] < 2175000
    assert amounts(slip)["PENSION_EMPLOYEE"] == 160000
    assert [(one.employee_id, one.reason) for one in blockers.blockers] == [
        (str(leaver.employee_id), "PAYSLIP_SLOT_TAKEN")
    ]
    assert regular.progress.done == 1


async def test_a_termination_pays_the_inputs_alone_unless_the_month_is_asked_for(payroll: Payroll) -> None:
    leaver = facts("21750")
    await an_input(payroll, leaver, "SEVERANCE", 5000000, pb.RUN_KIND_TERMINATION)

    last = await payroll.create(**beside(pb.RUN_KIND_TERMINATION, leaver))
    run = await payroll.calculate(last.run_id, [leaver])
    slip = await payroll.payslip(run.run_id, leaver.employee_id)

    assert {code: minor for code, minor in amounts(slip).items() if minor} == {"SEVERANCE": 5000000}


async def test_a_recurring_amount_is_paid_every_month_until_it_ends(payroll: Payroll) -> None:
    person = facts("30000")
    months = {
        "2026-10": Facts(person.employee_id, person.assignment_id, date(2026, 10, 1), NOVEMBER).paid("30000"),
        "2026-11": person,
        "2026-12": Facts(person.employee_id, person.assignment_id, DECEMBER, date(2027, 1, 1)).paid("30000"),
    }
    entering = pb.CreatePayInputRequest(
        employee_id=str(person.employee_id),
        pay_group="CN-MONTHLY",
        period="2026-10",
        component="EXPENSES",
        amount=Money(currency="CNY", minor_units=20000),
        recurring=True,
    )
    entered = (await payroll(payroll.runs.CreatePayInput, entering)).pay_input
    paid: dict[str, int] = {}
    for period, month in list(months.items())[:2]:
        run = await payroll.finalize(await payroll.calculated([month], period))
        paid[period] = amounts(await payroll.payslip(run.run_id, person.employee_id)).get("EXPENSES", 0)
    december = await payroll.calculated([months["2026-12"]], "2026-12")

    ending = pb.EndPayInputRequest(pay_input_id=entered.pay_input_id, last_period="2026-11")
    ended = (await payroll(payroll.runs.EndPayInput, ending)).pay_input
    stale = await payroll(payroll.runs.ListStalePayslips, pb.ListStalePayslipsRequest(run_id=december.run_id))
    again = pb.RecalculateEmployeesRequest(
        run_id=december.run_id, facts=[months["2026-12"].message], known_at=december.input_cutoff
    )
    await payroll(payroll.runs.RecalculateEmployees, again)
    paid["2026-12"] = amounts(await payroll.payslip(december.run_id, person.employee_id)).get("EXPENSES", 0)

    assert paid == {"2026-10": 20000, "2026-11": 20000, "2026-12": 0}
    assert (ended.status, ended.last_period, ended.run_id) == (pb.PAY_INPUT_STATUS_OPEN, "2026-11", "")
    assert [list(one.reasons) for one in stale.stale_payslips] == [["PAY_INPUT_CHANGED"]]


async def test_a_recurring_amount_that_could_not_come_again_is_refused(payroll: Payroll) -> None:
    person = facts()
    entering = pb.CreatePayInputRequest(
        employee_id=str(person.employee_id),
        pay_group="CN-MONTHLY",
        period="2026-11",
        component="EXPENSES",
        amount=Money(currency="CNY", minor_units=20000),
        recurring=True,
    )
    beside_the_month = pb.CreatePayInputRequest()
    beside_the_month.CopyFrom(entering)
    beside_the_month.run_kind = pb.RUN_KIND_OFF_CYCLE
    backwards = pb.CreatePayInputRequest()
    backwards.CopyFrom(entering)
    backwards.last_period = "2026-10"

    assert await refused(payroll(payroll.runs.CreatePayInput, beside_the_month)) == "PAY_INPUT_INVALID"
    assert await refused(payroll(payroll.runs.CreatePayInput, backwards)) == "PAY_INPUT_INVALID"


async def test_a_final_run_is_paid_when_everybodys_net_pay_is_settled(payroll: Payroll) -> None:
    ann, bob = facts("20000"), facts("30000")
    calculated = await payroll.calculated([ann, bob])
    early = await refused(settle(payroll, calculated.run_id, ann))
    final = await payroll.finalize(calculated)
    before = await payroll(payroll.runs.ListPayments, pb.ListPaymentsRequest(run_id=final.run_id))

    partly = (await settle(payroll, final.run_id, ann)).run
    again = (await settle(payroll, final.run_id, ann)).run
    paid = (await settle(payroll, final.run_id, ann, bob)).run
    returning = pb.ReturnPaymentsRequest(
        run_id=final.run_id, employee_ids=[str(bob.employee_id)], reason="account closed"
    )
    returned = (await payroll(payroll.runs.ReturnPayments, returning)).run
    after = await payroll(payroll.runs.ListPayments, pb.ListPaymentsRequest(run_id=final.run_id))
    stranger = await refused(settle(payroll, final.run_id, facts()))
    voided = await refused(
        payroll(payroll.runs.VoidPayrollRun, pb.VoidPayrollRunRequest(run_id=final.run_id, reason="oops"))
    )

    assert early == "RUN_STATUS_WRONG"
    assert (final.status, final.due_payment_count) == (pb.RUN_STATUS_FINALIZED, 2)
    assert {one.status for one in before.payments} == {pb.PAYMENT_STATUS_PENDING}
    assert sum(one.amount.minor_units for one in before.payments) == final.totals.net.minor_units
    assert (partly.status, partly.settled_payment_count) == (pb.RUN_STATUS_PARTIALLY_PAID, 1)
    assert (again.settled_payment_count, again.etag) == (1, partly.etag)
    assert (paid.status, paid.settled_payment_count) == (pb.RUN_STATUS_PAID, 2)
    assert (returned.status, returned.settled_payment_count) == (pb.RUN_STATUS_PARTIALLY_PAID, 1)
    assert {one.employee_id: (one.status, one.reason) for one in after.payments} == {
        str(ann.employee_id): (pb.PAYMENT_STATUS_SETTLED, ""),
        str(bob.employee_id): (pb.PAYMENT_STATUS_RETURNED, "account closed"),
    }
    assert (stranger, voided) == ("PAYMENT_NOT_DUE", "RUN_STATUS_WRONG")


async def settle(payroll: Payroll, run_id: str, *people: Facts) -> Any:
    """The bank paid these people."""
    employees = [str(one.employee_id) for one in people]
    return await payroll(payroll.runs.SettlePayments, pb.SettlePaymentsRequest(run_id=run_id, employee_ids=employees))
