"""`muster jobs` lists background work, does it now and tries it again."""

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from interfaces.cli.main import app


def muster(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--data", str(data)])


def test_an_operator_sees_jobs_and_has_one_done_now(tmp_path: Path) -> None:
    listed = json.loads(muster(tmp_path, "jobs", "list", "--json").output)
    asked = json.loads(muster(tmp_path, "jobs", "run", "payroll.tidying", "--json").output)
    after = json.loads(muster(tmp_path, "jobs", "list", "--json").output)
    text = muster(tmp_path, "jobs", "list").output

    assert {job["id"] for job in listed["jobs"]} >= {"identity.retention", "payroll.retention", "payroll.tidying"}
    assert asked["run"] in {run["id"] for run in after["runs"]}
    assert "payroll.tidying: every 5 min" in text


def test_what_is_no_run_or_job_is_refused(tmp_path: Path) -> None:
    unknown = muster(tmp_path, "jobs", "run", "payroll.gone")
    shapeless = muster(tmp_path, "jobs", "retry", "payroll.tidying")
    neither = muster(tmp_path, "jobs", "retry")

    assert unknown.exit_code != 0
    assert (shapeless.exit_code, neither.exit_code) == (2, 2)
    assert muster(tmp_path, "jobs", "retry", "--all", "--json").output.strip() == "[]"
