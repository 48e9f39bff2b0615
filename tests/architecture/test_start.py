"""What a process imports before its first work: a slow start and spare memory come from imports that nobody wanted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from chassis.schema_version import wanted
from interfaces.cli.forks import can_fork
from interfaces.cli.parts import PARTS

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


def test_a_data_service_loads_no_alembic_for_a_schema_that_is_up_to_date() -> None:
    started = (
        f"from interfaces.cli.light import load_logging; load_logging(); from interfaces.cli.run import main_of; "
        f"[main_of(name) for name in {CONTEXTS}]"
    )

    assert imported_by(started) & (EDGE | {"alembic", "mako", "rich", "pygments"}) == set()


@pytest.mark.parametrize("part", ["control-plane", "ratelimit"])
def test_the_gateways_parts_load_no_application_and_no_database(part: str) -> None:
    started = f"from interfaces.cli.run import main_of; main_of({part!r})"

    assert imported_by(started) & (EDGE | {"sqlalchemy", "pydantic", "protovalidate"}) == set()


def test_a_gateway_loads_little_more_than_envoys_configuration() -> None:
    assert imported_by("import interfaces.gateway.process") & (HEAVY - {"opentelemetry"}) == set()


def test_the_supervisor_of_muster_up_loads_no_client_of_what_it_supervises() -> None:
    assert imported_by("import interfaces.cli.up") & (HEAVY | {"redis", "cryptography", "joserfc"}) == set()


def threads_after(statement: str) -> int:
    program = f"{statement}\nimport os; print(len(os.listdir('/proc/self/task')))"
    return int(subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True).stdout)


@pytest.mark.skipif(not can_fork(), reason="nothing is forked there")
def test_what_parts_are_forked_from_has_loaded_all_of_them_and_made_nothing() -> None:
    loaded = f"from interfaces.cli.loaded import load; load({PARTS})"

    assert imported_by(loaded) >= {"alembic", "asyncmy", "fastapi", "grpc", "redis", "sqlalchemy", "uvicorn", "uvloop"}
    assert threads_after(loaded) == 1


@pytest.mark.skipif(not can_fork(), reason="nothing is forked there")
def test_a_server_that_was_made_before_a_fork_would_be_seen() -> None:
    made = "import grpc; from concurrent.futures import ThreadPoolExecutor as P; grpc.server(P()).start()"

    assert threads_after(f"from interfaces.cli.loaded import load; load(()); {made}") > 1


def test_a_hub_loads_neither_the_framework_of_the_operations_nor_a_database() -> None:
    started = "from interfaces.cli.run import main_of; main_of('push')"

    assert imported_by(started) & {"fastapi", "sqlalchemy", "alembic"} == set()


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_version_that_a_start_looks_for_is_the_one_that_alembic_would_reach(context: str) -> None:
    versions = ROOT / "contexts" / context / "repository" / "migrations" / "versions"
    config = Config()
    config.set_main_option("script_location", str(ROOT / "chassis" / "alembic"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", str(versions))

    assert wanted(versions) == set(ScriptDirectory.from_config(config).get_heads())


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
