"""How far payroll runs are while they are calculated: read from payroll for those runs that somebody watches."""

import asyncio
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import structlog
from muster.payroll.v1 import events_pb2, payroll_run_pb2, payroll_run_pb2_grpc

from application.events.topics import progress_key
from chassis.bus.consumer import event_of
from chassis.bus.port import Entry
from chassis.principal import Principal
from chassis.rpc.channels import Client
from chassis.rpc.error_map import RemoteError
from interfaces.push.hub import Hub
from interfaces.push.message import PROGRESS, Message
from kernel.ids import TenantId

log = structlog.get_logger(__name__)

EVERY_S = 0.5
LOOK_AROUND_TICKS = 10  # a hub that started in the middle of a calculation has not heard of its beginning
MOST_RUNS = 200
MOST_TENANTS = 200
CALL_S = 2.0
TYPE = "muster.payroll.v1.PayrollRunProgress"
REQUESTED = events_pb2.PayrollRunCalculationRequestedEvent.DESCRIPTOR.full_name

Run = tuple[str, str]  # tenant id, run id


class Progress:
    """Tells of runs that are being calculated, each at most twice a second and only when something changed.

    Invariants: payroll is asked only for runs of tenants in which somebody may hear of them and listens; at most 200
    runs are followed.
    """

    def __init__(self, payroll: Client, hub: Hub) -> None:
        self._payroll = payroll
        self._runs = payroll.stub(payroll_run_pb2_grpc.PayrollRunServiceStub)
        self._hub = hub
        self._followed: OrderedDict[Run, bytes] = OrderedDict()  # with what was told last

    def heard(self, entry: Entry) -> None:
        """An event of payroll was published."""
        if entry.type == REQUESTED:
            event: Any = event_of(entry)
            self._follow((entry.tenant_id, event.run_id))

    async def watch(self) -> None:
        """Look again and again. For `Lifecycle.spawn`."""
        tick = 0
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                if tick % LOOK_AROUND_TICKS == 0:
                    await self._look_around()
                for run in [run for run in self._followed if self._hub.heard(progress_key(run[0]))]:
                    await self._look_at(run)
            except RemoteError as error:
                log.info("progress cannot be read", reason=error.reason)
            tick += 1

    def _follow(self, run: Run) -> None:
        if run not in self._followed:
            self._followed[run] = b""
            if len(self._followed) > MOST_RUNS:
                self._followed.popitem(last=False)

    async def _look_around(self) -> None:
        """Find runs that are being calculated in tenants where somebody listens."""
        tenants = sorted({key[0] for key in self._hub.keys_heard() if key == progress_key(key[0])})[:MOST_TENANTS]
        for tenant in tenants:
            request = payroll_run_pb2.ListPayrollRunsRequest(status=payroll_run_pb2.RUN_STATUS_CALCULATING)
            answer = await self._payroll.call(
                self._runs.ListPayrollRuns, request, principal=_reader(tenant), timeout_s=CALL_S
            )
            for run in answer.runs:
                self._follow((tenant, run.run_id))

    async def _look_at(self, run: Run) -> None:
        tenant, run_id = run
        request = payroll_run_pb2.GetPayrollRunRequest(run_id=run_id)
        answer = await self._payroll.call(
            self._runs.GetPayrollRun, request, principal=_reader(tenant), timeout_s=CALL_S
        )
        found = answer.run
        if found.status != payroll_run_pb2.RUN_STATUS_CALCULATING:
            self._followed.pop(run, None)
            return
        facts = _facts(found)
        if self._followed.get(run) == facts:
            return
        self._followed[run] = facts
        body = orjson.dumps(
            {
                "type": TYPE,
                "subject": f"payroll_run/{run_id}",
                "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "data": orjson.Fragment(facts),
            }
        )
        await self._hub.tell(progress_key(tenant), Message(body, kind=PROGRESS, type=TYPE))


def _facts(run: payroll_run_pb2.PayrollRun) -> bytes:
    progress = run.progress
    return orjson.dumps(
        {
            "run_id": run.run_id,
            "attempt": run.attempt,
            "done": progress.done,
            "blocked": progress.blocked,
            "stale": progress.stale,
            "total": progress.total,
        }
    )


def _reader(tenant: str) -> Principal:
    return Principal(TenantId(UUID(tenant)), "process:push", frozenset({"process"}))
