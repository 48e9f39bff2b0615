"""Does the jobs of one data service, beside any number of other processes that do the same."""

import asyncio
import os
import random
import secrets
import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy.engine import RowMapping

from chassis.bus.consumer import why
from chassis.database import Database, Duplicate, Lock, Prepared, SystemScope, SystemTx, Unavailable
from chassis.jobs.job import Firing, Job, State
from chassis.tables import job_head, job_run

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=15)
RENEW_S = 4.0
LOOK_S = 2.0  # how late a dead worker's run, or what an operator asked for, is noticed
JUMP = timedelta(hours=1)  # a clock set back by more is believed
GIVE_UP_S = 0.5
KEPT = timedelta(days=30)
PURGE_ROWS = 1000
ERROR_LENGTH = 300

# Not "job": that is Prometheus' own label of what it scrapes.
RUNS = Counter("muster_job_runs_total", "Tries at background work", ("context", "name", "outcome"))
FAILED = Gauge("muster_job_failed", "Runs that failed for good and wait for an operator", ("context", "name"))
LAG = Gauge("muster_job_lag_seconds", "How long the oldest run that is not done has been due", ("context", "name"))

_SCOPE = SystemScope("jobs are the data service's own, of no tenant")
_OPEN = (State.WAITING.value, State.RUNNING.value)
_HEAD_OF = Prepared(sa.select(job_head).where(job_head.c.name == sa.bindparam("job")))
_OLDEST_OF = Prepared(
    sa.select(job_run)
    .where(job_run.c.job == sa.bindparam("job"), job_run.c.state.in_(_OPEN))
    .order_by(job_run.c.nominal_time)
    .limit(1)
)
_FAILED_OF = Prepared(
    sa.select(sa.func.count().label("count"))
    .select_from(job_run)
    .where(job_run.c.job == sa.bindparam("job"), job_run.c.state == State.FAILED.value)
)


class Worker:
    """Fires nominal times, takes runs and does them.

    Invariants: a nominal time is fired once, by the unique key of its run; one process at a time does a job's run,
    holding a lease by the database's clock; what a process did after it lost the lease is not recorded (the fence);
    times that passed unseen are fired by the job's rule.
    """

    def __init__(self, database: Database, context: str, jobs: Sequence[Job]) -> None:
        """Raises ValueError for two jobs of one name."""
        if len({job.name for job in jobs}) != len(jobs):
            raise ValueError("two jobs of a data service have one name")
        self.worker_id = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._database = database
        self._context = context
        self._jobs = tuple(jobs)

    async def run(self) -> None:
        """Work until cancelled. For `Lifecycle.spawn`."""
        async with asyncio.TaskGroup() as tasks:
            for job in self._jobs:
                tasks.create_task(self._keep(job), name=f"{self._context} job {job.name}")

    async def _keep(self, job: Job) -> None:
        while True:
            try:
                firing = await self.take(job)
                if firing is not None:
                    await self.work(job, firing)
                    continue
            except Unavailable as error:
                log.warning("job waits for its database", job=job.name, error=type(error).__name__)
            await asyncio.sleep(random.uniform(0.8, 1.0) * LOOK_S)  # jobs that began together need not look together

    async def take(self, job: Job) -> Firing | None:
        """Fire what is due and take the oldest run that may be tried now, if there is one. Raises Unavailable."""
        now = await self._database.now()
        async with self._database.system_read(_SCOPE) as tx:
            head = await tx.row(_HEAD_OF, {"job": job.name})
            oldest = await tx.row(_OLDEST_OF, {"job": job.name})
            FAILED.labels(self._context, job.name).set((await tx.rows(_FAILED_OF, {"job": job.name}))[0]["count"])
        late = 0.0 if oldest is None else (now - oldest["nominal_time"]).total_seconds()
        LAG.labels(self._context, job.name).set(max(late, 0.0))
        due = head is None or job.due(head["fired_until"], now) or head["fired_until"] > now + JUMP
        if not due and (oldest is None or not _may_be_tried(oldest, now)):
            return None
        return await self._take(job, now)

    async def _take(self, job: Job, now: datetime) -> Firing | None:
        async with self._database.system(_SCOPE) as tx:
            await self._fire(tx, job, now)
            run = await tx.row(_OLDEST_OF, {"job": job.name})
            if run is None or not _may_be_tried(run, now):
                return None
            mine = _as_seen(run)
            if run["state"] == State.RUNNING.value:
                log.warning(
                    "job's worker is gone", job=job.name, nominal_time=run["nominal_time"], worker=run["worker"]
                )
                RUNS.labels(self._context, job.name, "abandoned").inc()
                if run["attempts"] >= job.tries:
                    lost = f"{job.name}: the worker died or stood still at the last try"
                    await tx.execute(sa.update(job_run).where(mine).values(**_failed(now, lost)))
                    return None
            firing = Firing(job.name, run["nominal_time"], run["attempts"] + 1, run["fence"] + 1)
            taken = {
                "state": State.RUNNING.value,
                "attempts": firing.attempt,
                "fence": firing.fence,
                "worker": self.worker_id,
                "lease_until": now + LEASE,
                "started_time": now,
                "next_try_time": None,
            }
            won = await tx.execute(sa.update(job_run).where(mine).values(**taken))
        return firing if won else None

    async def _fire(self, tx: SystemTx, job: Job, now: datetime) -> None:
        """Make the runs of what is due, under the lock of the job's head."""
        mine = job_head.c.name == job.name
        head = await tx.row(sa.select(job_head).where(mine), lock=Lock.UPDATE)
        if head is None:
            # What was due before the job was known is none of its business.
            with suppress(Duplicate):
                await tx.execute(sa.insert(job_head).values(name=job.name, fired_until=now))
            return
        fired_until = head["fired_until"]
        if fired_until > now + JUMP:
            log.warning("the clock was set back: the job's times begin anew", job=job.name, fired_until=fired_until)
            fired_until = now
            await tx.execute(sa.update(job_head).where(mine).values(fired_until=now))
        for nominal_time in job.due(fired_until, now):
            with suppress(Duplicate):  # fired before a clock was set back
                await tx.execute(sa.insert(job_run).values(**new_run(job.name, nominal_time, now)))
            await tx.execute(sa.update(job_head).where(mine).values(fired_until=nominal_time))

    async def work(self, job: Job, firing: Firing) -> None:
        """Do one try, holding its lease, and record how it ended. Raises Unavailable."""
        working = asyncio.create_task(_limited(job, firing), name=f"{job.name} at {firing.nominal_time.isoformat()}")
        try:
            while not (await asyncio.wait({working}, timeout=RENEW_S))[0]:
                if not await self._renew(firing):
                    log.warning("another worker took the job's run over", job=job.name, fence=firing.fence)
                    RUNS.labels(self._context, job.name, "lost").inc()
                    return
        except asyncio.CancelledError:
            with suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(GIVE_UP_S):
                    await self._give_back(firing)
            raise
        finally:
            if not working.done():
                working.cancel()
                await asyncio.wait({working})
        await self._record(job, firing, working.exception())

    async def _renew(self, firing: Firing) -> bool:
        try:
            now = await self._database.now()
            return await self._change(firing, lease_until=now + LEASE)
        except Unavailable:
            return True  # nobody else can take it either; the lease says later whose it is

    async def _give_back(self, firing: Firing) -> None:
        """So that another need not wait for the end of the lease; an interrupted try does not count."""
        waiting = {"state": State.WAITING.value, "attempts": firing.attempt - 1, "lease_until": None}
        await self._change(firing, **waiting, next_try_time=await self._database.now())

    async def _record(self, job: Job, firing: Firing, error: BaseException | None) -> None:
        now = await self._database.now()
        if error is None:
            outcome = "done"
            ended = {"state": State.DONE.value, "finished_time": now, "lease_until": None, "error": None}
        else:
            last = firing.attempt >= job.tries
            outcome = "failed" if last else "retried"
            log.warning(
                "job not done", context=self._context, job=job.name, nominal_time=firing.nominal_time,
                attempt=firing.attempt, exc_info=error,
            )  # fmt: skip
            told = why(job.name, error)
            if last:
                ended = _failed(now, told)
            else:
                pause = timedelta(seconds=job.pauses_s[firing.attempt - 1])
                again = {"state": State.WAITING.value, "next_try_time": now + pause, "lease_until": None}
                ended = {**again, "error": told[:ERROR_LENGTH]}
        if not await self._change(firing, **ended):
            outcome = "lost"
        RUNS.labels(self._context, job.name, outcome).inc()

    async def _change(self, firing: Firing, **values: object) -> bool:
        """Whether the run is still this try's."""
        mine = (job_run.c.job == firing.job) & (job_run.c.nominal_time == firing.nominal_time)
        mine &= (job_run.c.fence == firing.fence) & (job_run.c.state == State.RUNNING.value)
        async with self._database.system(_SCOPE) as tx:
            return bool(await tx.execute(sa.update(job_run).where(mine).values(**values)))


