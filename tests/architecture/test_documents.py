"""What docs/reliability.md names is there: its tests, its modules, and a planted bug beside every promise."""

import ast
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, parsed, plant

DOCUMENT = "docs/reliability.md"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)(?:\[([^\]`]+)\])?`")
MODULE = re.compile(r"`((?:\w+/)+\w+\.py)`")
PROMISE, HOW, PROVEN, PLANTED = range(4)


def promises(text: str) -> list[list[str]]:
    """The rows of all tables, without their heads, cell by cell."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    heads = {index - 1 for index, row in enumerate(rows) if set("".join(row)) <= set("-:")}
    return [row for index, row in enumerate(rows) if index not in heads and index - 1 not in heads]


def collected(path: Path) -> dict[str, str]:
    """The tests of a file that pytest collects, each with its whole text, decorators included."""
    if not path.is_file():
        return {}
    source = path.read_text(encoding="utf-8")
    return {
        node.name: ast.unparse(node)
        for node in parsed(source).body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_")
    }


def missing(root: Path) -> list[str]:
    """What the document names and the tree does not have, and promises without module, proof or planted bug."""
    text = (root / DOCUMENT).read_text(encoding="utf-8")
    found = [f"{path} is not there" for path in MODULE.findall(text) if not (root / path).is_file()]
    for path, name, case in TEST.findall(text):
        tests = collected(root / path)
        if name not in tests:
            found.append(f"{path} has no {name}")
        elif case and repr(case) not in tests[name]:
            found.append(f"{path}::{name} has no case {case!r}")
    return found + [
        f"{row[PROMISE]!r} needs a module, a proof and a planted bug" for row in promises(text) if bare(row)
    ]


def bare(row: Sequence[str]) -> bool:
    """Whether a promise lacks something that holds it."""
    return len(row) != 4 or not (MODULE.search(row[HOW]) and TEST.search(row[PROVEN]) and TEST.search(row[PLANTED]))


def test_every_promise_has_its_proof_and_its_planted_bug() -> None:
    text = (ROOT / DOCUMENT).read_text(encoding="utf-8")

    assert missing(ROOT) == []
    assert len(promises(text)) >= 14
    assert text.count("::") == len(TEST.findall(text)), "a test is named in a way that nobody checks"


PLANTED_TREE = {
    "chassis/outbox.py": "",
    "tests/test_feed.py": """
import pytest

@pytest.mark.parametrize("broken", [False, True], ids=["whole", "broken"])
async def test_nothing_is_lost(broken): ...

def something_else(): ...

class Feed:
    def test_in_a_class_that_nobody_collects(self): ...
""",
}
HEAD = "| Promise | How | Proof | Planted |\n|---|---|---|---|\n"
SOUND = (
    "| Kept. | `chassis/outbox.py` | `tests/test_feed.py::test_nothing_is_lost` "
    "| `tests/test_feed.py::test_nothing_is_lost[broken]` |\n"
)


def test_a_document_that_is_true_passes(tmp_path: Path) -> None:
    plant(tmp_path, {**PLANTED_TREE, DOCUMENT: HEAD + SOUND})

    assert missing(tmp_path) == []


@pytest.mark.parametrize(
    ("true", "untrue", "finding"),
    [
        ("`tests/test_feed.py::test_nothing_is_lost`", "`tests/test_feed.py::test_gone`", "has no test_gone"),
        ("::test_nothing_is_lost`", "::something_else`", "has no something_else"),
        ("::test_nothing_is_lost`", "::test_in_a_class_that_nobody_collects`", "has no test_in_a_class"),
        (
            "`tests/test_feed.py::test_nothing_is_lost`",
            "`tests/test_food.py::test_nothing_is_lost`",
            "test_food.py has no",
        ),
        ("[broken]", "[mended]", "has no case 'mended'"),
        ("chassis/outbox.py", "chassis/inbox.py", "chassis/inbox.py is not there"),
        ("| `tests/test_feed.py::test_nothing_is_lost[broken]` |", "| none |", "needs a module, a proof"),
        ("| `chassis/outbox.py` |", "| by care |", "needs a module, a proof"),
    ],
)
def test_a_test_or_module_that_is_not_there_is_caught(tmp_path: Path, true: str, untrue: str, finding: str) -> None:
    assert true in SOUND
    plant(tmp_path, {**PLANTED_TREE, DOCUMENT: HEAD + SOUND.replace(true, untrue)})

    found = missing(tmp_path)

    assert len(found) == 1
    assert finding in found[0]
