"""What could not be done about an event is listed for HR with its reason and mend, and tried again when they say so."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.e2e.company import Staffed, staffed
from tests.e2e.tenants import a_company, body_of
from tests.support.deployment import Deployment
from tests.support.parking import park_an_event_of

WORK = "/v1/work-items"


@pytest.fixture(scope="module")
async def firm(deployment: Deployment) -> AsyncIterator[Staffed]:
    """A company with three people."""
    async with a_company(deployment) as company:
        yield await staffed(company, ("E0001", "E0002", "E0003"))


async def listed(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    """All work that parked, page by page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    for _ in range(100):
        page = body_of(await client.get(WORK, params={**query, "cursor": cursor}))
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found
    raise AssertionError("the list has no end")


async def test_hr_sees_whom_it_concerns_and_how_to_mend_it_and_tries_it_again(firm: Staffed) -> None:
    hr = await firm.company.sign_in("hr_admin")
    parked = await park_an_event_of(firm.company, firm.ids["E0001"])

    [item] = await listed(hr)

    assert (item["service"], item["step"], item["event"]) == ("organization", "people.roster", "EmployeeHiredEvent")
    assert (item["employee_id"], item["subject"], item["attempts"]) == (firm.ids["E0001"], "employee", 5)
    assert item["reason"] == "FACT_OUT_OF_RANGE"
    assert item["detail"] == "the time zone is unknown: correct the workplace"
    assert item["id"].endswith(parked.event_id)
    key = {"Idempotency-Key": f"mend-{parked.event_id}"}
    first = await hr.post(f"{WORK}/{item['id']}/replay", headers=key)
    assert body_of(first, 202) == {"id": item["id"], "status": "REPLAYING"}
    await until_applied(hr, item["id"])
    again = await hr.post(f"{WORK}/{item['id']}/replay", headers=key)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert await listed(hr) == []


async def until_applied(hr: httpx.AsyncClient, work_item_id: str) -> None:
    """Until the step was done: then nothing is left to replay."""
    for _ in range(200):
        response = await hr.post(f"{WORK}/{work_item_id}/replay")
        if response.status_code == 404:
            assert response.json()["reason"] == "EVENT_NOT_PARKED"
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the step was not tried again")


async def test_a_page_goes_on_where_the_one_before_ended(firm: Staffed) -> None:
    hr = await firm.company.sign_in("hr_admin")
    for number in ("E0001", "E0002", "E0003"):
        await park_an_event_of(firm.company, firm.ids[number], "test.nobody")

    one_by_one = await listed(hr, limit=1)

    assert {item["employee_id"] for item in one_by_one} == {firm.ids[number] for number in ("E0001", "E0002", "E0003")}
    assert await listed(hr, limit=2) == await listed(hr, step="test.nobody") == one_by_one
    assert await listed(hr, service="organization") == one_by_one
    assert await listed(hr, service="payroll") == await listed(hr, step="pay.run") == []
    first = body_of(await hr.get(WORK, params={"limit": 1}))["next_cursor"]
    odd = await hr.get(WORK, params={"service": "payroll", "cursor": first})
    assert (odd.status_code, odd.json()["reason"], odd.json()["errors"][0]["field"]) == (422, "INVALID_VALUE", "cursor")
    broken = await hr.get(WORK, params={"cursor": "organization.zzz"})
    assert (broken.status_code, broken.json()["errors"][0]["field"]) == (422, "cursor")


async def test_only_those_who_run_the_company_see_and_mend_it(firm: Staffed, deployment: Deployment) -> None:
    parked = await park_an_event_of(firm.company, firm.ids["E0002"], "test.nobody")
    path = f"{WORK}/organization.test.nobody.{parked.event_id}/replay"

    answers = {}
    for role in ("owner", "hr_admin", "payroll_admin", "auditor", "payroll_approver", "manager", "employee", "device"):
        client = await firm.company.sign_in(role, firm.ids["E0002"] if role in ("manager", "employee") else "")
        answers[role] = (await client.get(WORK)).status_code, (await client.post(path)).status_code

    assert answers == {
        "owner": (200, 202),
        "hr_admin": (200, 202),
        "payroll_admin": (200, 202),
        "auditor": (200, 403),
        **dict.fromkeys(("payroll_approver", "manager", "employee", "device"), (403, 403)),
    }
    async with a_company(deployment) as stranger:
        assert await listed(stranger.owner) == []
        theirs = await stranger.owner.post(path)
        never = await stranger.owner.post(f"{WORK}/nothing.test.nobody.{parked.event_id}/replay")
    assert (theirs.status_code, never.status_code) == (404, 404)
    assert theirs.json()["detail"] == never.json()["detail"]


async def test_the_operator_sees_and_replays_what_parked_in_every_company(
    firm: Staffed, deployment: Deployment
) -> None:
    parked = await park_an_event_of(firm.company, firm.ids["E0003"])

    seen = json.loads(
        await asyncio.to_thread(deployment.muster, "events", "parked", "--step", "people.roster", "--json")
    )
    [item] = [one for one in seen if one["id"].endswith(parked.event_id)]
    done = await asyncio.to_thread(deployment.muster, "events", "replay", item["id"])

    assert (item["tenant_id"], item["event"]) == (firm.company.tenant_id, "EmployeeHiredEvent")
    assert "correct the workplace" in item["reason"]
    assert done == "1 handed out again\n"
    await until_applied(await firm.company.sign_in("hr_admin"), item["id"])
    with pytest.raises(RuntimeError, match="not parked"):
        await asyncio.to_thread(deployment.muster, "events", "replay", item["id"])
