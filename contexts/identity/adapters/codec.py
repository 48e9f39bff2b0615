"""Identity's values from and to their messages."""

import base64
from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from muster.identity.v1 import account_pb2, signing_key_pb2, tenant_pb2

from chassis.paging import from_token, page_size, to_token
from contexts.identity.domain.account import AccountId, AccountState, Grant, GrantId, Role, Scope, Status, login
from contexts.identity.domain.errors import GrantMalformed
from contexts.identity.domain.session import SessionId
from contexts.identity.domain.signing_key import SigningKey
from contexts.identity.domain.tenant import Tenant
from contexts.identity.handlers.accounts import DisableAccount, FindAccounts, GrantRole, RevokeRole
from contexts.identity.handlers.tenants import Founded
from kernel.errors import InvalidValue
from kernel.ids import EmployeeId, TenantId, Version

_STATUS = {
    Status.ACTIVE: account_pb2.ACCOUNT_STATUS_ACTIVE,
    Status.DISABLED: account_pb2.ACCOUNT_STATUS_DISABLED,
}


def employee_from(text: str) -> EmployeeId | None:
    """The employee, None for ""."""
    return EmployeeId(UUID(text)) if text else None


def version_from(etag: str) -> Version | None:
    """The version that was seen, None for ""."""
    return Version(int(etag)) if etag else None


def grant_from(request: account_pb2.GrantRoleRequest) -> GrantRole:
    """Raises GrantMalformed."""
    return GrantRole(
        AccountId(UUID(request.account_id)),
        version_from(request.etag),
        Role(request.role),
        Scope(request.legal_entity, request.department),
        _date_from(request.valid_from, "valid_from") if request.HasField("valid_from") else None,
        _date_from(request.valid_until, "valid_until") if request.HasField("valid_until") else None,
    )


def revoke_from(request: account_pb2.RevokeRoleRequest) -> RevokeRole:
    """The command."""
    return RevokeRole(AccountId(UUID(request.account_id)), version_from(request.etag), GrantId(UUID(request.grant_id)))


def disable_from(request: account_pb2.DisableAccountRequest) -> DisableAccount:
    """The command."""
    return DisableAccount(AccountId(UUID(request.account_id)), version_from(request.etag), request.reason)


def find_from(request: account_pb2.ListAccountsRequest) -> FindAccounts:
    """One row more than the page, which tells whether there is another. Raises InvalidValue, LoginMalformed."""
    after = from_token(request.page_token, [str])
    return FindAccounts(
        login(request.login) if request.login else None,
        employee_from(request.employee_id),
        None if after is None else AccountId(_uuid_from(str(after[0]))),
        page_size(request.page_size) + 1,
    )


def page_to_proto(found: Sequence[AccountState], limit: int) -> account_pb2.ListAccountsResponse:
    """The page of what `find_from` asked for; `limit` is that of the query."""
    shown = found[: limit - 1]
    more = len(found) == limit
    return account_pb2.ListAccountsResponse(
        accounts=[account_to_proto(state) for state in shown],
        next_page_token=to_token(str(shown[-1].id)) if more else "",
    )


def account_to_proto(state: AccountState) -> account_pb2.Account:
    """An account without its credential."""
    return account_pb2.Account(
        account_id=str(state.id),
        login=state.login,
        status=_STATUS[state.status],
        employee_id="" if state.employee_id is None else str(state.employee_id),
        has_password=state.password_hash is not None,
        grants=[_grant_to_proto(grant) for grant in state.grants],
        etag=str(state.version),
        create_time=timestamp(state.created_time),
    )


def tenant_to_proto(tenant: Tenant) -> tenant_pb2.Tenant:
    """A tenant."""
    return tenant_pb2.Tenant(
        tenant_id=str(tenant.id),
        code=tenant.code,
        name=tenant.name,
        home_zone=tenant.home_zone,
        locale=tenant.locale,
        currency=tenant.currency,
        create_time=timestamp(tenant.created_time),
    )


def founded_to_proto(founded: Founded) -> tenant_pb2.CreateTenantResponse:
    """A tenant and its first owner."""
    return tenant_pb2.CreateTenantResponse(
        tenant=tenant_to_proto(founded.tenant), owner=account_to_proto(founded.owner)
    )


def key_to_proto(key: SigningKey) -> signing_key_pb2.SigningKey:
    """The public half of a key."""
    return signing_key_pb2.SigningKey(
        kid=key.kid,
        x=key.x,
        y=key.y,
        active_time=timestamp(key.active_time),
        expire_time=None if key.expire_time is None else timestamp(key.expire_time),
    )


def refresh_token(tenant_id: TenantId, session_id: SessionId, secret: str) -> str:
    """What a client keeps: where the session is, and the secret that opens it."""
    return f"{tenant_id.hex}.{session_id.hex}.{secret}"


def refresh_token_from(token: str) -> tuple[TenantId, SessionId, str] | None:
    """The parts again, None for what `refresh_token` did not make."""
    tenant, _, rest = token.partition(".")
    session, _, secret = rest.partition(".")
    try:
        return TenantId(UUID(hex=tenant)), SessionId(UUID(hex=session)), secret
    except ValueError:
        return None


def secret_text(secret: bytes) -> str:
    """32 bytes as a refresh token writes them: 43 letters of base64url."""
    return base64.urlsafe_b64encode(secret).decode().rstrip("=")


def timestamp(instant: datetime) -> Timestamp:
    """An instant to the microsecond."""
    message = Timestamp()
    message.FromDatetime(instant)
    return message


def _grant_to_proto(grant: Grant) -> account_pb2.Grant:
    return account_pb2.Grant(
        grant_id=str(grant.id),
        role=grant.role.value,
        legal_entity=grant.scope.legal_entity,
        department=grant.scope.department,
        valid_from=date_to_proto(grant.during.start),
        valid_until=None if grant.valid_until is None else date_to_proto(grant.valid_until),
        granted_by=grant.granted_by,
    )


def _date_from(message: Date, field: str) -> date:
    try:
        day = date(message.year, message.month, message.day)
    except ValueError:
        raise GrantMalformed("this day does not exist", field=field) from None
    if day == date.max:
        raise GrantMalformed("leave the end out for a grant without an end", field=field)
    return day


def date_to_proto(day: date) -> Date:
    """A civil date."""
    return Date(year=day.year, month=day.month, day=day.day)


def _uuid_from(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidValue("take the cursor from the page before, unchanged", field="page_token") from None
