"""What came of an occurrence: minutes worked, late, absent, at night and overtime."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import cast
from uuid import UUID

from contexts.attendance.domain.catalog import DayKind, FlexibleHours, PresenceRule
from contexts.attendance.domain.planning import Plan, PlannedOccurrence
from contexts.attendance.domain.punches import Direction, Pairing, Stamp, as_minutes, assign, duplicates, in_order, pair
from contexts.attendance.domain.rounding import PunchRounding
from contexts.attendance.domain.spans import (
    NOTHING,
    Span,
    Spans,
    difference,
    first_minutes,
    gaps,
    instant_of,
    intersection,
    last_minutes,
    minute_of,
    overlap,
    total,
    union,
)
from contexts.attendance.domain.totals import (
    ABSENT,
    EARLY_LEAVE,
    LATE,
    NIGHT,
    OVERTIME,
    REGULAR,
    Tally,
)

COUNTED_MAX = 2048  # presences of one plan whose parts are remembered

_NO_STAMPS: tuple[Stamp, ...] = ()
_NOTHING_APPROVED: Mapping[date, int] = {}


class OccurrenceStatus(Enum):
    """How the work of an occurrence went."""

    PLANNED = "PLANNED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETE = "COMPLETE"
    OPEN = "OPEN"
    ABSENT = "ABSENT"
    ON_LEAVE = "ON_LEAVE"
    DAY_OFF = "DAY_OFF"


@dataclass(frozen=True, slots=True)
class Excuse:
    """An absence on one work date: so many minutes, or all that is planned."""

    code: str
    paid_share: Decimal
    minutes: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Minutes of an occurrence that count alike."""

    pay_code: str
    day_kind: DayKind
    minutes: int
    paid_share: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one occurrence.

    Invariants: REGULAR and OVERTIME parts add up to the tally's worked minutes; pieces of one occurrence never overlap.
    """

    planned: PlannedOccurrence
    status: OccurrenceStatus
    stamps: tuple[Stamp, ...]
    duplicate_of: dict[UUID, UUID]
    present: tuple[tuple[datetime, datetime | None], ...]
    parts: tuple[Part, ...]
    tally: Tally
    missing: str = ""  # what the open occurrence lacks, as a sentence

    @property
    def work_date(self) -> date:
        """The occurrence's work date."""
        return self.planned.work_date


def evaluate(
    plan: Plan,
    stamps: Sequence[Stamp],
    excuses: dict[date, list[Excuse]],
    debounce_seconds: int,
    now: datetime | None = None,
    approved: Mapping[date, int] = _NOTHING_APPROVED,
) -> tuple[Outcome, ...]:
    """Every occurrence of the plan's span, by work date.

    A function of the set of stamps: their order does not matter. With `now`, what has not ended by then is neither
    absent nor open; without, the period is over. `approved` are the minutes of overtime that were approved by work
    date; they count where the policy wants approval.
    """
    ordered = in_order(stamps)
    twins = duplicates(ordered, debounce_seconds)
    groups = assign(plan, [stamp for stamp in ordered if stamp.punch_id not in twins])
    shown = _with_twins(ordered, twins, groups) if twins else groups
    now_minute = None if now is None else minute_of(now)
    return tuple(
        _outcome(
            plan,
            occurrence,
            groups.get(occurrence.work_date, _NO_STAMPS),
            tuple(shown.get(occurrence.work_date, _NO_STAMPS)),
            twins,
            excuses.get(occurrence.work_date, []),
            now_minute,
            approved.get(occurrence.work_date, 0),
        )
        for occurrence in plan.inside
    )


def _with_twins(
    ordered: Sequence[Stamp], twins: dict[UUID, UUID], groups: dict[date, list[Stamp]]
) -> dict[date, list[Stamp]]:
    """The groups with each duplicate beside the stamp that it repeats."""
    home = {stamp.punch_id: day for day, group in groups.items() for stamp in group}
    shown: dict[date, list[Stamp]] = {}
    for stamp in ordered:
        day = home.get(twins.get(stamp.punch_id, stamp.punch_id))
        if day is not None:
            shown.setdefault(day, []).append(stamp)
    return shown


