"""Payroll's events as others may read them."""

from google.protobuf.message import Message
from google.type.date_pb2 import Date
from muster.payroll.v1 import events_pb2

from contexts.payroll.domain import events


def published(event: object) -> Message | None:
    """The published message of a domain event."""
    match event:
        case events.PayrollRunCreated():
            return events_pb2.PayrollRunCreatedEvent(
                run_id=str(event.run_id),
                pay_group=event.pay_group,
                period=event.period,
                kind=event.kind,
                sequence=event.sequence,
            )
        case events.CalculationRequested():
            return events_pb2.PayrollRunCalculationRequestedEvent(
                run_id=str(event.run_id), attempt=event.attempt, pay_group=event.pay_group, period=event.period
            )
        case events.PayrollRunCalculated():
            return events_pb2.PayrollRunCalculatedEvent(
                run_id=str(event.run_id),
                attempt=event.attempt,
                pay_group=event.pay_group,
                period=event.period,
                payslip_count=event.payslip_count,
                blocked_count=event.blocked_count,
            )
        case events.PayrollRunChanged():
            return events_pb2.PayrollRunChangedEvent(
                run_id=str(event.run_id), change=event.change, employee_count=event.employee_count
            )
        case events.PayrollRunApproved():
            return events_pb2.PayrollRunApprovedEvent(run_id=str(event.run_id), calculation_hash=event.calculation_hash)
        case events.PayrollRunFinalized():
            day = event.pay_date
            return events_pb2.PayrollRunFinalizedEvent(
                run_id=str(event.run_id),
                pay_group=event.pay_group,
                period=event.period,
                pay_date=Date(year=day.year, month=day.month, day=day.day),
                payslip_count=event.payslip_count,
            )
        case events.PayrollRunVoided():
            return events_pb2.PayrollRunVoidedEvent(run_id=str(event.run_id))
        case events.PayrollRunReversed():
            return events_pb2.PayrollRunReversedEvent(
                run_id=str(event.run_id), reversal_run_id=str(event.reversal_run_id)
            )
        case events.PayInputChanged():
            return events_pb2.PayInputChangedEvent(
                pay_input_id=str(event.pay_input_id),
                employee_id=str(event.employee_id),
                component=event.component,
                period=event.period,
            )
        case events.CatalogPublished():
            return events_pb2.PayrollCatalogPublishedEvent(catalog_version=event.catalog_version, codes=event.codes)
    return None
