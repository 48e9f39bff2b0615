"""The one place where organization is wired together."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import cached_property

from dependency_injector import providers

from chassis.clock import SystemClock
from chassis.crypto import FieldCipher
from chassis.database import Database, Tx
from chassis.principal import Call
from chassis.unit_of_work import Commands, Queries, UnitOfWork
from contexts.organization.adapters.documents import ProtoDocuments
from contexts.organization.adapters.published import published
from contexts.organization.adapters.servicer import EmployeeServicer, OrgChartServicer
from contexts.organization.adapters.vault import CipherVault
from contexts.organization.repository.sql import SqlEmployees, SqlOrgCharts
from contexts.organization.repository.sql_readings import SqlEmployeeReadings, SqlOrgChartReadings
from kernel.clock import Clock


class SqlUnit(UnitOfWork):
    """One command's work over SQL."""

    def __init__(self, tx: Tx, call: Call, clock: Clock, cipher: FieldCipher) -> None:
        super().__init__(tx, call, clock)
        self._cipher = cipher

    @cached_property
    def employees(self) -> SqlEmployees:
        """Employees to be changed."""
        return SqlEmployees(self.tx, self.outbox, ProtoDocuments())

    @cached_property
    def org_charts(self) -> SqlOrgCharts:
        """The org chart to be published or looked up."""
        return SqlOrgCharts(self.tx, self.outbox)

    @cached_property
    def vault(self) -> CipherVault:
        """The tenant's encrypted fields."""
        return CipherVault(self._cipher, self.tx.tenant_id)


class SqlView:
    """What a query reads from."""

    def __init__(
        self,
        tx: Tx,
        cipher: FieldCipher,
        database_time: Callable[[], Awaitable[datetime]],
        settle_margin_s: float,
    ) -> None:
        self._tx = tx
        self._cipher = cipher
        self._database_time = database_time
        self.settle_margin_s = settle_margin_s

    async def database_time(self) -> datetime:
        """The database's clock."""
        return await self._database_time()

    @cached_property
    def employees(self) -> SqlEmployeeReadings:
        """Employees to be read."""
        return SqlEmployeeReadings(self._tx)

    @cached_property
    def org_charts(self) -> SqlOrgChartReadings:
        """The org chart to be read."""
        return SqlOrgChartReadings(self._tx)

    @cached_property
    def vault(self) -> CipherVault:
        """The tenant's encrypted fields."""
        return CipherVault(self._cipher, self._tx.tenant_id)


def sql_unit(cipher: FieldCipher) -> Callable[[Tx, Call, Clock], SqlUnit]:
    """How a unit of work is opened."""
    return lambda tx, call, clock: SqlUnit(tx, call, clock, cipher)


def sql_view(cipher: FieldCipher, database: Database, settle_margin_s: float) -> Callable[[Tx], SqlView]:
    """How a view is opened."""
    return lambda tx: SqlView(tx, cipher, database.settled, settle_margin_s)


class Container:
    """Organization's parts, each made when it is first asked for."""

    def __init__(
        self, database: Database, cipher: FieldCipher, settle_margin_s: float, committed: Callable[[], None]
    ) -> None:
        clock = providers.Singleton(SystemClock)
        unit = providers.Singleton(sql_unit, cipher)
        view = providers.Singleton(sql_view, cipher, database, settle_margin_s)
        commands = providers.Singleton(Commands, database, unit, published, clock, committed, cipher)
        queries = providers.Singleton(Queries, database, view)
        self.employees = providers.Singleton(EmployeeServicer, commands, queries, clock)
        self.org_charts = providers.Singleton(OrgChartServicer, commands, queries, clock)
