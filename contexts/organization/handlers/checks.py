"""Rules that reach beyond one employee, asked inside the command's transaction before it is saved."""

from contexts.organization.domain.employee import Employee
from contexts.organization.domain.errors import ManagerCycle, ManagerNotFound
from contexts.organization.domain.history import Projection
from contexts.organization.domain.policies import MAX_LEVELS, ReportingLine, climb, namings, newly_named, require_valid
from contexts.organization.repository.port import Unit
from kernel.ids import EmployeeId
from kernel.period import Period


async def check_surroundings(employee: Employee, before: Projection, uow: Unit) -> None:
    """The org chart has what the employee newly names, and nobody comes to report to themselves.

    The chart's version and the reporting lines stay as they are until the transaction ends.
    Raises EntryNotValid, ManagerNotFound, ManagerCycle.
    """
    after = employee.state.projection
    named = namings(before, after)
    if named:
        content = await uow.org_charts.looked_up({(naming.kind, naming.code) for naming in named})
        require_valid(content, named)
    managers = newly_named(before, after, "manager_id")
    if managers:
        await uow.employees.lock_reporting_lines()
        await _check_managers(employee.state.id, managers, uow)


async def _check_managers(employee_id: EmployeeId, managers: tuple[tuple[EmployeeId, Period], ...], uow: Unit) -> None:
    known = await uow.employees.known(manager_id for manager_id, _ in managers)
    for manager_id, _ in managers:
        if manager_id not in known:
            raise manager_not_found(manager_id)
    above = managers
    for _ in range(MAX_LEVELS):
        if not above:
            return
        lines: dict[EmployeeId, list[ReportingLine]] = {}
        for line in await uow.employees.reporting_lines(sorted({manager_id for manager_id, _ in above})):
            lines.setdefault(line.employee_id, []).append(line)
        above = climb(employee_id, above, lines)
    raise ManagerCycle(f"more than {MAX_LEVELS} managers stand above each other: choose another", field="manager_id")


def manager_not_found(manager_id: EmployeeId) -> ManagerNotFound:
    """The refusal of a manager who is not here."""
    return ManagerNotFound(
        "the manager is no employee here: hire them first", field="manager_id", manager_id=manager_id
    )
