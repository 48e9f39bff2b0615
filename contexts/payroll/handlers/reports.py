"""Reads over whole runs: what changed against the run before, and the register."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contexts.payroll.domain.payroll_run import RunId, RunKind, RunState
from contexts.payroll.domain.payslip import ComponentSum, Payslip
from contexts.payroll.repository.port import PayrollReading, RunView
from kernel.ids import EmployeeId


@dataclass(frozen=True, slots=True)
class Pair:
    """One employee's payslips in two runs; None where a run has none, `blocked` where that is why."""

    employee_id: EmployeeId
    before: Payslip | None
    after: Payslip | None
    blocked: bool


@dataclass(frozen=True, slots=True)
class PairsPage:
    """Employees of either run, by id; `following` is where the next page goes on."""

    run: RunState
    previous: RunState | None
    pairs: tuple[Pair, ...]
    following: EmployeeId | None


@dataclass(frozen=True, slots=True)
class RegisterPage:
    """Payslips of a run with their documents, and the sums of the whole run."""

    run: RunView
    sums: Mapping[str, ComponentSum]
    payslips: Sequence[Payslip]


async def pairs(id: RunId, after: EmployeeId | None, limit: int, view: PayrollReading) -> PairsPage:
    """The payslips of a run beside those of the regular run before. Raises RunNotFound."""
    run = (await view.run(id)).state
    previous = await view.before(run) if run.kind is RunKind.REGULAR else None
    new = await view.documents(run, after, limit)
    old = await view.documents(previous, after, limit) if previous is not None else ()
    ends = [found[-1].summary.employee_id for found in (new, old) if len(found) == limit]
    last = min(ends, key=lambda employee: employee.bytes) if ends else None
    by_new = {one.summary.employee_id: one for one in new}
    by_old = {one.summary.employee_id: one for one in old}
    members = sorted({*by_new, *by_old}, key=lambda employee: employee.bytes)
    shown = [employee for employee in members if last is None or employee.bytes <= last.bytes]
    following = last
    if len(shown) > limit:
        shown = shown[:limit]
        following = shown[-1]
    blocked: set[EmployeeId] = set()
    if shown and previous is not None:
        blocked.update(await view.blocked(run, after, shown[-1]))
        blocked.update(await view.blocked(previous, after, shown[-1]))
    found = tuple(Pair(employee, by_old.get(employee), by_new.get(employee), employee in blocked) for employee in shown)
    return PairsPage(run, previous, found, following)


async def register(id: RunId, after: EmployeeId | None, limit: int, view: PayrollReading) -> RegisterPage:
    """A page of a run's register. Raises RunNotFound."""
    run = await view.run(id)
    return RegisterPage(run, await view.component_totals(id), await view.documents(run.state, after, limit))
