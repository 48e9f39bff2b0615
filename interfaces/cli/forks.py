"""The supervisor's end of `interfaces.cli.loaded`: what starts for the first time is forked, not executed.

Seventeen processes that each import the same second's worth of modules take two processors some eight seconds.
"""

import asyncio
import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Timer
from typing import Protocol

import orjson
import structlog

log = structlog.get_logger(__name__)

COMMAND = (sys.executable, "-m", "interfaces.cli.main")
PR_SET_CHILD_SUBREAPER = 36
ANSWER_S = 10.0


class Process(Protocol):
    """What the supervisor does with a process, as `subprocess.Popen` offers it."""

    @property
    def pid(self) -> int:
        """Its id, which is that of its process group too."""

    @property
    def returncode(self) -> int | None:
        """How it ended, negative: by that signal; None as far as `poll` knows."""

    def poll(self) -> int | None:
        """How it ended; None while it runs."""

    def send_signal(self, sig: int) -> None:
        """Send it a signal, unless it ended."""


class Adopted:
    """A process that became our child without our having started it.

    Invariants: buried once, and sent nothing afterwards: its id may be another's by then.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """How it ended; None while it runs."""
        if self.returncode is None:
            try:
                ended, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # it never became ours
                self.returncode = 1
            else:
                if ended:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """Send it a signal, unless it ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)


class Forks:
    """A process that has everything loaded, for as long as a deployment comes up.

    Invariants: what it forks is a child of this process, leads a session of its own and ends with this process; where
    it cannot fork, nothing was begun and whoever asked executes the command instead. A program that changed on disk is
    loaded anew after `close`: nothing is forked for a restart.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], said_to: Path) -> None:
        _take_in_orphans(True)
        said_to.touch(mode=0o600)
        with said_to.open("ab") as said:
            self._process = subprocess.Popen(
                command, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said,
                start_new_session=True,
            )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._asked, self._told = self._process.stdin, self._process.stdout
        self._loading = asyncio.create_task(asyncio.to_thread(self._told.readline), name="loading")

    async def fork(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, said_to: Path
    ) -> Process | None:
        """A process that does what this command would, its output added to a file; None where it must be executed."""
        if tuple(command[: len(COMMAND)]) != COMMAND or await asyncio.shield(self._loading) != b"loaded\n":
            return None
        # From here on nothing is awaited, so that no process is begun of which nobody knows.
        asked = {"command": command, "environment": environment, "folder": str(folder), "log": str(said_to)}
        overdue = Timer(ANSWER_S, self._process.kill)
        overdue.start()
        try:
            self._asked.write(orjson.dumps(asked) + b"\n")
            self._asked.flush()
            told = self._told.readline()
        except (OSError, ValueError):  # it is gone
            told = b""
        finally:
            overdue.cancel()
        if not told.endswith(b"\n"):
            log.warning("not forked: it is executed", command=command)
            return None
        return Adopted(int(told))

    async def close(self) -> None:
        """End it, once what it was asked for has begun; that goes on."""
        if not self._loading.done():
            self._process.kill()
        await asyncio.wait({self._loading})
        with contextlib.suppress(OSError):
            self._asked.close()
        try:
            await asyncio.to_thread(self._process.wait, ANSWER_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
        self._told.close()
        _take_in_orphans(False)


def can_fork() -> bool:
    """Whether this system lets us take in orphans and end them with us."""
    return sys.platform == "linux"


def _take_in_orphans(wanted: bool) -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)
