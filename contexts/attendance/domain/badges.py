"""Badges: the numbers by which terminals name people, each held by one person at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from contexts.attendance.domain.errors import BadgeHeld, BadgeNotHeld
from kernel.ids import EmployeeId, Version

HOLDERS_MAX = 100  # of one badge; after so many hands it is worn out


@dataclass(frozen=True, slots=True)
class Holding:
    """Who had a badge from when to when; `until` None while somebody has it."""

    employee_id: EmployeeId
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Badge:
    """One badge and whose it was.

    Invariants: holdings are in order and do not overlap; only the last one is open.
    """

    number: str
    version: Version
    holdings: tuple[Holding, ...] = ()

    @property
    def holder(self) -> EmployeeId | None:
        """Who has it."""
        last = self.holdings[-1] if self.holdings else None
        return last.employee_id if last is not None and last.until is None else None

    def holder_at(self, instant: datetime) -> EmployeeId | None:
        """Who had it then: a punch that comes late is of who had the badge when it was made."""
        for one in reversed(self.holdings):
            if one.since <= instant:
                return one.employee_id if one.until is None or instant < one.until else None
        return None

    def issued(self, employee_id: EmployeeId, since: datetime) -> "Badge":
        """The badge in somebody's hands from then on; itself where they have it. Raises BadgeHeld."""
        if self.holder == employee_id:
            return self
        last = self.holdings[-1] if self.holdings else None
        if self.holder is not None or (last is not None and last.until is not None and since < last.until):
            raise BadgeHeld("somebody else has the badge then; return it first, or name a later instant", field="since")
        if len(self.holdings) >= HOLDERS_MAX:
            raise BadgeHeld(f"the badge has had {HOLDERS_MAX} holders; take another one", field="badge_number")
        return self._next((*self.holdings, Holding(employee_id, since)))

    def returned(self, at: datetime) -> "Badge":
        """The badge in nobody's hands. Raises BadgeNotHeld."""
        if self.holder is None:
            raise BadgeNotHeld("nobody has the badge; there is nothing to return", badge=self.number)
        last = self.holdings[-1]
        return self._next((*self.holdings[:-1], replace(last, until=max(at, last.since))))

    def _next(self, holdings: Sequence[Holding]) -> "Badge":
        return Badge(self.number, Version(self.version + 1), tuple(holdings))
