"""Private, throw-away MariaDB, Redis and etcd for tests and benchmarks, each in a temporary folder on a free port."""

import contextlib
import os
import platform
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, TypeVar

import redis

T = TypeVar("T", bound="PrivateServer")

BUILD = Path(__file__).resolve().parents[2] / "build"
READY_S = 60.0
STOP_S = 20.0
PORTS_TRIED = 5
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"])
STRICT = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE"


class ServerMissing(RuntimeError):
    """A server program is not installed; the message says what to run."""


class ServerFailed(RuntimeError):
    """A server program did not start or stop; the message carries the end of its log."""


def program(*names: str, package: str, path: str = SEARCH_PATH) -> str:
    """The path of the first of `names` that is installed. Raises ServerMissing, naming the package."""
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    raise ServerMissing(
        f"{names[0]} is not installed: run `sudo apt-get install -y {package}` (Fedora: `sudo dnf install {package}`; "
        f"macOS: `brew install {package.removesuffix('-server')}`), then start again"
    )


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class PrivateServer:
    """One server process of ours, its folder and its port.

    Invariants: it listens on 127.0.0.1 (and a socket in its folder) only; folder, port and data stay the same over
    stop, kill and start; leaving the context ends the process and removes the folder; it dies with its parent.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"muster-{self.name}-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self: T) -> T:
        try:
            for attempt in range(PORTS_TRIED):
                try:
                    self.start()
                    break
                except ServerFailed:
                    # Between the probe and the bind another process may have taken the port.
                    if attempt == PORTS_TRIED - 1 or not self._port_taken():
                        raise
                    self.port = free_port()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

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
        command = self._command()
        if setpriv := shutil.which("setpriv"):
            command = [setpriv, "--pdeathsig", "KILL", "--", *command]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        until = time.monotonic() + READY_S
        while not self._ready():
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

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _ready(self) -> bool:
        raise NotImplementedError


class PrivateMariaDB(PrivateServer):
    """A MariaDB with strict mode, utf8mb4 and one user with every right.

    Invariants: `flush_at_commit` is innodb_flush_log_at_trx_commit (1 = each commit is on disk).
    """

    name = "mariadb"
    user = "muster"

    def __init__(self, *, flush_at_commit: int = 1, options: Sequence[str] = ()) -> None:
        self._mariadbd = program("mariadbd", "mysqld", package="mariadb-server")
        self._client = program("mariadb", "mysql", package="mariadb-server")
        super().__init__()
        self.socket = self.folder / "s"
        self._password = secrets.token_hex(8)
        self._options = [f"--innodb-flush-log-at-trx-commit={flush_at_commit}", *options]
        try:
            shutil.copytree(self._template(), self.folder / "data")
            first = self.folder / "first.sql"
            first.touch(mode=0o600)
            first.write_text(
                "".join(
                    f"CREATE OR REPLACE USER '{self.user}'@'{host}' IDENTIFIED BY '{self._password}';\n"
                    f"GRANT ALL ON *.* TO '{self.user}'@'{host}' WITH GRANT OPTION;\n"
                    for host in ("localhost", "127.0.0.1")
                )
            )
        except BaseException:
            self.close()
            raise

    def url(self, database: str, *, unix_socket: bool = False) -> str:
        """The SQLAlchemy URL of a database, over TCP or over the socket."""
        url = f"mysql+asyncmy://{self.user}:{self._password}@127.0.0.1:{self.port}/{database}"
        return f"{url}?unix_socket={self.socket}" if unix_socket else url

    def create_database(self, name: str, *, unix_socket: bool = False) -> str:
        """An empty database of that name (an older one is dropped); answers its SQLAlchemy URL."""
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
            raise ValueError(f"{name!r} is no database name: lower-case letters, digits and _, at most 64")
        self.execute(f"DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return self.url(name, unix_socket=unix_socket)

    def session(self, sql: str, database: str = "") -> tuple[list[str], dict[str, str]]:
        """The command, and its environment, that runs statements in a session of their own."""
        return [
            self._client, "--no-defaults", f"--socket={self.socket}", f"--user={self.user}", "--batch",
            "--skip-column-names", "--execute", sql, *([database] if database else []),
        ], {**os.environ, "MYSQL_PWD": self._password}  # fmt: skip

    def execute(self, sql: str, database: str = "") -> str:
        """Run statements as the user with every right; answers tab-separated rows. Raises ServerFailed."""
        command, environment = self.session(sql, database)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise ServerFailed(f"mariadb refused {sql!r}: {done.stderr.strip()}")
        return done.stdout

    def _template(self) -> Path:
        """A freshly installed data folder, made once per checkout and version (some 3 s) and then copied."""
        said = subprocess.run([self._mariadbd, "--version"], capture_output=True, text=True, timeout=60, check=True)
        version = re.sub(r"[^0-9A-Za-z.]+", "-", said.stdout.split("Ver", 1)[-1].split()[0])
        template = BUILD / f"mariadb-{version}-{os.getuid()}"
        if template.is_dir():
            return template
        BUILD.mkdir(exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix="mariadb-", dir=BUILD))
        try:
            install = program("mariadb-install-db", "mysql_install_db", package="mariadb-server")
            made = subprocess.run(
                [install, "--no-defaults", f"--datadir={fresh}", "--auth-root-authentication-method=normal",
                 "--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=4M", *self._as_user()],
                capture_output=True, text=True, timeout=READY_S, check=False,
            )  # fmt: skip
            if made.returncode:
                raise ServerFailed(f"mariadb-install-db failed:\n{made.stdout[-2000:]}{made.stderr[-2000:]}")
            with contextlib.suppress(OSError):  # another worker was faster
                fresh.rename(template)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return template

    def _as_user(self) -> list[str]:
        return ["--user=root"] if os.getuid() == 0 else []

    def _command(self) -> list[str]:
        return [
            self._mariadbd, "--no-defaults", f"--datadir={self.folder / 'data'}", f"--socket={self.socket}",
            f"--port={self.port}", "--bind-address=127.0.0.1", "--skip-name-resolve", "--performance-schema=off",
            f"--pid-file={self.folder / 'pid'}", f"--init-file={self.folder / 'first.sql'}",
            "--character-set-server=utf8mb4", f"--sql-mode={STRICT}", "--innodb-log-file-size=16M",
            "--innodb-buffer-pool-size=128M", "--max-connections=300", *self._as_user(), *self._options,
        ]  # fmt: skip

    def _ready(self) -> bool:
        # Only a server that accepts connections sends its greeting.
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as probe:
            return len(probe.recv(5)) == 5
        return False


class PrivateRedis(PrivateServer):
    """A Redis that keeps nothing unless it is told to.

    Invariants: it writes a snapshot only when `snapshot()` is called.
    """

    name = "redis"

    def __init__(self, *, options: Sequence[str] = ()) -> None:
        self._redis = program("redis-server", package="redis-server")
        super().__init__()
        self._options = list(options)

    @property
    def url(self) -> str:
        """Its address for redis clients."""
        return f"redis://127.0.0.1:{self.port}/0"

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

    def _command(self) -> list[str]:
        return [
            self._redis, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
            "--save", "", "--appendonly", "no", *self._options,
        ]  # fmt: skip

    def _ready(self) -> bool:
        try:
            with redis.Redis(port=self.port, socket_timeout=1.0) as client:
                # Our own, not another process that was given the same port.
                return int(client.info("server")["process_id"]) == self.pid
        except (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError):
            return False


class PrivateEtcd(PrivateServer):
    """An etcd of one member."""

    name = "etcd"

    def __init__(self) -> None:
        self._etcd = program("etcd", package="etcd-server")
        super().__init__()
        self._peer_port = free_port()

    @property
    def url(self) -> str:
        """Its client address."""
        return f"http://127.0.0.1:{self.port}"

    def _command(self) -> list[str]:
        peer = f"http://127.0.0.1:{self._peer_port}"
        arm = ["env", "ETCD_UNSUPPORTED_ARCH=arm64"] if platform.machine() in ("aarch64", "arm64") else []
        return [
            *arm, self._etcd, "--name=one", f"--data-dir={self.folder / 'data'}", f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}", f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=one={peer}", "--unsafe-no-fsync",
        ]  # fmt: skip

    def _ready(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as probe:
            probe.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            return b"true" in probe.recv(4096)
        return False
