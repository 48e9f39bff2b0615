"""How a person relates to the caller: managers, legal entity, departments; asked only where it matters."""

from collections.abc import Sequence
from uuid import UUID

from muster.organization.v1 import employee_pb2, employee_pb2_grpc, org_chart_pb2, org_chart_pb2_grpc

from application.access import Because, Deny, Resource, decide
from application.edge.authorize import refusal_of
from application.edge.calls import Calls
from application.edge.exchange import current_exchange
from application.edge.refusal import NotThere
from application.edge.tenants import Tenants
from application.edge.wire import to_date
from chassis.rpc.channels import Client
from chassis.rpc.error_map import RemoteError
from kernel.errors import Kind
from kernel.ids import EmployeeId

EMPLOYEE_NOT_FOUND = "EMPLOYEE_NOT_FOUND"
MOST_LEVELS = 20


class Relations:
    """Resources of the access table for employees.

    Invariants: nobody's facts are read for a caller whose roles decide alone; a chain is followed at most 20 levels.
    """

    def __init__(self, organization: Client, tenants: Tenants) -> None:
        self._calls = Calls(organization)
        self._employees = organization.stub(employee_pb2_grpc.EmployeeServiceStub)
        self._org_chart = organization.stub(org_chart_pb2_grpc.OrgChartServiceStub)
        self._tenants = tenants

    async def allow(self, action: str, employee_id: UUID, *, missing: str = EMPLOYEE_NOT_FOUND) -> Resource:
        """The employee as a resource, if the caller may do this to them.

        Raises Forbidden, OwnRecord; NotThere with the reason `missing` where the caller may not know of the employee.
        """
        caller = current_exchange().caller
        resource = Resource(employee_id=EmployeeId(employee_id))
        decision = decide(caller, action, resource)
        if isinstance(decision, Deny) and decision.reason is Because.OUT_OF_REACH and self._facts_matter():
            resource = await self.resource(employee_id)
            decision = decide(caller, action, resource)
        if isinstance(decision, Deny):
            raise refusal_of(decision, missing)
        return resource

    async def resource(self, employee_id: UUID) -> Resource:
        """Everything that access may depend on. Unrelated where the employee is not known."""
        if not self._facts_matter():
            return Resource(employee_id=EmployeeId(employee_id))
        roles = current_exchange().caller.roles
        today = to_date(await self._tenants.today())
        employee = await self._employee(str(employee_id), today)
        if employee is None:
            return Resource(employee_id=EmployeeId(employee_id))
        managers: frozenset[EmployeeId] = frozenset()
        if "manager" in roles:
            managers = await self._managers(employee.work.assignment.manager_id, today)
        departments: frozenset[str] = frozenset()
        if any("@department:" in role for role in roles):
            departments = await self._departments(employee.work.assignment.department, today)
        return Resource(EmployeeId(employee_id), managers, employee.work.assignment.legal_entity, departments)

    async def exist(self, employee_ids: Sequence[UUID]) -> None:
        """Raises NotThere where one of these employees (at most 500 at once) is not in the caller's tenant."""
        for start in range(0, len(employee_ids), 500):
            asked = sorted({str(one) for one in employee_ids[start : start + 500]})
            answer = await self._calls.read(
                self._employees.BatchGetEmployees,
                employee_pb2.BatchGetEmployeesRequest(employee_ids=asked, as_of=to_date(await self._tenants.today())),
            )
            if len(answer.employees) != len(asked):
                raise NotThere.because(EMPLOYEE_NOT_FOUND)

    async def below(self, departments: frozenset[str]) -> frozenset[str]:
        """These departments and all below them, today."""
        answer = await self._calls.read(
            self._org_chart.GetOrgChart,
            org_chart_pb2.GetOrgChartRequest(as_of=to_date(await self._tenants.today())),
        )
        parents = {
            entry.code: entry.department.parent
            for entry in answer.entries
            if entry.WhichOneof("detail") == "department"
        }
        found = set(departments)
        for _ in range(MOST_LEVELS):
            more = {code for code, parent in parents.items() if parent in found} - found
            if not more:
                break
            found |= more
        return frozenset(found)

    @staticmethod
    def _facts_matter() -> bool:
        return any("@" in role or role == "manager" for role in current_exchange().caller.roles)

    async def _employee(self, employee_id: str, today: object) -> employee_pb2.Employee | None:
        try:
            answer = await self._calls.read(
                self._employees.GetEmployee,
                employee_pb2.GetEmployeeRequest(employee_id=employee_id, as_of=today),  # type: ignore[arg-type]
            )
        except RemoteError as error:
            if error.kind is Kind.NOT_FOUND:
                return None
            raise
        return answer.employee

    async def _managers(self, manager_id: str, today: object) -> frozenset[EmployeeId]:
        found: set[EmployeeId] = set()
        for _ in range(MOST_LEVELS):
            if not manager_id or UUID(manager_id) in found:
                break
            found.add(EmployeeId(UUID(manager_id)))
            if current_exchange().caller.employee_id in found:
                break
            manager = await self._employee(manager_id, today)
            manager_id = manager.work.assignment.manager_id if manager is not None else ""
        return frozenset(found)

    async def _departments(self, code: str, today: object) -> frozenset[str]:
        found: set[str] = set()
        for _ in range(MOST_LEVELS):
            if not code or code in found:
                break
            found.add(code)
            answer = await self._calls.read(
                self._org_chart.GetOrgChartEntry,
                org_chart_pb2.GetOrgChartEntryRequest(
                    kind=org_chart_pb2.ENTRY_KIND_DEPARTMENT,
                    code=code,
                    as_of=today,  # type: ignore[arg-type]
                ),
            )
            code = answer.entry.department.parent
        return frozenset(found)
