"""What the distributed form is on one machine: servers and parts, their ports, their settings, all in one folder."""

import os
import secrets
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from socket import create_connection

import orjson

from chassis.settings import PREFIX, SERVICE_SUFFIXES
from interfaces.cli.parts import PARTS, SERVICES
from interfaces.cli.private_servers import (
    ANSWER_S,
    Etcd,
    MariaDB,
    Redis,
    ServerFailed,
    ServerProgram,
    free_port,
    is_free,
)
from interfaces.cli.supervisor import Program
from interfaces.gateway.envoy import drain_envoy, envoy_program

HOST = "127.0.0.1"
MARK = "MUSTERUP_DIR"  # every process of a deployment carries its folder, so that `down` finds them all
EDGE, WEB, DATA, MESH, SERVERS = range(5)  # the stages of a drain
HTTP_PARTS = ("application", "push", "gateway")
REPLICATED = (*SERVICES, "application", "gateway")
CONNECTIONS_PER_SERVICE = 20
SPARE_CONNECTIONS = 50


@dataclass(frozen=True)
class Topology:
    """Everything that runs in one folder.

    Invariants: ports and passwords are chosen once per folder and kept in a file of mode 0600; a port that somebody
    else took meanwhile is chosen anew; everything listens on 127.0.0.1.
    """

    folder: Path
    replicas: int
    base_url: str
    environment: Mapping[str, str]  # of an operator's command, and of every part
    addresses: Mapping[str, list[str]]  # host:port of each replica, by part
    programs: tuple[Program, ...]
    dsn: Mapping[str, str]
    redis_url: str
    etcd_url: str

    @property
    def data(self) -> Path:
        """The folder that operators name as --data; the keys stand beside it."""
        return self.folder / "data"

    @property
    def servers(self) -> list[str]:
        """The names of the programs that are no parts of ours."""
        return [one.name for one in self.programs if one.stage == SERVERS]

    @property
    def waves(self) -> list[list[str]]:
        """Who restarts together so that of everything that has replicas one serves; what has none comes last."""
        single = {part for part, replicas in self.addresses.items() if len(replicas) == 1}
        replicated = {part: len(replicas) for part, replicas in self.addresses.items() if part not in single}
        waves = [
            [replica_name(part, number) for part, replicas in replicated.items() if number < replicas]
            for number in reversed(range(self.replicas))
        ]
        return [wave for wave in (*waves, self.named(single)) if wave]

    def named(self, parts: Iterable[str]) -> list[str]:
        """The names of the programs that run these parts."""
        wanted = set(parts)
        return [one.name for one in self.programs if one.stage != SERVERS and part_of(one.name) in wanted]


def part_of(name: str) -> str:
    """The part that a program runs: `organization-2` is the second of `organization`."""
    part, _, number = name.rpartition("-")
    return part if number.isdecimal() else name


def replica_name(part: str, number: int) -> str:
    """How the replica of a part is called, from 0."""
    return part if number == 0 else f"{part}-{number + 1}"


def topology(folder: Path, port: int, replicas: int, surroundings: Mapping[str, str] | None = None) -> Topology:
    """Lay out a folder, made where it is missing. Raises ServerMissing, EnvoyMissing, ServerFailed (port taken)."""
    folder = folder.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "logs").mkdir(mode=0o700, exist_ok=True)
    kept = _Kept.open(folder / "ports.json")
    password = kept.secret("mariadb"), kept.secret("redis")
    names = {service: f"muster_{service}" for service in SERVICES}
    mariadb = MariaDB(
        folder / "mariadb",
        kept.port("mariadb"),
        password=password[0],
        databases=tuple(names.values()),
        connections=SPARE_CONNECTIONS + CONNECTIONS_PER_SERVICE * len(SERVICES) * replicas,
    )
    redis = Redis(folder / "redis", kept.port("redis"), password=password[1])
    etcd = Etcd(folder / "etcd", kept.port("etcd"), peer_port=kept.port("etcd-peer"))
    envoy_program()
    addresses = {
        part: [f"{HOST}:{_port(kept, part, number, port)}" for number in range(_count(part, replicas))]
        for part in PARTS
    }
    dsn = {service: mariadb.url(name) for service, name in names.items()}
    environment = {
        **_inherited(os.environ if surroundings is None else surroundings),
        "PATH": _path(),
        MARK: str(folder),
        "MUSTER_DATA_DIR": str(folder / "data"),
        "MUSTER_REDIS_URL": redis.url,
        **{f"MUSTER_{service.upper()}_DATABASE_URL": url for service, url in dsn.items()},
        "MUSTER_REGISTRY_URL": f"etcd://{HOST}:{etcd.port}",
        "MUSTER_CONTROL_PLANE_ADDRESS": ",".join(addresses["control-plane"]),
    }
    parts = [
        _part(folder, part, number, address, environment, kept)
        for part in PARTS
        for number, address in enumerate(addresses[part])
    ]
    servers = [_server(folder, one, environment) for one in (mariadb, redis, etcd)]
    kept.save()
    base_url = f"http://{addresses['gateway'][0]}"
    programs = (*servers, *parts)
    return Topology(folder, replicas, base_url, environment, addresses, programs, dsn, redis.url, etcd.url)


