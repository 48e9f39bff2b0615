"""Requests made from the OpenAPI document: what its examples say, and what nobody should send."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

METHODS = {"get", "post", "put", "patch", "delete"}
JSON = "application/json"


@dataclass(frozen=True)
class Operation:
    """One operation of the document."""

    method: str
    path: str
    described: dict[str, Any]
    document: dict[str, Any]

    @property
    def name(self) -> str:
        """ "POST /v1/employees"."""
        return f"{self.method.upper()} {self.path}"

    @property
    def body_schema(self) -> dict[str, Any] | None:
        """The schema of its body, None where it takes none."""
        content = self.described.get("requestBody", {}).get("content", {})
        schema: dict[str, Any] | None = content.get(JSON, {}).get("schema")
        return schema

    def parameters(self, place: str) -> list[dict[str, Any]]:
        """Its parameters in the path, query or header."""
        return [one for one in self.described.get("parameters", ()) if one["in"] == place]

    @property
    def needs_if_match(self) -> bool:
        """Whether it is refused without a version."""
        return any(one["name"] == "If-Match" and one["required"] for one in self.parameters("header"))


def operations_of(document: dict[str, Any]) -> Iterator[Operation]:
    """Every operation of the document that answers once: streams have tests of their own."""
    for path, entry in document["paths"].items():
        for method, described in entry.items():
            if method in METHODS and not described.get("x-stream"):
                yield Operation(method, path, described, document)


def example_of(schema: dict[str, Any], document: dict[str, Any], ids: dict[str, str]) -> Any:
    """A value that the schema accepts: its example, its required fields, and every field that `ids` names."""
    if "$ref" in schema:
        return example_of(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document, ids)
    if "examples" in schema:
        return schema["examples"][0]
    if "anyOf" in schema:
        real = next((one for one in schema["anyOf"] if one.get("type") != "null"), schema["anyOf"][0])
        return example_of(real, document, ids)
    if schema.get("type") == "object" or "properties" in schema:
        found = {}
        for name, part in schema.get("properties", {}).items():
            if name in ids:
                found[name] = ids[name]
            elif name in schema.get("required", ()):
                found[name] = example_of(part, document, ids)
        return found
    if schema.get("type") == "array":
        return [example_of(schema["items"], document, ids)]
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    raise AssertionError(f"the document gives no example for {schema}")


ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63 - 1, -(2**63), 0.5, -0.0, 1e308, "", " ", "0", "-1", "null", "\x00",
    "\x7f",
    "\u202e", "\ufeff", "𝟘", "é" * 41, "A" * 10_000, "'; DROP TABLE employee; --", "${jndi:ldap://x}", "{{7*7}}",
    "../../etc",
    "%00", "%2e%2e", "1e3000000", "9" * 30, "0001-01-01", "9999-12-31", "2026-02-30", "2026-10-01T00:00:00+99:99",
    "9999-12-31T23:59:59-23:59", "00000000-0000-0000-0000-000000000000", [], [[]], {}, {"a": {}}, ["x"] * 501,
)  # fmt: skip


def spoiled(value: Any, dice: random.Random) -> Any:
    """The value with one part of it replaced, removed or added."""
    if isinstance(value, dict) and value and dice.random() < 0.85:
        changed = dict(value)
        key = dice.choice(list(changed))
        action = dice.random()
        if action < 0.15:
            del changed[key]
        elif action < 0.25:
            changed[dice.choice(["tenant_id", "version", "id", "status", "__proto__", "x" * 65, ""])] = "x"
        else:
            changed[key] = spoiled(changed[key], dice)
        return changed
    if isinstance(value, list) and value and dice.random() < 0.8:
        changed_list = list(value)
        place = dice.randrange(len(changed_list))
        changed_list[place] = spoiled(changed_list[place], dice)
        return changed_list
    return dice.choice(ODD_VALUES)
