"""Processes that are to be there are started again when they end, and none outlives the drain."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from interfaces.cli import supervisor as module
from interfaces.cli.supervisor import Program, Supervisor, trim

pytestmark = pytest.mark.second_process

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('ready', 'w'); time.sleep(60)"
WITH_A_CHILD = (
    "import subprocess, time; child = subprocess.Popen(['sleep', '60']);"
    "open('child', 'w').write(str(child.pid)); open('ready', 'w'); time.sleep(60)"
)
SOON_S = 20.0


def program(folder: Path, name: str, code: str = "", *, stage: int = 0) -> Program:
    code = code or "open('ready', 'w'); import time; time.sleep(60)"
    home = folder / name
    home.mkdir()
    return Program(
        name, [sys.executable, "-c", code], dict(os.environ), home, home / "log", lambda pid: (home / "ready").exists(),
        stage,
    )  # fmt: skip


async def until_started(kept: Supervisor, name: str, times: int) -> None:
    until = time.monotonic() + SOON_S
    while kept.starts[name] < times or name not in kept.pids:
        assert time.monotonic() < until, f"{name} was started {kept.starts[name]} times"
        await asyncio.sleep(0.01)


def runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


async def test_a_process_that_ends_is_started_again_after_a_rising_pause(tmp_path: Path) -> None:
    said: list[float] = []
    kept = Supervisor([program(tmp_path, "brief", "pass")], lambda: said.append(time.monotonic()))

    kept.start(["brief"])
    await until_started(kept, "brief", 4)
    await kept.drain(1.0)

    assert len(said) >= 2 * 3
    first, second = (said[at + 1] - said[at] for at in (1, 3))
    assert first >= module.FIRST_PAUSE_S
    assert second >= 2 * module.FIRST_PAUSE_S
    assert kept.pids == {}


async def test_nothing_that_it_started_outlives_a_process(tmp_path: Path) -> None:
    kept = Supervisor([program(tmp_path, "parent", WITH_A_CHILD)])
    kept.start(["parent"])
    assert await kept.until_ready(["parent"], SOON_S) == []
    child = int((tmp_path / "parent" / "child").read_text())

    os.kill(kept.pids["parent"], signal.SIGKILL)
    await until_started(kept, "parent", 2)
    left = runs(child)
    await kept.drain(1.0)

    assert not left


async def test_who_does_not_drain_is_killed_and_named(tmp_path: Path) -> None:
    kept = Supervisor([program(tmp_path, "stubborn", STUBBORN), program(tmp_path, "mild")])
    kept.start(["stubborn", "mild"])
    assert await kept.until_ready(["stubborn", "mild"], SOON_S) == []
    pids = kept.pids

    killed = await kept.drain(0.3)

    assert killed == ["stubborn"]
    assert not any(runs(pid) for pid in pids.values())


async def test_the_edge_is_drained_before_what_stands_behind_it(tmp_path: Path) -> None:
    order = [program(tmp_path, "behind", stage=2), program(tmp_path, "edge", stage=0)]
    alive: list[set[str]] = []
    kept = Supervisor(order, lambda: alive.append(set(kept.pids)))
    kept.start(["behind", "edge"])
    assert await kept.until_ready(["behind", "edge"], SOON_S) == []

    await kept.drain(5.0)

    assert alive[-2:] == [{"behind"}, set()]


async def test_who_never_answers_is_named(tmp_path: Path) -> None:
    kept = Supervisor([program(tmp_path, "mute", "import time; time.sleep(60)"), program(tmp_path, "fine")])
    kept.start(["mute", "fine"])
    assert await kept.until_ready(["fine"], SOON_S) == []

    late = await kept.until_ready(["mute", "fine"], 0.3)

    await kept.drain(1.0)
    assert late == ["mute"]


def test_a_log_has_a_limit_and_who_writes_it_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 100)
        trim(log, most=200)
        kept = log.stat().st_size
        writer.write(b"y" * 150)

        trim(log, most=200)
        writer.write(b"z")

    assert kept == 100
    assert log.read_bytes() == b"z"
    assert log.with_name("log.1").stat().st_size == 250
