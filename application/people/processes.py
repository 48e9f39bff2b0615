"""What follows from a change of an employment: attendance's roster is brought up to date."""

import asyncio
from uuid import UUID

from muster.organization.v1 import events_pb2, org_chart_pb2

from application.time.rosters import Rosters
from chassis.bus.consumer import Consumer, each_at_once, event_of
from chassis.bus.port import Entry, FastPath
from chassis.rpc.channels import Client
from chassis.rpc.error_map import RemoteError
from kernel.errors import Kind
from kernel.ids import TenantId

NAME = "people.roster"
TOGETHER_S = 0.01
AT_ONCE = 200  # events in hand, so that a bulk hire is copied by the hundred
MOST = 500

EMPLOYMENT_EVENTS = (
    events_pb2.EmployeeHiredEvent,
    events_pb2.EmployeeRehiredEvent,
    events_pb2.EmployeeTransferredEvent,
    events_pb2.EmployeeTerminatedEvent,
    events_pb2.EmployeeCorrectedEvent,
)
TYPES = frozenset(kind.DESCRIPTOR.full_name for kind in (*EMPLOYMENT_EVENTS, events_pb2.OrgChartPublishedEvent))


def roster_consumer(organization: Client, rosters: Rosters, fast_path: FastPath) -> Consumer:
    """The consumer that keeps the roster; run one per process, the feed's lease chooses who works."""
    keep = KeepRoster(rosters)
    return Consumer(NAME, organization, fast_path, keep, types=TYPES, at_once=AT_ONCE, together=each_at_once(keep))


class KeepRoster:
    """Looks again at who an event speaks of, and copies what organization says now.

    Invariants: an event's content is not trusted to be new, only its subject is used; employees of one tenant whose
    events come together are copied together, at most 500 at once.
    """

    def __init__(self, rosters: Rosters) -> None:
        self._rosters = rosters
        self._waiting: dict[TenantId, dict[str, asyncio.Future[None]]] = {}

    async def __call__(self, entry: Entry) -> None:
        """Handle one event. Raises RemoteError."""
        tenant_id = TenantId(UUID(entry.tenant_id))
        event = event_of(entry)
        if isinstance(event, events_pb2.OrgChartPublishedEvent):
            # Only a workplace's time zone matters to the roster, and it may hold for anybody.
            if any(changed.kind == org_chart_pb2.ENTRY_KIND_LOCATION for changed in event.entries):
                async for page in self._rosters.pages(tenant_id):
                    await self._rosters.ensure(tenant_id, page)
        elif isinstance(event, EMPLOYMENT_EVENTS):
            await self._together(tenant_id, event.employee_id)

    async def _together(self, tenant_id: TenantId, employee_id: str) -> None:
        waiting = self._waiting.setdefault(tenant_id, {})
        copied = waiting.get(employee_id)
        if copied is None:
            copied = waiting[employee_id] = asyncio.get_running_loop().create_future()
            if len(waiting) == 1:
                await self._copy(tenant_id)
        await copied

    async def _copy(self, tenant_id: TenantId) -> None:
        """The first who waits copies for all who came within 10 ms."""
        waiting = self._waiting[tenant_id]
        try:
            await asyncio.sleep(TOGETHER_S)
            del self._waiting[tenant_id]
            ids = sorted(waiting)
            for start in range(0, len(ids), MOST):
                results = await self._rosters.ensure(tenant_id, ids[start : start + MOST])
                for employee_id in ids[start : start + MOST]:
                    result = results.get(employee_id)
                    if result is None or not result.reason:
                        waiting[employee_id].set_result(None)
                    else:
                        waiting[employee_id].set_exception(RemoteError(Kind.RULE, result.reason, result.message))
        except BaseException as error:
            if self._waiting.get(tenant_id) is waiting:
                del self._waiting[tenant_id]
            for copied in waiting.values():
                if not copied.done():
                    copied.set_exception(error if isinstance(error, Exception) else ConnectionError("given up"))
            raise
        finally:
            for copied in waiting.values():
                if copied.done() and not copied.cancelled():
                    copied.exception()  # a waiter that was cancelled does not ask for it
