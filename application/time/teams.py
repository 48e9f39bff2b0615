"""Whose time a caller's lists may hold, by name: what attendance cannot know of teams, locations and legal entities."""

from muster.organization.v1 import employee_pb2, employee_pb2_grpc

from application.access import Reach
from application.edge.calls import Calls
from application.edge.exchange import current_exchange
from application.edge.refusal import Forbidden
from application.edge.tenants import Tenants
from application.edge.wire import to_date
from application.people.relations import Relations
from chassis.rpc.channels import Client

TEAM = 500  # people that one question to attendance may name


class Teams:
    """The people of a reach as organization lists them today."""

    def __init__(self, organization: Client, relations: Relations, tenants: Tenants) -> None:
        self._calls = Calls(organization)
        self._employees = organization.stub(employee_pb2_grpc.EmployeeServiceStub)
        self._relations = relations
        self._tenants = tenants

    async def of(self, found: Reach) -> list[str] | None:
        """Everybody whom the reach names, None where that is the whole tenant. Raises Forbidden beyond 500 people."""
        if found.everybody:
            return None
        if not (found.team or found.legal_entities or found.departments):
            mine = current_exchange().caller.employee_id
            return [str(mine)] if found.oneself and mine is not None else []
        people, more = await self.page(found, limit=TEAM)
        if more:
            raise Forbidden(f"your roles reach more than {TEAM} people: name an employee_id")
        return [one.employee_id for one in people]

    async def page(
        self, found: Reach, *, limit: int, cursor: str = "", wanted: employee_pb2.ListEmployeesRequest | None = None
    ) -> tuple[list[employee_pb2.Employee], str]:
        """A page of the people of the reach who fit `wanted`, and where it ends; empty on the last page."""
        request = employee_pb2.ListEmployeesRequest()
        if wanted is not None:
            request.CopyFrom(wanted)
        request.page_size, request.page_token = limit, cursor
        request.MergeFrom(employee_pb2.ListEmployeesRequest(as_of=to_date(await self._tenants.today())))
        caller = current_exchange().caller
        if found.legal_entities:
            request.legal_entities.extend(sorted(found.legal_entities)[:100])
        elif found.departments:
            reached = await self._relations.below(found.departments)
            asked = set(request.departments) & reached if request.departments else reached
            if not asked:
                return [], ""
            del request.departments[:]
            request.departments.extend(sorted(asked)[:100])
        elif not found.everybody:
            if not found.team or caller.employee_id is None:
                return [], ""
            request.below_manager_id = str(caller.employee_id)
        answer = await self._calls.read(self._employees.ListEmployees, request)
        return list(answer.employees), answer.next_page_token
