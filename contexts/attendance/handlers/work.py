"""What a command works with."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from contexts.attendance.repository.port import Badges, Catalog, Roster, Timesheets
from kernel.ids import EmployeeId


class AttendanceWork(Protocol):
    """One command's unit of work: what it changes commits together or not at all."""

    @property
    def timesheets(self) -> Timesheets: ...

    @property
    def roster(self) -> Roster: ...

    @property
    def badges(self) -> Badges: ...

    @property
    def catalog(self) -> Catalog: ...

    @property
    def actor(self) -> str:
        """The principal's subject."""
        ...

    @property
    def actor_employee(self) -> EmployeeId | None:
        """The employee that the principal is."""
        ...

    def now(self) -> datetime:
        """The current instant, read inside the transaction."""
        ...

    def new_id(self) -> UUID:
        """A new UUIDv7."""
        ...

    def note(self, subject: UUID | str, reason: str | None = None) -> None:
        """What the audit row says."""
        ...
