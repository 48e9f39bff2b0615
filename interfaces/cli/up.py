"""`muster up` and `muster down`: every part as its own process on one machine, with private servers, in one folder."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import structlog

from chassis.lifecycle import run as run_loop
from chassis.settings import Settings
from chassis.telemetry import configure_logging
from interfaces.cli.data_folder import STATE_FILE, held, prepare_secrets
from interfaces.cli.forks import Forks, can_fork
from interfaces.cli.parts import PARTS, SERVICES
from interfaces.cli.private_servers import ServerFailed, dies_with_parent
from interfaces.cli.supervisor import LEEWAY_S, Program, Supervisor, begin, ended
from interfaces.cli.topology import MARK, Topology, topology, write_private

log = structlog.get_logger(__name__)

READY_S = 180.0  # a machine may be very busy
FOUND_S = 3.0  # a replica that is ready is found by everybody within 2 s
RESTART_S = 600.0
GRACE_S = 12.0  # a part's own grace is 10 s
STOP_S = 90.0
SWEEP_S = 5.0
ASK_AGAIN_S = 0.05
STATE = "up.json"
LOG_TAIL = 2000


class NotUp(RuntimeError):
    """The deployment did not come up; the message says what did not answer and where its log is."""


# ---- the supervisor -------------------------------------------------------------------------------------------------


class Up:
    """A deployment in a folder, kept up by this process.

    Invariants: the state file names the processes that run now; operators' commands find the services through
    `--data D/data`.
    """

    def __init__(self, plan: Topology) -> None:
        self.plan = plan
        self.ready_in_s: float | None = None
        self.restarts = 0
        self.supervisor = Supervisor(plan.programs, self._write_state)

    async def bring_up(self, order: list[str] | None = None, timeout_s: float = READY_S) -> None:
        """Start everything and wait until all of it answers. Raises NotUp, ServerFailed.

        What needs no schema starts beside the migration. Given an `order`, everything starts at once in that order,
        and what comes too early is started again until it finds what it needs.
        """
        began = time.monotonic()
        shutil.rmtree(self.plan.folder / "etcd", ignore_errors=True)  # leases of processes that are gone
        forks = self.supervisor.forks = load(self.plan) if can_fork() and order is None else None
        try:
            prepare_secrets(Settings(data_dir=self.plan.data))
            self.plan.data.mkdir(mode=0o700, exist_ok=True)
            if order is None:
                self.supervisor.start([*self.plan.servers, *self.plan.named(set(PARTS) - set(SERVICES))])
                await self._ready(["mariadb"], timeout_s)
                await migrate(self.plan, forks)
            else:
                self.supervisor.start(order)
            self.supervisor.start(self.plan.named(SERVICES))
            await self._ready(list(self.supervisor.kept), timeout_s)
        finally:
            self.supervisor.forks = None
            if forks is not None:
                await forks.close()
        self.ready_in_s = round(time.monotonic() - began, 2)
        self._write_state()
        # An operator's command works while one replica restarts.
        addresses = {name: f"ipv4:{','.join(self.plan.addresses[name])}" for name in SERVICES}
        write_private(self.plan.data / STATE_FILE, {"pid": os.getpid(), "addresses": addresses})

    async def restart(self) -> None:
        """Restart every part of ours in waves, each once the one before it serves; nothing answers less meanwhile.

        Raises NotUp where a part does not come back: those after it go on as they are.
        """
        for wave in self.plan.waves:
            if late := await self.supervisor.restart(wave, GRACE_S, READY_S):
                raise NotUp(f"the restart stopped: not ready within {READY_S:.0f} s: {', '.join(late)}")
            await asyncio.sleep(FOUND_S)
        self.restarts += 1
        self._write_state()

    async def take_down(self) -> list[str]:
        """Drain everything, the gateway first and the servers last; the names of those that had to be killed."""
        (self.plan.data / STATE_FILE).unlink(missing_ok=True)
        killed = await self.supervisor.drain(GRACE_S)
        (self.plan.folder / STATE).unlink(missing_ok=True)
        return killed

    def state(self) -> dict[str, Any]:
        """What `muster up` prints."""
        plan = self.plan
        return {
            "base_url": plan.base_url,
            "dir": str(plan.folder),
            "data": str(plan.data),
            "ready_in_s": self.ready_in_s,
            "grpc": {name: plan.addresses[name] for name in SERVICES},
            "addresses": {name: plan.addresses[name] for name in PARTS if name not in SERVICES},
            "dsn": dict(plan.dsn),
            "redis_url": plan.redis_url,
            "etcd_url": plan.etcd_url,
            "pids": {"supervisor": os.getpid(), **self.supervisor.pids},
            "starts": self.supervisor.starts,
            "restarts": self.restarts,
        }

    async def _ready(self, names: list[str], timeout_s: float) -> None:
        if late := await self.supervisor.until_ready(names, timeout_s):
            logs = self.plan.folder / "logs"
            ends = "".join(f"\n--- {logs / name}.log\n{tail(logs / f'{name}.log')}" for name in late[:3])
            raise NotUp(f"not ready within {timeout_s:.0f} s: {', '.join(late)}{ends}")

    def _write_state(self) -> None:
        write_private(self.plan.folder / STATE, self.state())


def load(plan: Topology) -> Forks:
    """A process that has loaded what the parts of this plan import."""
    command = dies_with_parent([sys.executable, "-m", "interfaces.cli.loaded", *PARTS])
    said_to = plan.folder / "logs" / "loaded.log"
    said_to.unlink(missing_ok=True)
    return Forks(command, plan.environment, said_to)


async def migrate(plan: Topology, forks: Forks | None = None) -> None:
    """Bring all schemas to this program's version, in a process of its own. Raises NotUp with what it said."""
    command, said_to = [sys.executable, "-m", "interfaces.cli.main", "migrate"], plan.folder / "logs" / "migrate.log"
    said_to.unlink(missing_ok=True)
    program = Program("migrate", command, plan.environment, plan.folder, said_to, lambda pid: True)
    migration = await begin(program, forks)
    try:
        in_time = await ended(migration, READY_S)
    finally:
        migration.send_signal(signal.SIGKILL)
        await ended(migration, LEEWAY_S)
    if not in_time or migration.returncode:
        raise NotUp(f"the schemas could not be brought up to date:\n{tail(said_to)}")


