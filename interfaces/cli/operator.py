"""What the operator of an installation asks: tenants, tokens for the command line, events, background work."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from google.protobuf.message import Message
from muster.event.v1 import event_feed_pb2, event_feed_pb2_grpc
from muster.identity.v1 import account_pb2, account_pb2_grpc, tenant_pb2, tenant_pb2_grpc
from muster.job.v1 import job_pb2, job_pb2_grpc

from application.events.cloud_events import cloud_event
from application.events.cursor import Cursor
from application.events.feeds import Feeds, FeedWatch
from chassis.bus.consumer import feed_principal
from chassis.principal import Principal
from chassis.rpc.channels import Client
from chassis.rpc.error_map import RemoteError
from kernel.errors import Kind
from kernel.ids import TenantId, tenant_id_of


def operator(tenant_id: TenantId) -> Principal:
    """The operator of this installation, acting for one tenant."""
    return Principal(tenant_id, "process:operator", frozenset({"operator"}))


async def create_tenant(identity: Client, code: str, name: str, zone: str, currency: str, owner: str) -> dict[str, str]:
    """The new tenant's ids and its owner's first password, which is shown once. Raises RemoteError."""
    password = secrets.token_urlsafe(15)
    request_id = uuid4()
    stub = identity.stub(tenant_pb2_grpc.TenantServiceStub)
    made = await identity.call(
        stub.CreateTenant,
        tenant_pb2.CreateTenantRequest(
            request_id=str(request_id),
            code=code,
            name=name,
            home_zone=zone,
            locale="zh-CN" if currency == "CNY" else "en",
            currency=currency,
            owner_login=owner,
            owner_password=password,
        ),
        principal=operator(tenant_id_of(code)),
        request_id=request_id,
    )
    return {
        "tenant_id": made.tenant.tenant_id,
        "code": code,
        "owner_account_id": made.owner.account_id,
        "owner_login": owner,
        "owner_password": password,
    }


async def issue_token(identity: Client, tenant: str, role: str, employee: str = "") -> dict[str, object]:
    """An access token of one role: {access_token, expires_in_s, account_id}. Raises RemoteError."""
    stub = identity.stub(account_pb2_grpc.AccountServiceStub)
    request_id = uuid4()
    issued = await identity.call(
        stub.IssueToken,
        account_pb2.IssueTokenRequest(role=role, employee_id=employee),
        principal=operator(tenant_id_of(tenant)),
        request_id=request_id,
    )
    return {
        "access_token": issued.access_token,
        "expires_in_s": issued.expires_in_s,
        "account_id": issued.account_id,
    }


ClientOf = Callable[[str], Client]
MOST_PARKED = 10_000
TAIL_PAGE = 500
TAIL_WAIT_S = 20.0
TAIL_RETRY_S = 1.0


async def tail_events(
    client_of: ClientOf,
    services: Sequence[str],
    *,
    tenant: str = "",
    types: Collection[str] = (),
    from_start: bool = False,
    follow: bool = True,
    most: int | None = None,
) -> AsyncIterator[dict[str, Any]]:
    """Events as CloudEvents, of all companies or the one with that code, from now or from the oldest that is kept.

    Without `follow` up to the newest; with it for ever, over restarts of the data services. Raises RemoteError for a
    refusal, CursorExpired.
    """
    clients = {name: client_of(name) for name in services}
    feeds, watch = Feeds(clients), FeedWatch(clients)
    principal = operator(tenant_id_of(tenant)) if tenant else feed_principal("operator")
    cursor = Cursor() if from_start else await feeds.heads(principal)
    left = most
    while left is None or left > 0:
        try:
            page = await feeds.page(principal, cursor, TAIL_PAGE if left is None else min(left, TAIL_PAGE), types)
        except RemoteError as error:
            if not follow or isinstance(error.kind, Kind):
                raise
            await asyncio.sleep(TAIL_RETRY_S)
            continue
        for name, entry in page.entries:
            yield cloud_event(name, entry)
        cursor = page.cursor
        left = None if left is None else left - len(page.entries)
        if page.has_more:
            continue
        if not follow:
            return
        await watch.news(principal.tenant_id, page.heads, TAIL_WAIT_S)


async def parked_work(client_of: ClientOf, services: Sequence[str], step: str = "") -> AsyncIterator[dict[str, str]]:
    """Work of all tenants that parked, by service, oldest first, at most some 10,000 items. Raises RemoteError."""
    told = 0
    for service in services:
        client, cursor = client_of(service), ""
        stub = client.stub(event_feed_pb2_grpc.EventFeedServiceStub)
        while True:
            page = await client.call(
                stub.ListParked,
                event_feed_pb2.ListParkedRequest(consumer=step, page_size=500, page_token=cursor),
                principal=feed_principal("operator"),
            )
            for one in page.parked_events:
                yield {
                    "id": f"{service}.{one.consumer}.{one.entry.event_id}",
                    "tenant_id": one.entry.tenant_id,
                    "event": one.entry.type.rpartition(".")[2],
                    "subject": f"{one.entry.aggregate_type}/{one.entry.aggregate_id}",
                    "reason": one.reason,
                    "attempts": str(one.attempts),
                    "parked_at": one.parked_time.ToJsonString(),
                }
                told += 1
            cursor = page.next_page_token
            if not cursor or told >= MOST_PARKED:
                break


async def replay_work(client_of: ClientOf, work_item_id: str, tenant_id: str) -> None:
    """Hand an event to its step once more; the tenant's audit says that the operator did. Raises RemoteError."""
    service, _, rest = work_item_id.partition(".")
    client, request_id = client_of(service), uuid4()
    await client.call(
        client.stub(event_feed_pb2_grpc.EventFeedServiceStub).Replay,
        event_feed_pb2.ReplayRequest(consumer=rest[:-37], event_id=rest[-36:], request_id=str(request_id)),
        principal=operator(TenantId(UUID(tenant_id))),
        request_id=request_id,
    )


