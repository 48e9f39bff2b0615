"""Requests of the wire contract as commands and queries."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID

from google.protobuf.message import Message
from muster.organization.v1 import employee_pb2 as pb

from chassis.paging import from_token, to_token
from contexts.organization.adapters.codec import (
    END_OF,
    FLSA_OF,
    STATUS_OF,
    TYPE_OF,
    UNIT_OF,
    date_from,
    employee_id_from,
    optional_date,
    optional_id,
    optional_instant,
    version_from,
)
from contexts.organization.domain.errors import DateOutOfRange, FactOutOfRange, NothingChanges
from contexts.organization.domain.history import ALLOWANCE, END_REASON, STATUTORY
from contexts.organization.domain.values import BankAccount, Compensation, EmploymentType, FieldValue
from contexts.organization.handlers.change import (
    CancelEmployeeChange,
    ChangeBankAccounts,
    ChangeCompensation,
    ChangeReportingLine,
    ChangeStatutoryProfile,
    CorrectEmployee,
    PromoteEmployee,
    Target,
    TerminateEmployee,
    TransferEmployee,
    UpdatePerson,
)
from contexts.organization.handlers.hire import Hire, RehireEmployee, Terms
from contexts.organization.handlers.person import Told
from contexts.organization.repository.port import Criteria, Sort
from kernel.errors import InvalidValue
from kernel.ids import EmployeeId
from kernel.money import Money, minor_digits
from kernel.period import Period

MOST_FTE = Decimal(2)
_SORT_OF = {
    pb.EMPLOYEE_SORT_UNSPECIFIED: Sort.EMPLOYEE_NUMBER,
    pb.EMPLOYEE_SORT_EMPLOYEE_NUMBER: Sort.EMPLOYEE_NUMBER,
    pb.EMPLOYEE_SORT_NAME: Sort.NAME,
    pb.EMPLOYEE_SORT_HIRE_DATE: Sort.HIRE_DATE,
}

# ----------------------------------------------------------------------------------------- messages to commands


def amount(text: str, currency: str) -> Decimal:
    """With at least the currency's digits after the point and no zeros beyond them: equal amounts are equal texts."""
    value = Decimal(text)
    digits = -int(value.normalize().as_tuple().exponent)
    return value.quantize(Decimal(1).scaleb(-max(digits, minor_digits(currency))))


def _plain(value: Decimal) -> Decimal:
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value.normalize()


def compensation_from(message: pb.Compensation | pb.Allowance) -> Compensation:
    """What is paid per unit."""
    return Compensation(amount(message.amount, message.currency), message.currency, UNIT_OF[message.unit])


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
        "flsa_status": FLSA_OF.get(message.flsa_status),
        "employment_type": TYPE_OF.get(message.employment_type, EmploymentType.FULL_TIME),
        "grade": message.grade,
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
            fields[name] = FLSA_OF.get(value)
        elif name == "employment_type":
            fields[name] = TYPE_OF[value]
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
        _plain(Decimal(message.share_percent)) if message.share_percent else None,
        Money(message.amount.minor_units, message.amount.currency) if message.HasField("amount") else None,
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


def promotion_from(request: pb.PromoteEmployeeRequest) -> PromoteEmployee:
    """Raises DateOutOfRange, FactOutOfRange."""
    return PromoteEmployee(
        _target(request),
        date_from(request.effective_date, "effective_date"),
        _assignment_change_from(request.assignment),
        compensation_from(request.compensation) if request.HasField("compensation") else None,
    )


def manager_change_from(request: pb.ChangeManagerRequest) -> ChangeReportingLine:
    """Raises DateOutOfRange."""
    day = date_from(request.effective_date, "effective_date")
    return ChangeReportingLine(_target(request), day, optional_id(request.manager_id))


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
    return TerminateEmployee(_target(request), date_from(request.end_date, "end_date"), END_OF[request.end_reason])


def correction_from(request: pb.CorrectEmployeeRequest) -> CorrectEmployee:
    """Raises DateOutOfRange, FactOutOfRange."""
    correction = request.correction
    fields = _assignment_change_from(correction.assignment) | _pay_fields(correction)
    if correction.HasField("statutory_profile"):
        fields |= _statutory_fields(correction.statutory_profile)
    if correction.end_reason:
        fields[END_REASON] = END_OF[correction.end_reason]
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
        statuses=tuple(STATUS_OF[status] for status in request.statuses),
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
