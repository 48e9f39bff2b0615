"""The one HTTP request that this task serves, and what the edge has found out about it so far."""

import random
import re
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from chassis.principal import Principal

if TYPE_CHECKING:
    from application.edge.operation import Operation


MAX_HEADER_BYTES = 32 * 1024
TRACE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
ALWAYS = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))  # sent with every answer
PRIVATE = (b"cache-control", b"no-store")  # sent with every answer to somebody who is known


def new_trace_id() -> str:
    """The id of a request that brought none: 32 hex digits."""
    return f"{random.getrandbits(128):032x}"


@dataclass(slots=True)
class Exchange:
    """A request with its answer's headers.

    Invariants: `principal` is None only until the token is verified and for public operations; `request_id` and
    `fingerprint` are set for every operation that changes something; `deadline` is a reading of the event loop's
    clock in seconds.
    """

    trace_id: str  # what the client sees as X-Request-Id
    deadline: float
    received: dict[str, str] = field(default_factory=dict)  # the headers that the edge reads, by lower-case name
    traceparent: str | None = None
    operation: "Operation | None" = None
    principal: Principal | None = None
    request_id: UUID | None = None
    fingerprint: bytes | None = None
    if_match: str = ""  # the version the client saw, as decimal text; "" = it did not say
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)  # sent with the answer

    @property
    def caller(self) -> Principal:
        """The verified principal. Raises RuntimeError in a public operation, which has none."""
        if self.principal is None:
            raise RuntimeError("a public operation has no principal")
        return self.principal

    @property
    def name(self) -> str:
        """The operation's name, empty while it is not known."""
        return self.operation.name if self.operation is not None else ""

    def has_version(self, version: str | int) -> None:
        """Send `version` as the answer's ETag."""
        if version != "":
            self.headers.append((b"etag", f'"{version}"'.encode("ascii")))

    def located_at(self, path: str) -> None:
        """Send `path` as the answer's Location."""
        self.headers.append((b"location", path.encode("ascii")))


_current: ContextVar[Exchange | None] = ContextVar("muster_exchange", default=None)


def current_exchange() -> Exchange:
    """The exchange of this task. Raises RuntimeError outside one."""
    exchange = _current.get()
    if exchange is None:
        raise RuntimeError("no HTTP request is being served here")
    return exchange


def enter(exchange: Exchange) -> object:
    """Make `exchange` the current one; give the result to `leave`."""
    return _current.set(exchange)


def leave(token: object) -> None:
    """Forget the exchange that `enter` made current."""
    _current.reset(token)  # type: ignore[arg-type]