def supervise(folder: Path, port: int, replicas: int, ready: Callable[[dict[str, Any]], None]) -> None:
    """Keep a deployment up until SIGTERM, SIGINT or SIGHUP. Raises FolderInUse, ServerMissing, ServerFailed, NotUp."""
    configure_logging(level="INFO", json=True)
    folder = folder.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def main() -> None:
        up = Up(topology(folder, port, replicas))
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        coming = asyncio.ensure_future(up.bring_up())
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({coming, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                coming.result()
                ready(up.state())
                await _restarting(up, stopped)
        finally:
            coming.cancel()
            stopped.cancel()
            await up.take_down()

    with held(folder):
        sweep(folder)
        run_loop(main)


async def _restarting(up: Up, stopped: "asyncio.Future[Any]") -> None:
    """Until it is to stop: a restart for each SIGUSR1, one after the other."""
    wanted = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, wanted.set)
    while not stopped.done():
        wish: asyncio.Future[Any] = asyncio.ensure_future(wanted.wait())
        await asyncio.wait({wish, stopped}, return_when=asyncio.FIRST_COMPLETED)
        wish.cancel()
        if stopped.done():
            return
        wanted.clear()
        restart: asyncio.Future[Any] = asyncio.ensure_future(up.restart())
        await asyncio.wait({restart, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not restart.done():
            restart.cancel()
        elif problem := restart.exception():
            log.error("restart stopped", exc_info=problem)


# ---- the commands ---------------------------------------------------------------------------------------------------


def start_in_background(folder: Path, port: int, replicas: int) -> dict[str, Any]:
    """Start a supervisor that outlives this process; what it says once everything answers.

    Raises FolderInUse, ServerMissing, NotUp.
    """
    folder = folder.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with held(folder):  # two sentences at once rather than in a log
        topology(folder, port, replicas)
    state, said_to = folder / STATE, folder / "logs" / "supervisor.log"
    state.unlink(missing_ok=True)
    said_to.touch(mode=0o600)
    before = said_to.stat().st_size
    with said_to.open("ab") as output:
        command = [
            "up",
            "--dir",
            str(folder),
            "--port",
            str(port),
            "--replicas",
            str(replicas),
            "--foreground",
            "--quiet",
        ]
        process = subprocess.Popen(
            [sys.executable, "-m", "interfaces.cli.main", *command],
            env={**os.environ, MARK: str(folder)}, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        while process.poll() is None:
            found = read_state(folder)
            if found and found["ready_in_s"] is not None:
                return found
            time.sleep(ASK_AGAIN_S)
    except BaseException:
        process.terminate()
        process.wait(STOP_S)
        raise
    with said_to.open("rb") as said:
        said.seek(before)
        raise NotUp(said.read()[-2 * LOG_TAIL :].decode(errors="replace").strip())


def restart(folder: Path) -> dict[str, Any]:
    """Let the supervisor of a folder restart every part in waves; what it says afterwards. Raises NotUp."""
    folder = folder.absolute()
    supervisor, before = _holder(folder), read_state(folder)
    if supervisor is None or before.get("ready_in_s") is None:
        raise NotUp(f"nothing is up in {folder}: muster up --dir {folder}")
    os.kill(supervisor, signal.SIGUSR1)
    until = time.monotonic() + RESTART_S
    while _runs(supervisor) and time.monotonic() < until:
        if (now := read_state(folder)).get("restarts", 0) > before["restarts"]:
            return now
        time.sleep(ASK_AGAIN_S)
    raise NotUp(f"not restarted: {folder / 'logs' / 'supervisor.log'} says why")


def read_state(folder: Path) -> dict[str, Any]:
    """What the supervisor of that folder wrote last; empty where nothing runs."""
    try:
        found: dict[str, Any] = orjson.loads((folder / STATE).read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return found


def stop(folder: Path) -> dict[str, Any]:
    """Drain the deployment of a folder and leave nothing running; how many processes that were. Raises ServerFailed."""
    folder = folder.absolute()
    before, supervisor = set(processes_of(folder)), _holder(folder)
    if supervisor is not None:
        before.add(supervisor)
        _signal(supervisor, signal.SIGTERM)
        until = time.monotonic() + STOP_S
        while _runs(supervisor) and time.monotonic() < until:
            time.sleep(ASK_AGAIN_S)
        _signal(supervisor, signal.SIGKILL)
    killed = sweep(folder)
    for file in (folder / STATE, folder / "data" / STATE_FILE):
        file.unlink(missing_ok=True)
    return {"dir": str(folder), "stopped": len(before), "killed": len(killed)}


def _holder(folder: Path) -> int | None:
    """The process that holds the folder's lock."""
    with contextlib.suppress(FileNotFoundError), open(folder / "lock") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            told = file.read(20).strip()
            return int(told) if told.isdecimal() else None
    return None


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
        os.kill(pid, signal.SIGCONT)  # a frozen process would not hear


def _runs(pid: int) -> bool:
    """Whether it is there and no zombie that somebody has yet to bury."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path("/proc/self").exists()


def sweep(folder: Path) -> list[str]:
    """End what a supervisor that was killed left behind; what had to be ended. Raises ServerFailed if any stays."""
    left = processes_of(folder)
    found = sorted(left.values())
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in left:
            _signal(pid, number)
        until = time.monotonic() + SWEEP_S
        while (left := processes_of(folder)) and time.monotonic() < until:
            time.sleep(ASK_AGAIN_S)
    if left:
        raise ServerFailed(f"these processes of {folder} cannot be ended: {', '.join(map(str, left))}")
    return found


def processes_of(folder: Path) -> dict[int, str]:
    """The processes, but this one, that carry the folder's mark in their environment, with their command."""
    mark = f"{MARK}={folder.absolute()}".encode()
    if not Path("/proc/self").exists():
        return {pid: name for name, pid in read_state(folder).get("pids", {}).items() if _runs(pid)}
    return {pid: command for pid, environment, command in _processes() if pid != os.getpid() and mark in environment}


def _processes() -> Iterator[tuple[int, list[bytes], str]]:
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment = (entry / "environ").read_bytes().split(b"\0")
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            if command:
                yield int(entry.name), environment, command


def tail(file: Path) -> str:
    """The end of a log."""
    with contextlib.suppress(FileNotFoundError):
        return file.read_text(errors="replace")[-LOG_TAIL:]
    return ""
