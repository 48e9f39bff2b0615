"""The one place where payroll is wired together."""

from collections.abc import Callable
from typing import Any

from dependency_injector import containers, providers

from chassis.clock import SystemClock
from chassis.database import Database
from chassis.settings import Settings
from chassis.unit_of_work import Commands, Queries
from contexts.payroll.adapters.calculation import Calculator
from contexts.payroll.adapters.chunk_service import Calculations, Chunks
from contexts.payroll.adapters.published import published
from contexts.payroll.adapters.reminders import Reminders
from contexts.payroll.adapters.servicer import PayrollCatalogServicer, PayrollRunServicer
from contexts.payroll.repository.sql import SqlPayrollReading, SqlPayrollWork, calculating, recalculated

NAME = "payroll"


def _work(kept: Any) -> Any:
    return lambda tx, call, clock: SqlPayrollWork(tx, call, clock, kept)


def _reading(kept: Any) -> Any:
    return lambda tx: SqlPayrollReading(tx, kept)


class Container(containers.DeclarativeContainer):
    """Payroll's parts; the settings, the database and `committed` are given to it."""

    settings: providers.Dependency[Settings] = providers.Dependency(instance_of=Settings)
    database: providers.Dependency[Database] = providers.Dependency(instance_of=Database)
    committed: providers.Dependency[Callable[[], None]] = providers.Dependency(default=providers.Object(lambda: None))
    clock = providers.Singleton(SystemClock)

    catalogs: providers.Singleton[Any] = providers.Singleton(dict)
    work = providers.Singleton(_work, catalogs)
    reading = providers.Singleton(_reading, catalogs)
    commands = providers.Singleton(Commands, database, work, providers.Object(published), clock, committed)
    queries = providers.Singleton(Queries, database, reading)
    calculator = providers.Singleton(Calculator, settings.provided.workers)
    calculations = providers.Singleton(Calculations, database, reading, calculator)
    chunks = providers.Singleton(Chunks, database, work, providers.Object(published), clock, calculations, committed)
    reminders = providers.Singleton(
        Reminders,
        database,
        work,
        providers.Object(published),
        providers.Object(calculating),
        providers.Object(recalculated),
        clock,
        committed,
    )

    catalog_service = providers.Singleton(PayrollCatalogServicer, commands, queries)
    run_service = providers.Singleton(
        PayrollRunServicer,
        commands,
        queries,
        calculations,
        chunks,
        database,
        clock,
        settings.provided.settle_margin_s.call(NAME),
    )
