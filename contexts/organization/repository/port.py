"""The questions that handlers and queries ask of storage."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Protocol
from uuid import UUID

from contexts.organization.domain.employee import Employee
from contexts.organization.domain.history import Change, ChangeKind, Segment
from contexts.organization.domain.org_chart import Content, EntryChange, EntryKind, OrgChart, Reference
from contexts.organization.domain.policies import ReportingLine
from contexts.organization.domain.values import EmployeeStatus, Sealed, Spell
from kernel.ids import EmployeeId, Version
from kernel.period import Period

NUMBERS_TOLD = 5  # of those who name an entry that would be closed

# ---------------------------------------------------------------------------------------------- commands


class Employees(Protocol):
    """The employees of one tenant, to be changed."""

    async def get(self, id: EmployeeId, seen: Version | None = None) -> Employee:
        """Locked until the transaction ends. Raises EmployeeNotFound, Stale."""
        ...

    async def get_many(self, ids: Sequence[EmployeeId]) -> Mapping[EmployeeId, Employee]:
        """Those that exist, locked in order of id."""
        ...

    async def add(self, employee: Employee) -> None:
        """Raises EmployeeNumberTaken."""
        ...

    async def add_many(self, employees: Sequence[Employee]) -> None:
        """At most 500, whose numbers `numbers_taken` did not name; a race for one is run again as a whole."""
        ...

    async def save(self, employee: Employee) -> None:
        """Raises Stale."""
        ...

    async def save_many(self, employees: Sequence[Employee]) -> None:
        """Raises Stale for the first that somebody else changed."""
        ...

    async def numbers_taken(self, numbers: Sequence[str]) -> frozenset[str]:
        """Those of the numbers that employees have."""
        ...

    async def known(self, ids: Iterable[EmployeeId]) -> frozenset[EmployeeId]:
        """Those of the ids that are employees."""
        ...

    async def lock_reporting_lines(self) -> None:
        """Hold the rule "nobody reports to themselves" still until the transaction ends."""
        ...

    async def reporting_lines(self, ids: Sequence[EmployeeId]) -> Sequence[ReportingLine]:
        """To whom these report, on their employed days, as known now."""
        ...

    async def who_names(self, kind: EntryKind, code: str, days: Period) -> "InUse":
        """Whose assignment names the entry on an employed day of `days`, as known now."""
        ...


@dataclass(frozen=True, slots=True)
class InUse:
    """How many employees name an entry of the org chart, and the first of their numbers."""

    count: int = 0
    numbers: tuple[str, ...] = ()


class OrgCharts(Protocol):
    """The tenant's org chart, to be published or to be looked up by a command."""

    async def get_to_publish(self, changes: Sequence[EntryChange]) -> OrgChart:
        """The head, locked against every other command, with what publishing `changes` must see."""
        ...

    async def save(self, chart: OrgChart) -> None:
        """Raises Stale."""
        ...

    async def looked_up(self, references: Iterable[Reference]) -> Content:
        """These entries at the latest version, which stays the latest until the transaction ends."""
        ...


class Vault(Protocol):
    """Sealing and opening of encrypted fields, each bound to its employee."""

    def seal(self, employee_id: EmployeeId, field: str, plaintext: str) -> Sealed:
        """The sealed value; a national id carries its blind index."""
        ...

    def open(self, employee_id: EmployeeId, field: str, sealed: Sealed) -> str:
        """The plaintext. Raises where the ciphertext is not of this employee and field."""
        ...

    def index(self, plaintext: str) -> bytes:
        """The blind index of a national id: equal for equal ones of this tenant only."""
        ...


class Unit(Protocol):
    """One command's work."""

    @property
    def employees(self) -> Employees: ...

    @property
    def org_charts(self) -> OrgCharts: ...

    @property
    def vault(self) -> Vault: ...

    def now(self) -> datetime:
        """The current instant, read inside the write transaction."""
        ...

    def new_id(self) -> UUID:
        """A new UUIDv7."""
        ...

    def note(self, subject: UUID | str, reason: str | None = None, before: bytes = b"", after: bytes = b"") -> None:
        """What the audit row says."""
        ...


# ----------------------------------------------------------------------------------------------- queries


class Documents(Protocol):
    """How the facts of a segment are encoded once, so that no page encodes them again."""

    def encode(self, segment: Segment) -> tuple[bytes, bytes | None]:
        """The person without sealed fields, and the work facts; the same bytes for the same facts."""
        ...


@dataclass(frozen=True, slots=True)
class EmployeeReading:
    """One employee on one date, as stored.

    `work` and `person` are documents that `Documents` encoded; `sealed` gives the encrypted fields, unopened.
    """

    employee_id: EmployeeId
    number: str
    version: int
    record_time: datetime
    spell: Spell | None
    person: bytes
    work: bytes | None
    sealed: Callable[[], Mapping[str, Sealed]]

    def status(self, day: date) -> EmployeeStatus:
        """Where the employee stands on `day`."""
        return EmployeeStatus.TERMINATED if self.spell is None else self.spell.status(day)


@dataclass(frozen=True, slots=True)
class SegmentReading:
    """Employed days of one employee with their work facts; `days` lie in the spell and in what was asked for."""

    employee_id: EmployeeId
    number: str
    days: Period
    spell: Spell
    location: str
    work: bytes