def _count(part: str, replicas: int) -> int:
    return replicas if part in REPLICATED else 1


def _port(kept: "_Kept", part: str, number: int, wanted: int) -> int:
    if not (wanted and part == "gateway" and number == 0):
        return kept.port(replica_name(part, number))
    if not is_free(wanted):
        raise ServerFailed(f"port {wanted} of {HOST} is taken: choose another one with --port (0: any that is free)")
    return wanted


def _path() -> str:
    """Where programs are looked for: beside this Python first, where pip put Envoy."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def _inherited(surroundings: Mapping[str, str]) -> dict[str, str]:
    """The caller's settings (deadlines, password costs) without addresses and databases, which are ours to say."""
    suffixes = tuple(f"_{suffix}" for suffix in SERVICE_SUFFIXES)
    return {
        name: value
        for name, value in surroundings.items()
        if not (name.startswith(PREFIX) and name.endswith(suffixes)) and name != "PYTHONDONTWRITEBYTECODE"
    }


def _server(folder: Path, server: ServerProgram, environment: Mapping[str, str]) -> Program:
    def prepare() -> None:
        server.prepare()

    # The servers see no setting of ours: passwords are in files.
    own = {name: value for name, value in environment.items() if not name.startswith(PREFIX)}
    return Program(
        server.name, server.command(), own, server.folder, folder / "logs" / f"{server.name}.log", server.answers,
        SERVERS, prepare,
    )  # fmt: skip


def _part(folder: Path, part: str, number: int, address: str, environment: Mapping[str, str], kept: "_Kept") -> Program:
    variable = "HTTP" if part == "application" else part.upper().replace("-", "_")
    own = {**environment, f"MUSTER_{variable}_LISTEN": address}
    drain, epoch = _nothing, ""
    if part == "gateway":
        own["MUSTER_GATEWAY_ADMIN_LISTEN"] = admin = f"{HOST}:{kept.port(f'{replica_name(part, number)}-admin')}"
        data, port = Path(environment["MUSTER_DATA_DIR"]), int(address.rpartition(":")[2])
        drain, epoch = partial(drain_envoy, admin, port, data), "MUSTER_GATEWAY_EPOCH"
    stage = {"gateway": EDGE, "application": WEB, "push": WEB, "control-plane": MESH, "ratelimit": MESH}
    name = replica_name(part, number)
    return Program(
        name,
        [sys.executable, "-m", "interfaces.cli.main", "run", part],
        own,
        folder,
        folder / "logs" / f"{name}.log",
        _http_ready(address) if part in HTTP_PARTS else _accepts(address),
        stage.get(part, DATA),
        drain=drain,
        epoch=epoch,
    )


def _nothing() -> None:
    return None


def _http_ready(address: str) -> Callable[[int], bool]:
    def answers(pid: int) -> bool:
        connection = HTTPConnection(address, timeout=ANSWER_S)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    return answers


def _accepts(address: str) -> Callable[[int], bool]:
    """A gRPC part listens once it serves."""
    host, _, port = address.rpartition(":")

    def answers(pid: int) -> bool:
        try:
            create_connection((host, int(port)), timeout=ANSWER_S).close()
        except OSError:
            return False
        return True

    return answers


class _Kept:
    """Ports and passwords of a folder over its starts."""

    def __init__(self, file: Path, ports: dict[str, int], words: dict[str, str]) -> None:
        self._file = file
        self._ports = ports
        self._secrets = words

    @classmethod
    def open(cls, file: Path) -> "_Kept":
        held = orjson.loads(file.read_bytes()) if file.exists() else {"ports": {}, "secrets": {}}
        return cls(file, held["ports"], held["secrets"])

    def port(self, name: str) -> int:
        port = self._ports.get(name)
        if port is None or not is_free(port):
            port = free_port()
            while port in self._ports.values():
                port = free_port()
            self._ports[name] = port
        return port

    def secret(self, name: str) -> str:
        return self._secrets.setdefault(name, secrets.token_hex(16))

    def save(self) -> None:
        write_private(self._file, {"ports": self._ports, "secrets": self._secrets})


def write_private(file: Path, value: object) -> None:
    """Replace a JSON file as a whole, readable by its owner only."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2))
    fresh.replace(file)
