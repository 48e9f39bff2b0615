"""Every reason that the code can give has its paragraph in docs/problems.md, and no paragraph speaks of another."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from chassis.rpc.error_map import Trouble

ROOT = Path(__file__).resolve().parents[2]
CODE = ("kernel", "chassis", "contexts", "application")
FIRST = (["kind", "reason"], ["status", "reason"])


def reasons_in(source: str) -> Iterator[str]:
    """The reasons of the error classes in a module."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ClassDef):
            continue
        for statement in node.body:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Tuple):
                names = [name.id for name in statement.targets[0].elts if isinstance(name, ast.Name)]
                value = statement.value
                if names in FIRST and isinstance(value, ast.Tuple) and isinstance(value.elts[1], ast.Constant):
                    yield str(value.elts[1].value)


def test_every_reason_is_explained() -> None:
    given = {
        reason for folder in CODE for path in (ROOT / folder).rglob("*.py") for reason in reasons_in(path.read_text())
    }
    given |= {trouble.value for trouble in Trouble} | {"INVALID_REQUEST"}

    explained = re.findall(r"^### ([A-Z0-9_]+)$", (ROOT / "docs/problems.md").read_text(), re.MULTILINE)

    assert sorted(given - set(explained)) == []
    assert sorted(set(explained) - given) == []
    assert len(explained) == len(set(explained))


def test_a_reason_without_a_paragraph_would_be_found() -> None:
    planted = 'class Planted(DomainError):\n    kind, reason = Kind.RULE, "PLANTED"\n'

    assert list(reasons_in(planted)) == ["PLANTED"]
