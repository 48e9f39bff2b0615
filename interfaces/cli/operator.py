"""What the operator of an installation asks: tenants, tokens for the command line, events, work that parked."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any
from uuid import UUID, uuid4

from muster.event.v1 import event_feed_pb2, event_feed_pb2_grpc
from muster.identity.v1 import account_pb2, account_pb2_grpc, tenant_pb2, tenant_pb2_grpc

from application.events.cloud_events import cloud_event
from application.events.cursor import Cursor
from application.events.feeds import Feeds, FeedWatch
from chassis.bus.consumer import feed_principal
from chassis.principal import Principal
from chassis.rpc.channels import Client
from chassis.rpc.error_map import RemoteError
from kernel.errors import Kind
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


ClientOf = Callable[[str], Client]
MOST_PARKED = 10_000
TAIL_PAGE = 500
TAIL_WAIT_S = 20.0
TAIL_RETRY_S = 1.0


async def tail_events(
    client_of: ClientOf,
    services: Sequence[str],
    *,
    tenant: str = "",
    types: Collection[str] = (),
    from_start: bool = False,
    follow: bool = True,
    most: int | None = None,
) -> AsyncIterator[dict[str, Any]]:
    """Events as CloudEvents, of all companies or the one with that code, from now or from the oldest that is kept.

    Without `follow` up to the newest; with it for ever, over restarts of the data services. Raises RemoteError for a
    refusal, CursorExpired.
    """
    clients = {name: client_of(name) for name in services}
    feeds, watch = Feeds(clients), FeedWatch(clients)
    principal = operator(tenant_id_of(tenant)) if tenant else feed_principal("operator")
    cursor = Cursor() if from_start else await feeds.heads(principal)
    left = most
    while left is None or left > 0:
        try:
            page = await feeds.page(principal, cursor, TAIL_PAGE if left is None else min(left, TAIL_PAGE), types)
        except RemoteError as error:
            if not follow or isinstance(error.kind, Kind):
                raise
            await asyncio.sleep(TAIL_RETRY_S)
            continue
        for name, entry in page.entries:
            yield cloud_event(name, entry)
        cursor = page.cursor
        left = None if left is None else left - len(page.entries)
        if page.has_more:
            continue
        if not follow:
            return
        await watch.news(principal.tenant_id, page.heads, TAIL_WAIT_S)


async def parked_work(client_of: ClientOf, services: Sequence[str], step: str = "") -> AsyncIterator[dict[str, str]]:
    """Work of all tenants that parked, by service, oldest first, at most some 10,000 items. Raises RemoteError."""
    told = 0
    for service in services:
        client, cursor = client_of(service), ""
        stub = client.stub(event_feed_pb2_grpc.EventFeedServiceStub)
        while True:
            page = await client.call(
                stub.ListParked,
                event_feed_pb2.ListParkedRequest(consumer=step, page_size=500, page_token=cursor),
                principal=feed_principal("operator"),
            )
            for one in page.parked_events:
                yield {
                    "id": f"{service}.{one.consumer}.{one.entry.event_id}",
                    "tenant_id": one.entry.tenant_id,
                    "event": one.entry.type.rpartition(".")[2],
                    "subject": f"{one.entry.aggregate_type}/{one.entry.aggregate_id}",
                    "reason": one.reason,
                    "attempts": str(one.attempts),
                    "parked_at": one.parked_time.ToJsonString(),
                }
                told += 1
            cursor = page.next_page_token
            if not cursor or told >= MOST_PARKED:
                break


async def replay_work(client_of: ClientOf, work_item_id: str, tenant_id: str) -> None:
    """Hand an event to its step once more; the tenant's audit says that the operator did. Raises RemoteError."""
    service, _, rest = work_item_id.partition(".")
    client, request_id = client_of(service), uuid4()
    await client.call(
        client.stub(event_feed_pb2_grpc.EventFeedServiceStub).Replay,
        event_feed_pb2.ReplayRequest(consumer=rest[:-37], event_id=rest[-36:], request_id=str(request_id)),
        principal=operator(TenantId(UUID(tenant_id))),
        request_id=request_id,
    )