def _outcome(
    plan: Plan,
    planned: PlannedOccurrence,
    stamps: Sequence[Stamp],
    shown: tuple[Stamp, ...],
    twins: dict[UUID, UUID],
    excuses: Sequence[Excuse],
    now_minute: int | None,
    approved: int,
) -> Outcome:
    if not shown and not excuses:
        # Without punches the time matters only in so far as the shift is over.
        ahead = now_minute is not None and bool(planned.spans) and now_minute < planned.spans[-1][1]
        name, then = ("ahead", now_minute) if ahead else ("idle", None)
        return _alike(plan, name, planned, lambda: _general(plan, planned, (), (), {}, (), then, 0))
    if len(stamps) == 2 and not excuses and not planned.punch_exempt:
        full = _full_day(plan, planned, stamps, shown, now_minute)
        if full is not None:
            return full
    return _general(plan, planned, stamps, shown, twins, excuses, now_minute, approved)


def _alike(plan: Plan, name: str, planned: PlannedOccurrence, make: Callable[[], Outcome]) -> Outcome:
    """An outcome that is the same for everybody on the plan."""
    kept = plan.shared.get((name, planned.work_date))
    if kept is None:
        kept = plan.shared[name, planned.work_date] = make()
    assert isinstance(kept, Outcome)
    return kept


def _full_day(
    plan: Plan, planned: PlannedOccurrence, stamps: Sequence[Stamp], shown: tuple[Stamp, ...], now_minute: int | None
) -> Outcome | None:
    """The usual day, from before the shift to after it without overtime that counts; None for any other."""
    came, went = stamps
    shift, work = planned.shift, planned.work
    if shift is None or not shift.ordinary or len(planned.spans) != 1 or work != planned.owed or len(shown) != 2:
        return None
    if came.direction is Direction.OUT or went.direction is Direction.IN:
        return None
    opens, closes = work[0][0], work[-1][1]
    start = minute_of(came.instant) if shift.in_rounding is None else _rounded(came.instant, shift.in_rounding, planned)
    end = minute_of(went.instant) if shift.out_rounding is None else _rounded(went.instant, shift.out_rounding, planned)
    if start > opens + shift.late_grace_minutes or end < closes - shift.early_leave_grace_minutes:
        return None
    if end - start > planned.longest_presence or end <= opens or start >= work[0][1]:
        return None
    stretch = max(opens - start, end - closes)
    if stretch > 0 and stretch >= planned.shortest_overtime:
        return None
    if now_minute is not None and now_minute < closes:
        return None
    model = _alike(plan, "full", planned, lambda: _on_time(plan, planned))
    return Outcome(planned, model.status, shown, {}, ((came.instant, went.instant),), model.parts, model.tally)


def _on_time(plan: Plan, planned: PlannedOccurrence) -> Outcome:
    """Who comes and goes with each planned span to the minute."""
    nobody = UUID(int=0)
    stamps = tuple(
        Stamp(instant_of(minute), way, nobody)
        for start, end in planned.spans
        for minute, way in ((start, Direction.IN), (end, Direction.OUT))
    )
    return _general(plan, planned, stamps, stamps, {}, (), None, 0)


