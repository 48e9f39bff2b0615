"""Rules between an employee and what is outside the aggregate: the org chart and other employees."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from contexts.organization.domain.errors import ManagerCycle
from contexts.organization.domain.history import Projection
from contexts.organization.domain.org_chart import Content, EntryKind, Reference
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


def stretches(before: Projection, after: Projection) -> tuple[tuple[Assignment, Period], ...]:
    """The employed days whose assignment is new in `after`, with it."""
    known = set(_employed(before))
    return tuple(stretch for stretch in _employed(after) if stretch not in known)


def _employed(projection: Projection) -> tuple[tuple[Assignment, Period], ...]:
    """The assignment of every employed day, in pieces; a change of pay alone makes no new piece."""
    pieces: list[tuple[Assignment, Period]] = []
    for segment in projection.segments:
        if segment.spell is None or segment.work is None:
            continue
        start, end = max(segment.start, segment.spell.start), min(segment.end, segment.spell.end)
        if start >= end:
            continue
        assignment = segment.work.assignment
        if pieces and pieces[-1][0] == assignment and pieces[-1][1].end == start:
            pieces[-1] = (assignment, Period(pieces[-1][1].start, end))
        else:
            pieces.append((assignment, Period(start, end)))
    return tuple(pieces)


def references(pieces: Iterable[tuple[Assignment, Period]]) -> frozenset[Reference]:
    """The entries of the org chart that these assignments name."""
    return frozenset(
        (kind, getattr(assignment, name))
        for assignment, _ in pieces
        for name, kind in REFERENCES
        if getattr(assignment, name)
    )


def require_valid(content: Content, pieces: Iterable[tuple[Assignment, Period]]) -> None:
    """Raises EntryNotValid where an assignment names an entry that is not open on all its days."""
    for assignment, days in pieces:
        for name, kind in REFERENCES:
            code = getattr(assignment, name)
            if code:
                content.require(kind, code, days, field=name)


def managers(pieces: Iterable[tuple[Assignment, Period]]) -> tuple[tuple[EmployeeId, Period], ...]:
    """Who is named as manager, on which days."""
    return tuple((assignment.manager_id, days) for assignment, days in pieces if assignment.manager_id is not None)


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
