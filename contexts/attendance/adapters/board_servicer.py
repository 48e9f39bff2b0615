"""Attendance's boards over gRPC: decode, run the query, encode."""

from typing import Any
from uuid import UUID

from muster.attendance.v1 import board_pb2 as pb
from muster.attendance.v1 import board_pb2_grpc

from chassis.unit_of_work import Queries
from contexts.attendance.adapters import codec
from contexts.attendance.domain.boards import ExceptionKind, Presence
from contexts.attendance.handlers import read_boards
from kernel.clock import Clock
from kernel.ids import EmployeeId

_PRESENCE_TO = {one: pb.Presence.Value(f"PRESENCE_{one.value}") for one in Presence}
_KIND_TO = {one: pb.ExceptionKind.Value(f"EXCEPTION_KIND_{one.value}") for one in ExceptionKind}


class BoardServicer(board_pb2_grpc.BoardServiceServicer):
    """Boards: reads of many people at once."""

    def __init__(self, queries: "Queries[Any]", clock: Clock) -> None:
        self._queries = queries
        self._clock = clock

    async def GetBoard(self, request: pb.GetBoardRequest, context: Any) -> pb.GetBoardResponse:
        """See the proto."""
        ids = [EmployeeId(UUID(id)) for id in request.employee_ids]
        at = codec.optional_instant(request, "at_time") or self._clock.now()
        rows = await self._queries.run(lambda readings: read_boards.get_board(ids, at, readings))
        return pb.GetBoardResponse(rows=[_row(row) for row in rows], at_time=codec.instant_to_proto(at))

    async def ListExceptions(self, request: pb.ListExceptionsRequest, context: Any) -> pb.ListExceptionsResponse:
        """See the proto."""
        ids, now = [EmployeeId(UUID(id)) for id in request.employee_ids], self._clock.now()
        people = await self._queries.run(
            lambda readings: read_boards.list_exceptions(ids, request.period, readings, now)
        )
        return pb.ListExceptionsResponse(
            exceptions=[
                pb.TimeException(
                    employee_id=str(person.employee_id),
                    timesheet_id="" if person.timesheet_id is None else str(person.timesheet_id),
                    timesheet_status=codec.status_to_proto(person.status),
                    work_date=codec.date_to_proto(one.work_date),
                    kind=_KIND_TO[one.kind],
                    minutes=one.minutes,
                    message=one.message,
                )
                for person in people
                for one in person.found
            ]
        )


def _row(row: read_boards.BoardRow) -> pb.BoardRow:
    found = row.standing
    if found is None:
        return pb.BoardRow(employee_id=str(row.employee_id))
    planned = found.outcome.planned
    return pb.BoardRow(
        employee_id=str(row.employee_id),
        presence=_PRESENCE_TO[found.presence],
        since_time=None if found.since is None else codec.instant_to_proto(found.since),
        late_minutes=found.late_minutes,
        work_date=codec.date_to_proto(found.outcome.work_date),
        day_kind=codec.kind_to_proto(planned.day_kind),
        shift=planned.shift.code if planned.shift else "",
        planned=codec.intervals_to_proto(planned.spans),
    )
