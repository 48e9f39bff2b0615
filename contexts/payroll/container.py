"""The one place where payroll is wired together."""

from collections.abc import Callable
from typing import Any

from dependency_injector import providers

from chassis.clock import SystemClock
from chassis.database import Database
from chassis.settings import Settings
from chassis.unit_of_work import Commands, Queries
from contexts.payroll.adapters.calculation import Calculator
from contexts.payroll.adapters.chunk_service import Calculations, Chunks
from contexts.payroll.adapters.long_work import RunsBeingCalculated
from contexts.payroll.adapters.published import published
from contexts.payroll.adapters.reminders import Reminders
from contexts.payroll.adapters.reports import Reports
from contexts.payroll.adapters.servicer import PayrollCatalogServicer, PayrollRunServicer
from contexts.payroll.repository.sql import (
    SqlPayrollReading,
    SqlPayrollWork,
    being_calculated,
    calculating,
    recalculated,
)

NAME = "payroll"


def _work(kept: Any) -> Any:
    return lambda tx, call, clock: SqlPayrollWork(tx, call, clock, kept)


def _reading(kept: Any) -> Any:
    return lambda tx: SqlPayrollReading(tx, kept)


class Container:
    """Payroll's parts, each made when it is first asked for."""

    def __init__(self, settings: Settings, database: Database, committed: Callable[[], None]) -> None:
        clock = providers.Singleton(SystemClock)
        catalogs: providers.Singleton[Any] = providers.Singleton(dict)
        self.work = providers.Singleton(_work, catalogs)
        reading = providers.Singleton(_reading, catalogs)
        commands = providers.Singleton(Commands, database, self.work, published, clock, committed)
        queries = providers.Singleton(Queries, database, reading)
        self.calculator = providers.Singleton(Calculator, settings.workers)
        calculations = providers.Singleton(Calculations, database, reading, self.calculator)
        chunks = providers.Singleton(Chunks, database, self.work, published, clock, calculations, committed)
        self.reminders = providers.Singleton(
            Reminders,
            database,
            self.work,
            published,
            calculating,
            recalculated,
            clock,
            committed,
        )
        self.long_work = providers.Singleton(
            RunsBeingCalculated, database, self.reminders.provided.own, calculating, being_calculated
        )
        self.catalog_service = providers.Singleton(PayrollCatalogServicer, commands, queries)
        self.run_service = providers.Singleton(
            PayrollRunServicer,
            commands,
            queries,
            calculations,
            chunks,
            database,
            clock,
            settings.settle_margin_s(NAME),
            providers.Singleton(Reports, queries, calculations),
        )
