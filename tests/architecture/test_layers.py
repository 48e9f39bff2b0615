"""Who may import whom: the contracts of pyproject.toml, and a planted import for each that it must catch."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, ROOTS, imports, modules, plant

VERIFY_CASES = ("interfaces.cli.verify_cases", r"contexts\.\w+\.adapters\.worked_cases")  # as in pyproject.toml
STARTERS = ("interfaces.cli.embedded", "interfaces.cli.run")

# Contract -> (module, import planted there). The module that is imported is made where it is missing.
PLANTED = {
    "context-layers": [
        ("contexts.payroll.domain.planted_layers", "contexts.payroll.repository.port"),
        ("contexts.payroll.repository.planted_layers", "contexts.payroll.handlers"),
        ("contexts.attendance.adapters.planted_layers", "contexts.attendance.container"),
        ("contexts.identity.container", "contexts.identity.main"),
    ],
    "contexts-apart": [("contexts.payroll.domain.planted_apart", "contexts.organization.domain")],
    "pure-domain": [
        ("contexts.organization.domain.planted_sql", "sqlalchemy"),
        ("contexts.identity.domain.planted_chassis", "chassis.clock"),
        ("contexts.attendance.domain.planted_loop", "asyncio"),
        ("kernel.planted_store", "redis"),
    ],
    "handlers-know-ports": [
        ("contexts.organization.repository.port", "sqlalchemy"),
        ("contexts.identity.handlers", "grpc"),
    ],
    "sql-behind-container": [("contexts.attendance.main", "contexts.attendance.repository.sql")],
    "tables-behind-repository": [("contexts.payroll.adapters.planted_tables", "contexts.payroll.repository.tables")],
    "contexts-below": [("contexts.payroll.main", "application.access")],
    "chassis-knows-no-business": [("chassis.planted_context", "contexts.payroll.domain")],
    "kernel-alone": [("kernel.planted_chassis", "chassis.clock")],
    "application-on-the-wire": [("application.planted_context", "contexts.organization.domain")],
    "application-stateless": [("application.planted_sql", "chassis.database")],
    "two-starters": [("interfaces.cli.planted_starter", "contexts.payroll.main")],
}


def lint_imports(root: Path) -> tuple[int, dict[str, str]]:
    """Run the contracts over a tree; answers the exit code and, by contract name, what was said of a broken one."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=root, env={**os.environ, "PYTHONPATH": str(root), "COLUMNS": "400"}, capture_output=True, text=True,
        timeout=100, check=False,
    )  # fmt: skip
    details = done.stdout.partition("Broken contracts\n")[2]
    parts = re.split(r"\n([^\n]+)\n-{4,}\n", "\n" + details)
    return done.returncode, dict(zip(parts[1::2], parts[2::2], strict=False)) | {"": done.stdout + done.stderr}


def contract_names() -> dict[str, str]:
    """Contract id -> its name, as pyproject.toml has them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {contract["id"]: contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the contracts say of a copy of this tree with every planted import in it."""
    root = tmp_path_factory.mktemp("planted")
    shutil.copy(ROOT / "pyproject.toml", root)
    for folder in ROOTS:
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for importer, imported in (pair for pairs in PLANTED.values() for pair in pairs):
        if imported.split(".")[0] in ROOTS:
            made(root, imported)
        with made(root, importer).open("a", encoding="utf-8") as file:
            file.write(f"\nimport {imported}\n")
    code, said = lint_imports(root)
    assert code == 1, said[""]
    return said


def made(root: Path, module: str) -> Path:
    """The file of a module, made (with the packages above it) where there is none."""
    folder = root
    for part in module.split(".")[:-1]:
        folder /= part
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").touch()
    path = root / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    path.touch()
    return path


def test_the_tree_keeps_every_contract() -> None:
    code, said = lint_imports(ROOT)

    assert code == 0, said[""]


def test_every_contract_has_a_planted_violation() -> None:
    assert set(contract_names()) == set(PLANTED)


@pytest.mark.parametrize(
    ("contract", "importer", "imported"), [(name, *pair) for name, pairs in PLANTED.items() for pair in pairs]
)
def test_a_planted_import_breaks_its_contract(
    verdicts: dict[str, str], contract: str, importer: str, imported: str
) -> None:
    verdict = verdicts.get(contract_names()[contract], "kept")

    assert importer in verdict
    assert imported in verdict


def wrong_starts(root: Path) -> list[str]:
    """Imports of contexts from outside that are not a starter's import of a context's `main`."""
    return [
        f"{module.at(node)} imports {name}: start contexts through `serve` of their main module, in {STARTERS}"
        for module in modules(root)
        if not module.path.startswith("contexts/")
        for node, name in imports(module.tree)
        if name.split(".")[0] == "contexts"
        and not (module.name in STARTERS and re.fullmatch(r"contexts\.\w+\.main(\.\w+)?", name))
        and not (module.name == VERIFY_CASES[0] and re.fullmatch(VERIFY_CASES[1], name))
    ]


def test_starters_import_nothing_but_main() -> None:
    assert wrong_starts(ROOT) == []


def test_a_starter_that_reaches_into_a_context_is_caught(tmp_path: Path) -> None:
    plant(tmp_path, {"interfaces/cli/run.py": "from contexts.payroll.domain import run\n"})
    plant(tmp_path, {"interfaces/cli/embedded.py": "from contexts.payroll.main import serve\n"})

    assert len(wrong_starts(tmp_path)) == 1


def folders_without_init(root: Path) -> list[str]:
    """Code folders that import-linter would overlook, because they are no package."""
    return sorted(
        {
            str(Path(module.path).parent)
            for module in modules(root)
            if not {"migrations", "alembic"} & set(Path(module.path).parts)
            and not (root / module.path).with_name("__init__.py").exists()
        }
    )


def test_every_code_folder_is_a_package() -> None:
    assert folders_without_init(ROOT) == []


def test_a_folder_without_init_is_caught(tmp_path: Path) -> None:
    plant(tmp_path, {"application/pay/routes.py": "x = 1\n"})

    assert folders_without_init(tmp_path) == ["application/pay"]


def hidden_imports(root: Path) -> list[str]:
    """Imports by name, which no contract can see."""
    return [
        f"{module.at(node)} imports by name: write an import statement, or the layer rules cannot see it"
        for module in modules(root)
        if not {"migrations", "alembic"} & set(Path(module.path).parts)
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.Attribute) and node.attr == "import_module")
        or (isinstance(node, ast.Name) and node.id in ("import_module", "__import__"))
    ]


def test_nothing_is_imported_by_name() -> None:
    assert hidden_imports(ROOT) == []


def test_an_import_by_name_is_caught(tmp_path: Path) -> None:
    plant(tmp_path, {"application/x.py": "import importlib\nimportlib.import_module('contexts.payroll.main')\n"})

    assert len(hidden_imports(tmp_path)) == 1
