"""What payroll makes of time: holidays of a year that is over, and facts that come after the month was locked."""

from typing import Any

from tests.e2e.company import PERIOD, punches_of, staffed, until_calculated
from tests.e2e.tenants import a_company, body_of
from tests.support.deployment import Deployment

HOLIDAY = "2026-10-01"


async def test_next_years_holiday_list_changes_nothing_of_what_a_month_before_it_pays(deployment: Deployment) -> None:
    """Source: frappe/hrms issues 1516 and 2768, where a new list turned the old year's holidays into absences."""
    async with a_company(deployment) as company:
        acme = await staffed(company)
        owner, preparer = company.owner, await company.sign_in("payroll_admin")
        worked_on_the_holiday = [
            {
                "punch_id": f"00000000-0000-4000-8000-00000000000{turn}",
                "employee_number": "E0003",
                "punched_at": f"{HOLIDAY}T{clock}:00+08:00",
                "direction": direction,
                "source": "DEVICE",
            }
            for turn, (direction, clock) in enumerate((("IN", "09:00"), ("OUT", "13:00")))
        ]
        punches = punches_of("E0002") + punches_of("E0003") + worked_on_the_holiday
        body_of(await owner.post("/v1/punches/batch", json={"punches": punches}))
        new_year = {
            "effective_date": "2027-01-01",
            "name": "China",
            "days": [{"date": "2027-01-01", "day_kind": "HOLIDAY"}],
        }

        body_of(await owner.put("/v1/holiday-calendars/CN", json=new_year))
        closing = {"pay_group": "CN-MONTHLY", "period": PERIOD}
        closed = body_of(await owner.post("/v1/timesheet-closings", json=closing), 202)
        body = {"pay_group": "CN-MONTHLY", "period": PERIOD, "kind": "REGULAR"}
        run = body_of(await preparer.post("/v1/payroll-runs", json=body), 201)
        body_of(await preparer.post(f"/v1/payroll-runs/{run['id']}/calculate"), 202)
        await until_calculated(preparer, run["id"])
        found = body_of(await preparer.get(f"/v1/payroll-runs/{run['id']}/payslips"))["data"]
        payslips = {one["employee_id"]: body_of(await preparer.get(f"/v1/payslips/{one['id']}")) for one in found}

    def lines_of(number: str) -> dict[str, Any]:
        return {line["code"]: line for line in payslips[acme.ids[number]]["lines"]}

    assert [one["refusal"] for one in closed["results"]] == [None] * 3
    assert payslips[acme.ids["E0002"]]["gross"]["amount"] == "20000.00"
    assert not {"ABSENT", "UNPAID"} & lines_of("E0002").keys()
    assert lines_of("E0003")["OVERTIME_HOLIDAY"]["quantity"] == "4"


async def test_an_adjustment_after_the_run_was_calculated_is_seen_before_approval(deployment: Deployment) -> None:
    async with a_company(deployment) as company:
        acme = await staffed(company)
        owner, preparer = company.owner, await company.sign_in("payroll_admin")
        approver = await company.sign_in("payroll_approver")
        punches = punches_of("E0002") + punches_of("E0003")
        body_of(await owner.post("/v1/punches/batch", json={"punches": punches}))
        closing = {"pay_group": "CN-MONTHLY", "period": PERIOD}
        closed = body_of(await owner.post("/v1/timesheet-closings", json=closing), 202)
        sheet = next(one["timesheet_id"] for one in closed["results"] if one["employee_id"] == acme.ids["E0003"])
        body = {"pay_group": "CN-MONTHLY", "period": PERIOD, "kind": "REGULAR"}
        run = body_of(await preparer.post("/v1/payroll-runs", json=body), 201)
        path = f"/v1/payroll-runs/{run['id']}"
        body_of(await preparer.post(f"{path}/calculate"), 202)
        calculated = await until_calculated(preparer, run["id"])

        stayed = {
            "work_date": "2026-10-20",
            "lines": [{"pay_code": "OVERTIME", "day_kind": "WORKDAY", "minutes": 120}],
            "reason": "the stocktaking was forgotten",
        }
        body_of(await owner.post(f"/v1/timesheets/{sheet}/adjustments", json=stayed), 201)
        refused = await approver.post(f"{path}/approve", json={"calculation_hash": calculated["calculation_hash"]})
        stale = body_of(await preparer.get(f"{path}/stale"))["data"]
        again = body_of(await preparer.post(f"{path}/payslips/{acme.ids['E0003']}/recalculate"))
        found = body_of(await preparer.get(f"{path}/payslips"))["data"]
        payslips = {one["employee_id"]: body_of(await preparer.get(f"/v1/payslips/{one['id']}")) for one in found}

    lines = {line["code"]: line for line in payslips[acme.ids["E0003"]]["lines"]}
    assert (refused.status_code, refused.json()["reason"]) == (409, "INPUTS_CHANGED")
    assert [(one["employee_id"], one["reasons"]) for one in stale] == [(acme.ids["E0003"], ["TIMESHEET_ADJUSTED"])]
    assert again["calculation_hash"] != calculated["calculation_hash"]
    assert lines["OVERTIME_WORKDAY"]["quantity"] == "2"
