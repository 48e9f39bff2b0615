"""What an operator sees of a data service's jobs, and asks of them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from muster.job.v1 import job_pb2, job_pb2_grpc
from sqlalchemy.engine import RowMapping

from chassis.assertion import ALL_TENANTS
from chassis.database import Database, Duplicate, SystemScope
from chassis.jobs.job import Job, State
from chassis.jobs.work import LongWork, Work
from chassis.jobs.worker import new_run
from chassis.paging import from_token, page_size, to_token
from chassis.principal import Call, current_call
from chassis.tables import job_head, job_run
from kernel.errors import DomainError, Kind

log = structlog.get_logger(__name__)

_SCOPE = SystemScope("jobs are the data service's own, of no tenant")
_STATES: Mapping[str, int] = {state.value: job_pb2.RunState.Value(f"RUN_STATE_{state.value}") for state in State}
_FIRST = (State.FAILED, State.WAITING, State.RUNNING, State.DONE)
_TIMES = ("started_time", "finished_time", "next_try_time")


class JobsNeedProcess(DomainError):
    """Background work is for the operator's process only."""

    kind, reason = Kind.FORBIDDEN, "JOBS_NEED_PROCESS"


class JobUnknown(DomainError):
    """The data service has no job of this name."""

    kind, reason = Kind.NOT_FOUND, "JOB_UNKNOWN"


class JobRunUnknown(DomainError):
    """The job has no run for this instant."""

    kind, reason = Kind.NOT_FOUND, "JOB_RUN_UNKNOWN"


class WorkUnknown(DomainError):
    """The data service has no such long work, or it is done."""

    kind, reason = Kind.NOT_FOUND, "WORK_UNKNOWN"


