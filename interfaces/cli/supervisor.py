"""Processes that are to be there: each is started, started again when it ends, and drained in order at the end."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from interfaces.cli.forks import Forks, Process
from interfaces.cli.private_servers import dies_with_parent

log = structlog.get_logger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
HEALTHY_AFTER_S = 10.0
ASK_AGAIN_S = 0.05
ASK_READY_S = 0.1
LEEWAY_S = 5.0
HANDED_OVER_S = 60.0  # of which the old one may take half to finish
LOG_BYTES = 16 * 1024 * 1024
LOGS_LOOKED_AT_S = 30.0


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Program:
    """What one process is: its command and surroundings, how to ask whether it is ready, when it is drained.

    Invariants: `answers(pid)` blocks for seconds at most; the lowest `stage` is drained first; `prepare` runs before
    the first start and may be repeated; `drain` runs before SIGTERM where SIGTERM alone cuts off what is served, blocks
    for seconds at most and never raises. `epoch` is the variable by which a process hears which of a line it is: number
    0 begins one, and each next one takes over what is served from the one before, which ends by itself then. Where it
    is empty, a process ends before the next one begins.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    log: Path
    answers: Callable[[int], bool]
    stage: int = 0
    prepare: Callable[[], None] = _nothing
    drain: Callable[[], None] = _nothing
    epoch: str = ""


async def begin(program: Program, forks: Forks | None = None) -> Process:
    """A process of this program, in a session of its own, that ends with this process; its output is in the log."""
    program.log.touch(mode=0o600)
    if forks and (forked := await forks.fork(program.command, program.environment, program.folder, program.log)):
        return forked
    return _executed(program)


