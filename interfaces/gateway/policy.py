"""The one table of what the gateway lets through: the application's operations, what stands beside them, and push.

The operations are read from a file that `make operations` writes: the parts of the gateway would have to load the whole
application for them, which costs each some seconds at its start. A test compares the file with the application.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from application.edge.operation import Criticality, RateClass

APPLICATION = "application"
PUSH = "push"
WRITTEN = Path(__file__).with_name("operations.json")

_PARAMETER = re.compile(r"\{[a-z_]+\}")


@dataclass(frozen=True, slots=True)
class Row:
    """One method and path of the public surface.

    Invariants: `public` is True only where the operation names no action; `body_bytes` 0 is the installation's limit;
    a stream has no end, so no time limit either.
    """

    name: str
    method: str
    path: str  # a template: /v1/employees/{employee_id}
    service: str  # that answers, as the registry names it
    public: bool
    criticality: Criticality
    rate: RateClass
    body_bytes: int = 0
    keyed: bool = False  # takes an Idempotency-Key
    stream: bool = False

    @property
    def exact_path(self) -> bool:
        """Whether the path has no parameters."""
        return "{" not in self.path

    @property
    def pattern(self) -> str:
        """The path as a regular expression (RE2) of the whole path: a parameter is one segment."""
        fixed = [re.escape(part) for part in _PARAMETER.split(self.path)]
        return "[^/]+".join(fixed)


def table() -> tuple[Row, ...]:
    """Every row; exact paths first, so that a parameter never takes a name for itself."""
    rows = [*_operations(), *_beside(), *_push()]
    return tuple(sorted(rows, key=lambda row: not row.exact_path))


def _operations() -> list[Row]:
    return [
        Row(
            one["name"],
            one["method"],
            one["path"],
            APPLICATION,
            one["public"],
            Criticality(one["criticality"]),
            RateClass(one["rate"]),
            one["body_bytes"],
            one["keyed"],
        )
        for one in json.loads(WRITTEN.read_text())
    ]


def written_anew() -> str:
    """What the file should hold, by the application itself."""
    from application.app import operations
    from application.edge.operation import operation_of

    found: list[dict[str, Any]] = []
    for route in operations():
        operation = operation_of(route.endpoint)
        found += [
            {
                "name": operation.name,
                "method": method,
                "path": route.path_format,
                "public": operation.action is None,
                "criticality": operation.criticality.value,
                "rate": operation.rate.value,
                "body_bytes": operation.body_bytes,
                "keyed": operation.accepts_key,
            }
            for method in sorted(route.methods or ())
        ]
    return "[\n" + ",\n".join(json.dumps(one) for one in found) + "\n]\n"


def _beside() -> list[Row]:
    """Health and documentation, which the application serves to anybody."""
    paths = {
        "livez": "/livez",
        "readyz": "/readyz",
        "openapi": "/openapi.json",
        "docs": "/docs",
        "docs_file": "/docs/{name}",
        "problem": "/problems/{reason}",
    }
    return [
        Row(f"edge.{name}", "GET", path, APPLICATION, True, Criticality.NORMAL, RateClass.ADDRESS)
        for name, path in paths.items()
    ]


def _push() -> list[Row]:
    """What the push hub serves: server-sent events, and a WebSocket (whose handshake is a GET)."""
    return [
        Row(f"push.{name}", "GET", path, PUSH, False, Criticality.NORMAL, RateClass.TENANT, stream=True)
        for name, path in {"stream": "/v1/stream", "ws": "/v1/ws"}.items()
    ]


if __name__ == "__main__":
    WRITTEN.write_text(written_anew())
