"""Boards: the people whom organization knows, with what attendance says of each."""

from typing import Any

from muster.attendance.v1 import board_pb2, board_pb2_grpc, day_kind_pb2
from muster.organization.v1 import employee_pb2

from application.edge.authorize import allowed_reach
from application.edge.calls import Calls
from application.edge.wire import blank, from_date, from_enum, from_instant, optional_id, to_instant
from application.time import board_schemas as schemas
from application.time import codec
from application.time.teams import Teams
from chassis.rpc.channels import Client


class Boards:
    """The use cases of boards: a page of people, then one question about them."""

    def __init__(self, attendance: Client, teams: Teams) -> None:
        self._calls = Calls(attendance)
        self._boards = attendance.stub(board_pb2_grpc.BoardServiceStub)
        self._teams = teams

    async def board(self, query: schemas.BoardQuery) -> schemas.BoardView:
        """Where a page of the people within the caller's reach is."""
        people, cursor = await self._people(query, "")
        if not people:
            return schemas.BoardView.model_construct(at=query.at, data=[], next_cursor=cursor or None)
        answer = await self._calls.read(
            self._boards.GetBoard,
            board_pb2.GetBoardRequest(employee_ids=list(people), at_time=to_instant(query.at)),
        )
        rows = [_row(row, people[row.employee_id]) for row in answer.rows]
        return schemas.BoardView.model_construct(
            at=from_instant(answer.at_time),
            data=[row for row in rows if query.presence in (None, row.presence)],
            next_cursor=cursor or None,
        )

    async def exceptions(self, query: schemas.ExceptionsQuery) -> schemas.TimeExceptionsView:
        """What there is to look at in the period of a page of the people within the caller's reach."""
        people, cursor = await self._people(query, query.pay_group or "")
        data: list[schemas.TimeExceptionView] = []
        if people:
            answer = await self._calls.read(
                self._boards.ListExceptions,
                board_pb2.ListExceptionsRequest(employee_ids=list(people), period=query.period),
            )
            found = [_exception(one, people[one.employee_id]) for one in answer.exceptions]
            data = [one for one in found if query.kind in (None, one.kind)]
        return schemas.TimeExceptionsView.model_construct(data=data, next_cursor=cursor or None)

    async def _people(
        self, query: schemas.PeoplePageQuery, pay_group: str
    ) -> tuple[dict[str, employee_pb2.Employee], str]:
        wanted = employee_pb2.ListEmployeesRequest(
            departments=[query.department] if query.department else [],
            location=query.location or "",
            pay_group=pay_group,
        )
        if isinstance(query, schemas.BoardQuery):
            wanted.statuses.append(employee_pb2.EMPLOYEE_STATUS_ACTIVE)
        found = allowed_reach("attendance_board.read")
        people, cursor = await self._teams.page(found, limit=query.limit, cursor=query.cursor, wanted=wanted)
        return {one.employee_id: one for one in people}, cursor


def _row(row: board_pb2.BoardRow, person: employee_pb2.Employee) -> schemas.BoardRowView:
    return schemas.BoardRowView.model_construct(
        **_named(person),
        presence=from_enum(board_pb2.Presence, "PRESENCE_", row.presence),
        since=from_instant(row.since_time) if row.HasField("since_time") else None,
        late_minutes=row.late_minutes,
        work_date=from_date(row.work_date),
        day_kind=from_enum(day_kind_pb2.DayKind, "DAY_KIND_", row.day_kind),
        shift=blank(row.shift),
        planned=[codec.span_view(span) for span in row.planned],
    )


def _exception(one: board_pb2.TimeException, person: employee_pb2.Employee) -> schemas.TimeExceptionView:
    return schemas.TimeExceptionView.model_construct(
        **_named(person),
        timesheet_id=optional_id(one.timesheet_id),
        timesheet_status=codec.from_status(one.timesheet_status),
        work_date=from_date(one.work_date),
        kind=from_enum(board_pb2.ExceptionKind, "EXCEPTION_KIND_", one.kind),
        minutes=one.minutes,
        message=one.message,
    )


def _named(person: employee_pb2.Employee) -> dict[str, Any]:
    return {
        "employee_id": optional_id(person.employee_id),
        "employee_number": person.employee_number,
        "name": person.person.preferred_name or person.person.legal_name,
    }
