"""Calls from the application to data services: one channel each, assertions, deadlines, retries, our errors."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeVar, cast
from uuid import UUID

import grpc
from google.protobuf.message import Message

from chassis.assertion import METADATA_KEY, Assertions, Signer
from chassis.mesh.clients import prepare_xds
from chassis.principal import Principal
from chassis.rpc.error_map import METADATA_BYTES, OK, RemoteError, Trouble, code_of, remote_error
from chassis.rpc.in_process import InProcessChannel, serves
from chassis.rpc.sending import Metadata, Sender
from chassis.settings import Settings
from chassis.telemetry import CLIENT_SECONDS, span, traceparent, tracing_on

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Stub = TypeVar("Stub")

REQUEST_ID_KEY = "x-request-id"
TRACE_KEY = "traceparent"
REPLAYED_KEY = "muster-replayed"
REDIALLED_MS = 250  # at the latest, give or take a fifth, whatever has failed before

# Each replica tells how slow it is (chassis.rpc.load_report), and is sent so much less. No retries: chassis.rpc.sending
# makes them. A deadline stands on each call, never here: grpcio cuts `methodConfig.timeout` about a second short
# (grpc/grpc#34547).
SERVICE_CONFIG = json.dumps(
    {
        "loadBalancingConfig": [
            {
                "weighted_round_robin": {
                    "blackoutPeriod": "0s",
                    "weightUpdatePeriod": "1s",
                    "weightExpirationPeriod": "180s",
                }
            },
            {"round_robin": {}},
        ]
    }
)


@dataclass(slots=True)
class Budget:
    """What one request from outside may spend, and what its calls found out.

    Invariants: `deadline` is a reading of the event loop's clock.
    """

    deadline: float
    trace_id: str = ""
    replayed: bool = False  # a write was answered from the stored answer of an earlier request


_budget: ContextVar[Budget | None] = ContextVar("muster_budget", default=None)


@contextmanager
def spending(seconds: float, trace_id: str = "", *, afresh: bool = False) -> Iterator[Budget]:
    """Give the calls inside the block `seconds` in all (an inner block never gets more than the outer one has left).

    A request from outside begins `afresh`: a connection whose reading was paused goes on in the context of the request
    that it was paused for, whose budget is none of the next one's.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    outer = None if afresh else _budget.get()
    if outer is not None:
        deadline = min(deadline, outer.deadline)
    token = _budget.set(budget := Budget(deadline, trace_id or (outer.trace_id if outer else "")))
    try:
        yield budget
    finally:
        _budget.reset(token)


