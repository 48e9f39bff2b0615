"""Between messages of the wire contract and values, in both directions."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from typing import Any
from uuid import UUID

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from muster.organization.v1 import employee_pb2 as pb

from chassis.paging import from_token, to_token
from contexts.organization.domain.employee import EmployeeState
from contexts.organization.domain.errors import DateOutOfRange, FactOutOfRange, NothingChanges
from contexts.organization.domain.history import ALLOWANCE, END_REASON, STATUTORY, Change, ChangeKind
from contexts.organization.domain.values import (
    SEALED_FIELDS,
    BankAccount,
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
from contexts.organization.handlers.change import (
    CancelEmployeeChange,
    ChangeBankAccounts,
    ChangeCompensation,
    ChangeStatutoryProfile,
    CorrectEmployee,
    Target,
    TerminateEmployee,
    TransferEmployee,
    UpdatePerson,
)
from contexts.organization.handlers.hire import Hire, RehireEmployee, Terms
from contexts.organization.handlers.person import Told
from contexts.organization.handlers.read import (
    CONTACT,
    FULL,
    Opened,
    RosterReading,
)
from contexts.organization.repository.port import Changed, Criteria, SlicePage, Sort
from kernel.errors import DomainError, InvalidValue
from kernel.ids import EmployeeId, Version
from kernel.money import minor_digits
from kernel.period import FOREVER, Period

_STATUS = {status: pb.EmployeeStatus.Value(f"EMPLOYEE_STATUS_{status.value}") for status in EmployeeStatus}
_TYPE = {kind: pb.EmploymentType.Value(f"EMPLOYMENT_TYPE_{kind.value}") for kind in EmploymentType}
_END = {reason: pb.EndReason.Value(f"END_REASON_{reason.value}") for reason in EndReason}
_UNIT = {unit: pb.PayUnit.Value(f"PAY_UNIT_{unit.value}") for unit in PayUnit}
_FLSA = {status: pb.FlsaStatus.Value(f"FLSA_STATUS_{status.value}") for status in FlsaStatus}
_KIND = {kind: pb.ChangeKind.Value(f"CHANGE_KIND_{kind.value}") for kind in ChangeKind}
_STATUS_OF = {number: status for status, number in _STATUS.items()}
_TYPE_OF = {number: kind for kind, number in _TYPE.items()}
_END_OF = {number: reason for reason, number in _END.items()}
_UNIT_OF = {number: unit for unit, number in _UNIT.items()}
_FLSA_OF = {number: status for status, number in _FLSA.items()}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SORT_OF = {
    pb.EMPLOYEE_SORT_UNSPECIFIED: Sort.EMPLOYEE_NUMBER,
    pb.EMPLOYEE_SORT_EMPLOYEE_NUMBER: Sort.EMPLOYEE_NUMBER,
    pb.EMPLOYEE_SORT_NAME: Sort.NAME,
    pb.EMPLOYEE_SORT_HIRE_DATE: Sort.HIRE_DATE,
}
OPENED: Mapping[int, tuple[str, ...]] = {pb.EMPLOYEE_VIEW_CONTACT: CONTACT, pb.EMPLOYEE_VIEW_FULL: FULL}
MOST_FTE = Decimal(2)
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


def amount(text: str, currency: str) -> Decimal:
    """With at least the currency's digits after the point and no zeros beyond them: equal amounts are equal texts."""
    value = Decimal(text)
    digits = -int(value.normalize().as_tuple().exponent)
    return value.quantize(Decimal(1).scaleb(-max(digits, minor_digits(currency))))


def _plain(value: Decimal) -> Decimal:
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value.normalize()


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


def state_to_proto(outcome: tuple[EmployeeState, date]) -> pb.Employee:
    """An employee as a command left them, as of a date, without encrypted fields."""
    state, as_of = outcome
    segment = state.projection.at(as_of)
    message = pb.Employee(
        employee_id=str(state.id), employee_number=state.number, etag=str(state.version), as_of=date_to_proto(as_of)
    )
    if segment is not None:
        message.status = _STATUS[segment.status(as_of)]
        message.person.CopyFrom(person_to_proto(segment.person))
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


# ----------------------------------------------------------------------------------------- messages to commands


def compensation_from(message: pb.Compensation | pb.Allowance) -> Compensation:
    """What is paid per unit."""
    return Compensation(amount(message.amount, message.currency), message.currency, _UNIT_OF[message.unit])


def _fte(text: str, field: str) -> Decimal:
    value = Decimal(text)
    if not 0 < value <= MOST_FTE:
        raise FactOutOfRange(f"a full-time equivalent is over 0 and at most {MOST_FTE}", field=field)
    return _plain(value)


