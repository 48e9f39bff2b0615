"""Each nominal time is done once, by any number of workers, whoever dies and whatever the clock does."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from chassis.database import Database, SystemScope, SystemTx
from chassis.jobs.job import Firing, Job, Missed, State
from chassis.jobs.times import Every
from chassis.jobs.worker import LEASE, Worker, new_run, purge
from chassis.tables import context_metadata, job_run
from kernel.errors import DomainError, Kind

ROOT = Path(__file__).parents[3]
SCOPE = SystemScope("a test looks at everything")
START = datetime(2026, 11, 23, 9, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class SetClock(Database):
    """A real database with a clock that a test sets."""

    instant = START

    async def now(self) -> datetime:
        return self.instant


class Fleet:
    """Workers of several processes, and what they did."""

    def __init__(self, databases: list[SetClock], kind: type[Worker] = Worker) -> None:
        self.databases = databases
        self.done: Counter[datetime] = Counter()
        self.order: list[datetime] = []
        self.fails: list[Exception] = []
        self.kind = kind

    def set_clock(self, instant: datetime) -> None:
        for database in self.databases:
            database.instant = instant

    async def work(self, firing: Firing) -> None:
        await asyncio.sleep(0)
        if self.fails:
            raise self.fails[0]
        self.done[firing.nominal_time] += 1
        self.order.append(firing.nominal_time)

    def job(self, **options: Any) -> Job:
        return Job("close", Every(1), self.work, **{"pauses_s": (10.0, 60.0), **options})

    def workers(self, job: Job) -> list[Worker]:
        return [self.kind(database, "probe", [job]) for database in self.databases]

    async def look(self, job: Job, worker: Worker) -> None:
        """What a worker does at one look: everything that may be done now."""
        while (firing := await worker.take(job)) is not None:
            await worker.work(job, firing)

    async def all_look(self, job: Job, workers: list[Worker]) -> None:
        await asyncio.gather(*(self.look(job, worker) for worker in workers))

    async def runs(self) -> list[Any]:
        async with self.databases[0].system_read(SCOPE) as tx:
            return list(await tx.rows(sa.select(job_run).order_by(job_run.c.nominal_time)))


@pytest.fixture(params=["sqlite", "mariadb"])
async def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Fleet]:
    """Four workers: on a server each has connections of its own, on SQLite they share the one process's."""
    if request.param == "sqlite":
        urls = [f"sqlite:///{tmp_path}/probe.sqlite3"]
    else:
        urls = [request.getfixturevalue("mariadb").create_database("jobs")] * 4
    async with AsyncExitStack() as stack:
        databases = [SetClock(url, context_metadata(), synchronous="OFF") for url in urls]
        for database in databases:
            stack.push_async_callback(database.close)
        await databases[0].create_tables()
        yield Fleet(databases * (4 // len(databases)))


async def race(fleet: Fleet, minutes: int = 12) -> None:
    job = fleet.job()
    workers = fleet.workers(job)
    for minute in range(minutes):
        fleet.set_clock(START + minute * MINUTE)
        await fleet.all_look(job, workers)


async def test_many_workers_do_each_nominal_time_once(fleet: Fleet) -> None:
    await race(fleet)

    wanted = [START.replace(second=0) + minute * MINUTE for minute in range(1, 12)]
    assert fleet.order == wanted
    assert fleet.done == dict.fromkeys(wanted, 1)
    assert {(row["state"], row["attempts"], row["fence"]) for row in await fleet.runs()} == {("DONE", 1, 1)}


class ForItself(Worker):
    """The planted bug: each process keeps the time by itself, and a run has no key that all share."""

    fired_until: datetime | None = None

    async def _fire(self, tx: SystemTx, job: Job, now: datetime) -> None:
        for nominal_time in job.due(self.fired_until or now, now):
            unique = nominal_time + timedelta(microseconds=int(self.worker_id[-4:], 16))
            await tx.execute(sa.insert(job_run).values(**new_run(job.name, unique, now)))
        self.fired_until = now


async def test_workers_without_one_key_would_fire_more_than_once(fleet: Fleet) -> None:
    fleet.kind = ForItself

    await race(fleet, 4)

    assert fleet.done.total() > 3


@pytest.mark.parametrize(("missed", "minutes"), [(Missed.ONCE, [10]), (Missed.EACH, list(range(1, 11)))])
async def test_after_an_outage_missed_times_are_done_as_the_job_says(
    fleet: Fleet, missed: Missed, minutes: list[int]
) -> None:
    job = fleet.job(missed=missed)
    workers = fleet.workers(job)
    await fleet.all_look(job, workers)

    fleet.set_clock(START + 10 * MINUTE)
    await fleet.all_look(job, workers)

    assert fleet.order == [START.replace(second=0) + minute * MINUTE for minute in minutes]
    assert set(fleet.done.values()) == {1}


class Closed(DomainError):
    """A rule for tests."""

    kind, reason = Kind.RULE, "BOOKS_CLOSED"


async def test_a_failing_run_is_tried_again_later_then_failed_and_others_go_on(fleet: Fleet) -> None:
    job = fleet.job()
    worker = fleet.workers(job)[0]
    await fleet.look(job, worker)
    fleet.fails = [Closed("open the books, then retry")]
    tries = []
    for seconds in (60, 65, 71, 100, 119, 132):
        fleet.set_clock(START + timedelta(seconds=seconds))
        await fleet.look(job, worker)
        tries.append((await fleet.runs())[0]["attempts"])
    failed, *others = await fleet.runs()

    assert tries == [1, 1, 2, 2, 2, 3]
    assert (failed["state"], failed["error"]) == ("FAILED", "close: BOOKS_CLOSED: open the books, then retry")
    assert [row["state"] for row in others] == ["WAITING"]  # the next one had its first try
    fleet.fails = []
    fleet.set_clock(START + timedelta(seconds=145))
    await fleet.look(job, worker)
    assert [row["state"] for row in await fleet.runs()] == ["FAILED", "DONE"]


async def test_an_unexpected_failure_tells_no_values(fleet: Fleet) -> None:
    job = fleet.job(pauses_s=())
    worker = fleet.workers(job)[0]
    await fleet.look(job, worker)
    fleet.fails = [ValueError("secret 110101199003077758")]
    fleet.set_clock(START + MINUTE)
    await fleet.look(job, worker)

    [run] = await fleet.runs()

    assert run["state"] == "FAILED"
    assert "ValueError" in run["error"]
    assert "110101199003077758" not in run["error"]


async def test_a_worker_that_stood_still_loses_the_run_and_records_nothing(fleet: Fleet) -> None:
    job = fleet.job()
    slow, other = fleet.workers(job)[:2]
    await slow.take(job)
    fleet.set_clock(START + MINUTE)
    first = await slow.take(job)
    assert first is not None
    assert await other.take(job) is None

    fleet.set_clock(START + MINUTE + LEASE + timedelta(seconds=1))
    second = await other.take(job)
    assert second is not None
    await slow.work(job, first)
    still = (await fleet.runs())[0]
    await other.work(job, second)

    assert (first.fence, second.fence, second.attempt) == (1, 2, 2)
    assert (still["state"], still["fence"]) == ("RUNNING", 2)
    assert (await fleet.runs())[0]["state"] == "DONE"


async def test_a_worker_that_is_told_to_stop_gives_its_run_back(fleet: Fleet) -> None:
    begun = asyncio.Event()

    async def long(firing: Firing) -> None:
        begun.set()
        await asyncio.sleep(600)

    stopping = Job("close", Every(1), long)
    job = fleet.job()
    worker = fleet.workers(stopping)[0]
    await worker.take(stopping)
    fleet.set_clock(START + MINUTE)
    running = asyncio.create_task(worker.run())
    await begun.wait()

    running.cancel()
    await asyncio.wait({running})
    await fleet.look(job, fleet.workers(job)[1])

    [run] = await fleet.runs()
    assert (run["state"], run["attempts"], run["fence"]) == ("DONE", 1, 2)


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(days=40)])
async def test_no_time_is_done_twice_and_work_goes_on_when_the_clock_jumps_and_comes_back(
    fleet: Fleet, jump: timedelta
) -> None:
    job = fleet.job(missed=Missed.EACH)
    workers = fleet.workers(job)
    moments = [0, 1, 2, 3]
    away = [jump + minute * MINUTE for minute in (0, 1)]
    back = [minute * MINUTE for minute in (4, 5, 66, 67)]
    for offset in [*(minute * MINUTE for minute in moments), *away, *back, *(-one for one in away)]:
        fleet.set_clock(START + offset)
        await fleet.all_look(job, workers)
    before = fleet.done.total()
    fleet.set_clock(START + 68 * MINUTE)
    await fleet.all_look(job, workers)

    assert set(fleet.done.values()) == {1}
    assert START.replace(second=0) + 68 * MINUTE in fleet.done
    assert before >= 3


