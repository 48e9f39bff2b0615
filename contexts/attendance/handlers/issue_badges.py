"""Badges: issued to people on the roster, and returned."""

from dataclasses import dataclass
from datetime import datetime

from contexts.attendance.domain.badges import Badge
from contexts.attendance.domain.errors import BadgeUnknown, RosterUnknown
from contexts.attendance.handlers.work import AttendanceWork
from contexts.attendance.repository.port import Readings
from kernel.errors import InvalidValue, Stale
from kernel.ids import EmployeeId, Version


@dataclass(frozen=True, slots=True)
class IssueBadge:
    """A badge for somebody, from an instant on; None means now."""

    number: str
    seen: Version | None
    employee_id: EmployeeId
    since: datetime | None


@dataclass(frozen=True, slots=True)
class ReturnBadge:
    """A badge that somebody gives back, or has lost."""

    number: str
    seen: Version | None


async def issue_badge(cmd: IssueBadge, work: AttendanceWork) -> Badge:
    """The badge afterwards. Raises RosterUnknown, InvalidValue, Stale, BadgeHeld."""
    now = work.now()
    if cmd.since is not None and cmd.since > now:
        raise InvalidValue("a badge is issued now, or was in the past", field="since")
    if await work.roster.get(cmd.employee_id) is None:
        raise RosterUnknown("the employee is not on the roster yet; ensure the roster, then try again")
    held = await _held(cmd.number, cmd.seen, work)
    badge = held.issued(cmd.employee_id, cmd.since or now)
    if badge is not held:
        await work.badges.put(badge, now)
    work.note(f"badge/{cmd.number}")
    return badge


async def return_badge(cmd: ReturnBadge, work: AttendanceWork) -> Badge:
    """The badge afterwards. Raises BadgeUnknown, Stale, BadgeNotHeld."""
    held = await _held(cmd.number, cmd.seen, work)
    if not held.holdings:
        raise _unknown(cmd.number)
    now = work.now()
    badge = held.returned(now)
    await work.badges.put(badge, now)
    work.note(f"badge/{cmd.number}")
    return badge


async def get_badge(number: str, readings: Readings) -> Badge:
    """One badge. Raises BadgeUnknown."""
    found = await readings.badges(number, None, "", 1)
    if not found:
        raise _unknown(number)
    return found[0]


async def _held(number: str, seen: Version | None, work: AttendanceWork) -> Badge:
    held = await work.badges.hold(number)
    if seen is not None and seen != held.version:
        raise Stale("the badge was changed meanwhile; read it again", badge=number)
    return held


def _unknown(number: str) -> BadgeUnknown:
    return BadgeUnknown("there is no such badge; check its number, or issue it", badge=number)
