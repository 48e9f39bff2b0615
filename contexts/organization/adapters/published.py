"""Domain events as the messages that this context publishes."""

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.message import Message
from muster.organization.v1 import events_pb2 as pb
from muster.organization.v1 import org_chart_pb2

from contexts.organization.adapters.codec import date_to_proto
from contexts.organization.domain import events


def _hired(event: events.EmployeeHired) -> Message:
    assignment = event.assignment
    return pb.EmployeeHiredEvent(
        employee_id=str(event.employee_id),
        employee_number=event.employee_number,
        change_id=str(event.change_id),
        assignment_id=str(assignment.assignment_id),
        hire_date=date_to_proto(event.hire_date),
        legal_entity=assignment.legal_entity,
        department=assignment.department,
        location=assignment.location,
        work_schedule=assignment.work_schedule,
        pay_group=assignment.pay_group,
    )


def _rehired(event: events.EmployeeRehired) -> Message:
    return pb.EmployeeRehiredEvent(
        employee_id=str(event.employee_id),
        change_id=str(event.change_id),
        assignment_id=str(event.assignment_id),
        hire_date=date_to_proto(event.hire_date),
        pay_group=event.pay_group,
    )


def _transferred(event: events.EmployeeTransferred) -> Message:
    return pb.EmployeeTransferredEvent(
        employee_id=str(event.employee_id),
        change_id=str(event.change_id),
        effective_date=date_to_proto(event.effective_date),
        changed_fields=event.changed_fields,
    )


def _compensation_changed(event: events.CompensationChanged) -> Message:
    return pb.CompensationChangedEvent(
        employee_id=str(event.employee_id),
        change_id=str(event.change_id),
        effective_date=date_to_proto(event.effective_date),
    )


def _statutory_profile_changed(event: events.StatutoryProfileChanged) -> Message:
    return pb.StatutoryProfileChangedEvent(
        employee_id=str(event.employee_id),
        change_id=str(event.change_id),
        effective_date=date_to_proto(event.effective_date),
        country=event.country,
    )


def _person_updated(event: events.PersonUpdated) -> Message:
    return pb.PersonUpdatedEvent(
        employee_id=str(event.employee_id),
        change_id=str(event.change_id),
        effective_date=date_to_proto(event.effective_date),
    )


def _bank_accounts_changed(event: events.BankAccountsChanged) -> Message:
    return pb.BankAccountsChangedEvent(
        employee_id=str(event.employee_id),
        change_id=str(event.change_id),
        effective_date=date_to_proto(event.effective_date),
    )


def _terminated(event: events.EmployeeTerminated) -> Message:
    return pb.EmployeeTerminatedEvent(
        employee_id=str(event.employee_id), change_id=str(event.change_id), end_date=date_to_proto(event.end_date)
    )


def _corrected(event: events.EmployeeCorrected) -> Message:
    return pb.EmployeeCorrectedEvent(
        employee_id=str(event.employee_id),
        change_id=str(event.change_id),
        corrected_change_id=str(event.corrected_change_id),
        affected_from=date_to_proto(event.affected_from),
        cancelled=event.cancelled,
    )


def _chart_published(event: events.OrgChartPublished) -> Message:
    return pb.OrgChartPublishedEvent(
        catalog_version=event.catalog_version,
        entries=[
            pb.PublishedEntry(
                kind=org_chart_pb2.EntryKind.ValueType(kind.value),
                code=code,
                effective_date=date_to_proto(day),
                closed=closed,
            )
            for kind, code, day, closed in event.entries
        ],
    )


_MESSAGES: Mapping[type[Any], Callable[[Any], Message]] = {
    events.EmployeeHired: _hired,
    events.EmployeeRehired: _rehired,
    events.EmployeeTransferred: _transferred,
    events.CompensationChanged: _compensation_changed,
    events.StatutoryProfileChanged: _statutory_profile_changed,
    events.PersonUpdated: _person_updated,
    events.BankAccountsChanged: _bank_accounts_changed,
    events.EmployeeTerminated: _terminated,
    events.EmployeeCorrected: _corrected,
    events.OrgChartPublished: _chart_published,
}


def published(event: object) -> Message:
    """The message of a domain event; every event of this context is published. Raises KeyError for an unknown one."""
    return _MESSAGES[type(event)](event)
