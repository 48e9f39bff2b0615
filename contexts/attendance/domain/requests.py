"""What people ask to be changed in a timesheet: corrections of punches, and overtime to be counted."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum
from typing import TypeVar
from uuid import UUID

from contexts.attendance.domain.errors import RequestDecided
from contexts.attendance.domain.punches import Stamp


class RequestStatus(Enum):
    """Where a request stands; a decision is final."""

    REQUESTED = "REQUESTED"
    APPROVED = "APPROVED"
    DECLINED = "DECLINED"


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked when and why, and who decided.

    Invariants: `decided_by` and `decided_at` are there once the status is no longer REQUESTED.
    """

    reason: str
    by: str
    at: datetime
    status: RequestStatus = RequestStatus.REQUESTED
    decided_by: str = ""
    decided_at: datetime | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Correction:
    """A punch that was forgotten (no `punch_id`), is wrong (both), or should not be there (no `stamp`).

    Invariants: one of `punch_id` and `stamp` is there; the stamp bears the correction's id; no punch is overwritten.
    """

    id: UUID
    punch_id: UUID | None
    stamp: Stamp | None
    asked: Asked

    def rivals(self, other: "Correction") -> bool:
        """Whether both speak of the same punch, or of the same one that is missing."""
        if self.punch_id is not None or other.punch_id is not None:
            return self.punch_id == other.punch_id
        mine, theirs = self.stamp, other.stamp
        return mine is not None and theirs is not None and (mine.instant, mine.direction) == (
            theirs.instant, theirs.direction
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class OvertimeRequest:
    """Minutes of overtime on a work date, asked for before or after the work."""

    id: UUID
    work_date: date
    minutes: int
    asked: Asked


RequestT = TypeVar("RequestT", Correction, OvertimeRequest)


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody says to a request."""

    approved: bool
    by: str
    at: datetime
    note: str = ""


def decided(request: RequestT, decision: Decision) -> RequestT:
    """The request with its decision. Raises RequestDecided."""
    if request.asked.status is not RequestStatus.REQUESTED:
        raise RequestDecided(
            f"it was decided before: {request.asked.status.value}; ask anew for something else", request=request.id
        )
    status = RequestStatus.APPROVED if decision.approved else RequestStatus.DECLINED
    asked = replace(request.asked, status=status, decided_by=decision.by, decided_at=decision.at, note=decision.note)
    return replace(request, asked=asked)
