"""The roster: made as the source says, the highest version winning."""

from collections.abc import Sequence
from dataclasses import dataclass

from contexts.attendance.domain.roster import RosterEntry
from contexts.attendance.handlers.work import AttendanceWork
from kernel.errors import DomainError
from kernel.ids import EmployeeId


@dataclass(frozen=True, slots=True)
class RosterAnswer:
    """What became of one entry."""

    employee_id: EmployeeId
    applied: bool
    source_version: int
    refusal: DomainError | None = None


async def ensure_rosters(entries: Sequence[RosterEntry], work: AttendanceWork) -> list[RosterAnswer]:
    """Keep each entry that is newer than what is stored; older ones are answered with success and no change."""
    known = await work.roster.versions([entry.employee_id for entry in entries])
    newest: dict[EmployeeId, RosterEntry] = {}
    for entry in entries:
        held = newest.get(entry.employee_id)
        stored = held.source_version if held else known.get(entry.employee_id, 0)
        if entry.source_version > stored:
            newest[entry.employee_id] = entry
    await work.roster.put(list(newest.values()), known, work.now())
    work.note("roster", f"{len(newest)} of {len(entries)} newer")
    return [
        RosterAnswer(
            entry.employee_id,
            newest.get(entry.employee_id) is entry,
            newest[entry.employee_id].source_version if entry.employee_id in newest else known[entry.employee_id],
        )
        for entry in entries
    ]
