"""The timesheet: one assignment's time in one time period."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from uuid import UUID

from contexts.attendance.domain.errors import (
    AbsenceCodeReserved,
    AbsenceLimit,
    AbsenceNotFound,
    AbsenceOutsidePeriod,
    AbsenceOverlaps,
    OpenOccurrence,
    PlanUnknown,
    PunchLimit,
    PunchTooFarAhead,
    SelfApproval,
    TimesheetNotOpen,
    TimesheetNotReady,
)
from contexts.attendance.domain.evaluation import Excuse, OccurrenceStatus, Outcome
from contexts.attendance.domain.events import (
    AbsenceCancelled,
    AbsenceEntered,
    PunchesImported,
    PunchRecorded,
    TimesheetApproved,
    TimesheetLocked,
    TimesheetReopened,
    TimesheetSubmitted,
)
from contexts.attendance.domain.periods import TimeCalendar, TimePeriod
from contexts.attendance.domain.planning import Plan
from contexts.attendance.domain.punches import Punch
from contexts.attendance.domain.roster import Placement, RosterEntry
from contexts.attendance.domain.totals import NO_TOTALS, RESERVED_PAY_CODES, Bucket, PeriodTotals, sums
from kernel.aggregate import AggregateRoot
from kernel.clock import strictly_after
from kernel.ids import AssignmentId, EmployeeId, Version
from kernel.period import Period

PUNCHES_MAX = 2000  # of one timesheet: more than sixty a day is a broken terminal
ABSENCES_MAX = 100  # of one timesheet
AHEAD_MAX = timedelta(days=31)  # a terminal whose clock is further ahead has lost its date


class Status(Enum):
    """Where a timesheet stands."""

    OPEN = "OPEN"
    SUBMITTED = "SUBMITTED"
    APPROVED = "APPROVED"
    LOCKED = "LOCKED"


NEXT = {  # the whole state machine; the diagram in LANGUAGE.md follows it
    "submit": {Status.OPEN: Status.SUBMITTED},
    "approve": {Status.SUBMITTED: Status.APPROVED},
    "reopen": {Status.SUBMITTED: Status.OPEN, Status.APPROVED: Status.OPEN},
    "lock": {Status.APPROVED: Status.LOCKED},
}


@dataclass(frozen=True, slots=True)
class Absence:
    """Time off, for whole days or for minutes of one day.

    Invariants: `minutes` only on a single day; `paid_share` from 0 to 1.
    """

    absence_id: UUID
    code: str
    span: Period
    minutes: int | None
    paid_share: Decimal


@dataclass(frozen=True, slots=True)
class Placed:
    """A punch with the work date of its occurrence."""

    punch: Punch
    work_date: date
    duplicate_of: UUID | None


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a timesheet is computed on: the placements of its assignment, the calendar and the catalog's version.

    Invariants: follow the roster and the catalog while the timesheet is open; stay as they are from its submission on.
    """

    placements: tuple[Placement, ...]
    calendar: TimeCalendar
    roster_version: int
    catalog_version: int

    @property
    def last(self) -> Placement:
        """The placement that names pay group and department."""
        return self.placements[-1]


@dataclass(frozen=True, slots=True)
class TimesheetState:
    """A timesheet without its punches, which are stored and paged beside it."""

    id: UUID
    employee_id: EmployeeId
    assignment_id: AssignmentId
    period: TimePeriod
    grounds: Grounds
    status: Status
    version: Version
    record_time: datetime
    punch_count: int = 0
    absences: tuple[Absence, ...] = ()
    totals: PeriodTotals = NO_TOTALS
    submitted_by: str = ""
    approved_by: str = ""

    def excuses(self) -> dict[date, list[Excuse]]:
        """The absences by work date."""
        found: dict[date, list[Excuse]] = {}
        for absence in self.absences:
            for day in absence.span:
                found.setdefault(day, []).append(Excuse(absence.code, absence.paid_share, absence.minutes))
        return found


