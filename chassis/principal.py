"""Who is calling, and the one verified call that is being served."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from kernel.ids import EmployeeId, TenantId


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller inside one tenant, as a verified assertion names it.

    Invariants: `subject` is an account id, or `process:<name>` for a process; `on_behalf_of` is for the audit
    and never widens what the principal may do.
    """

    tenant_id: TenantId
    subject: str
    roles: frozenset[str]
    employee_id: EmployeeId | None = None
    on_behalf_of: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One verified inner request.

    Invariants: `request_id` is the asserted one, None only for reads; `fingerprint` is 32 bytes of SHA-256 over
    the canonical body and path; `deadline` is a reading of the event loop's clock (`loop.time()`, seconds).
    """

    principal: Principal
    operation: str  # "muster.attendance.v1.TimesheetService/ApproveTimesheet"
    request_id: UUID | None
    fingerprint: bytes | None
    deadline: float
    trace_id: str = ""  # for logs: the id that the client sees as X-Request-Id

    @property
    def tenant_id(self) -> TenantId:
        """The principal's tenant."""
        return self.principal.tenant_id


_current: ContextVar[Call | None] = ContextVar("muster_call", default=None)


def current_call() -> Call:
    """The call that this task serves. Raises RuntimeError outside one: work without a tenant is a bug."""
    call = _current.get()
    if call is None:
        raise RuntimeError("there is no verified call here: only a served request has a principal and a tenant")
    return call


def call_or_none() -> Call | None:
    """The call that this task serves, None outside one (for log lines and metrics)."""
    return _current.get()


def begin(call: Call) -> None:
    """Make `call` the current one for the rest of this task: the server gives each request a task of its own."""
    _current.set(call)


@contextmanager
def serving(call: Call) -> Iterator[Call]:
    """Make `call` the current one inside the block (processes, loops and tests)."""
    token = _current.set(call)
    try:
        yield call
    finally:
        _current.reset(token)
