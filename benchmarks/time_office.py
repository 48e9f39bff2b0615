"""The time office: punches in bulk, punches one by one at half of capacity, and closing a month, embedded."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import date, datetime, timedelta
from itertools import count
from math import inf
from pathlib import Path
from statistics import median
from uuid import uuid4

import httpx
import orjson

from benchmarks.company import BATCH, SHANGHAI, WORKDAYS, Company, punch_id
from benchmarks.figure import Figure, at_least_so_many, at_most, percentile
from benchmarks.floors.rows import read_punches, write_sqlite
from tests.support.deployment import EmbeddedDeployment
from tests.support.flood import Ask, Flood

EMPLOYEES, SMALL = 10_000, 500
STORED = 1_000_000  # punches, after which one more must take no longer
CONNECTIONS, CAPACITY_S, STEADY_S, ROUNDS = 16, 4.0, 8.0, 5
ANSWER_S = 30.0
TURNED_AWAY, PAUSE_S = 503, 0.05  # what a server that has enough to do answers, and how soon one asks again
SENDERS = 4
DURABLE_BYTES = 16 * 1024  # what a commit of one punch adds to the log, or so
P99_MS, GROWTH, BULK, CLOSE_S = 20.0, 1.2, 10_000.0, 30.0
FIRST = datetime(2026, 11, 2, 9, 0, tzinfo=SHANGHAI)
MONTHS = (8, 9, 10)  # the last is closed


async def time_office(*, small: bool = False) -> AsyncIterator[Figure]:
    """Everybody of 10,000 punches: in bulk, one by one with few and with a million punches stored, and the month's end.

    Two companies are asked in turns, one with few punches and one with a million: what the machine itself becomes
    slower or faster meanwhile is no growth.
    """
    employees = SMALL if small else EMPLOYEES
    async with AsyncExitStack() as stack:
        companies = []
        for _ in range(2):
            deployment = stack.enter_context(EmbeddedDeployment())
            company = await stack.enter_async_context(Company(deployment, punching_one_in=1))
            await company.publish()
            await company.hire(employees)
            await company.on_roster()
            companies.append(company)
        few, many = companies

        stored = seconds = 0.0
        for month in MONTHS[-1:] if small else MONTHS:
            punches = many.punches(_workdays(month), employees)
            seconds += await _sent(many, punches)
            stored += len(punches)
        if stored < STORED and not small:
            raise AssertionError(f"{stored:,.0f} punches are stored, {STORED:,} are promised")
        rounds = await _at_half_of_capacity(_OneByOne(few), _OneByOne(many), small)
        rate, few_ms, many_ms, bare_ms = (median(values) for values in zip(*rounds, strict=True))
        yield Figure("punches one by one, as many as it takes, embedded", rate * 2, "punches/s")
        yield at_most("punch p99 at half of that rate, embedded", few_ms, "ms", floor=bare_ms, most=P99_MS)
        name = "punch p99 at that rate with a million punches stored, embedded"
        yield at_most(name, many_ms, "ms", floor=few_ms, ratio=GROWTH, most=P99_MS)

        # The floor keeps the disk busy beyond its end: what waits for the disk is measured before it.
        floor = await asyncio.to_thread(_floor, many.deployment.folder / "data" / "attendance.sqlite3")
        yield at_least_so_many("bulk punches, embedded", stored / seconds, "punches/s", floor=floor, least=BULK)

        started = time.perf_counter()
        await many.close_month()
        name = f"closing the month of {employees:,} people who all punch, embedded"
        yield at_most(name, time.perf_counter() - started, "s", most=CLOSE_S)


async def _at_half_of_capacity(
    few: "_OneByOne", many: "_OneByOne", small: bool
) -> Sequence[tuple[float, float, float, float]]:
    """By round: half of the most that `few` takes per second; the 99th percentiles of both at that rate, and the bare.

    Latencies in ms, from when each punch was due.
    """
    capacity_s, steady_s, rounds = (1.0, 1.0, 1) if small else (CAPACITY_S, STEADY_S, ROUNDS)
    measured = []
    for company in (few, many):
        await company.as_fast_as_it_can(1.0)
    for _ in range(rounds):
        half = await few.as_fast_as_it_can(capacity_s) / 2
        few_ms = await few.p99_ms(half, steady_s)
        bare_ms = await asyncio.to_thread(_bare_p99_ms, few.company.deployment.folder, half, steady_s / 2)
        measured.append((half, few_ms, await many.p99_ms(half, steady_s), bare_ms))
    for company in (few, many):
        company.close()
    return measured


def _workdays(month: int) -> Sequence[date]:
    """As many days as October has workdays, from Monday to Friday."""
    first = date(2026, month, 1)
    days = [first + timedelta(days=offset) for offset in range(28)]
    return WORKDAYS if month == WORKDAYS[0].month else [day for day in days if day.weekday() < 5][: len(WORKDAYS)]


class _OneByOne:
    """Punches over REST, each of another person, and for the same person ten minutes later."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self._flood = Flood(company.deployment.base_url)  # a client that takes little of the machine
        self._headers: dict[str, str] = {}
        self._numbers = count()

    async def as_fast_as_it_can(self, seconds: float) -> float:
        """Punches per second, each connection with the next one once it was answered."""
        self._headers = {"Authorization": f"Bearer {await self.company.token()}"}
        end = time.perf_counter() + seconds
        done = 0

        async def connection() -> None:
            nonlocal done
            while time.perf_counter() < end:
                if await self._punch():
                    done += 1
                else:
                    await asyncio.sleep(PAUSE_S)

        started = time.perf_counter()
        await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
        return done / (time.perf_counter() - started)

    async def p99_ms(self, rate: float, seconds: float) -> float:
        """The 99th percentile in ms at so many punches per second, from when each was due; one turned away is never."""
        self._headers = {"Authorization": f"Bearer {await self.company.token()}"}
        taken: list[float] = []

        async def one(due: float) -> None:
            punched = await self._punch()
            taken.append(time.perf_counter() - due if punched else inf)

        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(max(int(rate * seconds), 1)):
                due = started + number / rate
                await asyncio.sleep(max(due - time.perf_counter(), 0))
                group.create_task(one(due))
        return percentile(sorted(taken), 0.99) * 1000

    def close(self) -> None:
        """Close the connections."""
        self._flood.close()

    async def _punch(self) -> bool:
        """Whether it was taken: more than that is turned away with 503. Raises AssertionError otherwise."""
        turn, person = divmod(next(self._numbers), len(self.company.ids))
        at = FIRST + timedelta(minutes=10 * turn)
        body = {
            "punch_id": punch_id(at),
            "employee_id": self.company.ids[person],
            "punched_at": at.isoformat(),
            "source": "MOBILE",
        }
        async with asyncio.timeout(ANSWER_S):
            status = await self._flood.exchange(Ask("punch", "/v1/punches", self._headers, orjson.dumps(body)))
        if status not in (TURNED_AWAY, 200, 201):
            raise AssertionError(f"a punch was answered with {status}")
        return status != TURNED_AWAY


