"""The product as its users start it: one embedded process, or every part a process on MariaDB and Redis."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx

from interfaces.cli.private_servers import MariaDB
from tests.support.commands import commands
from tests.support.servers import BUILD, PrivateMariaDB, PrivateRedis, free_port, template_of

D = TypeVar("D", bound="Deployment")

SERVICES = ("identity", "organization", "attendance", "payroll", "delivery")
READY_S = 60.0
COMMAND_S = 300.0  # muster up on a very busy machine
ROOT = Path(__file__).resolve().parents[2]


def surroundings() -> dict[str, str]:
    """This process's environment for its children, where compiled modules are kept: each start costs seconds less."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment.setdefault("PYTHONPYCACHEPREFIX", str(BUILD / "bytecode"))
    return environment


@dataclass(frozen=True)
class Founded:
    """A tenant as the operator made it."""

    code: str
    tenant_id: str
    owner_login: str
    owner_password: str


class Part:
    """One process of ours, restartable with the same command, environment and port; it dies with its parent."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        setpriv = shutil.which("setpriv")
        self._command = [*([setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []), *command]
        self._environment = {**surroundings(), **environment}
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the running part."""
        assert self.process is not None, f"{self.name} is not running"
        return self.process.pid

    def start(self) -> None:
        """Start it; the log says when it is ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            self.process.wait(10)
            self.process = None

    def terminate(self, timeout_s: float = 20.0) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.ended(timeout_s)

    def ended(self, timeout_s: float = 20.0) -> int:
        """The exit code, once it ended. Raises subprocess.TimeoutExpired."""
        assert self.process is not None
        code = self.process.wait(timeout_s)
        self.process = None
        return code

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    def said(self, most: int = 4000) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-most:] if self.log.exists() else ""


class Deployment:
    """A running backend.

    Invariants: everything it writes is in one temporary folder, removed at its end with all its processes.
    """

    name = ""  # of the form

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="muster-deployment-"))
        self.parts: dict[str, Part] = {}
        self.base_urls: list[str] = []
        self.environment: dict[str, str] = {}
        self._urls: dict[str, str] = {}  # by part that serves HTTP

    @property
    def base_url(self) -> str:
        """Where a client reaches it."""
        return self.base_urls[0]

    def __enter__(self: D) -> D:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End all processes and remove the folder."""
        for part in reversed(self.parts.values()):
            part.kill()
        subprocess.run(["rm", "-rf", str(self.folder)], check=False)

    def muster(self, *arguments: str) -> str:
        """Run a `muster` command of this deployment's operator; its output. Raises RuntimeError with its words."""
        done = commands().run(arguments, {**surroundings(), **self.environment}, COMMAND_S)
        if done.code:
            raise RuntimeError(f"muster {' '.join(arguments)} failed:\n{done.out}{done.err}")
        return done.out

    def found_tenant(self, code: str | None = None) -> Founded:
        """A new tenant with its owner."""
        code = code or f"t{secrets.token_hex(5)}"
        made = json.loads(self.muster("tenant", "create", code, "--json").splitlines()[-1])
        return Founded(code, made["tenant_id"], made["owner_login"], made["owner_password"])

    def create_tenant(self, code: str | None = None) -> str:
        """A new tenant; its code."""
        return self.found_tenant(code).code

    def token(self, tenant: str, role: str, employee: str = "") -> str:
        """An access token of one role in a tenant."""
        arguments = ["token", "--tenant", tenant, "--role", role]
        return self.muster(*arguments, *(["--employee", employee] if employee else [])).strip()

    def wait_ready(self, base_url: str) -> None:
        """Until /readyz says 200. Raises TimeoutError with the ends of all logs."""
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            for part in self.parts.values():
                if part.process is not None and part.process.poll() is not None:
                    raise RuntimeError(f"{part.name} ended at its start:\n{part.said()}")
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{base_url}/readyz", timeout=2.0).status_code == 200:
                    return
            time.sleep(0.05)
        raise TimeoutError(self.logs())

    def restart(self, name: str) -> None:
        """Start a part that ended, on the same port, and wait until it serves."""
        self.parts[name].start()
        self.wait_part(name)

    def wait_part(self, name: str) -> None:
        """Until the part serves. Raises TimeoutError, RuntimeError where it ended."""
        if url := self._urls.get(name):
            self.wait_ready(url)
            return
        host, _, port = self.environment[f"MUSTER_{name.upper()}_LISTEN"].rpartition(":")
        part = self.parts[name]
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            if part.process is None or part.process.poll() is not None:
                raise RuntimeError(f"{name} ended at its start:\n{part.said()}")
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1.0):
                return
            time.sleep(0.02)
        raise TimeoutError(self.logs())

    def logs(self) -> str:
        """The ends of all logs, for failure messages."""
        return "\n".join(f"== {part.name}\n{part.said(2000)}" for part in self.parts.values())

    def mend(self) -> None:
        """Let every part run again: what was frozen goes on, what ended is started."""
        for part in self.parts.values():
            if part.process is not None and part.process.poll() is None:
                part.thaw()
            else:
                part.process = None
                part.start()
        for name in self.parts:
            self.wait_part(name)

    def http_of(self, name: str) -> str:
        """The address of an application."""
        return self._urls[name]

    def _part(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], url: str = "") -> Part:
        command = [sys.executable, "-m", "interfaces.cli.main", *arguments]
        part = self.parts[name] = Part(name, command, environment, self.folder / f"{name}.log")
        if url:
            self._urls[name] = url
            self.base_urls.append(url)
        part.start()
        return part

    def _start(self) -> None:
        raise NotImplementedError


