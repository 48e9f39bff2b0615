"""The source tree as the rules read it: modules with their syntax trees, of this checkout or of a planted one."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOTS = ("kernel", "chassis", "contexts", "application", "interfaces")


@dataclass(frozen=True, slots=True)
class Module:
    """One source file.

    Invariants: `path` is relative to the tree's root, with forward slashes.
    """

    path: str
    source: str

    @property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return parsed(self.source)

    @property
    def name(self) -> str:
        """Its dotted name: "contexts.payroll.domain.run"."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def at(self, node: ast.AST) -> str:
        """Where a node stands, for a message."""
        return f"{self.path}:{getattr(node, 'lineno', 0)}"


@cache
def parsed(source: str) -> ast.Module:
    """The syntax tree of a text, made once."""
    return ast.parse(source)


def modules(root: Path = ROOT, *folders: str) -> Iterator[Module]:
    """Every Python file under `folders` (default: all product code), in order."""
    for folder in folders or ROOTS:
        for path in sorted((root / folder).rglob("*.py")):
            if "__pycache__" not in path.parts:
                yield Module(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))


def imports(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Every import with the full dotted name that it brings in, `from a import b` as "a.b"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((node, f"{module}.{alias.name}") for alias in node.names)


def docstrings(tree: ast.AST) -> set[int]:
    """Ids of the nodes that are docstrings."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, owners) and node.body and isinstance(node.body[0], ast.Expr)
    }


def plant(root: Path, files: dict[str, str]) -> Path:
    """Write files into a tree, appending to those that are there."""
    for path, source in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("a", encoding="utf-8") as file:
            file.write("\n" + source)
    return root
