"""A partner follows the durable feed: every event of the company once, in order, and of nobody else."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from application.events.cursor import Cursor
from tests.e2e.company import Staffed, staffed
from tests.e2e.tenants import a_company, body_of
from tests.support.deployment import Deployment

EVENTS = "/v1/events"
HIRED = "muster.organization.v1.EmployeeHiredEvent"


@pytest.fixture(scope="module")
async def firm(deployment: Deployment) -> AsyncIterator[Staffed]:
    """A company with three people."""
    async with a_company(deployment) as company:
        yield await staffed(company, ("E0001", "E0002", "E0003"))


async def walk(client: httpx.AsyncClient, **query: Any) -> tuple[list[dict[str, Any]], str]:
    """All events along the cursors, and the last cursor."""
    found: list[dict[str, Any]] = []
    after = ""
    for _ in range(500):
        page = body_of(await client.get(EVENTS, params={**query, "after": after}))
        found += page["data"]
        after = page["next_cursor"]
        if not page["has_more"]:
            return found, after
    raise AssertionError("the feed has no end")


async def until_quiet(client: httpx.AsyncClient) -> None:
    """Until what follows from the events has happened."""
    before, now = "", "?"
    async with asyncio.timeout(60):
        while before != now:
            before = now
            _, now = await walk(client, limit=500)
            await asyncio.sleep(1.5)


async def test_each_event_is_given_once_in_order_and_small_pages_are_large_ones(firm: Staffed) -> None:
    owner = firm.company.owner
    await until_quiet(owner)

    whole, end = await walk(owner, limit=500)
    small, same_end = await walk(owner, limit=3)

    ids = [event["id"] for event in small]
    assert len(set(ids)) == len(ids)
    assert set(ids) == {event["id"] for event in whole}
    assert end == same_end
    for events in (whole, small):
        versions: dict[str, int] = {}
        places: dict[str, str] = {}
        for event in events:
            assert event["aggregateversion"] >= versions.get(event["subject"], 0)
            assert event["sequence"] > places.get(event["source"], "")
            versions[event["subject"]] = event["aggregateversion"]
            places[event["source"]] = event["sequence"]
    assert {event["source"] for event in whole} >= {"/muster/identity", "/muster/organization", "/muster/attendance"}
    assert {event["tenantid"] for event in whole} == {firm.company.tenant_id}


async def test_types_are_chosen_and_facts_are_in_the_words_of_the_api(firm: Staffed) -> None:
    events, _ = await walk(firm.company.owner, types=HIRED)

    assert {event["data"]["employee_number"] for event in events} == {"E0001", "E0002", "E0003"}
    for event in events:
        assert (event["specversion"], event["type"]) == ("1.0", HIRED)
        assert event["subject"] == f"employee/{firm.ids[event['data']['employee_number']]}"
        assert event["data"]["hire_date"] == "2026-01-05"
    refused = await firm.company.owner.get(EVENTS, params={"types": "muster.organization.v1.EmployeeCloned"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "types")


async def test_who_waits_hears_of_the_next_event_and_who_waits_in_vain_may_go_on(firm: Staffed) -> None:
    owner = firm.company.owner
    await until_quiet(owner)
    _, end = await walk(owner, limit=500)

    waiting = asyncio.create_task(owner.get(EVENTS, params={"after": end, "wait": 8}))
    await asyncio.sleep(0.5)
    body_of(await owner.post("/v1/accounts", json={"login": "partner@example.com"}), 201)
    page = body_of(await waiting)
    nothing = body_of(await owner.get(EVENTS, params={"after": page["next_cursor"], "wait": 1}))

    assert [event["type"].rpartition(".")[2] for event in page["data"]][:1] == ["AccountCreatedEvent"]
    assert (nothing["data"], nothing["has_more"]) == ([], False)


async def test_a_cursor_that_cannot_be_followed_is_told_from_one_that_is_spoiled(firm: Staffed) -> None:
    owner = firm.company.owner

    ahead = await owner.get(EVENTS, params={"after": str(Cursor({"payroll": 10**12}))})
    spoiled = await owner.get(EVENTS, params={"after": "bm90IG91cnM"})

    assert (ahead.status_code, ahead.json()["reason"]) == (410, "CURSOR_EXPIRED")
    assert (spoiled.status_code, spoiled.json()["errors"][0]["field"]) == (422, "after")


async def test_an_employee_does_not_read_the_company_s_feed(firm: Staffed) -> None:
    employee = await firm.company.sign_in("employee", employee_id=firm.ids["E0002"])

    refused = await employee.get(EVENTS)

    assert refused.status_code == 403