async def test_what_is_done_is_forgotten_after_its_time_and_what_failed_is_not(fleet: Fleet) -> None:
    await race(fleet, 4)
    async with fleet.databases[0].system(SCOPE) as tx:
        failed = {"state": State.FAILED.value, "attempts": 3, "fence": 3, "finished_time": START}
        await tx.execute(sa.insert(job_run).values(job="close", nominal_time=START, **failed))

    deleted = await purge(fleet.databases[0], START + timedelta(days=31))

    assert deleted == 3
    assert [row["state"] for row in await fleet.runs()] == ["FAILED"]


async def test_two_jobs_of_one_name_are_refused(fleet: Fleet) -> None:
    with pytest.raises(ValueError, match="one name"):
        Worker(fleet.databases[0], "probe", [fleet.job(), fleet.job()])


PROGRAM = """
import asyncio, sys
from chassis.database import Database
from chassis.jobs.job import Job
from chassis.jobs.times import Every
from chassis.jobs.worker import Worker
from chassis.tables import context_metadata

async def hang(firing):
    print("at it", firing.fence, flush=True)
    await asyncio.sleep(600)

async def main():
    await Worker(Database(sys.argv[1], context_metadata()), "probe", [Job("close", Every(1), hang)]).run()

asyncio.run(main())
"""


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come about in time")


