"""What waits for whose decision: a manager sees the team's, HR everybody's, nobody their own."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.e2e.company import PERIOD, Staffed, hire_body, punches_of, staffed, until_calculated
from tests.e2e.tenants import a_company, body_of
from tests.support.deployment import Deployment


@pytest.fixture(scope="module")
async def firm(deployment: Deployment) -> AsyncIterator[Staffed]:
    """E0001 manages E0002; E0009 reports to nobody. All were there in October."""
    async with a_company(deployment) as company:
        found = await staffed(company, ("E0001",))
        for number, manager in (("E0002", found.ids["E0001"]), ("E0009", None)):
            body = hire_body(number)
            body["assignment"] |= {"manager_id": manager}
            found.ids[number] = body_of(await company.owner.post("/v1/employees", json=body), 201)["id"]
            body_of(await company.owner.post("/v1/punches/batch", json={"punches": punches_of(number)}))
        yield found


async def waiting(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    """All that waits for this client's decision, page by page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    for _ in range(50):
        page = body_of(await client.get("/v1/approvals", params={"mine": "true", "cursor": cursor, **query}))
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found
    raise AssertionError("the list has no end")


def brief(items: list[dict[str, Any]], firm: Staffed) -> list[tuple[str, str]]:
    """Kinds with the numbers of the people."""
    numbers = {id: number for number, id in firm.ids.items()}
    return sorted((one["kind"], numbers.get(one["employee_id"], "")) for one in items)


async def test_a_manager_decides_what_the_team_asked_for(firm: Staffed) -> None:
    ids = firm.ids
    manager = await firm.company.sign_in("manager", ids["E0001"])
    hr = await firm.company.sign_in("hr_admin", ids["E0009"])
    for number in ("E0002", "E0009"):
        phone = await firm.company.sign_in("employee", ids[number])
        sheet = body_of(await phone.get("/v1/me/timesheet", params={"period": PERIOD}))
        late = {"employee_id": ids[number], "work_date": "2026-10-09", "minutes": 60, "reason": "month's end"}
        body_of(await phone.post("/v1/overtime-requests", json=late), 201)
        forgotten = {"punched_at": "2026-10-10T10:00:00+08:00", "direction": "IN", "reason": "the gate was open"}
        body_of(await phone.post(f"/v1/timesheets/{sheet['id']}/corrections", json=forgotten), 201)

    team, everybody = await waiting(manager), await waiting(hr)

    asked = [("OVERTIME_REQUEST", "E0002"), ("TIMESHEET_CORRECTION", "E0002")]
    assert brief(team, firm) == brief(everybody, firm) == asked  # HR does not decide their own
    assert brief(await waiting(firm.company.owner, limit=1), firm) == sorted(
        [*asked, ("OVERTIME_REQUEST", "E0009"), ("TIMESHEET_CORRECTION", "E0009")]
    )
    phone = await firm.company.sign_in("employee", ids["E0002"])
    assert await waiting(phone) == await waiting(await firm.company.sign_in("payroll_approver")) == []
    overtime = next(one for one in team if one["kind"] == "OVERTIME_REQUEST")
    assert (overtime["work_date"], overtime["reason"]) == ("2026-10-09", "month's end")
    body_of(await manager.post(overtime["approve_at"], json={"minutes": 60}))
    assert brief(await waiting(manager), firm) == [("TIMESHEET_CORRECTION", "E0002")]
    assert await waiting(manager, kind="OVERTIME_REQUEST") == []


async def test_a_manager_lists_and_approves_the_timesheets_of_the_team(firm: Staffed) -> None:
    manager = await firm.company.sign_in("manager", firm.ids["E0001"])
    correction = (await waiting(manager, kind="TIMESHEET_CORRECTION"))[0]
    body_of(await manager.post(correction["approve_at"].replace("/approve", "/decline"), json={"note": "you were in"}))
    phone = await firm.company.sign_in("employee", firm.ids["E0002"])
    sheet = body_of(await phone.get("/v1/me/timesheet", params={"period": PERIOD}))

    body_of(await phone.post(f"/v1/timesheets/{sheet['id']}/submit"))

    [item] = await waiting(manager)
    assert (item["kind"], item["id"], item["period"]) == ("TIMESHEET", sheet["id"], PERIOD)
    listed = body_of(await manager.get("/v1/timesheets", params={"period": PERIOD}))["data"]
    assert [one["employee_id"] for one in listed] == [firm.ids["E0002"]]
    assert body_of(await manager.post(item["approve_at"]))["status"] == "APPROVED"
    assert await waiting(manager) == []
    alone = await firm.company.sign_in("manager", firm.ids["E0009"])
    assert body_of(await alone.get("/v1/timesheets"))["data"] == await waiting(alone) == []


async def test_a_calculated_run_waits_for_the_approver_and_not_for_who_prepared_it(firm: Staffed) -> None:
    owner, approver = firm.company.owner, await firm.company.sign_in("payroll_approver")
    preparer = await firm.company.sign_in("payroll_admin")
    order = {"pay_group": "CN-MONTHLY", "period": PERIOD, "kind": "REGULAR"}
    run = body_of(await owner.post("/v1/payroll-runs", json=order))
    body_of(await owner.post(f"/v1/payroll-runs/{run['id']}/calculate"), 202)
    await until_calculated(owner, run["id"])

    [item] = await waiting(approver)

    assert (item["kind"], item["id"], item["employee_id"]) == ("PAYROLL_RUN", run["id"], None)
    assert await waiting(owner, kind="PAYROLL_RUN") == await waiting(preparer) == []
