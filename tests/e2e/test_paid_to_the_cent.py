"""A closed month is paid to the cent, the same over both forms, against numbers worked out by hand."""

from collections.abc import Iterator
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from tests.support.deployment import Deployment
from tests.support.scenario import Company, Json, reason_of, workdays

SHANGHAI = ZoneInfo("Asia/Shanghai")
FIRST, LAST = date(2026, 3, 1), date(2026, 3, 31)  # 22 workdays, no holiday

# Worked out with pen and paper from the published rates of Shanghai for July 2025 to June 2026 (base 7,460 to 37,302;
# own share 8 + 2 + 0.5 % and 7 % housing fund in whole yuan; the employer's 16 + 9 + 0.5 + 0.2 % and 7 %) and the
# cumulative table (5,000 a month free; 3 % up to 36,000, then 10 % less 2,520).
MARCH = {
    # 20,000 less 3,500 own contributions; (20,000 - 5,000 - 3,500 - 2,000) x 3 % = 285
    "LI": {"gross": "20000.00", "net": "16215.00", "employer_cost": "26540.00", "IIT": "285.00"},
    # 100 an hour: 2 h x 1.5 + 4 h x 2 = 1,100 overtime, one day of 17,400 / 21.75 = 800 not worked;
    # (17,700 - 5,000 - 3,045) x 3 % = 289.65
    "WANG": {"gross": "17700.00", "net": "14365.35", "employer_cost": "23389.80", "IIT": "289.65"},
    # from the 16th: 22,000 x 12 / 22; contributions on the contract's 22,000; (12,000 - 5,000 - 3,850) x 3 %
    "ZHAO": {"gross": "12000.00", "net": "8055.50", "employer_cost": "19194.00", "IIT": "94.50"},
    # 22,000 x 10 / 22 + 33,000 x 12 / 22; contributions on the declared 22,000; (28,000 - 5,000 - 3,850) x 3 %
    "CHEN": {"gross": "28000.00", "net": "23575.50", "employer_cost": "35194.00", "IIT": "574.50"},
    # base at the ceiling: 2,984.16 + 746.04 + 186.51 + 2,611; 38,472.29 x 10 % - 2,520
    "SUN": {"gross": "50000.00", "net": "42145.06", "employer_cost": "62197.61", "IIT": "1327.23"},
}


def at(day: date, clock: str) -> datetime:
    return datetime.combine(day, datetime.strptime(clock, "%H:%M").time(), SHANGHAI)  # noqa: DTZ007


def a_raise(effective_date: str, amount: str) -> Json:
    return {
        "effective_date": effective_date,
        "compensation": {"amount": amount, "currency": "CNY", "unit": "MONTH"},
        "reason": "PROMOTION",
    }


def punches_of_wang() -> Iterator[tuple[datetime, str]]:
    """A month with two hours more on the 10th, four on Saturday the 14th, and the 25th missed."""
    for day in workdays(FIRST, LAST):
        if day.day != 25:
            yield at(day, "08:58"), "IN"
            yield at(day, "20:00" if day.day == 10 else "18:01"), "OUT"
    yield at(date(2026, 3, 14), "09:00"), "IN"
    yield at(date(2026, 3, 14), "13:00"), "OUT"


def close_ordinary_month(company: Company, period: str, days: int) -> None:
    """A month in which nothing happened but work."""
    first = date.fromisoformat(f"{period}-01")
    punched = [
        (at(day, clock), direction)
        for day in workdays(first, first.replace(day=days))
        for clock, direction in (("08:58", "IN"), ("18:01", "OUT"))
    ]
    company.punch(company.people["WANG"], punched)
    company.close_month(period, len(MARCH))


@pytest.fixture(scope="module")
def company(deployment: Deployment) -> Iterator[Company]:
    """Five people whose March is closed."""
    with Company(deployment) as company:
        company.with_org_chart().with_schedules().with_pay_group()
        company.hire("LI", profile={"special_additional_deduction": "2000"})
        company.hire("WANG", wage="17400.00", work_schedule="SHIFTS")
        company.hire("ZHAO", wage="22000.00", hire_date="2026-03-16")
        declared = {"social_insurance_base": "22000", "housing_fund_base": "22000"}
        company.hire("CHEN", wage="22000.00", profile=declared)
        company.hire("SUN", wage="50000.00")
        company.change("CHEN", "compensation-changes", a_raise("2026-03-16", "33000.00"))
        company.punch(company.people["WANG"], punches_of_wang())
        company.close_month("2026-03", len(MARCH))
        yield company


@pytest.fixture(scope="module")
def march(company: Company) -> Json:
    """The run of March, calculated, approved by somebody else and final."""
    run = company.create_run("2026-03")
    company.calculate(run["id"])
    run = company.calculated(run["id"])
    company.approve(run)
    return company.finalize(run["id"])


def test_everybody_is_paid_to_the_cent(company: Company, march: Json) -> None:
    found = {}
    for number in MARCH:
        payslip = company.payslip_of(march["id"], number)
        tax = next(line["amount"]["amount"] for line in payslip["lines"] if line["code"] == "IIT")
        amounts = {name: payslip[name]["amount"] for name in ("gross", "net", "employer_cost")}
        found[number] = {**amounts, "IIT": tax}

    assert march["progress"] == {"done": 5, "blocked": 0, "stale": 0, "total": 5, "deferred": 0}
    assert found == MARCH


