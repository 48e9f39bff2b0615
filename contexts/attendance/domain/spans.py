"""Sets of time: sorted half-open spans of whole minutes since 1970 (UTC), and how wall clocks map to them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from contexts.attendance.domain.errors import TimeZoneUnknown

Span = tuple[int, int]  # half-open: [start minute, end minute)
Spans = tuple[Span, ...]  # sorted, never touching or overlapping
NOTHING: Spans = ()

DAY_MINUTES = 24 * 60
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)


@lru_cache(maxsize=700)
def zone(name: str) -> ZoneInfo:
    """The IANA time zone. Raises TimeZoneUnknown."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise TimeZoneUnknown("name a time zone of the IANA database, such as Asia/Shanghai", time_zone=name) from error


def minute_of(instant: datetime) -> int:
    """The whole minute since 1970 that holds the instant; seconds are dropped."""
    elapsed = instant - _EPOCH
    return elapsed.days * DAY_MINUTES + elapsed.seconds // 60


def instant_of(minute: int) -> datetime:
    """The instant at which the minute starts, in UTC."""
    return _EPOCH + minute * _MINUTE


def local_minute(day: date, minute_of_day: int, where: ZoneInfo) -> int:
    """When the wall clock shows that minute of the day (which may run past 24 hours), in minutes since 1970.

    A time that is shown twice is the first of the two; one that is skipped is as long after the change as it is past
    the skipped hour's start.
    """
    days, minute = divmod(minute_of_day, DAY_MINUTES)
    hour, minute = divmod(minute, 60)
    day += timedelta(days=days)
    return minute_of(datetime(day.year, day.month, day.day, hour, minute, tzinfo=where))


def minute_of_day(instant: datetime, where: ZoneInfo) -> int:
    """What the wall clock shows, in minutes since midnight."""
    shown = instant.astimezone(where)
    return shown.hour * 60 + shown.minute


def local_date(minute: int, where: ZoneInfo) -> date:
    """The civil date on the wall at that minute."""
    return instant_of(minute).astimezone(where).date()


def total(spans: Iterable[Span]) -> int:
    """Minutes in all spans together."""
    return sum(end - start for start, end in spans)


def union(spans: Iterable[Span]) -> Spans:
    """The minutes that are in any of them; empty spans are nothing."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return tuple(merged)


def intersection(left: Sequence[Span], right: Sequence[Span]) -> Spans:
    """The minutes that are in both."""
    shared: list[Span] = []
    i = j = 0
    while i < len(left) and j < len(right):
        start = max(left[i][0], right[j][0])
        end = min(left[i][1], right[j][1])
        if start < end:
            shared.append((start, end))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return tuple(shared)


def difference(left: Sequence[Span], right: Sequence[Span]) -> Spans:
    """The minutes of `left` that are not in `right`."""
    if not right:
        return tuple(left)
    kept: list[Span] = []
    for start, end in left:
        for cut_start, cut_end in right:
            if cut_end <= start:
                continue
            if cut_start >= end:
                break
            if cut_start > start:
                kept.append((start, cut_start))
            start = cut_end
            if start >= end:
                break
        if start < end:
            kept.append((start, end))
    return tuple(kept)


def first_minutes(spans: Sequence[Span], minutes: int) -> Spans:
    """The first so many minutes of the spans, or all of them."""
    kept: list[Span] = []
    for start, end in spans:
        if minutes <= 0:
            break
        kept.append((start, min(end, start + minutes)))
        minutes -= end - start
    return tuple(kept)


def last_minutes(spans: Sequence[Span], minutes: int) -> Spans:
    """The last so many minutes of the spans, or all of them."""
    kept: list[Span] = []
    for start, end in reversed(spans):
        if minutes <= 0:
            break
        kept.append((max(start, end - minutes), end))
        minutes -= end - start
    return tuple(reversed(kept))


def gaps(spans: Sequence[Span]) -> Spans:
    """The minutes between spans."""
    return tuple((before[1], after[0]) for before, after in pairwise(spans))


def overlap(span: Span, spans: Sequence[Span]) -> int:
    """How many minutes of `span` are in `spans`."""
    start, end = span
    minutes = 0
    for other_start, other_end in spans:
        if other_end <= start:
            continue
        if other_start >= end:
            break
        minutes += min(end, other_end) - max(start, other_start)
    return minutes


def split_at(span: Span, marks: Iterable[int]) -> Spans:
    """The span cut at the marks that lie inside it; the pieces are all of it."""
    start, end = span
    pieces: list[Span] = []
    for mark in sorted(marks):
        if start < mark < end:
            pieces.append((start, mark))
            start = mark
    pieces.append((start, end))
    return tuple(pieces)


def seconds_per_day(span: Span, where: ZoneInfo) -> tuple[int, ...]:
    """The span cut at the midnights of its place, the pieces in seconds."""
    return tuple((end - start) * 60 for start, end in split_at(span, midnights(span, where)))


def midnights(span: Span, where: ZoneInfo) -> tuple[int, ...]:
    """The starts of civil days strictly inside the span."""
    day = local_date(span[0], where)
    found: list[int] = []
    while True:
        day += timedelta(days=1)
        mark = local_minute(day, 0, where)
        if mark >= span[1]:
            return tuple(found)
        if mark > span[0]:
            found.append(mark)