def _assignment_from(message: pb.Assignment) -> dict[str, FieldValue]:
    return {
        "legal_entity": message.legal_entity,
        "department": message.department,
        "location": message.location,
        "position": message.position,
        "manager_id": optional_id(message.manager_id),
        "work_schedule": message.work_schedule,
        "pay_group": message.pay_group,
        "fte": _fte(message.fte or "1", "assignment.fte"),
        "flsa_status": _FLSA_OF.get(message.flsa_status),
        "employment_type": _TYPE_OF.get(message.employment_type, EmploymentType.FULL_TIME),
    }


def _assignment_change_from(message: pb.AssignmentChange) -> dict[str, FieldValue]:
    fields: dict[str, FieldValue] = {}
    for descriptor, value in message.ListFields():
        name = descriptor.name
        fields[name] = value
        if name == "manager_id":
            fields[name] = optional_id(value)
        elif name == "fte":
            fields[name] = _fte(value, "assignment.fte")
        elif name == "flsa_status":
            fields[name] = _FLSA_OF.get(value)
        elif name == "employment_type":
            fields[name] = _TYPE_OF[value]
    return fields


def _statutory_from(profiles: Iterable[pb.StatutoryProfile]) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    countries = [profile.country for profile in profiles]
    if len(countries) != len(set(countries)):
        raise FactOutOfRange("name each country once", field="statutory_profiles.country")
    return tuple(
        (profile.country, tuple(sorted((name, value) for name, value in profile.values.items() if value)))
        for profile in sorted(profiles, key=lambda profile: profile.country)
        if any(profile.values.values())
    )


def _terms_from(message: Any) -> Terms:
    codes = [allowance.code for allowance in message.allowances]
    if len(codes) != len(set(codes)):
        raise FactOutOfRange("name each allowance once", field="allowances.code")
    return Terms(
        _assignment_from(message.assignment),
        compensation_from(message.compensation) if message.HasField("compensation") else None,
        tuple(
            (allowance.code, compensation_from(allowance))
            for allowance in sorted(message.allowances, key=lambda allowance: allowance.code)
        ),
        _statutory_from(message.statutory_profiles),
    )


def _account_from(message: pb.BankAccount) -> BankAccount:
    return BankAccount(
        message.holder_name,
        message.account_number,
        message.bank_code,
        message.bank_name,
        _plain(Decimal(message.share_percent)),
    )


def hire_from(message: pb.Hire) -> Hire:
    """Everything that a hire tells. Raises DateOutOfRange, FactOutOfRange."""
    person = message.person
    told: dict[str, Any] = {"legal_name": person.legal_name}
    if person.preferred_name:
        told["preferred_name"] = person.preferred_name
    if person.HasField("birth_date"):
        told["birth_date"] = date_from(person.birth_date, "person.birth_date")
    told.update({name: value for name in ("national_id", "email", "phone") if (value := getattr(person, name))})
    if person.bank_accounts:
        told["bank_accounts"] = [_account_from(account) for account in person.bank_accounts]
    hire_date = date_from(message.hire_date, "hire_date")
    end_date = optional_date(message, "end_date")
    return Hire(message.employee_number, told, hire_date, _not_before(end_date, hire_date), _terms_from(message))


def _not_before(end_date: date | None, hire_date: date) -> date | None:
    if end_date is not None and end_date < hire_date:
        raise DateOutOfRange("the last day cannot be before the first", field="end_date")
    return end_date


def rehire_from(request: pb.RehireEmployeeRequest) -> RehireEmployee:
    """Raises DateOutOfRange, FactOutOfRange."""
    hire_date = date_from(request.hire_date, "hire_date")
    end_date = _not_before(optional_date(request, "end_date"), hire_date)
    id = employee_id_from(request.employee_id)
    return RehireEmployee(id, version_from(request.etag), hire_date, end_date, _terms_from(request), request.reason)


def _target(request: Any) -> Target:
    return Target(employee_id_from(request.employee_id), version_from(request.etag), request.reason)


def transfer_from(request: pb.TransferEmployeeRequest) -> TransferEmployee:
    """Raises DateOutOfRange, FactOutOfRange."""
    return TransferEmployee(
        _target(request),
        date_from(request.effective_date, "effective_date"),
        _assignment_change_from(request.assignment),
        compensation_from(request.compensation) if request.HasField("compensation") else None,
    )


def _pay_fields(message: Any) -> dict[str, FieldValue]:
    fields: dict[str, FieldValue] = {}
    if message.HasField("compensation"):
        fields["compensation"] = compensation_from(message.compensation)
    for allowance in message.allowances:
        amount = compensation_from(allowance.amount) if allowance.HasField("amount") else None
        fields[ALLOWANCE + allowance.code] = amount
    return fields


def compensation_change_from(request: pb.ChangeCompensationRequest) -> ChangeCompensation:
    """Raises DateOutOfRange, NothingChanges."""
    fields = _pay_fields(request)
    if not fields:
        raise NothingChanges("name a compensation or at least one allowance", field="compensation")
    return ChangeCompensation(_target(request), date_from(request.effective_date, "effective_date"), fields)


