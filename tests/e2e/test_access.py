"""Who sees whom: people sign in with a password, and their grants say how far they reach."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.e2e.company import Staffed, hire_body, staffed
from tests.e2e.tenants import a_company, body_of
from tests.support.deployment import Deployment

REPORTS = (("E0002", "E0001", "ENG"), ("E0003", "E0002", "ENG"), ("E0009", "", "SALES"))
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
async def firm(deployment: Deployment) -> AsyncIterator[Staffed]:
    """E0001 manages E0002, who manages E0003; E0009 works elsewhere and for nobody of them."""
    async with a_company(deployment) as company:
        found = await staffed(company, ("E0001",))
        body_of(
            await company.owner.put(
                "/v1/departments/SALES", json={"effective_date": "2019-01-01", "name": "Sales", "parent": "HQ"}
            )
        )
        for number, manager, department in (
            ("E0002", "E0001", "ENG"),
            ("E0003", "E0002", "ENG"),
            ("E0009", "", "SALES"),
        ):
            body = hire_body(number)
            assignment = body["assignment"] | {"manager_id": found.ids.get(manager), "department": department}
            made = body_of(await company.owner.post("/v1/employees", json=body | {"assignment": assignment}), 201)
            found.ids[number] = made["id"]
        yield found


async def numbers_seen(client: httpx.AsyncClient, **query: str) -> set[str]:
    return {one["employee_number"] for one in body_of(await client.get("/v1/employees", params=query))["data"]}


async def test_a_manager_reaches_the_team_all_the_way_down(firm: Staffed) -> None:
    manager = await firm.company.sign_in("manager", firm.ids["E0001"])

    statuses = {
        number: (await manager.get(f"/v1/employees/{firm.ids[number]}")).status_code
        for number in ("E0001", "E0002", "E0003", "E0009")
    }
    direct = body_of(await manager.get(f"/v1/employees/{firm.ids['E0002']}"))

    assert statuses == {"E0001": 200, "E0002": 200, "E0003": 200, "E0009": 404}
    assert direct["compensation"] is None
    assert direct["person"]["birth_date"] is None
    assert await numbers_seen(manager) == {"E0002", "E0003"}
    assert await numbers_seen(manager, manager_id=firm.ids["E0002"]) == {"E0003"}
    assert await numbers_seen(manager, manager_id=firm.ids["E0001"]) == {"E0002"}
    assert await numbers_seen(manager, employee_number="E0009") == set()


async def test_an_employee_sees_only_themselves(firm: Staffed) -> None:
    employee = await firm.company.sign_in("employee", firm.ids["E0003"])

    assert await numbers_seen(employee) == {"E0003"}
    assert (await employee.get(f"/v1/employees/{firm.ids['E0002']}")).status_code == 404
    assert (await employee.post("/v1/employees", json=hire_body("E0042"))).status_code == 403
    assert (await employee.get("/v1/payroll-runs")).status_code == 403


async def test_the_answer_of_a_change_shows_what_the_caller_reads_afterwards(firm: Staffed) -> None:
    body = hire_body("E0050")
    body["person"] |= {"national_id": "310101199001011234", "phone": "+86 138 0000 0000"}
    body["assignment"] |= {"department": "SALES"}
    hr = await firm.company.sign_in("hr_admin")

    hired = await hr.post("/v1/employees", json=body, headers={"Idempotency-Key": "hire-E0050"})
    again = await hr.post("/v1/employees", json=body, headers={"Idempotency-Key": "hire-E0050"})
    employee = f"/v1/employees/{body_of(hired, 201)['id']}"
    read = body_of(await hr.get(employee, params={"as_of": body["hire_date"]}))
    oneself = await firm.company.sign_in("employee", hired.json()["id"])
    updated = body_of(
        await oneself.patch(
            f"{employee}/person",
            json={"effective_date": "2026-02-01", "person": {"email": "new@example.com"}},
            headers={"If-Match": hired.headers["etag"]},
        )
    )

    assert hired.json() == read
    assert read["person"]["national_id"] == body["person"]["national_id"]
    assert again.content == hired.content
    assert updated == body_of(await oneself.get(employee, params={"as_of": "2026-02-01"}))
    assert updated["person"]["email"] == "new@example.com"


async def test_a_headcount_tells_where_people_are_missing_or_too_many(firm: Staffed) -> None:
    owner = firm.company.owner
    body_of(
        await owner.put(
            "/v1/positions/LEAD",
            json={"effective_date": "2019-01-01", "name": "Lead", "department": "ENG", "headcount": 1},
        )
    )
    manager = await firm.company.sign_in("manager", firm.ids["E0001"])

    first = body_of(await owner.get("/v1/headcount", params={"limit": "1", "as_of": "2026-01-05"}))
    second = body_of(
        await owner.get("/v1/headcount", params={"limit": "1", "as_of": "2026-01-05", "cursor": first["next_cursor"]})
    )

    [engineers], [leads] = first["data"], second["data"]
    assert (engineers["position"], engineers["planned"], engineers["vacant"]) == ("ENGINEER", None, None)
    assert engineers["filled"] >= len(REPORTS)
    assert leads == {
        "position": "LEAD", "name": "Lead", "department": "ENG", "planned": 1, "filled": 0, "vacant": 1,
    }  # fmt: skip
    assert (await manager.get("/v1/headcount")).status_code == 403


async def test_a_grant_for_a_department_ends_at_its_border(firm: Staffed) -> None:
    owner = firm.company.owner
    account = await owner.post("/v1/accounts", json={"login": "eng.hr@example.com", "password": PASSWORD})
    account_id = body_of(account, 201)["id"]
    granted = await owner.post(
        f"/v1/accounts/{account_id}/grants",
        json={"role": "hr_admin", "department": "ENG", "valid_from": "2019-01-01"},
        headers={"If-Match": account.headers["etag"]},
    )
    body_of(granted, 201)
    credentials = {"tenant": firm.company.code, "login": "ENG.hr@example.com", "password": PASSWORD}
    token = body_of(await owner.post("/v1/token", json=credentials), 200)
    async with httpx.AsyncClient(
        base_url=str(owner.base_url), headers={"Authorization": f"Bearer {token['access_token']}"}, timeout=30.0
    ) as limited:
        seen = await numbers_seen(limited)
        inside = await limited.get(f"/v1/employees/{firm.ids['E0003']}")
        outside = await limited.get(f"/v1/employees/{firm.ids['E0009']}")
        me = body_of(await limited.get("/v1/me"))

    assert seen == {"E0001", "E0002", "E0003"}
    assert body_of(inside)["compensation"]["amount"] == "20000.00"
    assert outside.status_code == 404
    assert me["roles"] == ["hr_admin@department:ENG"]
    assert me["tenant"]["code"] == firm.company.code


async def test_signing_in_tells_nothing_but_yes_or_no(firm: Staffed) -> None:
    owner = firm.company.owner

    answers = [
        await owner.post("/v1/token", json={"tenant": tenant, "login": login, "password": "not the password"})
        for tenant, login in ((firm.company.code, "owner"), (firm.company.code, "nobody"), ("no-such-company", "owner"))
    ]

    assert [one.status_code for one in answers] == [401] * 3
    assert len({one.json()["detail"] for one in answers}) == 1


async def test_a_session_goes_on_with_a_token_that_is_used_once(firm: Staffed) -> None:
    owner = firm.company.owner
    body_of(await owner.post("/v1/accounts", json={"login": "session@example.com", "password": PASSWORD}), 201)
    credentials = {"tenant": firm.company.code, "login": "session@example.com", "password": PASSWORD}
    first = body_of(await owner.post("/v1/token", json=credentials))

    second = body_of(await owner.post("/v1/token/refresh", json={"refresh_token": first["refresh_token"]}))
    third = body_of(await owner.post("/v1/token/refresh", json={"refresh_token": second["refresh_token"]}))
    reused = await owner.post("/v1/token/refresh", json={"refresh_token": first["refresh_token"]})
    after = await owner.post("/v1/token/refresh", json={"refresh_token": third["refresh_token"]})

    assert reused.status_code == 401
    assert after.status_code == 401


async def test_nobody_gives_a_role_beyond_their_own(firm: Staffed) -> None:
    owner = firm.company.owner
    hr = await firm.company.sign_in("hr_admin")
    account_id = body_of(await owner.post("/v1/accounts", json={"login": "climber@example.com"}), 201)["id"]

    ordinary = await hr.post(f"/v1/accounts/{account_id}/grants", json={"role": "employee"})
    climbing = await hr.post(f"/v1/accounts/{account_id}/grants", json={"role": "owner"})

    assert ordinary.status_code == 201
    assert climbing.status_code == 403
