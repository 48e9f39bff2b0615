"""Who is in, late or out at an instant, and which days of a period somebody has to look at."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum

from contexts.attendance.domain.evaluation import OccurrenceStatus, Outcome
from contexts.attendance.domain.planning import PlannedOccurrence
from contexts.attendance.domain.spans import instant_of, minute_of


class Presence(Enum):
    """Where somebody is, as far as their occurrence tells."""

    IN = "IN"
    OUT = "OUT"
    EXPECTED = "EXPECTED"
    LATE = "LATE"
    ABSENT = "ABSENT"
    ON_LEAVE = "ON_LEAVE"
    DAY_OFF = "DAY_OFF"


@dataclass(frozen=True, slots=True)
class Standing:
    """Somebody at an instant.

    Invariants: `since` is when they came (IN) or went (OUT); `late_minutes` is there for who came late, or is late.
    """

    presence: Presence
    outcome: Outcome
    since: datetime | None = None
    late_minutes: int = 0


def standing(outcome: Outcome, at: datetime) -> Standing:
    """Where the occurrence that claims an instant leaves somebody; it was evaluated as of that instant."""
    planned, minute = outcome.planned, minute_of(at)
    if outcome.status is OccurrenceStatus.ON_LEAVE:
        return Standing(Presence.ON_LEAVE, outcome)
    if planned.punch_exempt:
        return _by_plan(outcome, minute)
    late = _late_minutes(outcome, minute)
    if outcome.present:
        came, went = outcome.present[-1]
        if went is not None:
            return Standing(Presence.OUT, outcome, went, late)
        # Who has been in for longer than anybody can be forgot to punch out.
        inside = minute - minute_of(came) <= planned.longest_presence
        return Standing(Presence.IN if inside else Presence.OUT, outcome, came if inside else None, late)
    if outcome.stamps:
        return Standing(Presence.OUT, outcome, outcome.stamps[-1].instant, late)
    if not planned.planned_minutes:
        return Standing(Presence.DAY_OFF, outcome)
    if minute >= planned.spans[-1][1]:
        return Standing(Presence.ABSENT, outcome)
    return Standing(Presence.LATE if late else Presence.EXPECTED, outcome, None, late)


def _by_plan(outcome: Outcome, minute: int) -> Standing:
    """Who does not punch is where the plan says."""
    work = outcome.planned.work
    for start, end in work:
        if start <= minute < end:
            return Standing(Presence.IN, outcome, instant_of(start))
    if not work:
        return Standing(Presence.DAY_OFF, outcome)
    if minute < work[0][0]:
        return Standing(Presence.EXPECTED, outcome)
    return Standing(Presence.OUT, outcome, instant_of(max(end for _, end in work if end <= minute)))


def _late_minutes(outcome: Outcome, minute: int) -> int:
    """Minutes after the time by which one has to be there, beyond the grace; of who has not come, so far."""
    due = _due(outcome.planned)
    if due is None:
        return 0
    start, end = due
    came = minute_of(outcome.present[0][0]) if outcome.present else min(minute, end)
    shift = outcome.planned.shift
    late = came - start
    return late if shift is not None and shift.late_grace_minutes < late else 0


def _due(planned: PlannedOccurrence) -> tuple[int, int] | None:
    """From when to when one has to be there; None where hours are free, or nothing is owed."""
    if planned.shift is None or not planned.planned_minutes:
        return None
    spans = planned.spans if planned.shift.flexible is None else planned.core
    return (spans[0][0], spans[-1][1]) if spans else None


class ExceptionKind(Enum):
    """Why somebody has to look at a day."""

    MISSING_PUNCH = "MISSING_PUNCH"
    NO_PUNCHES = "NO_PUNCHES"
    LATE = "LATE"
    EARLY_LEAVE = "EARLY_LEAVE"
    ABSENT = "ABSENT"
    UNAPPROVED_OVERTIME = "UNAPPROVED_OVERTIME"


@dataclass(frozen=True, slots=True)
class DayException:
    """One thing about one work date; `minutes` are those that it is about."""

    work_date: date
    kind: ExceptionKind
    minutes: int
    message: str


def exceptions(outcome: Outcome) -> Iterator[DayException]:
    """What there is to look at on a day: nothing where it went as planned."""
    tally = outcome.tally
    if outcome.missing:
        yield DayException(
            outcome.work_date, ExceptionKind.MISSING_PUNCH, 0, f"{outcome.missing}; ask for a correction"
        )
        return
    if outcome.status is OccurrenceStatus.ABSENT:
        yield DayException(
            outcome.work_date,
            ExceptionKind.NO_PUNCHES,
            tally.absent_minutes,
            "planned, but nobody came: correct the punches, or enter an absence",
        )
        return
    for kind, minutes, message in (
        (ExceptionKind.LATE, tally.late_minutes, "came late"),
        (ExceptionKind.EARLY_LEAVE, tally.early_leave_minutes, "left early"),
        (ExceptionKind.ABSENT, tally.absent_minutes, "was away without an absence"),
        (ExceptionKind.UNAPPROVED_OVERTIME, tally.unapproved_overtime_minutes, "worked overtime that is not approved"),
    ):
        if minutes:
            yield DayException(outcome.work_date, kind, minutes, message)
