"""The org chart: legal entities, registrations, locations, departments and positions, each dated and versioned."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import Enum

from contexts.organization.domain import events
from contexts.organization.domain.errors import (
    DateOutOfRange,
    DepartmentCycle,
    EntryInUse,
    EntryNotFound,
    EntryNotValid,
    HistoryTooLong,
    NothingChanges,
)
from contexts.organization.domain.values import EARLIEST, LATEST
from kernel.aggregate import AggregateRoot
from kernel.clock import strictly_after
from kernel.errors import Stale
from kernel.ids import TenantId, Version
from kernel.period import FOREVER, Period
from kernel.timeline import Timeline

MAX_CHANGES = 200_000  # entries ever published in one chart
NEVER_PUBLISHED = Version(0)
MAX_DEPTH = 50  # departments above each other
USERS_TOLD = 5  # of the entries that refer to one that would be closed


class EntryKind(Enum):
    """The kinds of entry; the order of the numbers is that of the chart."""

    LEGAL_ENTITY = 1
    WITHHOLDING_REGISTRATION = 2
    LOCATION = 3
    DEPARTMENT = 4
    POSITION = 5


@dataclass(frozen=True, slots=True)
class LegalEntity:
    """An employer; currency is that of its books."""

    country: str
    currency: str
    registration_number: str = ""


@dataclass(frozen=True, slots=True)
class WithholdingRegistration:
    """A registration of a legal entity under which tax is withheld."""

    legal_entity: str
    country: str
    currency: str
    registration_number: str = ""


@dataclass(frozen=True, slots=True)
class Location:
    """A workplace with its IANA time zone."""

    time_zone: str
    country: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Department:
    """A department; `parent` is empty at the top."""

    parent: str = ""


@dataclass(frozen=True, slots=True)
class Position:
    """A position with the number of people it is planned for; 0 is no plan, and none is a barrier."""

    department: str = ""
    headcount: int = 0


Detail = LegalEntity | WithholdingRegistration | Location | Department | Position
KINDS: Mapping[type[Detail], EntryKind] = {
    LegalEntity: EntryKind.LEGAL_ENTITY,
    WithholdingRegistration: EntryKind.WITHHOLDING_REGISTRATION,
    Location: EntryKind.LOCATION,
    Department: EntryKind.DEPARTMENT,
    Position: EntryKind.POSITION,
}
# What an entry of a kind refers to: the kind, and the name of the field that holds the code.
REFERS: Mapping[EntryKind, tuple[EntryKind, str]] = {
    EntryKind.WITHHOLDING_REGISTRATION: (EntryKind.LEGAL_ENTITY, "legal_entity"),
    EntryKind.DEPARTMENT: (EntryKind.DEPARTMENT, "parent"),
    EntryKind.POSITION: (EntryKind.DEPARTMENT, "department"),
}

Reference = tuple[EntryKind, str]  # kind and code


@dataclass(frozen=True, slots=True)
class Entry:
    """What one entry says from a date on."""

    code: str
    name: str
    detail: Detail

    @property
    def kind(self) -> EntryKind:
        """The kind, which follows from the detail."""
        return KINDS[type(self.detail)]

    @property
    def refers_to(self) -> Reference | None:
        """The entry that this one names."""
        if self.kind not in REFERS:
            return None
        kind, name = REFERS[self.kind]
        code = getattr(self.detail, name)
        return (kind, code) if code else None


@dataclass(frozen=True, slots=True)
class EntryChange:
    """One published change: what the entry says from a date on, None where it is closed."""

    kind: EntryKind
    code: str
    effective_date: date
    entry: Entry | None
    catalog_version: int = 0
    record_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """Entries at one version of the chart, over all dates: what commands look codes up in.

    Invariants: of two changes for one day, that of the higher version holds.
    """

    catalog_version: int = 0
    timelines: Mapping[Reference, Timeline[tuple[Entry, int] | None]] = field(default_factory=dict)
    versions: Mapping[Reference, int] = field(default_factory=dict)  # which version last said something of the entry
    _open: dict[Reference, tuple[Period, ...]] = field(default_factory=dict, compare=False, repr=False)  # remembered

    @classmethod
    def of(cls, changes: Iterable[EntryChange], catalog_version: int) -> "Content":
        """From changes in any order; those of a later version are left out."""
        known = sorted(
            (change for change in changes if change.catalog_version <= catalog_version),
            key=lambda change: change.catalog_version,
        )
        dated: dict[Reference, list[tuple[date, tuple[Entry, int] | None]]] = {}
        for change in known:
            said = None if change.entry is None else (change.entry, change.catalog_version)
            dated.setdefault((change.kind, change.code), []).append((change.effective_date, said))
        timelines = {reference: Timeline.from_changes(days) for reference, days in dated.items()}
        versions = {(change.kind, change.code): change.catalog_version for change in known}
        return cls(catalog_version, timelines, versions)

    def at(self, kind: EntryKind, code: str, day: date) -> Entry | None:
        """What the entry says on `day`, None where it is not open."""
        timeline = self.timelines.get((kind, code))
        said = timeline.at(day) if timeline is not None else None
        return said[0] if said is not None else None

    def open_periods(self, kind: EntryKind, code: str) -> tuple[Period, ...]:
        """The stretches of days on which the entry is open."""
        found = self._open.get((kind, code))
        if found is None:
            timeline = self.timelines.get((kind, code))
            slices = () if timeline is None else timeline.slices_
            is_open = Timeline.of((piece.period, True) for piece in slices if piece.value is not None)
            found = self._open[(kind, code)] = tuple(piece.period for piece in is_open.slices_)
        return found

    def require(self, kind: EntryKind, code: str, days: Period, *, field: str) -> None:
        """Raises EntryNotValid where the entry is not open on all of `days`."""
        periods = self.open_periods(kind, code)
        if any(period.covers(days) for period in periods):
            return
        what = kind.name.lower().replace("_", " ")
        if not periods:
            raise EntryNotValid(f"the org chart has no {what} {code}: publish it first", field=field, code=code)
        open_on = ", ".join(
            f"from {period.start}" + ("" if period.end == FOREVER else f" up to {period.last_day}")
            for period in periods
        )
        raise EntryNotValid(
            f"the {what} {code} is open {open_on}: that does not cover the days from {days.start} on",
            field=field,
            code=code,
        )


@dataclass(frozen=True, slots=True)
class OrgChartState:
    """The head of a tenant's chart, with as many entries as a publishing needs to see.

    Invariants: `version` rises by one with each publishing; `changes` are never edited.
    """

    tenant_id: TenantId
    version: Version = NEVER_PUBLISHED
    publish_time: datetime | None = None
    change_count: int = 0
    changes: tuple[EntryChange, ...] = ()

    def content(self) -> Content:
        """The entries that were loaded, at this version."""
        return Content.of(self.changes, self.version)


class OrgChart(AggregateRoot[OrgChartState]):
    """What a tenant's employees refer to by code.

    Invariants: published content never changes; an entry refers only to entries that are open on all of its own days;
    no department stands above itself.
    """

    def publish(self, changes: Sequence[EntryChange], now: datetime) -> None:
        """Give the chart its next version, with these changes, all or none.

        Raises EntryNotFound, EntryNotValid, EntryInUse, DepartmentCycle, DateOutOfRange, NothingChanges.
        """
        state = self.state
        before = state.content()
        version = Version(state.version + 1)
        publish_time = strictly_after(now, state.publish_time)
        _refuse_odd(changes, before)
        if state.change_count + len(changes) > MAX_CHANGES:
            raise HistoryTooLong(f"a chart has at most {MAX_CHANGES} published changes")
        dated = tuple(replace(change, catalog_version=version, record_time=publish_time) for change in changes)
        everything = (*state.changes, *dated)
        after = Content.of(everything, version)
        if all(_says(before, change) == _says(after, change) for change in changes):
            raise NothingChanges("every entry says this already on that date")
        _refuse_dangling(before, after)
        _refuse_cycles(after, dated)
        told = tuple((change.kind, change.code, change.effective_date, change.entry is None) for change in dated)
        self._apply(
            events.OrgChartPublished(version, told),
            version=version,
            publish_time=publish_time,
            change_count=state.change_count + len(dated),
            changes=everything,
        )

    def check_seen(self, kind: EntryKind, code: str, seen: int | None) -> None:
        """Raises Stale where the entry was published since version `seen` of it was read."""
        latest = max(
            (change.catalog_version for change in self.state.changes if (change.kind, change.code) == (kind, code)),
            default=0,
        )
        if seen is not None and seen != latest:
            raise Stale("somebody else published this entry first: read it again", field="etag")


def lost_days(before: Content, after: Content, changes: Iterable[EntryChange]) -> list[tuple[Reference, Period]]:
    """The days on which an entry was open and no longer is, per closed entry: nobody may refer to it then."""
    lost: list[tuple[Reference, Period]] = []
    for kind, code in sorted(
        {(change.kind, change.code) for change in changes}, key=lambda each: (each[0].value, each[1])
    ):
        kept = after.open_periods(kind, code)
        for period in before.open_periods(kind, code):
            lost.extend(((kind, code), gap) for gap in _minus(period, kept))
    return lost


def kinds_to_see(changes: Iterable[EntryChange]) -> frozenset[EntryKind]:
    """The kinds of which a publishing must see every entry; of the others only those that it names."""
    seen: set[EntryKind] = set()
    for change in changes:
        if change.kind in REFERS:
            seen.add(REFERS[change.kind][0])
        if change.entry is None:
            seen.update(kind for kind, (referred, _) in REFERS.items() if referred is change.kind)
    return frozenset(seen)


def _refuse_odd(changes: Sequence[EntryChange], before: Content) -> None:
    if not changes:
        raise NothingChanges("name at least one entry")
    named: set[tuple[EntryKind, str, date]] = set()
    for index, change in enumerate(changes):
        if not EARLIEST <= change.effective_date < LATEST:
            raise DateOutOfRange(f"name a date from {EARLIEST} to {LATEST}", field="effective_date")
        key = (change.kind, change.code, change.effective_date)
        if key in named:
            raise DateOutOfRange(
                f"{change.code} is named twice for {change.effective_date}: keep one", field=f"changes[{index}]"
            )
        named.add(key)
        if change.entry is None and before.at(change.kind, change.code, change.effective_date) is None:
            raise EntryNotFound(f"{change.code} is not open on {change.effective_date}: there is nothing to close")


def _says(content: Content, change: EntryChange) -> Entry | None:
    return content.at(change.kind, change.code, change.effective_date)


def _minus(period: Period, kept: Iterable[Period]) -> list[Period]:
    left: list[Period] = []
    start = period.start
    for keep in kept:
        if keep.end <= start or keep.start >= period.end:
            continue
        if keep.start > start:
            left.append(Period(start, keep.start))
        start = max(start, keep.end)
    if start < period.end:
        left.append(Period(start, period.end))
    return left


def _refuse_dangling(before: Content, after: Content) -> None:
    in_use: dict[Reference, dict[str, date]] = {}  # by what would be closed: who refers to it, and since when
    for (kind, code), timeline in after.timelines.items():
        unchanged = timeline == before.timelines.get((kind, code))
        for piece in timeline.slices_:
            if piece.value is None:
                continue
            referred = piece.value[0].refers_to
            if referred is None or referred not in after.timelines:
                if referred is not None and not unchanged:
                    raise EntryNotValid(
                        f"{code} refers to {referred[1]}, which the org chart does not have: publish it first",
                        field=REFERS[kind][1],
                        code=referred[1],
                    )
                continue
            if any(period.covers(piece.period) for period in after.open_periods(*referred)):
                continue
            if _was_fine(before, referred, piece.period):
                in_use.setdefault(referred, {}).setdefault(code, piece.period.start)
                continue
            after.require(*referred, piece.period, field=REFERS[kind][1])
    if in_use:
        (_, code), users = next(iter(in_use.items()))
        raise _still_referred_to(code, users)


def _still_referred_to(code: str, users: Mapping[str, date]) -> EntryInUse:
    told = sorted(users)[:USERS_TOLD]
    who = ", ".join(told) + ("" if len(told) == len(users) else f" and {len(users) - len(told)} more")
    verb, them = ("refers", "it") if len(users) == 1 else ("refer", "them")
    return EntryInUse(
        f"{who} still {verb} to {code} from {min(users.values())} on: move or close {them} first",
        code=code,
        count=len(users),
        used_by=",".join(told),
    )


def _was_fine(before: Content, referred: Reference, days: Period) -> bool:
    return any(period.covers(days) for period in before.open_periods(*referred))


def _refuse_cycles(after: Content, changes: Iterable[EntryChange]) -> None:
    departments = {code: line for (kind, code), line in after.timelines.items() if kind is EntryKind.DEPARTMENT}
    changed = [change for change in changes if change.kind is EntryKind.DEPARTMENT and change.entry is not None]
    if not changed:
        return
    first = min(change.effective_date for change in changed)
    days = {piece.period.start for line in departments.values() for piece in line.slices_ if piece.period.start > first}
    for day in sorted({first, *days}):
        parents: dict[str, str] = {}
        for code, line in departments.items():
            said = line.at(day)
            if said is not None and isinstance(said[0].detail, Department):
                parents[code] = said[0].detail.parent
        for change in changed:
            _climb(change.code, parents, day)


def _climb(code: str, parents: Mapping[str, str], day: date) -> None:
    above = parents.get(code, "")
    for _ in range(MAX_DEPTH):
        if not above:
            return
        if above == code:
            raise DepartmentCycle(f"on {day} {code} would stand above itself: choose another parent", field="parent")
        above = parents.get(above, "")
    raise DepartmentCycle(f"more than {MAX_DEPTH} departments stand above {code} on {day}", field="parent")
