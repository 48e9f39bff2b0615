"""`muster events tail` shows what is published, of all companies or one."""

import json
from pathlib import Path

from typer.testing import CliRunner

from interfaces.cli.main import app


def muster(data: Path, *arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments, "--data", str(data)])
    assert done.exit_code == 0, done.output
    return done.output


def test_events_of_all_companies_or_one_are_shown(tmp_path: Path) -> None:
    for code in ("acme", "globex"):
        muster(tmp_path, "tenant", "create", code)

    everything = muster(tmp_path, "events", "tail", "--from-start", "--most", "6", "--json").splitlines()
    of_one = muster(tmp_path, "events", "tail", "--from-start", "--no-follow", "--tenant", "globex")  # has positions
    chosen = muster(
        tmp_path, "events", "tail", "--from-start", "--most", "1", "--types", "muster.identity.v1.TenantCreatedEvent"
    )

    events = [json.loads(line) for line in everything]
    assert len(events) == 2 * len(of_one.splitlines())
    assert {event["source"] for event in events} == {"/muster/identity"}
    assert "TenantCreatedEvent tenant/" in of_one
    assert "code=globex" in of_one
    assert "code=acme" not in of_one
    assert len(chosen.splitlines()) == 1
