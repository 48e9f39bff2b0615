"""Reads of runs whose answer is more than one row: staleness that follows from the catalog."""

from dataclasses import replace

from contexts.payroll.domain.payroll_run import RunId, RunStatus, stale_hash
from contexts.payroll.handlers.runs import components_of
from contexts.payroll.repository.port import PayrollReading, RunView


async def get_run(id: RunId, view: PayrollReading) -> RunView:
    """The run with its counts; where the catalog says something else by now, every payslip is stale.

    Raises RunNotFound.
    """
    found = await view.run(id)
    state = found.state
    if state.status is not RunStatus.CALCULATED or not state.from_facts:
        return found
    newest = await view.newest_catalog()
    if newest.version == state.catalog_version:
        return found
    pinned = await view.catalog_at(state.catalog_version)
    if components_of(pinned, state) == components_of(newest, state):
        return found
    stale = [one.employee_id for one in await view.stale_payslips(id, None, 100_000)]
    return replace(found, stale=found.totals.payslip_count, stale_hash=stale_hash(newest.version, stale))