class Client:
    """The calls to one data service, over one long-lived channel.

    Every call may be repeated: it changes nothing, carries its request id, or does no harm when it is done twice.

    Invariants: each call has a deadline, within the budget of the request that it serves; a failure is a RemoteError.
    """

    def __init__(
        self,
        service: str,
        channel: grpc.aio.Channel | InProcessChannel,
        assertions: Assertions,
        settings: Settings,
        hedged: Collection[str] = (),
    ) -> None:
        """`hedged`: the reads that may be sent twice, as "package.Service/Method"."""
        self.service = service
        self._channel = channel
        self._assertions = assertions
        self._default_timeout_s = settings.request_deadline_s
        self._sender = Sender(service, settings)
        self._hedged = frozenset(hedged)
        self._labels: dict[Any, str] = {}

    def stub(self, make: Callable[[grpc.aio.Channel], Stub]) -> Stub:
        """A generated stub on this channel: `client.stub(EmployeeServiceStub)`. Make it once and keep it."""
        return make(self._channel)  # type: ignore[arg-type]  # stubs ask no more of it than an InProcessChannel has

    async def call(
        self,
        method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        *,
        principal: Principal,
        request_id: UUID | None = None,
        fingerprint: bytes | None = None,
        timeout_s: float | None = None,
    ) -> Response:
        """One call. A write gives its `request_id`; its fingerprint is that of the message if none is given.

        `timeout_s` only shortens what the request's budget has left. Raises RemoteError.
        """
        loop = asyncio.get_running_loop()
        started, code, label, token = loop.time(), OK, self._label(method), ""
        try:
            timeout = self._timeout(timeout_s, started)
            token = self._assert(label, request, principal, request_id, fingerprint)
            metadata = self._metadata(token)
            if tracing_on():
                with span(label):
                    metadata = (*metadata, (TRACE_KEY, traceparent()))
                    running, answer = await self._send(method, request, metadata, label, started + timeout)
            else:
                running, answer = await self._send(method, request, metadata, label, started + timeout)
            if request_id is not None:
                await self._note_replay(running)
            return cast(Response, answer)
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            raise remote_error(error) from error
        except RemoteError as error:
            code = code_of(error.kind).name
            raise
        except asyncio.CancelledError:
            code = code_of(Trouble.CANCELLED).name
            raise
        finally:
            self._assertions.ended(token)
            CLIENT_SECONDS.labels(label, code).observe(loop.time() - started)

    async def stream(
        self,
        method: "grpc.aio.UnaryStreamMultiCallable[Request, Response]",
        request: Request,
        *,
        principal: Principal,
        timeout_s: float | None = None,
    ) -> AsyncIterator[Response]:
        """The answers of a streaming read; the deadline is that of the whole stream. Raises RemoteError."""
        loop = asyncio.get_running_loop()
        started, code, label, token = loop.time(), OK, self._label(method), ""
        try:
            timeout = self._timeout(timeout_s, started)
            token = self._assert(label, request, principal, None, None)
            metadata = self._metadata(token)
            deadline = started + timeout
            answers = self._sender.stream(method, request, metadata, label=label, deadline=deadline)
            async with aclosing(answers):
                async for answer in answers:
                    yield answer
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            raise remote_error(error) from error
        except RemoteError as error:
            code = code_of(error.kind).name
            raise
        finally:
            self._assertions.ended(token)
            CLIENT_SECONDS.labels(label, code).observe(loop.time() - started)

    async def _send(
        self, method: Any, request: Message, metadata: Metadata, label: str, deadline: float
    ) -> tuple[Any, Any]:
        hedged = label in self._hedged
        return await self._sender.send(method, request, metadata, label=label, deadline=deadline, hedged=hedged)

    def _timeout(self, asked: float | None, now: float) -> float:
        budget = _budget.get()
        timeout = self._default_timeout_s if asked is None else asked
        if budget is not None:
            timeout = min(timeout, budget.deadline - now)
        if timeout <= 0:
            raise RemoteError.of(Trouble.TIMEOUT)
        return timeout

    def _assert(
        self, label: str, request: Message, principal: Principal, request_id: UUID | None, fingerprint: bytes | None
    ) -> str:
        if request_id is None:
            return self._assertions.for_read(principal, self.service)
        if fingerprint is None:
            fingerprint = sha256(label.encode() + request.SerializeToString(deterministic=True)).digest()
        return self._assertions.for_write(principal, self.service, request_id, fingerprint)

    @staticmethod
    def _metadata(token: str) -> Metadata:
        budget = _budget.get()
        metadata: Metadata = ((METADATA_KEY, token),)
        if budget is not None and budget.trace_id:
            metadata += ((REQUEST_ID_KEY, budget.trace_id),)
        parent = traceparent()
        if parent and not tracing_on():
            metadata += ((TRACE_KEY, parent),)
        return metadata

    @staticmethod
    async def _note_replay(running: "grpc.aio.UnaryUnaryCall[Any, Any]") -> None:
        budget = _budget.get()
        if budget is None:
            return
        for key, _ in await running.trailing_metadata() or ():
            if key == REPLAYED_KEY:
                budget.replayed = True

    def _label(self, method: Any) -> str:
        label = self._labels.get(method)
        if label is None:
            # grpcio keeps the method's name in a private place only; a label "" is the worst that a change can do.
            name = getattr(method, "_method", b"")
            label = self._labels[method] = (name.decode() if isinstance(name, bytes) else str(name)).lstrip("/")
        return label


class Channels:
    """The clients of one process, one channel per data service (many channels to one service do not balance)."""

    def __init__(
        self,
        settings: Settings,
        signer: Signer,
        addresses: Mapping[str, str] | None = None,
        *,
        hedged: Collection[str] = (),
    ) -> None:
        """`addresses` by service name go before those of the settings (the embedded form learns them at its start).

        `hedged`: the reads that may be sent twice, as "package.Service/Method".
        """
        self._hedged = hedged
        self._settings = settings
        self._signer = signer
        self._addresses = dict(addresses or {})
        self._clients: dict[str, Client] = {}
        self._channels: list[grpc.aio.Channel | InProcessChannel] = []

    def to(self, service: str) -> Client:
        """The client of a data service. Raises SettingsProblem where its address is not known."""
        client = self._clients.get(service)
        if client is None:
            address = self._addresses.get(service) or self._settings.address(service)
            if address.startswith("xds:"):
                prepare_xds(self._settings)
            channel: grpc.aio.Channel | InProcessChannel
            channel = grpc.aio.insecure_channel(address, options=self._options())
            assertions: Assertions = self._signer
            if self._settings.in_process and serves(address):
                channel, assertions = InProcessChannel(address, channel), self._signer.within_process()
            self._channels.append(channel)
            client = Client(service, channel, assertions, self._settings, self._hedged)
            self._clients[service] = client
        return client

    async def close(self) -> None:
        """Close all channels; calls in flight are cancelled."""
        for channel in self._channels:
            await channel.close()
        self._channels.clear()
        self._clients.clear()

    def _options(self) -> list[tuple[str, Any]]:
        return [
            ("grpc.service_config", SERVICE_CONFIG),
            ("grpc.enable_retries", 0),  # nor those that an xDS route would ask for
            ("grpc.max_receive_message_length", self._settings.message_bytes),
            ("grpc.max_send_message_length", self._settings.message_bytes),
            ("grpc.max_metadata_size", METADATA_BYTES),
            ("grpc.keepalive_time_ms", 2_000),  # with the time limit below, well within a request's deadline
            ("grpc.keepalive_timeout_ms", 2_000),
            ("grpc.http2.ping_timeout_ms", 2_000),  # without it a hung peer is noticed by nobody
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 1_000),  # what grpc-core calls so is how long one attempt may take
            ("grpc.max_reconnect_backoff_ms", REDIALLED_MS),
        ]
