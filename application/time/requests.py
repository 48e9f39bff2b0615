"""What people ask to be changed: corrections, overtime, and late changes, decided by somebody else."""

from typing import Any
from uuid import UUID

from muster.attendance.v1 import timesheet_pb2, timesheet_pb2_grpc

from application.edge.authorize import allowed_reach
from application.edge.calls import Calls
from application.edge.exchange import current_exchange
from application.edge.pages import Page
from application.people.relations import Relations
from application.time import codec, request_codec, schemas
from application.time import request_schemas as asked
from application.time.rosters import Rosters
from application.time.teams import Teams
from chassis.rpc.channels import Client

TIMESHEET_NOT_FOUND = "TIMESHEET_NOT_FOUND"
CORRECTION_NOT_FOUND = "CORRECTION_NOT_FOUND"
OVERTIME_REQUEST_NOT_FOUND = "OVERTIME_REQUEST_NOT_FOUND"


class Requests:
    """The use cases of requests: who it is about is read first, since access depends on it; then one write."""

    def __init__(self, attendance: Client, relations: Relations, rosters: Rosters, teams: Teams) -> None:
        self._calls = Calls(attendance)
        self._timesheets = attendance.stub(timesheet_pb2_grpc.TimesheetServiceStub)
        self._relations = relations
        self._rosters = rosters
        self._teams = teams

    # ---- corrections ----

    async def request_correction(self, timesheet_id: UUID, body: asked.CorrectionBody) -> asked.CorrectionView:
        """Ask for a punch to be corrected."""
        await self._allow_timesheet("correction.request", timesheet_id)
        request = request_codec.to_correction(timesheet_id, body)
        answer = await self._calls.write(self._timesheets.RequestCorrection, request)
        current_exchange().located_at(f"/v1/timesheet-corrections/{answer.correction.correction_id}")
        return request_codec.correction_view(answer.correction)

    async def approve_correction(self, id: UUID, body: asked.DecisionBody) -> asked.CorrectionView:
        """Let a correction count."""
        await self._correction("correction.decide", id)
        request = timesheet_pb2.ApproveCorrectionRequest(correction_id=str(id), note=body.note)
        answer = await self._calls.write(self._timesheets.ApproveCorrection, request)
        return request_codec.correction_view(answer.correction)

    async def decline_correction(self, id: UUID, body: asked.DecisionBody) -> asked.CorrectionView:
        """Leave the punches as they are."""
        await self._correction("correction.decide", id)
        request = timesheet_pb2.DeclineCorrectionRequest(correction_id=str(id), note=body.note)
        answer = await self._calls.write(self._timesheets.DeclineCorrection, request)
        return request_codec.correction_view(answer.correction)

    async def get_correction(self, id: UUID) -> asked.CorrectionView:
        """One correction."""
        return request_codec.correction_view(await self._correction("timesheet.read", id))

    async def _correction(self, action: str, id: UUID) -> timesheet_pb2.Correction:
        request = timesheet_pb2.GetCorrectionRequest(correction_id=str(id))
        found = (await self._calls.read(self._timesheets.GetCorrection, request)).correction
        await self._relations.allow(action, UUID(found.employee_id), missing=CORRECTION_NOT_FOUND)
        return found

    async def list_corrections(self, query: asked.RequestsQuery) -> Page[asked.CorrectionView]:
        """A page of corrections within the caller's reach, oldest first."""
        request = timesheet_pb2.ListCorrectionsRequest()
        if not await self._narrowed(request, query):
            return Page[asked.CorrectionView].model_construct(data=[], next_cursor=None)
        answer = await self._calls.read(self._timesheets.ListCorrections, request)
        await self._known(query, answer.corrections)
        return Page[asked.CorrectionView].model_construct(
            data=[request_codec.correction_view(one) for one in answer.corrections],
            next_cursor=answer.next_page_token or None,
        )

    async def _narrowed(self, request: Any, query: asked.RequestsQuery) -> bool:
        """The question within the caller's reach; whether there is anybody in it."""
        found = allowed_reach("timesheet.list")
        ids: list[str] | None
        if query.employee_id is not None:
            await self._relations.allow("timesheet.read", query.employee_id)
            ids = [str(query.employee_id)]
        else:
            ids = await self._teams.of(found)
        if ids is not None:
            request.employee_ids.extend(ids)
        request.status = request_codec.to_request_status(query.status)
        request.department = query.department or ""
        request.page_size, request.page_token = query.limit, query.cursor
        return ids is None or bool(ids)

    async def _known(self, query: asked.RequestsQuery, found: Any) -> None:
        if query.employee_id is not None and not found:
            await self._relations.exist([query.employee_id])

    # ---- overtime ----

    async def request_overtime(self, body: asked.OvertimeRequestBody) -> asked.OvertimeRequestView:
        """Ask for overtime to be counted; the timesheet is opened where there is none."""
        await self._relations.allow("overtime.request", body.employee_id)
        request = request_codec.to_overtime(body)
        answer = await self._rosters.write_of(
            str(body.employee_id), self._calls, self._timesheets.RequestOvertime, request
        )
        current_exchange().located_at(f"/v1/overtime-requests/{answer.overtime_request.overtime_request_id}")
        return request_codec.overtime_view(answer.overtime_request)

    async def approve_overtime(self, id: UUID, body: asked.OvertimeApprovalBody) -> asked.OvertimeRequestView:
        """Let overtime count up to the minutes approved."""
        await self._overtime("overtime.decide", id)
        request = timesheet_pb2.ApproveOvertimeRequest(
            overtime_request_id=str(id), minutes=body.minutes, note=body.note
        )
        answer = await self._calls.write(self._timesheets.ApproveOvertime, request)
        return request_codec.overtime_view(answer.overtime_request)

    async def decline_overtime(self, id: UUID, body: asked.DecisionBody) -> asked.OvertimeRequestView:
        """Leave overtime uncounted."""
        await self._overtime("overtime.decide", id)
        request = timesheet_pb2.DeclineOvertimeRequest(overtime_request_id=str(id), note=body.note)
        answer = await self._calls.write(self._timesheets.DeclineOvertime, request)
        return request_codec.overtime_view(answer.overtime_request)

    async def get_overtime(self, id: UUID) -> asked.OvertimeRequestView:
        """One overtime request."""
        return request_codec.overtime_view(await self._overtime("timesheet.read", id))

    async def _overtime(self, action: str, id: UUID) -> timesheet_pb2.OvertimeRequest:
        request = timesheet_pb2.GetOvertimeRequestRequest(overtime_request_id=str(id))
        found = (await self._calls.read(self._timesheets.GetOvertimeRequest, request)).overtime_request
        await self._relations.allow(action, UUID(found.employee_id), missing=OVERTIME_REQUEST_NOT_FOUND)
        return found

    async def list_overtime(self, query: asked.RequestsQuery) -> Page[asked.OvertimeRequestView]:
        """A page of overtime requests within the caller's reach, oldest first."""
        request = timesheet_pb2.ListOvertimeRequestsRequest()
        if not await self._narrowed(request, query):
            return Page[asked.OvertimeRequestView].model_construct(data=[], next_cursor=None)
        answer = await self._calls.read(self._timesheets.ListOvertimeRequests, request)
        await self._known(query, answer.overtime_requests)
        return Page[asked.OvertimeRequestView].model_construct(
            data=[request_codec.overtime_view(one) for one in answer.overtime_requests],
            next_cursor=answer.next_page_token or None,
        )

    # ---- after lock ----

    async def adjust(self, timesheet_id: UUID, body: asked.AdjustmentBody) -> schemas.TimesheetView:
        """Change the totals of a locked timesheet on one work date."""
        await self._allow_timesheet("timesheet.adjust", timesheet_id)
        request = request_codec.to_adjustment(timesheet_id, body)
        answer = await self._calls.write(self._timesheets.AdjustTimesheet, request)
        current_exchange().has_version(answer.timesheet.etag)
        return codec.timesheet_view(answer.timesheet)

    async def _allow_timesheet(self, action: str, timesheet_id: UUID) -> None:
        request = timesheet_pb2.GetTimesheetRequest(timesheet_id=str(timesheet_id))
        found = (await self._calls.read(self._timesheets.GetTimesheet, request)).timesheet
        await self._relations.allow(action, UUID(found.employee_id), missing=TIMESHEET_NOT_FOUND)
