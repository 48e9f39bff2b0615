"""The timesheet: one assignment's time in one time period."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import NamedTuple
from uuid import UUID

from contexts.attendance.domain.adjustments import Adjustment, adjusted, check_lines, differences
from contexts.attendance.domain.errors import (
    AbsenceCodeReserved,
    AbsenceLimit,
    AbsenceNotFound,
    AbsenceOutsidePeriod,
    AbsenceOverlaps,
    CorrectionExists,
    CorrectionNotFound,
    CorrectionOutsidePeriod,
    OpenOccurrence,
    OvertimeRequestNotFound,
    PlanUnknown,
    PunchLimit,
    PunchTooFarAhead,
    RequestLimit,
    SelfApproval,
    TimesheetNotOpen,
    TimesheetNotReady,
    WorkDateOutsidePeriod,
)
from contexts.attendance.domain.evaluation import Excuse, OccurrenceStatus, Outcome, evaluate
from contexts.attendance.domain.events import (
    AbsenceCancelled,
    AbsenceEntered,
    CorrectionDecided,
    CorrectionRequested,
    OvertimeDecided,
    OvertimeRequested,
    PunchesImported,
    PunchRecorded,
    TimesheetAdjusted,
    TimesheetApproved,
    TimesheetLocked,
    TimesheetReopened,
    TimesheetSubmitted,
)
from contexts.attendance.domain.periods import TimeCalendar, TimePeriod
from contexts.attendance.domain.planning import Plan
from contexts.attendance.domain.punches import Direction, Punch, Stamp
from contexts.attendance.domain.requests import Correction, Decision, OvertimeRequest, RequestStatus, RequestT, decided
from contexts.attendance.domain.roster import Placement, RosterEntry
from contexts.attendance.domain.spans import minute_of
from contexts.attendance.domain.totals import NO_TOTALS, RESERVED_PAY_CODES, Bucket, PeriodTotals, sums
from kernel.aggregate import AggregateRoot
from kernel.clock import strictly_after
from kernel.ids import AssignmentId, EmployeeId, Version
from kernel.period import Period

PUNCHES_MAX = 2000  # of one timesheet: more than sixty a day is a broken terminal
ABSENCES_MAX = 100  # of one timesheet
REQUESTS_MAX = 100  # corrections, overtime requests and adjustments of one timesheet, of each
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
    "adjust": {Status.LOCKED: Status.LOCKED},
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


class Placed(NamedTuple):
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
    corrections: tuple[Correction, ...] = ()
    overtime: tuple[OvertimeRequest, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()

    @property
    def details(self) -> tuple[object, ...]:
        """What is stored beside the columns, without the grounds."""
        return self.absences, self.corrections, self.overtime, self.adjustments

    def counted(self, stamps: Iterable[Stamp]) -> list[Stamp]:
        """The stamps as approved corrections have them: without those that were wrong, with those that are right."""
        held = [one for one in self.corrections if one.asked.status is RequestStatus.APPROVED]
        if not held:
            return list(stamps)
        wrong = {one.punch_id for one in held}
        right = [one.stamp for one in held if one.stamp is not None]
        return [stamp for stamp in (*stamps, *right) if stamp.punch_id not in wrong]

    def approved_overtime(self) -> dict[date, int]:
        """Minutes of overtime that were approved, by work date."""
        found: dict[date, int] = {}
        for one in self.overtime:
            if one.asked.status is RequestStatus.APPROVED:
                found[one.work_date] = found.get(one.work_date, 0) + one.minutes
        return found

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
    that were approved; a locked timesheet changes by adjustments only, each on its own work date; each verb adds one
    to the version, and record times rise.
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
        self._refuse_open(outcomes)
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

    def _refuse_open(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.status is OccurrenceStatus.OPEN:
                raise OpenOccurrence(
                    f"on {outcome.work_date} {outcome.missing}; record the missing punch",
                    work_date=outcome.work_date,
                    timesheet=self.state.id,
                )

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

    def request_correction(self, correction: Correction, plan: Plan, now: datetime) -> None:
        """Ask for a punch to be corrected. Raises CorrectionExists, CorrectionOutsidePeriod, RequestLimit."""
        self._room(self.state.corrections)
        stamp = correction.stamp
        if stamp is not None and (stamp.instant > now or not _holds(plan, stamp)):
            raise CorrectionOutsidePeriod(
                f"the corrected time has passed and lies in the period {self.state.period.name}; check it",
                field="punched_at",
            )
        for other in self.state.corrections:
            if other.asked.status is not RequestStatus.DECLINED and other.rivals(correction):
                raise CorrectionExists(
                    "the same is asked for already: decide the other correction, or correct what it made",
                    field="punch_id" if correction.punch_id else "punched_at",
                    correction=other.id,
                )
        self._happened(
            CorrectionRequested(self.state.id, self.state.employee_id, correction.id),
            now,
            corrections=(*self.state.corrections, correction),
        )

    def decide_correction(self, id: UUID, decision: Decision, by_employee: EmployeeId | None) -> None:
        """Approve or decline a correction; on a locked timesheet `restate` follows.

        Raises CorrectionNotFound, RequestDecided, SelfApproval, TimesheetNotOpen.
        """
        kept = self._decided(self.state.corrections, id, decision, by_employee)
        if kept is None:
            raise CorrectionNotFound("the timesheet holds no such correction; check the id", correction=id)
        event = CorrectionDecided(self.state.id, self.state.employee_id, id, decision.approved)
        self._happened(event, decision.at, corrections=kept)

    def request_overtime(self, request: OvertimeRequest, now: datetime) -> None:
        """Ask for overtime to be counted, before or after the work. Raises WorkDateOutsidePeriod, RequestLimit."""
        self._room(self.state.overtime)
        self._inside(request.work_date)
        self._happened(
            OvertimeRequested(self.state.id, self.state.employee_id, request.id, request.work_date),
            now,
            overtime=(*self.state.overtime, request),
        )

    def decide_overtime(
        self, id: UUID, decision: Decision, by_employee: EmployeeId | None, minutes: int | None = None
    ) -> None:
        """Approve overtime (as asked, or fewer minutes) or decline it; on a locked timesheet `restate` follows.

        Raises OvertimeRequestNotFound, RequestDecided, SelfApproval, TimesheetNotOpen.
        """
        kept = self._decided(self.state.overtime, id, decision, by_employee)
        found = next((one for one in kept or () if one.id == id), None)
        if kept is None or found is None:
            raise OvertimeRequestNotFound("the timesheet holds no such overtime request; check the id", request=id)
        if minutes is not None:
            fewer = replace(found, minutes=min(minutes, found.minutes))
            kept = tuple(fewer if one.id == id else one for one in kept)
        event = OvertimeDecided(self.state.id, self.state.employee_id, id, found.work_date, decision.approved)
        self._happened(event, decision.at, overtime=kept)

    def adjust(self, adjustment: Adjustment, plan: Plan, by_employee: EmployeeId | None, now: datetime) -> None:
        """Change the totals of a locked timesheet on one work date.

        Raises TimesheetNotReady, SelfApproval, WorkDateOutsidePeriod, AdjustmentUnbalanced, AdjustmentBelowZero,
        RequestLimit.
        """
        self._next("adjust")
        self._not_oneself(by_employee)
        self._inside(adjustment.work_date)
        if plan.on(adjustment.work_date) is None:
            raise WorkDateOutsidePeriod("the assignment does not hold on that day; check the date", field="work_date")
        self._room(self.state.adjustments)
        check_lines(adjustment.lines)
        self._adjusted([adjustment], self._with(self.state.totals, [adjustment], plan), now)

    def restate(self, outcomes: Sequence[Outcome], plan: Plan, like: Adjustment, new_id: Callable[[], UUID]) -> None:
        """Take over what a late decision makes of a locked timesheet: an adjustment like `like` for each work date.

        Adjustments that somebody entered stay on top. Raises TimesheetNotReady, OpenOccurrence, AdjustmentBelowZero,
        RequestLimit.
        """
        self._next("adjust")
        self._refuse_open(outcomes)
        entered = [one for one in self.state.adjustments if one.cause is None]
        counted = summarized(outcomes, self.state.grounds.calendar)
        fresh = replace(self.state.totals, buckets=counted.buckets, tally=counted.tally)
        totals = self._with(fresh, entered, plan) if entered else fresh
        changed = differences(self.state.totals.buckets, totals.buckets)
        if not changed:
            return
        self._room(self.state.adjustments, len(changed))
        made = [replace(like, id=new_id(), work_date=day, lines=lines) for day, lines in changed.items()]
        self._adjusted(made, totals, like.at)

    def _with(self, totals: PeriodTotals, adjustments: Sequence[Adjustment], plan: Plan) -> PeriodTotals:
        calendar = self.state.grounds.calendar
        planned = {one.work_date: one.planned_minutes for one in plan.inside}
        weeks = {day: calendar.work_week(day) for day in self.state.period.span}
        return adjusted(totals, adjustments, planned, weeks)

    def _adjusted(self, made: Sequence[Adjustment], totals: PeriodTotals, now: datetime) -> None:
        days = tuple(sorted({one.work_date for one in made}))
        self._happened(
            TimesheetAdjusted(self.state.id, self.state.employee_id, self.state.period.name, days),
            now,
            totals=totals,
            adjustments=(*self.state.adjustments, *made),
        )

    def _decided(
        self, requests: tuple[RequestT, ...], id: UUID, decision: Decision, by_employee: EmployeeId | None
    ) -> tuple[RequestT, ...] | None:
        """The requests with the decision on one; None where it is not among them."""
        if all(one.id != id for one in requests):
            return None
        self._not_oneself(by_employee)
        if decision.approved and self.state.status is not Status.LOCKED:
            self._open("approved requests")
        return tuple(decided(one, decision) if one.id == id else one for one in requests)

    def _not_oneself(self, by_employee: EmployeeId | None) -> None:
        if by_employee == self.state.employee_id:
            raise SelfApproval("nobody decides about their own time; ask somebody else", timesheet=self.state.id)

    def _room(self, held: Sequence[object], more: int = 1) -> None:
        if len(held) + more > REQUESTS_MAX:
            raise RequestLimit(f"a timesheet holds {REQUESTS_MAX} of these", timesheet=self.state.id)

    def _inside(self, day: date) -> None:
        if day not in self.state.period.span:
            raise WorkDateOutsidePeriod(
                f"the period {self.state.period.name} is {self.state.period.span.start} to "
                f"{self.state.period.span.last_day}; name one of its days",
                field="work_date",
            )

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


def _holds(plan: Plan, stamp: Stamp) -> bool:
    """Whether a punch at that time would be of the plan's span: by its claim, or as the way out of somebody in."""
    minute = minute_of(stamp.instant)
    if any(found.work_date in plan.span for found in plan.claiming(minute)):
        return True
    last = plan.inside[-1] if plan.inside else None
    late = last is not None and 0 <= minute - last.civil_day[1] <= last.longest_presence
    return late and stamp.direction is Direction.OUT


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


def evaluated(
    state: TimesheetState, plan: Plan, stamps: Iterable[Stamp], now: datetime | None = None
) -> tuple[Outcome, ...]:
    """What came of each occurrence, by the punches as they were corrected; with `now`, of what has ended by then."""
    debounce = state.grounds.calendar.debounce_seconds
    return evaluate(plan, state.counted(stamps), state.excuses(), debounce, now, state.approved_overtime())


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
