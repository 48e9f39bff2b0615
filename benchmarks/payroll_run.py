"""A payroll run end to end: from POST calculate to CALCULATED, against writing the same rows with nothing computed."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from uuid import UUID

from benchmarks.company import Company
from benchmarks.figure import ROUNDS, Figure, at_most, interleaved
from benchmarks.floors.rows import Written, read_mariadb, read_sqlite, write_mariadb, write_sqlite
from benchmarks.processes import resident_mib, wait_for_rest
from tests.support.deployment import Deployment, DistributedDeployment, EmbeddedDeployment
from tests.support.servers import PrivateMariaDB, PrivateRedis

MOST_US, MOST_MORE_MIB = 250.0, 50.0
MOST_RATIO = {"embedded": 5.0, "MariaDB": 3.0}
POLL_S, RUN_S, MEMORY_EVERY_S = 0.1, 600.0, 0.25
ORDINARY, LARGE, SMALL = 10_000, 100_000, 500
ABOUT_LINES = (13.0, 19.0)


@dataclass(slots=True)
class Measured:
    """One size on one kind of deployment: medians in microseconds per employee, and the highest memory seen."""

    taken_us: float
    floor_us: float
    peak_mib: float


class Stage:
    """A deployment with a loaded company that can be set back to the moment before its first run.

    Invariants: a measured run finds fresh processes and the same data each time.
    """

    kind: str
    deployment: Deployment

    async def read(self, run_id: UUID) -> Written:
        """The rows that the run wrote."""
        raise NotImplementedError

    async def write_floor(self, written: Written) -> float:
        """Seconds that writing the same rows takes."""
        raise NotImplementedError

    def set_back(self) -> None:
        """Fresh processes on the data as they were at the first call."""
        for part in reversed(self.deployment.parts.values()):
            part.terminate()
        self._set_data_back()
        for part in self.deployment.parts.values():
            part.start()
        self.deployment.wait_ready(self.deployment.base_url)

    def _set_data_back(self) -> None:
        raise NotImplementedError

    def memory_mib(self) -> float:
        """What the processes that calculate hold."""
        parts = self.deployment.parts
        names = [name for name in parts if name in ("serve", "payroll") or name.startswith("application")]
        return sum(resident_mib(parts[name].pid) for name in names)


class EmbeddedStage(Stage):
    """One process, SQLite."""

    kind = "embedded"

    def __init__(self, deployment: EmbeddedDeployment, folder: Path) -> None:
        self.deployment = deployment
        self._data = deployment.folder / "data"
        self._kept = folder / "kept"
        self._folder = folder

    async def read(self, run_id: UUID) -> Written:
        return await asyncio.to_thread(read_sqlite, self._data / "payroll.sqlite3", run_id.bytes)

    async def write_floor(self, written: Written) -> float:
        return await asyncio.to_thread(write_sqlite, written, self._folder)

    def _set_data_back(self) -> None:
        _keep_or_set_back(self._data, self._kept)


class MariaDBStage(Stage):
    """Every part a process, MariaDB and Redis."""

    kind = "MariaDB"

    def __init__(self, deployment: DistributedDeployment, mariadb: PrivateMariaDB, redis: PrivateRedis) -> None:
        self.deployment = deployment
        self._mariadb = mariadb
        self._redis = redis

    async def read(self, run_id: UUID) -> Written:
        return await read_mariadb(self.deployment.environment["MUSTER_PAYROLL_DATABASE_URL"], run_id.bytes)

    async def write_floor(self, written: Written) -> float:
        return await write_mariadb(written, await asyncio.to_thread(self._mariadb.create_database, "floor"))

    def _set_data_back(self) -> None:
        self._mariadb.stop()
        _keep_or_set_back(self._mariadb.folder / "data", self._mariadb.folder / "kept")
        self._mariadb.start()
        self._redis.flush()  # it knows of events that have not happened now


def _keep_or_set_back(data: Path, kept: Path) -> None:
    if not kept.exists():
        shutil.copytree(data, kept)
        return
    shutil.rmtree(data)
    shutil.copytree(kept, data)


@contextmanager
def _embedded() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory() as folder, EmbeddedDeployment() as deployment:
        yield EmbeddedStage(deployment, Path(folder))


@contextmanager
def _on_mariadb() -> Iterator[Stage]:
    with (
        PrivateMariaDB(flush_at_commit=1) as mariadb,
        PrivateRedis() as redis,
        DistributedDeployment(mariadb, redis.url) as deployment,
    ):
        yield MariaDBStage(deployment, mariadb, redis)


async def payroll_runs(*, small: bool = False, large: bool = False) -> AsyncIterator[Figure]:
    """Microseconds per employee and memory: at 10,000 employees, and with `large` at 100,000 too."""
    sizes = [SMALL] if small else [ORDINARY, LARGE] if large else [ORDINARY]
    for staged in (_embedded, _on_mariadb):
        peaks = []
        for employees in sizes:
            with staged() as stage:
                async with Company(stage.deployment) as company:
                    kind = stage.kind
                    async for loading in _loaded(stage, company, employees):
                        yield loading
                    measured = await _measure(stage, company, employees, 1 if small else ROUNDS)
            peaks.append(measured.peak_mib)
            yield at_most(
                f"payroll run, {kind}, {employees:,} employees",
                measured.taken_us,
                "us/employee",
                floor=measured.floor_us,
                ratio=MOST_RATIO[kind],
                most=MOST_US,
            )
        if len(peaks) == 2:
            name = f"payroll run, {kind}, memory at {LARGE:,} above {ORDINARY:,} employees"
            yield at_most(name, peaks[1] - peaks[0], "MiB", most=MOST_MORE_MIB)


async def _loaded(stage: Stage, company: Company, employees: int) -> AsyncIterator[Figure]:
    for step, seconds in (await company.loaded(employees)).items():
        name = f"loading, {stage.kind}, {employees:,} employees: {step}"
        yield Figure(name, seconds / employees * 1e6, "us/employee")


async def _measure(stage: Stage, company: Company, employees: int, rounds: int) -> Measured:
    await asyncio.to_thread(wait_for_rest, [part.pid for part in stage.deployment.parts.values()])
    await asyncio.to_thread(stage.set_back)
    _, _, run_id = await _one_run(stage, company, employees)
    written = await stage.read(run_id)
    await _must_be_about_15_lines(company, run_id)
    peaks = []

    async def floor() -> float:
        return await stage.write_floor(written) / employees * 1e6

    async def ours() -> float:
        await asyncio.to_thread(stage.set_back)
        seconds, peak, _ = await _one_run(stage, company, employees)
        peaks.append(peak)
        return seconds / employees * 1e6

    floor_us, taken_us = await interleaved(floor, ours, rounds)
    return Measured(taken_us, floor_us, median(peaks))


async def _one_run(stage: Stage, company: Company, employees: int) -> tuple[float, float, UUID]:
    """Seconds from POST calculate to CALCULATED, the highest memory meanwhile (MiB), and the run."""
    run_id = await company.new_run()
    peak = 0.0
    started = time.perf_counter()
    await company.ask("POST", f"/v1/payroll-runs/{run_id}/calculate")
    look_again = 0.0
    while True:
        run = await company.ask("GET", f"/v1/payroll-runs/{run_id}")
        now = time.perf_counter()
        if now > look_again:
            peak = max(peak, stage.memory_mib())
            look_again = now + MEMORY_EVERY_S
        if run["status"] == "CALCULATED":
            break
        if now - started > RUN_S:
            raise TimeoutError(f"the run is {run['status']} after {RUN_S:g} s: {run['progress']}")
        await asyncio.sleep(POLL_S)
    progress = run["progress"]
    if (progress["done"], progress["blocked"]) != (employees, 0):
        raise AssertionError(f"{employees} payslips were expected: {progress}")
    return now - started, peak, UUID(run_id)


async def _must_be_about_15_lines(company: Company, run_id: UUID) -> None:
    page = await company.ask("GET", f"/v1/payroll-runs/{run_id}/payslips?limit=40")
    lines = [len((await company.ask("GET", f"/v1/payslips/{one['id']}"))["lines"]) for one in page["data"]]
    mean = sum(lines) / len(lines)
    if not ABOUT_LINES[0] <= mean <= ABOUT_LINES[1]:
        raise AssertionError(f"these payslips have {mean:.1f} lines, about 15 are promised")
