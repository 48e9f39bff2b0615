"""Between the JSON of requests and adjustments and attendance's messages."""

from typing import Any
from uuid import UUID

from muster.attendance.v1 import day_kind_pb2, timesheet_pb2

from application.edge.wire import blank, from_date, from_enum, from_instant, optional_id, to_date, to_enum, to_instant
from application.time import request_schemas as schemas


def to_correction(timesheet_id: UUID, body: schemas.CorrectionBody) -> timesheet_pb2.RequestCorrectionRequest:
    """A correction for the wire."""
    return timesheet_pb2.RequestCorrectionRequest(
        timesheet_id=str(timesheet_id),
        punch_id=str(body.punch_id or ""),
        punched_at=to_instant(body.punched_at),
        direction=to_enum(timesheet_pb2.PunchDirection, "PUNCH_DIRECTION_", body.direction),
        reason=body.reason,
    )


def to_overtime(body: schemas.OvertimeRequestBody) -> timesheet_pb2.RequestOvertimeRequest:
    """An overtime request for the wire."""
    return timesheet_pb2.RequestOvertimeRequest(
        employee_id=str(body.employee_id),
        work_date=to_date(body.work_date),
        minutes=body.minutes,
        reason=body.reason,
    )


def to_adjustment(timesheet_id: UUID, body: schemas.AdjustmentBody) -> timesheet_pb2.AdjustTimesheetRequest:
    """An adjustment for the wire."""
    return timesheet_pb2.AdjustTimesheetRequest(
        timesheet_id=str(timesheet_id),
        work_date=to_date(body.work_date),
        lines=[
            timesheet_pb2.AdjustmentLine(
                pay_code=line.pay_code,
                day_kind=to_enum(day_kind_pb2.DayKind, "DAY_KIND_", line.day_kind),
                minutes=line.minutes,
                paid_share=line.paid_share or "",
            )
            for line in body.lines
        ],
        reason=body.reason,
    )


def to_request_status(status: str | None) -> Any:
    """Where a request stands, for the wire."""
    return to_enum(timesheet_pb2.RequestStatus, "REQUEST_STATUS_", status)


def correction_view(correction: timesheet_pb2.Correction) -> schemas.CorrectionView:
    """A correction."""
    return schemas.CorrectionView.model_construct(
        **_record(correction.record),
        id=UUID(correction.correction_id),
        timesheet_id=UUID(correction.timesheet_id),
        employee_id=UUID(correction.employee_id),
        punch_id=optional_id(correction.punch_id),
        punched_at=from_instant(correction.punched_at) if correction.HasField("punched_at") else None,
        direction=from_enum(timesheet_pb2.PunchDirection, "PUNCH_DIRECTION_", correction.direction),
    )


def overtime_view(request: timesheet_pb2.OvertimeRequest) -> schemas.OvertimeRequestView:
    """An overtime request."""
    return schemas.OvertimeRequestView.model_construct(
        **_record(request.record),
        id=UUID(request.overtime_request_id),
        timesheet_id=UUID(request.timesheet_id),
        employee_id=UUID(request.employee_id),
        work_date=from_date(request.work_date),
        minutes=request.minutes,
    )


def adjustment_view(adjustment: timesheet_pb2.Adjustment) -> schemas.AdjustmentView:
    """A change after lock."""
    return schemas.AdjustmentView.model_construct(
        id=UUID(adjustment.adjustment_id),
        work_date=from_date(adjustment.work_date),
        lines=[
            schemas.AdjustmentLineView.model_construct(
                pay_code=line.pay_code,
                day_kind=from_enum(day_kind_pb2.DayKind, "DAY_KIND_", line.day_kind),
                minutes=line.minutes,
                paid_share=blank(line.paid_share),
            )
            for line in adjustment.lines
        ],
        reason=adjustment.reason,
        adjusted_by=adjustment.adjusted_by,
        adjusted_at=from_instant(adjustment.adjustment_time),
        cause_id=optional_id(adjustment.cause_id),
    )


def _record(record: timesheet_pb2.RequestRecord) -> dict[str, Any]:
    return {
        "status": from_enum(timesheet_pb2.RequestStatus, "REQUEST_STATUS_", record.status),
        "reason": record.reason,
        "requested_by": record.requested_by,
        "requested_at": from_instant(record.request_time),
        "decided_by": blank(record.decided_by),
        "decided_at": from_instant(record.decision_time) if record.HasField("decision_time") else None,
        "note": record.note,
    }
