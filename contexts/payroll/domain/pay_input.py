"""Pay inputs: amounts entered by people, each for one employee, component and period, taken by exactly one run."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import NewType
from uuid import UUID

from contexts.payroll.domain.errors import PayInputInvalid, PayInputUsed
from contexts.payroll.domain.events import PayInputChanged
from contexts.payroll.domain.payroll_run import DEAD, RunId, RunKind, RunStatus
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
    recurring: bool  # every regular run from `period` to `last_period` pays it
    last_period: str  # "" = until it is ended

    def covers(self, period: str) -> bool:
        """Whether a run of this period pays it, as far as periods go; names of one pay group rise with time."""
        if not self.recurring:
            return period == self.period
        return self.period <= period and (not self.last_period or period <= self.last_period)

    @property
    def status(self) -> PayInputStatus:
        """OPEN again where the run that took it is void or reversed."""
        if self.cancelled:
            return PayInputStatus.CANCELLED
        if self.run_status is None or self.run_status in DEAD:
            return PayInputStatus.OPEN
        if self.run_status is RunStatus.FINALIZED:
            return PayInputStatus.USED
        return PayInputStatus.TAKEN


class PayInput(AggregateRoot[PayInputState]):
    """One amount for one employee, component and period, or for every period from one to another.

    Invariants: its amount never changes; it is cancelled or ended only; one that is paid once is not cancelled once an
    approved or final run pays it; what ended or was cancelled never changes a final payslip.
    """

    @classmethod
    def create(cls, state: PayInputState) -> "PayInput":
        """A new one."""
        created = cls(state)
        created._events.append(PayInputChanged(state.id, state.employee_id, state.component, state.period))
        return created

    def end(self, last_period: str) -> None:
        """Pay it for the last time in this period. Raises PayInputInvalid."""
        state = self.state
        if not state.recurring or state.cancelled:
            raise PayInputInvalid("only a recurring input that is not cancelled can be ended", field="last_period")
        if last_period < state.period:
            raise PayInputInvalid(
                f"it begins with {state.period}; cancel it if nothing was to be paid", field="last_period"
            )
        self._apply(
            PayInputChanged(state.id, state.employee_id, state.component, state.period), last_period=last_period
        )

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
