"""What time can be asked: schedules, punches, timesheets and their closing, each with one or two calls."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import orjson
from muster.attendance.v1 import roster_pb2, roster_pb2_grpc, time_catalog_pb2_grpc, timesheet_pb2, timesheet_pb2_grpc

from application.edge.authorize import allow, allowed_reach
from application.edge.calls import Calls
from application.edge.exchange import current_exchange
from application.edge.pages import Page
from application.edge.refusal import Forbidden, NotThere
from application.edge.wire import ready_made, to_date, to_instant
from application.people.relations import EMPLOYEE_NOT_FOUND, Relations
from application.time import codec, schemas
from application.time.rosters import ROSTER_UNKNOWN, Rosters
from application.time.teams import Teams
from chassis.rpc.channels import Client
from chassis.rpc.error_map import RemoteError
from kernel.errors import Kind
from kernel.ids import derived_id

TIMESHEET_NOT_FOUND = "TIMESHEET_NOT_FOUND"
CLOSING_NOT_FOUND = "CLOSING_NOT_FOUND"
COUNTED_PAGES = 50  # of 1,000 timesheets each

REACHED = {
    "SUBMITTED": {"SUBMITTED", "APPROVED", "LOCKED"},
    "APPROVED": {"APPROVED", "LOCKED"},
    "LOCKED": {"LOCKED"},
}


class Time:
    """The use cases of time; a punch needs one call, and two more only for who is not on the roster yet."""

    def __init__(self, attendance: Client, relations: Relations, rosters: Rosters, teams: Teams) -> None:
        self._calls = Calls(attendance)
        self._timesheets = attendance.stub(timesheet_pb2_grpc.TimesheetServiceStub)
        self._roster = attendance.stub(roster_pb2_grpc.RosterServiceStub)
        self.catalog = attendance.stub(time_catalog_pb2_grpc.TimeCatalogServiceStub)
        self._relations = relations
        self._rosters = rosters
        self._teams = teams

    # ---- the time catalog ----

    async def put_entry(self, method: Any, request: Any, view: Callable[[Any], Any]) -> Any:
        """Publish one entry from a date on."""
        allow("schedule.publish")
        answer = await self._calls.write(method, request)
        current_exchange().has_version(answer.entry.etag)
        return view(answer.entry)

    async def get_entry(
        self, method: Any, request: Any, query: schemas.CatalogQuery, view: Callable[[Any], Any]
    ) -> Any:
        """One entry as it holds on a day."""
        allow("schedule.read")
        _dated(request, query)
        answer = await self._calls.read(method, request)
        current_exchange().has_version(answer.entry.etag)
        return view(answer.entry)

    async def list_entries(
        self, method: Any, request: Any, field: str, query: schemas.CatalogListQuery, view: Callable[[Any], Any]
    ) -> Page[Any]:
        """Entries of one kind, by code."""
        allow("schedule.read")
        _dated(request, query)
        request.page_size, request.page_token = query.limit, query.cursor
        answer: Any = await self._calls.read(method, request)
        return Page[Any].model_construct(
            data=[view(one) for one in getattr(answer, field)], next_cursor=answer.next_page_token or None
        )

    # ---- punches ----

    async def record_punch(self, body: schemas.PunchBody) -> schemas.PunchView:
        """Record one punch; who is not on the roster yet is brought there first, once."""
        tenant_id = current_exchange().caller.tenant_id
        if body.badge_number is not None:
            return await self._record_badge(body)
        employee_id = str(body.employee_id) if body.employee_id is not None else None
        if employee_id is None and not _decides_alone("punch.record"):
            employee_id = await self._rosters.id_of(tenant_id, body.employee_number or "")
        if employee_id is not None:
            await self._relations.allow("punch.record", UUID(employee_id))
        else:
            allow("punch.record", missing=EMPLOYEE_NOT_FOUND)
        request = timesheet_pb2.RecordPunchRequest(punch=_punch(body))
        answer = await self._rosters.write_of(
            employee_id, self._calls, self._timesheets.RecordPunch, request, number=body.employee_number or ""
        )
        return codec.punch_view(answer.result)

    async def _record_badge(self, body: schemas.PunchBody) -> schemas.PunchView:
        """A punch at a terminal; attendance knows whose badge it is, and it is of somebody on the roster."""
        if not _decides_alone("punch.record"):
            raise Forbidden("name yourself by employee_id; badges are for terminals")
        allow("punch.record")
        request = timesheet_pb2.RecordPunchRequest(punch=_punch(body))
        answer = await self._calls.write(self._timesheets.RecordPunch, request)
        return codec.punch_view(answer.result)

    async def import_punches(self, body: schemas.PunchBatchBody) -> schemas.PunchBatchView:
        """Record many punches; those of people not on the roster yet are tried once more."""
        allow("punch.import")
        exchange = current_exchange()
        request = timesheet_pb2.ImportPunchesRequest(punches=_punches(body.punches))
        results = list((await self._calls.write(self._timesheets.ImportPunches, request)).results)
        unknown = [place for place, result in enumerate(results) if result.reason == ROSTER_UNKNOWN]
        if unknown and await self._bring_to_roster([request.punches[place] for place in unknown]):
            again = timesheet_pb2.ImportPunchesRequest(punches=[request.punches[place] for place in unknown])
            assert exchange.request_id is not None
            # A request id of its own, derived from the first: a repetition of the whole gets both answers again.
            exchange.request_id = derived_id("again", exchange.request_id)
            answer = await self._calls.write(self._timesheets.ImportPunches, again)
            for place, result in zip(unknown, answer.results, strict=True):
                results[place] = result
        return ready_made(schemas.PunchBatchView, {"results": [codec.punch_json(one) for one in results]})

    async def _bring_to_roster(self, punches: list[timesheet_pb2.Punch]) -> bool:
        tenant_id = current_exchange().caller.tenant_id
        ids = {punch.employee_id for punch in punches if punch.employee_id}
        numbers = {punch.employee_number for punch in punches if not punch.employee_id and punch.employee_number}
        for number in sorted(numbers):
            found = await self._rosters.id_of(tenant_id, number)
            if found is not None:
                ids.add(found)
        return bool(ids and await self._rosters.ensure(tenant_id, sorted(ids)))

    # ---- badges ----

    async def issue_badge(self, number: str, body: schemas.BadgeBody) -> schemas.BadgeView:
        """Give somebody a badge; who is not on the roster yet is brought there first."""
        await self._relations.allow("badge.issue", body.employee_id)
        request = roster_pb2.IssueBadgeRequest(
            badge_number=number, employee_id=str(body.employee_id), start_time=to_instant(body.since)
        )
        answer = await self._rosters.write_of(str(body.employee_id), self._calls, self._roster.IssueBadge, request)
        return self._badge(answer.badge)

    async def return_badge(self, number: str) -> schemas.BadgeView:
        """Take a badge back."""
        allow("badge.issue")
        request = roster_pb2.ReturnBadgeRequest(badge_number=number)
        return self._badge((await self._calls.write(self._roster.ReturnBadge, request)).badge)

    async def get_badge(self, number: str) -> schemas.BadgeView:
        """One badge."""
        allow("badge.read")
        request = roster_pb2.GetBadgeRequest(badge_number=number)
        return self._badge((await self._calls.read(self._roster.GetBadge, request)).badge)

    async def list_badges(self, query: schemas.BadgesQuery) -> Page[schemas.BadgeView]:
        """A page of badges, by number."""
        allow("badge.read")
        answer = await self._calls.read(
            self._roster.ListBadges,
            roster_pb2.ListBadgesRequest(
                employee_id=str(query.employee_id or ""), page_size=query.limit, page_token=query.cursor
            ),
        )
        if query.employee_id is not None and not answer.badges:
            await self._relations.exist([query.employee_id])
        return Page[schemas.BadgeView].model_construct(
            data=[codec.badge_view(one) for one in answer.badges], next_cursor=answer.next_page_token or None
        )

    def _badge(self, badge: roster_pb2.Badge) -> schemas.BadgeView:
        current_exchange().has_version(badge.etag)
        return codec.badge_view(badge)

    # ---- timesheets ----

    async def get_timesheet(self, timesheet_id: UUID) -> schemas.TimesheetView:
        """One timesheet with its occurrences."""
        timesheet = await self._timesheet(timesheet_id)
        await self._relations.allow("timesheet.read", UUID(timesheet.employee_id), missing=TIMESHEET_NOT_FOUND)
        return self._shown(timesheet)

    async def list_timesheets(self, query: schemas.TimesheetsQuery) -> Page[schemas.TimesheetView]:
        """A page of timesheets within the caller's reach; with employee and period the one, in full."""
        found = allowed_reach("timesheet.list")
        employee_id = query.employee_id
        ids: list[str] = []
        if not found.everybody:
            caller = current_exchange().caller
            if employee_id is None and not found.team and not found.legal_entities and not found.departments:
                employee_id = caller.employee_id
            if employee_id is None:
                ids = await self._teams.of(found) or []
                if not ids:
                    return Page[schemas.TimesheetView].model_construct(data=[], next_cursor=None)
            else:
                await self._relations.allow("timesheet.read", employee_id)
        if employee_id is not None and query.period is not None and not query.cursor:
            return await self._found(employee_id, query)
        answer = await self._calls.read(
            self._timesheets.ListTimesheets,
            timesheet_pb2.ListTimesheetsRequest(
                period=query.period or "",
                employee_id=str(employee_id or ""),
                pay_group=query.pay_group or "",
                department=query.department or "",
                status=codec.to_status(query.status),
                page_size=query.limit,
                page_token=query.cursor,
                updated_since=to_instant(query.updated_since),
                employee_ids=ids,
            ),
        )
        if employee_id is not None and not answer.timesheets:
            await self._relations.exist([employee_id])
        return Page[schemas.TimesheetView].model_construct(
            data=[codec.timesheet_view(one) for one in answer.timesheets], next_cursor=answer.next_page_token or None
        )

    async def _found(self, employee_id: UUID, query: schemas.TimesheetsQuery) -> Page[schemas.TimesheetView]:
        """The employee's timesheet of the period as a page of at most one."""
        request = timesheet_pb2.FindTimesheetRequest(employee_id=str(employee_id), period=query.period or "")
        try:
            answer = await self._calls.read(self._timesheets.FindTimesheet, request)
        except RemoteError as error:
            if error.kind is not Kind.NOT_FOUND and error.reason != ROSTER_UNKNOWN:
                raise
            await self._relations.exist([employee_id])
            return Page[schemas.TimesheetView].model_construct(data=[], next_cursor=None)
        view = codec.timesheet_view(answer.timesheet)
        fits = (
            query.status in (None, view.status)
            and query.pay_group in (None, view.pay_group)
            and query.department in (None, view.department)
            and (query.updated_since is None or view.updated_at is None or view.updated_at > query.updated_since)
        )
        return Page[schemas.TimesheetView].model_construct(data=[view] if fits else [], next_cursor=None)

    async def submit(self, timesheet_id: UUID) -> schemas.TimesheetView:
        """OPEN to SUBMITTED."""
        request = timesheet_pb2.SubmitTimesheetRequest(timesheet_id=str(timesheet_id))
        return await self._change("timesheet.submit", timesheet_id, self._timesheets.SubmitTimesheet, request)

    async def approve(self, timesheet_id: UUID) -> schemas.TimesheetView:
        """SUBMITTED to APPROVED, never by the employee."""
        request = timesheet_pb2.ApproveTimesheetRequest(timesheet_id=str(timesheet_id))
        return await self._change("timesheet.approve", timesheet_id, self._timesheets.ApproveTimesheet, request)

    async def reopen(self, timesheet_id: UUID, body: schemas.ReopenBody) -> schemas.TimesheetView:
        """SUBMITTED or APPROVED to OPEN."""
        request = timesheet_pb2.ReopenTimesheetRequest(timesheet_id=str(timesheet_id), reason=body.reason)
        return await self._change("timesheet.reopen", timesheet_id, self._timesheets.ReopenTimesheet, request)

    async def lock(self, timesheet_id: UUID) -> schemas.TimesheetView:
        """APPROVED to LOCKED."""
        request = timesheet_pb2.LockTimesheetRequest(timesheet_id=str(timesheet_id))
        return await self._change("timesheet.lock", timesheet_id, self._timesheets.LockTimesheet, request)

    async def enter_absence(self, timesheet_id: UUID, body: schemas.AbsenceBody) -> schemas.TimesheetView:
        """Enter an absence into an open timesheet."""
        request = timesheet_pb2.EnterAbsenceRequest(
            timesheet_id=str(timesheet_id),
            code=body.code,
            start_date=to_date(body.start_date),
            end_date=to_date(body.end_date),
            minutes=body.minutes,
            paid_share=body.paid_share,
        )
        return await self._change("absence.enter", timesheet_id, self._timesheets.EnterAbsence, request)

    async def enter_employee_absence(self, body: schemas.EmployeeAbsenceBody) -> schemas.TimesheetView:
        """Enter an absence of an employee; the timesheet is opened where there is none."""
        await self._relations.allow("absence.enter", body.employee_id)
        request = timesheet_pb2.EnterEmployeeAbsenceRequest(
            employee_id=str(body.employee_id),
            code=body.code,
            start_date=to_date(body.start_date),
            end_date=to_date(body.end_date),
            minutes=body.minutes,
            paid_share=body.paid_share,
        )
        answer = await self._rosters.write_of(
            str(body.employee_id), self._calls, self._timesheets.EnterEmployeeAbsence, request
        )
        current_exchange().located_at(f"/v1/timesheets/{answer.timesheet.timesheet_id}")
        return self._shown(answer.timesheet)

    async def cancel_absence(self, timesheet_id: UUID, absence_id: UUID) -> schemas.TimesheetView:
        """Take an absence out of an open timesheet."""
        request = timesheet_pb2.CancelAbsenceRequest(timesheet_id=str(timesheet_id), absence_id=str(absence_id))
        return await self._change("absence.enter", timesheet_id, self._timesheets.CancelAbsence, request)

    async def _change(self, action: str, timesheet_id: UUID, method: Any, request: Any) -> schemas.TimesheetView:
        timesheet = await self._timesheet(timesheet_id)
        await self._relations.allow(action, UUID(timesheet.employee_id), missing=TIMESHEET_NOT_FOUND)
        answer: Any = await self._calls.write(method, request)
        return self._shown(answer.timesheet)

    async def _timesheet(self, timesheet_id: UUID) -> timesheet_pb2.Timesheet:
        answer = await self._calls.read(
            self._timesheets.GetTimesheet, timesheet_pb2.GetTimesheetRequest(timesheet_id=str(timesheet_id))
        )
        return answer.timesheet

    def _shown(self, timesheet: timesheet_pb2.Timesheet) -> schemas.TimesheetView:
        current_exchange().has_version(timesheet.etag)
        return codec.timesheet_view(timesheet)

    # ---- closing ----

    async def close(self, body: schemas.ClosingBody) -> schemas.ClosingView:
        """Take the next people of a pay group or department to a status."""
        allow("timesheet.close")
        request = timesheet_pb2.CloseTimesheetsRequest(
            period=body.period,
            target_status=codec.to_status(body.target_status),
            page_size=schemas.CLOSING_PEOPLE,
            page_token=body.cursor,
        )
        if body.pay_group is not None:
            request.pay_group = body.pay_group
        else:
            request.department = body.department or ""
        answer = await self._calls.write(self._timesheets.CloseTimesheets, request)
        closing_id = _closing_id(body)
        current_exchange().located_at(f"/v1/timesheet-closings/{closing_id}")
        return schemas.ClosingView.model_construct(
            id=closing_id,
            pay_group=body.pay_group,
            department=body.department,
            period=body.period,
            target_status=body.target_status,
            results=[codec.closing_result_view(one) for one in answer.results],
            next_cursor=answer.next_page_token or None,
        )

    async def closing(self, closing_id: str) -> schemas.ClosingProgressView:
        """How far a closing is, counted from the timesheets that there are."""
        allow("timesheet.close")
        named = _closing_of(closing_id)
        counts: dict[str, int] = {}
        cursor = ""
        for _ in range(COUNTED_PAGES):
            answer = await self._calls.read(
                self._timesheets.ListTimesheets,
                timesheet_pb2.ListTimesheetsRequest(
                    period=named.period,
                    pay_group=named.pay_group or "",
                    department=named.department or "",
                    page_size=1000,
                    page_token=cursor,
                ),
            )
            for timesheet in answer.timesheets:
                status = codec.from_status(timesheet.status) or "OPEN"
                counts[status] = counts.get(status, 0) + 1
            cursor = answer.next_page_token
            if not cursor:
                break
        if not counts:
            raise NotThere.because(CLOSING_NOT_FOUND)
        return schemas.ClosingProgressView.model_construct(
            id=closing_id,
            pay_group=named.pay_group,
            department=named.department,
            period=named.period,
            target_status=named.target_status,
            done=sum(count for status, count in counts.items() if status in REACHED[named.target_status]),
            total=sum(counts.values()),
            by_status=dict(sorted(counts.items())),
        )


