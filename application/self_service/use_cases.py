"""What the caller can ask about themselves: the same use cases as for anybody, asked for one's own employee."""

from datetime import date, timedelta
from uuid import UUID

from muster.organization.v1 import employee_pb2, employee_pb2_grpc

from application.access import Allow, Resource, decide
from application.edge.authorize import allow
from application.edge.calls import Calls
from application.edge.exchange import current_exchange
from application.edge.pages import Page
from application.edge.refusal import NotThere, Refusal
from application.edge.tenants import Tenants
from application.edge.wire import blank, from_date, from_enum, optional_id, to_date
from application.identity.schemas import TenantView
from application.pay.schemas import PayslipsQuery, PayslipSummaryView
from application.pay.use_cases import Pay
from application.self_service import schemas
from application.time.schemas import PunchBody, PunchView, TimesheetsQuery, TimesheetView
from application.time.use_cases import TIMESHEET_NOT_FOUND, Time
from chassis.rpc.channels import Client
from chassis.rpc.error_map import RemoteError
from kernel.errors import Kind
from kernel.ids import EmployeeId


class NotAnEmployee(Refusal):
    """The caller's account is no employee's, so that there is nothing of their own."""

    status, reason = 404, "NOT_AN_EMPLOYEE"


class SelfService:
    """The use cases of self-service.

    Invariants: whose things are meant is what the token says; access is asked as for anybody else's.
    """

    def __init__(self, organization: Client, tenants: Tenants, time: Time, pay: Pay) -> None:
        self._calls = Calls(organization)
        self._employees = organization.stub(employee_pb2_grpc.EmployeeServiceStub)
        self._tenants = tenants
        self._time = time
        self._pay = pay

    async def me(self) -> schemas.MeView:
        """The caller, their employment today and their company."""
        allow("me.read")
        caller = current_exchange().caller
        tenant = await self._tenants.mine()
        return schemas.MeView.model_construct(
            account_id=UUID(caller.subject),
            roles=sorted(caller.roles),
            employee_id=caller.employee_id,
            employee=await self._employment(caller.employee_id),
            tenant=TenantView.model_construct(
                id=tenant.tenant_id,
                code=tenant.code,
                name=tenant.name,
                home_zone=tenant.home_zone,
                locale=tenant.locale,
                currency=tenant.currency,
            ),
        )

    async def timesheet(self, query: schemas.MyTimesheetQuery) -> TimesheetView:
        """One's timesheet of a period."""
        me = _oneself()
        if query.period is not None:
            found = await self._timesheet(me, query.period)
        else:
            found = await self._timesheet_on(me, await self._tenants.today())
        if found is None:
            raise NotThere.because(TIMESHEET_NOT_FOUND)
        current_exchange().has_version(found.version)
        return found

    async def payslips(self, query: schemas.MyPayslipsQuery) -> Page[PayslipSummaryView]:
        """One's final payslips, newest first."""
        asked = PayslipsQuery.model_construct(
            employee_id=_oneself(), year=query.year, limit=query.limit, cursor=query.cursor
        )
        return await self._pay.payslips(asked)

    async def punch(self, body: schemas.MyPunchBody) -> PunchView:
        """Record that one came or went."""
        punch = PunchBody(
            punch_id=body.punch_id,
            employee_id=_oneself(),
            punched_at=body.punched_at,
            time_zone=body.time_zone,
            direction=body.direction,
            source=body.source,
        )
        return await self._time.record_punch(punch)

    async def _employment(self, employee_id: EmployeeId | None) -> schemas.MyEmploymentView | None:
        resource = Resource(employee_id=employee_id)
        if employee_id is None or not isinstance(decide(current_exchange().caller, "employee.read", resource), Allow):
            return None
        request = employee_pb2.GetEmployeeRequest(
            employee_id=str(employee_id), as_of=to_date(await self._tenants.today())
        )
        try:
            employee = (await self._calls.read(self._employees.GetEmployee, request)).employee
        except RemoteError as error:
            if error.kind is Kind.NOT_FOUND:
                return None
            raise
        assignment = employee.work.assignment
        return schemas.MyEmploymentView.model_construct(
            id=UUID(employee.employee_id),
            employee_number=employee.employee_number,
            legal_name=employee.person.legal_name,
            preferred_name=blank(employee.person.preferred_name),
            status=from_enum(employee_pb2.EmployeeStatus, "EMPLOYEE_STATUS_", employee.status),
            hire_date=from_date(employee.employment.hire_date),
            end_date=from_date(employee.employment.end_date),
            legal_entity=blank(assignment.legal_entity),
            department=blank(assignment.department),
            position=blank(assignment.position),
            location=blank(assignment.location),
            manager_id=optional_id(assignment.manager_id),
            work_schedule=blank(assignment.work_schedule),
        )

    async def _timesheet(self, me: UUID, period: str) -> TimesheetView | None:
        page = await self._time.list_timesheets(TimesheetsQuery(employee_id=me, period=period))
        return page.data[0] if page.data else None

    async def _timesheet_on(self, me: UUID, day: date) -> TimesheetView | None:
        for period in periods_around(day):
            found = await self._timesheet(me, period)
            if found is not None and found.start_date and found.end_date and found.start_date <= day <= found.end_date:
                return found
        return None


def _oneself() -> UUID:
    employee_id = current_exchange().caller.employee_id
    if employee_id is None:
        raise NotAnEmployee("your account belongs to no employee: ask HR to link it, and sign in again")
    return employee_id


def periods_around(day: date) -> tuple[str, ...]:
    """The names that a day's time period may have: its month or week, or with a cut-off day the month beside it."""
    first = day.replace(day=1)
    before, after = first - timedelta(days=1), first + timedelta(days=32)
    week = day.isocalendar()
    return (f"{day:%Y-%m}", f"{week.year}-W{week.week:02}", f"{after:%Y-%m}", f"{before:%Y-%m}")
