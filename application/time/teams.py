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
        ids, more = await self.page(found, limit=TEAM)
        if more:
            raise Forbidden(f"your roles reach more than {TEAM} people: name an employee_id")
        return ids

    async def page(
        self,
        found: Reach,
        *,
        limit: int,
        cursor: str = "",
        department: str = "",
        location: str = "",
        working: bool = False,
    ) -> tuple[list[str], str]:
        """A page of the people of the reach (`working`: who are employed today) and where it ends, "" on the last."""
        today = to_date(await self._tenants.today())
        request = employee_pb2.ListEmployeesRequest(
            page_size=limit,
            page_token=cursor,
            as_of=today,
            statuses=[employee_pb2.EMPLOYEE_STATUS_ACTIVE] if working else [],
            departments=[department] if department else [],
            location=location,
        )
        caller = current_exchange().caller
        if found.legal_entities:
            request.legal_entities.extend(sorted(found.legal_entities)[:100])
        elif found.departments:
            reached = await self._relations.below(found.departments)
            asked = {department} & reached if department else reached
            if not asked:
                return [], ""
            del request.departments[:]
            request.departments.extend(sorted(asked)[:100])
        elif found.team and caller.employee_id is not None:
            request.below_manager_id = str(caller.employee_id)
        elif not found.everybody:
            mine = [str(caller.employee_id)] if found.oneself and caller.employee_id is not None else []
            return mine, ""
        answer = await self._calls.read(self._employees.ListEmployees, request)
        return [one.employee_id for one in answer.employees], answer.next_page_token
