"""Builders for attendance: a small company's time catalog, placements, and punches written as one would say them."""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from chassis.database import Database
from chassis.outbox import Saved
from chassis.principal import Call, Principal
from contexts.attendance.adapters.codec import ProtoTotals
from contexts.attendance.adapters.published import published as message_of
from contexts.attendance.container import SqlAttendanceWork
from contexts.attendance.domain.catalog import (
    CalendarDay,
    CatalogEntry,
    DayKind,
    Definition,
    HolidayCalendar,
    OvertimePolicy,
    OvertimeRule,
    Shift,
    TimeCatalog,
    WorkSchedule,
)
from contexts.attendance.domain.evaluation import Excuse, Outcome, evaluate
from contexts.attendance.domain.planning import Plan, Planner
from contexts.attendance.domain.punches import Direction, Punch, Source, Stamp
from contexts.attendance.domain.roster import Placement, RosterEntry
from contexts.attendance.handlers import publish_catalog
from contexts.attendance.handlers.ensure_roster import ensure_rosters
from contexts.attendance.handlers.publish_catalog import PublishEntry
from contexts.attendance.handlers.record_punches import PunchMade
from contexts.attendance.handlers.work import AttendanceWork
from contexts.attendance.repository.memory import MemoryAttendance
from contexts.attendance.repository.planners import Planners
from contexts.attendance.repository.port import Readings
from contexts.attendance.repository.sql_readings import SqlReadings
from contexts.attendance.repository.tables import metadata
from kernel.clock import utc
from kernel.ids import AssignmentId, EmployeeId, TenantId
from kernel.period import Period

CN_2026 = json.loads((Path(__file__).parents[1] / "data" / "cn_calendar_2026.json").read_text())
SHANGHAI = "Asia/Shanghai"
FIRST_DAY = date(2020, 1, 1)
RECORDED = datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC"))


def minutes(clock: str) -> int:
    """Minutes of the day: "09:30" is 570."""
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def spans(*texts: str) -> list[tuple[int, int]]:
    """Wall-clock spans: "09:00-18:00"."""
    return [(minutes(text[:5]), minutes(text[6:])) for text in texts]


DAY = Shift.of("DAY", spans("09:00-18:00"), spans("12:00-13:00"), late_grace_minutes=5, early_leave_grace_minutes=5)
NIGHT = Shift.of("NIGHT", spans("22:00-06:00"), spans("02:00-02:30"), late_grace_minutes=5)
OFFICE = WorkSchedule("STANDARD-5X8", ("DAY",) * 5 + ("", ""), holiday_calendar="CN", overtime_policy="CN-STANDARD")
NIGHTS = WorkSchedule("NIGHT-5X8", ("NIGHT",) * 5 + ("", ""), holiday_calendar="CN", overtime_policy="CN-STANDARD")
CN_OVERTIME = OvertimePolicy(
    "CN-STANDARD",
    (
        OvertimeRule(DayKind.WORKDAY, "CN_OVERTIME_150", min_minutes=30),
        OvertimeRule(DayKind.REST_DAY, "CN_OVERTIME_200", min_minutes=30),
        OvertimeRule(DayKind.HOLIDAY, "CN_OVERTIME_300", min_minutes=30),
    ),
    night=(minutes("22:00"), minutes("06:00")),
)


def china_2026() -> HolidayCalendar:
    """The published calendar of 2026. Source: the State Council's notice named in tests/data/cn_calendar_2026.json."""
    statutory = set(CN_2026["statutory_holidays"])
    days = [
        CalendarDay(date.fromisoformat(day), DayKind.HOLIDAY if day in statutory else DayKind.REST_DAY)
        for day in CN_2026["days_off"]
    ]
    days += [CalendarDay(date.fromisoformat(day), DayKind.WORKDAY) for day in CN_2026["weekend_working_days"]]
    return HolidayCalendar("CN", tuple(days), name="China 2026", source=CN_2026["source"])


