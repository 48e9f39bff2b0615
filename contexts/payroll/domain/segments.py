"""The frozen segments of an employee cut to the pay period: days, planned days and minutes of each piece."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from contexts.payroll.domain.errors import Blocked
from contexts.payroll.domain.header import Header

EPOCH = date(1970, 1, 1).toordinal()
_day = date.fromisoformat


class Piece:
    """One segment with what it has of the period. Days are proleptic ordinals, counts are whole.

    Invariants: `low` to `high` (half-open) lies in the period where `days` is not 0.
    """

    __slots__ = (
        "day_minutes", "days", "employed_working", "first", "high", "low", "minutes", "planned", "segment", "stop",
        "unemployed", "unpaid", "whole_working", "working",
    )  # fmt: skip

    segment: Mapping[str, Any]
    first: int
    stop: int
    low: int
    high: int
    days: int  # calendar days in the period
    planned: str  # a digit per day of the period; all 1 where nothing is planned
    working: int  # planned days in the piece
    whole_working: int  # planned days in the period
    employed_working: int  # planned days in all pieces of the assignment, never 0
    unemployed: int  # planned days of the period before, between and after the pieces, each counted in one piece
    unpaid: Decimal | int  # minutes, weighted
    day_minutes: int
    minutes: list[int]  # in the order of the keys

    @property
    def table_day(self) -> int:
        """The day that picks the statutory tables of the piece."""
        return self.low if self.days else self.first


TimeSlots = Mapping[tuple[str, str], tuple[int, ...]]
"""Which counters the minutes of a pay code on a kind of day go to."""


def time_slots(keys: Sequence[tuple[str, str]]) -> TimeSlots:
    """The counters of pay codes and day kinds ("" for any), in the order of `keys`."""
    kinds = {code: ("WORKDAY", "REST_DAY", "HOLIDAY") for code, _ in keys}
    return {
        (code, kind): tuple(slot for slot, (wanted, day) in enumerate(keys) if wanted == code and day in ("", kind))
        for code, all_kinds in kinds.items()
        for kind in all_kinds
    }


def split(header: Header, facts: Mapping[str, Any], counted: TimeSlots, counters: int) -> list[Piece]:
    """The pieces in the order of the facts, with the minutes of `counted` in so many counters. Raises Blocked."""
    start, end = header.start.toordinal(), header.end.toordinal()
    pieces: list[Piece] = []
    for segment in facts["segments"]:
        piece = Piece()
        piece.segment = segment
        piece.first = first = _day(segment["from"]).toordinal()
        piece.stop = stop = _day(segment["to"]).toordinal()
        piece.low = low = first if first > start else start
        piece.high = high = stop if stop < end else end
        planned = segment["planned"]
        piece.unpaid = 0
        piece.unemployed = 0
        piece.day_minutes = segment["day_minutes"]
        piece.minutes = [0] * counters
        whole = planned.count("1")
        piece.days = days = high - low if high > low else 0
        if not whole:
            if not planned and 0 < days < end - start:
                raise Blocked(
                    "PLANNED_DAYS_MISSING",
                    "give the assignment a work schedule: its part of the period is prorated",
                    segment["assignment"],
                )
            planned = "1" * (end - start)  # where nothing is planned, every day counts
            whole = end - start
        piece.planned = planned
        piece.whole_working = whole
        if not days:
            piece.working = 0
        else:
            piece.working = whole if days == end - start else planned.count("1", low - start, high - start)
        piece.employed_working = piece.working or 1  # of somebody without a planned day the share is 0, not 0 / 0
        pieces.append(piece)
    if not pieces:
        raise Blocked("PAY_FACTS_MISSING", "the employee has no assignment with a wage in the period")
    if len(pieces) > 1:
        _share_days_outside(pieces, start)
    elif pieces[0].working:
        pieces[0].unemployed = pieces[0].whole_working - pieces[0].working
    only = pieces[0] if len(pieces) == 1 else None
    for line in facts["time"]:
        days = line["days"]
        slots = counted.get((line["pay_code"], line["day_kind"]), ())
        share = line["paid_share"]
        unpaid: Decimal | int = 1 if share == "0" else 0 if share == "1" else 1 - Decimal(share)
        if (
            only is not None
            and only.first <= days[0][0] + EPOCH
            and days[-1][0] + EPOCH < only.stop
            and only.segment["assignment"] == line["assignment"]
        ):
            minutes = sum([day[1] for day in days])
            for slot in slots:
                only.minutes[slot] += minutes
            if unpaid:
                only.unpaid += minutes * unpaid
        else:
            for day, minutes in days:
                piece = _piece_of(pieces, line["assignment"], day + EPOCH)
                for slot in slots:
                    piece.minutes[slot] += minutes
                if unpaid:
                    piece.unpaid += minutes * unpaid
    return pieces


def _share_days_outside(pieces: list[Piece], start: int) -> None:
    """Planned days outside the employment count in the piece that follows them, at the end in the last one."""
    by_assignment: dict[str, list[Piece]] = {}
    for piece in pieces:
        if piece.days:
            by_assignment.setdefault(piece.segment["assignment"], []).append(piece)
    for mine in by_assignment.values():
        employed = sum(piece.working for piece in mine)
        if not employed:
            continue
        reached = start
        for piece in mine:
            piece.employed_working = employed
            piece.unemployed = piece.planned.count("1", reached - start, piece.low - start)
            reached = piece.high
        mine[-1].unemployed += mine[-1].planned.count("1", reached - start)


def _piece_of(pieces: Sequence[Piece], assignment: str, day: int) -> Piece:
    for piece in pieces:
        if piece.first <= day < piece.stop and piece.segment["assignment"] == assignment:
            return piece
    raise Blocked(
        "WAGE_MISSING",
        "there are minutes on a day without a wage in force; correct the time or the wage",
        date.fromordinal(day).isoformat(),
    )


def paid_ranges(pieces: Sequence[Piece]) -> tuple[tuple[str, int, int], ...]:
    """The days of the period that each assignment is paid for: assignment, first day, day after the last; merged."""
    ranges: list[tuple[str, int, int]] = []
    for piece in pieces:
        if not piece.days:
            continue
        assignment = piece.segment["assignment"]
        if ranges and ranges[-1][0] == assignment and ranges[-1][2] == piece.low:
            ranges[-1] = (assignment, ranges[-1][1], piece.high)
        else:
            ranges.append((assignment, piece.low, piece.high))
    return tuple(ranges)
