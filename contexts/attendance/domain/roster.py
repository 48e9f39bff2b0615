"""What attendance knows of a person: the dated placements that decide which plan applies."""

from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from kernel.errors import InvalidValue
from kernel.ids import AssignmentId, EmployeeId
from kernel.period import Period


@dataclass(frozen=True, slots=True)
class Placement:
    """By which rules a person works in a span of days.

    Invariants: the time zone is one of the IANA database; codes may be empty, which means none (and, for the time
    calendar, calendar months).
    """

    span: Period
    assignment_id: AssignmentId
    work_schedule: str
    time_zone: str
    department: str = ""
    manager_id: EmployeeId | None = None
    pay_group: str = ""
    time_calendar: str = ""
    punch_exempt: bool = False


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """One employee on the roster, as of one version of the source.

    Invariants: placements are in order and never overlap.
    """

    employee_id: EmployeeId
    source_version: int
    placements: tuple[Placement, ...]
    employee_number: str = ""

    def __post_init__(self) -> None:
        for before, after in pairwise(self.placements):
            if before.span.end > after.span.start:
                raise InvalidValue("placements follow each other and do not overlap", field="entry.placements")

    @property
    def simple(self) -> bool:
        """Whether all placements are of one assignment under one time calendar."""
        first = self.placements[0] if self.placements else None
        return first is not None and all(
            one.assignment_id == first.assignment_id and one.time_calendar == first.time_calendar
            for one in self.placements[1:]
        )

    def on(self, day: date) -> Placement | None:
        """The placement that holds on the day."""
        return next((placement for placement in self.placements if day in placement.span), None)

    def within(self, span: Period) -> tuple[Placement, ...]:
        """The placements that hold in part of a span, uncut."""
        return tuple(placement for placement in self.placements if placement.span.overlaps(span))
