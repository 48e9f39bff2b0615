"""Timesheets, punches and the roster between protos and values."""

from collections.abc import Container, Iterable
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from muster.attendance.v1 import day_kind_pb2, roster_pb2
from muster.attendance.v1 import timesheet_pb2 as pb

from contexts.attendance.domain.adjustments import Adjustment, AdjustmentLine
from contexts.attendance.domain.badges import Badge
from contexts.attendance.domain.catalog import DayKind
from contexts.attendance.domain.evaluation import OccurrenceStatus, Outcome
from contexts.attendance.domain.punches import Direction, Punch, Source, Stamp
from contexts.attendance.domain.requests import Asked, Correction, OvertimeRequest, RequestStatus
from contexts.attendance.domain.roster import Placement, RosterEntry
from contexts.attendance.domain.spans import Span, instant_of, zone
from contexts.attendance.domain.timesheet import Absence, Status, TimesheetState
from contexts.attendance.domain.totals import Bucket, PeriodTotals, Tally
from contexts.attendance.handlers.adjust_timesheets import AdjustTimesheet
from contexts.attendance.handlers.close_timesheets import PEOPLE_AT_ONCE, CloseAnswer, CloseTimesheets
from contexts.attendance.handlers.decide_requests import RequestCorrection, RequestOvertime
from contexts.attendance.handlers.ensure_roster import RosterAnswer
from contexts.attendance.handlers.enter_absences import CancelAbsence, EnterAbsence, EnterEmployeeAbsence, TimeOff
from contexts.attendance.handlers.issue_badges import IssueBadge
from contexts.attendance.handlers.read_timesheets import TimesheetView
from contexts.attendance.handlers.record_punches import PunchAnswer, PunchMade, PunchOutcome
from kernel.errors import InvalidValue
from kernel.ids import AssignmentId, EmployeeId, Version
from kernel.period import FOREVER, Period

_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_S = int(datetime(9000, 1, 1, tzinfo=UTC).timestamp())

_KIND_TO = {
    DayKind.WORKDAY: day_kind_pb2.DAY_KIND_WORKDAY,
    DayKind.REST_DAY: day_kind_pb2.DAY_KIND_REST_DAY,
    DayKind.HOLIDAY: day_kind_pb2.DAY_KIND_HOLIDAY,
}
_KIND_OF = {number: kind for kind, number in _KIND_TO.items()}
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_TALLY_FIELDS = tuple(one.name for one in fields(Tally))
_STATUS_TO = {status: pb.TimesheetStatus.Value(f"TIMESHEET_STATUS_{status.value}") for status in Status}
_STATUS_FROM = {number: status for status, number in _STATUS_TO.items()}
_DIRECTION_FROM = {
    pb.PUNCH_DIRECTION_UNSPECIFIED: Direction.EITHER,
    pb.PUNCH_DIRECTION_IN: Direction.IN,
    pb.PUNCH_DIRECTION_OUT: Direction.OUT,
}
_DIRECTION_TO = {direction: number for number, direction in _DIRECTION_FROM.items()}
_REQUEST_TO = {status: pb.RequestStatus.Value(f"REQUEST_STATUS_{status.value}") for status in RequestStatus}
_REQUEST_FROM = {number: status for status, number in _REQUEST_TO.items()}
_SOURCE_FROM = {pb.PunchSource.Value(f"PUNCH_SOURCE_{source.value}"): source for source in Source}
_OUTCOME_TO = {outcome: pb.PunchOutcome.Value(f"PUNCH_OUTCOME_{outcome.value}") for outcome in PunchOutcome}
_OCCURRENCE_TO = {status: pb.OccurrenceStatus.Value(f"OCCURRENCE_STATUS_{status.value}") for status in OccurrenceStatus}


# ------------------------------------------------------------------------------------------------- plain values


@lru_cache(maxsize=4096)
def date_to_proto(day: date) -> Date:
    """A civil date; the same message again for the same day, to be copied and never changed."""
    return Date(year=day.year, month=day.month, day=day.day)


