"""Punches: which are duplicates, to which occurrence each belongs, and the presence that they add up to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from contexts.attendance.domain.catalog import PresenceRule
from contexts.attendance.domain.planning import Plan, PlannedOccurrence, distance
from contexts.attendance.domain.spans import Span, minute_of
from kernel.errors import InvalidValue


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


class Stamp(NamedTuple):  # as all that is made for each punch of a batch: a dataclass takes two or three times as long
    """What of a punch counts: when and which way."""

    instant: datetime
    direction: Direction
    punch_id: UUID

    @property
    def order(self) -> tuple[datetime, UUID]:
        """By time; of two at one instant, by id."""
        return (self.instant, self.punch_id)


CLOCK_TOLERANCE = timedelta(seconds=60)  # a terminal's clock may be off by so much: the way of the message is in it
HELD_BACK_MAX = timedelta(days=31)  # how long a terminal without network may hold a punch back


def by_terminal_clock(clock: datetime, sent: datetime, received: datetime) -> tuple[datetime, int]:
    """When a punch was made, by what the terminal's clock said then and said on sending; and the clock's skew.

    The skew is in whole seconds, above 0 for a clock that is slow. Within the tolerance the clock is believed, beyond
    it the punch is moved by the skew. Raises InvalidValue where the clock was set in between.
    """
    if not timedelta() <= sent - clock <= HELD_BACK_MAX:
        raise InvalidValue(
            f"a punch is sent after it was made and within {HELD_BACK_MAX.days} days, by one and the same clock",
            field="device_sent_at",
        )
    skew = (received - sent) // timedelta(seconds=1)
    return (clock if abs(received - sent) <= CLOCK_TOLERANCE else clock + timedelta(seconds=skew)), skew


class Punch(NamedTuple):
    """A punch as it was made; it never changes.

    Invariants: `punch_id` is unique in the tenant for ever; `clock_skew_seconds` is there where the terminal told its
    clock on sending.
    """

    stamp: Stamp
    source: Source
    time_zone: str
    device_id: str = ""
    device_sequence: int = 0
    device_clock: datetime | None = None
    clock_skew_seconds: int | None = None

    def made_in(self, time_zone: str) -> "Punch":
        """The same punch, where its client did not say in which zone."""
        return Punch(
            self.stamp,
            self.source,
            time_zone,
            self.device_id,
            self.device_sequence,
            self.device_clock,
            self.clock_skew_seconds,
        )

    def repeats(self, other: "Punch") -> bool:
        """Whether both tell of the same: by their time, or by the time of the terminal that made it."""
        if self.stamp == other.stamp:
            return True
        by_clock = self.clock_skew_seconds is not None and self.device_clock == other.device_clock
        return by_clock and self.stamp.direction is other.stamp.direction


def in_order(stamps: Iterable[Stamp]) -> list[Stamp]:
    """The stamps by time; the order of arrival does not matter."""
    return sorted(stamps, key=attrgetter("instant", "punch_id"))


def duplicates(stamps: Sequence[Stamp], debounce_seconds: int) -> dict[UUID, UUID]:
    """Which stamps (in order) are duplicates of which: those within the window after one that counts.

    An explicit IN and an explicit OUT are never duplicates of each other.
    """
    found: dict[UUID, UUID] = {}
    if not debounce_seconds:
        return found
    window = timedelta(seconds=debounce_seconds)
    counted: list[Stamp] = []  # within the window before the stamp at hand: at most one each way
    clear_after: datetime | None = None
    for stamp in stamps:
        if clear_after is None or stamp.instant > clear_after:
            counted, twin = [], None
        else:
            near = (other for other in counted if stamp.instant - other.instant <= window)
            twin = next((other for other in near if _same_way(other, stamp)), None)
        if twin is None:
            counted.append(stamp)
            clear_after = stamp.instant + window
        else:
            found[stamp.punch_id] = twin.punch_id
    return found


def _same_way(left: Stamp, right: Stamp) -> bool:
    return left.direction is right.direction or Direction.EITHER in (left.direction, right.direction)


def nearer(claiming: Sequence[PlannedOccurrence], direction: Direction, minute: int) -> PlannedOccurrence | None:
    """The nearest of the occurrences that claim a minute; of two as near, a punch out belongs to the earlier one."""
    ranked = claiming if direction is Direction.OUT else claiming[::-1]
    return min(ranked, key=lambda found: distance(found, minute), default=None)


def _disputed_home(plan: Plan, stamp: Stamp, minute: int, still: PlannedOccurrence | None) -> PlannedOccurrence | None:
    """Where a stamp belongs that no single shift claims, or that speaks while somebody is in elsewhere."""
    claiming = plan.claiming(minute)
    if still is not None and stamp.direction is not Direction.IN:
        own = any(found is still or not found.spans for found in claiming) or not claiming
        # Somebody is in: going out ends that, unless a terminal that does not tell speaks within another shift's time.
        if own or stamp.direction is Direction.OUT:
            return still
    home = nearer(claiming, stamp.direction, minute)
    if home is None or home.work_date not in plan.span:
        # It was kept with this span, so it belongs here whatever the roster says by now.
        return plan.nearest(minute)
    return home


def assign(plan: Plan, stamps: Sequence[Stamp]) -> dict[date, list[Stamp]]:
    """The stamps (in order, without duplicates) of a plan's span, by the work date of the occurrence that each is of.

    A stamp goes to the occurrence in which somebody is in, else to the shift that claims its instant (the nearer one
    where two do), else to the day off on which it falls.
    """
    groups: dict[date, list[Stamp]] = {}
    at: PlannedOccurrence | None = None  # where somebody was last, since when, and whether they are in
    since, inside = 0, False
    for stamp in stamps:
        minute = minute_of(stamp.instant)
        still = at if inside and at is not None and minute - since <= at.longest_presence else None
        home = plan.claimed_alone(minute)
        if home is None or (still is not None and still is not home) or home.work_date not in plan.span:
            home = _disputed_home(plan, stamp, minute, still)
            if home is None:
                continue
        if home is not at:
            still = None
        direction = stamp.direction
        inside = direction is Direction.IN or (direction is Direction.EITHER and still is None)
        if inside and still is None:
            since = minute
        at = home
        group = groups.get(home.work_date)
        if group is None:
            groups[home.work_date] = [stamp]
        else:
            group.append(stamp)
    return groups


@dataclass(frozen=True, slots=True)
class Pairing:
    """The presence of one occurrence.

    Invariants: sessions are in order and do not overlap.
    """

    sessions: tuple[tuple[datetime, datetime], ...]
    open_since: Stamp | None = None  # a punch in without its counterpart
    out_alone: Stamp | None = None  # a first punch out without its counterpart


def pair(stamps: Sequence[Stamp], longest_minutes: int, presence: PresenceRule = PresenceRule.EVERY_PAIR) -> Pairing:
    """Each way in with the next way out. A second way in is ignored, as is a second way out.

    Stamps that do not tell a direction go in and out by turns. FIRST_IN_LAST_OUT makes one session of all.
    """
    if presence is PresenceRule.FIRST_IN_LAST_OUT:
        return _first_to_last(stamps, longest_minutes)
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


def _first_to_last(stamps: Sequence[Stamp], longest_minutes: int) -> Pairing:
    came = next((stamp for stamp in stamps if stamp.direction is not Direction.OUT), None)
    went = next((stamp for stamp in reversed(stamps) if stamp.direction is not Direction.IN), None)
    if came is None:
        return Pairing((), None, went)
    if went is None or went.order <= came.order or went.instant - came.instant > timedelta(minutes=longest_minutes):
        return Pairing((), came)
    return Pairing(((came.instant, went.instant),))


def as_minutes(session: tuple[datetime, datetime]) -> Span:
    """A session in whole minutes; seconds are dropped at both ends."""
    return (minute_of(session[0]), minute_of(session[1]))
