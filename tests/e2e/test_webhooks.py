"""Webhooks from the fact to the receiver: signed, at least once, through the death of any worker."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.company import define, hire_body
from tests.e2e.tenants import Company, a_company, body_of
from tests.support.deployment import Deployment, DistributedDeployment
from tests.support.receiver import Receiver, a_receiver

KILLS = int(os.environ.get("WEBHOOK_KILLS", "2"))
HIRED = "muster.organization.v1.EmployeeHiredEvent"
ENDPOINTS = "/v1/webhook-endpoints"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with a_receiver() as made:
        yield made


@pytest.fixture(scope="module")
async def company(deployment: Deployment) -> AsyncIterator[Company]:
    async with a_company(deployment) as made:
        await define(made.owner)
        yield made


async def an_endpoint(company: Company, url: str, *types: str) -> dict[str, Any]:
    """A new endpoint with its secret."""
    made: dict[str, Any] = body_of(
        await company.owner.post(ENDPOINTS, json={"url": url, "event_types": list(types)}), 201
    )
    return made


async def log_of(company: Company, endpoint: dict[str, Any], **filters: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body_of(
        await company.owner.get(f"{ENDPOINTS}/{endpoint['id']}/deliveries", params={"limit": 1000, **filters})
    )["data"]
    return found


async def until_delivered(company: Company, endpoint: dict[str, Any], count: int, within_s: float = 60.0) -> None:
    path, clock = f"{ENDPOINTS}/{endpoint['id']}/deliveries", asyncio.get_running_loop()
    until = clock.time() + within_s
    while True:
        told = await company.owner.get(path, params={"limit": 1000, "status": "DELIVERED"})
        if told.status_code == 200 and len(told.json()["data"]) >= count:
            return
        assert told.status_code in (200, 503), told.text  # 503: the service was killed a moment ago
        assert clock.time() < until, told.text
        await asyncio.sleep(0.1)


async def hire(company: Company) -> dict[str, Any]:
    made: dict[str, Any] = body_of(
        await company.owner.post("/v1/employees", json=hire_body(f"W{uuid4().hex[:8]}")), 201
    )
    return made


async def test_what_happens_arrives_as_the_feed_tells_it(company: Company, receiver: Receiver) -> None:
    endpoint = await an_endpoint(company, receiver.url(), HIRED)

    person = await hire(company)
    await receiver.until(lambda: len(receiver.received) >= 1)
    await until_delivered(company, endpoint, 1)

    (came,) = receiver.received
    (delivery,) = await log_of(company, endpoint)
    assert came.verified_by(endpoint["secret"])
    assert came.event["data"]["employee_id"] == person["id"]
    assert came.id == delivery["id"]
    assert delivery["last_attempt"]["status_code"] == 200
    feed = body_of(await company.owner.get("/v1/events", params={"types": HIRED, "limit": 500}))["data"]
    assert came.event == next(one for one in feed if one["id"] == came.event["id"])


async def test_an_endpoint_tells_its_secret_once_and_is_looked_after(company: Company, receiver: Receiver) -> None:
    key = {"Idempotency-Key": f"endpoint-{uuid4()}"}
    wanted = {"url": receiver.url("/ping"), "event_types": ["muster.payroll.v1.*"], "description": "Books"}
    created = await company.owner.post(ENDPOINTS, json=wanted, headers=key)
    again = await company.owner.post(ENDPOINTS, json=wanted, headers=key)
    endpoint, path = body_of(created, 201), f"{ENDPOINTS}/{body_of(created, 201)['id']}"
    seen = {"If-Match": created.headers["etag"]}

    ping = body_of(await company.owner.post(f"{path}/test"), 202)
    await receiver.until(lambda: len(receiver.at("/ping")) == 1)
    changed = await company.owner.patch(path, json={"description": "Ledger"}, headers=seen)
    stale = await company.owner.patch(path, json={"description": "Late"}, headers=seen)
    blind = await company.owner.patch(path, json={"description": "Blind"})
    rotated = body_of(await company.owner.post(f"{path}/rotate-secret"))
    resent = body_of(await company.owner.post(f"{path}/deliveries/{ping['delivery_id']}/resend"), 202)
    await receiver.until(lambda: len(receiver.at("/ping")) == 2)
    disabled = body_of(await company.owner.post(f"{path}/disable"))
    refused = await company.owner.post(f"{path}/test")
    shown = body_of(await company.owner.get(path))
    gone = body_of(await company.owner.delete(path))

    first, second = receiver.at("/ping")
    assert again.content == created.content
    assert first.id == second.id == ping["delivery_id"] == resent["id"]
    assert first.verified_by(endpoint["secret"])
    assert second.verified_by(rotated["secret"])
    assert second.verified_by(endpoint["secret"])
    assert first.event["type"] == "muster.delivery.v1.WebhookPing"
    assert (changed.status_code, stale.status_code, blind.status_code) == (200, 412, 428)
    assert (disabled["status"], disabled["disable_reason"], refused.json()["reason"]) == (
        "DISABLED",
        "REQUESTED",
        "WEBHOOK_ENDPOINT_STATUS",
    )
    assert "secret" not in shown
    assert shown["secret_count"] == 2
    assert gone["status"] == "DELETED"
    assert (await company.owner.get(path)).status_code == 404


@pytest.mark.parametrize(
    "url", ["https://10.0.0.1/", "https://169.254.169.254/latest/", "https://[::1]/", "https://u:p@hooks.example.com/"]
)
async def test_an_address_inside_is_refused_at_once(company: Company, url: str) -> None:
    refused = await company.owner.post(ENDPOINTS, json={"url": url})

    assert (refused.status_code, refused.json()["reason"]) == (422, "WEBHOOK_URL_REFUSED")


async def test_only_an_owner_sees_or_changes_endpoints_and_an_auditor_sees_them(company: Company) -> None:
    hr, auditor = await company.sign_in("hr_admin"), await company.sign_in("auditor")

    assert (await hr.get(ENDPOINTS)).status_code == 403
    assert (await auditor.get(ENDPOINTS)).status_code == 200
    assert (await auditor.post(ENDPOINTS, json={"url": "https://hooks.example.com/"})).status_code == 403


@pytest.mark.timeout(300 + 60 * KILLS)
async def test_nothing_is_lost_while_workers_are_killed(fleet: DistributedDeployment, receiver: Receiver) -> None:
    """kill -9 of the sender and of the applications that feed it; the count by WEBHOOK_KILLS."""
    dice = random.Random(20)
    async with a_company(fleet) as company:
        await define(company.owner)
        endpoint = await an_endpoint(company, receiver.url(), HIRED)
        receiver.answers["/hook"] = [500, 200]  # nothing fails twice: its next try would be minutes away
        hired = []
        try:
            for _ in range(KILLS):
                hired += [(await hire(company))["id"] for _ in range(5)]
                victim = dice.choice(["delivery", "delivery", "application-2"])
                await asyncio.sleep(dice.uniform(0, 0.4))
                fleet.parts[victim].kill()
                await asyncio.to_thread(fleet.restart, victim)
            await until_delivered(company, endpoint, len(hired), within_s=180.0)
        finally:
            await asyncio.to_thread(fleet.mend)
        log = await log_of(company, endpoint)

    assert {one.event["data"]["employee_id"] for one in receiver.received} == set(hired)
    assert {one.id for one in receiver.received} == {one["id"] for one in log}
    assert len(log) == len(hired)
    assert all(one.verified_by(endpoint["secret"]) for one in receiver.received)
