"""Payslips from frozen facts: segments, proration, rounding, the graph, explanations."""

import decimal
import json
import random
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from muster.payroll.v1 import employee_facts_pb2 as facts_pb

from contexts.payroll.adapters.facts import facts_document
from contexts.payroll.domain.arithmetic import ARITHMETIC
from contexts.payroll.domain.catalog import FormulaScope, LineKind, PayComponent, Proration
from contexts.payroll.domain.engine import Plan, Written
from contexts.payroll.domain.errors import Blocked, ComponentInvalid, FormulaCycle, FormulaInvalid
from contexts.payroll.domain.explanation import StepSource, explain
from contexts.payroll.domain.payslip import content_hash
from contexts.payroll.domain.statutory import pack
from contexts.payroll.domain.statutory.cn.labour import DayKind, WageSegment
from contexts.payroll.repository.documents import canonical
from kernel.money import Rounding
from tests.support.payroll import (
    DECEMBER,
    NOVEMBER,
    Facts,
    a_component,
    a_header,
    a_salary,
    china_plan,
    facts,
    plain_plan,
)

CHINA = china_plan()


def computed(plan: Plan, person: Facts, inputs: Any = (), prior: Any = None, **header: Any) -> Written:
    """A payslip of somebody."""
    wanted = a_header(plan, **header)
    document = {"facts": facts_document(person.message, wanted, plan), "inputs": list(inputs), "prior": prior}
    return plan.compute(wanted, json.loads(canonical(document)))[1]


def lines(slip: Written) -> dict[str, dict[str, Any]]:
    """Lines by component."""
    return {line["code"]: line for line in json.loads(slip.lines)}


def amount(slip: Written, code: str) -> Decimal:
    """The amount of a line."""
    return Decimal(lines(slip)[code]["amount"])


def an_input(component: str, amount: str, quantity: str | None = None) -> dict[str, Any]:
    """An entered amount as a payslip freezes it."""
    return {"amount": amount, "component": component, "id": str(uuid4()), "quantity": quantity}


# -------------------------------------------------------------------------------------------------- segments


def test_a_raise_on_the_16th_pays_both_halves_on_one_payslip() -> None:
    """Golden case G8: 100 for the days 1 to 15 and 200 for the days 16 to 30 are 150 on one payslip."""
    plan = plain_plan(a_salary(Proration.CALENDAR_DAYS, pays_for_time=True))
    person = Facts().paid("100", until=date(2026, 11, 16)).paid("200", date(2026, 11, 16))

    slip = computed(plan, person)

    line = lines(slip)["BASE"]
    assert line["amount"] == "150"
    assert len(line["trace"]) == 2
    assert line["paid"] == [[str(person.assignment_id), "2026-11-01", "2026-12-01"]]


def test_working_days_share_a_mid_month_raise() -> None:
    plan = plain_plan(a_salary())
    person = Facts().paid("21000", until=date(2026, 11, 16)).paid("42000", date(2026, 11, 16))

    assert amount(computed(plan, person), "BASE") == Decimal(21000) * 10 / 21 + Decimal(42000) * 11 / 21


def test_a_joiner_and_a_leaver_are_paid_for_their_days() -> None:
    plan = plain_plan(a_salary(pays_for_time=True))
    joiner, leaver = Facts().paid("21000", date(2026, 11, 23)), Facts().paid("21000", until=date(2026, 11, 7))

    joined, left = computed(plan, joiner), computed(plan, leaver)

    assert [amount(joined, "BASE"), amount(left, "BASE")] == [6000, 5000]
    assert lines(joined)["BASE"]["paid"] == [[str(joiner.assignment_id), "2026-11-23", "2026-12-01"]]


@pytest.mark.parametrize(
    ("rule", "gives"),
    [
        (Proration.NONE, "21750"),
        (Proration.WORKING_DAYS, "21750"),
        (Proration.CALENDAR_DAYS, "21750"),
        (Proration.UNPAID_DAYS_21_75, "19750"),
        (Proration.PAID_DAYS_21_75, "19000"),
    ],
)
def test_each_proration_rule_by_name(rule: Proration, gives: str) -> None:
    plan = Plan([a_salary(rule)], "CNY", CHINA.statutory)
    person = facts("21750").worked("ABSENT", {date(2026, 11, 4): 480, date(2026, 11, 5): 480})

    assert amount(computed(plan, person), "BASE") == Decimal(gives)


