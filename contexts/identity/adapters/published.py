"""Identity's events as others may read them."""

from google.protobuf.message import Message
from muster.identity.v1 import events_pb2

from contexts.identity.adapters.codec import date_to_proto
from contexts.identity.domain.events import (
    AccountCreated,
    AccountDisabled,
    AccountGranted,
    AccountRevoked,
    TenantCreated,
)


def published(event: object) -> Message | None:
    """The published message of a domain event."""
    match event:
        case TenantCreated():
            return events_pb2.TenantCreatedEvent(
                tenant_id=str(event.tenant_id), code=event.code, home_zone=event.home_zone, currency=event.currency
            )
        case AccountCreated():
            employee = "" if event.employee_id is None else str(event.employee_id)
            return events_pb2.AccountCreatedEvent(account_id=str(event.account_id), employee_id=employee)
        case AccountGranted():
            return events_pb2.AccountGrantedEvent(
                account_id=str(event.account_id),
                grant_id=str(event.grant_id),
                role=event.role,
                legal_entity=event.legal_entity,
                department=event.department,
                valid_from=date_to_proto(event.valid_from),
                valid_until=None if event.valid_until is None else date_to_proto(event.valid_until),
            )
        case AccountRevoked():
            return events_pb2.AccountRevokedEvent(
                account_id=str(event.account_id), grant_id=str(event.grant_id), role=event.role
            )
        case AccountDisabled():
            return events_pb2.AccountDisabledEvent(account_id=str(event.account_id))
    return None
