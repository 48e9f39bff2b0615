"""Hiring: one person, many at once, and somebody who was here before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from contexts.organization.domain.employee import Employee, EmployeeState, Recording
from contexts.organization.domain.errors import EmployeeNumberTaken
from contexts.organization.domain.history import Projection
from contexts.organization.domain.policies import Naming, namings, newly_named, require_valid
from contexts.organization.domain.values import Assignment, Compensation, EndReason, FieldValue, Work
from contexts.organization.handlers.checks import check_surroundings, manager_not_found
from contexts.organization.handlers.person import Told, sealed_person
from contexts.organization.repository.port import Unit
from kernel.errors import DomainError
from kernel.ids import AssignmentId, EmployeeId, Version

NOTHING = Projection()


@dataclass(frozen=True, slots=True)
class Terms:
    """As what and on which terms somebody works from a first day on; the assignment's id is given by the handler."""

    assignment: Mapping[str, FieldValue]
    compensation: Compensation | None
    allowances: tuple[tuple[str, Compensation], ...]
    statutory: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]

    def work(self, assignment_id: AssignmentId) -> Work:
        """The work facts."""
        fields: dict[str, Any] = dict(self.assignment)
        return Work(Assignment(assignment_id, **fields), self.compensation, self.allowances, self.statutory)


@dataclass(frozen=True, slots=True)
class Hire:
    """Everything that a hire tells."""

    employee_number: str
    person: Told
    hire_date: date
    end_date: date | None
    terms: Terms


@dataclass(frozen=True, slots=True)
class HireEmployee:
    """Hire one person."""

    hire: Hire
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HireEmployees:
    """Hire many; each is decided alone. `dry_run` decides and writes nothing."""

    hires: Sequence[Hire]
    reason: str = ""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class RehireEmployee:
    """Hire a former employee again."""

    employee_id: EmployeeId
    seen: Version | None
    hire_date: date
    end_date: date | None
    terms: Terms
    reason: str = ""


def _hired(hire: Hire, reason: str, uow: Unit) -> Employee:
    id = EmployeeId(uow.new_id())
    person = sealed_person(hire.person, id, uow.vault)
    work = hire.terms.work(AssignmentId(uow.new_id()))
    recording = Recording(uow.new_id(), uow.now(), reason)
    employee = Employee.hire(id, hire.employee_number, person, hire.hire_date, work, recording)
    if hire.end_date is not None:
        employee.terminate(hire.end_date, EndReason.END_OF_TERM, Recording(uow.new_id(), uow.now(), reason))
    return employee


async def hire_employee(cmd: HireEmployee, uow: Unit) -> tuple[EmployeeState, date]:
    """The new employee, and the date as of which to show them. Raises EmployeeNumberTaken, EntryNotValid, ..."""
    [outcome] = await _decided([cmd.hire], cmd.reason, uow)
    if isinstance(outcome, DomainError):
        raise outcome
    await uow.employees.add(outcome)
    uow.note(f"employee/{outcome.state.id}", cmd.reason)
    return outcome.state, cmd.hire.hire_date


async def hire_employees(cmd: HireEmployees, uow: Unit) -> Sequence[EmployeeState | DomainError]:
    """One outcome per hire, in their order; what was refused wrote nothing."""
    taken = await uow.employees.numbers_taken([hire.employee_number for hire in cmd.hires])
    outcomes = await _decided(cmd.hires, cmd.reason, uow, set(taken))
    employees = [outcome for outcome in outcomes if isinstance(outcome, Employee)]
    if not cmd.dry_run:
        await uow.employees.add_many(employees)
    uow.note(f"employees/{len(employees)}", cmd.reason)
    return [outcome.state if isinstance(outcome, Employee) else outcome for outcome in outcomes]


async def _decided(
    hires: Sequence[Hire], reason: str, uow: Unit, taken: set[str] | None = None
) -> list[Employee | DomainError]:
    """Nobody reports to somebody new, so that a hire cannot close a circle and needs no lock on the reporting lines."""
    numbers = set() if taken is None else taken
    outcomes: list[Employee | DomainError] = []
    named: dict[int, tuple[Naming, ...]] = {}
    managers: dict[int, frozenset[EmployeeId]] = {}
    for index, hire in enumerate(hires):
        try:
            if hire.employee_number in numbers:
                raise EmployeeNumberTaken(
                    "another employee has this number: take a free one",
                    field="employee_number",
                    employee_number=hire.employee_number,
                )
            employee = _hired(hire, reason, uow)
        except DomainError as refusal:
            outcomes.append(refusal)
            continue
        numbers.add(hire.employee_number)
        outcomes.append(employee)
        after = employee.state.projection
        named[index] = namings(NOTHING, after)
        managers[index] = frozenset(manager_id for manager_id, _ in newly_named(NOTHING, after, "manager_id"))
    references = {(naming.kind, naming.code) for each in named.values() for naming in each}
    content = await uow.org_charts.looked_up(references)
    asked = frozenset(manager_id for each in managers.values() for manager_id in each)
    known = await uow.employees.known(asked) if asked else asked
    for index, namings_ in named.items():
        try:
            require_valid(content, namings_)
            for manager_id in managers[index] - known:
                raise manager_not_found(manager_id)
        except DomainError as refusal:
            outcomes[index] = refusal
    return outcomes


async def rehire_employee(cmd: RehireEmployee, uow: Unit) -> tuple[EmployeeState, date]:
    """The employee with the new spell. Raises EmployeeNotFound, Stale, SpellsOverlap, EntryNotValid, ManagerCycle."""
    employee = await uow.employees.get(cmd.employee_id, cmd.seen)
    before = employee.state.projection
    work = cmd.terms.work(AssignmentId(uow.new_id()))
    employee.rehire(cmd.hire_date, work, Recording(uow.new_id(), uow.now(), cmd.reason))
    if cmd.end_date is not None:
        recording = Recording(uow.new_id(), uow.now(), cmd.reason)
        employee.terminate(cmd.end_date, EndReason.END_OF_TERM, recording)
    await check_surroundings(employee, before, uow)
    await uow.employees.save(employee)
    uow.note(f"employee/{cmd.employee_id}", cmd.reason)
    return employee.state, cmd.hire_date
