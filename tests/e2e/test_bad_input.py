"""Whatever is sent, no operation of the OpenAPI document fails: it answers, or says what is wrong."""

import random
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.e2e.company import Staffed, staffed
from tests.e2e.examples import ODD_VALUES, Operation, example_of, operations_of, spoiled
from tests.e2e.tenants import a_company, body_of
from tests.support.deployment import ROOT, Deployment

ROUNDS = {"embedded": 8, "distributed": 3}  # of each operation; what the forms do not share is the wire
SEED = 20261123
ODD_PARTS = ("x", "0", "%20", "%F0%9F%92%A9", "A" * 500, "00000000-0000-0000-0000-000000000000", "%ff", "a;b")
ODD_BODIES = (
    b'{"a": NaN}',
    b'{"a": Infinity}',
    b'{"a": 1e400}',
    b'{"a": "\\ud800"}',
    b'{"a": 1, "a": 2}',
    b"[" * 33 + b"]" * 33,
    b"[" * 100_000,
    b"9" * 31,
    b'{"a": "\xff"}',
    b"\x00",
    b"{",
)


@pytest.fixture(scope="module")
async def target(deployment: Deployment) -> AsyncIterator[Staffed]:
    """A company to aim at."""
    async with a_company(deployment) as company:
        yield await staffed(company)


@pytest.fixture(scope="module")
async def document(target: Staffed) -> dict[str, Any]:
    """The published document."""
    found: dict[str, Any] = body_of(await target.company.owner.get("/openapi.json"))
    return found


def fails(response: httpx.Response) -> str | None:
    """What is wrong with an answer, None where nothing is."""
    if response.status_code >= 500:
        return f"{response.status_code} {response.text[:300]}"
    if response.status_code >= 400:
        if response.headers["content-type"] != "application/problem+json":
            return f"not a problem document: {response.text[:200]}"
        if any(word in response.text for word in ("Traceback", "sqlalchemy", "SELECT ", str(ROOT), ".py")):
            return f"tells too much: {response.text[:300]}"
    return None


def path_of(operation: Operation, ids: dict[str, str]) -> str:
    """The path with real ids where we have them, else with the document's examples."""
    path = operation.path
    for parameter in operation.parameters("path"):
        value = ids.get(parameter["name"]) or example_of(parameter["schema"], operation.document, {})
        path = path.replace("{" + parameter["name"] + "}", str(value))
    return path


async def test_odd_json_is_refused_everywhere(target: Staffed, document: dict[str, Any]) -> None:
    wrong = []
    for operation in operations_of(document):
        if operation.body_schema is None:
            continue
        path = path_of(operation, {"employee_id": target.ids["E0001"]})
        for body in ODD_BODIES:
            response = await target.company.owner.request(
                operation.method.upper(), path, content=body, headers={"Content-Type": "application/json"}
            )
            if response.status_code not in (400, 413):
                wrong.append((operation.name, body[:20], response.status_code))

    assert wrong == []


async def test_no_operation_fails_on_spoiled_bodies(target: Staffed, document: dict[str, Any]) -> None:
    dice = random.Random(SEED)
    failures, refused, served = [], 0, 0
    for operation in operations_of(document):
        if operation.body_schema is None or operation.path.endswith("/disable"):
            continue
        ids = {"employee_id": target.ids["E0003"]}
        good = example_of(operation.body_schema, document, ids)
        for round_no in range(ROUNDS[target.company.deployment.name]):
            body = good if round_no == 0 else spoiled(good, dice)
            response = await target.company.owner.request(
                operation.method.upper(),
                path_of(operation, ids),
                json=body,
                headers={"If-Match": '"1"'} if operation.needs_if_match else {},
            )
            refused += response.status_code >= 400
            served += response.status_code < 300
            problem = fails(response)
            if problem is not None:
                failures.append((operation.name, body, problem))

    assert failures == []
    assert refused > 100
    assert served > 20


async def test_no_operation_fails_on_odd_parameters(target: Staffed, document: dict[str, Any]) -> None:
    dice = random.Random(SEED)
    failures: list[tuple[str, object, str]] = []
    for operation in operations_of(document):
        parameters = operation.parameters("query")
        for _ in range(ROUNDS[target.company.deployment.name] if parameters else 0):
            chosen = dice.choice(parameters)["name"]
            odd = dice.choice([value for value in ODD_VALUES if isinstance(value, str) and len(value) < 2000])
            response = await target.company.owner.request(
                operation.method.upper(), path_of(operation, target.ids), params={chosen: odd}
            )
            problem = fails(response)
            if problem is not None:
                failures.append((operation.name, {chosen: odd}, problem))
        for parameter in operation.parameters("path"):
            for odd in dice.sample(ODD_PARTS, ROUNDS[target.company.deployment.name]):
                path = operation.path.replace("{" + parameter["name"] + "}", odd)
                for other in operation.parameters("path"):
                    path = path.replace("{" + other["name"] + "}", str(example_of(other["schema"], document, {})))
                response = await target.company.owner.request(
                    operation.method.upper(),
                    path,
                    headers={"If-Match": '"1"'},
                    json={} if operation.body_schema else None,
                )
                problem = fails(response)
                if problem is not None:
                    failures.append((operation.name, odd, problem))

    assert failures == []


async def test_no_operation_answers_without_a_token(target: Staffed, document: dict[str, Any]) -> None:
    async with httpx.AsyncClient(base_url=target.company.deployment.base_url) as nobody:
        for operation in operations_of(document):
            if not operation.described["security"]:
                continue
            response = await nobody.request(operation.method.upper(), path_of(operation, {}))

            assert response.status_code == 401, operation.name
            assert response.json()["reason"] == "UNAUTHENTICATED"


async def test_a_header_whose_name_others_may_read_as_another_is_refused(
    target: Staffed, document: dict[str, Any]
) -> None:
    twin = {"X_Tenant_ID": "00000000-0000-0000-0000-000000000000"}

    answer = await target.company.owner.get("/v1/me", headers=twin)

    assert answer.status_code == 400
    assert answer.json()["reason"] == "AMBIGUOUS_REQUEST"


async def test_headers_that_pretend_are_ignored(target: Staffed, document: dict[str, Any]) -> None:
    pretending = {
        "X-Tenant-ID": "00000000-0000-0000-0000-000000000000",
        "X-User-ID": "somebody",
        "X-Roles": "owner",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Prefix": "/admin",
        "X-Envoy-Original-Path": "/v1/me",
        "X-HTTP-Method-Override": "DELETE",
        "Muster-Assertion": "x.y.z",
    }
    plain = body_of(await target.company.owner.get("/v1/me"))

    assert body_of(await target.company.owner.get("/v1/me", headers=pretending)) == plain
