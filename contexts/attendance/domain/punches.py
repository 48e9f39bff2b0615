"""Punches: which are duplicates, to which occurrence each belongs, and the presence that they add up to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from uuid import UUID

from contexts.attendance.domain.planning import Plan, PlannedOccurrence, distance
from contexts.attendance.domain.spans import Span, minute_of


class Direction(Enum):
    """Which way a punch goes; EITHER where the terminal does not tell."""

    EITHER = "EITHER"
    IN = "IN"
    OUT = "OUT"


class Source(Enum):
    """Where a punch comes from."""

    WEB = "WEB"
    MOBILE = "MOBILE"
    DEVICE = "DEVICE"
    IMPORT = "IMPORT"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What of a punch counts: when and which way."""

    instant: datetime
    direction: Direction
    punch_id: UUID

    @property
    def order(self) -> tuple[datetime, UUID]:
        """By time; of two at one instant, by id."""
        return (self.instant, self.punch_id)


@dataclass(frozen=True, slots=True)
class Punch:
    """A punch as it was made; it never changes.

    Invariants: `punch_id` is unique in the tenant for ever.
    """

    stamp: Stamp
    source: Source
    time_zone: str
    device_id: str = ""
    device_sequence: int = 0
    device_clock: datetime | None = None

    def made_in(self, time_zone: str) -> "Punch":
        """The same punch, where its client did not say in which zone."""
        return Punch(self.stamp, self.source, time_zone, self.device_id, self.device_sequence, self.device_clock)


def in_order(stamps: Iterable[Stamp]) -> list[Stamp]:
    """The stamps by time; the order of arrival does not matter."""
    return sorted(stamps, key=lambda stamp: stamp.order)


def duplicates(stamps: Sequence[Stamp], debounce_seconds: int) -> dict[UUID, UUID]:
    """Which stamps (in order) are duplicates of which: those within the window after one that counts.

    An explicit IN and an explicit OUT are never duplicates of each other.
    """
    if not debounce_seconds:
        return {}
    window = timedelta(seconds=debounce_seconds)
    found: dict[UUID, UUID] = {}
    counted: list[Stamp] = []
    for stamp in stamps:
        while counted and stamp.instant - counted[0].instant > window:
            counted.pop(0)
        twin = next((other for other in counted if _same_way(other, stamp)), None)
        if twin is None:
            counted.append(stamp)
        else:
            found[stamp.punch_id] = twin.punch_id
    return found


def _same_way(left: Stamp, right: Stamp) -> bool:
    return left.direction is right.direction or Direction.EITHER in (left.direction, right.direction)


class _Presence:
    """Who is in, where and since when, while stamps are read in order."""

    __slots__ = ("inside", "occurrence", "since")

    def __init__(self) -> None:
        self.occurrence: PlannedOccurrence | None = None
        self.inside = False
        self.since = 0

    def still_in(self, minute: int) -> PlannedOccurrence | None:
        """The occurrence in which somebody is in and has not stayed too long to be believed."""
        if self.inside and self.occurrence and minute - self.since <= self.occurrence.longest_presence:
            return self.occurrence
        return None

    def take(self, occurrence: PlannedOccurrence, direction: Direction, minute: int) -> None:
        still = self.still_in(minute) if occurrence is self.occurrence else None
        self.occurrence = occurrence
        if direction is Direction.IN:
            inside = True
        elif direction is Direction.OUT:
            inside = False
        else:
            inside = still is None
        if inside and still is None:
            self.since = minute
        self.inside = inside


def _home(plan: Plan, stamp: Stamp, minute: int, presence: _Presence) -> PlannedOccurrence | None:
    claiming = plan.claiming(minute)
    still = presence.still_in(minute)
    if still is not None and stamp.direction is not Direction.IN:
        own = any(found is still or not found.spans for found in claiming) or not claiming
        # Somebody is in: going out ends that, unless a terminal that does not tell speaks within another shift's time.
        if own or stamp.direction is Direction.OUT:
            return still
    return nearer(claiming, stamp.direction, minute)


def nearer(claiming: Sequence[PlannedOccurrence], direction: Direction, minute: int) -> PlannedOccurrence | None:
    """The nearest of the occurrences that claim a minute; of two as near, a punch out belongs to the earlier one."""
    ranked = claiming if direction is Direction.OUT else claiming[::-1]
    return min(ranked, key=lambda found: distance(found, minute), default=None)


def assign(plan: Plan, stamps: Sequence[Stamp]) -> dict[date, list[Stamp]]:
    """The stamps (in order, without duplicates) of a plan's span, by the work date of the occurrence that each is of.

    A stamp goes to the occurrence in which somebody is in, else to the shift that claims its instant (the nearer one
    where two do), else to the day off on which it falls.
    """
    presence = _Presence()
    groups: dict[date, list[Stamp]] = {}
    for stamp in stamps:
        minute = minute_of(stamp.instant)
        home = _home(plan, stamp, minute, presence)
        if home is None or home.work_date not in plan.span:
            # It was kept with this span, so it belongs here whatever the roster says by now.
            home = plan.nearest(minute)
        if home is None:
            continue
        presence.take(home, stamp.direction, minute)
        groups.setdefault(home.work_date, []).append(stamp)
    return groups


@dataclass(frozen=True, slots=True)
class Pairing:
    """The presence of one occurrence.

    Invariants: sessions are in order and do not overlap.
    """

    sessions: tuple[tuple[datetime, datetime], ...]
    open_since: Stamp | None = None  # a punch in without its counterpart
    out_alone: Stamp | None = None  # a first punch out without its counterpart


def pair(stamps: Sequence[Stamp], longest_minutes: int) -> Pairing:
    """Each way in with the next way out. A second way in is ignored, as is a second way out.

    Stamps that do not tell a direction go in and out by turns.
    """
    sessions: list[tuple[datetime, datetime]] = []
    since: Stamp | None = None
    forgotten: Stamp | None = None
    out_alone: Stamp | None = None
    longest = timedelta(minutes=longest_minutes)
    for stamp in stamps:
        if since is not None and stamp.instant - since.instant > longest:
            forgotten, since = forgotten or since, None
        if stamp.direction is Direction.IN or (stamp.direction is Direction.EITHER and since is None):
            since = since or stamp
        elif since is not None:
            sessions.append((since.instant, stamp.instant))
            since = None
        elif not sessions:
            out_alone = out_alone or stamp
    return Pairing(tuple(sessions), forgotten or since, out_alone)


def as_minutes(session: tuple[datetime, datetime]) -> Span:
    """A session in whole minutes; seconds are dropped at both ends."""
    return (minute_of(session[0]), minute_of(session[1]))
