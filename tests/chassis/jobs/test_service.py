"""What an operator sees of background work and asks of it, over the wire."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from google.protobuf.timestamp_pb2 import Timestamp
from muster.job.v1 import job_pb2, job_pb2_grpc

from chassis.assertion import Signer, prepare_keys
from chassis.bus.consumer import feed_principal
from chassis.database import Database, SystemScope
from chassis.jobs.job import Firing, Job
from chassis.jobs.service import Jobs
from chassis.jobs.times import Daily, Every
from chassis.jobs.work import Consumers
from chassis.jobs.worker import Worker
from chassis.lifecycle import Listener
from chassis.principal import Principal
from chassis.rpc import server
from chassis.rpc.channels import Channels, Client
from chassis.rpc.error_map import RemoteError
from chassis.settings import Settings
from chassis.tables import consumer, context_metadata, feed_head, parked
from kernel.ids import TenantId

OPERATOR = feed_principal("operator")
STATES = job_pb2.RunState


@dataclass
class Installation:
    """A data service with two jobs, one of which fails until it is mended."""

    client: Client
    worker: Worker
    jobs: list[Job]
    database: Database
    broken: list[bool] = field(default_factory=lambda: [True])

    @property
    def stub(self) -> job_pb2_grpc.JobServiceStub:
        return self.client.stub(job_pb2_grpc.JobServiceStub)

    async def call(self, method: str, request: Any, principal: Principal = OPERATOR) -> Any:
        return await self.client.call(getattr(self.stub, method), request, principal=principal)

    async def start(self, job: str, at: Timestamp) -> None:
        await self.call("Start", job_pb2.StartRequest(job=job, nominal_time=at))

    async def runs(self, **fields: Any) -> list[job_pb2.JobRun]:
        return list((await self.call("ListRuns", job_pb2.ListRunsRequest(**fields))).runs)

    async def do(self, name: str) -> None:
        job = next(job for job in self.jobs if job.name == name)
        while (firing := await self.worker.take(job)) is not None:
            await self.worker.work(job, firing)


@pytest.fixture(params=["sqlite", "mariadb"])
async def installation(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Installation]:
    broken = [True]

    async def mail(firing: Firing) -> None:
        if broken[0]:
            raise ValueError("no")

    async def close(firing: Firing) -> None:
        pass

    settings = Settings.embedded(tmp_path / "data")
    prepare_keys(settings)
    url = f"sqlite:///{tmp_path}/probe.sqlite3"
    if request.param == "mariadb":
        url = request.getfixturevalue("mariadb").create_database("jobs_seen")
    database = Database(url, context_metadata(), synchronous="OFF")
    await database.create_tables()
    jobs = [
        Job("mail", Every(60), mail, pauses_s=()),
        Job("close", Daily(time(3, 30), "Asia/Shanghai"), close),
    ]
    service = Jobs(database, jobs, [Consumers(database)])
    running = await server.start(Listener(), [service.registration], name="probe", settings=settings)
    channels = Channels(settings, Signer.open(settings), {"probe": running.address})
    yield Installation(channels.to("probe"), Worker(database, "probe", jobs), jobs, database, broken)
    await channels.close()
    await running.stop(1.0)
    await database.close()


def at(minute: int) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(datetime(2026, 11, 23, 9, minute, tzinfo=UTC))
    return stamp


async def test_jobs_are_listed_with_their_times(installation: Installation) -> None:
    await installation.start("close", at(0))
    await installation.do("close")

    close, mail = (await installation.call("ListJobs", job_pb2.ListJobsRequest())).jobs

    assert (close.name, close.times, close.tries) == ("close", "daily at 03:30 Asia/Shanghai", 5)
    assert (mail.name, mail.times, mail.tries) == ("mail", "every 60 min", 1)
    assert close.next_time.ToDatetime().time() == time(19, 30)
    assert close.HasField("last_done_time")
    assert not mail.HasField("last_done_time")


async def test_a_failed_run_is_seen_mended_and_retried(installation: Installation) -> None:
    await installation.start("mail", at(0))
    await installation.do("mail")
    [failed] = await installation.runs(state=STATES.RUN_STATE_FAILED)
    [job] = [one for one in (await installation.call("ListJobs", job_pb2.ListJobsRequest())).jobs if one.failed_count]

    installation.broken[0] = False
    retry = job_pb2.RetryRequest(job="mail", nominal_time=at(0))
    await installation.call("Retry", retry)
    await installation.do("mail")
    await installation.call("Retry", retry)  # of what is done: no change
    [done] = await installation.runs()

    assert (job.name, job.failed_count) == ("mail", 1)
    assert failed.error == "mail: failed unexpectedly (ValueError); see the log"
    assert (done.state, done.attempts, done.fence, done.error) == (STATES.RUN_STATE_DONE, 1, 2, "")


async def following(database: Database) -> None:
    """Three consumers of ten events: one that has followed them all, one that is dead, one that set an event aside."""
    now = await database.now()
    soon, gone = now + timedelta(seconds=15), now - timedelta(seconds=1)
    rows = [
        {"name": "idle", "acked_position": 10, "lease_owner": "a", "lease_until": soon, "seen_time": now},
        {"name": "left", "acked_position": 3, "lease_owner": "b", "lease_until": gone, "seen_time": now},
        {"name": "poisoned", "acked_position": 9, "lease_owner": "c", "lease_until": soon, "seen_time": now},
    ]
    aside = {
        "consumer": "poisoned", "event_id": UUID(int=7), "tenant_id": UUID(int=1), "position": 7,
        "reason": "poisoned: NO_SHIFT: define the shift", "attempts": 5, "parked_time": now,
    }  # fmt: skip
    async with database.system(SystemScope("a test")) as tx:
        await tx.execute(sa.insert(feed_head).values(id=1, position=10))
        for row in rows:
            await tx.execute(sa.insert(consumer).values(**row))
        await tx.execute(sa.insert(parked).values(**aside))


async def test_who_follows_the_events_is_seen_with_what_was_set_aside_and_it_is_tried_again(
    installation: Installation,
) -> None:
    await following(installation.database)
    poisoned, left = (await installation.call("ListWork", job_pb2.ListWorkRequest())).works
    [idle] = (await installation.call("ListWork", job_pb2.ListWorkRequest(state=STATES.RUN_STATE_DONE))).works

    await installation.call("RetryWork", job_pb2.RetryWorkRequest(kind="consumer", work_id="poisoned"))
    works = (await installation.call("ListWork", job_pb2.ListWorkRequest())).works

    assert (left.work_id, left.state, left.done_count, left.total_count) == ("left", STATES.RUN_STATE_WAITING, 3, 10)
    assert not left.HasField("lease_until_time")
    assert (poisoned.work_id, poisoned.state) == ("poisoned", STATES.RUN_STATE_FAILED)
    assert "1 events set aside" in poisoned.error
    assert "NO_SHIFT: define the shift" in poisoned.error
    assert idle.work_id == "idle"
    assert {one.work_id: one.state for one in works} == {
        "left": STATES.RUN_STATE_WAITING,
        "poisoned": STATES.RUN_STATE_RUNNING,
    }


async def test_a_job_that_is_asked_for_twice_with_one_instant_runs_once(installation: Installation) -> None:
    await asyncio.gather(*(installation.start("close", at(1)) for _ in range(4)))
    await installation.do("close")

    assert [run.fence for run in await installation.runs()] == [1]


async def test_runs_are_paged_newest_first(installation: Installation) -> None:
    for minute in range(5):
        await installation.start("close", at(minute))
        await installation.start("mail", at(minute))

    seen, token = [], ""
    while True:
        page = await installation.call("ListRuns", job_pb2.ListRunsRequest(page_size=3, page_token=token))
        seen += [(run.nominal_time.seconds, run.job) for run in page.runs]
        token = page.next_page_token
        if not token:
            break

    assert seen == sorted(seen, key=lambda one: (-one[0], one[1]))
    assert len(set(seen)) == 10
    assert {run.job for run in await installation.runs(job="mail")} == {"mail"}


@pytest.mark.parametrize(
    ("method", "request_", "reason"),
    [
        ("RetryWork", job_pb2.RetryWorkRequest(kind="consumer", work_id="nobody"), "WORK_UNKNOWN"),
        ("RetryWork", job_pb2.RetryWorkRequest(kind="sleeping", work_id="nobody"), "WORK_UNKNOWN"),
        ("Retry", job_pb2.RetryRequest(job="mail", nominal_time=at(9)), "JOB_RUN_UNKNOWN"),
        ("Start", job_pb2.StartRequest(job="gone", nominal_time=at(9)), "JOB_UNKNOWN"),
    ],
)
async def test_what_is_not_there_is_told(installation: Installation, method: str, request_: Any, reason: str) -> None:
    with pytest.raises(RemoteError) as refused:
        await installation.call(method, request_)

    assert refused.value.reason == reason


async def test_a_company_sees_nothing_of_the_installation_s_work(installation: Installation) -> None:
    owner = Principal(TenantId(UUID(int=1)), "amy", frozenset({"owner"}))
    calls: list[tuple[str, Any]] = [
        ("ListJobs", job_pb2.ListJobsRequest()),
        ("ListRuns", job_pb2.ListRunsRequest()),
        ("Retry", job_pb2.RetryRequest(job="mail", nominal_time=at(0))),
        ("Start", job_pb2.StartRequest(job="mail", nominal_time=at(0))),
        ("ListWork", job_pb2.ListWorkRequest()),
        ("RetryWork", job_pb2.RetryWorkRequest(kind="consumer", work_id="idle")),
    ]
    for method, request in calls:
        with pytest.raises(RemoteError) as refused:
            await installation.call(method, request, owner)
        assert refused.value.reason == "JOBS_NEED_PROCESS"
