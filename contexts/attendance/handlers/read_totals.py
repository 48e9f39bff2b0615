"""What payroll reads: totals of a period, and what changed since."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from contexts.attendance.domain.errors import NotSettled
from contexts.attendance.repository.port import Change, Readings
from kernel.ids import EmployeeId

_SURELY_SETTLED = timedelta(minutes=2)  # older instants are settled whatever the clocks, and ask no database


async def get_period_totals(
    ids: Sequence[EmployeeId], period: str, known_at: datetime | None, readings: Readings, now: datetime
) -> list[bytes]:
    """One encoded message per timesheet that was ever submitted by then, by employee. Raises NotSettled."""
    if known_at is not None and known_at > now - _SURELY_SETTLED:
        await _require_settled(known_at, readings)
    return await readings.totals(ids, period, known_at)


async def _require_settled(known_at: datetime, readings: Readings) -> None:
    settled = await readings.database_time() - timedelta(seconds=readings.settle_margin_s)
    if known_at > settled:
        raise NotSettled(
            f"totals are settled up to {settled.isoformat(timespec='microseconds')}: wait, or name an earlier instant",
            field="known_at",
            settled_time=settled.isoformat(timespec="microseconds"),
        )


@dataclass(frozen=True, slots=True)
class Frontier:
    """How far the totals of a pay group have come."""

    feed_position: int
    latest_record_time: datetime | None
    database_time: datetime


async def get_frontier(pay_group: str, readings: Readings) -> Frontier:
    """The position is read first: what comes after it is surely among the later changes."""
    position = await readings.feed_position()
    return Frontier(position, await readings.latest_record_time(pay_group), await readings.database_time())


@dataclass(frozen=True, slots=True)
class ListChangedSince:
    """Whose totals changed after a position of the feed."""

    pay_group: str
    period: str
    position: int
    after: EmployeeId | None
    limit: int


async def list_changed_since(query: ListChangedSince, readings: Readings) -> tuple[list[Change], EmployeeId | None]:
    """A page of changes and where it ends, None on the last page."""
    found = await readings.changed_since(query.pay_group, query.period, query.position, query.after, query.limit + 1)
    page = found[: query.limit]
    return page, page[-1].employee_id if len(found) > query.limit else None
