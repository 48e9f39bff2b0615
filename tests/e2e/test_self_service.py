"""An employee with a phone: who am I, my punches, my timesheet, my payslips; never somebody else's."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.e2e.company import PERIOD, Staffed, punches_of, staffed, until_calculated
from tests.e2e.tenants import a_company, body_of
from tests.support.deployment import Deployment


@pytest.fixture(scope="module")
async def firm(deployment: Deployment) -> AsyncIterator[Staffed]:
    """A company with two people; E0001 need not punch."""
    async with a_company(deployment) as company:
        yield await staffed(company, ("E0001", "E0002"))


def a_punch(at: datetime, **changes: Any) -> dict[str, Any]:
    """A punch as a phone sends it."""
    return {"punch_id": str(uuid4()), "punched_at": at.isoformat(timespec="seconds"), "direction": "IN", **changes}


async def test_i_am_told_who_i_am_and_where_i_work(firm: Staffed) -> None:
    phone = await firm.company.sign_in("employee", firm.ids["E0002"])

    me = body_of(await phone.get("/v1/me"))
    owner = body_of(await firm.company.owner.get("/v1/me"))

    assert (me["employee_id"], me["roles"], me["tenant"]["code"]) == (
        firm.ids["E0002"], ["employee"], firm.company.code,
    )  # fmt: skip
    told = {
        name: me["employee"][name] for name in ("employee_number", "legal_name", "status", "department", "end_date")
    }
    assert told == {
        "employee_number": "E0002",
        "legal_name": "Person E0002",
        "status": "ACTIVE",
        "department": "ENG",
        "end_date": None,
    }
    assert (owner["employee_id"], owner["employee"]) == (None, None)


async def test_i_punch_with_my_phone_and_see_it_in_my_timesheet(firm: Staffed) -> None:
    phone = await firm.company.sign_in("employee", firm.ids["E0002"])
    now = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    today = now.astimezone(ZoneInfo("Asia/Shanghai")).date()
    before = await phone.get("/v1/me/timesheet")
    punch = a_punch(now)

    done = body_of(await phone.post("/v1/me/punches", json=punch), 201)
    again = body_of(await phone.post("/v1/me/punches", json=punch), 200)

    assert (before.status_code, before.json()["reason"]) == (404, "TIMESHEET_NOT_FOUND")
    assert (done["outcome"], done["employee_id"], again["outcome"]) == ("RECORDED", firm.ids["E0002"], "REPLAYED")
    mine = await phone.get("/v1/me/timesheet")
    assert (mine.json()["id"], mine.json()["period"]) == (done["timesheet_id"], f"{today:%Y-%m}")
    assert mine.headers["etag"] == f'"{mine.json()["version"]}"'
    assert punch["punch_id"] in mine.text
    named = body_of(await phone.get("/v1/me/timesheet", params={"period": f"{today:%Y-%m}"}))
    assert named == mine.json()
    other = await phone.get("/v1/me/timesheet", params={"period": "2026-02"})
    assert (other.status_code, other.json()["reason"]) == (404, "TIMESHEET_NOT_FOUND")
    foreign = await phone.post("/v1/me/punches", json=a_punch(now, employee_id=firm.ids["E0001"]))
    assert (foreign.status_code, foreign.json()["errors"][0]["reason"]) == (422, "UNKNOWN_FIELD")


async def test_i_see_my_payslip_once_it_is_final(firm: Staffed) -> None:
    preparer, approver = await firm.company.sign_in("payroll_admin"), await firm.company.sign_in("payroll_approver")
    phone = await firm.company.sign_in("employee", firm.ids["E0001"])
    owner = firm.company.owner
    body_of(await owner.post("/v1/punches/batch", json={"punches": punches_of("E0002")}))
    body_of(await owner.post("/v1/timesheet-closings", json={"pay_group": "CN-MONTHLY", "period": PERIOD}), 202)
    run = body_of(
        await preparer.post("/v1/payroll-runs", json={"pay_group": "CN-MONTHLY", "period": PERIOD, "kind": "REGULAR"})
    )
    body_of(await preparer.post(f"/v1/payroll-runs/{run['id']}/calculate"), 202)
    calculated = await until_calculated(preparer, run["id"])
    draft = body_of(await phone.get("/v1/me/payslips"))["data"]
    seen = {"calculation_hash": calculated["calculation_hash"]}
    body_of(await approver.post(f"/v1/payroll-runs/{run['id']}/approve", json=seen))

    body_of(await preparer.post(f"/v1/payroll-runs/{run['id']}/finalize"))

    [mine] = body_of(await phone.get("/v1/me/payslips", params={"year": 2026}))["data"]
    assert draft == []
    assert (mine["employee_id"], mine["period"]) == (firm.ids["E0001"], PERIOD)
    assert body_of(await phone.get(f"/v1/payslips/{mine['id']}"))["lines"]
    assert body_of(await phone.get("/v1/me/payslips", params={"year": 2025}))["data"] == []


@pytest.mark.parametrize("path", ["/v1/me/timesheet", "/v1/me/payslips", "/v1/me/punches"])
async def test_who_is_no_employee_is_told_so(firm: Staffed, path: str) -> None:
    owner = firm.company.owner
    terminal = await firm.company.sign_in("device")

    async def asked(client: httpx.AsyncClient) -> httpx.Response:
        if path.endswith("punches"):
            return await client.post(path, json=a_punch(datetime.now(UTC)))
        return await client.get(path)

    refused, gate = await asked(owner), await asked(terminal)

    assert (refused.status_code, refused.json()["reason"]) == (404, "NOT_AN_EMPLOYEE")
    assert (gate.status_code, gate.json()["reason"]) in ((403, "FORBIDDEN"), (404, "NOT_AN_EMPLOYEE"))