def _statutory_fields(profile: pb.StatutoryProfile) -> dict[str, FieldValue]:
    return {f"{STATUTORY}{profile.country}.{name}": value or None for name, value in sorted(profile.values.items())}


def statutory_change_from(request: pb.ChangeStatutoryProfileRequest) -> ChangeStatutoryProfile:
    """Raises DateOutOfRange."""
    profile = request.statutory_profile
    day = date_from(request.effective_date, "effective_date")
    return ChangeStatutoryProfile(_target(request), day, profile.country, _statutory_fields(profile))


def _person_change_from(message: pb.PersonChange) -> Told:
    told: dict[str, Any] = {descriptor.name: value for descriptor, value in message.ListFields()}
    if "birth_date" in told:
        told["birth_date"] = date_from(message.birth_date, "person.birth_date")
    return told


def person_update_from(request: pb.UpdatePersonRequest) -> UpdatePerson:
    """Raises DateOutOfRange."""
    day = date_from(request.effective_date, "effective_date")
    return UpdatePerson(_target(request), day, _person_change_from(request.person))


def bank_accounts_change_from(request: pb.ChangeBankAccountsRequest) -> ChangeBankAccounts:
    """Raises DateOutOfRange."""
    day = date_from(request.effective_date, "effective_date")
    return ChangeBankAccounts(_target(request), day, [_account_from(account) for account in request.bank_accounts])


def termination_from(request: pb.TerminateEmployeeRequest) -> TerminateEmployee:
    """Raises DateOutOfRange."""
    return TerminateEmployee(_target(request), date_from(request.end_date, "end_date"), _END_OF[request.end_reason])


def correction_from(request: pb.CorrectEmployeeRequest) -> CorrectEmployee:
    """Raises DateOutOfRange, FactOutOfRange."""
    correction = request.correction
    fields = _assignment_change_from(correction.assignment) | _pay_fields(correction)
    if correction.HasField("statutory_profile"):
        fields |= _statutory_fields(correction.statutory_profile)
    if correction.end_reason:
        fields[END_REASON] = _END_OF[correction.end_reason]
    return CorrectEmployee(
        _target(request),
        UUID(request.change_id),
        optional_date(correction, "effective_date"),
        fields,
        _person_change_from(correction.person),
    )


def cancellation_from(request: pb.CancelEmployeeChangeRequest) -> CancelEmployeeChange:
    """One recorded change to cancel."""
    return CancelEmployeeChange(_target(request), UUID(request.change_id))


# ----------------------------------------------------------------------------------------- messages to queries


def criteria_from(request: pb.ListEmployeesRequest, today: date) -> Criteria:
    """Raises DateOutOfRange, InvalidValue."""
    return Criteria(
        as_of=optional_date(request, "as_of") or today,
        known_at=optional_instant(request, "known_at"),
        statuses=tuple(_STATUS_OF[status] for status in request.statuses),
        departments=tuple(request.departments),
        legal_entities=tuple(request.legal_entities),
        pay_group=request.pay_group,
        location=request.location,
        manager_id=optional_id(request.manager_id),
        q=request.q.strip(),
        employee_number=request.employee_number,
        updated_since=optional_instant(request, "updated_since"),
        sort=_SORT_OF[request.sort],
    )


def period_from(request: Any) -> Period:
    """From `period_start` up to, not including, `period_end`. Raises DateOutOfRange."""
    start, end = date_from(request.period_start, "period_start"), date_from(request.period_end, "period_end")
    if start >= end:
        raise DateOutOfRange("a period ends after it starts", field="period_end")
    return Period(start, end)


def question_of(request: Message) -> str:
    """What a list was asked for, apart from the page: a token is good for the same question only."""
    asked = type(request)()
    asked.CopyFrom(request)
    for name in ("page_token", "page_size"):
        asked.ClearField(name)
    return sha256(asked.SerializeToString(deterministic=True)).hexdigest()[:16]


def keys_from(request: Any, kinds: int) -> tuple[str, ...] | None:
    """The keys at which the page before ended, None for the first. Raises InvalidValue for another list's token."""
    keys = from_token(request.page_token, [str] * (kinds + 1))
    if keys is None:
        return None
    if keys[0] != question_of(request):
        raise InvalidValue("this cursor belongs to another search: begin without one", field="page_token")
    return tuple(str(key) for key in keys[1:])


def token_of(request: Message, *keys: str) -> str:
    """The token of the page that follows these keys."""
    return to_token(question_of(request), *keys)


def id_key(text: str) -> EmployeeId:
    """An employee id out of a token. Raises InvalidValue."""
    try:
        return employee_id_from(text)
    except ValueError:
        raise InvalidValue("take the cursor from the page before, unchanged", field="page_token") from None
