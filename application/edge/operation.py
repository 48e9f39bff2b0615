"""What the edge must know of one REST operation beside its route: name, access, importance, limits."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.responses import Response

LONGEST_TABLE_S = 600.0  # that one table may take to send


class Criticality(Enum):
    """What is served first when there is too much to do."""

    CRITICAL = "CRITICAL"  # people wait at a door or for their pay: punches, approvals, sign-in
    NORMAL = "NORMAL"
    DEFERRABLE = "DEFERRABLE"  # lists, histories, bulk: refused first


class RateClass(Enum):
    """By what the requests of an operation are counted; how many pass is a setting."""

    TENANT = "TENANT"  # all of one company's requests together, per gateway
    ADDRESS = "ADDRESS"  # public reads: those of one client address, per gateway
    SIGN_IN = "SIGN_IN"  # per client address, exact over all gateways: guessing is dear
    EXPORT = "EXPORT"  # whole tables; per tenant, exact over all gateways
    BULK = "BULK"  # hundreds of changes at once; per tenant, exact over all gateways

    @property
    def exact(self) -> bool:
        """Whether the count holds over all gateways, not for each."""
        return self not in (RateClass.TENANT, RateClass.ADDRESS)


class IfMatch(Enum):
    """Whether a change must say which version it saw."""

    NONE = "NONE"  # nothing versioned is changed
    OPTIONAL = "OPTIONAL"
    REQUIRED = "REQUIRED"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the published contract.

    Invariants: `action` is a row of the access table, None only for operations that need no token; `body_bytes` is
    the most that is read.
    """

    name: str
    action: str | None
    criticality: Criticality = Criticality.NORMAL
    if_match: IfMatch = IfMatch.NONE
    body_bytes: int = 0  # 0 = the process's limit
    accepts_key: bool = False
    rate: RateClass = RateClass.TENANT
    statuses: tuple[int, ...] = ()  # that its answers have beside those of its kind
    waits: bool = False  # it may wait for something to happen, which is no sign of too much to do


_OPERATIONS: dict[Callable[..., Any], Operation] = {}


def declare(endpoint: Callable[..., Any], operation: Operation) -> None:
    """Remember what the edge must know of `endpoint`. Raises ValueError where it is declared twice."""
    if endpoint in _OPERATIONS:
        raise ValueError(f"{operation.name} is declared twice")
    _OPERATIONS[endpoint] = operation


def operation_of(endpoint: Callable[..., Any]) -> Operation:
    """What was declared of `endpoint`. Raises KeyError where nothing was: such a route must not be served."""
    return _OPERATIONS[endpoint]


def response_of(endpoint: Callable[..., Any]) -> "type[Response] | None":
    """The kind of response that `endpoint` makes itself; None where it answers with a value."""
    from starlette.responses import Response

    answers = inspect.signature(endpoint).return_annotation
    return answers if isinstance(answers, type) and issubclass(answers, Response) else None