def test_days_before_joining_are_unpaid_days() -> None:
    plan = Plan([a_salary(Proration.UNPAID_DAYS_21_75)], "CNY", CHINA.statutory)
    person = Facts().paid("21750", date(2026, 11, 9))

    assert amount(computed(plan, person), "BASE") == 21750 - 5 * 1000


def test_a_period_without_planned_days_is_shared_by_calendar_days() -> None:
    plan = plain_plan(a_salary())
    person = Facts().paid("3000", date(2026, 11, 21), planned="0" * 30)

    assert amount(computed(plan, person), "BASE") == 1000


def test_a_part_of_the_period_without_a_schedule_is_refused_by_name() -> None:
    plan = plain_plan(a_salary())

    with pytest.raises(Blocked) as blocked:
        computed(plan, Facts().paid("3000", date(2026, 11, 21), planned=""))

    assert blocked.value.reason == "PLANNED_DAYS_MISSING"


def test_two_assignments_are_paid_side_by_side() -> None:
    plan = plain_plan(a_salary(pays_for_time=True))
    person = facts("10000").paid("5000", assignment_id=uuid4())

    slip = computed(plan, person)

    assert amount(slip, "BASE") == 15000
    assert len(slip.paid) == 2


def test_overtime_is_priced_at_the_wage_in_force_on_the_work_date() -> None:
    person = (
        Facts()
        .paid("17400", until=date(2026, 11, 16))
        .paid("34800", date(2026, 11, 16))
        .worked("OVERTIME", {date(2026, 11, 10): 60, date(2026, 11, 20): 60})
        .worked("OVERTIME", {date(2026, 11, 21): 120}, facts_pb.DAY_KIND_REST_DAY)
        .worked("OVERTIME", {date(2026, 11, 22): 60}, facts_pb.DAY_KIND_HOLIDAY)
    )

    slip = computed(CHINA, person)

    assert amount(slip, "OVERTIME_WORKDAY") == 150 + 300
    assert amount(slip, "OVERTIME_REST_DAY") == 200 * 2 * 2
    assert amount(slip, "OVERTIME_HOLIDAY") == 200 * 3
    assert lines(slip)["OVERTIME_WORKDAY"]["quantity"] == "2"
    assert "rate" not in lines(slip)["OVERTIME_WORKDAY"]


def test_overtime_before_the_period_is_priced_at_the_wage_of_its_day() -> None:
    person = (
        Facts().paid("17400", date(2026, 10, 1), NOVEMBER).paid("34800").worked("OVERTIME", {date(2026, 10, 30): 60})
    )

    slip = computed(CHINA, person)

    assert [amount(slip, "BASE"), amount(slip, "OVERTIME_WORKDAY")] == [34800, 150]


def test_minutes_on_a_day_without_a_wage_are_refused_by_name() -> None:
    with pytest.raises(Blocked) as blocked:
        computed(CHINA, facts().worked("OVERTIME", {date(2026, 10, 30): 60}))

    assert (blocked.value.reason, blocked.value.subject) == ("WAGE_MISSING", "2026-10-30")


