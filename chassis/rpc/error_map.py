"""Errors on the wire, in both directions: the only module that names gRPC status codes and HTTP codes."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from kernel.errors import DomainError, Kind

DOMAIN = "muster"
LONGEST_TEXT = 500
MOST_FACTS = 20
MOST_VIOLATIONS = 100
MOST_STATUS_BYTES = 12 * 1024  # the status travels in trailing metadata, which is bounded on both sides
METADATA_BYTES = 32 * 1024


class Trouble(Enum):
    """What can go wrong with a call that no domain rule speaks of."""

    UNAUTHENTICATED = "UNAUTHENTICATED"  # sign in
    UNAVAILABLE = "UNAVAILABLE"  # back off
    TIMEOUT = "TIMEOUT"  # back off; the effect is unknown, so repeat with the same key
    OVERLOADED = "OVERLOADED"  # back off
    CANCELLED = "CANCELLED"  # the caller went away
    UNSUPPORTED = "UNSUPPORTED"  # the other side does not know this operation
    INTERNAL = "INTERNAL"  # report the incident id


@dataclass(frozen=True, slots=True)
class _Wire:
    code: grpc.StatusCode
    http: int
    text: str = ""
    retry_after_s: int | None = None


_WIRE: Mapping[Kind | Trouble, _Wire] = {
    Kind.INVALID: _Wire(grpc.StatusCode.INVALID_ARGUMENT, 422),
    Kind.NOT_FOUND: _Wire(grpc.StatusCode.NOT_FOUND, 404),
    Kind.CONFLICT: _Wire(grpc.StatusCode.ALREADY_EXISTS, 409),
    Kind.RULE: _Wire(grpc.StatusCode.FAILED_PRECONDITION, 409),
    Kind.STALE: _Wire(grpc.StatusCode.ABORTED, 409),
    Kind.FORBIDDEN: _Wire(grpc.StatusCode.PERMISSION_DENIED, 403),
    Trouble.UNAUTHENTICATED: _Wire(grpc.StatusCode.UNAUTHENTICATED, 401, "sign in again"),
    Trouble.UNAVAILABLE: _Wire(
        grpc.StatusCode.UNAVAILABLE, 503, "a part of the service cannot be reached: try again shortly", 1
    ),
    Trouble.TIMEOUT: _Wire(
        grpc.StatusCode.DEADLINE_EXCEEDED, 504, "no answer in time: try again with the same Idempotency-Key", 1
    ),
    Trouble.OVERLOADED: _Wire(grpc.StatusCode.RESOURCE_EXHAUSTED, 429, "too much at once: try again shortly", 1),
    Trouble.CANCELLED: _Wire(grpc.StatusCode.CANCELLED, 503, "the call was given up: try again", 1),
    Trouble.UNSUPPORTED: _Wire(grpc.StatusCode.UNIMPLEMENTED, 501, "this version does not know the operation"),
    Trouble.INTERNAL: _Wire(grpc.StatusCode.INTERNAL, 500, "something went wrong; report the incident id"),
}
_BY_CODE: Mapping[grpc.StatusCode, Kind | Trouble] = {wire.code: kind for kind, wire in _WIRE.items()} | {
    grpc.StatusCode.OUT_OF_RANGE: Kind.INVALID,
    grpc.StatusCode.UNKNOWN: Trouble.INTERNAL,
    grpc.StatusCode.DATA_LOSS: Trouble.INTERNAL,
}
OK = grpc.StatusCode.OK.name

STALE_WITH_IF_MATCH = 412

# Numbers of MySQL and MariaDB that say "not now" (connection, shutdown, locks, disk) rather than "never".
_NOT_NOW = frozenset(
    {1020, 1021, 1040, 1041, 1053, 1077, 1079, 1080, 1114, 1129, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1205, 1213,
     1226, 1290, 1836, 1927, 2002, 2003, 2006, 2013, 2014, 2055}
)  # fmt: skip
_TOO_SLOW = frozenset({1028, 1317, 1969, 3024})
_SQLITE_NOT_NOW = ("database is locked", "disk is full", "disk I/O error", "unable to open", "interrupted")


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that breaks a rule of the request's shape.

    Invariants: `message` never repeats the value.
    """

    field: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as the outside sees it, the same whether it arose here or behind a call.

    Invariants: holds no stack, SQL, path or version; `incident` is set for INTERNAL only.
    """

    kind: Kind | Trouble
    status: int  # HTTP
    reason: str
    message: str
    facts: Mapping[str, str]
    fields: tuple[Violation, ...] = ()
    retry_after_s: int | None = None
    incident: str = ""


class RemoteError(Exception):
    """What the other side of a call refused or failed at, with the reason that it gave."""

    def __init__(
        self,
        kind: Kind | Trouble,
        reason: str,
        message: str,
        *,
        facts: Mapping[str, str] | None = None,
        fields: tuple[Violation, ...] = (),
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(f"{reason}: {message}")
        self.kind = kind
        self.reason = reason
        self.message = message
        self.facts: Mapping[str, str] = facts or {}
        self.fields = fields
        self.retry_after_s = retry_after_s

    @classmethod
    def of(cls, kind: Trouble) -> "RemoteError":
        """A failure of the call itself."""
        wire = _WIRE[kind]
        return cls(kind, kind.value, wire.text, retry_after_s=wire.retry_after_s)


class Unauthenticated(Exception):
    """The call carries no assertion that we accept. The text is for the log only."""


class InvalidRequest(Exception):
    """The request breaks rules of its shape; all of them are listed."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        super().__init__(f"{len(violations)} violations")
        self.violations = violations


