"""Private MariaDB, Redis and etcd: where their programs are, how each is laid out in a folder, started and asked."""

import contextlib
import os
import platform
import random
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

ANSWER_S = 1.0
INSTALL_S = 120.0
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"])
STRICT = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE"
PORTS = range(20_000, 32_000)  # below those that outgoing connections are given, which would take them now and then
PORTS_TRIED = 200
RANDOM = random.SystemRandom()  # never seeded, so that two processes do not try the same ports


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


def is_free(port: int) -> bool:
    """Whether nothing listens on that TCP port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on and nobody else was just given.

    Whoever asks has about a minute to listen on it. Raises ServerFailed where none is found.
    """
    for _ in range(PORTS_TRIED):
        port = RANDOM.choice(PORTS)
        if _set_aside(port):
            return port
    raise ServerFailed(f"no free port of 127.0.0.1 among {PORTS_TRIED} tried from {PORTS.start} to {PORTS.stop}")


def _set_aside(port: int) -> bool:
    """Leave the rest of a connection behind on a port: a server may listen there, but nobody else is given it now."""
    with socket.socket() as probe:  # without SO_REUSEADDR such a rest is in the way
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    with socket.socket() as server, socket.socket() as client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.settimeout(ANSWER_S)
        try:
            server.bind(("127.0.0.1", port))
            server.listen(1)
            client.connect(("127.0.0.1", port))
        except OSError:
            return False  # somebody was quicker
        accepted, _ = server.accept()
        accepted.close()  # who closes first keeps the rest
        client.recv(1)
    return True


