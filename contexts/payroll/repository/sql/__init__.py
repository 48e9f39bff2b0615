"""Payroll in SQL: explicit mapping between rows and values."""

from contexts.payroll.repository.sql.readings import SqlPayrollReading, being_calculated, calculating, recalculated
from contexts.payroll.repository.sql.work import SqlPayrollWork

__all__ = ["SqlPayrollReading", "SqlPayrollWork", "being_calculated", "calculating", "recalculated"]
