"""A part or command that cannot do its work says in one sentence what to mend, and ends with a code that is not 0."""

import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.deployment import ROOT, surroundings
from tests.support.servers import PrivateMariaDB, free_port

pytestmark = pytest.mark.second_process


def muster(*arguments: str, told: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """A `muster` command and how it ended."""
    return subprocess.run(
        [sys.executable, "-m", "interfaces.cli.main", *arguments],
        env={**surroundings(), **told}, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def said_plainly(done: subprocess.CompletedProcess[str]) -> str:
    """What it said last, without a stack."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_a_database_that_is_not_there_is_named_by_its_setting() -> None:
    url = f"mysql+asyncmy://muster:secret@127.0.0.1:{free_port()}/payroll"

    said = said_plainly(muster("migrate", "payroll", told={"MUSTER_PAYROLL_DATABASE_URL": url}))

    assert "MUSTER_<SERVICE>_DATABASE_URL" in said
    assert "secret" not in said


def test_a_database_that_does_not_know_the_password_is_named_by_its_setting(mariadb: PrivateMariaDB) -> None:
    url = f"mysql+asyncmy://muster:not-the-password@127.0.0.1:{mariadb.port}/payroll"

    said = said_plainly(muster("migrate", "payroll", told={"MUSTER_PAYROLL_DATABASE_URL": url}))

    assert "MUSTER_<SERVICE>_DATABASE_URL" in said
    assert "not-the-password" not in said


def test_a_part_whose_address_is_taken_says_so(tmp_path: Path) -> None:
    data = {"MUSTER_DATA_DIR": str(tmp_path / "data")}
    assert muster("keys", told=data).returncode == 0
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        listen = f"127.0.0.1:{other.getsockname()[1]}"

        said = said_plainly(muster("run", "payroll", told={**data, "MUSTER_PAYROLL_LISTEN": listen}))

    assert f"payroll cannot listen on {listen}" in said


def test_a_part_without_its_keys_says_what_to_run(tmp_path: Path) -> None:
    said = said_plainly(muster("run", "application", told={"MUSTER_DATA_DIR": str(tmp_path / "data")}))

    assert "signing-key.json is missing" in said
