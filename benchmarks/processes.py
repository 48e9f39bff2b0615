"""Processes of a benchmark: started, waited for and ended."""

import contextlib
import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STARTED_S = 60.0
AT_REST = 0.08  # of a second of CPU per second: what an idle process spends on its clocks and leases


class NotStarted(RuntimeError):
    """A process did not answer in time; the message is what it printed."""


@contextlib.contextmanager
def python(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process with these arguments, killed at the end of the block."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def answers(port: int, path: str, process: "subprocess.Popen[bytes]", status: Sequence[int] = (200,)) -> float:
    """Wait until `path` answers with one of the statuses; the reading of `perf_counter` then. Raises NotStarted."""
    until = time.monotonic() + STARTED_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise NotStarted(f"the process ended with {process.returncode}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            try:
                connection.request("GET", path)
                if connection.getresponse().status in status:
                    return time.perf_counter()
            finally:
                connection.close()
        time.sleep(0.005)
    raise NotStarted(f"no answer on port {port} within {STARTED_S:g} s")


def wait_for_rest(pids: Sequence[int]) -> None:
    """Until these processes have used hardly any CPU for a second (Linux only). Raises NotStarted."""
    for _ in range(int(STARTED_S)):
        before = cpu_s(pids)
        time.sleep(1.0)
        if cpu_s(pids) - before < AT_REST * len(pids):
            return
    raise NotStarted(f"still busy {STARTED_S:g} s after the last request")


def cpu_s(pids: Sequence[int]) -> float:
    """Seconds of CPU that these processes have used (Linux only)."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """Memory of a process and its children that is in RAM, in MiB (Linux; 0 elsewhere)."""
    total = 0.0
    for one in (pid, *_children(pid)):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{one}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1]) / 1024
    return total


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
