"""Official and third-party worked payslips of China, computed as whole payslips from facts."""

import json
from calendar import monthrange
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from muster.payroll.v1 import employee_facts_pb2 as facts_pb

from contexts.payroll.adapters.facts import facts_document
from contexts.payroll.domain.catalog import Proration, TaxTreatment
from contexts.payroll.domain.engine import Plan
from tests.support.payroll import Facts, a_component, a_header, a_salary, china_plan

CASES = Path(__file__).parents[3] / "data" / "cases_cn.json"
CHINA = china_plan()
# Wage parts that no standard component computes, and a limit that is given instead of looked up.
NOT_HERE = {
    "maternity_allowance_paid_by_fund",
    "unused_annual_leave_days",
    "severance_income",
    "non_resident_multi_month_bonus",
}
KINDS = {
    "weekday": facts_pb.DAY_KIND_WORKDAY,
    "rest_day": facts_pb.DAY_KIND_REST_DAY,
    "restday": facts_pb.DAY_KIND_REST_DAY,
    "statutory_holiday": facts_pb.DAY_KIND_HOLIDAY,
    "holiday": facts_pb.DAY_KIND_HOLIDAY,
}
RULES = {
    "NONE": Proration.CALENDAR_DAYS,
    "WORKING_DAYS": Proration.WORKING_DAYS,
    "PAID_DAYS_21_75": Proration.PAID_DAYS_21_75,
    "UNPAID_DAYS_21_75": Proration.UNPAID_DAYS_21_75,
}


def cases() -> list[dict[str, Any]]:
    """Payslips with nothing in them that this test has no component for."""
    every = json.loads(CASES.read_text(), parse_float=Decimal, parse_int=Decimal)
    found = every["cases"] if isinstance(every, dict) else every
    return [
        case for case in found if case["topic"] == "payslip" and not any(case["inputs"].get(key) for key in NOT_HERE)
    ]


def plan_of(rule: str) -> Plan:
    """The standard components, with the wage prorated by a rule and exempt pay."""
    others = [one for one in CHINA.components if one.code not in ("BASE", "UNPAID_LEAVE")]
    exempt = a_component("EXEMPT", "input_amount", tax_treatment=TaxTreatment.EXEMPT, order=3000, hide_zero=True)
    return Plan([a_salary(RULES[rule]), *others, exempt], "CNY", CHINA.statutory)


def person_of(given: dict[str, Any], start: date, end: date) -> Facts:
    """The employee of a case."""
    days = (end - start).days
    person = Facts(start=start, end=end)
    segments = given.get("segments")
    if segments:
        planned = "1" * int(given["period_working_days"])
        planned += "0" * (days - len(planned))
        first = start
        for index, segment in enumerate(segments):
            until = end if index == len(segments) - 1 else first + timedelta(days=int(segment["working_days"]))
            person = person.paid(str(segment["monthly_wage"]), first, until, planned=planned)
            first = until
    else:
        paid_days = int(given.get("days_paid") or 22)
        wage = given.get("monthly_wage") or Decimal(0)
        person = person.paid(str(wage), planned="1" * paid_days + "0" * (days - paid_days))
    for kind, hours in (given.get("overtime_hours") or {}).items():
        minutes = int(hours * 60)
        spread = {start + timedelta(days=day): minutes // 4 for day in range(4)}
        spread[start] += minutes - 4 * (minutes // 4)
        person = person.worked("OVERTIME", spread, KINDS[kind])
    if given.get("unpaid_days"):
        person = person.worked("ABSENT", {start: int(given["unpaid_days"] * 480)})
    return person.with_profile(
        social_insurance_city=given["city"],
        social_insurance_base=_base(given["si_base_declared"]),
        housing_fund_base=_base(given["hf_base_declared"]),
        housing_fund_rate=str(given["hf_rate"]),
        housing_fund_supplementary_rate=str(given["hf_supplementary_rate"] or 0),
        injury_rate=str(given["injury_rate"]),
        basic_deduction_rule=given["basic_deduction_rule"],
        special_additional_deduction=str(given["special_additional_deduction"]),
        tax_residency="RESIDENT" if given["tax_residency"] == "resident" else "NON_RESIDENT",
        minimum_wage_zone=given.get("minimum_wage_zone"),
    )


def _base(declared: Decimal | None) -> str:
    return "" if declared is None else str(declared)


def prior_of(given: dict[str, Any], month: int) -> dict[str, Any] | None:
    """The payslip before."""
    prior = given.get("prior")
    if prior is None:
        return None
    return {
        "hash": "",
        "payslip": "",
        "statutory": {
            "contributions": str(prior["contributions"]),
            "income": str(prior["income"]),
            "months": str(int(prior["months"])),
            "special_additional": str(prior["special_additional"]),
            "tax": str(prior["tax"]),
        },
        "tax_period": month - 1,
        "tax_year": 2026,
        "totals": {"deductions": "0", "gross": "0", "net": "0"},
    }


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["id"])
def test_the_payslip_is_exact(case: dict[str, Any]) -> None:
    given = case["inputs"]
    year, month = map(int, given["period"].split("-"))
    start = date(year, month, 1)
    end = start + timedelta(days=monthrange(year, month)[1])
    plan = plan_of(given.get("proration_rule") or "NONE")
    header = a_header(
        plan, period=given["period"], start=start, end=end, pay_date=end - timedelta(days=1), tax_year=year,
        tax_period=month,
    )  # fmt: skip
    entered = {
        "ADJUSTMENT": (given.get("wage_income") or Decimal(0)) + (given.get("other_taxable") or Decimal(0)),
        "BONUS": given.get("annual_bonus_separate") or Decimal(0),
        "EXEMPT": given.get("exempt_income") or Decimal(0),
    }
    inputs = [
        {"amount": str(amount), "component": code, "id": code, "quantity": None}
        for code, amount in entered.items()
        if amount
    ]
    facts = facts_document(person_of(given, start, end).message, header, plan)

    _, slip = plan.compute(header, {"facts": facts, "inputs": inputs, "prior": prior_of(given, month)})

    told = {line["code"]: Decimal(line["amount"]) for line in json.loads(slip.lines)}
    wanted = case["expected"]
    minor = Decimal(100)
    assert told.get("IIT", Decimal(0)) == wanted["iit"]
    for key, found in (("gross", slip.gross), ("net", slip.net)):
        if wanted.get(key) is not None:
            assert found / minor == wanted[key], key
    if wanted.get("bonus_iit") is not None:
        assert told.get("BONUS_IIT", Decimal(0)) == wanted["bonus_iit"]
    for side in ("employee", "employer"):
        for scheme, amount in (wanted.get(f"{side}_contributions") or {}).items():
            code = f"{scheme.upper()}_{side.upper()}"
            extra = f"{scheme.upper()}_SUPPLEMENTARY_{side.upper()}"
            assert told.get(code, Decimal(0)) + told.get(extra, Decimal(0)) == amount, code
