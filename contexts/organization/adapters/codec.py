"""Between messages of the wire contract and values, in both directions."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from muster.organization.v1 import employee_pb2 as pb

from contexts.organization.domain.employee import EmployeeState
from contexts.organization.domain.errors import DateOutOfRange
from contexts.organization.domain.history import Change, ChangeKind
from contexts.organization.domain.values import (
    SEALED_FIELDS,
    Compensation,
    EmployeeStatus,
    EmploymentType,
    EndReason,
    FieldValue,
    FlsaStatus,
    PayUnit,
    Person,
    Spell,
    Work,
)
from contexts.organization.handlers.read import (
    CONTACT,
    FULL,
    Opened,
    RosterReading,
)
from contexts.organization.repository.port import Changed, SlicePage, Vault
from kernel.errors import DomainError, InvalidValue
from kernel.ids import EmployeeId, Version
from kernel.period import FOREVER, Period

_STATUS = {status: pb.EmployeeStatus.Value(f"EMPLOYEE_STATUS_{status.value}") for status in EmployeeStatus}
_TYPE = {kind: pb.EmploymentType.Value(f"EMPLOYMENT_TYPE_{kind.value}") for kind in EmploymentType}
_END = {reason: pb.EndReason.Value(f"END_REASON_{reason.value}") for reason in EndReason}
_UNIT = {unit: pb.PayUnit.Value(f"PAY_UNIT_{unit.value}") for unit in PayUnit}
_FLSA = {status: pb.FlsaStatus.Value(f"FLSA_STATUS_{status.value}") for status in FlsaStatus}
_KIND = {kind: pb.ChangeKind.Value(f"CHANGE_KIND_{kind.value}") for kind in ChangeKind}
STATUS_OF = {number: status for status, number in _STATUS.items()}
TYPE_OF = {number: kind for kind, number in _TYPE.items()}
END_OF = {number: reason for reason, number in _END.items()}
UNIT_OF = {number: unit for unit, number in _UNIT.items()}
FLSA_OF = {number: status for status, number in _FLSA.items()}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OPENED: Mapping[int, tuple[str, ...]] = {pb.EMPLOYEE_VIEW_CONTACT: CONTACT, pb.EMPLOYEE_VIEW_FULL: FULL}
HIDDEN = "***"

# ----------------------------------------------------------------------------------------- small values


@lru_cache(4096)
def date_to_proto(day: date) -> Date:
    """A civil date, to be copied into a message and never altered: the same date is the same object."""
    return Date(year=day.year, month=day.month, day=day.day)


def date_from(message: Date, field: str) -> date:
    """Raises DateOutOfRange for a date that no calendar has."""
    try:
        return date(message.year, message.month, message.day)
    except ValueError:
        raise DateOutOfRange("write a date of the calendar with year, month and day", field=field) from None


def optional_date(request: Any, field: str) -> date | None:
    """The date in that field, None where it is not set. Raises DateOutOfRange."""
    return date_from(getattr(request, field), field) if request.HasField(field) else None


def instant_to_proto(instant: datetime) -> Timestamp:
    """An instant, to the microsecond."""
    since = instant - _EPOCH
    return Timestamp(seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000)


def optional_instant(request: Any, field: str) -> datetime | None:
    """The instant in that field in UTC, None where it is not set. Raises InvalidValue."""
    if not request.HasField(field):
        return None
    try:
        found: datetime = getattr(request, field).ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidValue("write an instant from year 1 to 9999", field=field) from None
    return found


def employee_id_from(text: str) -> EmployeeId:
    """An id whose shape the rules of the proto have checked."""
    return EmployeeId(UUID(text))


def optional_id(text: str) -> EmployeeId | None:
    """None for empty."""
    return employee_id_from(text) if text else None


def version_from(etag: str) -> Version | None:
    """None for empty: not checked."""
    return Version(int(etag)) if etag else None


# ----------------------------------------------------------------------------------------- facts to messages


def compensation_to_proto(compensation: Compensation) -> pb.Compensation:
    """What is paid per unit."""
    return pb.Compensation(
        amount=str(compensation.amount), currency=compensation.currency, unit=_UNIT[compensation.unit]
    )


def person_to_proto(person: Person) -> pb.Person:
    """The person without encrypted fields."""
    return pb.Person(
        legal_name=person.legal_name,
        preferred_name=person.preferred_name,
        birth_date=None if person.birth_date is None else date_to_proto(person.birth_date),
    )


def work_to_proto(work: Work) -> pb.WorkFacts:
    """Assignment, compensation, allowances and statutory profiles."""
    assignment = work.assignment
    return pb.WorkFacts(
        assignment=pb.Assignment(
            assignment_id=str(assignment.assignment_id),
            legal_entity=assignment.legal_entity,
            department=assignment.department,
            position=assignment.position,
            location=assignment.location,
            manager_id="" if assignment.manager_id is None else str(assignment.manager_id),
            work_schedule=assignment.work_schedule,
            pay_group=assignment.pay_group,
            fte=str(assignment.fte),
            flsa_status=0 if assignment.flsa_status is None else _FLSA[assignment.flsa_status],  # type: ignore[arg-type]
            employment_type=_TYPE[assignment.employment_type],
            grade=assignment.grade,
        ),
        compensation=None if work.compensation is None else compensation_to_proto(work.compensation),
        allowances=[
            pb.Allowance(code=code, amount=str(each.amount), currency=each.currency, unit=_UNIT[each.unit])
            for code, each in work.allowances
        ],
        statutory_profiles=[
            pb.StatutoryProfile(country=country, values=dict(answers)) for country, answers in work.statutory
        ],
    )


def spell_to_proto(spell: Spell) -> pb.Employment:
    """First and last day."""
    if spell.open:
        return pb.Employment(hire_date=date_to_proto(spell.start))
    return pb.Employment(
        hire_date=date_to_proto(spell.start),
        end_date=date_to_proto(Period(spell.start, spell.end).last_day),
        end_reason=pb.END_REASON_UNSPECIFIED if spell.end_reason is None else _END[spell.end_reason],
    )


def reading_to_proto(opened: Opened, as_of: date) -> pb.Employee:
    """An employee as stored, with the fields that were opened."""
    reading = opened.reading
    message = pb.Employee(
        employee_id=str(reading.employee_id),
        employee_number=reading.number,
        status=_STATUS[reading.status(as_of)],
        etag=str(reading.version),
        as_of=date_to_proto(as_of),
        employment=None if reading.spell is None else spell_to_proto(reading.spell),
        update_time=instant_to_proto(reading.record_time),
    )
    message.person.ParseFromString(reading.person)
    if reading.work is not None:
        message.work.ParseFromString(reading.work)
    if opened.fields:
        _open_person(message.person, opened.fields)
    return message


def _open_person(message: pb.Person, fields: Mapping[str, str]) -> None:
    for name, value in fields.items():
        if name == "bank_accounts":
            message.bank_accounts.extend(pb.BankAccount(**account) for account in json.loads(value))
        else:
            setattr(message, name, value)


def _opened_fields(employee_id: EmployeeId, person: Person, vault: Vault) -> dict[str, str]:
    sealed = {name: getattr(person, name) for name in SEALED_FIELDS}
    return {name: vault.open(employee_id, name, value) for name, value in sealed.items() if value is not None}


def state_to_proto(outcome: tuple[EmployeeState, date], vault: Vault) -> pb.Employee:
    """An employee as a command left them, as of a date: what a read of everything shows, encrypted fields opened."""
    state, as_of = outcome
    segment = state.projection.at(as_of)
    message = pb.Employee(
        employee_id=str(state.id), employee_number=state.number, etag=str(state.version), as_of=date_to_proto(as_of)
    )
    if segment is not None:
        message.status = _STATUS[segment.status(as_of)]
        message.person.CopyFrom(person_to_proto(segment.person))
        _open_person(message.person, _opened_fields(state.id, segment.person, vault))
        if segment.spell is not None:
            message.employment.CopyFrom(spell_to_proto(segment.spell))
        if segment.work is not None:
            message.work.CopyFrom(work_to_proto(segment.work))
    if state.last_record_time is not None:
        message.update_time.CopyFrom(instant_to_proto(state.last_record_time))
    return message


def change_to_proto(change: Change, standing: bool) -> pb.EmployeeChange:
    """A recorded change; encrypted fields are named and not shown."""
    return pb.EmployeeChange(
        change_id=str(change.change_id),
        version=change.version,
        kind=_KIND[change.kind],
        effective_date=date_to_proto(change.effective_date),
        record_time=instant_to_proto(change.record_time),
        fields={name: _field_to_text(name, value) for name, value in change.fields.items()},
        supersedes="" if change.supersedes is None else str(change.supersedes),
        cancels=[str(id) for id in change.cancels],
        standing=standing,
        reason=change.reason,
    )


def _field_to_text(name: str, value: FieldValue) -> str:
    if value is None:
        return ""
    if name in SEALED_FIELDS:
        return HIDDEN
    if isinstance(value, Compensation):
        return f"{value.amount} {value.currency}/{value.unit.value}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(getattr(value, "value", value))


def slice_to_proto(page: SlicePage) -> pb.ListPaySliceResponse:
    """A pay slice: one message per employee, the stored documents as they stand."""
    response = pb.ListPaySliceResponse(next_after_employee_id="" if page.next_after is None else str(page.next_after))
    employee: pb.PaySliceEmployee | None = None
    last = -1
    spell: Spell | None = None
    for segment in page.segments:
        if employee is None or segment.employee_id.int != last:
            last, spell = segment.employee_id.int, None
            employee = response.employees.add(employee_id=str(segment.employee_id), employee_number=segment.number)
        if segment.spell is not spell and segment.spell != spell:
            spell = segment.spell
            employee.employments.append(spell_to_proto(spell))
        days = segment.days
        piece = employee.segments.add(start_date=date_to_proto(days.start), end_date=date_to_proto(days.end))
        piece.work.ParseFromString(segment.work)
    return response


def roster_to_proto(roster: RosterReading) -> pb.RosterFacts:
    """What attendance must know of one employee."""
    message = pb.RosterFacts(
        employee_id=str(roster.employee_id), employee_number=roster.number, source_version=roster.source_version
    )
    for zoned in roster.days:
        assignment = pb.WorkFacts.FromString(zoned.segment.work).assignment
        span = message.spans.add(
            start_date=date_to_proto(zoned.days.start),
            assignment_id=assignment.assignment_id,
            work_schedule=assignment.work_schedule,
            location=assignment.location,
            time_zone=zoned.time_zone,
            department=assignment.department,
            manager_id=assignment.manager_id,
            pay_group=assignment.pay_group,
            legal_entity=assignment.legal_entity,
        )
        if zoned.days.end != FOREVER:
            span.end_date.CopyFrom(date_to_proto(zoned.days.end))
    return message


def changed_to_proto(changed: Changed) -> pb.ChangedEmployee:
    """Whose pay facts were changed, and by what."""
    return pb.ChangedEmployee(
        employee_id=str(changed.employee_id),
        kinds=[_KIND[kind] for kind in changed.kinds],
        record_time=instant_to_proto(changed.last_record_time),
    )


def hire_result(outcome: EmployeeState | DomainError, dry_run: bool) -> pb.HireResult:
    """What became of one hire."""
    if isinstance(outcome, DomainError):
        return pb.HireResult(
            refusal=pb.Refusal(reason=outcome.reason, message=outcome.message[:1000], field=outcome.field or "")
        )
    work = outcome.projection.segments[0].work
    if dry_run or work is None:
        return pb.HireResult()
    return pb.HireResult(employee_id=str(outcome.id), assignment_id=str(work.assignment.assignment_id))
