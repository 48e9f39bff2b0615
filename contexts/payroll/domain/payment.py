"""Payments of a final run: the net pay of each payslip, split over bank accounts that payroll knows by their places."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import NewType
from uuid import UUID

from contexts.payroll.domain.errors import PaySplitInvalid
from contexts.payroll.domain.payroll_run import RunId, RunState, RunStatus
from contexts.payroll.domain.payslip import PayslipId
from kernel.ids import EmployeeId, derived_id
from kernel.money import Money

PaymentId = NewType("PaymentId", UUID)
WHOLE = Decimal(100)


class PaymentStatus(Enum):
    """Where a payment stands."""

    PENDING = "PENDING"
    SETTLED = "SETTLED"
    RETURNED = "RETURNED"
    # What a pending one of a reversed run is told to be; never stored.
    CANCELLED = "CANCELLED"

    @classmethod
    def told(cls, run: RunState, stored: "PaymentStatus | None") -> "PaymentStatus":
        """Where a payment of a run stands, from what is stored of it, if anything."""
        if stored not in (None, cls.PENDING):
            return stored
        return cls.CANCELLED if run.status is RunStatus.REVERSED else cls.PENDING

    @property
    def stored(self) -> "PaymentStatus":
        """What is kept of it."""
        return PaymentStatus.PENDING if self is PaymentStatus.CANCELLED else self


@dataclass(frozen=True, slots=True)
class Payment:
    """The net pay of one payslip on its way, or the part of it that one bank account gets.

    Invariants: the payments of a payslip are each more than 0 and sum to its net; one is pending until it is settled or
    returned, and may be settled after it was returned, and returned after it was settled.
    """

    payslip_id: PayslipId
    run_id: RunId
    employee_id: EmployeeId
    amount: Money
    status: PaymentStatus
    reason: str  # of a return
    split: int = 0  # which of the payslip's payments
    issue: int = 0  # rises with each arrangement
    account: int = 0  # place among the employee's bank accounts, from 1; 0 where there is none, or nobody has asked
    accounts_known_at: datetime | None = None  # None before it is arranged

    @property
    def id(self) -> PaymentId:
        """The same for ever, also before anything was recorded of the payment."""
        return PaymentId(derived_id("payment", self.payslip_id, str(self.split), str(self.issue)))


@dataclass(frozen=True, slots=True)
class SplitPart:
    """What one account gets of each net pay: a fixed amount, a percentage, or, with neither, the rest."""

    account: int
    amount: Money | None
    share_percent: Decimal | None


def shares_of(net: Money, parts: Sequence[SplitPart]) -> list[tuple[int, Money]]:
    """What each account gets, by account: fixed amounts first, in order, as far as the net pay goes; percentages are of
    what they leave, and one account may take the rest. Nothing is lost: the shares sum to the net pay.

    Raises PaySplitInvalid.
    """
    left = net
    shares: dict[int, Money] = {}
    for part in parts:
        if part.amount is not None:
            if part.amount.currency != net.currency:
                raise PaySplitInvalid(f"the net pay is in {net.currency}", field="splits.parts.amount")
            shares[part.account] = part.amount if part.amount.minor < left.minor else left
            left = left - shares[part.account]
    open_parts = [part for part in parts if part.amount is None]
    percent = sum((part.share_percent for part in open_parts if part.share_percent is not None), Decimal(0))
    weights = [part.share_percent if part.share_percent is not None else WHOLE - percent for part in open_parts]
    if left.minor:
        if sum(weights, Decimal(0)) != WHOLE or min(weights) < 0:
            raise PaySplitInvalid(
                "the parts do not take the net pay whole: percentages sum to 100, or one part takes the rest",
                field="splits.parts",
            )
        for part, share in zip(open_parts, left.split(weights), strict=True):
            shares[part.account] = share
    return [(account, share) for account, share in sorted(shares.items()) if share.minor]


def arranged(before: Sequence[Payment], parts: Sequence[SplitPart], known_at: datetime) -> list[Payment]:
    """The payments in place of pending ones of one payslip: the same ones, to the accounts as known now, where each
    account gets what it got.

    Raises PaySplitInvalid.
    """
    first = before[0]
    currency = first.amount.currency
    net = Money(sum(payment.amount.minor for payment in before), currency)
    shares = shares_of(net, parts) if parts else [(0, net)]
    asked = all(payment.accounts_known_at is not None for payment in before)
    if asked and shares == [(payment.account, payment.amount) for payment in before]:
        return [replace(payment, accounts_known_at=known_at) for payment in before]
    issue = 1 + max(payment.issue for payment in before)
    return [
        Payment(
            payslip_id=first.payslip_id,
            run_id=first.run_id,
            employee_id=first.employee_id,
            amount=amount,
            status=PaymentStatus.PENDING,
            reason="",
            split=split,
            issue=issue,
            account=account,
            accounts_known_at=known_at,
        )
        for split, (account, amount) in enumerate(shares)
    ]
