"""What is forked from a loaded process is what executing its command would have made: told, ended and shown alike."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from interfaces.cli.forks import COMMAND, Adopted, Forks, can_fork
from interfaces.cli.supervisor import Program, begin, ended
from tests.support.deployment import surroundings

pytestmark = [
    pytest.mark.second_process,
    pytest.mark.skipif(not can_fork(), reason="only Linux lets a supervisor take in orphans"),
]

LOADED = (sys.executable, "-m", "interfaces.cli.loaded", "control-plane", "gateway")
PATIENCE_S = 60.0


def program(folder: Path, *arguments: str, command: Sequence[str] = COMMAND, **environment: str) -> Program:
    told = {**surroundings(), **environment}
    return Program("one", [*command, *arguments], told, folder, folder / "log", lambda pid: True)


def control_plane(folder: Path) -> Program:
    settings = {"MUSTER_REGISTRY_URL": f"file://{folder}/registry", "MUSTER_CONTROL_PLANE_LISTEN": "127.0.0.1:0"}
    return program(folder, "run", "control-plane", **settings)


@asynccontextmanager
async def forks(folder: Path, command: Sequence[str] = LOADED) -> AsyncIterator[Forks]:
    made = Forks(command, surroundings(), folder / "loaded.log")
    try:
        yield made
    finally:
        await made.close()


async def until_said(log: Path, word: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while word not in (said := await asyncio.to_thread(log.read_text)):
        assert time.monotonic() < until, said
        await asyncio.sleep(0.02)


def shown(pid: int) -> list[str]:
    """Its command as `ps` shows it."""
    return [os.fsdecode(word) for word in Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")]


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def children() -> list[int]:
    """The loaded processes of this one."""
    mine = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            pid = int(entry.name)
            if parent_of(pid) == os.getpid() and "interfaces.cli.loaded" in shown(pid):
                mine.append(pid)
    return mine


async def test_a_forked_part_shows_its_command_belongs_to_its_supervisor_and_drains(tmp_path: Path) -> None:
    one = control_plane(tmp_path)
    async with forks(tmp_path) as loaded:
        process = await begin(one, loaded)
    await until_said(one.log, '"part": "control-plane"')

    command, parent = shown(process.pid), parent_of(process.pid)
    home, session = os.readlink(f"/proc/{process.pid}/cwd"), os.getsid(process.pid)
    process.send_signal(signal.SIGTERM)
    drained = await ended(process, PATIENCE_S)

    assert isinstance(process, Adopted)
    assert command == list(one.command)
    assert (parent, session, home) == (os.getpid(), process.pid, str(tmp_path))
    assert (drained, process.returncode) == (True, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


async def test_how_a_forked_command_failed_is_told_as_if_it_had_been_executed(tmp_path: Path) -> None:
    one = program(tmp_path, "run", "nobody")
    async with forks(tmp_path) as loaded:
        forked = await begin(one, loaded)
        assert await ended(forked, PATIENCE_S)
    said = one.log.read_text()
    one.log.unlink()

    executed = await begin(one)
    assert await ended(executed, PATIENCE_S)

    assert (isinstance(forked, Adopted), isinstance(executed, Adopted)) == (True, False)
    assert forked.returncode == executed.returncode == 2
    assert said == one.log.read_text() != ""


async def test_a_killed_one_is_told_with_its_signal_and_sent_nothing_more(tmp_path: Path) -> None:
    async with forks(tmp_path) as loaded:
        process = await begin(control_plane(tmp_path), loaded)

    process.send_signal(signal.SIGKILL)
    assert await ended(process, PATIENCE_S)
    process.send_signal(signal.SIGTERM)

    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("broken", ["raise SystemExit('no')", "print('loaded', flush=True)"])
async def test_where_nothing_can_be_forked_the_command_is_executed(tmp_path: Path, broken: str) -> None:
    one = program(tmp_path, "run", "nobody")
    async with forks(tmp_path, (sys.executable, "-c", broken)) as loaded:
        process = await begin(one, loaded)
        assert await ended(process, PATIENCE_S)

    assert isinstance(process, subprocess.Popen)
    assert process.returncode == 2


async def test_what_is_no_command_of_ours_is_executed(tmp_path: Path) -> None:
    async with forks(tmp_path) as loaded:
        process = await begin(program(tmp_path, command=("true",)), loaded)
        assert await ended(process, PATIENCE_S)

    assert isinstance(process, subprocess.Popen)


async def test_a_loaded_process_ends_when_it_is_closed(tmp_path: Path) -> None:
    async with forks(tmp_path) as loaded:
        process = await begin(program(tmp_path, "run", "nobody"), loaded)
        assert await ended(process, PATIENCE_S)
        there = children()

    assert len(there) == 1
    assert children() == []