@given(
    st.integers(200_000, 5_000_000), st.integers(1, 36 * 60), st.sampled_from(list(DayKind)), st.integers(0, 10 * 480)
)
def test_wage_lines_are_those_of_the_statutory_pack(wage_minor: int, minutes: int, kind: DayKind, unpaid: int) -> None:
    wage = Decimal(wage_minor).scaleb(-2)
    day_kind = facts_pb.DayKind.Value(f"DAY_KIND_{kind.value}")
    person = facts(str(wage)).worked("OVERTIME", {date(2026, 11, day): minutes // 20 for day in range(1, 21)}, day_kind)
    person = person.worked("ABSENT", {date(2026, 11, 2): min(unpaid, 2880), date(2026, 11, 3): 240})
    labour = pack("CN").labour
    hours = Decimal(minutes // 20 * 20) / 60
    days = Decimal(min(unpaid, 2880) + 240) / 480

    slip = computed(CHINA, person.with_profile(social_insurance_base="", housing_fund_base=""))

    told = {line["code"]: Decimal(line["amount"]) for line in json.loads(slip.lines)}
    expected = labour.overtime(wage, hours, kind, NOVEMBER).amount
    assert told.get(f"OVERTIME_{kind.value}", Decimal(0)) == expected
    assert -told["UNPAID_LEAVE"] == labour.unpaid_deduction(wage, days, NOVEMBER).amount


@given(st.lists(st.integers(300_000, 4_000_000), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_segments_by_working_days_add_up_as_the_statutory_pack_has_it(wages: list[int], chance: random.Random) -> None:
    cuts = sorted(chance.sample(range(2, 31), len(wages) - 1)) if len(wages) > 1 else []
    firsts = [NOVEMBER, *(date(2026, 11, day) for day in cuts)]
    person = Facts()
    for index, wage in enumerate(wages):
        until = firsts[index + 1] if index + 1 < len(firsts) else DECEMBER
        person = person.paid(str(Decimal(wage).scaleb(-2)), firsts[index], until)
    slip = computed(plain_plan(a_salary()), person)

    pieces = lines(slip)["BASE"]["trace"]
    segments = [WageSegment(Decimal(piece[0]), Decimal(piece[1])) for piece in pieces]
    told = sum(line.amount for line in pack("CN").labour.working_days(segments, Decimal(21)))
    assert amount(slip, "BASE") == told


# -------------------------------------------------------------------------------------------------- arithmetic


@given(st.integers(1, 10**9), st.integers(1, 997), st.integers(1, 997))
def test_a_half_stays_a_half_through_divisions(minor: int, times: int, by: int) -> None:
    plan = plain_plan(a_component("X", f"input_amount / {by} * {times}"))
    given_amount = Decimal(minor).scaleb(-2)

    slip = computed(plan, facts(), [an_input("X", str(given_amount))])

    exact = Fraction(minor, 100) / by * times
    with decimal.localcontext(decimal.Context(prec=60)):
        expected = (Decimal(exact.numerator) / Decimal(exact.denominator)).quantize(Decimal("0.01"), ROUND_HALF_UP)
        halves = exact * 100 - int(exact * 100)
        if halves == Fraction(1, 2):
            expected = Decimal(int(exact * 100) + 1).scaleb(-2)
    assert amount(slip, "X") == expected


@pytest.mark.parametrize(
    ("rounding", "gives"), [(Rounding.HALF_UP, "0.13"), (Rounding.DOWN, "0.12"), (Rounding.CEILING, "0.13")]
)
def test_the_named_rounding_is_recorded_on_the_line(rounding: Rounding, gives: str) -> None:
    slip = computed(plain_plan(a_component("X", "0.125", rounding=rounding)), facts())

    assert lines(slip)["X"]["amount"] == gives
    assert lines(slip)["X"]["rounding"] == f"{rounding.name}/2"


def test_a_division_by_zero_blocks_its_employee_by_name() -> None:
    with pytest.raises(Blocked) as blocked:
        computed(plain_plan(a_component("X", "1 / (fte - 1)")), facts())

    assert blocked.value.reason == "FORMULA_DIVISION_BY_ZERO"


def test_negative_net_is_never_paid() -> None:
    plan = plain_plan(a_component("PAY", "100"), a_component("LOAN", "150", kind=LineKind.DEDUCTION))

    with pytest.raises(Blocked) as blocked:
        computed(plan, facts())

    assert (blocked.value.reason, blocked.value.subject) == ("NEGATIVE_NET", "-50")


def test_totals_follow_from_the_kinds_of_lines() -> None:
    plan = plain_plan(
        a_component("PAY", "1000"),
        a_component("LOAN", "50", kind=LineKind.DEDUCTION),
        a_component("TAX", "30", kind=LineKind.TAX),
        a_component("PENSION", "160", kind=LineKind.EMPLOYER_CONTRIBUTION),
        a_component("TRAVEL", "12.34", kind=LineKind.REIMBURSEMENT),
        a_component("NOTE", "999", kind=LineKind.INFORMATION),
    )

    slip = computed(plan, facts())

    assert (slip.gross, slip.net, slip.employer_cost, slip.deductions) == (100000, 93234, 116000, 8000)


# --------------------------------------------------------------------------------------------------- the graph


def test_components_are_computed_after_what_they_name() -> None:
    plan = plain_plan(
        a_component("TOTAL", "PAY + EXTRA", kind=LineKind.INFORMATION, order=1),
        a_component("EXTRA", "PAY * 0.1", order=2),
        a_component("PAY", "1000", order=3),
        a_component("DUES", "gross * 0.02", kind=LineKind.DEDUCTION, order=4),
    )

    slip = computed(plan, facts())

    assert [amount(slip, "TOTAL"), amount(slip, "DUES")] == [1100, 22]


def test_a_cycle_names_its_path() -> None:
    with pytest.raises(FormulaCycle) as error:
        plain_plan(a_component("A", "B + 1"), a_component("B", "C"), a_component("C", "A * 2"))

    assert error.value.facts["path"] == "A -> B -> C -> A"


def test_an_earning_that_reads_a_tax_is_a_cycle() -> None:
    components = [*CHINA.components, a_component("GROSS_UP", "IIT * 2")]

    with pytest.raises(FormulaCycle) as error:
        Plan(components, "CNY", CHINA.statutory)

    assert "GROSS_UP -> IIT -> GROSS_UP" in error.value.message


@pytest.mark.parametrize(
    ("component", "problem"),
    [
        (a_component("X", "montly_wage"), "did you mean monthly_wage?"),
        (a_component("X", "X + 1"), "a component cannot read its own amount"),
        (a_component("X", "gross"), "an earning cannot read 'gross', of which it may be a part"),
        (a_component("X", "quantity * 2"), "the component has no quantity_formula"),
        (a_component("X", "1 +"), "the formula ends where a value should stand"),
    ],
)
def test_unknown_names_are_refused_with_component_and_position(component: PayComponent, problem: str) -> None:
    with pytest.raises(FormulaInvalid) as error:
        plain_plan(component)

    assert error.value.facts["component"] == "X"
    assert problem in str(error.value.facts["problem"])


@pytest.mark.parametrize(
    "changes",
    [
        {"statutory_line": "IIT"},
        {"formula": ""},
        {"proration": Proration.WORKING_DAYS},
        {"digits": 3},
        {"pays_for_time": True},
        {"kind": LineKind.EARNING, "tax_treatment": None},
    ],
)
def test_contradicting_components_are_refused(changes: dict[str, Any]) -> None:
    from contexts.payroll.domain.catalog import TaxTreatment

    if changes.get("tax_treatment", "") is None:
        changes = {**changes, "tax_treatment": TaxTreatment.NOT_TAXED}
    formula = changes.pop("formula", "1")

    with pytest.raises(ComponentInvalid):
        plain_plan(a_component("X", formula, **changes))


def test_equal_components_give_an_equal_function() -> None:
    assert china_plan().source == CHINA.source


def test_one_newcomer_has_no_effect_on_the_others() -> None:
    """Golden case G23: who begins later in a batch is no reason to pay the others from that day on."""
    people = [facts(str(10000 + number)) for number in range(3)]
    newcomer = Facts().paid("60000", date(2026, 11, 20))

    alone = [computed(CHINA, one) for one in people]
    with_newcomer = [computed(CHINA, one) for one in (newcomer, *people)][1:]

    assert alone == with_newcomer


# ------------------------------------------------------------------------------------------------ bytes and traces


def somebody(chance: random.Random) -> Facts:
    """Facts with everything that a payslip may have."""
    cut = date(2026, 11, chance.randrange(5, 25))
    wage = chance.randrange(600_000, 5_000_000)
    person = Facts().paid(str(Decimal(wage).scaleb(-2)), until=cut, MEAL="300", TRANSPORT="155.55")
    person = person.paid(str(Decimal(wage + 123456).scaleb(-2)), cut, MEAL="350")
    for kind in (facts_pb.DAY_KIND_WORKDAY, facts_pb.DAY_KIND_REST_DAY, facts_pb.DAY_KIND_HOLIDAY):
        days = chance.sample(range(1, 31), 3)
        person = person.worked("OVERTIME", {date(2026, 11, day): chance.randrange(30, 180) for day in days}, kind)
    person = person.worked("ABSENT", {date(2026, 11, chance.randrange(2, 28)): chance.randrange(1, 480)})
    return person.with_profile(
        social_insurance_base=str(chance.randrange(8000, 37000)),
        housing_fund_base=str(chance.randrange(3000, 37000)),
        housing_fund_supplementary_rate="0.03",
        special_additional_deduction="1500",
    )


PRIOR = {
    "hash": "00" * 32,
    "payslip": str(uuid4()),
    "statutory": {
        "contribution_month": "2026-10",
        "contributions": "7000",
        "income": "60000",
        "months": "2",
        "special_additional": "2000",
        "tax": "1200.5",
    },
    "tax_period": 11,
    "tax_year": 2026,
    "totals": {"deductions": "8200.5", "gross": "60000", "net": "51799.5"},
}


@settings(max_examples=40)
@given(st.randoms(use_true_random=False))
def test_stored_bytes_are_canonical_and_come_out_again(chance: random.Random) -> None:
    person = somebody(chance)
    inputs = [an_input("BONUS", "36000"), an_input("EXPENSES", "99.9")]

    slip = computed(CHINA, person, inputs, PRIOR)
    again = computed(CHINA, person, inputs, PRIOR)

    assert slip == again
    for text in (slip.lines, slip.year_to_date):
        assert canonical(json.loads(text)).decode() == text


def test_one_altered_input_changes_the_hash() -> None:
    person, other = facts("20000"), facts("20000.01")
    header = canonical(a_header(CHINA).document())

    hashes = set()
    for one in (person, other, person.with_profile(injury_rate="0.004")):
        document = facts_document(one.message, a_header(CHINA), CHINA)
        document["employee"] = "same"
        document["segments"][0]["assignment"] = "same"
        document["sources"] = []
        _, slip = CHINA.compute(a_header(CHINA), {"facts": document, "inputs": [], "prior": None})
        hashes.add(content_hash(header, canonical(document), slip.lines.encode(), slip.year_to_date.encode()))

    assert len(hashes) == 3


@settings(max_examples=25)
@given(st.randoms(use_true_random=False))
def test_every_line_is_explained_to_its_amount_from_inputs_rows_and_lines(chance: random.Random) -> None:
    person = somebody(chance)
    inputs = [an_input("BONUS", "36000"), an_input("OTHER_DEDUCTION", "12.5")]

    slip = computed(CHINA, person, inputs, PRIOR)
    document = facts_document(person.message, a_header(CHINA), CHINA)
    for line in json.loads(slip.lines):
        told = explain(CHINA, a_header(CHINA), document, line)

        assert told.steps[-1].value == line["amount"], line
        assert all(step.origin for step in told.steps if step.source is not StepSource.STEP)
        assert all(step.expression for step in told.steps if step.source is StepSource.STEP)


def test_a_slice_that_is_not_used_is_not_frozen() -> None:
    person = facts().worked("REGULAR", {date(2026, 11, day): 480 for day in (2, 3, 4, 5, 6)})

    document = facts_document(person.message, a_header(CHINA), CHINA)

    assert document["time"] == []


def test_an_unread_pay_input_is_refused_by_name() -> None:
    with pytest.raises(Blocked) as blocked:
        computed(CHINA, facts(), [an_input("BASE", "1")])

    assert (blocked.value.reason, blocked.value.subject) == ("PAY_INPUT_UNREAD", "BASE")


def test_a_line_that_the_pack_gives_and_nobody_shows_is_refused_by_name() -> None:
    shown = [component for component in CHINA.components if component.code != "PENSION_EMPLOYEE"]

    with pytest.raises(Blocked) as blocked:
        computed(Plan(shown, "CNY", CHINA.statutory), facts())

    assert (blocked.value.reason, blocked.value.subject) == ("STATUTORY_LINE_UNMAPPED", "PENSION_EMPLOYEE")


def test_a_bonus_is_taxed_alone_once_a_year() -> None:
    prior = {**PRIOR, "statutory": {**PRIOR["statutory"], "separate_bonus": "20000"}}  # type: ignore[dict-item]

    with pytest.raises(Blocked) as blocked:
        computed(CHINA, facts(), [an_input("BONUS", "36000")], prior)

    assert blocked.value.reason == "SEPARATE_BONUS_TWICE"


def test_contributions_and_deductions_of_a_month_are_taken_once() -> None:
    person = facts("30000").with_profile(special_additional_deduction="1000")
    first = json.loads(computed(CHINA, person).year_to_date)
    prior = {"hash": "", "payslip": str(uuid4()), **first}

    second = computed(CHINA, person, [an_input("ADJUSTMENT", "500")], prior, inputs_only=True, kind="OFF_CYCLE")

    to_date = json.loads(second.year_to_date)["statutory"]
    assert "PENSION_EMPLOYEE" not in lines(second)
    assert (to_date["months"], to_date["special_additional"]) == ("1", "1000")
    assert to_date["contributions"] == first["statutory"]["contributions"]


def test_hours_days_weeks_and_years_become_a_monthly_wage() -> None:
    plan = Plan([a_component("X", "monthly_wage", scope=FormulaScope.SEGMENT)], "CNY", CHINA.statutory)

    wages = {
        unit: amount(computed(plan, Facts().paid("100", unit=unit)), "X")
        for unit in (
            facts_pb.COMPENSATION_UNIT_HOUR,
            facts_pb.COMPENSATION_UNIT_DAY,
            facts_pb.COMPENSATION_UNIT_WEEK,
            facts_pb.COMPENSATION_UNIT_YEAR,
        )
    }

    assert [str(wage) for wage in wages.values()] == ["17400", "2175", "433.33", "8.33"]
    with decimal.localcontext(ARITHMETIC):
        assert Decimal(100) * 52 / 12 > wages[facts_pb.COMPENSATION_UNIT_WEEK]
