"""The unit of work over payroll's tables."""

from chassis.database import Tx
from chassis.principal import Call
from chassis.unit_of_work import UnitOfWork
from contexts.payroll.repository.sql.catalogs import CatalogCache, SqlCatalogs
from contexts.payroll.repository.sql.pay_inputs import SqlPayInputs
from contexts.payroll.repository.sql.payments import SqlPayments
from contexts.payroll.repository.sql.payslips import SqlPayslips
from contexts.payroll.repository.sql.runs import SqlRuns
from kernel.clock import Clock
from kernel.ids import TenantId


class SqlPayrollWork(UnitOfWork):
    """One command's work on payroll's tables."""

    def __init__(self, tx: Tx, call: Call, clock: Clock, kept: CatalogCache) -> None:
        super().__init__(tx, call, clock)
        self.catalogs = SqlCatalogs(tx, kept, self.outbox)
        self.runs = SqlRuns(tx, self.outbox)
        self.payslips = SqlPayslips(tx)
        self.payments = SqlPayments(tx)
        self.inputs = SqlPayInputs(tx, self.outbox)

    @property
    def tenant_id(self) -> TenantId:
        """The tenant of the call."""
        return self.tx.tenant_id

    @property
    def actor(self) -> str:
        """The subject that calls."""
        return self.call.principal.subject

    async def lock(self, name: str) -> None:
        """Hold the tenant's named lock until the work ends."""
        await self.tx.lock(name)