class EmbeddedDeployment(Deployment):
    """`muster serve`: one process, SQLite."""

    name = "embedded"

    def __init__(self, *, environment: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._extra = dict(environment or {})

    def _start(self) -> None:
        port = free_port()
        data = self.folder / "data"
        self.environment = {"MUSTER_DATA_DIR": str(data), **FAST_PASSWORDS, **LOCAL_RECEIVERS, **self._extra}
        command = ["serve", "--data", str(data), "--port", str(port)]
        self._part("serve", command, self.environment, f"http://127.0.0.1:{port}")
        self.wait_ready(self.base_url)


class DistributedDeployment(Deployment):
    """`muster run <part>`: processes on one MariaDB (a database per context) and one Redis."""

    name = "distributed"

    def __init__(
        self,
        mariadb: PrivateMariaDB,
        redis_url: str,
        *,
        applications: int = 1,
        services: Sequence[str] = SERVICES,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.mariadb = mariadb
        self._redis_url = redis_url
        self._applications = applications
        self._services = tuple(services)
        self.databases: dict[str, str] = {}  # the name of each service's database
        self._extra = dict(environment or {})

    def _start(self) -> None:
        prefix = f"d{secrets.token_hex(4)}"
        environment = {
            "MUSTER_DATA_DIR": str(self.folder / "data"),
            "MUSTER_REDIS_URL": self._redis_url,
            "MUSTER_SETTLE_MARGIN_S": "2",
            **FAST_PASSWORDS,
            **LOCAL_RECEIVERS,
        }
        for service in SERVICES:
            name = service.upper()
            address = f"127.0.0.1:{free_port()}"
            self.databases[service] = f"{prefix}_{service}"
            environment[f"MUSTER_{name}_DATABASE_URL"] = self.mariadb.create_database(self.databases[service])
            environment[f"MUSTER_{name}_ADDRESS"] = address
            environment[f"MUSTER_{name}_LISTEN"] = address
        self.environment = {**environment, **self._extra}
        self.muster("keys")
        self.muster("migrate", *self._services)
        for service in self._services:
            self._part(service, ["run", service], self.environment)
        for number in range(self._applications):
            listen = f"127.0.0.1:{free_port()}"
            name = "application" if number == 0 else f"application-{number + 1}"
            environment = {**self.environment, "MUSTER_HTTP_LISTEN": listen}
            self._part(name, ["run", "application"], environment, f"http://{listen}")
        for service in self._services:
            self.wait_part(service)
        for base_url in self.base_urls:
            self.wait_ready(base_url)

    def add(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], url: str) -> None:
        """One more part that serves HTTP at `url`, once it is ready; clients of `base_url` do not meet it."""
        self._part(name, arguments, {**self.environment, **environment}, url)
        self.base_urls.remove(url)
        self.wait_part(name)

    def mend(self) -> None:
        """The same for its MariaDB, first."""
        if not self.mariadb.running:
            self.mariadb.start()
        self.mariadb.sigcont()
        super().mend()


class MeshDeployment(Deployment):
    """`muster up`: every part a process with servers of its own, as its users start it.

    Invariants: what ends is started again by its supervisor; `down` ran before the folder is removed.
    """

    name = "mesh"

    def __init__(
        self, *, replicas: int = 2, installed: bool = True, environment: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        self._installed = installed  # MariaDB's empty data folder is there already, which saves 3 s
        self.up = self.folder / "up"
        self.replicas = replicas
        self.ready_s = 0.0  # from the command to the JSON that it prints
        self.environment = {"MUSTER_DATA_DIR": str(self.up / "data"), **FAST_PASSWORDS, **(environment or {})}

    def _start(self) -> None:
        if self._installed:
            mariadb = MariaDB(self.up / "mariadb", 0, password="unused")
            mariadb.folder.mkdir(parents=True)
            shutil.copytree(template_of(mariadb), mariadb.data)
        self.come_up()

    def come_up(self) -> None:
        """`muster up`."""
        began = time.monotonic()
        printed = self.muster("up", "--dir", str(self.up), "--port", "0", "--replicas", str(self.replicas))
        self.ready_s = time.monotonic() - began
        self.base_urls = [json.loads(printed)["base_url"]]

    def go_down(self) -> dict[str, Any]:
        """`muster down`; what it printed."""
        told: dict[str, Any] = json.loads(self.muster("down", "--dir", str(self.up)))
        return told

    def restart_all(self) -> dict[str, Any]:
        """`muster restart`: every part in waves; what it printed."""
        told: dict[str, Any] = json.loads(self.muster("restart", "--dir", str(self.up)))
        return told

    def close(self) -> None:
        """Take it down and remove the folder."""
        if self.up.is_dir():
            self.go_down()
        super().close()

    @property
    def state(self) -> dict[str, Any]:
        """What the supervisor says now."""
        said: dict[str, Any] = json.loads((self.up / "up.json").read_text())
        return said

    def pid_of(self, program: str) -> int:
        """The process that runs a program now. Raises KeyError while none does."""
        return int(self.state["pids"][program])

    def send(self, program: str, number: signal.Signals) -> None:
        """Send a signal to the process of a program."""
        os.kill(self.pid_of(program), number)

    def wait_started(self, program: str, times: int) -> None:
        """Until a program was started that often and accepts connections. Raises TimeoutError."""
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            state = self.state
            if state["starts"][program] >= times and program in state["pids"] and self._answers(program, state):
                return
            time.sleep(0.05)
        raise TimeoutError(self.logs())

    def _answers(self, program: str, state: dict[str, Any]) -> bool:
        part, _, number = program.rpartition("-")
        part, place = (part, int(number) - 1) if number.isdecimal() else (program, 0)
        addresses = {**state["grpc"], **state["addresses"]}.get(part)
        if addresses is None:  # a server
            return True
        host, _, port = addresses[place].rpartition(":")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1.0):
            return True
        return False

    def logs(self) -> str:
        """The ends of all logs, for failure messages."""
        files = sorted((self.up / "logs").glob("*.log"))
        return "\n".join(f"== {file.stem}\n{file.read_text(errors='replace')[-2000:]}" for file in files)


FAST_PASSWORDS = {"MUSTER_PASSWORD_ROUNDS": "1", "MUSTER_PASSWORD_MEMORY_KIB": "1024"}
LOCAL_RECEIVERS = {  # of webhooks, on this machine
    "MUSTER_WEBHOOK_NETWORKS": "127.0.0.1/32",
    "MUSTER_WEBHOOK_PLAIN_HTTP": "on",
    "MUSTER_WEBHOOK_TIMEOUT_S": "2",
}


@contextlib.contextmanager
def private_distributed(
    *, applications: int = 1, environment: Mapping[str, str] | None = None
) -> Iterator[DistributedDeployment]:
    """A distributed deployment with servers of its own (benchmarks, and tests that hurt it)."""
    with (
        PrivateMariaDB() as mariadb,
        PrivateRedis() as redis,
        DistributedDeployment(mariadb, redis.url, applications=applications, environment=environment) as deployment,
    ):
        yield deployment


def statuses(deployment: Deployment) -> str:
    """Which parts run, for failure messages."""
    return json.dumps({name: part.process is not None for name, part in deployment.parts.items()})