def date_from(message: Date, field: str) -> date:
    """A civil date. Raises InvalidValue."""
    try:
        day = date(message.year, message.month, message.day)
        if not 1970 <= day.year <= 9000:
            raise ValueError(day)
    except ValueError as error:
        raise InvalidValue("name a day of the calendar: year, month and day", field=field) from error
    return day


def optional_date(message: Any, field: str) -> date | None:
    """A civil date that may be absent. Raises InvalidValue."""
    return date_from(getattr(message, field), field) if message.HasField(field) else None


def instant_to_proto(instant: datetime) -> Timestamp:
    """An instant."""
    stamp = Timestamp()
    _set_instant(stamp, instant)
    return stamp


def _set_instant(stamp: Timestamp, instant: datetime) -> None:
    elapsed = instant - _EPOCH
    stamp.seconds = elapsed.days * 86_400 + elapsed.seconds
    if elapsed.microseconds:
        stamp.nanos = elapsed.microseconds * 1000


def instant_from(message: Timestamp, field: str) -> datetime:
    """An instant to the microsecond. Raises InvalidValue."""
    seconds, nanos = message.seconds, message.nanos
    if not (0 <= nanos < 1_000_000_000 and (0, 0) <= (seconds, nanos) <= (_LATEST_S, 0)):
        raise InvalidValue("name an instant between 1970 and 9000", field=field)
    instant = datetime.fromtimestamp(seconds, UTC)
    return instant.replace(microsecond=nanos // 1000) if nanos else instant


def optional_instant(message: Any, field: str) -> datetime | None:
    """An instant that may be absent. Raises InvalidValue."""
    return instant_from(getattr(message, field), field) if message.HasField(field) else None


def seen_from(etag: str) -> Version | None:
    """The version that an etag names, None for an empty one."""
    return Version(int(etag)) if etag else None


def kind_to_proto(kind: DayKind) -> "day_kind_pb2.DayKind.ValueType":
    """A kind of day."""
    return _KIND_TO[kind]


def kind_from(number: int) -> DayKind:
    """A kind of day. Raises InvalidValue."""
    kind = _KIND_OF.get(number)  # type: ignore[call-overload]
    if kind is None:
        raise InvalidValue("name WORKDAY, REST_DAY or HOLIDAY", field="day_kind")
    return DayKind(kind)


def status_to_proto(status: Status) -> "pb.TimesheetStatus.ValueType":
    """A status."""
    return _STATUS_TO[status]


def status_from(number: int) -> Status | None:
    """A status, None where it is unspecified."""
    return _STATUS_FROM.get(number)  # type: ignore[call-overload, no-any-return]


def _id(value: UUID | None) -> str:
    return "" if value is None else str(value)


# ------------------------------------------------------------------------------------------------- the roster


def _placement_from(message: roster_pb2.Placement, index: int) -> Placement:
    field = f"entry.placements[{index}]"
    start = date_from(message.start_date, f"{field}.start_date")
    end = date_from(message.end_date, f"{field}.end_date") + _DAY if message.HasField("end_date") else FOREVER
    if end <= start:
        raise InvalidValue("a placement ends on or after the day on which it starts", field=f"{field}.end_date")
    zone(message.time_zone)
    return Placement(
        Period(start, end),
        AssignmentId(UUID(message.assignment_id)),
        message.work_schedule,
        message.time_zone,
        message.department,
        EmployeeId(UUID(message.manager_id)) if message.manager_id else None,
        message.pay_group,
        message.time_calendar,
        message.punch_exempt,
    )


def roster_entry_from(message: roster_pb2.RosterEntry) -> RosterEntry:
    """A roster entry. Raises InvalidValue, TimeZoneUnknown."""
    return RosterEntry(
        EmployeeId(UUID(message.employee_id)),
        message.source_version,
        tuple(_placement_from(placement, index) for index, placement in enumerate(message.placements)),
        message.employee_number,
    )


def _placement_to(placement: Placement) -> roster_pb2.Placement:
    return roster_pb2.Placement(
        start_date=date_to_proto(placement.span.start),
        end_date=None if placement.span.end == FOREVER else date_to_proto(placement.span.last_day),
        assignment_id=str(placement.assignment_id),
        work_schedule=placement.work_schedule,
        time_zone=placement.time_zone,
        department=placement.department,
        manager_id=_id(placement.manager_id),
        pay_group=placement.pay_group,
        time_calendar=placement.time_calendar,
        punch_exempt=placement.punch_exempt,
    )


def roster_entry_to_proto(entry: RosterEntry) -> roster_pb2.RosterEntry:
    """A roster entry."""
    return roster_pb2.RosterEntry(
        employee_id=str(entry.employee_id),
        source_version=entry.source_version,
        employee_number=entry.employee_number,
        placements=[_placement_to(placement) for placement in entry.placements],
    )


def roster_result(answer: RosterAnswer) -> roster_pb2.RosterResult:
    """What became of one entry."""
    refusal = answer.refusal
    return roster_pb2.RosterResult(
        employee_id=str(answer.employee_id),
        applied=answer.applied,
        source_version=answer.source_version,
        reason="" if refusal is None else refusal.reason,
        message="" if refusal is None else refusal.message,
    )


def issue_badge_from(request: roster_pb2.IssueBadgeRequest) -> IssueBadge:
    """The command. Raises InvalidValue."""
    since = optional_instant(request, "start_time")
    return IssueBadge(request.badge_number, seen_from(request.etag), EmployeeId(UUID(request.employee_id)), since)


def badge_to_proto(badge: Badge) -> roster_pb2.Badge:
    """A badge."""
    return roster_pb2.Badge(
        badge_number=badge.number,
        employee_id=_id(badge.holder),
        etag=str(badge.version),
        holdings=[
            roster_pb2.BadgeHolding(
                employee_id=str(one.employee_id),
                start_time=instant_to_proto(one.since),
                end_time=None if one.until is None else instant_to_proto(one.until),
            )
            for one in badge.holdings
        ],
    )


# ------------------------------------------------------------------------------------------------- punches


_person = lru_cache(maxsize=4096)(UUID)  # many punches of few people come together


def punch_from(message: pb.Punch) -> PunchMade:
    """A punch. Raises InvalidValue, TimeZoneUnknown."""
    employee_id = message.employee_id
    if not employee_id and not message.employee_number and not message.badge_number:
        raise InvalidValue("name the employee by id, by number or by badge", field="employee_id")
    if message.time_zone:
        zone(message.time_zone)
    clock = instant_from(message.device_clock, "device_clock") if message.HasField("device_clock") else None
    sent = None
    if message.HasField("device_send_time"):
        sent = instant_from(message.device_send_time, "device_send_time")
        if clock is None:
            raise InvalidValue("tell what the clock said at the punch, too", field="device_clock")
        at = clock
    elif message.HasField("punched_at"):
        at = instant_from(message.punched_at, "punched_at")
    else:
        raise InvalidValue("tell when it was, or what the terminal's clock said", field="punched_at")
    return PunchMade(
        Punch(
            Stamp(at, _DIRECTION_FROM[message.direction], UUID(int=int(message.punch_id.replace("-", ""), 16))),
            _SOURCE_FROM[message.source],
            message.time_zone,
            message.device_id,
            message.device_sequence,
            clock,
        ),
        EmployeeId(_person(employee_id)) if employee_id else None,
        message.employee_number,
        message.badge_number,
        sent,
    )


def punch_result(answer: PunchAnswer) -> pb.PunchResult:
    """What became of a punch."""
    result = _cut(answer)
    _tell(result, answer, str(answer.punch_id))
    return result


def punches_imported(
    punches: Iterable[pb.Punch], answers: Iterable[PunchAnswer | pb.PunchResult]
) -> pb.ImportPunchesResponse:
    """What became of each of these; those of one timesheet that follow each other are cut from one message."""
    response = pb.ImportPunchesResponse()
    last: PunchAnswer | None = None
    cut = pb.PunchResult()
    for punch, answer in zip(punches, answers, strict=True):
        result = response.results.add()
        if isinstance(answer, pb.PunchResult):
            result.CopyFrom(answer)
            continue
        if (
            last is None
            or answer.timesheet_id is not last.timesheet_id
            or answer.employee_id is not last.employee_id
            or answer.outcome is not last.outcome
            or answer.version is not last.version
        ):
            cut = _cut(answer)
        last = answer
        result.CopyFrom(cut)
        _tell(result, answer, punch.punch_id.lower())
    return response


def _cut(answer: PunchAnswer) -> pb.PunchResult:
    """What is the same for many punches."""
    return pb.PunchResult(
        employee_id=_id(answer.employee_id),
        timesheet_id=_id(answer.timesheet_id),
        outcome=_OUTCOME_TO[answer.outcome],
        etag="" if answer.version is None else str(answer.version),
    )


def _tell(result: pb.PunchResult, answer: PunchAnswer, punch_id: str) -> None:
    """What is this punch's own."""
    result.punch_id = punch_id
    if answer.work_date is not None:
        result.work_date.CopyFrom(date_to_proto(answer.work_date))
    if answer.duplicate_of is not None:
        result.duplicate_of = str(answer.duplicate_of)
    if answer.punched_at is not None:
        _set_instant(result.punched_at, answer.punched_at)
    if answer.clock_skew_seconds is not None:
        result.clock_skew_seconds = answer.clock_skew_seconds
    if answer.refusal is not None:
        result.reason, result.message = answer.refusal.reason, answer.refusal.message


# ------------------------------------------------------------------------------------------------- timesheets


def enter_absence_from(request: pb.EnterAbsenceRequest) -> EnterAbsence:
    """The command. Raises InvalidValue."""
    return EnterAbsence(UUID(request.timesheet_id), seen_from(request.etag), _time_off(request))


def enter_employee_absence_from(request: pb.EnterEmployeeAbsenceRequest) -> EnterEmployeeAbsence:
    """The command. Raises InvalidValue."""
    return EnterEmployeeAbsence(EmployeeId(UUID(request.employee_id)), _time_off(request))


def _time_off(request: pb.EnterAbsenceRequest | pb.EnterEmployeeAbsenceRequest) -> TimeOff:
    start = date_from(request.start_date, "start_date")
    end = optional_date(request, "end_date") or start
    return TimeOff(request.code, start, end, request.minutes or None, Decimal(request.paid_share))


def cancel_absence_from(request: pb.CancelAbsenceRequest) -> CancelAbsence:
    """The command."""
    return CancelAbsence(UUID(request.timesheet_id), seen_from(request.etag), UUID(request.absence_id))


def request_correction_from(request: pb.RequestCorrectionRequest) -> RequestCorrection:
    """The command. Raises InvalidValue."""
    return RequestCorrection(
        UUID(request.timesheet_id),
        seen_from(request.etag),
        UUID(request.punch_id) if request.punch_id else None,
        optional_instant(request, "punched_at"),
        _DIRECTION_FROM[request.direction],
        request.reason,
    )


def request_overtime_from(request: pb.RequestOvertimeRequest) -> RequestOvertime:
    """The command. Raises InvalidValue."""
    day = date_from(request.work_date, "work_date")
    return RequestOvertime(EmployeeId(UUID(request.employee_id)), day, request.minutes, request.reason)


def adjust_from(request: pb.AdjustTimesheetRequest) -> AdjustTimesheet:
    """The command. Raises InvalidValue."""
    lines = tuple(
        AdjustmentLine(
            line.pay_code, kind_from(line.day_kind), line.minutes, Decimal(line.paid_share) if line.paid_share else None
        )
        for line in request.lines
    )
    day = date_from(request.work_date, "work_date")
    return AdjustTimesheet(UUID(request.timesheet_id), seen_from(request.etag), day, lines, request.reason)


def request_status_from(number: int) -> RequestStatus | None:
    """Where requests stand, None where it is unspecified."""
    return _REQUEST_FROM.get(number)  # type: ignore[call-overload, no-any-return]


def _record_to(asked: Asked) -> pb.RequestRecord:
    return pb.RequestRecord(
        status=_REQUEST_TO[asked.status],
        reason=asked.reason,
        requested_by=asked.by,
        request_time=instant_to_proto(asked.at),
        decided_by=asked.decided_by,
        decision_time=None if asked.decided_at is None else instant_to_proto(asked.decided_at),
        note=asked.note,
    )


def correction_to_proto(state: TimesheetState, correction: Correction) -> pb.Correction:
    """A correction."""
    stamp = correction.stamp
    return pb.Correction(
        correction_id=str(correction.id),
        timesheet_id=str(state.id),
        employee_id=str(state.employee_id),
        punch_id=_id(correction.punch_id),
        punched_at=None if stamp is None else instant_to_proto(stamp.instant),
        direction=pb.PUNCH_DIRECTION_UNSPECIFIED if stamp is None else _DIRECTION_TO[stamp.direction],
        record=_record_to(correction.asked),
    )


def overtime_to_proto(state: TimesheetState, request: OvertimeRequest) -> pb.OvertimeRequest:
    """An overtime request."""
    return pb.OvertimeRequest(
        overtime_request_id=str(request.id),
        timesheet_id=str(state.id),
        employee_id=str(state.employee_id),
        work_date=date_to_proto(request.work_date),
        minutes=request.minutes,
        record=_record_to(request.asked),
    )


def _adjustment_to(adjustment: Adjustment) -> pb.Adjustment:
    return pb.Adjustment(
        adjustment_id=str(adjustment.id),
        work_date=date_to_proto(adjustment.work_date),
        lines=[
            pb.AdjustmentLine(
                pay_code=line.pay_code,
                day_kind=_KIND_TO[line.day_kind],
                minutes=line.minutes,
                paid_share="" if line.paid_share is None else str(line.paid_share),
            )
            for line in adjustment.lines
        ],
        reason=adjustment.reason,
        adjusted_by=adjustment.by,
        adjustment_time=instant_to_proto(adjustment.at),
        cause_id=_id(adjustment.cause),
    )


def close_from(request: pb.CloseTimesheetsRequest, after: EmployeeId | None) -> CloseTimesheets:
    """The command. Raises InvalidValue."""
    target = status_from(request.target_status)
    if target is None or target is Status.OPEN:
        raise InvalidValue("close to SUBMITTED, APPROVED or LOCKED", field="target_status")
    return CloseTimesheets(
        request.pay_group,
        request.department,
        request.period,
        target,
        after,
        min(request.page_size or PEOPLE_AT_ONCE, PEOPLE_AT_ONCE),
    )


def close_result(answer: CloseAnswer) -> pb.CloseResult:
    """What became of one person's timesheet."""
    refusal = answer.refusal
    result = pb.CloseResult(
        employee_id=str(answer.employee_id),
        timesheet_id=_id(answer.timesheet_id),
        status=pb.TIMESHEET_STATUS_UNSPECIFIED if answer.status is None else _STATUS_TO[answer.status],
        changed=answer.changed,
        etag="" if answer.version is None else str(answer.version),
        reason="" if refusal is None else refusal.reason,
        message="" if refusal is None else refusal.message,
    )
    if answer.work_date is not None:
        result.work_date.CopyFrom(date_to_proto(answer.work_date))
    return result


def header_to_proto(state: TimesheetState) -> pb.Timesheet:
    """A timesheet without its occurrences."""
    return pb.Timesheet(
        timesheet_id=str(state.id),
        employee_id=str(state.employee_id),
        assignment_id=str(state.assignment_id),
        time_calendar=state.grounds.calendar.code,
        period=state.period.name,
        start_date=date_to_proto(state.period.span.start),
        end_date=date_to_proto(state.period.span.last_day),
        pay_group=state.grounds.last.pay_group,
        department=state.grounds.last.department,
        status=_STATUS_TO[state.status],
        etag=str(state.version),
        record_time=instant_to_proto(state.record_time),
        catalog_version=state.grounds.catalog_version,
        submitted_by=state.submitted_by,
        approved_by=state.approved_by,
    )


def timesheet_to_proto(view: TimesheetView) -> pb.Timesheet:
    """A timesheet with what came of its occurrences."""
    message = header_to_proto(view.state)
    corrected = {one.id for one in view.state.corrections}
    message.occurrences.extend(_occurrence_to(outcome, corrected) for outcome in view.outcomes)
    _details_to(message, view.state)
    message.sums.CopyFrom(_sums_to(view.tally))
    return message


def changed_to_proto(state: TimesheetState) -> pb.Timesheet:
    """A timesheet as a command leaves it: with its absences, and its sums once it is submitted."""
    message = header_to_proto(state)
    _details_to(message, state)
    if state.status is not Status.OPEN:
        message.sums.CopyFrom(_sums_to(state.totals.tally))
    return message


def _details_to(message: pb.Timesheet, state: TimesheetState) -> None:
    message.absences.extend(_absence_to(absence) for absence in state.absences)
    message.corrections.extend(correction_to_proto(state, one) for one in state.corrections)
    message.overtime_requests.extend(overtime_to_proto(state, one) for one in state.overtime)
    message.adjustments.extend(_adjustment_to(one) for one in state.adjustments)


def _absence_to(absence: Absence) -> pb.Absence:
    return pb.Absence(
        absence_id=str(absence.absence_id),
        code=absence.code,
        start_date=date_to_proto(absence.span.start),
        end_date=date_to_proto(absence.span.last_day),
        minutes=absence.minutes or 0,
        paid_share=str(absence.paid_share),
    )


def _sums_to(tally: Tally) -> pb.PeriodSums:
    return pb.PeriodSums(
        planned_minutes=tally.planned_minutes,
        planned_days=tally.planned_days,
        worked_minutes=tally.worked_minutes,
        regular_minutes=tally.regular_minutes,
        overtime_workday_minutes=tally.overtime_workday_minutes,
        overtime_rest_day_minutes=tally.overtime_rest_day_minutes,
        overtime_holiday_minutes=tally.overtime_holiday_minutes,
        night_minutes=tally.night_minutes,
        late_minutes=tally.late_minutes,
        early_leave_minutes=tally.early_leave_minutes,
        absent_minutes=tally.absent_minutes,
        absence_minutes=tally.absence_minutes,
        late_count=tally.late_count,
        early_leave_count=tally.early_leave_count,
        unapproved_overtime_minutes=tally.unapproved_overtime_minutes,
    )


def intervals_to_proto(spans: Iterable[Span]) -> list[pb.TimeInterval]:
    """Spans of minutes by their instants."""
    return [
        pb.TimeInterval(start_time=instant_to_proto(instant_of(start)), end_time=instant_to_proto(instant_of(end)))
        for start, end in spans
    ]


def _occurrence_to(outcome: Outcome, corrected: Container[UUID]) -> pb.Occurrence:
    planned, tally = outcome.planned, outcome.tally
    return pb.Occurrence(
        work_date=date_to_proto(outcome.work_date),
        day_kind=_KIND_TO[planned.day_kind],
        shift=planned.shift.code if planned.shift else "",
        planned=intervals_to_proto(planned.spans),
        breaks=intervals_to_proto(planned.breaks),
        punches=[
            pb.OccurrencePunch(
                punch_id=str(stamp.punch_id),
                punched_at=instant_to_proto(stamp.instant),
                direction=_DIRECTION_TO[stamp.direction],
                duplicate_of=_id(outcome.duplicate_of.get(stamp.punch_id)),
                correction_id=str(stamp.punch_id) if stamp.punch_id in corrected else "",
            )
            for stamp in outcome.stamps
        ],
        present=[
            pb.TimeInterval(
                start_time=instant_to_proto(came), end_time=None if went is None else instant_to_proto(went)
            )
            for came, went in outcome.present
        ],
        status=_OCCURRENCE_TO[outcome.status],
        planned_minutes=tally.planned_minutes,
        worked_minutes=tally.worked_minutes,
        regular_minutes=tally.regular_minutes,
        overtime_workday_minutes=tally.overtime_workday_minutes,
        overtime_rest_day_minutes=tally.overtime_rest_day_minutes,
        overtime_holiday_minutes=tally.overtime_holiday_minutes,
        unapproved_overtime_minutes=tally.unapproved_overtime_minutes,
        night_minutes=tally.night_minutes,
        late_minutes=tally.late_minutes,
        early_leave_minutes=tally.early_leave_minutes,
        absent_minutes=tally.absent_minutes,
        absence_minutes=tally.absence_minutes,
    )


def _lines_to(buckets: Iterable[Bucket]) -> list[pb.TimeLine]:
    """Buckets that count alike as one line; buckets come in order of work date."""
    lines: dict[tuple[int, str, str], list[Bucket]] = {}
    for bucket in buckets:
        share = "" if bucket.paid_share is None else str(bucket.paid_share)
        lines.setdefault((_KIND_TO[bucket.day_kind], bucket.pay_code, share), []).append(bucket)
    return [
        pb.TimeLine(
            day_kind=kind,  # type: ignore[arg-type]
            pay_code=pay_code,
            paid_share=share,
            work_days=[bucket.work_date.toordinal() - _EPOCH_DAY for bucket in alike],
            minutes=[bucket.minutes for bucket in alike],
            planned_minutes=[bucket.planned_minutes for bucket in alike],
            work_weeks=[bucket.work_week.toordinal() - _EPOCH_DAY for bucket in alike],
        )
        for (kind, pay_code, share), alike in sorted(lines.items())
    ]


def _buckets_from(lines: Iterable[pb.TimeLine]) -> tuple[Bucket, ...]:
    buckets = [
        Bucket(
            date.fromordinal(day + _EPOCH_DAY),
            _KIND_OF[line.day_kind],
            date.fromordinal(week + _EPOCH_DAY),
            line.pay_code,
            minutes,
            planned,
            Decimal(line.paid_share) if line.paid_share else None,
        )
        for line in lines
        for day, minutes, planned, week in zip(
            line.work_days, line.minutes, line.planned_minutes, line.work_weeks, strict=True
        )
    ]
    buckets.sort(key=attrgetter("work_date"))
    return tuple(buckets)


def _tally_from(message: pb.PeriodSums) -> Tally:
    return Tally(**{name: getattr(message, name) for name in _TALLY_FIELDS})


class ProtoTotals:
    """Period totals as the message that reads of them answer, so that a read passes on what is stored."""

    def encode(self, state: TimesheetState) -> bytes:
        """The totals of this version of the timesheet."""
        message = pb.PeriodTotals(
            employee_id=str(state.employee_id),
            assignment_id=str(state.assignment_id),
            timesheet_id=str(state.id),
            period=state.period.name,
            start_date=date_to_proto(state.period.span.start),
            end_date=date_to_proto(state.period.span.last_day),
            status=_STATUS_TO[state.status],
            etag=str(state.version),
            record_time=instant_to_proto(state.record_time),
            catalog_version=state.grounds.catalog_version,
        )
        if state.status is not Status.OPEN:
            message.lines.extend(_lines_to(state.totals.buckets))
            message.sums.CopyFrom(_sums_to(state.totals.tally))
            message.planned_days = state.totals.paid_days
            message.standard_day_minutes = state.totals.standard_day_minutes
        return message.SerializeToString(deterministic=True)

    def decode(self, payload: bytes) -> PeriodTotals:
        """The totals again."""
        message = pb.PeriodTotals.FromString(payload)
        return PeriodTotals(
            _buckets_from(message.lines),
            _tally_from(message.sums),
            message.planned_days,
            message.standard_day_minutes,
        )
