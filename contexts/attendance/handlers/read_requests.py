"""Requests as they are read: each with the timesheet that holds it."""

from uuid import UUID

from contexts.attendance.domain.errors import CorrectionNotFound, OvertimeRequestNotFound
from contexts.attendance.domain.requests import Correction, OvertimeRequest
from contexts.attendance.domain.timesheet import TimesheetState
from contexts.attendance.repository.port import Readings, RequestFilter, RequestKind, requests_in

Held = tuple[TimesheetState, Correction | OvertimeRequest]


async def get_request(kind: RequestKind, id: UUID, readings: Readings) -> Held:
    """One request. Raises CorrectionNotFound, OvertimeRequestNotFound."""
    state = await readings.with_request(kind, id)
    if state is not None:
        return state, request_in(state, kind, id)
    if kind is RequestKind.CORRECTION:
        raise CorrectionNotFound("there is no such correction; check the id", correction=id)
    raise OvertimeRequestNotFound("there is no such overtime request; check the id", request=id)


async def list_requests(
    wanted: RequestFilter, after: UUID | None, limit: int, readings: Readings
) -> tuple[list[Held], UUID | None]:
    """A page of requests, oldest first, and where it ends; None on the last page."""
    found = await readings.requests(wanted, after, limit + 1)
    page = [(state, request_in(state, wanted.kind, id)) for id, state in found[:limit]]
    return page, page[-1][1].id if len(found) > limit else None


def request_in(state: TimesheetState, kind: RequestKind, id: UUID) -> Correction | OvertimeRequest:
    """The request of that id, which the timesheet holds."""
    return next(one for one in requests_in(state, kind) if one.id == id)
