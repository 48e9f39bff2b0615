"""REST operations of self-service."""

from typing import Annotated

from fastapi import Depends, Query, Request, Response

from application.edge.operation import Criticality
from application.edge.pages import Page
from application.edge.routes import Routes
from application.pay.schemas import PayslipSummaryView
from application.self_service import schemas
from application.self_service.approvals import Approvals
from application.self_service.use_cases import SelfService
from application.time.schemas import PunchView, TimesheetView

routes = Routes("self_service")


async def self_service_of(request: Request) -> SelfService:
    """The use cases of this application."""
    found: SelfService = request.app.state.self_service
    return found


Uses = Annotated[SelfService, Depends(self_service_of)]


async def approvals_of(request: Request) -> Approvals:
    """The use case of approvals."""
    found: Approvals = request.app.state.approvals
    return found


Decisions = Annotated[Approvals, Depends(approvals_of)]


@routes.get("/v1/me", "me.read", tag="self-service")
async def get_me(self_service: Uses) -> schemas.MeView:
    """The caller, as the token says, their employment today, and their company."""
    return await self_service.me()


@routes.get("/v1/me/timesheet", "timesheet.list", tag="self-service")
async def get_my_timesheet(query: Annotated[schemas.MyTimesheetQuery, Query()], self_service: Uses) -> TimesheetView:
    """One's own timesheet with its days, of a period or of the one in which today lies.

    404 where there is none: TIMESHEET_NOT_FOUND before the first punch or absence of the period, NOT_AN_EMPLOYEE where
    the account is no employee's.
    """
    return await self_service.timesheet(query)


@routes.get("/v1/me/payslips", "payslip.list", tag="self-service")
async def list_my_payslips(
    query: Annotated[schemas.MyPayslipsQuery, Query()], self_service: Uses
) -> Page[PayslipSummaryView]:
    """A page of one's own final payslips, newest first; `GET /v1/payslips/{payslip_id}` tells the lines of one."""
    return await self_service.payslips(query)


@routes.get("/v1/approvals", "approval.read", tag="self-service", criticality=Criticality.DEFERRABLE)
async def list_approvals(
    query: Annotated[schemas.ApprovalsQuery, Query()], approvals: Decisions
) -> Page[schemas.ApprovalView]:
    """What waits for the caller's decision: overtime, corrections, submitted timesheets, calculated payroll runs.

    Never what is about the caller, or was prepared by them. A page may hold fewer than asked for and go on.
    """
    return await approvals.mine(query)


@routes.post("/v1/me/punches", "punch.record", tag="self-service", status=201, criticality=Criticality.CRITICAL)
async def record_my_punch(body: schemas.MyPunchBody, self_service: Uses, response: Response) -> PunchView:
    """Record that one came or went. 201 where it counts; 200 where it is a duplicate or was recorded before."""
    view = await self_service.punch(body)
    if view.outcome != "RECORDED":
        response.status_code = 200
    return view
