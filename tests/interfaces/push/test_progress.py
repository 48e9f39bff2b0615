"""Progress of a payroll run reaches those who may hear it, at most twice a second, while somebody listens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from muster.event.v1.event_feed_pb2 import Entry
from muster.payroll.v1 import events_pb2, payroll_run_pb2, payroll_run_pb2_grpc

from chassis.assertion import Signer, prepare_keys
from chassis.lifecycle import Listener
from chassis.principal import current_call
from chassis.rpc import server
from chassis.rpc.channels import Channels
from chassis.settings import Settings
from interfaces.push.progress import Progress
from tests.chassis.bus.publisher import TENANT
from tests.support.push import RunningHub, SseClient, Tokens, a_hub

RUN = str(uuid4())

pytestmark = pytest.mark.second_process  # for --fast: it watches the clock


class Payroll(payroll_run_pb2_grpc.PayrollRunServiceServicer):
    """Calculates a run: each look sees ten employees more, until a hundred."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.tenants: set[str] = set()
        self.done = 0
        self.total = 100

    async def GetPayrollRun(self, request: Any, context: Any) -> payroll_run_pb2.GetPayrollRunResponse:
        self.asked.append(asyncio.get_running_loop().time())
        self.tenants.add(str(current_call().tenant_id))
        self.done = min(self.done + 10, self.total)
        calculating = self.done < self.total
        status = payroll_run_pb2.RUN_STATUS_CALCULATING if calculating else payroll_run_pb2.RUN_STATUS_CALCULATED
        progress = payroll_run_pb2.RunProgress(done=self.done, total=self.done)
        run = payroll_run_pb2.PayrollRun(run_id=RUN, status=status, attempt=1, progress=progress)
        return payroll_run_pb2.GetPayrollRunResponse(run=run)

    async def ListPayrollRuns(self, request: Any, context: Any) -> payroll_run_pb2.ListPayrollRunsResponse:
        calculating = self.done < self.total and request.status == payroll_run_pb2.RUN_STATUS_CALCULATING
        run = payroll_run_pb2.PayrollRun(run_id=RUN, status=payroll_run_pb2.RUN_STATUS_CALCULATING)
        return payroll_run_pb2.ListPayrollRunsResponse(runs=[run] if calculating else [])


@asynccontextmanager
async def watched(tmp_path: Path) -> AsyncIterator[tuple[RunningHub, Payroll, Progress]]:
    settings = Settings.embedded(tmp_path / "data")
    prepare_keys(settings)
    payroll = Payroll()  # type: ignore[abstract]  # of its methods two are called
    add = payroll_run_pb2_grpc.add_PayrollRunServiceServicer_to_server
    running = await server.start(Listener(), [(add, payroll)], name="payroll", settings=settings)
    channels = Channels(settings, Signer.open(settings), {"payroll": running.address})
    try:
        async with a_hub({}, None, Tokens()) as hub:  # type: ignore[arg-type]
            progress = Progress(channels.to("payroll"), hub.hub)
            watching = asyncio.create_task(progress.watch())
            yield hub, payroll, progress
            watching.cancel()
    finally:
        await channels.close()
        await running.stop(1.0)


def requested() -> Entry:
    event = events_pb2.PayrollRunCalculationRequestedEvent(run_id=RUN)
    return Entry(
        position=1, tenant_id=str(TENANT), type=event.DESCRIPTOR.full_name, aggregate_type="payroll_run",
        payload=event.SerializeToString(),
    )  # fmt: skip


async def steps(client: SseClient, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while len(found) < count:
        message = await client.next()
        assert message is not None
        assert message.event == "progress"
        found.append(message.data)
    return found


async def test_progress_is_told_at_most_twice_a_second(tmp_path: Path) -> None:
    async with watched(tmp_path) as (hub, payroll, progress):
        clerk = await hub.listen(hub.tokens.token(TENANT, "payroll_admin"))
        other = await hub.listen(hub.tokens.token(TENANT, "employee", "hr_admin"))
        progress.heard(requested())

        told = await steps(clerk, 4)
        gaps = [later - earlier for earlier, later in zip(payroll.asked, payroll.asked[1:], strict=False)]

        assert [one["data"]["done"] for one in told] == [10, 20, 30, 40]
        assert {one["subject"] for one in told} == {f"payroll_run/{RUN}"}
        assert min(gaps) >= 0.49
        assert payroll.tenants == {str(TENANT)}
        assert await heard_nothing(other)


async def test_a_hub_that_came_late_finds_the_run(tmp_path: Path) -> None:
    async with watched(tmp_path) as (hub, payroll, _):
        clerk = await hub.listen(hub.tokens.token(TENANT, "payroll_admin"), query="?topics=payroll")

        [first] = await steps(clerk, 1)

        assert first["data"]["run_id"] == RUN
        assert payroll.asked


async def test_payroll_is_not_asked_while_nobody_listens(tmp_path: Path) -> None:
    async with watched(tmp_path) as (hub, payroll, progress):
        await hub.listen(hub.tokens.token(TENANT, "hr_admin"))
        progress.heard(requested())

        await asyncio.sleep(1.2)

        assert payroll.asked == []


async def heard_nothing(client: SseClient) -> bool:
    try:
        return await client.next(0.3) is None
    except TimeoutError:
        return True
