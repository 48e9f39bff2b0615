"""Names: rooms that must not fill up, and words that say nothing."""

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, modules, plant

INSTEAD = "the concept's own name, beside the aggregate that owns it"
BANNED = {
    "utils": INSTEAD,
    "util": INSTEAD,
    "helpers": INSTEAD,
    "helper": INSTEAD,
    "misc": INSTEAD,
    "common": "kernel (pure words with the same meaning everywhere) or chassis (plumbing that knows no business noun)",
    "shared": "kernel or chassis, when it has its second user; until then, beside its first",
    "core": "domain, or the concept's own name",
    "base": "the name of what is common: aggregate, timeline, unit_of_work",
    "services": "handlers (one function per command), or a use case of the application",
    "managers": "the verb that it does, on the aggregate",
    "models": "the aggregate's name in domain/, tables in repository/, schemas at the edge",
    "types": "values, or the value's own name",
    "enums": "the aggregate whose states they are",
    "constants": "the rule that uses them, with their source",
}
EMPTY_WORDS = ("Manager", "Helper", "Util", "Utils", "Impl")
NAMED = ("kernel", "chassis", "contexts", "application", "interfaces", "tests", "benchmarks")


def banned_modules(root: Path) -> list[str]:
    """Modules and folders whose name is a room without a door."""
    found = {}
    for module in modules(root, *NAMED):
        for part in Path(module.path.removesuffix(".py")).parts:
            if part.lstrip("_") in BANNED:
                name = part.lstrip("_")
                found[module.path] = f"{module.path}: {name} says nothing; use {BANNED[name]}"
    return sorted(found.values())


def empty_classes(root: Path) -> list[str]:
    """Classes named for nothing, or with a marker of their kind."""
    return [
        f"{module.at(node)} {node.name}: name what it is (no {', '.join(EMPTY_WORDS)}, no I-prefix)"
        for module in modules(root)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
        and (node.name.endswith(EMPTY_WORDS) or re.match(r"I[A-Z][a-z]", node.name) is not None)
    ]


def long_handlers(root: Path) -> list[str]:
    """handlers.py files that should be a folder by now."""
    return [
        f"{module.path} has {len(lines)} lines: make it handlers/<verb>.py"
        for module in modules(root, "contexts")
        if module.path.endswith("/handlers.py") and len(lines := module.source.splitlines()) > 300
    ]


def undescribed(root: Path) -> list[str]:
    """Modules that do not say in one sentence what they are."""
    return [
        f"{module.path} needs a docstring of one sentence"
        for module in modules(root)
        if module.source.strip() and "/migrations/" not in module.path and ast.get_docstring(module.tree) is None
    ]


def test_no_module_is_a_room_for_everything() -> None:
    assert banned_modules(ROOT) == []


@pytest.mark.parametrize("planted", ["kernel/utils.py", "contexts/payroll/common/tax.py", "tests/support/_helpers.py"])
def test_a_banned_name_is_caught_and_the_alternative_named(tmp_path: Path, planted: str) -> None:
    plant(tmp_path, {planted: "x = 1\n", "contexts/payroll/domain/run.py": "x = 1\n"})

    [message] = banned_modules(tmp_path)

    assert "; use " in message


def test_classes_are_named_for_what_they_are() -> None:
    assert empty_classes(ROOT) == []


@pytest.mark.parametrize("planted", ["PayrollManager", "DateUtils", "ITimesheets", "EmployeesImpl"])
def test_an_empty_class_name_is_caught(tmp_path: Path, planted: str) -> None:
    plant(tmp_path, {"chassis/x.py": f"class {planted}: ...\nclass Instant: ...\nclass Id: ...\n"})

    assert len(empty_classes(tmp_path)) == 1


def test_handlers_stay_readable() -> None:
    assert long_handlers(ROOT) == []


def test_handlers_that_grew_are_caught(tmp_path: Path) -> None:
    plant(tmp_path, {"contexts/payroll/handlers.py": "x = 1\n" * 301})

    assert len(long_handlers(tmp_path)) == 1


def test_every_module_says_what_it_is() -> None:
    assert undescribed(ROOT) == []


def test_a_module_without_a_docstring_is_caught(tmp_path: Path) -> None:
    plant(tmp_path, {"kernel/x.py": "x = 1\n", "kernel/y.py": '"""What y is."""\n'})

    assert len(undescribed(tmp_path)) == 1