def a_catalog(*more: Definition) -> TimeCatalog:
    """Day and night shifts five days a week, the calendar of China, overtime by its law; then `more`."""
    catalog = TimeCatalog(0)
    for definition in (DAY, NIGHT, OFFICE, NIGHTS, china_2026(), CN_OVERTIME, *more):
        catalog = published(catalog, definition, FIRST_DAY)
    return catalog


def published(catalog: TimeCatalog, definition: Definition, effective_date: date) -> TimeCatalog:
    """The catalog with one more definition."""
    return catalog.with_entry(CatalogEntry(catalog.version + 1, effective_date, definition, RECORDED))


def a_placement(
    schedule: str = "STANDARD-5X8",
    time_zone: str = SHANGHAI,
    *,
    since: date = FIRST_DAY,
    punch_exempt: bool = False,
) -> Placement:
    """Somebody in Shanghai who works office hours."""
    return Placement(
        Period.since(since),
        AssignmentId(UUID(int=7)),
        schedule,
        time_zone,
        department="ENG",
        pay_group="CN-MONTHLY",
        punch_exempt=punch_exempt,
    )


def a_plan(
    first: date,
    last: date | None = None,
    *,
    schedule: str = "STANDARD-5X8",
    time_zone: str = SHANGHAI,
    catalog: TimeCatalog | None = None,
    punch_exempt: bool = False,
) -> Plan:
    """The plan from a first to a last day (inclusive)."""
    span = Period(first, (last or first) + timedelta(days=1))
    placement = a_placement(schedule, time_zone, punch_exempt=punch_exempt)
    return Planner(catalog or a_catalog()).plan([placement], span)


def at(text: str, time_zone: str = SHANGHAI) -> datetime:
    """An instant from local time: "2026-11-23 09:00", the first of two where the clock shows it twice."""
    return utc(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(time_zone)))


def punches(*texts: str, time_zone: str = SHANGHAI) -> list[Stamp]:
    """Stamps: "in 2026-11-23 09:00", "out 2026-11-23 18:00", or without a word where the terminal does not tell."""
    stamps = []
    for text in texts:
        word, _, rest = text.partition(" ")
        way = {"in": Direction.IN, "out": Direction.OUT}.get(word)
        stamps.append(Stamp(at(rest if way else text, time_zone), way or Direction.EITHER, uuid4()))
    return stamps


def off(
    day: str, code: str = "UNPAID", *, minutes: int | None = None, paid_share: str = "0"
) -> dict[date, list[Excuse]]:
    """An absence on one day."""
    return {date.fromisoformat(day): [Excuse(code, Decimal(paid_share), minutes)]}


def outcomes(
    plan: Plan,
    stamps: Iterable[Stamp] = (),
    excuses: dict[date, list[Excuse]] | None = None,
    *,
    debounce_seconds: int = 60,
    now: datetime | None = None,
) -> tuple[Outcome, ...]:
    """What came of every occurrence of the plan."""
    return evaluate(plan, list(stamps), excuses or {}, debounce_seconds, now)


def parts(found: Sequence[Outcome]) -> dict[tuple[str, str], int]:
    """Minutes by pay code and kind of day."""
    added: dict[tuple[str, str], int] = {}
    for outcome in found:
        for part in outcome.parts:
            key = (part.pay_code, part.day_kind.value)
            added[key] = added.get(key, 0) + part.minutes
    return added


# ------------------------------------------------------------------------------------------------- storage


@dataclass
class TestClock:
    """A clock that is told the time."""

    __test__ = False
    at: datetime = field(default_factory=lambda: at("2026-12-02 12:00"))

    def now(self) -> datetime:
        """The time it was told, a microsecond later at each look."""
        self.at += timedelta(microseconds=1)
        return self.at


class Store(Protocol):
    """Somewhere to keep attendance."""

    clock: TestClock
    saved: list[Saved]

    def work(
        self, tenant_id: TenantId, actor: str = ..., actor_employee: EmployeeId | None = ...
    ) -> AbstractAsyncContextManager[AttendanceWork]: ...

    def readings(self, tenant_id: TenantId) -> AbstractAsyncContextManager[Readings]: ...