MOST_RUNS = 1000
AT, WHICH = "@", ":"  # in the id of a job's run, and of long work


async def _asked(client_of: ClientOf, service: str, method: str, request: Message) -> Any:
    """The answer of a data service's JobService to the operator. Raises RemoteError."""
    client = client_of(service)
    call = getattr(client.stub(job_pb2_grpc.JobServiceStub), method)
    return await client.call(call, request, principal=feed_principal("operator"))


def _state(name: str) -> job_pb2.RunState.ValueType:
    """Of "FAILED" and the like; "" asks for none in particular."""
    return job_pb2.RunState.Value(f"RUN_STATE_{name}") if name else job_pb2.RUN_STATE_UNSPECIFIED


async def jobs_of(client_of: ClientOf, services: Sequence[str]) -> list[dict[str, Any]]:
    """The jobs of the data services, by service and name. Raises RemoteError."""
    found: list[dict[str, Any]] = []
    for service in services:
        answer = await _asked(client_of, service, "ListJobs", job_pb2.ListJobsRequest())
        found += [
            {
                "id": f"{service}.{job.name}",
                "times": job.times,
                "missed": job_pb2.Missed.Name(job.missed).removeprefix("MISSED_"),
                "tries": job.tries,
                "next_time": job.next_time.ToJsonString(),
                "last_done_time": job.last_done_time.ToJsonString() if job.HasField("last_done_time") else None,
                "failed": job.failed_count,
            }
            for job in answer.jobs
        ]
    return found


async def job_runs(
    client_of: ClientOf, services: Sequence[str], *, state: str = "", most: int = 20
) -> list[dict[str, Any]]:
    """The newest runs of each data service, at most so many of each. Raises RemoteError."""
    found: list[dict[str, Any]] = []
    request = job_pb2.ListRunsRequest(state=_state(state), page_size=min(most, MOST_RUNS))
    for service in services:
        page = await _asked(client_of, service, "ListRuns", request)
        found += [_run_view(service, run) for run in page.runs]
    return found


def _run_view(service: str, run: job_pb2.JobRun) -> dict[str, Any]:
    told: Any = run
    times = ("started_time", "finished_time", "next_try_time")
    return {
        "id": f"{service}.{run.job}{AT}{run.nominal_time.ToJsonString()}",
        "state": job_pb2.RunState.Name(run.state).removeprefix("RUN_STATE_"),
        "attempts": run.attempts,
        "worker": run.worker or None,
        **{name: getattr(told, name).ToJsonString() if told.HasField(name) else None for name in times},
        "error": run.error or None,
    }


async def retry_run(client_of: ClientOf, run_id: str) -> None:
    """Let a failed run be tried again. `run_id` as `job_runs` gives it. Raises RemoteError, ValueError."""
    job_id, _, nominal_time = run_id.partition(AT)
    service, _, job = job_id.partition(".")
    request = job_pb2.RetryRequest(job=job)
    request.nominal_time.FromJsonString(nominal_time)
    await _asked(client_of, service, "Retry", request)


async def long_work(
    client_of: ClientOf, services: Sequence[str], *, state: str = "", most: int = MOST_RUNS
) -> list[dict[str, Any]]:
    """Long work of the data services: all that is not done, or what is in a state. Raises RemoteError."""
    found: list[dict[str, Any]] = []
    request = job_pb2.ListWorkRequest(state=_state(state), page_size=min(most, MOST_RUNS))
    for service in services:
        answer = await _asked(client_of, service, "ListWork", request)
        found += [_work_view(service, work) for work in answer.works]
    return found


def _work_view(service: str, work: job_pb2.Work) -> dict[str, Any]:
    return {
        "id": f"{service}.{work.kind}{WHICH}{work.work_id}",
        "subject": work.subject,
        "tenant_id": work.tenant_id or None,
        "state": job_pb2.RunState.Name(work.state).removeprefix("RUN_STATE_"),
        "done": work.done_count,
        "total": work.total_count or None,
        "worker": work.worker or None,
        "lease_until": work.lease_until_time.ToJsonString() if work.HasField("lease_until_time") else None,
        "asked_time": work.asked_time.ToJsonString() if work.HasField("asked_time") else None,
        "error": work.error or None,
    }


async def retry_work(client_of: ClientOf, id: str) -> None:
    """Have long work tried again now. `id` as `long_work` gives it. Raises RemoteError."""
    name, _, work_id = id.partition(WHICH)
    service, _, kind = name.partition(".")
    await _asked(client_of, service, "RetryWork", job_pb2.RetryWorkRequest(kind=kind, work_id=work_id))


async def start_job(client_of: ClientOf, job_id: str) -> str:
    """Do a job now, beside its times; the id of the run. Raises RemoteError."""
    service, _, job = job_id.partition(".")
    request = job_pb2.StartRequest(job=job)
    request.nominal_time.FromDatetime(datetime.now(UTC))
    await _asked(client_of, service, "Start", request)
    return f"{job_id}{AT}{request.nominal_time.ToJsonString()}"
