"""What the operator of an installation asks of identity: tenants, and tokens for the command line."""

import secrets
from uuid import uuid4

from muster.identity.v1 import account_pb2, account_pb2_grpc, tenant_pb2, tenant_pb2_grpc

from chassis.principal import Principal
from chassis.rpc.channels import Client
from kernel.ids import TenantId, tenant_id_of


def operator(tenant_id: TenantId) -> Principal:
    """The operator of this installation, acting for one tenant."""
    return Principal(tenant_id, "process:operator", frozenset({"operator"}))


async def create_tenant(identity: Client, code: str, name: str, zone: str, currency: str, owner: str) -> dict[str, str]:
    """The new tenant's ids and its owner's first password, which is shown once. Raises RemoteError."""
    password = secrets.token_urlsafe(15)
    request_id = uuid4()
    stub = identity.stub(tenant_pb2_grpc.TenantServiceStub)
    made = await identity.call(
        stub.CreateTenant,
        tenant_pb2.CreateTenantRequest(
            request_id=str(request_id),
            code=code,
            name=name,
            home_zone=zone,
            locale="zh-CN" if currency == "CNY" else "en",
            currency=currency,
            owner_login=owner,
            owner_password=password,
        ),
        principal=operator(tenant_id_of(code)),
        request_id=request_id,
    )
    return {
        "tenant_id": made.tenant.tenant_id,
        "code": code,
        "owner_account_id": made.owner.account_id,
        "owner_login": owner,
        "owner_password": password,
    }


async def issue_token(identity: Client, tenant: str, role: str, employee: str = "") -> dict[str, object]:
    """An access token of one role: {access_token, expires_in_s, account_id}. Raises RemoteError."""
    stub = identity.stub(account_pb2_grpc.AccountServiceStub)
    request_id = uuid4()
    issued = await identity.call(
        stub.IssueToken,
        account_pb2.IssueTokenRequest(role=role, employee_id=employee),
        principal=operator(tenant_id_of(tenant)),
        request_id=request_id,
    )
    return {
        "access_token": issued.access_token,
        "expires_in_s": issued.expires_in_s,
        "account_id": issued.account_id,
    }