class MemoryStore:
    """In dictionaries."""

    def __init__(self) -> None:
        self.clock = TestClock()
        self.saved: list[Saved] = []
        self._rows = MemoryAttendance(self.clock.now, uuid4, ProtoTotals())

    @asynccontextmanager
    async def work(
        self, tenant_id: TenantId, actor: str = "process:test", actor_employee: EmployeeId | None = None
    ) -> AsyncIterator[AttendanceWork]:
        async with self._rows.work(tenant_id, actor, actor_employee) as work:
            yield work
        self.saved += work.outbox.saved

    @asynccontextmanager
    async def readings(self, tenant_id: TenantId) -> AsyncIterator[Readings]:
        yield self._rows.readings(tenant_id)


class SqlStore:
    """In a database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = TestClock()
        self.saved: list[Saved] = []
        self._planners = Planners()

    @asynccontextmanager
    async def work(
        self, tenant_id: TenantId, actor: str = "process:test", actor_employee: EmployeeId | None = None
    ) -> AsyncIterator[AttendanceWork]:
        principal = Principal(tenant_id, actor, frozenset(), actor_employee)
        async with self.database.write(tenant_id) as tx:
            work = SqlAttendanceWork(tx, Call(principal, "test", None, None, float("inf")), self.clock, self._planners)
            yield work
            await work.outbox.write(tx, message_of, uuid4, self.clock.now())
        self.saved += work.outbox.saved

    @asynccontextmanager
    async def readings(self, tenant_id: TenantId) -> AsyncIterator[Readings]:
        async with self.database.read(tenant_id) as tx:
            yield SqlReadings(tx, self._planners, ProtoTotals(), self._database_time, self.database.settle_margin_s)

    async def _database_time(self) -> datetime:
        """An hour after everything that a test records."""
        return self.clock.at + timedelta(hours=1)


@asynccontextmanager
async def sql_store(url: str) -> AsyncIterator[SqlStore]:
    """A store in a fresh database of that address."""
    database = Database(url, metadata, synchronous="OFF")
    try:
        await database.create_tables()
        yield SqlStore(database)
    finally:
        await database.close()


async def publish(store: Store, tenant_id: TenantId, *definitions: Definition) -> None:
    """Put the catalog of `a_catalog`, or these definitions."""
    for definition in definitions or (DAY, NIGHT, china_2026(), CN_OVERTIME, OFFICE, NIGHTS):
        async with store.work(tenant_id) as work:
            await publish_catalog.publish_entry(PublishEntry(definition, FIRST_DAY, None), work)


def an_entry(
    employee_id: EmployeeId | None = None,
    *placements: Placement,
    version: int = 1,
    number: str = "",
    **placed: Any,
) -> RosterEntry:
    """Somebody in the office, or where `placed` says."""
    id = employee_id or EmployeeId(uuid4())
    held = placements or (replace(a_placement(**placed), assignment_id=AssignmentId(uuid4())),)
    return RosterEntry(id, version, tuple(held), number)


async def enrol(store: Store, tenant_id: TenantId, *entries: RosterEntry) -> None:
    """Put people on the roster."""
    async with store.work(tenant_id) as work:
        await ensure_rosters(entries, work)


def a_punch(
    employee_id: EmployeeId | None,
    text: str,
    *,
    punch_id: UUID | None = None,
    number: str = "",
    source: Source = Source.DEVICE,
) -> PunchMade:
    """A punch of somebody: "in 2026-11-23 09:00"."""
    [stamp] = punches(text)
    stamp = stamp._replace(punch_id=punch_id or stamp.punch_id)
    return PunchMade(Punch(stamp, source, "", "gate-1", 7, stamp.instant), employee_id, number)


def a_day(employee_id: EmployeeId, day: date, start: str = "09:00", end: str = "18:00") -> list[PunchMade]:
    """A day of punches in and out."""
    return [a_punch(employee_id, f"in {day} {start}"), a_punch(employee_id, f"out {day} {end}")]
