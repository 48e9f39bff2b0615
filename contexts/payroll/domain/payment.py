"""Payments of a final run: one per payslip with something to pay out, pending until somebody says what became of it."""

from dataclasses import dataclass
from enum import Enum
from typing import NewType
from uuid import UUID

from contexts.payroll.domain.payroll_run import RunId, RunState, RunStatus
from contexts.payroll.domain.payslip import PayslipId
from kernel.ids import EmployeeId, derived_id
from kernel.money import Money

PaymentId = NewType("PaymentId", UUID)
MAX_AT_ONCE = 500


class PaymentStatus(Enum):
    """Where a payment stands."""

    PENDING = "PENDING"
    SETTLED = "SETTLED"
    RETURNED = "RETURNED"
    # What a pending one of a reversed run is told to be; never recorded.
    CANCELLED = "CANCELLED"

    @classmethod
    def unrecorded(cls, run: RunState) -> "PaymentStatus":
        """Where a payment of a run stands that nothing is recorded of."""
        return cls.CANCELLED if run.status is RunStatus.REVERSED else cls.PENDING


@dataclass(frozen=True, slots=True)
class Payment:
    """The net pay of one payslip on its way.

    Invariants: the amount is the payslip's net, more than 0; it is pending until it is settled or returned, and may be
    settled after it was returned, and returned after it was settled.
    """

    payslip_id: PayslipId
    run_id: RunId
    employee_id: EmployeeId
    amount: Money
    status: PaymentStatus
    reason: str  # of a return

    @property
    def id(self) -> PaymentId:
        """The same for ever, also before anything was recorded of the payment."""
        return PaymentId(derived_id("payment", self.payslip_id, "0", "0"))