def new_run(job: str, nominal_time: datetime, now: datetime) -> dict[str, object]:
    """The row of a run that waits for its first try."""
    waiting = {"state": State.WAITING.value, "attempts": 0, "fence": 0, "next_try_time": now}
    return {"job": job, "nominal_time": nominal_time, **waiting}


def _may_be_tried(run: RowMapping, now: datetime) -> bool:
    until = run["next_try_time"] if run["state"] == State.WAITING.value else run["lease_until"]
    return bool(until is None or until <= now)


def _as_seen(run: RowMapping) -> sa.ColumnElement[bool]:
    lease, until = job_run.c.lease_until, run["lease_until"]
    return sa.and_(
        job_run.c.job == run["job"],
        job_run.c.nominal_time == run["nominal_time"],
        job_run.c.fence == run["fence"],
        job_run.c.state == run["state"],
        lease.is_(None) if until is None else lease == until,  # it may have been extended since
    )


def _failed(now: datetime, told: str) -> dict[str, object]:
    return {"state": State.FAILED.value, "finished_time": now, "lease_until": None, "error": told[:ERROR_LENGTH]}


async def _limited(job: Job, firing: Firing) -> None:
    async with asyncio.timeout(job.limit_s):
        await job.work(firing)


async def purge(database: Database, now: datetime) -> int:
    """Delete up to 1,000 runs that ended 30 days ago; how many. Those that failed stay until somebody mends them."""
    old = (
        sa.select(job_run.c.job, job_run.c.nominal_time)
        .where(job_run.c.state == State.DONE.value, job_run.c.finished_time < now - KEPT)
        .limit(PURGE_ROWS)
    )
    async with database.system(_SCOPE) as tx:
        rows = await tx.rows(old)
        for row in rows:
            key = (job_run.c.job == row["job"]) & (job_run.c.nominal_time == row["nominal_time"])
            await tx.execute(sa.delete(job_run).where(key))
    return len(rows)