@pytest.mark.second_process
async def test_the_run_of_a_killed_process_is_finished_by_another(mariadb: Any) -> None:
    url = mariadb.create_database("killed_job")
    database = Database(url, context_metadata())
    await database.create_tables()
    now = await database.now()
    async with database.system(SCOPE) as tx:
        await tx.execute(sa.insert(job_run).values(**new_run("close", now, now)))
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/protos/gen"}
    victim = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", PROGRAM, url], env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert victim.stdout is not None
    assert await asyncio.to_thread(victim.stdout.readline) == "at it 1\n"
    victim.send_signal(signal.SIGKILL)
    await asyncio.to_thread(victim.wait)
    finished: list[Firing] = []

    async def finish(firing: Firing) -> None:
        finished.append(firing)

    other = asyncio.create_task(Worker(database, "probe", [Job("close", Every(10_080), finish)]).run())
    await until(lambda: bool(finished))
    await asyncio.sleep(0.5)
    other.cancel()
    await asyncio.wait({other})
    async with database.system_read(SCOPE) as tx:
        [run] = await tx.rows(sa.select(job_run).where(job_run.c.job == "close"))
    await database.close()
    victim.stdout.close()

    assert [(one.nominal_time, one.attempt, one.fence) for one in finished] == [(now, 2, 2)]
    assert (run["state"], run["attempts"]) == ("DONE", 2)