@dataclass(frozen=True, slots=True)
class SlicePage:
    """Segments of whole employees in order of employee id and date; `next_after` is None at the end."""

    segments: Sequence[SegmentReading]
    next_after: EmployeeId | None


class Sort(Enum):
    """The order of a list; ties by employee id."""

    EMPLOYEE_NUMBER = "EMPLOYEE_NUMBER"
    NAME = "NAME"
    HIRE_DATE = "HIRE_DATE"


@dataclass(frozen=True, slots=True)
class Reporting:
    """Who reports to one of these managers on a day, as known now."""

    managers: frozenset[EmployeeId]
    day: date


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which employees to list. Empty ones do not filter."""

    as_of: date
    known_at: datetime | None = None
    statuses: tuple[EmployeeStatus, ...] = ()
    departments: tuple[str, ...] = ()
    legal_entities: tuple[str, ...] = ()
    pay_group: str = ""
    location: str = ""
    manager_id: EmployeeId | None = None
    reporting: Reporting | None = None
    q: str = ""
    employee_number: str = ""
    national_id_index: bytes = b""
    updated_since: datetime | None = None
    sort: Sort = Sort.EMPLOYEE_NUMBER


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of a list, with the key by which it was sorted (text; dates in ISO form)."""

    reading: EmployeeReading
    key: str


@dataclass(frozen=True, slots=True)
class PayQuestion:
    """The people of a pay group in a period, as known at an instant; None: as known now."""

    pay_group: str
    period: Period
    known_at: datetime | None = None
    employee_ids: tuple[EmployeeId, ...] = ()


@dataclass(frozen=True, slots=True)
class Changed:
    """What was recorded of one employee's pay facts, in order."""

    employee_id: EmployeeId
    kinds: tuple[ChangeKind, ...]
    first_record_time: datetime
    last_record_time: datetime


@dataclass(frozen=True, slots=True)
class ChangedPage:
    """Employees in order of id; `next_after` is None at the end."""

    employees: Sequence[Changed]
    next_after: EmployeeId | None


class EmployeeReadings(Protocol):
    """Reads of employees. `known_at` None means as known now."""

    async def one(self, id: EmployeeId, as_of: date, known_at: datetime | None) -> EmployeeReading | None: ...

    async def many(
        self, ids: Sequence[EmployeeId], as_of: date, known_at: datetime | None
    ) -> Mapping[EmployeeId, EmployeeReading]: ...

    async def page(self, criteria: Criteria, after: tuple[str, EmployeeId] | None, limit: int) -> Sequence[Listed]: ...

    async def managers_below(self, reporting: Reporting, limit: int) -> Sequence[EmployeeId]:
        """Those of `reporting` who have reports of their own that day, at most `limit`."""
        ...

    async def holders(self, positions: Sequence[str], day: date, known_at: datetime | None) -> Mapping[str, int]:
        """How many people in employment hold each of these positions on the day; those that nobody holds left out."""
        ...

    async def history(self, id: EmployeeId, known_at: datetime | None) -> Sequence[Change]:
        """All changes in order of version; empty for no such employee."""
        ...

    async def pay_slice(self, question: PayQuestion, after: EmployeeId | None, limit: int) -> SlicePage: ...

    async def employed(self, ids: Sequence[EmployeeId], since: date) -> Sequence[SegmentReading]:
        """Employed days from `since` on (stretches that began before it are whole), in order of id and date."""
        ...

    async def versions(self, ids: Sequence[EmployeeId]) -> Mapping[EmployeeId, tuple[str, int]]:
        """Number and version of those that exist."""
        ...

    async def latest_record_time(self, pay_group: str, since: datetime) -> datetime | None:
        """When the youngest fact of the pay group was recorded; any instant up to `since` where it is no younger."""
        ...

    async def feed_position(self) -> int:
        """Position of the newest entry of the feed."""
        ...

    async def changed_since(
        self, question: PayQuestion, position: int, after: EmployeeId | None, limit: int
    ) -> ChangedPage:
        """Whose pay facts were changed after `question.known_at`, else after that position of the feed."""
        ...


class OrgChartReadings(Protocol):
    """Reads of the org chart."""

    async def head(self, catalog_version: int = 0) -> tuple[int, datetime | None]:
        """The latest version, or the one asked for, and when it was published. Raises EntryNotFound for a later one."""
        ...

    async def head_known_at(self, known_at: datetime) -> tuple[int, datetime | None]:
        """The version that was the latest at the instant, and when it was published; 0 and None before the first."""
        ...

    async def content(
        self, catalog_version: int, kinds: Sequence[EntryKind] = (), references: Iterable[Reference] = ()
    ) -> Content:
        """The entries of these kinds (all, when empty and no references are given), or only those referred to."""
        ...

    async def page(
        self, catalog_version: int, kind: EntryKind, after_code: str, limit: int
    ) -> tuple[Content, str | None]:
        """All dated entries of the next codes, whole, and the last code where there may be more."""
        ...


class View(Protocol):
    """What a query reads from."""

    @property
    def employees(self) -> EmployeeReadings: ...

    @property
    def org_charts(self) -> OrgChartReadings: ...

    @property
    def vault(self) -> Vault: ...

    async def database_time(self) -> datetime:
        """The database's clock."""
        ...

    @property
    def settle_margin_s(self) -> float:
        """How old a fact is until no transaction under way can add to it."""
        ...
