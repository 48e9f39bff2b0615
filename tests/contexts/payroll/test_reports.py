"""What the payroll office reads before it approves: what changed against last month, and the register."""

from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

from muster.payroll.v1 import employee_facts_pb2 as facts_pb
from muster.payroll.v1 import payroll_run_pb2 as pb
from muster.type.v1.money_pb2 import Money

from tests.support.payroll import DECEMBER, NOVEMBER, Facts, Payroll, day_to, facts

OCTOBER = date(2026, 10, 1)


def in_october(person: Facts, amount: str = "20000") -> Facts:
    """The same person a month before."""
    return Facts(person.employee_id, person.assignment_id, OCTOBER, NOVEMBER, values=person.values).paid(amount)


async def variances(payroll: Payroll, run_id: str, size: int = 0) -> dict[str, dict[str, Any]]:
    """Every line that differs, by employee and component."""
    found: dict[str, dict[str, Any]] = {}
    token = ""
    while True:
        request = pb.ListVariancesRequest(run_id=run_id, page_size=size, page_token=token)
        page = await payroll(payroll.runs.ListVariances, request)
        for employee in page.employees:
            found[employee.employee_id] = {line.code: line for line in employee.lines}
        token = page.next_page_token
        if not token:
            return found


def reasons(line: pb.LineVariance) -> list[str]:
    """By name."""
    return [pb.VarianceReason.Name(reason).removeprefix("VARIANCE_REASON_") for reason in line.reasons]


async def test_every_change_of_an_ordinary_month_has_its_reason(payroll: Payroll) -> None:
    same, raised, mid, late, bonus, joined, left, leaving, moved, insured = (facts() for _ in range(10))
    before = [in_october(one) for one in (same, raised, mid, late, bonus, left, leaving, moved, insured)]
    await payroll.finalize(await payroll.calculated(before, "2026-10"))
    await payroll(
        payroll.runs.CreatePayInput,
        pb.CreatePayInputRequest(
            employee_id=str(bonus.employee_id),
            pay_group="CN-MONTHLY",
            period="2026-11",
            component="BONUS",
            amount=Money(currency="CNY", minor_units=3600000),
        ),
    )
    middle = date(2026, 11, 16)
    half = Facts(mid.employee_id, mid.assignment_id).paid("20000", NOVEMBER, middle).paid("24000", middle, DECEMBER)
    new = replace(joined, segments=()).paid("20000", middle, DECEMBER)
    gone = replace(leaving, segments=()).paid("20000", NOVEMBER, middle)
    run = await payroll.create()
    await payroll.start(run.run_id)
    claim = await payroll.claim(run.run_id)
    people = [
        same,
        Facts(raised.employee_id, raised.assignment_id).paid("22000"),
        half,
        late.worked("OVERTIME", {date(2026, 11, 5): 120}),
        bonus,
        new,
        gone,
        moved.with_profile(special_additional_deduction="2000"),
        insured.with_profile(social_insurance_base="21000"),
    ]
    messages = []
    for one in sorted(people, key=lambda one: one.employee_id.bytes):
        message = one.message
        if one is new:
            message.hire_date.CopyFrom(day_to(middle))
        if one is gone:
            message.termination_date.CopyFrom(day_to(date(2026, 11, 15)))
        messages.append(message)
    request = pb.SubmitChunkRequest(
        run_id=claim.run_id, attempt=claim.attempt, fence=claim.fence, chunk_no=1, facts=messages, last=True
    )
    await payroll(payroll.runs.SubmitChunk, request)

    found = await variances(payroll, run.run_id, size=3)

    def because(person: Facts, code: str) -> list[str]:
        return reasons(found[str(person.employee_id)][code])

    everything = [reason for lines in found.values() for line in lines.values() for reason in reasons(line)]
    assert "OTHER" not in everything
    assert str(same.employee_id) not in found or set(found[str(same.employee_id)]) == {"IIT"}
    assert because(raised, "BASE") == ["COMPENSATION_CHANGED"]
    assert "COMPENSATION_CHANGED" in because(raised, "IIT")
    assert because(mid, "BASE") == ["COMPENSATION_CHANGED"]
    assert because(late, "OVERTIME_WORKDAY") == ["TIME"]
    assert because(bonus, "BONUS") == because(bonus, "BONUS_IIT") == ["PAY_INPUT"]
    assert set(because(joined, "BASE")) == {"JOINED"}
    assert set(because(left, "BASE")) == {"LEFT"}
    assert because(leaving, "BASE") == ["LEFT"]
    assert "STATUTORY" in because(moved, "IIT")
    assert because(insured, "PENSION_EMPLOYEE") == ["STATUTORY"]
    line = found[str(raised.employee_id)]["BASE"]
    assert (line.previous.minor_units, line.current.minor_units, line.delta.minor_units) == (2000000, 2200000, 200000)


async def test_who_was_blocked_is_told_from_who_left(payroll: Payroll) -> None:
    here, stuck = facts(), facts()
    await payroll.finalize(await payroll.calculated([in_october(here), in_october(stuck)], "2026-10"))

    run = await payroll.calculated([here, stuck.blocked("TIMESHEET_MISSING")])
    found = await variances(payroll, run.run_id)

    assert reasons(found[str(stuck.employee_id)]["BASE"]) == ["BLOCKED"]


async def test_the_first_run_has_nothing_to_be_compared_with(payroll: Payroll) -> None:
    person = facts()
    run = await payroll.calculated([person])

    page = await payroll(payroll.runs.ListVariances, pb.ListVariancesRequest(run_id=run.run_id))

    assert page.previous_run_id == ""
    assert {reason for line in page.employees[0].lines for reason in reasons(line)} == {"NO_PREVIOUS_RUN"}


async def test_another_formula_is_a_reason_of_its_own(payroll: Payroll) -> None:
    person = Facts().paid("20000", MEAL="300")
    october = Facts(person.employee_id, person.assignment_id, OCTOBER, NOVEMBER).paid("20000", MEAL="300")
    await payroll.finalize(await payroll.calculated([october], "2026-10"))
    await payroll.change_formula("ALLOWANCE_MEAL", "allowance_MEAL + 10")

    run = await payroll.calculated([person])
    found = await variances(payroll, run.run_id)

    assert reasons(found[str(person.employee_id)]["ALLOWANCE_MEAL"]) == ["COMPONENT_CHANGED"]


async def test_the_pages_of_a_register_add_up_to_the_runs_totals(payroll: Payroll) -> None:
    people = [facts(str(20000 + number)) for number in range(7)]
    people[3] = people[3].worked("OVERTIME", {date(2026, 11, 8): 60}, facts_pb.DAY_KIND_REST_DAY)
    run = await payroll.calculated(people, size=3)

    rows: list[pb.RegisterRow] = []
    token, columns = "", []
    while True:
        request = pb.ListRegisterRowsRequest(run_id=run.run_id, page_size=3, page_token=token)
        page = await payroll(payroll.runs.ListRegisterRows, request)
        rows += page.rows
        token, columns = page.next_page_token, list(page.columns)
        if not token:
            break

    assert [row.employee_id for row in rows] == sorted(str(one.employee_id) for one in people)
    assert sum(row.net_minor for row in rows) == run.totals.net.minor_units
    assert sum(row.gross_minor for row in rows) == run.totals.gross.minor_units
    for place, column in enumerate(columns):
        assert sum(row.amounts_minor[place] for row in rows) == column.total_minor
    assert [UUID(row.payslip_id) for row in rows]
