"""deploy/compose.yaml and the Dockerfile: every part runs, knows its settings, and has no more than it needs."""

import copy
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from chassis.settings import SettingsProblem
from interfaces.cli.parts import PARTS, SERVICES
from tests.deploy.manifests import DEPLOY, ROOT, Document, compose, filled_in, parts_of, read

CALLERS = {"application", "push"}
OUTSIDE = {"gateway", "grafana"}
CONTEXT = (
    "requirements.lock",
    "pyproject.toml",
    "README.md",
    "kernel",
    "chassis",
    "contexts",
    "application",
    "interfaces",
)


def too_much(document: Document) -> list[str]:
    """What a part of a compose file may do and has no need to."""
    found = []
    for part, service in parts_of(document).items():
        if not service.get("read_only") or service.get("cap_drop") != ["ALL"]:
            found.append(f"{part} may change its image or has capabilities")
        if "no-new-privileges:true" not in service.get("security_opt", ()):
            found.append(f"{part} may gain privileges")
        limits = ("mem_limit", "pids_limit", "logging", "restart", "stop_grace_period")
        found += [f"{part} has no {limit}" for limit in limits if limit not in service]
        mounted = {volume.split(":")[0] for volume in service.get("volumes", ())}
        allowed = {"keyring", "trust"} if part in SERVICES else {"signing", "trust"} if part in CALLERS else set()
        found += [f"{part} sees {secret}" for secret in mounted - allowed]
        found += [f"{part} writes {volume}" for volume in service.get("volumes", ()) if not volume.endswith(":ro")]
    for name, service in document["services"].items():
        if service.get("ports") and name not in OUTSIDE:
            found.append(f"{name} is published")
        if "outgoing" in service.get("networks", ()) and name != "delivery":
            found.append(f"{name} calls the world")
    if not document["networks"]["inside"].get("internal"):
        found.append("the inner network leads outside")
    return found


def test_every_part_is_in_the_compose_file() -> None:
    assert sorted(parts_of(compose())) == sorted(PARTS)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_understands_the_settings_that_it_is_given(part: str) -> None:
    settings = read(filled_in(parts_of(compose())[part]["environment"]))

    assert settings.metrics_listener is not None
    assert settings.redis_url
    assert set(settings.database_urls) == ({part} if part in SERVICES else set())


def test_a_misspelt_setting_would_be_noticed() -> None:
    environment = filled_in(parts_of(compose())["payroll"]["environment"])

    with pytest.raises(SettingsProblem, match="MUSTER_REDIS_URI"):
        read({**environment, "MUSTER_REDIS_URI": "redis://redis:6379/0"})


def test_the_migration_reaches_every_database() -> None:
    settings = read(filled_in(compose()["services"]["migrate"]["environment"]))

    assert set(settings.database_urls) == set(SERVICES)


def test_no_part_may_do_more_than_it_needs() -> None:
    assert too_much(compose()) == []


@pytest.mark.parametrize(
    ("service", "change", "finding"),
    [
        ("payroll", {"ports": ["5000:5000"]}, "payroll is published"),
        ("gateway", {"volumes": ["signing:/var/lib/muster/signing:ro"]}, "gateway sees signing"),
        ("push", {"volumes": ["keyring:/var/lib/muster/keyring:ro"]}, "push sees keyring"),
        ("application", {"read_only": False}, "application may change its image or has capabilities"),
        ("attendance", {"networks": ["inside", "outgoing"]}, "attendance calls the world"),
    ],
)
def test_a_part_that_may_do_more_would_be_noticed(service: str, change: dict[str, Any], finding: str) -> None:
    planted = copy.deepcopy(compose())
    planted["services"][service].update(change)

    assert too_much(planted) == [finding]


def test_no_password_has_a_default() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    example = (DEPLOY / "compose.env.example").read_text(encoding="utf-8")

    passwords = set(re.findall(r"\$\{(\w*PASSWORD)[:}]", text))
    assert passwords == {"MARIADB_ROOT_PASSWORD", "MUSTER_DATABASE_PASSWORD", "GRAFANA_PASSWORD"}
    assert all(f"{name}=\n" in example for name in passwords)


# ------------------------------------------------------------------------------------------------------- the image


def dockerfile() -> str:
    return (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def test_the_image_is_built_from_what_its_context_lets_in() -> None:
    allowed = {
        line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile(), re.MULTILINE)
        for source in line.split()[:-1]
    }

    assert copied == allowed
    assert all((ROOT / source).exists() for source in copied)


def test_the_image_runs_as_nobody_in_particular_from_hashed_packages() -> None:
    text = dockerfile()

    assert re.search(r"pip install --require-hashes .*-r requirements\.lock", text)
    assert text.index("USER 10001:10001") < text.index('ENTRYPOINT ["muster"]')
    assert "USER root" not in text


@pytest.mark.second_process
def test_what_the_image_installs_is_the_whole_program(tmp_path: Path) -> None:
    packages = ("kernel", "chassis", "contexts", "application", "interfaces", "protos/gen")
    listed = subprocess.run(
        ["git", "ls-files", "--", *CONTEXT, "protos/gen"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.split()
    source = tmp_path / "src"
    for name in listed:
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())

    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")],
        cwd=source, capture_output=True, timeout=120, check=True,
    )  # fmt: skip

    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    expected = {name.removeprefix("protos/gen/") for name in listed if name.startswith(packages)}
    assert expected <= inside