def _general(
    plan: Plan,
    planned: PlannedOccurrence,
    stamps: Sequence[Stamp],
    shown: tuple[Stamp, ...],
    twins: dict[UUID, UUID],
    excuses: Sequence[Excuse],
    now_minute: int | None,
    approved: int,
) -> Outcome:
    if planned.punch_exempt:
        pairing = Pairing(())
        sessions = _scheduled(planned, excuses)
    else:
        presence = PresenceRule.EVERY_PAIR if planned.shift is None else planned.shift.presence
        pairing = pair(stamps, planned.longest_presence, presence)
        sessions = _sessions(planned, pairing)
    ended = now_minute is None or not planned.spans or now_minute >= planned.spans[-1][1]
    missing = _missing(pairing, planned, now_minute)
    settled = ended and not missing and pairing.open_since is None
    if settled and not excuses:
        parts, tally = _counted_alike(plan, planned, sessions, approved)
    else:
        parts, tally = _counted(planned, sessions, excuses, settled, approved)
    return Outcome(
        planned,
        _status(planned, pairing, stamps, tally, ended, bool(missing)),
        shown,
        {stamp.punch_id: twins[stamp.punch_id] for stamp in shown if stamp.punch_id in twins} if twins else {},
        _present(planned, pairing, sessions),
        parts,
        tally,
        missing,
    )


def _counted(
    planned: PlannedOccurrence, sessions: Spans, excuses: Sequence[Excuse], settled: bool, approved: int
) -> tuple[tuple[Part, ...], Tally]:
    """What a presence comes to: its parts and their sums."""
    counted, owed = _owed(planned, sessions)
    return _count(planned, owed, sessions, _worked(planned, counted, owed, approved), excuses, settled)


def _counted_alike(
    plan: Plan, planned: PlannedOccurrence, sessions: Spans, approved: int
) -> tuple[tuple[Part, ...], Tally]:
    """The same for a day that is over and has no absence: who comes and goes at the same minutes of like days, by any
    date, has the same parts."""
    shape, midnight = plan.shape(planned), planned.civil_day[0]
    key = (shape, tuple((start - midnight, end - midnight) for start, end in sessions), approved)
    kept = plan.counted.get(key)
    if kept is None:
        if len(plan.counted) >= COUNTED_MAX:
            plan.counted.clear()
        kept = plan.counted[key] = _counted(planned, sessions, (), True, approved)
    return cast(tuple[tuple[Part, ...], Tally], kept)


def _scheduled(planned: PlannedOccurrence, excuses: Sequence[Excuse]) -> Spans:
    """The presence of people who do not punch: the plan, less what absences take from its end."""
    away = 0
    for excuse in excuses:
        away += planned.planned_minutes if excuse.minutes is None else excuse.minutes
    if not away:
        return planned.usual
    if away >= planned.planned_minutes:
        return NOTHING
    return first_minutes(planned.usual, total(planned.usual) - away)


def _sessions(planned: PlannedOccurrence, pairing: Pairing) -> Spans:
    """The presence in whole minutes: rounded where the shift says so, and at the mark within its grace."""
    if not pairing.sessions:
        return NOTHING
    shift = planned.shift
    if shift is None:
        return union(as_minutes(session) for session in pairing.sessions)
    found: list[Span] = []
    for came, went in pairing.sessions:
        start = _rounded(came, shift.in_rounding, planned)
        end = _rounded(went, shift.out_rounding, planned)
        for mark, until in () if shift.flexible else planned.work:
            if mark < start <= mark + shift.late_grace_minutes and start < until:
                start = mark
            if until - shift.early_leave_grace_minutes <= end < until and end > mark:
                end = until
        found.append((start, end))
    sessions = union(found)
    if not planned.paid_breaks:
        return sessions
    return union((*sessions, *intersection(gaps(sessions), planned.paid_breaks)))


def _owed(planned: PlannedOccurrence, sessions: Spans) -> tuple[Spans, Spans]:
    """The presence that counts, and the minutes that are owed as that presence decides."""
    flexible = planned.shift.flexible if planned.shift is not None else None
    if flexible is not None:
        counted = sessions if planned.punch_exempt else _without_break(sessions, flexible)
        return counted, first_minutes(intersection(counted, planned.owed), planned.planned_minutes)
    if not planned.rests:
        return sessions, planned.owed
    taken: list[Span] = []
    for window, minutes in planned.rests:
        away = first_minutes(difference((window,), sessions), minutes)
        # What of a break nobody took lies at its window's end, so that the whole of it is never owed.
        taken += [*away, *last_minutes(difference((window,), away), minutes - total(away))]
    return sessions, difference(planned.owed, union(taken))


