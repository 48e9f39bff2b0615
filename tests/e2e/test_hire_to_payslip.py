"""The main job, over every form: people are hired, they punch, the month is closed, and everybody is paid."""

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from tests.e2e.company import PERIOD, Staffed, hire_body, punches_of, staffed, until_calculated
from tests.e2e.tenants import a_company, body_of
from tests.support.deployment import Deployment

pytestmark = pytest.mark.timeout(400)  # the first one starts a whole deployment


@pytest.fixture(scope="module", params=["embedded", "distributed", "mesh"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Both forms, and the whole of the distributed one as `muster up` starts it."""
    made: Deployment = request.getfixturevalue(request.param)
    return made


@pytest.fixture(scope="module")
async def acme(deployment: Deployment) -> AsyncIterator[Staffed]:
    """A company with three people: one who does not punch, one on time, one with a late day and overtime."""
    async with a_company(deployment) as company:
        yield await staffed(company)


async def the_month_is_closed(acme: Staffed) -> None:
    owner = acme.company.owner
    punches = punches_of("E0002") + punches_of("E0003", d2026_10_09=("09:20", "18:00"), d2026_10_12=("09:00", "20:00"))
    imported = body_of(await owner.post("/v1/punches/batch", json={"punches": punches}))
    assert {result["outcome"] for result in imported["results"]} <= {"RECORDED", "REPLAYED"}
    closed = body_of(
        await owner.post("/v1/timesheet-closings", json={"pay_group": "CN-MONTHLY", "period": PERIOD}), 202
    )
    assert [result["refusal"] for result in closed["results"]] == [None] * 3


async def test_from_hire_to_payslip(acme: Staffed) -> None:
    company, ids = acme.company, acme.ids
    preparer = await company.sign_in("payroll_admin")
    approver = await company.sign_in("payroll_approver")
    await the_month_is_closed(acme)

    sheet = body_of(await company.owner.get("/v1/timesheets", params={"employee_id": ids["E0003"], "period": PERIOD}))[
        "data"
    ][0]
    assert sheet["status"] == "LOCKED"
    assert sheet["sums"]["late_minutes"] == 20
    assert sheet["sums"]["overtime_workday_minutes"] == 120

    run = body_of(
        await preparer.post("/v1/payroll-runs", json={"pay_group": "CN-MONTHLY", "period": PERIOD, "kind": "REGULAR"}),
        201,
    )
    body_of(await preparer.post(f"/v1/payroll-runs/{run['id']}/calculate"), 202)
    calculated = await until_calculated(preparer, run["id"])
    assert calculated["progress"]["done"] == 3
    assert calculated["progress"]["blocked"] == 0

    own = await preparer.post(
        f"/v1/payroll-runs/{run['id']}/approve", json={"calculation_hash": calculated["calculation_hash"]}
    )
    assert own.status_code == 403
    body_of(
        await approver.post(
            f"/v1/payroll-runs/{run['id']}/approve", json={"calculation_hash": calculated["calculation_hash"]}
        )
    )
    final = body_of(await preparer.post(f"/v1/payroll-runs/{run['id']}/finalize"))
    assert final["status"] == "FINALIZED"

    payslips = body_of(await preparer.get(f"/v1/payroll-runs/{run['id']}/payslips"))["data"]
    assert {one["employee_id"] for one in payslips} == set(ids.values())
    by_employee = {one["employee_id"]: one for one in payslips}
    plain = body_of(await preparer.get(f"/v1/payslips/{by_employee[ids['E0002']]['id']}"))
    overtime = body_of(await preparer.get(f"/v1/payslips/{by_employee[ids['E0003']]['id']}"))
    assert plain["gross"] == {"amount": "20000.00", "currency": "CNY"}
    assert float(overtime["gross"]["amount"]) > 20000
    assert {line["kind"] for line in plain["lines"]} >= {"EARNING", "DEDUCTION", "TAX", "EMPLOYER_CONTRIBUTION"}

    base = next(line for line in plain["lines"] if line["kind"] == "EARNING")
    trace = body_of(await preparer.get(f"/v1/payslips/{plain['id']}/lines/{base['code']}/trace"))
    assert trace["steps"]
    replayed = body_of(await preparer.post(f"/v1/payslips/{plain['id']}/replay"))
    assert replayed["matches"] is True
    mine = await company.sign_in("employee", ids["E0002"])
    assert body_of(await mine.get(f"/v1/payslips/{plain['id']}"))["net"] == plain["net"]
    assert (await mine.get(f"/v1/payslips/{overtime['id']}")).status_code == 404


async def test_facts_have_two_times(acme: Staffed) -> None:
    owner, employee = acme.company.owner, acme.ids["E0002"]
    before = await owner.get(f"/v1/employees/{employee}")
    raise_body = {
        "effective_date": "2026-12-01",
        "compensation": {"amount": "24000.00", "currency": "CNY", "unit": "MONTH"},
        "reason": "PROMOTION",
    }

    changed = await owner.post(
        f"/v1/employees/{employee}/compensation-changes", json=raise_body, headers={"If-Match": before.headers["etag"]}
    )

    body_of(changed, 201)
    in_november = body_of(await owner.get(f"/v1/employees/{employee}", params={"as_of": "2026-11-30"}))
    in_december = body_of(await owner.get(f"/v1/employees/{employee}", params={"as_of": "2026-12-01"}))
    known_before = body_of(
        await owner.get(
            f"/v1/employees/{employee}", params={"as_of": "2026-12-01", "known_at": before.json()["updated_at"]}
        )
    )
    assert in_november["compensation"]["amount"] == "20000.00"
    assert in_december["compensation"]["amount"] == "24000.00"
    assert known_before["compensation"]["amount"] == "20000.00"
    history = body_of(await owner.get(f"/v1/employees/{employee}/history"))["data"]
    assert [change["kind"] for change in history] == ["HIRE", "COMPENSATION"]


async def test_who_was_just_hired_can_be_on_leave_before_any_punch(acme: Staffed) -> None:
    owner = acme.company.owner
    body = hire_body("E0077", schedule="STANDARD-5X8")
    body["assignment"] |= {"pay_group": None}
    employee = body_of(await owner.post("/v1/employees", json=body), 201)["id"]
    absence = {"employee_id": employee, "code": "ANNUAL", "start_date": "2026-11-23", "paid_share": "1"}

    entered = await owner.post("/v1/absences", json=absence)
    twice = await owner.post("/v1/absences", json=absence)
    nobody = await owner.post("/v1/absences", json=absence | {"employee_id": str(uuid4())})

    sheet = body_of(entered, 201)
    assert (sheet["employee_id"], sheet["period"], sheet["status"]) == (employee, "2026-11", "OPEN")
    assert entered.headers["location"] == f"/v1/timesheets/{sheet['id']}"
    assert body_of(await owner.get(entered.headers["location"]))["absences"] == sheet["absences"]
    assert (twice.status_code, twice.json()["reason"]) == (409, "ABSENCE_OVERLAPS")
    assert (nobody.status_code, nobody.json()["reason"]) == (404, "EMPLOYEE_NOT_FOUND")


@pytest.mark.parametrize(("etag", "status"), [(None, 428), ('"0"', 412), ('"99"', 412), ("1", 422)])
async def test_a_change_needs_the_version_that_was_seen(acme: Staffed, etag: str | None, status: int) -> None:
    body = {"effective_date": "2026-12-01", "assignment": {"department": "HQ"}}

    response = await acme.company.owner.post(
        f"/v1/employees/{acme.ids['E0001']}/transfers", json=body, headers={"If-Match": etag} if etag else {}
    )

    assert response.status_code == status, response.text


async def test_what_a_role_may_not_read_is_null(acme: Staffed) -> None:
    async def seen_by(role: str, employee: str = "") -> httpx.Response:
        client = await acme.company.sign_in(role, employee)
        return await client.get(f"/v1/employees/{acme.ids['E0002']}")

    auditor = body_of(await seen_by("auditor"))
    oneself = body_of(await seen_by("employee", acme.ids["E0002"]))
    another = await seen_by("employee", acme.ids["E0003"])
    device = await seen_by("device")

    assert auditor["compensation"] is not None
    assert auditor["person"]["bank_accounts"] is None
    assert oneself["person"]["email"] == "E0002@example.com"
    assert another.status_code == 404
    assert device.status_code == 403


async def test_what_is_published_twice_alike_is_published_once(acme: Staffed) -> None:
    body = {"effective_date": "2026-01-01", "name": "Research", "parent": "HQ"}

    first = await acme.company.owner.put("/v1/departments/RESEARCH", json=body)
    second = await acme.company.owner.put("/v1/departments/RESEARCH", json=body)

    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert first.headers["etag"] == second.headers["etag"]
