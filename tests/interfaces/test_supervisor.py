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
OF_A_LINE = """
import os, pathlib, signal, time
here, epoch = pathlib.Path("pid"), int(os.environ["EPOCH"])
if epoch:
    os.kill(int(here.read_text()), signal.SIGTERM)
here.write_text(str(os.getpid()))
pathlib.Path(f"epoch-{epoch}").touch()
pathlib.Path("ready").touch()
time.sleep(60)
"""
ONLY_THE_FIRST = "import os, time; epoch = int(os.environ['EPOCH']); epoch and {}; open('ready', 'w'); time.sleep(60)"
SOON_S = 20.0


def program(folder: Path, name: str, code: str = "", *, stage: int = 0, epoch: str = "") -> Program:
    code = code or "open('ready', 'w'); import time; time.sleep(60)"
    home = folder / name
    home.mkdir()
    return Program(
        name, [sys.executable, "-c", code], dict(os.environ), home, home / "log", lambda pid: (home / "ready").exists(),
        stage, epoch=epoch,
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


async def test_the_next_of_a_line_takes_over_before_the_one_before_it_ends(tmp_path: Path) -> None:
    kept = Supervisor([program(tmp_path, "line", OF_A_LINE, epoch="EPOCH")])
    kept.start(["line"])
    assert await kept.until_ready(["line"], SOON_S) == []
    pids = [kept.pids["line"]]

    for _ in range(2):
        assert await kept.restart(["line"], 5.0, SOON_S) == []
        pids.append(kept.pids["line"])
    alive = [runs(pid) for pid in pids]
    epochs = sorted(file.name for file in (tmp_path / "line").glob("epoch-*"))
    await kept.drain(5.0)

    assert alive == [False, False, True]
    assert epochs == ["epoch-0", "epoch-1", "epoch-2"]
    assert kept.starts == {"line": 3}


async def test_an_heir_that_is_killed_is_followed_by_the_first_of_a_new_line(tmp_path: Path) -> None:
    kept = Supervisor([program(tmp_path, "line", OF_A_LINE, epoch="EPOCH")])
    kept.start(["line"])
    assert await kept.until_ready(["line"], SOON_S) == []
    assert await kept.kept["line"].hand_over(SOON_S)
    (tmp_path / "line" / "epoch-0").unlink()

    os.kill(kept.pids["line"], signal.SIGKILL)
    (tmp_path / "line" / "ready").unlink()
    await until_started(kept, "line", 3)
    assert await kept.until_ready(["line"], SOON_S) == []
    begun_anew = (tmp_path / "line" / "epoch-0").exists()
    await kept.drain(5.0)

    assert begun_anew


@pytest.mark.parametrize("heir", ["os._exit(3)", "time.sleep(60)"], ids=["ends", "does not take over"])
async def test_an_heir_that_does_not_come_leaves_the_old_one_where_it_was(tmp_path: Path, heir: str) -> None:
    kept = Supervisor([program(tmp_path, "line", ONLY_THE_FIRST.format(heir), epoch="EPOCH")])
    kept.start(["line"])
    assert await kept.until_ready(["line"], SOON_S) == []
    before = kept.pids

    took_over = await kept.kept["line"].hand_over(1.0)
    after = kept.pids
    os.kill(before["line"], signal.SIGKILL)
    await until_started(kept, "line", 2)
    await kept.drain(5.0)

    assert not took_over
    assert after == before


async def test_where_no_heir_comes_one_is_drained_and_started_anew(tmp_path: Path) -> None:
    kept = Supervisor([program(tmp_path, "line", ONLY_THE_FIRST.format("os._exit(3)"), epoch="EPOCH")])
    kept.start(["line"])
    assert await kept.until_ready(["line"], SOON_S) == []
    before = kept.pids["line"]

    assert await kept.restart(["line"], 5.0, SOON_S) == []
    after = kept.pids["line"]
    alive = runs(before), runs(after)
    await kept.drain(5.0)

    assert alive == (False, True)
    assert kept.starts == {"line": 2}


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
