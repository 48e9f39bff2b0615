"""The one place where attendance is wired together."""

from collections.abc import Callable
from functools import cached_property
from uuid import UUID

from dependency_injector import providers

from chassis.clock import SystemClock
from chassis.database import Database, Tx
from chassis.principal import Call
from chassis.unit_of_work import Commands, Queries, UnitOfWork
from contexts.attendance.adapters.board_servicer import BoardServicer
from contexts.attendance.adapters.codec import ProtoTotals
from contexts.attendance.adapters.published import published
from contexts.attendance.adapters.servicer import RosterServicer, TimeCatalogServicer, TimesheetServicer
from contexts.attendance.repository.planners import Planners
from contexts.attendance.repository.sql import SqlBadges, SqlCatalog, SqlRoster, SqlTimesheets
from contexts.attendance.repository.sql_readings import SqlReadings
from kernel.clock import Clock
from kernel.ids import EmployeeId


class SqlAttendanceWork(UnitOfWork):
    """One command's work over SQL."""

    def __init__(self, tx: Tx, call: Call, clock: Clock, planners: Planners) -> None:
        super().__init__(tx, call, clock)
        self._planners = planners

    @cached_property
    def timesheets(self) -> SqlTimesheets:
        """Timesheets to be changed, and their punches."""
        return SqlTimesheets(self.tx, self.outbox, ProtoTotals())

    @cached_property
    def roster(self) -> SqlRoster:
        """The roster."""
        return SqlRoster(self.tx, self._planners)

    @cached_property
    def badges(self) -> SqlBadges:
        """By which numbers terminals name people."""
        return SqlBadges(self.tx)

    @cached_property
    def catalog(self) -> SqlCatalog:
        """The time catalog."""
        return SqlCatalog(self.tx, self.outbox, self._planners)

    @property
    def actor(self) -> str:
        """The principal's subject."""
        return self.call.principal.subject[:80]

    @property
    def actor_employee(self) -> EmployeeId | None:
        """The employee that the principal is."""
        return self.call.principal.employee_id

    def note(self, subject: UUID | str, reason: str | None = None, before: bytes = b"", after: bytes = b"") -> None:
        """What the audit row says."""
        super().note(subject, reason, before, after)


def sql_work(planners: Planners) -> Callable[[Tx, Call, Clock], SqlAttendanceWork]:
    """How a unit of work is opened."""
    return lambda tx, call, clock: SqlAttendanceWork(tx, call, clock, planners)


def sql_readings(planners: Planners, database: Database) -> Callable[[Tx], SqlReadings]:
    """How readings are opened."""
    return lambda tx: SqlReadings(tx, planners, ProtoTotals(), database.settled, database.settle_margin_s)


class Container:
    """Attendance's parts, each made when it is first asked for."""

    def __init__(self, database: Database, committed: Callable[[], None]) -> None:
        clock = providers.Singleton(SystemClock)
        planners = providers.Singleton(Planners)
        work = providers.Singleton(sql_work, planners)
        commands = providers.Singleton(Commands, database, work, published, clock, committed)
        queries = providers.Singleton(Queries, database, providers.Singleton(sql_readings, planners, database))
        self.timesheets = providers.Singleton(TimesheetServicer, commands, queries, clock)
        self.boards = providers.Singleton(BoardServicer, queries, clock)
        self.roster = providers.Singleton(RosterServicer, commands, queries)
        self.time_catalog = providers.Singleton(TimeCatalogServicer, commands, queries)
