"""Changes of somebody who is here: each loads the employee, lets one verb decide, and saves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from contexts.organization.domain.employee import Employee, EmployeeState, Recording
from contexts.organization.domain.values import BankAccount, Compensation, EndReason, FieldValue
from contexts.organization.handlers.checks import check_surroundings
from contexts.organization.handlers.person import Told, sealed_person
from contexts.organization.repository.port import Unit
from kernel.ids import EmployeeId, Version


@dataclass(frozen=True, slots=True)
class Target:
    """Which employee, as which version the caller saw them (None: not checked), and why."""

    employee_id: EmployeeId
    seen: Version | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TransferEmployee:
    """Change named facts of the assignment, and the compensation where given."""

    target: Target
    effective_date: date
    assignment: Mapping[str, FieldValue]
    compensation: Compensation | None


@dataclass(frozen=True, slots=True)
class PromoteEmployee:
    """Raise position or grade, and the compensation where given."""

    target: Target
    effective_date: date
    assignment: Mapping[str, FieldValue]
    compensation: Compensation | None


@dataclass(frozen=True, slots=True)
class ChangeReportingLine:
    """Report to another manager, or to none."""

    target: Target
    effective_date: date
    manager_id: EmployeeId | None


@dataclass(frozen=True, slots=True)
class ChangeCompensation:
    """Change compensation and allowances: fields as `Change` names them."""

    target: Target
    effective_date: date
    fields: Mapping[str, FieldValue]


@dataclass(frozen=True, slots=True)
class ChangeStatutoryProfile:
    """Change statutory answers of a country: fields as `Change` names them."""

    target: Target
    effective_date: date
    country: str
    fields: Mapping[str, FieldValue]


@dataclass(frozen=True, slots=True)
class UpdatePerson:
    """Change what is known of the person."""

    target: Target
    effective_date: date
    person: Told


@dataclass(frozen=True, slots=True)
class ChangeBankAccounts:
    """Replace the bank accounts."""

    target: Target
    effective_date: date
    bank_accounts: Sequence[BankAccount]


@dataclass(frozen=True, slots=True)
class TerminateEmployee:
    """End the spell with its last day."""

    target: Target
    end_date: date
    end_reason: EndReason


@dataclass(frozen=True, slots=True)
class CorrectEmployee:
    """Put right what one recorded change says."""

    target: Target
    change_id: UUID
    effective_date: date | None
    fields: Mapping[str, FieldValue]
    person: Told


@dataclass(frozen=True, slots=True)
class CancelEmployeeChange:
    """Make one recorded change as if it had never been."""

    target: Target
    change_id: UUID


async def _changed(target: Target, uow: Unit, verb: Callable[[Employee, Recording], None]) -> EmployeeState:
    employee = await uow.employees.get(target.employee_id, target.seen)
    before = employee.state.projection
    verb(employee, Recording(uow.new_id(), uow.now(), target.reason))
    await check_surroundings(employee, before, uow)
    await uow.employees.save(employee)
    uow.note(f"employee/{target.employee_id}", target.reason)
    return employee.state


async def transfer_employee(cmd: TransferEmployee, uow: Unit) -> tuple[EmployeeState, date]:
    """Raises EmployeeNotFound, Stale, NotEmployed, NothingChanges, EntryNotValid, ManagerNotFound, ManagerCycle."""

    def verb(employee: Employee, recording: Recording) -> None:
        employee.transfer(cmd.effective_date, cmd.assignment, cmd.compensation, recording)

    return await _changed(cmd.target, uow, verb), cmd.effective_date


async def promote_employee(cmd: PromoteEmployee, uow: Unit) -> tuple[EmployeeState, date]:
    """Raises EmployeeNotFound, Stale, NotEmployed, NothingChanges, EntryNotValid, ManagerNotFound, ManagerCycle."""

    def verb(employee: Employee, recording: Recording) -> None:
        employee.promote(cmd.effective_date, cmd.assignment, cmd.compensation, recording)

    return await _changed(cmd.target, uow, verb), cmd.effective_date


async def change_manager(cmd: ChangeReportingLine, uow: Unit) -> tuple[EmployeeState, date]:
    """Raises EmployeeNotFound, Stale, NotEmployed, NothingChanges, ManagerNotFound, ManagerCycle."""

    def verb(employee: Employee, recording: Recording) -> None:
        employee.change_manager(cmd.effective_date, cmd.manager_id, recording)

    return await _changed(cmd.target, uow, verb), cmd.effective_date


async def change_compensation(cmd: ChangeCompensation, uow: Unit) -> tuple[EmployeeState, date]:
    """Raises EmployeeNotFound, Stale, NotEmployed, NothingChanges."""

    def verb(employee: Employee, recording: Recording) -> None:
        employee.change_compensation(cmd.effective_date, cmd.fields, recording)

    return await _changed(cmd.target, uow, verb), cmd.effective_date


async def change_statutory_profile(cmd: ChangeStatutoryProfile, uow: Unit) -> tuple[EmployeeState, date]:
    """Raises EmployeeNotFound, Stale, NotEmployed, NothingChanges."""

    def verb(employee: Employee, recording: Recording) -> None:
        employee.change_statutory_profile(cmd.effective_date, cmd.country, cmd.fields, recording)

    return await _changed(cmd.target, uow, verb), cmd.effective_date


async def update_person(cmd: UpdatePerson, uow: Unit) -> tuple[EmployeeState, date]:
    """Raises EmployeeNotFound, Stale, NothingChanges."""

    def verb(employee: Employee, recording: Recording) -> None:
        fields = sealed_person(cmd.person, cmd.target.employee_id, uow.vault)
        employee.update_person(cmd.effective_date, fields, recording)

    return await _changed(cmd.target, uow, verb), cmd.effective_date


async def change_bank_accounts(cmd: ChangeBankAccounts, uow: Unit) -> tuple[EmployeeState, date]:
    """Raises EmployeeNotFound, Stale, FactOutOfRange."""

    def verb(employee: Employee, recording: Recording) -> None:
        fields = sealed_person({"bank_accounts": cmd.bank_accounts}, cmd.target.employee_id, uow.vault)
        employee.change_bank_accounts(cmd.effective_date, fields["bank_accounts"], recording)

    return await _changed(cmd.target, uow, verb), cmd.effective_date


async def terminate_employee(cmd: TerminateEmployee, uow: Unit) -> tuple[EmployeeState, date]:
    """Raises EmployeeNotFound, Stale, NotEmployed, SpellHasEnd."""

    def verb(employee: Employee, recording: Recording) -> None:
        employee.terminate(cmd.end_date, cmd.end_reason, recording)

    return await _changed(cmd.target, uow, verb), cmd.end_date


async def correct_employee(cmd: CorrectEmployee, uow: Unit) -> tuple[EmployeeState, date]:
    """Raises ChangeNotFound, ChangeNoLongerStands, and what a command of the corrected kind raises."""

    def verb(employee: Employee, recording: Recording) -> None:
        person = sealed_person(cmd.person, cmd.target.employee_id, uow.vault)
        employee.correct(cmd.change_id, cmd.effective_date, {**cmd.fields, **person}, recording)

    state = await _changed(cmd.target, uow, verb)
    return state, state.changes[-1].effective_date


async def cancel_employee_change(cmd: CancelEmployeeChange, uow: Unit) -> tuple[EmployeeState, date]:
    """Raises ChangeNotFound, ChangeNoLongerStands, ChangesLeftOutside, EntryNotValid, ManagerCycle."""

    def verb(employee: Employee, recording: Recording) -> None:
        employee.cancel(cmd.change_id, recording)

    state = await _changed(cmd.target, uow, verb)
    return state, state.changes[-1].effective_date
