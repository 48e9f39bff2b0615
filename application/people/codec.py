"""Between the JSON of people and organization's messages."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from muster.organization.v1 import employee_pb2 as wire
from muster.organization.v1 import org_chart_pb2 as chart

from application.access import FieldClass
from application.edge.wire import (
    blank,
    from_date,
    from_enum,
    from_instant,
    json_date,
    json_instant,
    json_money,
    names_of,
    optional_id,
    ready_made,
    to_date,
    to_enum,
    to_money,
)
from application.people import schemas

MASK = "***"

# Which class of field each recorded fact belongs to; a fact that is not named here is hidden from who reads no pay.
FACT_CLASSES: Mapping[str, FieldClass] = {
    **dict.fromkeys(
        (
            "employee_number",
            "legal_name",
            "preferred_name",
            "hire_date",
            "end_date",
            "end_reason",
            "assignment_id",
            "legal_entity",
            "department",
            "position",
            "location",
            "manager_id",
            "work_schedule",
            "pay_group",
            "fte",
            "flsa_status",
            "employment_type",
        ),
        FieldClass.PUBLIC,
    ),
    **dict.fromkeys(("birth_date", "email", "phone"), FieldClass.PERSONAL),
    **dict.fromkeys(("national_id", "bank_accounts"), FieldClass.SENSITIVE),
}


_EMPLOYEE_STATUSES = names_of(wire.EmployeeStatus, "EMPLOYEE_STATUS_")
_EMPLOYMENT_TYPES = names_of(wire.EmploymentType, "EMPLOYMENT_TYPE_")
_END_REASONS = names_of(wire.EndReason, "END_REASON_")
_FLSA_STATUSES = names_of(wire.FlsaStatus, "FLSA_STATUS_")
_PAY_UNITS = names_of(wire.PayUnit, "PAY_UNIT_")


# ---- what clients send ----


def to_compensation(body: schemas.CompensationBody | None) -> wire.Compensation | None:
    """The contractual pay for the wire."""
    if body is None:
        return None
    return wire.Compensation(
        amount=body.amount, currency=body.currency, unit=to_enum(wire.PayUnit, "PAY_UNIT_", body.unit)
    )


def to_allowances(bodies: Sequence[schemas.AllowanceBody]) -> list[wire.Allowance]:
    """Allowances for the wire."""
    return [
        wire.Allowance(
            code=body.code,
            amount=body.amount,
            currency=body.currency,
            unit=to_enum(wire.PayUnit, "PAY_UNIT_", body.unit),
        )
        for body in bodies
    ]


def to_allowance_changes(bodies: Sequence[schemas.AllowanceChangeBody]) -> list[wire.AllowanceChange]:
    """Allowances that start, change or end, for the wire."""
    return [wire.AllowanceChange(code=body.code, amount=to_compensation(body.amount)) for body in bodies]


def to_profile(body: schemas.StatutoryProfileBody | None) -> wire.StatutoryProfile | None:
    """Statutory answers for the wire."""
    return None if body is None else wire.StatutoryProfile(country=body.country, values=body.values)


def to_profiles(body: schemas.StatutoryProfileBody | None) -> list[wire.StatutoryProfile]:
    """Statutory answers as the list of one that a hire takes."""
    profile = to_profile(body)
    return [] if profile is None else [profile]


def to_bank_accounts(bodies: Sequence[schemas.BankAccountBody]) -> list[wire.BankAccount]:
    """Bank accounts for the wire."""
    return [
        wire.BankAccount(
            holder_name=body.holder_name,
            account_number=body.account_number,
            bank_code=body.bank_code,
            bank_name=body.bank_name,
            share_percent=body.share_percent or "",
            amount=None if body.amount is None else to_money(body.amount.exact()),
        )
        for body in bodies
    ]


def to_person(body: schemas.PersonBody) -> wire.Person:
    """A person for the wire."""
    return wire.Person(
        legal_name=body.legal_name,
        preferred_name=body.preferred_name or "",
        birth_date=to_date(body.birth_date),
        national_id=body.national_id or "",
        email=body.email or "",
        phone=body.phone or "",
        bank_accounts=to_bank_accounts(body.bank_accounts),
    )


def to_assignment(body: schemas.AssignmentBody, employment_type: str) -> wire.Assignment:
    """An assignment for the wire."""
    return wire.Assignment(
        legal_entity=body.legal_entity,
        department=body.department,
        position=body.position or "",
        location=body.location,
        manager_id=str(body.manager_id or ""),
        work_schedule=body.work_schedule or "",
        pay_group=body.pay_group or "",
        fte=body.fte,
        flsa_status=to_enum(wire.FlsaStatus, "FLSA_STATUS_", body.flsa_status),
        employment_type=to_enum(wire.EmploymentType, "EMPLOYMENT_TYPE_", employment_type),
        grade=body.grade or "",
    )


def to_assignment_change(body: schemas.AssignmentChangeBody) -> wire.AssignmentChange:
    """The named facts only; null becomes empty, which means none."""
    change = wire.AssignmentChange()
    for name in body.model_fields_set:
        value = getattr(body, name)
        if name == "flsa_status":
            change.flsa_status = to_enum(wire.FlsaStatus, "FLSA_STATUS_", value)
        elif name == "employment_type":
            change.employment_type = to_enum(wire.EmploymentType, "EMPLOYMENT_TYPE_", value)
        else:
            setattr(change, name, "" if value is None else str(value))
    return change


def to_person_change(body: schemas.PersonChangeBody) -> wire.PersonChange:
    """The named facts only; null becomes empty, which means none."""
    change = wire.PersonChange()
    for name in body.model_fields_set:
        value = getattr(body, name)
        if name == "birth_date":
            change.birth_date.CopyFrom(to_date(value))  # type: ignore[arg-type]
        else:
            setattr(change, name, value or "")
    return change


def to_hire(body: schemas.HireBody) -> wire.Hire:
    """A hire for the wire."""
    return wire.Hire(
        employee_number=body.employee_number,
        person=to_person(body.person),
        hire_date=to_date(body.hire_date),
        end_date=to_date(body.end_date),
        assignment=to_assignment(body.assignment, body.employment_type),
        compensation=to_compensation(body.compensation),
        allowances=to_allowances(body.allowances),
        statutory_profiles=to_profiles(body.statutory_profile),
    )


def to_correction(body: schemas.CorrectionBody) -> wire.Correction:
    """What a corrected change should have said, for the wire."""
    return wire.Correction(
        effective_date=to_date(body.effective_date),
        assignment=None if body.assignment is None else to_assignment_change(body.assignment),
        compensation=to_compensation(body.compensation),
        allowances=to_allowance_changes(body.allowances),
        statutory_profile=to_profile(body.statutory_profile),
        person=None if body.person is None else to_person_change(body.person),
        end_reason=to_enum(wire.EndReason, "END_REASON_", body.end_reason),
    )


# ---- what clients receive ----


def employee_view(employee: wire.Employee, shown: frozenset[FieldClass]) -> schemas.EmployeeView:
    """An employee with null for what is not shown.

    It is read more than everything else together, so that its fields are written as JSON takes them instead of through
    models; a test reads the result back as an EmployeeView.
    """
    work = employee.work
    assignment = work.assignment
    pay = FieldClass.PAY in shown
    fields = {
        "id": employee.employee_id,
        "employee_number": employee.employee_number,
        "status": _EMPLOYEE_STATUSES.get(employee.status),
        "as_of": json_date(employee.as_of),
        "version": int(employee.etag or 0),
        "person": _person_fields(employee.person, shown),
        "employment": _employment_fields(employee.employment),
        "employment_type": _EMPLOYMENT_TYPES.get(assignment.employment_type),
        "assignment": _assignment_fields(assignment, pay) if assignment.assignment_id else None,
        "compensation": _pay_fields(work.compensation) if pay and work.compensation.currency else None,
        "allowances": [{**_pay_fields(one), "code": one.code} for one in work.allowances] if pay else None,
        "statutory_profiles": [_profile_fields(one) for one in work.statutory_profiles] if pay else None,
        "updated_at": json_instant(employee.update_time),
    }
    return ready_made(schemas.EmployeeView, fields)


def _person_fields(person: wire.Person, shown: frozenset[FieldClass]) -> dict[str, Any]:
    personal, sensitive = FieldClass.PERSONAL in shown, FieldClass.SENSITIVE in shown
    return {
        "legal_name": person.legal_name,
        "preferred_name": person.preferred_name or None,
        "birth_date": json_date(person.birth_date) if personal else None,
        "national_id": (person.national_id or None) if sensitive else None,
        "email": (person.email or None) if personal else None,
        "phone": (person.phone or None) if personal else None,
        "bank_accounts": [
            {
                "holder_name": account.holder_name,
                "account_number": account.account_number,
                "bank_code": account.bank_code,
                "bank_name": account.bank_name,
                "share_percent": account.share_percent or None,
                "amount": json_money(account.amount),
            }
            for account in person.bank_accounts
        ]
        if sensitive
        else None,
    }


def _employment_fields(employment: wire.Employment) -> dict[str, Any]:
    return {
        "hire_date": json_date(employment.hire_date),
        "end_date": json_date(employment.end_date),
        "end_reason": _END_REASONS.get(employment.end_reason),
    }


def _assignment_fields(assignment: wire.Assignment, pay: bool) -> dict[str, Any]:
    return {
        "id": assignment.assignment_id,
        "legal_entity": assignment.legal_entity,
        "department": assignment.department,
        "position": assignment.position or None,
        "location": assignment.location,
        "manager_id": assignment.manager_id or None,
        "work_schedule": assignment.work_schedule or None,
        "pay_group": assignment.pay_group or None,
        "fte": assignment.fte,
        "flsa_status": _FLSA_STATUSES.get(assignment.flsa_status),
        "grade": (assignment.grade or None) if pay else None,  # tells about the pay of it
    }


def _pay_fields(pay: wire.Compensation | wire.Allowance) -> dict[str, Any]:
    return {"amount": pay.amount, "currency": pay.currency, "unit": _PAY_UNITS.get(pay.unit)}


def _profile_fields(profile: wire.StatutoryProfile) -> dict[str, Any]:
    # Sorted: a protobuf map has no order, and the same message must give the same bytes.
    return {"country": profile.country, "values": {name: profile.values[name] for name in sorted(profile.values)}}


def employment_view(employment: wire.Employment) -> schemas.EmploymentView:
    """A spell."""
    return schemas.EmploymentView.model_construct(
        hire_date=from_date(employment.hire_date),
        end_date=from_date(employment.end_date),
        end_reason=_END_REASONS.get(employment.end_reason),
    )


def change_view(change: wire.EmployeeChange, shown: frozenset[FieldClass]) -> schemas.ChangeView:
    """A recorded change with `***` for the facts that are not shown."""
    return schemas.ChangeView.model_construct(
        id=UUID(change.change_id),
        version=change.version,
        kind=from_enum(wire.ChangeKind, "CHANGE_KIND_", change.kind),
        effective_date=from_date(change.effective_date),
        recorded_at=from_instant(change.record_time),
        fields={name: change.fields[name] if _class_of(name) in shown else MASK for name in sorted(change.fields)},
        supersedes=optional_id(change.supersedes),
        cancels=[UUID(one) for one in change.cancels],
        standing=change.standing,
        reason=change.reason,
    )


def _class_of(fact: str) -> FieldClass:
    return FACT_CLASSES.get(fact.rpartition(".")[2], FieldClass.PAY)


def hire_result_view(index: int, number: str, result: wire.HireResult) -> schemas.HireResultView:
    """What became of one hire."""
    refusal = result.refusal
    return schemas.HireResultView.model_construct(
        index=index,
        employee_number=number,
        id=optional_id(result.employee_id),
        assignment_id=optional_id(result.assignment_id),
        refusal=schemas.RefusalView.model_construct(
            reason=refusal.reason, message=refusal.message, field=blank(refusal.field)
        )
        if refusal.reason
        else None,
    )


# ---- org chart ----


def to_entry(code: str, body: Any) -> chart.OrgChartEntry:
    """An entry of the org chart for the wire."""
    entry = chart.OrgChartEntry(code=code, name=body.name)
    if isinstance(body, schemas.LegalEntityBody):
        entry.legal_entity.CopyFrom(
            chart.LegalEntity(
                country=body.country, currency=body.currency, registration_number=body.registration_number
            )
        )
    elif isinstance(body, schemas.WithholdingRegistrationBody):
        entry.withholding_registration.CopyFrom(
            chart.WithholdingRegistration(
                legal_entity=body.legal_entity,
                country=body.country,
                currency=body.currency,
                registration_number=body.registration_number,
            )
        )
    elif isinstance(body, schemas.LocationBody):
        entry.location.CopyFrom(chart.Location(time_zone=body.time_zone, country=body.country, address=body.address))
    elif isinstance(body, schemas.DepartmentBody):
        entry.department.CopyFrom(chart.Department(parent=body.parent or ""))
    else:
        entry.position.CopyFrom(chart.Position(department=body.department or "", headcount=body.headcount))
    return entry


def legal_entity_view(entry: chart.OrgChartEntry) -> schemas.LegalEntityView:
    """A legal entity."""
    detail = entry.legal_entity
    return schemas.LegalEntityView.model_construct(
        **_entry(entry),
        country=detail.country,
        currency=detail.currency,
        registration_number=detail.registration_number,
    )


def registration_view(entry: chart.OrgChartEntry) -> schemas.WithholdingRegistrationView:
    """A withholding registration."""
    detail = entry.withholding_registration
    return schemas.WithholdingRegistrationView.model_construct(
        **_entry(entry),
        legal_entity=detail.legal_entity,
        country=detail.country,
        currency=detail.currency,
        registration_number=detail.registration_number,
    )


def location_view(entry: chart.OrgChartEntry) -> schemas.LocationView:
    """A workplace."""
    detail = entry.location
    return schemas.LocationView.model_construct(
        **_entry(entry), time_zone=detail.time_zone, country=detail.country, address=detail.address
    )


def department_view(entry: chart.OrgChartEntry) -> schemas.DepartmentView:
    """A department."""
    return schemas.DepartmentView.model_construct(**_entry(entry), parent=blank(entry.department.parent))


def position_view(entry: chart.OrgChartEntry) -> schemas.PositionView:
    """A position."""
    detail = entry.position
    return schemas.PositionView.model_construct(
        **_entry(entry), department=blank(detail.department), headcount=detail.headcount
    )


def headcount_view(found: chart.PositionHeadcount) -> schemas.HeadcountView:
    """A position with its people."""
    detail = found.position.position
    return schemas.HeadcountView.model_construct(
        position=found.position.code,
        name=found.position.name,
        department=blank(detail.department),
        planned=detail.headcount or None,
        filled=found.filled,
        vacant=detail.headcount - found.filled if detail.headcount else None,
    )


def _entry(entry: chart.OrgChartEntry) -> dict[str, Any]:
    return {
        "code": entry.code,
        "name": entry.name,
        "effective_date": from_date(entry.effective_date),
        "end_date": from_date(entry.end_date),
        "version": int(entry.etag or 0),
    }


def org_chart_view(answer: chart.GetOrgChartResponse) -> schemas.OrgChartView:
    """The whole chart on a date."""
    by_kind: dict[str, list[Any]] = {}
    for entry in answer.entries:
        by_kind.setdefault(entry.WhichOneof("detail") or "", []).append(entry)
    return schemas.OrgChartView.model_construct(
        as_of=from_date(answer.as_of),
        version=answer.catalog_version,
        published_at=from_instant(answer.publish_time),
        legal_entities=[legal_entity_view(one) for one in by_kind.get("legal_entity", ())],
        withholding_registrations=[registration_view(one) for one in by_kind.get("withholding_registration", ())],
        locations=[location_view(one) for one in by_kind.get("location", ())],
        departments=[department_view(one) for one in by_kind.get("department", ())],
        positions=[position_view(one) for one in by_kind.get("position", ())],
    )