class Jobs(job_pb2_grpc.JobServiceServicer):
    """JobService over one context's database; see the proto for each method.

    Invariants: only processes that act for all tenants are served.
    """

    def __init__(self, database: Database, jobs: Sequence[Job], long_work: Sequence[LongWork] = ()) -> None:
        self._database = database
        self._jobs = {job.name: job for job in jobs}
        self._long_work = {one.kind: one for one in long_work}

    @property
    def registration(self) -> tuple[Callable[[Any, Any], None], object]:
        """For `rpc.server.start`."""
        return job_pb2_grpc.add_JobServiceServicer_to_server, self

    async def ListJobs(self, request: job_pb2.ListJobsRequest, context: Any) -> job_pb2.ListJobsResponse:
        """All jobs with their next time."""
        call = _process_call()
        now = await self._database.now()
        failed = sa.func.sum(sa.case((job_run.c.state == State.FAILED.value, 1), else_=0)).label("failed")
        done = sa.func.max(sa.case((job_run.c.state == State.DONE.value, job_run.c.finished_time))).label("done")
        async with self._database.system_read(_SCOPE, call.deadline) as tx:
            heads = {row["name"]: row["fired_until"] for row in await tx.rows(sa.select(job_head))}
            counted = await tx.rows(sa.select(job_run.c.job, failed, done).group_by(job_run.c.job))
        by_job = {row["job"]: row for row in counted}
        answer = job_pb2.ListJobsResponse()
        for name, job in sorted(self._jobs.items()):
            told = answer.jobs.add(
                name=name,
                times=str(job.times),
                missed=job_pb2.Missed.Value(f"MISSED_{job.missed.value}"),
                tries=job.tries,
            )
            told.next_time.FromDatetime(job.times.after(heads.get(name, now)))
            if name in by_job:
                told.failed_count = int(by_job[name]["failed"])
                if by_job[name]["done"] is not None:
                    told.last_done_time.FromDatetime(by_job[name]["done"])
        return answer

    async def ListRuns(self, request: job_pb2.ListRunsRequest, context: Any) -> job_pb2.ListRunsResponse:
        """Runs, newest first."""
        call = _process_call()
        size = page_size(request.page_size)
        wanted = sa.select(job_run).order_by(job_run.c.nominal_time.desc(), job_run.c.job).limit(size + 1)
        if request.job:
            wanted = wanted.where(job_run.c.job == request.job)
        if request.state:
            state = job_pb2.RunState.Name(request.state).removeprefix("RUN_STATE_")
            wanted = wanted.where(job_run.c.state == state)
        after = from_token(request.page_token, (str, str))
        if after is not None:
            nominal_time, name = datetime.fromisoformat(str(after[0])), str(after[1])
            same = (job_run.c.nominal_time == nominal_time) & (job_run.c.job > name)
            wanted = wanted.where((job_run.c.nominal_time < nominal_time) | same)
        async with self._database.system_read(_SCOPE, call.deadline) as tx:
            rows = await tx.rows(wanted)
        answer = job_pb2.ListRunsResponse(runs=[_told(row) for row in rows[:size]])
        if len(rows) > size:
            last = rows[size - 1]
            answer.next_page_token = to_token(last["nominal_time"].isoformat(), last["job"])
        return answer

    async def Retry(self, request: job_pb2.RetryRequest, context: Any) -> job_pb2.RetryResponse:
        """Let a failed run be tried again. Raises JobRunUnknown."""
        call = _process_call()
        now = await self._database.now()
        key = (job_run.c.job == request.job) & (job_run.c.nominal_time == _instant(request.nominal_time))
        waiting = {"state": State.WAITING.value, "attempts": 0, "next_try_time": now, "finished_time": None}
        async with self._database.system(_SCOPE, call.deadline) as tx:
            failed = key & (job_run.c.state == State.FAILED.value)
            retried = await tx.execute(sa.update(job_run).where(failed).values(**waiting))
            if not retried and await tx.row(sa.select(job_run.c.job).where(key)) is None:
                raise JobRunUnknown("there is no such run: muster jobs list shows those that there are", field="job")
        log.info("job's run is retried", job=request.job, by=call.principal.subject, changed=bool(retried))
        return job_pb2.RetryResponse()

    async def Start(self, request: job_pb2.StartRequest, context: Any) -> job_pb2.StartResponse:
        """Make a run outside the job's times. Raises JobUnknown."""
        call = _process_call()
        if request.job not in self._jobs:
            raise JobUnknown("there is no such job here: muster jobs list shows those that there are", field="job")
        now = await self._database.now()
        async with self._database.system(_SCOPE, call.deadline) as tx:
            with suppress(Duplicate):
                run = new_run(request.job, _instant(request.nominal_time), now)
                await tx.execute(sa.insert(job_run).values(**run))
        log.info("job was asked for", job=request.job, by=call.principal.subject)
        return job_pb2.StartResponse()

    async def ListWork(self, request: job_pb2.ListWorkRequest, context: Any) -> job_pb2.ListWorkResponse:
        """Long work, what failed first."""
        _process_call()
        now, limit = await self._database.now(), page_size(request.page_size)
        found = [(kind, one) for kind, source in self._long_work.items() for one in await source.look(now, limit)]
        if request.state:
            wanted = [item for item in found if _STATES[item[1].state.value] == request.state]
        else:
            wanted = [item for item in found if item[1].state is not State.DONE]
        wanted.sort(key=lambda item: _FIRST.index(item[1].state))
        return job_pb2.ListWorkResponse(works=[_work(kind, one) for kind, one in wanted])

    async def RetryWork(self, request: job_pb2.RetryWorkRequest, context: Any) -> job_pb2.RetryWorkResponse:
        """Have long work tried again now. Raises WorkUnknown."""
        call = _process_call()
        source = self._long_work.get(request.kind)
        if source is None or not await source.retry(request.work_id, await self._database.now()):
            raise WorkUnknown("there is no such work: muster jobs list shows what there is", field="work_id")
        log.info("long work is retried", kind=request.kind, work=request.work_id, by=call.principal.subject)
        return job_pb2.RetryWorkResponse()


def _process_call() -> Call:
    call = current_call()
    if call.tenant_id != ALL_TENANTS:
        raise JobsNeedProcess("only the operator's process sees background work")
    return call


def _instant(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)


def _told(row: RowMapping) -> job_pb2.JobRun:
    told = job_pb2.JobRun(
        job=row["job"],
        state=job_pb2.RunState.ValueType(_STATES[row["state"]]),
        attempts=row["attempts"],
        fence=row["fence"],
        worker=row["worker"] or "",
        error=row["error"] or "",
    )
    told.nominal_time.FromDatetime(row["nominal_time"])
    for name in _TIMES:
        if row[name] is not None:
            getattr(told, name).FromDatetime(row[name])
    return told


def _work(kind: str, one: Work) -> job_pb2.Work:
    told = job_pb2.Work(
        kind=kind,
        work_id=one.id,
        tenant_id="" if one.tenant_id is None else str(one.tenant_id),
        subject=one.subject,
        state=job_pb2.RunState.ValueType(_STATES[one.state.value]),
        done_count=one.done,
        total_count=one.total,
        worker=one.worker,
        error=one.error,
    )
    if one.lease_until is not None:
        told.lease_until_time.FromDatetime(one.lease_until)
    if one.asked_time is not None:
        told.asked_time.FromDatetime(one.asked_time)
    return told
