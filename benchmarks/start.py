"""The embedded form from its command to the first answer, against a FastAPI and gRPC process that does nothing else."""

import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks.figure import Figure, at_most, interleaved
from benchmarks.processes import answers, python
from tests.support.servers import free_port

MOST_S = 3.0


async def starts(*, small: bool = False) -> AsyncIterator[Figure]:
    """Seconds from the command to 200 on /readyz: in an empty folder, and in one with data."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        _embedded(data / "warm")  # the first run of an installation writes its bytecode
        _floor(data)
        numbers = iter(range(100))

        async def empty() -> float:
            return _embedded(data / str(next(numbers)))

        async def again() -> float:
            return _embedded(data / "warm")

        async def floor() -> float:
            return _floor(data)

        for name, ours in (("an empty folder", empty), ("a folder with data", again)):
            least, taken = await interleaved(floor, ours, 1 if small else 5)
            yield at_most(f"embedded start in {name}", taken, "s", floor=least, most=MOST_S)


def _embedded(data: Path) -> float:
    port = free_port()
    started = time.perf_counter()
    with python("-m", "interfaces.cli.main", "serve", "--data", str(data), "--port", str(port)) as process:
        return answers(port, "/readyz", process) - started


def _floor(folder: Path) -> float:
    http_port, grpc_port = free_port(), free_port()
    url = f"sqlite:///{folder / 'floor.sqlite3'}"
    started = time.perf_counter()
    arguments = ("-m", "benchmarks.floors.employee_read", "whole", url, "00", str(http_port), str(grpc_port))
    with python(*arguments) as process:
        return answers(http_port, "/openapi.json", process) - started