def _executed(program: Program) -> Process:
    with program.log.open("ab") as output:
        return subprocess.Popen(
            dies_with_parent(program.command),
            env=dict(program.environment),
            cwd=program.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


class Kept:
    """One program and the process that runs it now.

    Invariants: at most one process at a time; of one that ended, nothing of its process group stays.
    """

    def __init__(
        self, program: Program, changed: Callable[[], None], forks: Callable[[], Forks | None] = lambda: None
    ) -> None:
        """`forks`: what can fork it, as long as there is one."""
        self.program = program
        self.pid: int | None = None
        self.starts = 0
        self._changed = changed
        self._forks = forks
        self._keeping: asyncio.Task[None] | None = None
        self._process: Process | None = None
        self._epoch = 0

    def start(self) -> None:
        """Begin to keep it running. Nothing happens when it is kept already."""
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep(), name=self.program.name)

    async def until_ready(self) -> None:
        """Return once it answers; the caller bounds the wait. Raises what its preparation raised."""
        while not (self.pid and await asyncio.to_thread(self.program.answers, self.pid)):
            if self._keeping is not None and self._keeping.done():
                self._keeping.result()
            await asyncio.sleep(ASK_READY_S)

    async def stop(self, grace_s: float) -> bool:
        """SIGTERM, and after the grace SIGKILL; whether it ended by itself in time."""
        await self._let_be()
        process, self._process = self._process, None
        if process is None:
            return True
        await asyncio.to_thread(self.program.drain)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)  # a frozen process would not hear
        drained = await ended(process, grace_s)
        _end_group(process.pid)
        await ended(process, LEEWAY_S)
        self.pid = None
        self._changed()
        return drained

    async def hand_over(self, within_s: float) -> bool:
        """Start the next of its line and wait until it took over; if it did not in time, it is gone, and the old runs.

        False also where a program has no line, or nothing runs.
        """
        if not self.program.epoch or self._process is None:
            return False
        await self._let_be()
        old, took_over = self._process, False
        heir = await begin(self._of_line(self._epoch + 1), self._forks())
        try:
            until = time.monotonic() + within_s
            while heir.poll() is None and not took_over and time.monotonic() < until:
                await asyncio.sleep(ASK_AGAIN_S)
                took_over = old.poll() is not None and heir.poll() is None
        finally:
            _end_group(old.pid if took_over else heir.pid)
        if took_over:
            self._epoch += 1
            self._runs(heir)
        else:
            await ended(heir, LEEWAY_S)
            log.warning("not taken over", part=self.program.name, code=heir.returncode)
        self.start()
        return took_over

    async def _let_be(self) -> None:
        """Whatever happens to the process, nothing follows from it now."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.wait({keeping})

    def _of_line(self, epoch: int) -> Program:
        if not self.program.epoch:
            return self.program
        return replace(self.program, environment={**self.program.environment, self.program.epoch: str(epoch)})

    def _runs(self, process: Process) -> None:
        self._process, self.pid, self.starts = process, process.pid, self.starts + 1
        self._changed()

    async def _keep(self) -> None:
        if self._process is None:
            await asyncio.to_thread(self.program.prepare)
        clock, failures = asyncio.get_running_loop(), 0
        while True:
            began = clock.time()
            process = self._process
            if process is None:
                process, self._epoch = await begin(self._of_line(0), self._forks()), 0
                self._runs(process)
            await ended(process, None)
            self._process = self.pid = None
            _end_group(process.pid)
            failures = 1 if clock.time() - began > HEALTHY_AFTER_S else failures + 1
            pause_s = min(FIRST_PAUSE_S * 2 ** min(failures - 1, 10), LONGEST_PAUSE_S)
            log.warning("process ended", part=self.program.name, code=process.returncode, starts_again_in_s=pause_s)
            self._changed()
            await asyncio.sleep(pause_s)


class Supervisor:
    """All programs of one deployment.

    Invariants: programs may be started in any order; a log that grew past its limit starts anew, the older half is
    kept beside it; while there are `forks`, they begin what they can.
    """

    def __init__(self, programs: Iterable[Program], changed: Callable[[], None] = _nothing) -> None:
        self.forks: Forks | None = None
        self.kept = {program.name: Kept(program, changed, lambda: self.forks) for program in programs}
        self._trimming: asyncio.Task[None] | None = None

    @property
    def pids(self) -> dict[str, int]:
        """The processes that run now, by program."""
        return {name: kept.pid for name, kept in self.kept.items() if kept.pid is not None}

    @property
    def starts(self) -> dict[str, int]:
        """How often each program was started."""
        return {name: kept.starts for name, kept in self.kept.items()}

    def start(self, names: Iterable[str]) -> None:
        """Begin to keep these running, in that order."""
        if self._trimming is None:
            self._trimming = asyncio.create_task(self._trim_logs(), name="logs")
        for name in names:
            self.kept[name].start()

    async def until_ready(self, names: Iterable[str], timeout_s: float) -> list[str]:
        """Wait until these answer; the names of those that still do not when the time is over."""
        waits = {asyncio.create_task(self.kept[name].until_ready()): name for name in names}
        try:
            _, late = await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_EXCEPTION)
            for wait in waits.keys() - late:
                wait.result()
            return sorted(waits[wait] for wait in late)
        finally:
            for wait in waits:
                wait.cancel()

    async def restart(self, wave: Sequence[str], grace_s: float, timeout_s: float) -> list[str]:
        """Restart these at once and wait until they answer; the names of those that do not in time.

        What can hand over does so; the others, and whose heir did not come, are drained and started.
        """

        async def one(kept: Kept) -> None:
            if not await kept.hand_over(HANDED_OVER_S):
                await kept.stop(grace_s)
                kept.start()

        await asyncio.gather(*(one(self.kept[name]) for name in wave))
        return await self.until_ready(wave, timeout_s)

    async def drain(self, grace_s: float) -> list[str]:
        """End all, stage by stage; the names of those that had to be killed."""
        if self._trimming is not None:
            self._trimming.cancel()
        killed: list[str] = []
        for stage in sorted({kept.program.stage for kept in self.kept.values()}):
            names = [name for name, kept in self.kept.items() if kept.program.stage == stage]
            ended = await asyncio.gather(*(self.kept[name].stop(grace_s) for name in names))
            killed += [name for name, in_time in zip(names, ended, strict=True) if not in_time]
        return killed

    async def _trim_logs(self) -> None:
        while True:
            await asyncio.sleep(LOGS_LOOKED_AT_S)
            for kept in self.kept.values():
                await asyncio.to_thread(trim, kept.program.log)


def trim(file: Path, most: int = LOG_BYTES) -> None:
    """Move what a log holds into FILE.1 once it is longer than `most`; whoever appends to it goes on."""
    with contextlib.suppress(FileNotFoundError):
        if file.stat().st_size > most:
            shutil.copyfile(file, older := file.with_name(f"{file.name}.1"))
            older.chmod(0o600)
            os.truncate(file, 0)


async def ended(process: Process, timeout_s: float | None) -> bool:
    """Whether the process ended within the time. Asking twenty times a second costs some 2 us each and no thread."""
    clock = asyncio.get_running_loop()
    end = None if timeout_s is None else clock.time() + timeout_s
    while process.poll() is None:
        if end is not None and clock.time() >= end:
            return False
        await asyncio.sleep(ASK_AGAIN_S)
    return True


def _end_group(group: int) -> None:
    """What a process started (workers) does not outlive it: each program leads a session of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
