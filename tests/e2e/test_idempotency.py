"""One key, one effect: over REST, in parallel, with the same bytes for everybody who asks."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.company import Staffed, hire_body, staffed
from tests.e2e.tenants import a_company, body_of
from tests.support.deployment import Deployment


@pytest.fixture(scope="module")
async def firm(deployment: Deployment) -> AsyncIterator[Staffed]:
    """A company with nobody but its first employee."""
    async with a_company(deployment) as company:
        yield await staffed(company, ("E0001",))


async def test_a_hundred_equal_requests_hire_one_person(firm: Staffed) -> None:
    key, body = f"hire-{uuid4()}", hire_body("E0100")

    async def ask() -> Any:
        for _ in range(50):
            response = await firm.company.owner.post("/v1/employees", json=body, headers={"Idempotency-Key": key})
            if response.status_code not in (409, 503):
                return response
            assert response.json()["reason"] in ("REQUEST_IN_FLIGHT", "OVERLOADED")
            assert response.headers["retry-after"]
            await asyncio.sleep(0.05)
        raise AssertionError("still in flight")

    responses = await asyncio.gather(*(ask() for _ in range(100)))

    assert {response.status_code for response in responses} == {201}
    assert len({response.content for response in responses}) == 1
    assert len({response.headers["etag"] for response in responses}) == 1
    assert sum("idempotent-replayed" not in response.headers for response in responses) == 1
    found = body_of(await firm.company.owner.get("/v1/employees", params={"employee_number": "E0100"}))
    assert len(found["data"]) == 1


async def test_the_same_key_with_another_body_is_refused(firm: Staffed) -> None:
    headers = {"Idempotency-Key": f"hire-{uuid4()}"}
    body_of(await firm.company.owner.post("/v1/employees", json=hire_body("E0101"), headers=headers), 201)

    other = await firm.company.owner.post("/v1/employees", json=hire_body("E0102"), headers=headers)

    assert other.status_code == 422
    assert other.json()["reason"] == "IDEMPOTENCY_KEY_REUSED"


async def test_a_refusal_is_not_kept(firm: Staffed) -> None:
    headers = {"Idempotency-Key": f"hire-{uuid4()}"}
    body = hire_body("E0103") | {"assignment": hire_body("x")["assignment"] | {"department": "LATER"}}
    refused = await firm.company.owner.post("/v1/employees", json=body, headers=headers)
    body_of(
        await firm.company.owner.put(
            "/v1/departments/LATER", json={"effective_date": "2019-01-01", "name": "Later", "parent": "HQ"}
        )
    )

    served = await firm.company.owner.post("/v1/employees", json=body, headers=headers)

    assert refused.status_code == 409
    assert served.status_code == 201


async def test_another_person_may_use_the_same_key(firm: Staffed) -> None:
    headers = {"Idempotency-Key": "a key that two people thought of"}
    hr = await firm.company.sign_in("hr_admin")

    first = await firm.company.owner.post("/v1/employees", json=hire_body("E0104"), headers=headers)
    second = await hr.post("/v1/employees", json=hire_body("E0105"), headers=headers)

    assert body_of(first, 201)["id"] != body_of(second, 201)["id"]


async def test_without_a_key_a_repetition_is_a_new_request(firm: Staffed) -> None:
    first = await firm.company.owner.post("/v1/employees", json=hire_body("E0106"))
    second = await firm.company.owner.post("/v1/employees", json=hire_body("E0106"))

    assert first.status_code == 201
    assert second.status_code == 409
    assert second.json()["reason"] == "EMPLOYEE_NUMBER_TAKEN"


async def test_a_punch_of_somebody_who_was_just_hired_is_recorded(firm: Staffed) -> None:
    employee = body_of(await firm.company.owner.post("/v1/employees", json=hire_body("E0107")), 201)["id"]
    punch = {
        "punch_id": str(uuid4()),
        "employee_id": employee,
        "punched_at": "2026-10-09T09:00:00+08:00",
        "direction": "IN",
        "source": "MOBILE",
    }

    recorded = await firm.company.owner.post("/v1/punches", json=punch)
    again = await firm.company.owner.post("/v1/punches", json=punch)

    assert body_of(recorded, 201)["outcome"] == "RECORDED"
    assert body_of(again, 200)["outcome"] == "REPLAYED"