def _without_break(sessions: Spans, flexible: FlexibleHours) -> Spans:
    """The presence less the break that is taken for granted after so many minutes of it, as far as none was punched."""
    missing = flexible.break_minutes - total(gaps(sessions))
    if missing <= 0:
        return sessions
    before = first_minutes(sessions, flexible.break_after_minutes)
    later = difference(sessions, before)
    return union((*before, *difference(later, first_minutes(later, missing))))


def _rounded(instant: datetime, rule: PunchRounding | None, planned: PlannedOccurrence) -> int:
    if rule is None:
        return minute_of(instant)
    midnight = planned.civil_day[0]
    elapsed = instant - instant_of(midnight)
    return midnight + rule.seconds(elapsed.days * 86_400 + elapsed.seconds) // 60


def _worked(
    planned: PlannedOccurrence, sessions: Spans, owed: Spans, approved: int
) -> tuple[list[tuple[Span, str, DayKind]], int]:
    """The pieces that count, with pay code and kind of day, and the overtime minutes that wait for approval."""
    pieces: list[tuple[Span, str, DayKind]] = []
    unapproved = 0
    if not sessions:
        return pieces, unapproved
    pieces.extend((span, REGULAR, DayKind.WORKDAY) for span in intersection(sessions, owed))
    if sessions == owed:
        return pieces, unapproved
    for stretch in difference(difference(sessions, owed), planned.breaks):
        minutes = stretch[1] - stretch[0]
        for (start, end), kind in planned.by_kind((stretch,)):
            rule = planned.policy.rule(kind)
            if rule is None or minutes < rule.min_minutes:
                continue
            counted = (end - start) - (end - start) % rule.step_minutes
            if rule.approval_required:
                granted = min(counted, approved)
                approved -= granted
                unapproved += counted - granted
                counted = granted
            if counted:
                pieces.append(((start, start + counted), OVERTIME, kind))
    return pieces, unapproved


def _missing(pairing: Pairing, planned: PlannedOccurrence, now_minute: int | None) -> str:
    if pairing.out_alone is not None:
        return f"the punch out at {pairing.out_alone.instant.isoformat()} has no punch in before it"
    since = pairing.open_since
    if since is None:
        return ""
    if now_minute is not None and now_minute - minute_of(since.instant) <= planned.longest_presence:
        return ""
    return f"the punch in at {since.instant.isoformat()} has no punch out after it"


