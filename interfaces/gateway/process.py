"""`muster run gateway`: this process becomes Envoy, once the configuration that it wrote is found valid."""

import json
import math
import os
import subprocess
from pathlib import Path
from typing import NoReturn

from chassis.settings import Settings
from interfaces.gateway.bootstrap import LISTEN, bootstrap
from interfaces.gateway.envoy import LINELESS, envoy_program, of_a_line
from interfaces.gateway.routes import ANSWERS_FIRST_S

VALIDATE_S = 30
MOST_LOG = 2000
LONGEST_DRAIN_S = 30


class ConfigurationRefused(RuntimeError):
    """Envoy does not take the configuration; the message carries its words."""


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


def become_envoy(settings: Settings) -> NoReturn:
    """Replace this process by Envoy, which serves until SIGTERM. Raises as `write_bootstrap`."""
    path = write_bootstrap(settings)
    level = "warning" if settings.log_level == "INFO" else settings.log_level.lower()  # its info is very talkative
    envoy = envoy_program()
    options = ["--log-level", level, "--file-flush-interval-msec", "1000"]
    os.execv(envoy, [envoy, "-c", str(path), *_line(settings), *options])


def _line(settings: Settings) -> list[str]:
    if settings.gateway_epoch is None:
        return LINELESS
    port = settings.listeners.get("gateway", LISTEN).port
    drain_s = min(math.ceil(settings.request_deadline_s + ANSWERS_FIRST_S) + 1, LONGEST_DRAIN_S)
    return of_a_line(port, settings.gateway_epoch, settings.data_dir.absolute(), drain_s)
