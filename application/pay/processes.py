"""What follows from a run that waits to be calculated: a worker claims it and carries it to CALCULATED."""

import asyncio
from contextlib import suppress
from contextvars import Context
from uuid import UUID

import structlog
from muster.payroll.v1 import events_pb2, payroll_run_pb2

from application.pay.calculation import RunCalculation
from chassis.bus.consumer import Consumer, event_of, why
from chassis.bus.port import Entry, FastPath
from chassis.rpc.channels import Client
from chassis.rpc.error_map import RemoteError
from kernel.ids import TenantId

log = structlog.get_logger(__name__)

NAME = "pay.calculation"
AT_ONCE = 2  # runs that one process calculates side by side, each with at most three chunks in memory
TYPES = frozenset({events_pb2.PayrollRunCalculationRequestedEvent.DESCRIPTOR.full_name})


class CalculateRuns:
    """Claims the run that an event names; the event is done with the claim, the work goes on beside it.

    Invariants: at most two runs are worked on; one that finds no place, or whose work fails, is announced again by
    payroll as soon as its lease is over.
    """

    def __init__(self, calculation: RunCalculation) -> None:
        self._calculation = calculation
        self._working: set[asyncio.Task[None]] = set()

    async def __call__(self, entry: Entry) -> None:
        """Handle one event. Raises RemoteError."""
        event = event_of(entry)
        if not isinstance(event, events_pb2.PayrollRunCalculationRequestedEvent) or len(self._working) >= AT_ONCE:
            return
        tenant_id = TenantId(UUID(entry.tenant_id))
        claim = await self._calculation.claim(tenant_id, UUID(event.run_id))
        if claim is None:
            return
        # A context of its own: the event's time budget must not end the work.
        work = asyncio.create_task(self._work(tenant_id, claim), name=f"run {claim.run_id}", context=Context())
        self._working.add(work)
        work.add_done_callback(self._working.discard)

    async def stop(self) -> None:
        """Give up what is being worked on; another worker goes on when the lease is over."""
        for work in list(self._working):
            work.cancel()
        if self._working:
            await asyncio.wait(self._working, timeout=1.0)

    async def _work(self, tenant_id: TenantId, claim: payroll_run_pb2.ClaimCalculationResponse) -> None:
        try:
            await self._calculation.carry_on(tenant_id, claim)
        except RemoteError as error:
            log.warning("run not finished", run_id=claim.run_id, attempt=claim.attempt, reason=error.reason)
            await self._give_back(tenant_id, claim, error)
        except Exception as error:
            log.exception("run failed", run_id=claim.run_id, attempt=claim.attempt)
            await self._give_back(tenant_id, claim, error)

    async def _give_back(
        self, tenant_id: TenantId, claim: payroll_run_pb2.ClaimCalculationResponse, error: Exception
    ) -> None:
        """Tell payroll why; where it does not hear of it, the lease ends by itself."""
        with suppress(RemoteError):
            await self._calculation.give_back(tenant_id, claim, why(NAME, error))


def calculation_consumer(payroll: Client, runs: CalculateRuns, fast_path: FastPath) -> Consumer:
    """The consumer that hears of runs to calculate; the feed's lease chooses which process works."""
    return Consumer(NAME, payroll, fast_path, runs, types=TYPES)