def _count(
    planned: PlannedOccurrence,
    owed: Spans,
    sessions: Spans,
    worked: tuple[list[tuple[Span, str, DayKind]], int],
    excuses: Sequence[Excuse],
    settled: bool,
) -> tuple[tuple[Part, ...], Tally]:
    pieces, unapproved = worked
    minutes: dict[tuple[str, DayKind], int] = {}
    night = 0
    for span, code, kind in pieces:
        minutes[code, kind] = minutes.get((code, kind), 0) + span[1] - span[0]
        if planned.nights:
            dark = overlap(span, planned.nights)
            if dark:
                night += dark
                minutes[NIGHT, kind] = minutes.get((NIGHT, kind), 0) + dark
    regular = minutes.get((REGULAR, DayKind.WORKDAY), 0)
    late = early = absent = 0
    owing = planned.planned_minutes - regular
    if owing and settled:
        if planned.shift is not None and planned.shift.flexible is not None:
            if sessions:
                late, early = _core_missed(planned, sessions, owing)
        elif regular:
            # Late and early are seen from the planned work that was done, whatever overtime lies around it.
            regulars = [span for span, code, _ in pieces if code == REGULAR]
            first, last = regulars[0][0], regulars[-1][1]
            late = sum(min(end, first) - start for start, end in owed if start < first)
            early = sum(end - max(start, last) for start, end in owed if end > last)
        absent = owing - late - early
    parts = [Part(code, kind, count) for (code, kind), count in minutes.items()]
    excused = 0
    for excuse in excuses:
        # An absence stands for time not worked: first for the part of the day with no reason, then for its edges.
        wanted = owing - excused if excuse.minutes is None else min(excuse.minutes, owing - excused)
        if wanted <= 0:
            continue
        excused += wanted
        parts.append(Part(excuse.code, DayKind.WORKDAY, wanted, excuse.paid_share))
        taken = min(wanted, absent)
        absent, wanted = absent - taken, wanted - taken
        taken = min(wanted, late)
        late, wanted = late - taken, wanted - taken
        early -= min(wanted, early)
    for code, count in ((LATE, late), (EARLY_LEAVE, early), (ABSENT, absent)):
        if count:
            parts.append(Part(code, DayKind.WORKDAY, count))
    return tuple(parts), Tally(
        planned_minutes=planned.planned_minutes,
        planned_days=1 if planned.planned_minutes else 0,
        regular_minutes=regular,
        overtime_workday_minutes=minutes.get((OVERTIME, DayKind.WORKDAY), 0),
        overtime_rest_day_minutes=minutes.get((OVERTIME, DayKind.REST_DAY), 0),
        overtime_holiday_minutes=minutes.get((OVERTIME, DayKind.HOLIDAY), 0),
        unapproved_overtime_minutes=unapproved,
        night_minutes=night,
        late_minutes=late,
        early_leave_minutes=early,
        absent_minutes=absent,
        absence_minutes=excused,
        late_count=1 if late else 0,
        early_leave_count=1 if early else 0,
    )


def _core_missed(planned: PlannedOccurrence, sessions: Spans, owing: int) -> tuple[int, int]:
    """Core minutes before the first and after the last presence, beyond the grace and as far as they are owing."""
    shift = planned.shift
    assert shift is not None
    before, after = (planned.days[0][0], sessions[0][0]), (sessions[-1][1], planned.days[-1][0])
    late = total(intersection(planned.core, (before,)))
    early = total(intersection(planned.core, (after,)))
    late = min(late, owing) if late > shift.late_grace_minutes else 0
    early = min(early, owing - late) if early > shift.early_leave_grace_minutes else 0
    return late, early


def _status(
    planned: PlannedOccurrence, pairing: Pairing, stamps: Sequence[Stamp], tally: Tally, ended: bool, missing: bool
) -> OccurrenceStatus:
    if missing:
        return OccurrenceStatus.OPEN
    if pairing.open_since is not None:
        return OccurrenceStatus.IN_PROGRESS
    if tally.absence_minutes and tally.absence_minutes >= planned.planned_minutes:
        return OccurrenceStatus.ON_LEAVE
    if not ended:
        return OccurrenceStatus.IN_PROGRESS if stamps else OccurrenceStatus.PLANNED
    if stamps or (planned.punch_exempt and planned.work):
        return OccurrenceStatus.COMPLETE
    return OccurrenceStatus.ABSENT if planned.planned_minutes else OccurrenceStatus.DAY_OFF


def _present(
    planned: PlannedOccurrence, pairing: Pairing, sessions: Spans
) -> tuple[tuple[datetime, datetime | None], ...]:
    if planned.punch_exempt:
        return tuple((instant_of(start), instant_of(end)) for start, end in sessions)
    present: list[tuple[datetime, datetime | None]] = list(pairing.sessions)
    if pairing.open_since is not None:
        present.append((pairing.open_since.instant, None))
    return tuple(present)


def direction_needed(outcome: Outcome) -> Direction | None:
    """Which punch an open occurrence lacks, None where it lacks none."""
    if outcome.status is not OccurrenceStatus.OPEN:
        return None
    return Direction.IN if "no punch in" in outcome.missing else Direction.OUT
