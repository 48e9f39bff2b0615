"""Attendance's gRPC services: decode, run the handler, encode."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from google.protobuf.message import Message
from muster.attendance.v1 import (
    roster_pb2,
    roster_pb2_grpc,
    time_catalog_pb2,
    time_catalog_pb2_grpc,
    timesheet_pb2_grpc,
)
from muster.attendance.v1 import timesheet_pb2 as pb

from chassis.paging import from_token, page_size, to_token
from chassis.unit_of_work import Commands, Queries
from contexts.attendance.adapters import catalog_codec, codec
from contexts.attendance.domain.catalog import (
    CatalogEntry,
    Definition,
    HolidayCalendar,
    OvertimePolicy,
    Shift,
    WorkSchedule,
)
from contexts.attendance.domain.errors import RosterUnknown
from contexts.attendance.domain.periods import TimeCalendar
from contexts.attendance.domain.requests import Correction, OvertimeRequest
from contexts.attendance.domain.roster import RosterEntry
from contexts.attendance.domain.timesheet import TimesheetState
from contexts.attendance.handlers import (
    adjust_timesheets,
    close_timesheets,
    decide_requests,
    ensure_roster,
    enter_absences,
    issue_badges,
    publish_catalog,
    read_requests,
    read_timesheets,
    read_totals,
    record_punches,
)
from contexts.attendance.handlers.work import AttendanceWork
from contexts.attendance.repository.port import ListKey, Readings, RequestFilter, RequestKind, TimesheetFilter
from kernel.clock import Clock
from kernel.errors import DomainError, InvalidValue
from kernel.ids import AssignmentId, EmployeeId

R = TypeVar("R")
M = TypeVar("M", bound=Message)

BULK = 500
"""The most people or punches of one bulk call."""

_CHANGE_REASONS = {
    "TimesheetSubmittedEvent": "TIMESHEET_SUBMITTED",
    "TimesheetApprovedEvent": "TIMESHEET_APPROVED",
    "TimesheetReopenedEvent": "TIMESHEET_REOPENED",
    "TimesheetLockedEvent": "TIMESHEET_LOCKED",
    "TimesheetAdjustedEvent": "TIMESHEET_ADJUSTED",
}


def _after(token: str) -> EmployeeId | None:
    keys = from_token(token, [str])
    return None if keys is None else EmployeeId(_uuid(str(keys[0])))


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidValue("take the cursor from the page before, unchanged", field="page_token") from error


class TimesheetServicer(timesheet_pb2_grpc.TimesheetServiceServicer):
    """Timesheets: commands and reads."""

    def __init__(self, commands: "Commands[Any]", queries: "Queries[Any]", clock: Clock) -> None:
        self._commands = commands
        self._queries = queries
        self._clock = clock

    async def _changed(
        self, handler: Callable[[AttendanceWork], Awaitable[TimesheetState]], response: Callable[..., M]
    ) -> M:
        answer = await self._commands.run(handler, lambda state: response(timesheet=codec.changed_to_proto(state)))
        return cast(M, answer)

    async def _read(self, handler: Callable[[Readings], Awaitable[R]]) -> R:
        return await self._queries.run(handler)

    # ------------------------------------------------------------------------------------------ punches

    async def RecordPunch(self, request: pb.RecordPunchRequest, context: Any) -> pb.RecordPunchResponse:
        """See the proto."""
        made = codec.punch_from(request.punch)
        answer = await self._commands.run(
            lambda work: record_punches.record_punch(made, work),
            lambda result: pb.RecordPunchResponse(result=codec.punch_result(result)),
            together=True,
        )
        return cast(pb.RecordPunchResponse, answer)

    async def ImportPunches(self, request: pb.ImportPunchesRequest, context: Any) -> pb.ImportPunchesResponse:
        """An item that cannot be decoded is refused like one that breaks a rule."""
        decoded: list[record_punches.PunchMade | pb.PunchResult] = []
        for message in request.punches:
            try:
                decoded.append(codec.punch_from(message))
            except DomainError as refusal:
                decoded.append(
                    pb.PunchResult(
                        punch_id=message.punch_id,
                        outcome=pb.PUNCH_OUTCOME_REFUSED,
                        reason=refusal.reason,
                        message=refusal.message,
                    )
                )
        made = [one for one in decoded if isinstance(one, record_punches.PunchMade)]

        def answer(answers: list[record_punches.PunchAnswer]) -> pb.ImportPunchesResponse:
            recorded = iter(answers)
            results = (one if isinstance(one, pb.PunchResult) else next(recorded) for one in decoded)
            return codec.punches_imported(request.punches, results)

        done = await self._commands.run(lambda work: record_punches.import_punches(made, work), answer)
        return cast(pb.ImportPunchesResponse, done)

    # ------------------------------------------------------------------------------------------ one timesheet

    async def EnterAbsence(self, request: pb.EnterAbsenceRequest, context: Any) -> pb.EnterAbsenceResponse:
        """See the proto."""
        cmd = codec.enter_absence_from(request)
        answer = await self._commands.run(
            lambda work: enter_absences.enter_absence(cmd, work),
            lambda done: pb.EnterAbsenceResponse(absence_id=str(done[0]), timesheet=codec.changed_to_proto(done[1])),
        )
        return cast(pb.EnterAbsenceResponse, answer)

    async def EnterEmployeeAbsence(
        self, request: pb.EnterEmployeeAbsenceRequest, context: Any
    ) -> pb.EnterEmployeeAbsenceResponse:
        """See the proto."""
        cmd = codec.enter_employee_absence_from(request)
        answer = await self._commands.run(
            lambda work: enter_absences.enter_employee_absence(cmd, work),
            lambda done: pb.EnterEmployeeAbsenceResponse(
                absence_id=str(done[0]), timesheet=codec.changed_to_proto(done[1])
            ),
        )
        return cast(pb.EnterEmployeeAbsenceResponse, answer)

    async def CancelAbsence(self, request: pb.CancelAbsenceRequest, context: Any) -> pb.CancelAbsenceResponse:
        """See the proto."""
        cmd = codec.cancel_absence_from(request)
        return await self._changed(lambda work: enter_absences.cancel_absence(cmd, work), pb.CancelAbsenceResponse)

    async def SubmitTimesheet(self, request: pb.SubmitTimesheetRequest, context: Any) -> pb.SubmitTimesheetResponse:
        """See the proto."""
        cmd = _change(request)
        return await self._changed(
            lambda work: close_timesheets.submit_timesheet(cmd, work), pb.SubmitTimesheetResponse
        )

    async def ApproveTimesheet(self, request: pb.ApproveTimesheetRequest, context: Any) -> pb.ApproveTimesheetResponse:
        """See the proto."""
        cmd = _change(request)
        return await self._changed(
            lambda work: close_timesheets.approve_timesheet(cmd, work), pb.ApproveTimesheetResponse
        )

    async def ReopenTimesheet(self, request: pb.ReopenTimesheetRequest, context: Any) -> pb.ReopenTimesheetResponse:
        """See the proto."""
        cmd = _change(request, request.reason)
        return await self._changed(
            lambda work: close_timesheets.reopen_timesheet(cmd, work), pb.ReopenTimesheetResponse
        )

    async def LockTimesheet(self, request: pb.LockTimesheetRequest, context: Any) -> pb.LockTimesheetResponse:
        """See the proto."""
        cmd = _change(request)
        return await self._changed(lambda work: close_timesheets.lock_timesheet(cmd, work), pb.LockTimesheetResponse)

    async def GetTimesheet(self, request: pb.GetTimesheetRequest, context: Any) -> pb.GetTimesheetResponse:
        """See the proto."""
        id, now = UUID(request.timesheet_id), self._clock.now()
        view = await self._read(lambda readings: read_timesheets.get_timesheet(id, readings, now))
        return pb.GetTimesheetResponse(timesheet=codec.timesheet_to_proto(view))

    async def FindTimesheet(self, request: pb.FindTimesheetRequest, context: Any) -> pb.FindTimesheetResponse:
        """See the proto."""
        employee_id, now = EmployeeId(UUID(request.employee_id)), self._clock.now()
        assignment_id = AssignmentId(UUID(request.assignment_id)) if request.assignment_id else None
        view = await self._read(
            lambda readings: read_timesheets.find_timesheet(employee_id, request.period, assignment_id, readings, now)
        )
        return pb.FindTimesheetResponse(timesheet=codec.timesheet_to_proto(view))

    # ------------------------------------------------------------------------------------------ requests

    async def RequestCorrection(
        self, request: pb.RequestCorrectionRequest, context: Any
    ) -> pb.RequestCorrectionResponse:
        """See the proto."""
        cmd = codec.request_correction_from(request)
        answer = await self._commands.run(
            lambda work: decide_requests.request_correction(cmd, work),
            lambda done: pb.RequestCorrectionResponse(
                correction=_correction(done[1], done[0]), etag=str(done[1].version)
            ),
        )
        return cast(pb.RequestCorrectionResponse, answer)

    async def ApproveCorrection(
        self, request: pb.ApproveCorrectionRequest, context: Any
    ) -> pb.ApproveCorrectionResponse:
        """See the proto."""
        return await self._correct(UUID(request.correction_id), True, request.note, pb.ApproveCorrectionResponse)

    async def DeclineCorrection(
        self, request: pb.DeclineCorrectionRequest, context: Any
    ) -> pb.DeclineCorrectionResponse:
        """See the proto."""
        return await self._correct(UUID(request.correction_id), False, request.note, pb.DeclineCorrectionResponse)

    async def _correct(self, id: UUID, approved: bool, note: str, response: Callable[..., M]) -> M:
        cmd = decide_requests.DecideRequest(id, approved, note)
        answer = await self._commands.run(
            lambda work: decide_requests.decide_correction(cmd, work),
            lambda state: response(correction=_correction(state, id), etag=str(state.version)),
        )
        return cast(M, answer)

    async def GetCorrection(self, request: pb.GetCorrectionRequest, context: Any) -> pb.GetCorrectionResponse:
        """See the proto."""
        id = UUID(request.correction_id)
        state, _ = await self._read(lambda readings: read_requests.get_request(RequestKind.CORRECTION, id, readings))
        return pb.GetCorrectionResponse(correction=_correction(state, id))

    async def ListCorrections(self, request: pb.ListCorrectionsRequest, context: Any) -> pb.ListCorrectionsResponse:
        """See the proto."""
        page, token = await self._requests(RequestKind.CORRECTION, request)
        return pb.ListCorrectionsResponse(
            corrections=[_correction(state, held.id) for state, held in page], next_page_token=token
        )

    async def _requests(
        self, kind: RequestKind, request: pb.ListCorrectionsRequest | pb.ListOvertimeRequestsRequest
    ) -> tuple[list[read_requests.Held], str]:
        wanted = RequestFilter(
            kind,
            codec.request_status_from(request.status),
            tuple(EmployeeId(UUID(id)) for id in request.employee_ids),
            request.department,
        )
        after, size = _after(request.page_token), page_size(request.page_size)
        page, last = await self._read(lambda readings: read_requests.list_requests(wanted, after, size, readings))
        return page, "" if last is None else to_token(str(last))

    async def RequestOvertime(self, request: pb.RequestOvertimeRequest, context: Any) -> pb.RequestOvertimeResponse:
        """See the proto."""
        cmd = codec.request_overtime_from(request)
        answer = await self._commands.run(
            lambda work: decide_requests.request_overtime(cmd, work),
            lambda done: pb.RequestOvertimeResponse(
                overtime_request=_overtime(done[1], done[0]), etag=str(done[1].version)
            ),
        )
        return cast(pb.RequestOvertimeResponse, answer)

    async def ApproveOvertime(self, request: pb.ApproveOvertimeRequest, context: Any) -> pb.ApproveOvertimeResponse:
        """See the proto."""
        id, minutes = UUID(request.overtime_request_id), request.minutes or None
        cmd = decide_requests.DecideRequest(id, True, request.note, minutes)
        return await self._overtime(cmd, pb.ApproveOvertimeResponse)

    async def DeclineOvertime(self, request: pb.DeclineOvertimeRequest, context: Any) -> pb.DeclineOvertimeResponse:
        """See the proto."""
        cmd = decide_requests.DecideRequest(UUID(request.overtime_request_id), False, request.note)
        return await self._overtime(cmd, pb.DeclineOvertimeResponse)

    async def _overtime(self, cmd: decide_requests.DecideRequest, response: Callable[..., M]) -> M:
        answer = await self._commands.run(
            lambda work: decide_requests.decide_overtime(cmd, work),
            lambda state: response(overtime_request=_overtime(state, cmd.request_id), etag=str(state.version)),
        )
        return cast(M, answer)

    async def GetOvertimeRequest(
        self, request: pb.GetOvertimeRequestRequest, context: Any
    ) -> pb.GetOvertimeRequestResponse:
        """See the proto."""
        id = UUID(request.overtime_request_id)
        state, _ = await self._read(lambda readings: read_requests.get_request(RequestKind.OVERTIME, id, readings))
        return pb.GetOvertimeRequestResponse(overtime_request=_overtime(state, id))

    async def ListOvertimeRequests(
        self, request: pb.ListOvertimeRequestsRequest, context: Any
    ) -> pb.ListOvertimeRequestsResponse:
        """See the proto."""
        page, token = await self._requests(RequestKind.OVERTIME, request)
        return pb.ListOvertimeRequestsResponse(
            overtime_requests=[_overtime(state, held.id) for state, held in page], next_page_token=token
        )

    async def AdjustTimesheet(self, request: pb.AdjustTimesheetRequest, context: Any) -> pb.AdjustTimesheetResponse:
        """See the proto."""
        cmd = codec.adjust_from(request)
        answer = await self._commands.run(
            lambda work: adjust_timesheets.adjust_timesheet(cmd, work),
            lambda done: pb.AdjustTimesheetResponse(
                adjustment_id=str(done[0]), timesheet=codec.changed_to_proto(done[1])
            ),
        )
        return cast(pb.AdjustTimesheetResponse, answer)

    # ------------------------------------------------------------------------------------------ many

    async def CloseTimesheets(self, request: pb.CloseTimesheetsRequest, context: Any) -> pb.CloseTimesheetsResponse:
        """See the proto."""
        cmd = codec.close_from(request, _after(request.page_token))
        answer = await self._commands.run(
            lambda work: close_timesheets.close_timesheets(cmd, work),
            lambda page: pb.CloseTimesheetsResponse(
                results=[codec.close_result(one) for one in page.answers],
                next_page_token="" if page.last is None else to_token(str(page.last)),
            ),
        )
        return cast(pb.CloseTimesheetsResponse, answer)

    async def ListTimesheets(self, request: pb.ListTimesheetsRequest, context: Any) -> pb.ListTimesheetsResponse:
        """See the proto."""
        wanted = TimesheetFilter(
            request.period,
            EmployeeId(UUID(request.employee_id)) if request.employee_id else None,
            request.pay_group,
            request.department,
            codec.status_from(request.status),
            codec.optional_instant(request, "updated_since"),
            tuple(EmployeeId(UUID(id)) for id in request.employee_ids),
        )
        keys = from_token(request.page_token, [str, str, str])
        after = None
        if keys is not None:
            after = ListKey(EmployeeId(_uuid(str(keys[0]))), str(keys[1]), _uuid(str(keys[2])))
        size = page_size(request.page_size)
        found = await self._read(lambda readings: readings.listing(wanted, after, size + 1))
        page = found[:size]
        token = ""
        if len(found) > size:
            last = page[-1]
            token = to_token(str(last.employee_id), last.period.name, str(last.id))
        return pb.ListTimesheetsResponse(
            timesheets=[codec.header_to_proto(state) for state in page], next_page_token=token
        )

    async def BatchGetPeriodTotals(
        self, request: pb.BatchGetPeriodTotalsRequest, context: Any
    ) -> pb.BatchGetPeriodTotalsResponse:
        """The stored messages are passed on as they are."""
        ids = [EmployeeId(UUID(id)) for id in request.employee_ids]
        known_at, now = codec.optional_instant(request, "known_at"), self._clock.now()
        payloads = await self._read(
            lambda readings: read_totals.get_period_totals(ids, request.period, known_at, readings, now)
        )
        response = pb.BatchGetPeriodTotalsResponse()
        found = set()
        for payload in payloads:
            totals = response.totals.add()
            totals.MergeFromString(payload)
            found.add(totals.employee_id)
        response.missing_employee_ids.extend(text for id in ids if (text := str(id)) not in found)
        return response

    async def GetFrontier(self, request: pb.GetFrontierRequest, context: Any) -> pb.GetFrontierResponse:
        """See the proto."""
        frontier = await self._read(lambda readings: read_totals.get_frontier(request.pay_group, readings))
        latest = frontier.latest_record_time
        return pb.GetFrontierResponse(
            feed_position=frontier.feed_position,
            latest_record_time=None if latest is None else codec.instant_to_proto(latest),
            database_time=codec.instant_to_proto(frontier.database_time),
        )

    async def ListChangedSince(self, request: pb.ListChangedSinceRequest, context: Any) -> pb.ListChangedSinceResponse:
        """See the proto."""
        query = read_totals.ListChangedSince(
            request.pay_group,
            request.period,
            request.feed_position,
            _after(request.page_token),
            request.page_size or BULK,
        )
        page, last = await self._read(lambda readings: read_totals.list_changed_since(query, readings))
        return pb.ListChangedSinceResponse(
            employees=[
                pb.ChangedEmployee(
                    employee_id=str(change.employee_id),
                    reason=_CHANGE_REASONS[change.event],
                    feed_position=change.position,
                    timesheet_id=str(change.timesheet_id),
                    record_time=codec.instant_to_proto(change.record_time),
                )
                for change in page
            ],
            next_page_token="" if last is None else to_token(str(last)),
        )


def _correction(state: TimesheetState, id: UUID) -> pb.Correction:
    found = read_requests.request_in(state, RequestKind.CORRECTION, id)
    assert isinstance(found, Correction)
    return codec.correction_to_proto(state, found)


def _overtime(state: TimesheetState, id: UUID) -> pb.OvertimeRequest:
    found = read_requests.request_in(state, RequestKind.OVERTIME, id)
    assert isinstance(found, OvertimeRequest)
    return codec.overtime_to_proto(state, found)


def _change(request: Any, reason: str = "") -> close_timesheets.ChangeTimesheet:
    return close_timesheets.ChangeTimesheet(UUID(request.timesheet_id), codec.seen_from(request.etag), reason)


class RosterServicer(roster_pb2_grpc.RosterServiceServicer):
    """The roster."""

    def __init__(self, commands: "Commands[Any]", queries: "Queries[Any]") -> None:
        self._commands = commands
        self._queries = queries

    async def EnsureRoster(
        self, request: roster_pb2.EnsureRosterRequest, context: Any
    ) -> roster_pb2.EnsureRosterResponse:
        """See the proto."""
        entry = codec.roster_entry_from(request.entry)
        answer = await self._commands.run(
            lambda work: ensure_roster.ensure_rosters([entry], work),
            lambda answers: roster_pb2.EnsureRosterResponse(
                applied=answers[0].applied, source_version=answers[0].source_version
            ),
        )
        return cast(roster_pb2.EnsureRosterResponse, answer)

    async def EnsureRosters(
        self, request: roster_pb2.EnsureRostersRequest, context: Any
    ) -> roster_pb2.EnsureRostersResponse:
        """An entry that cannot be decoded is refused alone."""
        decoded: list[RosterEntry | ensure_roster.RosterAnswer] = []
        for message in request.entries:
            try:
                decoded.append(codec.roster_entry_from(message))
            except DomainError as refusal:
                decoded.append(ensure_roster.RosterAnswer(EmployeeId(UUID(message.employee_id)), False, 0, refusal))
        entries = [one for one in decoded if isinstance(one, RosterEntry)]

        def answer(answers: list[ensure_roster.RosterAnswer]) -> roster_pb2.EnsureRostersResponse:
            results = iter(answers)
            return roster_pb2.EnsureRostersResponse(
                results=[codec.roster_result(next(results) if isinstance(one, RosterEntry) else one) for one in decoded]
            )

        done = await self._commands.run(lambda work: ensure_roster.ensure_rosters(entries, work), answer)
        return cast(roster_pb2.EnsureRostersResponse, done)

    async def IssueBadge(self, request: roster_pb2.IssueBadgeRequest, context: Any) -> roster_pb2.IssueBadgeResponse:
        """See the proto."""
        cmd = codec.issue_badge_from(request)
        answer = await self._commands.run(
            lambda work: issue_badges.issue_badge(cmd, work),
            lambda badge: roster_pb2.IssueBadgeResponse(badge=codec.badge_to_proto(badge)),
        )
        return cast(roster_pb2.IssueBadgeResponse, answer)

    async def ReturnBadge(self, request: roster_pb2.ReturnBadgeRequest, context: Any) -> roster_pb2.ReturnBadgeResponse:
        """See the proto."""
        cmd = issue_badges.ReturnBadge(request.badge_number, codec.seen_from(request.etag))
        answer = await self._commands.run(
            lambda work: issue_badges.return_badge(cmd, work),
            lambda badge: roster_pb2.ReturnBadgeResponse(badge=codec.badge_to_proto(badge)),
        )
        return cast(roster_pb2.ReturnBadgeResponse, answer)

    async def GetBadge(self, request: roster_pb2.GetBadgeRequest, context: Any) -> roster_pb2.GetBadgeResponse:
        """See the proto."""
        badge = await self._queries.run(lambda readings: issue_badges.get_badge(request.badge_number, readings))
        return roster_pb2.GetBadgeResponse(badge=codec.badge_to_proto(badge))

    async def ListBadges(self, request: roster_pb2.ListBadgesRequest, context: Any) -> roster_pb2.ListBadgesResponse:
        """See the proto."""
        employee_id = EmployeeId(UUID(request.employee_id)) if request.employee_id else None
        keys, size = from_token(request.page_token, [str]), page_size(request.page_size)
        after = str(keys[0]) if keys is not None else ""
        found = await self._queries.run(lambda readings: readings.badges("", employee_id, after, size + 1))
        return roster_pb2.ListBadgesResponse(
            badges=[codec.badge_to_proto(badge) for badge in found[:size]],
            next_page_token=to_token(found[size - 1].number) if len(found) > size else "",
        )

    async def GetRoster(self, request: roster_pb2.GetRosterRequest, context: Any) -> roster_pb2.GetRosterResponse:
        """See the proto."""
        employee_id = EmployeeId(UUID(request.employee_id))
        entry = await self._queries.run(lambda readings: readings.roster_entry(employee_id))
        if entry is None:
            raise RosterUnknown("the employee is not on the roster yet; ensure the roster", employee=employee_id)
        return roster_pb2.GetRosterResponse(entry=codec.roster_entry_to_proto(entry))


_Encode = Callable[[Any], Message]
_KINDS: Mapping[type[Definition], tuple[str, _Encode]] = {
    TimeCalendar: ("time_calendar", catalog_codec.time_calendar_to),
    Shift: ("shift", catalog_codec.shift_to),
    WorkSchedule: ("work_schedule", catalog_codec.work_schedule_to),
    HolidayCalendar: ("holiday_calendar", catalog_codec.holiday_calendar_to),
    OvertimePolicy: ("overtime_policy", catalog_codec.overtime_policy_to),
}


class TimeCatalogServicer(time_catalog_pb2_grpc.TimeCatalogServiceServicer):
    """The time catalog: the five kinds differ in their messages only."""

    def __init__(self, commands: "Commands[Any]", queries: "Queries[Any]") -> None:
        self._commands = commands
        self._queries = queries

    async def _put(self, request: Any, definition: Definition, entry: Callable[..., Message], response: Any) -> Any:
        cmd = publish_catalog.PublishEntry(
            definition, codec.date_from(request.effective_date, "effective_date"), codec.seen_from(request.etag)
        )
        return await self._commands.run(
            lambda work: publish_catalog.publish_entry(cmd, work),
            lambda published: response(entry=_entry_to(published, entry)),
        )

    async def _get(self, request: Any, kind: type[Any], entry: Callable[..., Message], response: Any) -> Any:
        as_of, known_at = codec.optional_date(request, "as_of"), codec.optional_instant(request, "known_at")
        found = await self._queries.run(
            lambda readings: publish_catalog.get_entry(kind, request.code, as_of, known_at, readings)
        )
        return response(entry=_entry_to(found, entry))

    async def _list(self, request: Any, kind: type[Any], entry: Callable[..., Message], response: Any) -> Any:
        as_of, known_at = codec.optional_date(request, "as_of"), codec.optional_instant(request, "known_at")
        keys = from_token(request.page_token, [str])
        after, size = "" if keys is None else str(keys[0]), page_size(request.page_size)
        found = await self._queries.run(
            lambda readings: publish_catalog.list_entries(kind, as_of, known_at, after, size + 1, readings)
        )
        page = found[:size]
        token = to_token(page[-1].definition.code) if len(found) > size else ""
        return response([_entry_to(one, entry) for one in page], token)

    async def PutTimeCalendar(self, request: Any, context: Any) -> Any:
        """See the proto."""
        definition = catalog_codec.time_calendar_from(request.time_calendar)
        return await self._put(
            request, definition, time_catalog_pb2.TimeCalendarEntry, time_catalog_pb2.PutTimeCalendarResponse
        )

    async def GetTimeCalendar(self, request: Any, context: Any) -> Any:
        """See the proto."""
        return await self._get(
            request, TimeCalendar, time_catalog_pb2.TimeCalendarEntry, time_catalog_pb2.GetTimeCalendarResponse
        )

    async def ListTimeCalendars(self, request: Any, context: Any) -> Any:
        """See the proto."""
        return await self._list(
            request,
            TimeCalendar,
            time_catalog_pb2.TimeCalendarEntry,
            lambda page, token: time_catalog_pb2.ListTimeCalendarsResponse(time_calendars=page, next_page_token=token),
        )

    async def PutShift(self, request: Any, context: Any) -> Any:
        """See the proto."""
        definition = catalog_codec.shift_from(request.shift)
        return await self._put(request, definition, time_catalog_pb2.ShiftEntry, time_catalog_pb2.PutShiftResponse)

    async def GetShift(self, request: Any, context: Any) -> Any:
        """See the proto."""
        return await self._get(request, Shift, time_catalog_pb2.ShiftEntry, time_catalog_pb2.GetShiftResponse)

    async def ListShifts(self, request: Any, context: Any) -> Any:
        """See the proto."""
        return await self._list(
            request,
            Shift,
            time_catalog_pb2.ShiftEntry,
            lambda page, token: time_catalog_pb2.ListShiftsResponse(shifts=page, next_page_token=token),
        )

    async def PutWorkSchedule(self, request: Any, context: Any) -> Any:
        """See the proto."""
        definition = catalog_codec.work_schedule_from(request.work_schedule)
        return await self._put(
            request, definition, time_catalog_pb2.WorkScheduleEntry, time_catalog_pb2.PutWorkScheduleResponse
        )

    async def GetWorkSchedule(self, request: Any, context: Any) -> Any:
        """See the proto."""
        return await self._get(
            request, WorkSchedule, time_catalog_pb2.WorkScheduleEntry, time_catalog_pb2.GetWorkScheduleResponse
        )

    async def ListWorkSchedules(self, request: Any, context: Any) -> Any:
        """See the proto."""
        return await self._list(
            request,
            WorkSchedule,
            time_catalog_pb2.WorkScheduleEntry,
            lambda page, token: time_catalog_pb2.ListWorkSchedulesResponse(work_schedules=page, next_page_token=token),
        )

    async def PutHolidayCalendar(self, request: Any, context: Any) -> Any:
        """See the proto."""
        definition = catalog_codec.holiday_calendar_from(request.holiday_calendar)
        return await self._put(
            request, definition, time_catalog_pb2.HolidayCalendarEntry, time_catalog_pb2.PutHolidayCalendarResponse
        )

    async def GetHolidayCalendar(self, request: Any, context: Any) -> Any:
        """See the proto."""
        return await self._get(
            request,
            HolidayCalendar,
            time_catalog_pb2.HolidayCalendarEntry,
            time_catalog_pb2.GetHolidayCalendarResponse,
        )

    async def ListHolidayCalendars(self, request: Any, context: Any) -> Any:
        """See the proto."""
        return await self._list(
            request,
            HolidayCalendar,
            time_catalog_pb2.HolidayCalendarEntry,
            lambda page, token: time_catalog_pb2.ListHolidayCalendarsResponse(
                holiday_calendars=page, next_page_token=token
            ),
        )

    async def PutOvertimePolicy(self, request: Any, context: Any) -> Any:
        """See the proto."""
        definition = catalog_codec.overtime_policy_from(request.overtime_policy)
        return await self._put(
            request, definition, time_catalog_pb2.OvertimePolicyEntry, time_catalog_pb2.PutOvertimePolicyResponse
        )

    async def GetOvertimePolicy(self, request: Any, context: Any) -> Any:
        """See the proto."""
        return await self._get(
            request, OvertimePolicy, time_catalog_pb2.OvertimePolicyEntry, time_catalog_pb2.GetOvertimePolicyResponse
        )

    async def ListOvertimePolicies(self, request: Any, context: Any) -> Any:
        """See the proto."""
        return await self._list(
            request,
            OvertimePolicy,
            time_catalog_pb2.OvertimePolicyEntry,
            lambda page, token: time_catalog_pb2.ListOvertimePoliciesResponse(
                overtime_policies=page, next_page_token=token
            ),
        )


def _entry_to(entry: CatalogEntry, message: Callable[..., Message]) -> Message:
    field, encode = _KINDS[type(entry.definition)]
    return message(
        **{field: encode(entry.definition)},
        effective_date=codec.date_to_proto(entry.effective_date),
        catalog_version=entry.version,
        etag=str(entry.version),
        record_time=codec.instant_to_proto(entry.record_time),
    )
