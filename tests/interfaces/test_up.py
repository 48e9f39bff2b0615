"""`muster up` and `muster down`: everything on one machine, listening nowhere else, and nothing left behind."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from interfaces.cli.parts import PARTS
from interfaces.cli.topology import MARK
from interfaces.cli.up import processes_of
from tests.support.deployment import ROOT, MeshDeployment, surroundings

pytestmark = [pytest.mark.second_process, pytest.mark.timeout(600)]  # a very busy machine

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def mesh() -> Iterator[MeshDeployment]:
    with MeshDeployment(replicas=1) as made:
        yield made


def muster(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "interfaces.cli.main", *arguments],
        env={**surroundings(), **environment}, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT,
    )  # fmt: skip


def listening(pids: set[int]) -> set[str]:
    """The local addresses, as the kernel writes them, on which these processes accept TCP connections."""
    sockets = {
        os.readlink(link)
        for pid in pids
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if link.is_symlink() and os.readlink(link).startswith("socket:")
    }
    rows = [
        line.split()
        for file in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{file}").read_text().splitlines()[1:]
    ]  # fmt: skip
    return {row[1].partition(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}


def gone(pids: set[int]) -> bool:
    until = time.monotonic() + PATIENCE_S
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F"}


def test_it_says_where_everything_is_and_listens_on_this_machine_only(mesh: MeshDeployment) -> None:
    state = mesh.state

    assert httpx.get(f"{state['base_url']}/readyz").status_code == 200
    assert set(state["grpc"]) == set(state["dsn"]) >= {"identity", "organization", "attendance", "payroll"}
    assert set(state["pids"]) >= {"supervisor", "mariadb", "redis", "etcd", "identity", "application"}
    assert set(state["pids"].values()) - {mesh.pid_of("supervisor")} <= set(processes_of(mesh.up))
    assert listening(set(processes_of(mesh.up))) <= LOOPBACK


def test_a_listener_for_the_whole_world_would_be_seen() -> None:
    planted = "import socket, time; s = socket.create_server(('0.0.0.0', 0)); print('up', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", planted], stdout=subprocess.PIPE) as careless:
        assert careless.stdout is not None
        careless.stdout.readline()

        assert not listening({careless.pid}) <= LOOPBACK

        careless.kill()


def test_secrets_are_readable_by_their_owner_only(mesh: MeshDeployment) -> None:
    password = json.loads((mesh.up / "ports.json").read_text())["secrets"]["mariadb"]
    files = [file for file in mesh.up.rglob("*") if file.is_file() and mesh.up / "mariadb" / "data" not in file.parents]
    holds = [file for file in files if password in file.read_text("latin-1")]
    keys = [mesh.up / "data.keyring", mesh.up / "data.signing-key.json"]

    assert {file.name for file in holds} >= {"ports.json", "up.json", "first.sql"}
    for file in [*holds, *keys]:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert not any(password in command for command in processes_of(mesh.up).values())
    assert not any(file.parent.name == "logs" for file in holds)


def test_a_second_one_in_the_same_folder_says_so(mesh: MeshDeployment) -> None:
    second = muster("up", "--dir", str(mesh.up), "--port", "0")

    assert second.returncode == 1
    assert f"is in use by process {mesh.pid_of('supervisor')}" in second.stderr
    assert httpx.get(f"{mesh.base_url}/readyz").status_code == 200


def test_each_part_is_seen_by_its_command_and_what_forked_it_is_gone(mesh: MeshDeployment) -> None:
    running = processes_of(mesh.up)

    parts = {part for part in PARTS if part != "gateway"}  # it became Envoy
    assert {part for part in parts if running[mesh.pid_of(part)].endswith(f"interfaces.cli.main run {part}")} == parts
    assert not [command for command in running.values() if "interfaces.cli.loaded" in command]


def test_what_ends_is_started_again(mesh: MeshDeployment) -> None:
    killed, starts = mesh.pid_of("organization"), mesh.state["starts"]["organization"]

    mesh.send("organization", signal.SIGKILL)
    mesh.wait_started("organization", starts + 1)

    assert mesh.pid_of("organization") != killed
    assert mesh.pid_of("organization") in processes_of(mesh.up)


def test_data_survives_and_nothing_else_does(mesh: MeshDeployment) -> None:
    tenant, before, ports = mesh.create_tenant(), set(processes_of(mesh.up)), mesh.state["grpc"]

    told = mesh.go_down()
    left = processes_of(mesh.up)
    again = mesh.go_down()
    mesh.come_up()

    assert told == {"dir": str(mesh.up), "stopped": len(before), "killed": 0}
    assert gone(before)
    assert left == {}
    assert again["stopped"] == 0
    assert mesh.state["grpc"] == ports
    assert mesh.token(tenant, "owner")


def test_after_its_supervisor_was_killed_down_leaves_nothing(mesh: MeshDeployment) -> None:
    before = set(processes_of(mesh.up))
    orphan = subprocess.Popen(["sleep", "300"], env={**os.environ, MARK: str(mesh.up)}, start_new_session=True)

    try:
        mesh.send("supervisor", signal.SIGKILL)
        without_down = gone(before)  # the kernel ends what a supervisor started
        told = mesh.go_down()
        ended = orphan.wait(PATIENCE_S)
    finally:
        orphan.kill()
    mesh.come_up()

    assert without_down
    assert (told["stopped"], told["killed"], ended) == (1, 1, -signal.SIGTERM)
    assert httpx.get(f"{mesh.base_url}/readyz").status_code == 200


def test_a_missing_program_is_named_with_its_package(tmp_path: Path) -> None:
    up = muster("up", "--dir", str(tmp_path / "up"), PATH="/nowhere")

    assert up.returncode == 1
    assert "is not installed: run `sudo apt-get install -y mariadb-server`" in up.stderr
    assert "Traceback" not in up.stderr


def test_a_port_that_is_taken_is_told_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        up = muster("up", "--dir", str(tmp_path / "up"), "--port", str(port))

    assert up.returncode == 1
    assert f"port {port} of 127.0.0.1 is taken: choose another one with --port" in up.stderr


def test_a_setting_that_cannot_be_read_stops_it_before_anything_starts(tmp_path: Path) -> None:
    up = muster("up", "--dir", str(tmp_path / "up"), MUSTER_GRACE_S="soon")

    assert up.returncode == 2
    assert "MUSTER_GRACE_S" in up.stderr
    assert not (tmp_path / "up").exists()
