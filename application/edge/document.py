"""The OpenAPI document: what FastAPI derives from the code, with errors, roles, headers and examples made complete."""

from collections.abc import Iterable
from typing import Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from application.access import roles_for
from application.edge.gate import CHANGES
from application.edge.operation import IfMatch, Operation, operation_of
from application.edge.problem import Problem
from application.edge.problem_words import MEDIA_TYPE

DESCRIPTION = """
A multi-tenant HR backend: organization, attendance and payroll.

Sign in with `POST /v1/token` and send the token as `Authorization: Bearer`. The tenant comes from the token only.
Every POST takes an `Idempotency-Key`: the same key and body give the same answer, byte for byte; without one, a
repetition is a new request. Versioned things answer with an `ETag`; send it back as `If-Match` with a change. Reads of
facts take `as_of` (valid then) and `known_at` (recorded by then). Refusals are problem documents (RFC 9457); their
`reason` is stable.
"""

STATUSES = {
    400: "The request cannot be read, or has two meanings.",
    401: "No valid token.",
    403: "The roles of the token do not allow it.",
    404: "Nothing there that the caller may see.",
    408: "The body came too slowly.",
    409: "A rule or another change stands against it; the reason says which.",
    410: "What the cursor points at is not kept any more; begin anew.",
    412: "The thing has another version than If-Match says.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "A value is not accepted; `errors` says which and why.",
    428: "If-Match is missing.",
    429: "Too many requests or tries; Retry-After says when to go on.",
    500: "A failure of the service; report the instance.",
    503: "A part of the service cannot be reached, or there is too much to do; Retry-After says when to try again.",
    504: "No answer in time; repeat with the same Idempotency-Key.",
}


def openapi(routes: Iterable[APIRoute]) -> dict[str, Any]:
    """The document of `routes`, OpenAPI 3.1."""
    listed = list(routes)
    document = get_openapi(
        title="Muster", version="1.0.0", openapi_version="3.1.0", description=DESCRIPTION, routes=listed
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    _, problem = models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")
    schemas.update(problem["$defs"])
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    components["responses"] = {
        str(status): {
            "description": text,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, text in STATUSES.items()
    }
    for route in listed:
        operation = operation_of(route.endpoint)
        for method in route.methods or ():
            _complete(document["paths"][route.path_format][method.lower()], operation, method, route)
    for schema in schemas.values():
        _exemplify(schema)
    for path in document["paths"].values():
        for entry in path.values():
            for parameter in entry.get("parameters", ()):
                _exemplify(parameter["schema"])
    return document


def _complete(entry: dict[str, Any], operation: Operation, method: str, route: APIRoute) -> None:
    entry["x-criticality"] = operation.criticality.value
    entry["x-rate-limit"] = operation.rate.value
    entry["x-roles"] = list(roles_for(operation.action)) if operation.action is not None else []
    entry["security"] = [] if operation.action is None else [{"bearer": []}]
    parameters = entry.setdefault("parameters", [])
    if operation.accepts_key:
        parameters.append(
            _header(
                "Idempotency-Key",
                "One intended effect. The same key with the same body and path gives the same answer with"
                " `Idempotent-Replayed: true`, for at least 7 days; with another body 422. Without it each is new.",
                {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
                "3f0e5c1a-hire-E0001",
            )
        )
    if operation.if_match is not IfMatch.NONE:
        parameters.append(
            _header(
                "If-Match",
                "The ETag of the version that was seen; refused with 412 where there is a newer one.",
                {"type": "string", "minLength": 3, "maxLength": 21, "pattern": '^"[0-9]{1,19}"$'},
                '"3"',
                required=operation.if_match is IfMatch.REQUIRED,
            )
        )
    parameters.append(
        _header(
            "X-Request-Id",
            "A name for this request in logs; made where it is missing, and always answered.",
            {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9._-]+$"},
            "9f1c2d",
        )
    )
    parameters.append(
        _header(
            "X-Request-Timeout-Ms",
            "How long the client waits at most, in milliseconds; what takes longer is given up and answered 504.",
            {"type": "string", "minLength": 1, "maxLength": 6, "pattern": "^[0-9]{1,6}$"},
            "1000",
        )
    )
    responses = entry["responses"]
    for status in _statuses(operation, method, route):
        responses[str(status)] = {"$ref": f"#/components/responses/{status}"}
    for status, response in responses.items():
        if status.startswith("2"):
            response["headers"] = _answered(operation)


def _statuses(operation: Operation, method: str, route: APIRoute) -> list[int]:
    statuses = [400, 422, 429, 500, 503, 504, *operation.statuses]
    if operation.action is not None:
        statuses += [401, 403]
    else:
        statuses += [401] if route.body_field is not None else []
    if "{" in route.path_format or method in CHANGES:
        statuses.append(404)
    if method in CHANGES:
        statuses.append(409)
    if route.body_field is not None:
        statuses += [408, 413, 415]
    if operation.if_match is not IfMatch.NONE:
        statuses.append(412)
    if operation.if_match is IfMatch.REQUIRED:
        statuses.append(428)
    return sorted(statuses)


def _answered(operation: Operation) -> dict[str, Any]:
    headers = {
        "X-Request-Id": {
            "description": "Name of this request in logs.",
            "schema": {"type": "string", "maxLength": 64},
        }
    }
    if operation.accepts_key:
        headers["Idempotent-Replayed"] = {
            "description": "`true` where the answer was given before for this Idempotency-Key.",
            "schema": {"type": "string", "enum": ["true"]},
        }
    if operation.if_match is not IfMatch.NONE:
        headers["ETag"] = {
            "description": "Version of the thing, for If-Match.",
            "schema": {"type": "string", "maxLength": 21},
        }
    return headers


def _header(name: str, text: str, schema: dict[str, Any], example: str, *, required: bool = False) -> dict[str, Any]:
    schema["examples"] = [example]
    return {"name": name, "in": "header", "required": required, "description": text, "schema": schema}


def _exemplify(schema: Any) -> None:
    """Give every enum, flag and number without one an example that is valid."""
    if not isinstance(schema, dict):
        return
    for part in (*schema.get("properties", {}).values(), *schema.get("anyOf", ()), schema.get("items")):
        _exemplify(part)
    if "examples" in schema or "$ref" in schema:
        return
    if "enum" in schema:
        schema["examples"] = [schema["enum"][0]]
    elif "const" in schema:
        schema["examples"] = [schema["const"]]
    elif schema.get("type") == "boolean":
        schema["examples"] = [schema.get("default", False)]
    elif schema.get("type") == "integer":
        schema["examples"] = [schema.get("default", schema.get("minimum", 0))]