def kind_of(error: BaseException) -> Kind | Trouble:
    """What an exception means to a caller; whatever is not recognised is INTERNAL."""
    if isinstance(error, DomainError):
        return error.kind
    if isinstance(error, RemoteError):
        return error.kind
    if isinstance(error, InvalidRequest):
        return Kind.INVALID
    if isinstance(error, Unauthenticated):
        return Trouble.UNAUTHENTICATED
    if isinstance(error, TimeoutError):
        return Trouble.TIMEOUT
    if isinstance(error, asyncio.CancelledError):
        return Trouble.CANCELLED
    if isinstance(error, ConnectionError):
        return Trouble.UNAVAILABLE
    if type(error).__module__.startswith(("sqlalchemy.", "chassis.connections")):
        return _kind_of_database(error)
    return Trouble.INTERNAL


def _kind_of_database(error: BaseException) -> Trouble:
    from sqlalchemy import exc  # only where it is loaded already: the application runs without it

    from chassis.connections import Unavailable

    if isinstance(error, Unavailable):
        return Trouble.UNAVAILABLE
    if isinstance(error, exc.TimeoutError):
        return Trouble.UNAVAILABLE  # no connection became free
    if not isinstance(error, exc.DBAPIError):
        return Trouble.INTERNAL
    arguments = getattr(error.orig, "args", ())
    number = arguments[0] if arguments else None
    if number in _TOO_SLOW:
        return Trouble.TIMEOUT
    if error.connection_invalidated or isinstance(error, exc.InterfaceError) or number in _NOT_NOW:
        return Trouble.UNAVAILABLE
    if isinstance(error, exc.OperationalError) and any(text in str(error.orig) for text in _SQLITE_NOT_NOW):
        return Trouble.UNAVAILABLE
    return Trouble.INTERNAL


