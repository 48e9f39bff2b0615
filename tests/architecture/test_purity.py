"""The domain is a function of its arguments: no clock, no new ids, no float, no I/O."""

import ast
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, Module, imports, modules, plant

# What kernel and every domain may import. Something enters with a reason: it is pure.
PURE = {
    "__future__", "abc", "ast", "base64", "bisect", "calendar", "collections", "contextlib", "dataclasses",
    "datetime", "decimal", "difflib", "enum", "fractions", "functools", "graphlib", "hashlib", "heapq", "hmac",
    "ipaddress", "itertools", "json", "math", "operator", "re", "string", "types", "typing", "unicodedata", "uuid",
    "zoneinfo", "kernel",
}  # fmt: skip
NOT_PURE = {
    "uuid.uuid1", "uuid.uuid4", "uuid.uuid6", "uuid.uuid7", "uuid.uuid8", "uuid.getnode", "math.sqrt", "math.pow",
}  # fmt: skip
CLOCKS = {"now", "utcnow", "today"}
CLOCK_OWNERS = {"datetime", "date"}
MONEY_PATHS = ("kernel/", "contexts/payroll/")


def is_domain(module: Module) -> bool:
    """Kernel and the `domain` package of each context."""
    parts = module.path.split("/")
    return parts[0] == "kernel" or (parts[0] == "contexts" and len(parts) > 2 and parts[2] in ("domain", "domain.py"))


def impure_imports(root: Path) -> list[str]:
    """Imports of a domain that are not its own, the kernel's or pure standard library."""
    found = []
    for module in filter(is_domain, modules(root, "kernel", "contexts")):
        own = ".".join(module.name.split(".")[:3])
        for node, name in imports(module.tree):
            if name in NOT_PURE or not (name.split(".")[0] in PURE or f"{name}.".startswith(f"{own}.")):
                found.append(f"{module.at(node)} imports {name}: time, ids and I/O come in as arguments")
    return found


def clocks_read(root: Path) -> list[str]:
    """Places of a domain that ask what time it is or make an id."""
    return [
        f"{module.at(node)} asks the clock or makes an id: take it as an argument"
        for module in filter(is_domain, modules(root, "kernel", "contexts"))
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and (
            (node.attr in CLOCKS and isinstance(node.value, ast.Name) and node.value.id in CLOCK_OWNERS)
            or node.attr in ("uuid1", "uuid4", "uuid7")
        )
    ]


def floats(root: Path) -> list[str]:
    """Floats where money or a domain value could meet one: literals, `float(...)`, annotations.

    Outside a domain, seconds may be floats where the name says so (`LEASE_S`, `timeout_s`) or the loop is told to wait.
    """
    found = []
    for module in modules(root, "kernel", "contexts"):
        if not is_domain(module) and not module.path.startswith(MONEY_PATHS):
            continue
        seconds = set() if is_domain(module) else {id(part) for node in ast.walk(module.tree) for part in _waits(node)}
        found += [
            f"{module.at(node)} is a float: use Decimal, Fraction or whole minor units"
            for node in ast.walk(module.tree)
            if id(node) not in seconds
            and (
                (isinstance(node, ast.Constant) and isinstance(node.value, float))
                or (isinstance(node, ast.Name) and node.id == "float")
            )
        ]
    return found


def _waits(node: ast.AST) -> list[ast.AST]:
    """What lies below a node that speaks of seconds."""
    named = (
        (isinstance(node, ast.Assign) and all(_is_seconds(target) for target in node.targets))
        or (isinstance(node, ast.AnnAssign) and _is_seconds(node.target))
        or (isinstance(node, ast.arg) and node.arg.endswith("_s"))
        or (isinstance(node, ast.Call) and ast.unparse(node.func) in ("asyncio.sleep", "asyncio.timeout"))
    )
    return list(ast.walk(node)) if named else []


def _is_seconds(target: ast.AST) -> bool:
    return isinstance(target, ast.Name) and target.id.lower().endswith("_s")


def test_domains_import_only_what_is_pure() -> None:
    assert impure_imports(ROOT) == []


@pytest.mark.parametrize(
    "planted",
    [
        "import time",
        "from random import choice",
        "from uuid import uuid4",
        "from contexts.payroll.adapters import codec",
        "import sqlalchemy",
        "from chassis import clock",
        "def f():\n    import os",
    ],
)
def test_an_impure_import_is_caught(tmp_path: Path, planted: str) -> None:
    plant(
        tmp_path, {"contexts/payroll/domain/run.py": "from contexts.payroll.domain import line\nimport re\n" + planted}
    )

    assert len(impure_imports(tmp_path)) == 1


def test_domains_ask_no_clock() -> None:
    assert clocks_read(ROOT) == []


@pytest.mark.parametrize("planted", ["datetime.now(UTC)", "date.today()", "uuid.uuid4()"])
def test_a_clock_in_a_domain_is_caught(tmp_path: Path, planted: str) -> None:
    plant(tmp_path, {"contexts/leave/domain/account.py": f"x = {planted}\n"})

    assert len(clocks_read(tmp_path)) == 1


def test_no_float_comes_near_money() -> None:
    assert floats(ROOT) == []


@pytest.mark.parametrize("planted", ["RATE = 0.08", "x = float('1')", "def f(x: float) -> None: ...", "MANY = 1e9"])
def test_a_float_is_caught(tmp_path: Path, planted: str) -> None:
    plant(tmp_path, {"contexts/payroll/domain/tax.py": planted + "\n"})

    assert len(floats(tmp_path)) == 1


def test_seconds_outside_a_domain_may_be_floats(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "contexts/payroll/adapters/lease.py": "LEASE_S = 0.5\n\ndef hold(margin_s: float) -> None: ...\n",
            "contexts/payroll/adapters/price.py": "RATE = 0.5\n\ndef pay(rate: float) -> None: ...\n",
            "contexts/payroll/domain/wait.py": "WAIT_S = 0.5\n",
        },
    )

    assert len(floats(tmp_path)) == 3