async def _sent(company: Company, punches: Sequence[dict[str, object]]) -> float:
    """Seconds in which these punches are recorded, 500 per request, four requests at a time."""
    bodies = [orjson.dumps({"punches": punches[start : start + BATCH]}) for start in range(0, len(punches), BATCH)]
    waiting = iter(bodies)
    headers = {"Authorization": f"Bearer {await company.token()}", "Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=company.deployment.base_url, headers=headers, timeout=60.0) as client:

        async def sender() -> None:
            for body in waiting:
                answer = await client.post("/v1/punches/batch", content=body, headers={"Idempotency-Key": str(uuid4())})
                answer.raise_for_status()
                refused = [one["refusal"] for one in answer.json()["results"] if one["refusal"]]
                if refused:
                    raise AssertionError(f"a punch was refused: {refused[0]}")

        started = time.perf_counter()
        await asyncio.gather(*(sender() for _ in range(SENDERS)))
        return time.perf_counter() - started


def _bare_p99_ms(folder: Path, rate: float, seconds: float) -> float:
    """The 99th percentile of what half of a processor's time and one small durable write cost, at the same rate.

    That is what this machine makes of a punch when nothing stands in its way: at the highest rate, which is twice this
    one, each takes so much of the one thread that serves them.
    """
    taken = []
    with open(folder / "disk", "wb", buffering=0) as file:
        started = time.perf_counter()
        for number in range(max(int(rate * seconds), 1)):
            due = started + number / rate
            time.sleep(max(due - time.perf_counter(), 0))
            busy_until = time.thread_time() + 0.5 / rate
            while time.thread_time() < busy_until:
                pass
            file.write(b"x" * DURABLE_BYTES)
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - due)
    return percentile(sorted(taken), 0.99) * 1000


def _floor(path: Path) -> float:
    """Punches per second when the same rows are written bare."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        for file in path.parent.glob(f"{path.name}*"):
            shutil.copy(file, Path(folder, file.name))
        written = read_punches(copy)
        return written.count / write_sqlite(written, Path(folder))
