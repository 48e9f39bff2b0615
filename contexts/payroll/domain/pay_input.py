"""Pay inputs: amounts entered by people, each for one employee, component and period, taken by exactly one run."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import NewType
from uuid import UUID

from contexts.payroll.domain.errors import PayInputUsed
from contexts.payroll.domain.events import PayInputChanged
from contexts.payroll.domain.payroll_run import RunId, RunKind, RunStatus
from kernel.aggregate import AggregateRoot
from kernel.ids import EmployeeId, Version
from kernel.money import Money

PayInputId = NewType("PayInputId", UUID)


class PayInputStatus(Enum):
    """Where a pay input stands; it follows from the run that took it."""

    OPEN = "OPEN"
    TAKEN = "TAKEN"
    USED = "USED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True)
class PayInputState:
    """One amount. `run_status` is None while no run has taken it."""

    id: PayInputId
    employee_id: EmployeeId
    pay_group: str
    period: str
    run_kind: RunKind
    component: str
    amount: Money
    quantity: Decimal | None
    reason: str
    cancelled: bool
    run_id: RunId | None
    run_status: RunStatus | None
    version: Version

    @property
    def status(self) -> PayInputStatus:
        """OPEN again where the run that took it is void."""
        if self.cancelled:
            return PayInputStatus.CANCELLED
        if self.run_status is None or self.run_status is RunStatus.VOID:
            return PayInputStatus.OPEN
        if self.run_status is RunStatus.FINALIZED:
            return PayInputStatus.USED
        return PayInputStatus.TAKEN


class PayInput(AggregateRoot[PayInputState]):
    """One amount for one employee, component and period.

    Invariants: never changed, only cancelled, and not once an approved or final run pays it.
    """

    @classmethod
    def create(cls, state: PayInputState) -> "PayInput":
        """A new one."""
        created = cls(state)
        created._events.append(PayInputChanged(state.id, state.employee_id, state.component, state.period))
        return created

    def cancel(self) -> None:
        """Take it back. Raises PayInputUsed."""
        state = self.state
        if state.run_status in (RunStatus.APPROVED, RunStatus.FINALIZED):
            raise PayInputUsed(
                "an approved run pays it; void that run first, or enter the opposite amount",
                pay_input_id=state.id,
                run_id=state.run_id,
            )
        if not state.cancelled:
            self._apply(PayInputChanged(state.id, state.employee_id, state.component, state.period), cancelled=True)
