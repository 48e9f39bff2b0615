"""Calls between parts of one process: the same bytes, methods and refusals as over gRPC, without a socket between."""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextvars import copy_context
from typing import Any, NoReturn, TypeAlias, cast

import grpc
from grpc.aio import Metadata

Pairs: TypeAlias = tuple[tuple[str, str | bytes], ...]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_MOST_TARGETS = 64
_NOTHING = Metadata()


class InProcessServer:
    """The unary methods of one server, for callers on the same loop.

    Invariants: each call runs as a task of its own, in the context that the server began in; what goes in and comes
    out are bytes, so that no two sides hold one message; once it stops, no call begins.
    """

    def __init__(self, message_bytes: int) -> None:
        self._message_bytes = message_bytes
        self._methods: dict[str, Handler] = {}
        self._context = copy_context()
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = False

    def add(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Serve methods of a service; those that stream are served by gRPC alone."""
        for name, handler in handlers.items():
            if not (handler.request_streaming or handler.response_streaming):
                self._methods[f"/{service}/{name}"] = handler

    def begin(self, call: "InProcessCall", method: str, body: bytes, metadata: Pairs) -> asyncio.Task[None] | None:
        """Serve a call, which hears its end; the task, None where there is nothing to be served."""
        handler = self._methods.get(method)
        if self._stopping:
            call.fails(grpc.StatusCode.UNAVAILABLE, "the server is stopping")
        elif handler is None:
            call.fails(grpc.StatusCode.UNIMPLEMENTED, "no such method")
        elif len(body) > self._message_bytes:
            call.fails(grpc.StatusCode.RESOURCE_EXHAUSTED, "the request is larger than a message may be")
        else:
            serving = self._serve(call, handler, body, metadata)
            task = asyncio.get_running_loop().create_task(serving, context=self._context.copy())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            return task
        return None

    async def _serve(self, call: "InProcessCall", handler: Handler, body: bytes, metadata: Pairs) -> None:
        context = _Context(call.deadline, metadata)
        serve = cast(Callable[[Any, Any], Coroutine[Any, Any, Any]], handler.unary_unary)
        try:
            request = cast(Any, handler.request_deserializer)(body)
            answer = cast(Any, handler.response_serializer)(await serve(request, context))
        except asyncio.CancelledError:
            gone = grpc.StatusCode.UNAVAILABLE if self._stopping else grpc.StatusCode.CANCELLED
            call.fails(gone, "given up")
            raise
        except grpc.aio.AbortError:
            call.fails(context.code, context.details, context.trailing)
        except Exception:  # the server's own interceptor lets none through
            call.fails(grpc.StatusCode.UNKNOWN, "")
        else:
            if len(answer) > self._message_bytes:
                call.fails(grpc.StatusCode.RESOURCE_EXHAUSTED, "the answer is larger than a message may be")
            else:
                call.answered(answer, context.trailing)

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, let those in flight finish for the grace, then cancel them."""
        self._stopping = True
        if self._running:
            await asyncio.wait(set(self._running), timeout=grace_s)
        for task in self._running:
            task.cancel()


class _Context:
    """What a handler sees of its call (of `grpc.aio.ServicerContext`, what ours use)."""

    def __init__(self, deadline: float, metadata: Pairs) -> None:
        self.code, self.details = grpc.StatusCode.UNKNOWN, ""
        self.trailing: Pairs = ()
        self._deadline = deadline
        self._metadata = metadata

    def invocation_metadata(self) -> Pairs:
        return self._metadata

    def time_remaining(self) -> float:
        return max(self._deadline - asyncio.get_running_loop().time(), 0.0)

    def set_trailing_metadata(self, trailing: Pairs) -> None:
        self.trailing = trailing

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Pairs = ()) -> NoReturn:
        self.code, self.details, self.trailing = code, details, tuple(trailing_metadata)
        raise grpc.aio.AbortError


