"""Plumbing is written once, in chassis, which has never heard of the business."""

import ast
import io
import re
import tokenize
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, docstrings, modules, parsed, plant

LEAST_LINES = 8  # below that two files may look alike by chance
ALIKE = 0.9  # share of the two files' lines that stand in both

NOUNS = {
    "allowance", "assignment", "attendance", "compensation", "department", "employment", "headcount", "hire",
    "holiday", "leave", "organization", "overtime", "payment", "payroll", "payslip", "position_title",
    "punch", "roster", "salary", "shift", "tax", "timesheet", "wage",
}  # fmt: skip
PERSON = {"employee"}  # a principal may be a person: the one word of the business that assertions carry
FOREIGN = "ClusterLoadAssignment"  # Envoy's name of a list of addresses
PERSON_FILES = ("chassis/principal.py", "chassis/assertion.py")


def contexts_of(root: Path) -> list[str]:
    """The names of the contexts in a tree."""
    return sorted(path.name for path in (root / "contexts").iterdir() if (path / "__init__.py").exists())


def blanked(source: str, words: list[str]) -> list[str]:
    """The code lines of a file, without comments and docstrings, with a context's own name blanked."""
    tree = parsed(source)
    prose = docstrings(tree)
    skip = {
        line
        for node in ast.walk(tree)
        if id(node) in prose
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)  # type: ignore[attr-defined]
    }
    lines: dict[int, list[str]] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE) and token.start[0] not in skip:
            lines.setdefault(token.start[0], []).append(token.string.strip())
    text = [" ".join(part for part in parts if part) for _, parts in sorted(lines.items())]
    pattern = re.compile("|".join(map(re.escape, words)), re.IGNORECASE)
    return [pattern.sub("_", line) for line in text if line]


def copies(root: Path) -> list[str]:
    """Pairs of files of two contexts that are the same but for the contexts' names."""
    names = contexts_of(root)
    words = [word for name in names for word in (name.title().replace("_", ""), name)]
    files = [
        (module.path, lines)
        for module in modules(root, "contexts")
        if "/migrations/" not in module.path and len(lines := blanked(module.source, words)) >= LEAST_LINES
    ]
    return [
        f"{path} and {other} are the same: write it once, in chassis, with the nouns as arguments"
        for (path, lines), (other, others) in combinations(files, 2)
        if path.split("/")[1] != other.split("/")[1]
        and 2 * (Counter(lines) & Counter(others)).total() >= ALIKE * (len(lines) + len(others))
    ]


def nouns_in_chassis(root: Path) -> list[str]:
    """Business nouns in the names and strings of chassis (docstrings and comments may give examples)."""
    return [
        f"{module.at(node)} says {noun}: chassis knows no business noun"
        for module in modules(root, "chassis")
        for tree in [module.tree]
        for examples in [docstrings(tree)]
        for node in ast.walk(tree)
        if id(node) not in examples
        for noun in sorted(NOUNS if module.path in PERSON_FILES else NOUNS | PERSON)
        if {noun, f"{noun}s"} & _words(node)
    ]


def _words(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        # A sentence may use the word in its plain meaning ("leave it out"); a key or a name may not.
        text = "" if " " in node.value.strip() else node.value
    else:
        names = (getattr(node, field, None) for field in ("id", "attr", "name", "arg"))
        text = next((name for name in names if isinstance(name, str)), "")
    text = text.replace(FOREIGN, "")
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", text)}


def test_no_file_of_a_context_is_a_copy_of_anothers() -> None:
    assert copies(ROOT) == []


def test_copied_plumbing_is_caught(tmp_path: Path) -> None:
    plumbing = "\n".join(f"def step_{n}(organization_{n}):\n    return Organization({n})" for n in range(9)) + "\n"
    for context in ("organization", "payroll"):
        plant(tmp_path, {f"contexts/{context}/__init__.py": ""})
    plant(tmp_path, {"contexts/organization/container.py": '"""Wires."""\n' + plumbing})
    copied = plumbing.replace("organization", "payroll").replace("Organization", "Payroll")
    plant(tmp_path, {"contexts/payroll/container.py": "# ours\n" + copied + "extra = 1\n"})

    assert len(copies(tmp_path)) == 1


def test_files_of_one_shape_with_different_nouns_are_no_copies(tmp_path: Path) -> None:
    for context, noun in (("organization", "employee"), ("payroll", "payslip")):
        lines = "\n".join(f"def {noun}_{n}():\n    return {noun}s.get({n})" for n in range(9))
        plant(tmp_path, {f"contexts/{context}/__init__.py": "", f"contexts/{context}/handlers.py": lines})

    assert copies(tmp_path) == []


def test_chassis_knows_no_business_noun() -> None:
    assert nouns_in_chassis(ROOT) == []


@pytest.mark.parametrize(
    "planted", ["def close(timesheet_id): ...", "class PayslipRow: ...", "KEY = 'payroll'", "x.employee_id = 1"]
)
def test_a_business_noun_in_chassis_is_caught(tmp_path: Path, planted: str) -> None:
    plant(tmp_path, {"chassis/outbox.py": '"""For example payroll."""\n' + planted + "\n"})

    assert len(nouns_in_chassis(tmp_path)) == 1
