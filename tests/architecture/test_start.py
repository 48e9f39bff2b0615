"""What a process imports before its first work: a slow start and spare memory come from imports that nobody wanted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTEXTS = ("identity", "organization", "attendance", "payroll", "delivery")
SERVICES = "import " + ", ".join(f"contexts.{name}.main" for name in CONTEXTS)
EDGE = {"fastapi", "starlette", "uvicorn"}
HEAVY = EDGE | {"sqlalchemy", "grpc", "pydantic", "opentelemetry", "httpx", "muster"}

pytestmark = pytest.mark.second_process


def imported_by(statement: str) -> set[str]:
    """The top-level packages that a fresh process has after the statement."""
    told = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    program = f"{statement}\n{told}"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_a_data_service_does_not_import_the_edge() -> None:
    assert imported_by(SERVICES) & EDGE == set()


def test_the_command_imports_nothing_heavy_before_a_verb_runs() -> None:
    assert imported_by("import interfaces.cli.main") & HEAVY == set()


def test_worked_cases_are_recomputed_without_a_service() -> None:
    assert imported_by("import interfaces.cli.verify_cases, contexts.payroll.adapters.worked_cases") & HEAVY == set()


def test_an_import_of_the_edge_would_be_found() -> None:
    assert imported_by("import dependency_injector.containers") >= {"fastapi", "starlette"}


def test_operators_commands_load_no_database_and_no_service() -> None:
    loaded = imported_by(
        "import interfaces.cli.operator, interfaces.cli.data_folder, interfaces.cli.parts, chassis.rpc.channels"
    )

    assert loaded & (EDGE | {"sqlalchemy", "alembic", "contexts"}) == set()