def dies_with_parent(command: Sequence[str]) -> list[str]:
    """The same command, ended by the kernel when the process that started it is gone; where the system can do it."""
    setpriv = shutil.which("setpriv")
    return [*([setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []), *command]


class ServerProgram:
    """One server program, its folder and its port.

    Invariants: it listens on 127.0.0.1 (and a socket in its folder) only; everything it writes is in its folder.
    """

    name: ClassVar[str]

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port

    def prepare(self) -> None:
        """Lay out what a start needs; what is there stays. May take seconds. Raises ServerFailed."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def command(self) -> list[str]:
        """What to run, in its folder."""
        raise NotImplementedError

    def answers(self, pid: int) -> bool:
        """Whether the server of that process id answers now; asks for at most a second."""
        raise NotImplementedError


class MariaDB(ServerProgram):
    """A MariaDB with strict mode, utf8mb4 and one user with every right.

    Invariants: `flush_at_commit` is innodb_flush_log_at_trx_commit (1 = each commit is on disk); the password stands
    in a file of mode 0600 only; `databases` are there before the first connection.
    """

    name = "mariadb"
    user = "muster"

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        password: str,
        databases: Sequence[str] = (),
        connections: int = 300,
        flush_at_commit: int = 1,
        options: Sequence[str] = (),
    ) -> None:
        self._mariadbd = program("mariadbd", "mysqld", package="mariadb-server")
        self._install = program("mariadb-install-db", "mysql_install_db", package="mariadb-server")
        super().__init__(folder, port)
        self.password = password
        self._databases = [_name(database) for database in databases]
        self._options = [
            f"--max-connections={connections}", f"--innodb-flush-log-at-trx-commit={flush_at_commit}", *options,
        ]  # fmt: skip

    @property
    def data(self) -> Path:
        """The folder of its databases."""
        return self.folder / "data"

    @property
    def socket(self) -> Path:
        """Its unix socket."""
        return self.data / "s"

    @property
    def version(self) -> str:
        """As its program tells it, such as 10.11.19-MariaDB."""
        said = subprocess.run([self._mariadbd, "--version"], capture_output=True, text=True, timeout=60, check=True)
        return re.sub(r"[^0-9A-Za-z.]+", "-", said.stdout.split("Ver", 1)[-1].split()[0])

    def url(self, database: str, *, unix_socket: bool = False) -> str:
        """The SQLAlchemy URL of a database, over TCP or over the socket."""
        url = f"mysql+asyncmy://{self.user}:{self.password}@127.0.0.1:{self.port}/{_name(database)}"
        return f"{url}?unix_socket={self.socket}" if unix_socket else url

    def prepare(self) -> None:
        """A freshly installed data folder (some 3 s, once), and the statements that its start runs."""
        super().prepare()
        if not self.data.is_dir():
            self.install(self.data)
        first = self.folder / "first.sql"
        first.touch(mode=0o600)
        rights = [
            f"CREATE OR REPLACE USER '{self.user}'@'{host}' IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL ON *.* TO '{self.user}'@'{host}' WITH GRANT OPTION;\n"
            for host in ("localhost", "127.0.0.1")
        ]
        made = [f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4;\n" for name in self._databases]
        first.write_text("".join([*rights, *made]))

    def install(self, data: Path) -> None:
        """A fresh data folder, there as a whole or not at all. Raises ServerFailed."""
        fresh = Path(tempfile.mkdtemp(prefix="mariadb-", dir=data.parent))
        try:
            made = subprocess.run(
                [self._install, "--no-defaults", f"--datadir={fresh}", "--auth-root-authentication-method=normal",
                 "--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=4M", *_as_user()],
                capture_output=True, text=True, timeout=INSTALL_S, check=False,
            )  # fmt: skip
            if made.returncode:
                raise ServerFailed(f"mariadb-install-db failed:\n{made.stdout[-2000:]}{made.stderr[-2000:]}")
            with contextlib.suppress(OSError):  # another process was faster
                fresh.rename(data)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def command(self) -> list[str]:
        """A relative socket is made in the data folder, and may be of any length."""
        return [
            self._mariadbd, "--no-defaults", f"--datadir={self.data}", "--socket=s", f"--port={self.port}",
            "--bind-address=127.0.0.1", "--skip-name-resolve", "--performance-schema=off",
            f"--pid-file={self.folder / 'pid'}", f"--init-file={self.folder / 'first.sql'}",
            "--character-set-server=utf8mb4", f"--sql-mode={STRICT}", "--innodb-log-file-size=16M",
            "--innodb-buffer-pool-size=128M", *_as_user(), *self._options,
        ]  # fmt: skip

    def answers(self, pid: int) -> bool:
        """Only a server that accepts connections sends its greeting."""
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_S) as probe,
        ):
            return len(probe.recv(5)) == 5
        return False


class Redis(ServerProgram):
    """A Redis that keeps nothing over its end unless it is told to.

    Invariants: it writes a snapshot only when it is asked to; a password stands in a file of mode 0600 only.
    """

    name = "redis"

    def __init__(self, folder: Path, port: int, *, password: str = "", options: Sequence[str] = ()) -> None:
        self._redis = program("redis-server", package="redis-server")
        super().__init__(folder, port)
        self._password = password
        self._options = list(options)

    @property
    def url(self) -> str:
        """Its address for redis clients."""
        return f"redis://{f':{self._password}@' if self._password else ''}127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        """Its configuration file, with what must not be seen on a command line."""
        super().prepare()
        file = self.folder / "redis.conf"
        file.touch(mode=0o600)
        file.write_text(f"requirepass {self._password}\n" if self._password else "")

    def command(self) -> list[str]:
        """No snapshots, no log of writes; a title would be written over its environment, which tells whose it is."""
        return [
            self._redis, str(self.folder / "redis.conf"), "--port", str(self.port), "--bind", "127.0.0.1",
            "--dir", str(self.folder), "--save", "", "--appendonly", "no", "--set-proc-title", "no", *self._options,
        ]  # fmt: skip

    def answers(self, pid: int) -> bool:
        """Our own, not another process that was given the same port."""
        words = [("AUTH", self._password)] if self._password else []
        asked = b"".join(_command(*one) for one in [*words, ("INFO", "server"), ("QUIT",)])
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_S) as connection,
        ):
            connection.sendall(asked)
            return b"\r\nprocess_id:%d\r\n" % pid in b"".join(iter(lambda: connection.recv(65536), b""))
        return False


def _command(*words: str) -> bytes:
    """As Redis reads it (RESP). Its library would make every start of `muster up` longer."""
    told = [word.encode() for word in words]
    return b"*%d\r\n" % len(told) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in told)


class Etcd(ServerProgram):
    """An etcd of one member that need not survive a power cut: what it holds is leases of running processes."""

    name = "etcd"

    def __init__(self, folder: Path, port: int, *, peer_port: int = 0) -> None:
        self._etcd = program("etcd", package="etcd-server")
        super().__init__(folder, port)
        self._peer_port = peer_port or free_port()

    @property
    def url(self) -> str:
        """Its client address."""
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """One member, which is its own cluster."""
        peer = f"http://127.0.0.1:{self._peer_port}"
        arm = ["env", "ETCD_UNSUPPORTED_ARCH=arm64"] if platform.machine() in ("aarch64", "arm64") else []
        return [
            *arm, self._etcd, "--name=one", f"--data-dir={self.folder / 'data'}", f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}", f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=one={peer}", "--unsafe-no-fsync",
        ]  # fmt: skip

    def answers(self, pid: int) -> bool:
        """As its own health check says."""
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_S) as probe,
        ):
            probe.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            return b"true" in probe.recv(4096)
        return False


def _name(database: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", database):
        raise ValueError(f"{database!r} is no database name: lower-case letters, digits and _, at most 64")
    return database


def _as_user() -> list[str]:
    return ["--user=root"] if os.getuid() == 0 else []
