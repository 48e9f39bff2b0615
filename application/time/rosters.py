"""The roster of attendance, made from what organization says of an employment; safe to do any number of times."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any

from muster.attendance.v1 import roster_pb2, roster_pb2_grpc
from muster.organization.v1 import employee_pb2, employee_pb2_grpc

from application.edge.calls import Calls
from application.edge.exchange import current_exchange
from application.edge.refusal import NotThere
from application.edge.wire import from_date, to_date
from application.people.relations import EMPLOYEE_NOT_FOUND
from chassis.principal import Principal
from chassis.rpc.channels import Client
from chassis.rpc.error_map import RemoteError
from kernel.ids import TenantId, derived_id

ROLE = "process:roster"
ROSTER_UNKNOWN = "ROSTER_UNKNOWN"
PAGE = 500


def roster_process(tenant_id: TenantId) -> Principal:
    """The process that keeps the roster, in the tenant of the event."""
    return Principal(tenant_id, ROLE, frozenset({ROLE}))


class Rosters:
    """Copies employments to the roster.

    Invariants: the target keeps the highest source version, so that late and repeated copies change nothing.
    """

    def __init__(self, organization: Client, attendance: Client) -> None:
        self._organization = Calls(organization)
        self._attendance = Calls(attendance)
        self._employees = organization.stub(employee_pb2_grpc.EmployeeServiceStub)
        self._rosters = attendance.stub(roster_pb2_grpc.RosterServiceStub)

    async def ensure(self, tenant_id: TenantId, employee_ids: Sequence[str]) -> dict[str, roster_pb2.RosterResult]:
        """Bring these employees (at most 500) on the roster as they are now: what became of each that there is.

        Raises RemoteError.
        """
        process = roster_process(tenant_id)
        facts = await self._organization.read_as(
            process,
            self._employees.BatchGetRosterFacts,
            employee_pb2.BatchGetRosterFactsRequest(employee_ids=employee_ids),
        )
        if not facts.roster:
            return {}
        request = roster_pb2.EnsureRostersRequest(entries=[roster_entry(one) for one in facts.roster])
        # The same facts are the same request: a second copy of them is answered from the first.
        content = sha256(request.SerializeToString(deterministic=True)).hexdigest()
        request_id = derived_id("ensure_rosters", tenant_id, content)
        answer = await self._attendance.write_as(process, self._rosters.EnsureRosters, request, request_id)
        return {result.employee_id: result for result in answer.results}

    async def write_of(
        self, employee_id: str | None, calls: Calls, method: Any, request: Any, *, number: str = ""
    ) -> Any:
        """The answer of the request's write; who is not on the roster yet is brought there, and it is tried once more.

        Raises RemoteError, NotThere.
        """
        try:
            return await calls.write(method, request)
        except RemoteError as error:
            if error.reason != ROSTER_UNKNOWN:
                raise
        tenant_id = current_exchange().caller.tenant_id
        employee_id = employee_id or await self.id_of(tenant_id, number)
        if employee_id is None or not await self.ensure(tenant_id, [employee_id]):
            raise NotThere.because(EMPLOYEE_NOT_FOUND)
        return await calls.write(method, request)

    async def pages(self, tenant_id: TenantId) -> AsyncIterator[list[str]]:
        """The ids of everybody of the tenant, 500 at a time. Raises RemoteError."""
        cursor = ""
        while True:
            answer = await self._organization.read_as(
                roster_process(tenant_id),
                self._employees.ListEmployees,
                employee_pb2.ListEmployeesRequest(page_size=PAGE, page_token=cursor),
            )
            if answer.employees:
                yield [one.employee_id for one in answer.employees]
            cursor = answer.next_page_token
            if not cursor:
                return

    async def id_of(self, tenant_id: TenantId, employee_number: str) -> str | None:
        """The employee with this number, None where there is none. Raises RemoteError."""
        answer = await self._organization.read_as(
            roster_process(tenant_id),
            self._employees.ListEmployees,
            employee_pb2.ListEmployeesRequest(employee_number=employee_number, page_size=1),
        )
        return answer.employees[0].employee_id if answer.employees else None


def roster_entry(facts: employee_pb2.RosterFacts) -> roster_pb2.RosterEntry:
    """What attendance keeps of one employee. Spans are half-open in organization, placements end on their last day."""
    return roster_pb2.RosterEntry(
        employee_id=facts.employee_id,
        source_version=facts.source_version,
        employee_number=facts.employee_number,
        placements=[_placement(span) for span in facts.spans],
    )


def _placement(span: employee_pb2.RosterSpan) -> roster_pb2.Placement:
    end = from_date(span.end_date)
    return roster_pb2.Placement(
        start_date=span.start_date,
        end_date=to_date(end - timedelta(days=1)) if end is not None else None,
        assignment_id=span.assignment_id,
        work_schedule=span.work_schedule,
        time_zone=span.time_zone,
        department=span.department,
        manager_id=span.manager_id,
        pay_group=span.pay_group,
    )
