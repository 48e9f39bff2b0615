"""Private, throw-away MariaDB, Redis, etcd and Envoy for tests and benchmarks: own folders, free ports."""

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import httpx
import redis

from interfaces.cli.private_servers import (
    Etcd,
    MariaDB,
    Redis,
    ServerFailed,
    ServerMissing,
    ServerProgram,
    dies_with_parent,
    free_port,
    program,
)
from interfaces.gateway.envoy import envoy_program

__all__ = [
    "BUILD",
    "PrivateEnvoy",
    "PrivateEtcd",
    "PrivateMariaDB",
    "PrivateRedis",
    "ServerFailed",
    "ServerMissing",
    "free_port",
    "program",
    "template_of",
]

P = TypeVar("P", bound=ServerProgram)

BUILD = Path(__file__).resolve().parents[2] / "build"
READY_S = 60.0
STOP_S = 20.0
PORTS_TRIED = 5


class PrivateServer(Generic[P]):
    """One server process of ours, its folder and its port.

    Invariants: folder, port and data stay the same over stop, kill and start; leaving the context ends the process
    and removes the folder; it dies with its parent.
    """

    def __init__(self, name: str, make: Callable[[Path], P]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"muster-{name}-"))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self.program = make(self.folder)
            self._lay_out()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        try:
            for attempt in range(PORTS_TRIED):
                try:
                    self.start()
                    break
                except ServerFailed:
                    # Between the probe and the bind another process may have taken the port.
                    if attempt == PORTS_TRIED - 1 or not self._port_taken():
                        raise
                    self.program.port = free_port()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @property
    def name(self) -> str:
        """What it is."""
        return self.program.name

    @property
    def port(self) -> int:
        """Its TCP port on 127.0.0.1."""
        return self.program.port

    @property
    def pid(self) -> int:
        """The process id. Raises ServerFailed when it is not running."""
        if self._process is None:
            raise ServerFailed(f"{self.name} is not running: call start() first")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """The end of what the server printed."""
        path = self.folder / "log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def start(self) -> None:
        """Start it and wait until it answers. Raises ServerFailed with the end of its log."""
        if self._process is not None:
            raise ServerFailed(f"{self.name} runs already: stop it first")
        command = dies_with_parent(self.program.command())
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        until = time.monotonic() + READY_S
        while not self.program.answers(self._process.pid):
            ended = self._process.poll()
            if ended is not None or time.monotonic() > until:
                self.kill()
                why = f"ended with {ended}" if ended is not None else f"gave no answer within {READY_S:.0f} s"
                raise ServerFailed(f"{self.name} {why}:\n{self.log}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it in order (SIGTERM); its data stays. Nothing happens when it is not running."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash does; its data stays. Nothing happens when it is not running."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it in order and start it on the same port and data."""
        self.stop()
        self.start()

    def sigstop(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def sigcont(self) -> None:
        """Let a frozen server go on."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it and remove everything it wrote."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(how)
            process.send_signal(signal.SIGCONT)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)

    def _port_taken(self) -> bool:
        return bool(re.search(r"address already in use", self.log, re.IGNORECASE))

    def _lay_out(self) -> None:
        self.program.prepare()


def template_of(mariadb: MariaDB) -> Path:
    """A freshly installed data folder, made once per checkout and version (some 3 s) and then copied."""
    template = BUILD / f"mariadb-{mariadb.version}-{os.getuid()}"
    if not template.is_dir():
        BUILD.mkdir(exist_ok=True)
        mariadb.install(template)
    return template


class PrivateMariaDB(PrivateServer[MariaDB]):
    """A MariaDB with strict mode, utf8mb4 and one user with every right.

    Invariants: `flush_at_commit` is innodb_flush_log_at_trx_commit (1 = each commit is on disk).
    """

    user = MariaDB.user

    def __init__(self, *, flush_at_commit: int = 1, options: Sequence[str] = ()) -> None:
        self._client = program("mariadb", "mysql", package="mariadb-server")

        def make(folder: Path) -> MariaDB:
            password = secrets.token_hex(8)
            return MariaDB(folder, free_port(), password=password, flush_at_commit=flush_at_commit, options=options)

        super().__init__(MariaDB.name, make)

    def _lay_out(self) -> None:
        shutil.copytree(template_of(self.program), self.program.data)
        super()._lay_out()

    @property
    def socket(self) -> Path:
        """Its unix socket."""
        return self.program.socket

    def url(self, database: str, *, unix_socket: bool = False) -> str:
        """The SQLAlchemy URL of a database, over TCP or over the socket."""
        return self.program.url(database, unix_socket=unix_socket)

    def create_database(self, name: str, *, unix_socket: bool = False) -> str:
        """An empty database of that name (an older one is dropped); answers its SQLAlchemy URL."""
        url = self.url(name, unix_socket=unix_socket)
        self.execute(f"DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return url

    def session(self, sql: str, database: str = "") -> tuple[list[str], dict[str, str]]:
        """The command, and its environment, that runs statements in a session of their own."""
        return [
            self._client, "--no-defaults", f"--socket={self.socket}", f"--user={self.user}", "--batch",
            "--skip-column-names", "--execute", sql, *([database] if database else []),
        ], {**os.environ, "MYSQL_PWD": self.program.password}  # fmt: skip

    def execute(self, sql: str, database: str = "") -> str:
        """Run statements as the user with every right; answers tab-separated rows. Raises ServerFailed."""
        command, environment = self.session(sql, database)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise ServerFailed(f"mariadb refused {sql!r}: {done.stderr.strip()}")
        return done.stdout


class PrivateRedis(PrivateServer[Redis]):
    """A Redis that keeps nothing unless it is told to.

    Invariants: it writes a snapshot only when `snapshot()` is called.
    """

    def __init__(self, *, options: Sequence[str] = ()) -> None:
        super().__init__(Redis.name, lambda folder: Redis(folder, free_port(), options=options))

    @property
    def url(self) -> str:
        """Its address for redis clients."""
        return self.program.url

    def flush(self) -> None:
        """Forget everything (FLUSHALL)."""
        with redis.Redis(port=self.port) as client:
            client.flushall()

    def snapshot(self) -> Path:
        """Write what it knows now to a file, for `restart_from`."""
        with redis.Redis(port=self.port) as client:
            client.save()
        kept = self.folder / f"kept-{secrets.token_hex(4)}.rdb"
        shutil.copyfile(self.folder / "dump.rdb", kept)
        return kept

    def restart_from(self, snapshot: Path) -> None:
        """Kill it and start it with an older snapshot, as a restored backup does."""
        self.kill()
        shutil.copyfile(snapshot, self.folder / "dump.rdb")
        self.start()


class PrivateEtcd(PrivateServer[Etcd]):
    """An etcd of one member."""

    def __init__(self) -> None:
        super().__init__(Etcd.name, lambda folder: Etcd(folder, free_port()))

    @property
    def url(self) -> str:
        """Its client address."""
        return self.program.url


class Envoy(ServerProgram):
    """An Envoy whose configuration is made for its ports."""

    name = "envoy"

    def __init__(self, folder: Path, configure: Callable[[int, int], dict[str, Any]], workers: int) -> None:
        super().__init__(folder, free_port())
        self._envoy = envoy_program()
        self.configuration = configure
        self._workers = workers
        self.admin_port = free_port()

    def command(self) -> list[str]:
        """Writes the configuration first."""
        config = self.folder / "bootstrap.json"
        config.write_text(json.dumps(self.configuration(self.port, self.admin_port)))
        options = ["--concurrency", str(self._workers), "--log-level", "warning", "--file-flush-interval-msec", "50"]
        return [self._envoy, "-c", str(config), "--disable-hot-restart", *options]

    def answers(self, pid: int) -> bool:
        """Whether its administration does, ready or not."""
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{self.admin_port}/server_info", timeout=1.0).status_code == 200
        return False


class PrivateEnvoy(PrivateServer[Envoy]):
    """An Envoy with a configuration (`configure(port, admin_port)`) of the test's own."""

    def __init__(self, configure: Callable[[int, int], dict[str, Any]], *, workers: int = 1) -> None:
        super().__init__(Envoy.name, lambda folder: Envoy(folder, configure, workers))

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_url(self) -> str:
        """Its administration."""
        return f"http://127.0.0.1:{self.program.admin_port}"

    def counter(self, name: str) -> int:
        """One of its counters or gauges, 0 where it is not there yet."""
        text = httpx.get(f"{self.admin_url}/stats?filter=^{re.escape(name)}$", timeout=5.0).text
        return int(text.rpartition(": ")[2]) if text.strip() else 0