class InProcessCall:
    """One call, as `grpc.aio.UnaryUnaryCall` is used: awaited once, its trailing metadata read after that.

    Invariants: it ends at its deadline whatever the server does; who stops waiting for it cancels it.
    """

    def __init__(self, deserialize: Callable[[bytes], Any], timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        self.deadline = loop.time() + timeout_s
        self._deserialize = deserialize
        self._trailing: Pairs = ()
        self._end: asyncio.Future[bytes] = loop.create_future()
        self._serving: asyncio.Task[None] | None = None
        self._timer = loop.call_at(self.deadline, self._late)

    def begin(self, server: InProcessServer, method: str, body: bytes, metadata: Pairs) -> None:
        """Hand it to the server."""
        self._serving = server.begin(self, method, body, metadata)

    def answered(self, body: bytes, trailing: Pairs) -> None:
        """The server's answer."""
        self._timer.cancel()
        if not self._end.done():
            self._trailing = trailing
            self._end.set_result(body)

    def fails(self, code: grpc.StatusCode, details: str, trailing: Pairs = ()) -> None:
        """It was not served."""
        self._timer.cancel()
        if not self._end.done():
            self._trailing = trailing
            self._end.set_exception(grpc.aio.AioRpcError(code, _NOTHING, Metadata(*trailing), details, details))
            self._end.exception()  # nobody may wait for it any more

    def _late(self) -> None:
        self.fails(grpc.StatusCode.DEADLINE_EXCEEDED, "no answer in time")
        self.cancel()

    def cancel(self) -> bool:
        """Give it up, as far as it is not answered yet."""
        self._timer.cancel()
        self._end.cancel()
        return self._serving is not None and self._serving.cancel()

    def __await__(self) -> Generator[Any, Any, Any]:
        try:
            body = yield from self._end
        except asyncio.CancelledError:
            self.cancel()
            raise
        return self._deserialize(body)

    async def trailing_metadata(self) -> Pairs:
        """What the server said beside its answer."""
        return self._trailing


class _Method:
    """A method of a stub."""

    def __init__(
        self,
        server_of: Callable[[], InProcessServer | None],
        method: str,
        serialize: Callable[[Any], bytes],
        deserialize: Callable[[bytes], Any],
    ) -> None:
        self._method = method
        self._server_of, self._serialize, self._deserialize = server_of, serialize, deserialize

    def __call__(self, request: Any, *, timeout: float, metadata: Pairs) -> InProcessCall:
        call = InProcessCall(self._deserialize, timeout)
        server = self._server_of()
        if server is None:
            call.fails(grpc.StatusCode.UNAVAILABLE, "nobody serves it in this process any more")
        else:
            call.begin(server, self._method, self._serialize(request), metadata)
        return call


class InProcessChannel:
    """A channel to a server of this process, for generated stubs; what streams goes over the wire."""

    def __init__(self, target: str, wire: grpc.aio.Channel) -> None:
        """`wire` connects only when it is used."""
        self._target = target
        self._wire = wire

    def unary_unary(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes],
        response_deserializer: Callable[[bytes], Any],
        _registered_method: bool = False,
    ) -> _Method:
        """See `grpc.aio.Channel`."""
        return _Method(lambda: _served.get(self._target), method, request_serializer, response_deserializer)

    def unary_stream(self, *arguments: Any, **named: Any) -> Any:
        """See `grpc.aio.Channel`."""
        return self._wire.unary_stream(*arguments, **named)

    async def close(self) -> None:
        """Close the connection, where there is one."""
        await self._wire.close()


_served: dict[str, InProcessServer] = {}


def serve_at(target: str, server: InProcessServer) -> None:
    """Let callers in this process find the server. Raises RuntimeError for more servers than a process has parts."""
    if len(_served) >= _MOST_TARGETS:
        raise RuntimeError(f"one process serves at most {_MOST_TARGETS} targets to itself")
    _served[target] = server


def serve_no_more(target: str, server: InProcessServer) -> None:
    """Let nobody find it any more."""
    if _served.get(target) is server:
        del _served[target]


def serves(target: str) -> bool:
    """Whether a server of this process is to be found there."""
    return target in _served