class Timesheet(AggregateRoot[TimesheetState]):
    """One assignment's time in one period, from punches to totals.

    Invariants: only an open timesheet takes punches and absences; totals are there from submission on and are those
    that were approved; a locked timesheet never changes; each verb adds one to the version, and record times rise.
    """

    @classmethod
    def open(
        cls, id: UUID, employee_id: EmployeeId, period: TimePeriod, grounds: Grounds, now: datetime
    ) -> "Timesheet":
        """A new timesheet, not stored yet (version 0)."""
        assignment_id = grounds.last.assignment_id
        return cls(TimesheetState(id, employee_id, assignment_id, period, grounds, Status.OPEN, Version(0), now))

    def stand_on(self, grounds: Grounds) -> None:
        """Follow the roster and the catalog; once submitted, what was submitted stays."""
        if self.state.status is Status.OPEN and grounds != self.state.grounds:
            self.state = replace(self.state, grounds=grounds)

    def record(self, placed: Placed, now: datetime) -> None:
        """Take one punch. Raises TimesheetNotOpen, PunchLimit, PunchTooFarAhead."""
        self.admit(placed.punch, now)
        stamp = placed.punch.stamp
        self._happened(
            PunchRecorded(
                self.state.id, self.state.employee_id, stamp.punch_id, stamp.instant, placed.work_date,
                placed.duplicate_of,
            ),
            now,
            punch_count=self.state.punch_count + 1,
        )  # fmt: skip

    def record_all(self, placed: Sequence[Placed], now: datetime) -> None:
        """Take punches that were admitted one by one. Raises TimesheetNotOpen, PunchLimit."""
        self._open("punches")
        if self.state.punch_count + len(placed) > PUNCHES_MAX:
            raise PunchLimit(f"a timesheet holds {PUNCHES_MAX} punches", timesheet=self.state.id)
        days = [one.work_date for one in placed]
        self._happened(
            PunchesImported(self.state.id, self.state.employee_id, len(placed), min(days), max(days)),
            now,
            punch_count=self.state.punch_count + len(placed),
        )

    def admit(self, punch: Punch, now: datetime, before: int = 0) -> None:
        """Whether a punch may come in, after `before` others of its batch.

        Raises TimesheetNotOpen, PunchLimit, PunchTooFarAhead.
        """
        self._open("punches")
        if self.state.punch_count + before >= PUNCHES_MAX:
            raise PunchLimit(f"a timesheet holds {PUNCHES_MAX} punches", timesheet=self.state.id)
        if punch.stamp.instant - now > AHEAD_MAX:
            raise PunchTooFarAhead(
                f"set the clock of the terminal: the punch lies more than {AHEAD_MAX.days} days ahead",
                field="punched_at",
                punch=punch.stamp.punch_id,
            )

    def enter_absence(self, absence: Absence, now: datetime) -> None:
        """Enter time off.

        Raises TimesheetNotOpen, AbsenceCodeReserved, AbsenceOutsidePeriod, AbsenceOverlaps, AbsenceLimit.
        """
        self._open("absences")
        if absence.code in RESERVED_PAY_CODES:
            raise AbsenceCodeReserved(f"{absence.code} is not an absence; name its kind", field="code")
        if not self.state.period.span.covers(absence.span):
            raise AbsenceOutsidePeriod(
                f"the period {self.state.period.name} is {self.state.period.span.start} to "
                f"{self.state.period.span.last_day}; enter the rest in its own period",
                field="start_date",
            )
        if absence.minutes is not None and absence.span.days > 1:
            raise AbsenceOutsidePeriod("minutes are for a single day; leave them out for whole days", field="minutes")
        if len(self.state.absences) >= ABSENCES_MAX:
            raise AbsenceLimit(f"a timesheet holds {ABSENCES_MAX} absences", timesheet=self.state.id)
        for other in self.state.absences:
            whole = other.minutes is None or absence.minutes is None
            if whole and other.span.overlaps(absence.span):
                raise AbsenceOverlaps(
                    "cancel the other absence first, or enter minutes for both",
                    field="start_date",
                    absence=other.absence_id,
                )
        self._happened(
            AbsenceEntered(
                self.state.id, self.state.employee_id, absence.absence_id, absence.span.start, absence.span.last_day
            ),
            now,
            absences=tuple(
                sorted((*self.state.absences, absence), key=lambda held: (held.span.start, held.absence_id))
            ),
        )

    def cancel_absence(self, absence_id: UUID, now: datetime) -> None:
        """Take an absence out. Raises TimesheetNotOpen, AbsenceNotFound."""
        self._open("absences")
        kept = tuple(absence for absence in self.state.absences if absence.absence_id != absence_id)
        if len(kept) == len(self.state.absences):
            raise AbsenceNotFound("the timesheet holds no such absence", absence=absence_id)
        self._happened(AbsenceCancelled(self.state.id, self.state.employee_id, absence_id), now, absences=kept)

    def submit(self, outcomes: Sequence[Outcome], plan: Plan, by: str, now: datetime) -> None:
        """Freeze what came of its occurrences. Raises TimesheetNotReady, OpenOccurrence, PlanUnknown."""
        status = self._next("submit")
        for outcome in outcomes:
            if outcome.status is OccurrenceStatus.OPEN:
                raise OpenOccurrence(
                    f"on {outcome.work_date} {outcome.missing}; record the missing punch",
                    work_date=outcome.work_date,
                    timesheet=self.state.id,
                )
        if plan.unknown:
            raise PlanUnknown(
                f"publish the {plan.unknown[0]}, or give the employee another schedule", timesheet=self.state.id
            )
        totals = replace(
            summarized(outcomes, self.state.grounds.calendar),
            paid_days=plan.paid_days,
            standard_day_minutes=plan.standard_day_minutes,
        )
        self._happened(self._event(TimesheetSubmitted), now, status=status, totals=totals, submitted_by=by)

    def approve(self, by: str, by_employee: EmployeeId | None, now: datetime) -> None:
        """Accept the period's time. Raises TimesheetNotReady, SelfApproval."""
        status = self._next("approve")
        if by_employee == self.state.employee_id:
            raise SelfApproval("nobody approves their own time; ask somebody else", timesheet=self.state.id)
        self._happened(self._event(TimesheetApproved), now, status=status, approved_by=by)

    def reopen(self, now: datetime) -> None:
        """Take punches again; what was submitted is void. Raises TimesheetNotReady."""
        status = self._next("reopen")
        self._happened(
            self._event(TimesheetReopened), now, status=status, totals=NO_TOTALS, submitted_by="", approved_by=""
        )

    def lock(self, now: datetime) -> None:
        """Make it final. Raises TimesheetNotReady."""
        self._happened(self._event(TimesheetLocked), now, status=self._next("lock"))

    def _next(self, verb: str) -> Status:
        status = NEXT[verb].get(self.state.status)
        if status is None:
            starts = " or ".join(start.value for start in NEXT[verb])
            raise TimesheetNotReady(
                f"to {verb} it, a timesheet must be {starts}; this one is {self.state.status.value}",
                timesheet=self.state.id,
                status=self.state.status.value,
            )
        return status

    def _open(self, what: str) -> None:
        if self.state.status is not Status.OPEN:
            way = "it is final" if self.state.status is Status.LOCKED else "reopen it first"
            raise TimesheetNotOpen(
                f"the timesheet of {self.state.period.name} is {self.state.status.value} and takes no {what}: {way}",
                timesheet=self.state.id,
                status=self.state.status.value,
            )

    def _event(
        self,
        kind: type[TimesheetSubmitted] | type[TimesheetApproved] | type[TimesheetReopened] | type[TimesheetLocked],
    ) -> object:
        return kind(self.state.id, self.state.employee_id, self.state.period.name)

    def _happened(self, event: object, now: datetime, **changes: object) -> None:
        self._apply(
            event,
            version=Version(self.state.version + 1),
            record_time=strictly_after(now, self.state.record_time),
            **changes,
        )


def grounds_for(
    entry: RosterEntry, assignment_id: AssignmentId, calendar: TimeCalendar, period: TimePeriod, catalog_version: int
) -> Grounds | None:
    """What the assignment's timesheet of a period stands on, None where it has no day in it.

    Placements under another time calendar belong to that calendar's timesheet.
    """
    held = tuple(
        placement
        for placement in entry.placements
        if placement.assignment_id == assignment_id
        and placement.time_calendar == calendar.code
        and placement.span.overlaps(period.span)
    )
    return Grounds(held, calendar, entry.source_version, catalog_version) if held else None


def summarized(outcomes: Sequence[Outcome], calendar: TimeCalendar) -> PeriodTotals:
    """The totals of occurrences: buckets by work date, day kind, pay code and paid share, and their sums."""
    buckets = [
        Bucket(
            outcome.work_date,
            part.day_kind,
            calendar.work_week(outcome.work_date),
            part.pay_code,
            part.minutes,
            outcome.planned.planned_minutes,
            part.paid_share,
        )
        for outcome in outcomes
        for part in outcome.parts
    ]
    buckets.sort(key=Bucket.place)
    return PeriodTotals(tuple(buckets), sums(outcome.tally for outcome in outcomes))
