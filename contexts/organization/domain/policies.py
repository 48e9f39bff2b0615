"""Rules between an employee and what is outside the aggregate: the org chart and other employees."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contexts.organization.domain.errors import ManagerCycle
from contexts.organization.domain.history import Projection
from contexts.organization.domain.org_chart import Content, EntryKind
from contexts.organization.domain.values import Assignment
from kernel.ids import EmployeeId
from kernel.period import Period

MAX_LEVELS = 100  # managers above each other

REFERENCES: tuple[tuple[str, EntryKind], ...] = (
    ("legal_entity", EntryKind.LEGAL_ENTITY),
    ("department", EntryKind.DEPARTMENT),
    ("location", EntryKind.LOCATION),
    ("position", EntryKind.POSITION),
)


@dataclass(frozen=True, slots=True)
class ReportingLine:
    """Who reports to whom on which days."""

    employee_id: EmployeeId
    manager_id: EmployeeId
    days: Period


def named(projection: Projection, name: str) -> tuple[tuple[Any, Period], ...]:
    """What the assignment names under `name` (a code or the manager) on every employed day, in pieces of one value."""
    return _pieces(_employed(projection), name)


def _pieces(employed: Sequence[tuple[Assignment, Period]], name: str) -> tuple[tuple[Any, Period], ...]:
    pieces: list[tuple[Any, Period]] = []
    for assignment, days in employed:
        value = getattr(assignment, name)
        if pieces and pieces[-1][0] == value and pieces[-1][1].end == days.start:
            pieces[-1] = (value, Period(pieces[-1][1].start, days.end))
        else:
            pieces.append((value, days))
    return tuple(pieces)


def _employed(projection: Projection) -> list[tuple[Assignment, Period]]:
    found: list[tuple[Assignment, Period]] = []
    for segment in projection.segments:
        if segment.spell is not None and segment.work is not None:
            start, end = max(segment.start, segment.spell.start), min(segment.end, segment.spell.end)
            if start < end:
                found.append((segment.work.assignment, Period(start, end)))
    return found


def newly_named(before: Projection, after: Projection, name: str) -> tuple[tuple[Any, Period], ...]:
    """The pieces of `named` that `before` did not have, those without a value left out."""
    return _new_pieces(_employed(before), _employed(after), name)


def _new_pieces(
    before: Sequence[tuple[Assignment, Period]], after: Sequence[tuple[Assignment, Period]], name: str
) -> tuple[tuple[Any, Period], ...]:
    known = _pieces(before, name)
    return tuple(piece for piece in _pieces(after, name) if piece[0] and piece not in known)


@dataclass(frozen=True, slots=True)
class Naming:
    """An entry of the org chart that an assignment names, with the field that names it, and on which days."""

    kind: EntryKind
    code: str
    days: Period
    field: str


def namings(before: Projection, after: Projection) -> tuple[Naming, ...]:
    """The entries that an employee newly names; a change of pay alone names nothing."""
    then, now = _employed(before), _employed(after)
    return tuple(
        Naming(kind, code, days, name) for name, kind in REFERENCES for code, days in _new_pieces(then, now, name)
    )


def require_valid(content: Content, namings: Iterable[Naming]) -> None:
    """Raises EntryNotValid where one names an entry that is not open on all its days."""
    for naming in namings:
        content.require(naming.kind, naming.code, naming.days, field=naming.field)


def climb(
    employee_id: EmployeeId,
    above: Sequence[tuple[EmployeeId, Period]],
    lines: Mapping[EmployeeId, Sequence[ReportingLine]],
) -> tuple[tuple[EmployeeId, Period], ...]:
    """One level up: the managers of `above`, each on the days on which the whole chain to them holds.

    `lines` are the reporting lines of those in `above`. Raises ManagerCycle where the chain comes back to the employee.
    """
    found: list[tuple[EmployeeId, Period]] = []
    for manager_id, days in above:
        for line in lines.get(manager_id, ()):
            shared = line.days.intersection(days)
            if shared is None:
                continue
            if line.manager_id == employee_id:
                raise ManagerCycle(
                    f"from {shared.start} on the employee would stand above their own manager: choose another manager",
                    field="manager_id",
                )
            found.append((line.manager_id, shared))
    return _merged(found)


def _merged(found: Iterable[tuple[EmployeeId, Period]]) -> tuple[tuple[EmployeeId, Period], ...]:
    merged: list[tuple[EmployeeId, Period]] = []
    for manager_id, days in sorted(found, key=lambda each: (each[0].bytes, each[1])):
        if merged and merged[-1][0] == manager_id and days.start <= merged[-1][1].end:
            merged[-1] = (manager_id, Period(merged[-1][1].start, max(merged[-1][1].end, days.end)))
        else:
            merged.append((manager_id, days))
    return tuple(merged)