def _punch(body: schemas.PunchBody) -> timesheet_pb2.Punch:
    [punch] = _punches([body])
    return punch


def _punches(bodies: Sequence[schemas.PunchBody | timesheet_pb2.Punch]) -> list[timesheet_pb2.Punch]:
    """The punches for the wire; a terminal that does not name itself is known by its account."""
    punches = [one if isinstance(one, timesheet_pb2.Punch) else codec.to_punch(one) for one in bodies]
    caller = current_exchange().caller
    if "device" in caller.roles:
        for punch in punches:
            punch.device_id = punch.device_id or caller.subject[:64]
    return punches


def _dated(request: Any, query: schemas.CatalogQuery) -> None:
    if query.as_of is not None:
        request.as_of.CopyFrom(to_date(query.as_of))
    if query.known_at is not None:
        request.known_at.CopyFrom(to_instant(query.known_at))


def _decides_alone(action: str) -> bool:
    """Whether the caller's roles allow it for everybody, so that it does not matter who the person is."""
    return allowed_reach(action).everybody


def _closing_id(body: schemas.ClosingBody) -> str:
    # A closing is named by what it closes: nothing has to be kept of it, and anybody may ask how far it is.
    parts = [body.pay_group, body.department, body.period, body.target_status]
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


def _closing_of(closing_id: str) -> schemas.ClosingBody:
    try:
        parts = orjson.loads(base64.urlsafe_b64decode(closing_id + "=" * (-len(closing_id) % 4)))
        pay_group, department, period, target_status = parts
        return schemas.ClosingBody.model_validate(
            {"pay_group": pay_group, "department": department, "period": period, "target_status": target_status}
        )
    except (ValueError, TypeError, binascii.Error):
        raise NotThere.because(CLOSING_NOT_FOUND) from None