def test_the_run_sums_its_payslips(company: Company, march: Json) -> None:
    payslips = company.payslips(march["id"])

    assert march["status"] == "FINALIZED"
    assert march["totals"]["gross"] == {"amount": "127700.00", "currency": "CNY"}
    assert march["totals"]["net"] == {"amount": "104356.41", "currency": "CNY"}
    assert march["totals"]["employer_cost"] == {"amount": "166515.41", "currency": "CNY"}
    assert len({payslip["employee_id"] for payslip in payslips}) == len(payslips) == 5


def test_every_line_of_a_punched_month_is_explained(company: Company, march: Json) -> None:
    payslip = company.payslip_of(march["id"], "WANG")
    amounts = {line["code"]: line["amount"]["amount"] for line in payslip["lines"]}
    trace = company.payroll.get(f"/v1/payslips/{payslip['id']}/lines/OVERTIME_WORKDAY/trace")

    assert amounts == {
        "BASE": "17400.00",
        "OVERTIME_WORKDAY": "300.00",
        "OVERTIME_REST_DAY": "800.00",
        "UNPAID_LEAVE": "-800.00",
        "PENSION_EMPLOYEE": "1392.00",
        "MEDICAL_EMPLOYEE": "348.00",
        "UNEMPLOYMENT_EMPLOYEE": "87.00",
        "HOUSING_FUND_EMPLOYEE": "1218.00",
        "IIT": "289.65",
        "PENSION_EMPLOYER": "2784.00",
        "MEDICAL_EMPLOYER": "1566.00",
        "UNEMPLOYMENT_EMPLOYER": "87.00",
        "INJURY_EMPLOYER": "34.80",
        "HOUSING_FUND_EMPLOYER": "1218.00",
    }
    assert {step["value"] for step in trace["steps"]} >= {"2", "1.5", "17400"}


def test_a_payslip_calculated_anew_has_the_same_bytes(company: Company, march: Json) -> None:
    payslip = company.payslip_of(march["id"], "SUN")

    replayed = company.payroll.post(f"/v1/payslips/{payslip['id']}/replay", None, 200)

    assert replayed["matches"] is True
    assert replayed["replayed_hash"] == payslip["content_hash"]


def test_a_final_run_never_changes(company: Company, march: Json) -> None:
    path = f"/v1/payroll-runs/{march['id']}"
    tries = [
        company.payroll.request("POST", f"{path}/calculate"),
        company.payroll.request("POST", f"{path}/void", {"reason": "second thoughts"}),
        company.payroll.request("POST", f"{path}/payslips/{company.people['LI']}/recalculate"),
        company.payroll.request("POST", "/v1/payroll-runs", {"pay_group": "CN-MONTHLY", "period": "2026-03"}),
    ]

    assert [answer.status_code for answer in tries] == [409] * 4
    assert company.run(march["id"]) == march


def test_the_next_month_goes_on_with_the_tax_year_and_needs_four_eyes(company: Company, march: Json) -> None:
    close_ordinary_month(company, "2026-04", 30)
    body = {"pay_group": "CN-MONTHLY", "period": "2026-04"}
    run = company.owner.post("/v1/payroll-runs", body, 201)
    company.owner.post(f"/v1/payroll-runs/{run['id']}/calculate", None, 202)
    run = company.calculated(run["id"])
    approve = f"/v1/payroll-runs/{run['id']}/approve"
    seen = {"calculation_hash": run["calculation_hash"]}

    by_preparer = company.owner.request("POST", approve, seen)
    without_role = company.payroll.request("POST", approve, seen)
    of_another_calculation = company.approver.request("POST", approve, {"calculation_hash": "0" * 64})
    approved = company.approver.post(approve, seen, 200)

    assert (by_preparer.status_code, reason_of(by_preparer)) == (403, "SELF_APPROVAL")
    assert without_role.status_code == 403
    assert (of_another_calculation.status_code, reason_of(of_another_calculation)) == (409, "CALCULATION_CHANGED")
    assert approved["status"] == "APPROVED"
    # (2 x 50,000 - 10,000 - 2 x 6,527.71) x 10 % - 2,520 = 5,174.46, less 1,327.23 of March.
    payslip = company.payslip_of(run["id"], "SUN")
    assert next(line["amount"]["amount"] for line in payslip["lines"] if line["code"] == "IIT") == "3847.23"
    assert payslip["year_to_date"]["predecessor_payslip_id"] == company.payslip_of(march["id"], "SUN")["id"]


def test_a_fact_that_comes_late_is_seen_before_approval(company: Company, march: Json) -> None:
    close_ordinary_month(company, "2026-05", 31)
    run = company.create_run("2026-05")
    company.calculate(run["id"])
    run = company.calculated(run["id"])
    company.change("LI", "compensation-changes", a_raise("2026-05-01", "21000.00"))
    approve = f"/v1/payroll-runs/{run['id']}/approve"

    refused = company.approver.request("POST", approve, {"calculation_hash": run["calculation_hash"]})
    stale = company.payroll.get(f"/v1/payroll-runs/{run['id']}/stale")["data"]
    recalculate = f"/v1/payroll-runs/{run['id']}/payslips/{company.people['LI']}/recalculate"
    again = company.payroll.post(recalculate, None, 200)
    approved = company.approve(again)

    assert (refused.status_code, reason_of(refused)) == (409, "INPUTS_CHANGED")
    assert [each["employee_id"] for each in stale] == [company.people["LI"]]
    assert again["calculation_hash"] != run["calculation_hash"]
    assert approved["status"] == "APPROVED"
    assert company.payslip_of(run["id"], "LI")["gross"]["amount"] == "21000.00"
