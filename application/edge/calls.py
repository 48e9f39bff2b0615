"""Calls to data services on behalf of the request that is being served, or of a process."""

from typing import Any, TypeVar
from uuid import UUID

import grpc
from google.protobuf.message import Message

from application.edge.exchange import current_exchange
from chassis.principal import Principal
from chassis.rpc.channels import Client

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


class Calls:
    """One data service as use cases call it.

    Invariants: a read carries the caller; a write carries the request id and fingerprint of the exchange too, and a
    use case makes at most one.
    """

    def __init__(self, client: Client) -> None:
        self.client = client

    async def read(self, method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]", request: Request) -> Response:
        """The answer of a read. Raises RemoteError."""
        return await self.client.call(method, request, principal=current_exchange().caller)

    async def write(self, method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]", request: Request) -> Response:
        """The answer of this request's one write; `request_id` and `etag` are filled in. Raises RemoteError."""
        exchange = current_exchange()
        assert exchange.request_id is not None, "only operations that change something write"
        message: Any = request
        message.request_id = str(exchange.request_id)
        if exchange.if_match:
            message.etag = exchange.if_match
        return await self.client.call(
            method,
            request,
            principal=exchange.caller,
            request_id=exchange.request_id,
            fingerprint=exchange.fingerprint,
        )

    async def read_as(
        self,
        principal: Principal,
        method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        *,
        timeout_s: float | None = None,
    ) -> Response:
        """The answer of a read by `principal` (a process). Raises RemoteError."""
        return await self.client.call(method, request, principal=principal, timeout_s=timeout_s)

    async def write_as(
        self,
        principal: Principal,
        method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        request_id: UUID,
        *,
        timeout_s: float | None = None,
    ) -> Response:
        """The answer of a write by `principal` under a request id of its own. Raises RemoteError."""
        message: Any = request
        if "request_id" in message.DESCRIPTOR.fields_by_name:
            message.request_id = str(request_id)
        return await self.client.call(method, request, principal=principal, request_id=request_id, timeout_s=timeout_s)
