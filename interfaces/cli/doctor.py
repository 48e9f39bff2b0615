"""What is missing or unsafe on this machine, and how to mend it."""

import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chassis.keyring import open_to_others
from chassis.settings import Settings, SettingsProblem
from interfaces.cli.parts import PARTS
from interfaces.cli.private_servers import SEARCH_PATH
from interfaces.gateway.envoy import EnvoyMissing, envoy_program

FREE_BYTES = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One thing looked at: whether it is fine, whether the embedded form needs it, and what to do where it is not."""

    subject: str
    fine: bool
    message: str
    needed: bool = True


def examine() -> list[Finding]:
    """Everything at once, what is fine included."""
    return list(_findings())


def _findings() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", sys.version_info >= (3, 11), f"{version}; 3.11 or newer is needed")
    for module in ("grpc", "sqlalchemy", "fastapi", "orjson", "joserfc", "protovalidate"):
        there = importlib.util.find_spec(module) is not None
        yield Finding(module, there, "installed" if there else "missing: run `make setup`")
    try:
        settings = Settings.read(services=PARTS)
    except SettingsProblem as problem:
        yield Finding("environment", False, "; ".join(problem.problems))
        return
    yield Finding("environment", True, "every MUSTER_* variable can be read")
    yield from _folders(settings)
    listener = settings.http_listener
    yield _port(listener.host, listener.port)
    yield from _programs()


def _programs() -> Iterator[Finding]:
    """What `muster up` starts; the embedded form needs none of it."""
    for name, package in (("mariadbd", "mariadb-server"), ("redis-server", "redis-server"), ("etcd", "etcd-server")):
        found = shutil.which(name, path=SEARCH_PATH)
        told = found or f"missing: only `muster up` and `make test` need it: sudo apt-get install -y {package}"
        yield Finding(name, found is not None, told, needed=False)
    try:
        yield Finding("envoy", True, envoy_program(), needed=False)
    except EnvoyMissing as missing:
        yield Finding("envoy", False, f"only `muster up` and `make test` need it: {missing}", needed=False)


def _folders(settings: Settings) -> Iterator[Finding]:
    data = settings.data_dir.absolute()
    parent = next(folder for folder in (data, *data.parents) if folder.exists())
    yield Finding("data folder", os.access(parent, os.W_OK), f"{data}; {parent} must be writable")
    free = shutil.disk_usage(parent).free
    yield Finding("disk", free > FREE_BYTES, f"{free // (1 << 20)} MiB free; 1 GiB is advised")
    for path in (settings.keyring, settings.assertion_key):
        yield _secret(path)


def _secret(path: Path) -> Finding:
    if not path.exists():
        return Finding(path.name, True, f"{path} will be made at the first start")
    mode = path.stat().st_mode & 0o777
    return Finding(path.name, not open_to_others(path), f"{path} has mode {mode:o}; run: chmod 600 {path}")


def _port(host: str, port: int) -> Finding:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return Finding("port", False, f"{host}:{port} cannot be used ({error.strerror}); choose one with --port")
    return Finding("port", True, f"{host}:{port} is free")
