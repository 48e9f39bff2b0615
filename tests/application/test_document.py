"""The OpenAPI document says everything: each field's meaning, bound and example, each operation's roles and errors."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from application.access import MATRIX, roles_for
from application.app import create_app
from application.edge.documentation import STATIC
from application.time.schemas import CLOSING_PEOPLE
from chassis.assertion import Signer, prepare_keys
from chassis.rpc.channels import Channels
from chassis.settings import Settings
from contexts.attendance.handlers.close_timesheets import PEOPLE_AT_ONCE

SERVICES = ("identity", "organization", "attendance", "payroll", "delivery")
METHODS = {"get", "post", "put", "patch", "delete"}
BOUNDS = {"maxLength", "maximum", "enum", "const", "maxItems", "maxProperties", "pattern", "format", "$ref"}
UNBOUNDED_INTEGERS = {"minimum", "maximum", "exclusiveMinimum"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings.embedded(tmp_path / "data", addresses=dict.fromkeys(SERVICES, "127.0.0.1:1"))
    settings.data_dir.mkdir()
    prepare_keys(settings)
    channels = Channels(settings, Signer.open(settings))
    transport = httpx.ASGITransport(create_app(settings, channels.to))
    async with httpx.AsyncClient(transport=transport, base_url="http://muster") as found:
        yield found
    await channels.close()


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    response = await client.get("/openapi.json")
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


def operations_of(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, entry in document["paths"].items():
        for method, operation in entry.items():
            if method in METHODS:
                yield method, path, operation


def fields_of(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, schema in document["components"]["schemas"].items():
        for field, description in schema.get("properties", {}).items():
            yield f"{name}.{field}", description
    for method, path, operation in operations_of(document):
        for parameter in operation.get("parameters", ()):
            described = parameter["schema"] | {"description": parameter.get("description", "")}
            yield f"{method} {path} {parameter['name']}", described


def variants_of(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]


def is_bounded(schema: dict[str, Any]) -> bool:
    if schema.get("type") == "boolean":
        return True
    if schema.get("type") in ("integer", "number"):
        return bool(UNBOUNDED_INTEGERS & schema.keys()) or "enum" in schema
    if schema.get("type") == "array" and "maxItems" not in schema:
        return False
    return bool(BOUNDS & schema.keys()) or "maxItems" in schema


def has_example(schema: dict[str, Any], variant: dict[str, Any]) -> bool:
    if "$ref" in variant or "examples" in schema or "examples" in variant:
        return True
    items = variant.get("items", {})
    return variant.get("type") == "array" and ("$ref" in items or "examples" in items or "anyOf" in items)


async def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")


async def test_every_field_says_what_it_means(document: dict[str, Any]) -> None:
    # A reference that adds nothing to the description of what it refers to stands without one.
    silent = [name for name, schema in fields_of(document) if not schema.get("description") and "$ref" not in schema]

    assert silent == []


async def test_every_field_has_a_bound(document: dict[str, Any]) -> None:
    unbounded = [
        name
        for name, schema in fields_of(document)
        if not all(is_bounded(variant) or BOUNDS & schema.keys() for variant in variants_of(schema))
    ]

    assert unbounded == []


async def test_every_field_has_an_example(document: dict[str, Any]) -> None:
    bare = [
        name
        for name, schema in fields_of(document)
        if not all(has_example(schema, variant) for variant in variants_of(schema))
    ]

    assert bare == []


async def test_every_operation_says_who_may_and_how_urgent_it_is(document: dict[str, Any]) -> None:
    for method, path, operation in operations_of(document):
        assert operation["x-criticality"] in ("CRITICAL", "NORMAL", "DEFERRABLE"), path
        assert operation["description"], (method, path)
        if operation["security"]:
            assert operation["x-roles"], (method, path)
            assert {"401", "403"} <= operation["responses"].keys(), (method, path)


async def test_the_roles_are_those_of_the_access_table(document: dict[str, Any]) -> None:
    published = {tuple(operation["x-roles"]) for _, _, operation in operations_of(document) if operation["security"]}

    assert published <= {roles_for(action) for action in MATRIX}


async def test_every_post_takes_an_idempotency_key(document: dict[str, Any]) -> None:
    without = [
        path
        for method, path, operation in operations_of(document)
        if method == "post" and "Idempotency-Key" not in [parameter["name"] for parameter in operation["parameters"]]
    ]

    assert set(without) <= {"/v1/token", "/v1/token/refresh", "/v1/payslips/{payslip_id}/replay"}


async def test_every_error_is_a_problem_document(document: dict[str, Any]) -> None:
    for _, path, operation in operations_of(document):
        for status, response in operation["responses"].items():
            if status[0] in "45":
                assert response == {"$ref": f"#/components/responses/{status}"}, path
    for response in document["components"]["responses"].values():
        assert list(response["content"]) == ["application/problem+json"]


async def test_bodies_refuse_unknown_fields(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for _, path, operation in operations_of(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        for variant in variants_of(content):
            if "$ref" in variant:
                assert schemas[variant["$ref"].rpartition("/")[2]].get("additionalProperties") is False, path


async def test_a_closing_says_how_many_people_one_request_takes(document: dict[str, Any]) -> None:
    told = f"{CLOSING_PEOPLE} people per request"

    assert CLOSING_PEOPLE == PEOPLE_AT_ONCE
    assert told in document["paths"]["/v1/timesheet-closings"]["post"]["description"]
    assert told in document["components"]["schemas"]["ClosingBody"]["description"]


async def test_the_documentation_needs_no_internet(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    assert page.status_code == 200
    assert addresses
    for address in addresses:
        assert address.startswith("/docs/")
        asset = await client.get(address)
        assert asset.status_code == 200
        assert asset.content == (STATIC / address.removeprefix("/docs/")).read_bytes()
    assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/docs/../app.py", "/docs/README.md", "/docs/%2e%2e/app.py", "/problems/NOPE"])
async def test_nothing_else_is_served_beside_it(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(f"http://muster{path}")

    assert response.status_code in (400, 404)
    assert response.headers["content-type"] == "application/problem+json"


async def test_the_type_of_a_problem_leads_to_its_explanation(client: httpx.AsyncClient) -> None:
    problem = (await client.get("/v1/me")).json()

    explanation = await client.get(problem["type"])

    assert explanation.status_code == 200
    assert explanation.text.startswith("# UNAUTHENTICATED")


async def test_a_process_that_knows_no_signing_key_is_not_ready(client: httpx.AsyncClient) -> None:
    alive, ready = await client.get("/livez"), await client.get("/readyz")

    assert alive.status_code == 200
    assert ready.status_code == 503
    assert ready.json()["checks"]["keys"]