def problem_of(error: BaseException, *, incident: str = "", if_match: bool = False) -> Problem:
    """Any exception as a Problem. `if_match`: the request named the version it saw, so a stale one is 412."""
    kind = kind_of(error)
    wire = _WIRE[kind]
    status = STALE_WITH_IF_MATCH if kind is Kind.STALE and if_match else wire.http
    if isinstance(error, DomainError):
        at_fault = (Violation(error.field, error.reason, error.message),) if error.field else ()
        return Problem(kind, status, error.reason, error.message, _facts(error.facts), at_fault)
    if isinstance(error, RemoteError):
        incident = error.facts.get("incident", incident) if kind is Trouble.INTERNAL else ""
        facts = {} if kind is Trouble.INTERNAL else error.facts
        return Problem(kind, status, error.reason, error.message, facts, error.fields, error.retry_after_s, incident)
    if isinstance(error, InvalidRequest):
        text = "the request has values that are not accepted; see the list of fields"
        return Problem(kind, status, "INVALID_REQUEST", text, {}, error.violations)
    assert isinstance(kind, Trouble)
    incident = incident if kind is Trouble.INTERNAL else ""
    return Problem(kind, status, kind.value, wire.text, {}, (), wire.retry_after_s, incident)


def _facts(facts: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value)[:LONGEST_TEXT] for name, value in list(facts.items())[:MOST_FACTS] if value is not None}


def status_of(error: BaseException, *, incident: str = "") -> status_pb2.Status:
    """Any exception as the google.rpc.Status that a data service answers."""
    problem = problem_of(error, incident=incident)
    facts = dict(problem.facts)
    if problem.incident:
        facts["incident"] = problem.incident
    status = status_pb2.Status(code=code_of(problem.kind).value[0], message=problem.message[:LONGEST_TEXT])
    _attach(status, error_details_pb2.ErrorInfo(reason=problem.reason, domain=DOMAIN, metadata=facts))
    if problem.retry_after_s is not None:
        delay = Duration(seconds=problem.retry_after_s)
        _attach(status, error_details_pb2.RetryInfo(retry_delay=delay))
    if problem.fields:
        _attach(status, _bad_request(problem.fields, MOST_STATUS_BYTES - status.ByteSize()))
    return status


def _bad_request(violations: Iterable[Violation], room: int) -> error_details_pb2.BadRequest:
    bad = error_details_pb2.BadRequest()
    for violation in list(violations)[:MOST_VIOLATIONS]:
        bad.field_violations.add(
            field=violation.field[:LONGEST_TEXT],
            reason=violation.reason[:100],
            description=violation.message[:LONGEST_TEXT],
        )
        if bad.ByteSize() > room:
            del bad.field_violations[-1]
            break
    return bad


def _attach(
    status: status_pb2.Status,
    detail: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo,
) -> None:
    packed = any_pb2.Any()
    packed.Pack(detail)
    status.details.append(packed)


def code_of(kind: Kind | Trouble) -> grpc.StatusCode:
    """The gRPC code of a kind."""
    return _WIRE[kind].code


def http_of(kind: Kind | Trouble) -> int:
    """The HTTP status of a kind (without If-Match)."""
    return _WIRE[kind].http


def remote_error(error: grpc.aio.AioRpcError) -> RemoteError:
    """What a failed call means, read from its rich status where there is one."""
    kind = _BY_CODE.get(error.code(), Trouble.INTERNAL)
    status = _rich_status(error)
    if status is None:
        # From gRPC itself (no connection, deadline, size): its text may name addresses, so ours is used.
        if isinstance(kind, Kind):
            return RemoteError(kind, kind.value, "refused by the service behind")
        return RemoteError.of(kind)
    reason, facts, fields, retry_after_s = kind.value, {}, [], None
    for detail in status.details:
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            reason, facts = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            fields = [Violation(one.field, one.reason, one.description) for one in bad.field_violations]
        elif detail.Unpack(retry):
            retry_after_s = retry.retry_delay.seconds
    return RemoteError(kind, reason, status.message, facts=facts, fields=tuple(fields), retry_after_s=retry_after_s)


def _rich_status(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            return status_pb2.Status.FromString(value)
    return None
