"""Domain events as the messages that attendance publishes."""

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.message import Message
from muster.attendance.v1 import events_pb2 as pb

from contexts.attendance.adapters.codec import date_to_proto, instant_to_proto
from contexts.attendance.domain import events


def _punch_recorded(event: events.PunchRecorded) -> Message:
    return pb.PunchRecordedEvent(
        timesheet_id=str(event.timesheet_id),
        employee_id=str(event.employee_id),
        punch_id=str(event.punch_id),
        punched_at=instant_to_proto(event.punched_at),
        work_date=date_to_proto(event.work_date),
        duplicate_of="" if event.duplicate_of is None else str(event.duplicate_of),
    )


def _punches_imported(event: events.PunchesImported) -> Message:
    return pb.PunchesImportedEvent(
        timesheet_id=str(event.timesheet_id),
        employee_id=str(event.employee_id),
        punch_count=event.punch_count,
        first_work_date=date_to_proto(event.first_work_date),
        last_work_date=date_to_proto(event.last_work_date),
    )


def _absence_entered(event: events.AbsenceEntered) -> Message:
    return pb.AbsenceEnteredEvent(
        timesheet_id=str(event.timesheet_id),
        employee_id=str(event.employee_id),
        absence_id=str(event.absence_id),
        start_date=date_to_proto(event.start_date),
        end_date=date_to_proto(event.end_date),
    )


def _absence_cancelled(event: events.AbsenceCancelled) -> Message:
    return pb.AbsenceCancelledEvent(
        timesheet_id=str(event.timesheet_id),
        employee_id=str(event.employee_id),
        absence_id=str(event.absence_id),
    )


def _step(
    message: Callable[..., Message],
) -> Callable[[Any], Message]:
    return lambda event: message(
        timesheet_id=str(event.timesheet_id), employee_id=str(event.employee_id), period=event.period
    )


def _timesheet_adjusted(event: events.TimesheetAdjusted) -> Message:
    return pb.TimesheetAdjustedEvent(
        timesheet_id=str(event.timesheet_id),
        employee_id=str(event.employee_id),
        period=event.period,
        work_dates=[date_to_proto(day) for day in event.work_dates],
    )


def _correction_requested(event: events.CorrectionRequested) -> Message:
    return pb.CorrectionRequestedEvent(
        timesheet_id=str(event.timesheet_id),
        employee_id=str(event.employee_id),
        correction_id=str(event.correction_id),
    )


def _correction_decided(event: events.CorrectionDecided) -> Message:
    return pb.CorrectionDecidedEvent(
        timesheet_id=str(event.timesheet_id),
        employee_id=str(event.employee_id),
        correction_id=str(event.correction_id),
        approved=event.approved,
    )


def _overtime_requested(event: events.OvertimeRequested) -> Message:
    return pb.OvertimeRequestedEvent(
        timesheet_id=str(event.timesheet_id),
        employee_id=str(event.employee_id),
        overtime_request_id=str(event.overtime_request_id),
        work_date=date_to_proto(event.work_date),
    )


def _overtime_decided(event: events.OvertimeDecided) -> Message:
    return pb.OvertimeDecidedEvent(
        timesheet_id=str(event.timesheet_id),
        employee_id=str(event.employee_id),
        overtime_request_id=str(event.overtime_request_id),
        work_date=date_to_proto(event.work_date),
        approved=event.approved,
    )


def _catalog_published(event: events.TimeCatalogPublished) -> Message:
    return pb.TimeCatalogPublishedEvent(
        catalog_version=event.catalog_version,
        kind=event.kind,
        code=event.code,
        effective_date=date_to_proto(event.effective_date),
    )


_PUBLISHED: Mapping[type, Callable[[Any], Message]] = {
    events.PunchRecorded: _punch_recorded,
    events.PunchesImported: _punches_imported,
    events.AbsenceEntered: _absence_entered,
    events.AbsenceCancelled: _absence_cancelled,
    events.TimesheetSubmitted: _step(pb.TimesheetSubmittedEvent),
    events.TimesheetApproved: _step(pb.TimesheetApprovedEvent),
    events.TimesheetReopened: _step(pb.TimesheetReopenedEvent),
    events.TimesheetLocked: _step(pb.TimesheetLockedEvent),
    events.TimesheetAdjusted: _timesheet_adjusted,
    events.CorrectionRequested: _correction_requested,
    events.CorrectionDecided: _correction_decided,
    events.OvertimeRequested: _overtime_requested,
    events.OvertimeDecided: _overtime_decided,
    events.TimeCatalogPublished: _catalog_published,
}


def published(event: object) -> Message | None:
    """The message of an event; every event of attendance has one."""
    return _PUBLISHED[type(event)](event)
