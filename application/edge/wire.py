"""Between JSON values and protobuf values: dates, instants, money and enum names."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2
from muster.type.v1 import money_pb2

from application.edge.fields import MoneyView
from kernel.money import Money

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Enum(Protocol):
    def Name(self, number: Any) -> str: ...
    def Value(self, name: str) -> Any: ...


def to_date(day: date | None) -> date_pb2.Date | None:
    """A civil date for the wire, None for none."""
    return None if day is None else date_pb2.Date(year=day.year, month=day.month, day=day.day)


def from_date(day: date_pb2.Date) -> date | None:
    """A civil date from the wire; a message that was not set gives None."""
    return date(day.year, day.month, day.day) if day.year else None


def to_instant(instant: datetime | None) -> Timestamp | None:
    """An instant for the wire, None for none."""
    if instant is None:
        return None
    since = instant - _EPOCH
    return Timestamp(seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000)


def from_instant(stamp: Timestamp) -> datetime | None:
    """An instant from the wire in UTC; a message that was not set gives None."""
    seconds, nanos = stamp.seconds, stamp.nanos
    return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000) if seconds or nanos else None


def to_money(money: Money) -> money_pb2.Money:
    """Money for the wire."""
    return money_pb2.Money(currency=money.currency, minor_units=money.minor)


def from_money(money: money_pb2.Money) -> MoneyView | None:
    """Money as answers write it; a message that was not set gives None."""
    return MoneyView.of(Money(money.minor_units, money.currency)) if money.currency else None


def to_enum(kind: _Enum, prefix: str, name: str | None) -> Any:
    """The number of an enum value whose name in JSON lacks the prefix; None is UNSPECIFIED."""
    return 0 if name is None else kind.Value(prefix + name)


@lru_cache(maxsize=4096)
def from_enum(kind: _Enum, prefix: str, number: int) -> str | None:
    """The name of an enum value without its prefix; UNSPECIFIED is None, a newer one its number."""
    if number == 0:
        return None
    try:
        return kind.Name(number).removeprefix(prefix)
    except ValueError:
        return f"UNKNOWN_{number}"


def names_of(kind: Any, prefix: str) -> dict[int, str]:
    """The names of an enum's values without their prefix, by number, without UNSPECIFIED."""
    return {number: name.removeprefix(prefix) for name, number in kind.items() if number}


def json_date(day: date_pb2.Date) -> str | None:
    """A civil date as JSON has it; a message that was not set gives None."""
    year = day.year
    return _date_text(year, day.month, day.day) if year else None


@lru_cache(maxsize=4096)
def _date_text(year: int, month: int, day: int) -> str:
    return f"{year:04}-{month:02}-{day:02}"


def json_instant(stamp: Timestamp) -> str | None:
    """An instant as JSON has it, in UTC; a message that was not set gives None."""
    seconds, nanos = stamp.seconds, stamp.nanos
    if not (seconds or nanos):
        return None
    minute, second = divmod(seconds, 60)
    fraction = f".{nanos // 1000:06}" if nanos >= 1000 else ""
    return f"{_minute_text(minute)}:{second:02}{fraction}Z"


@lru_cache(maxsize=4096)
def _minute_text(minutes: int) -> str:
    """The minute that began so many minutes after 1970 did."""
    return (_EPOCH + timedelta(minutes=minutes)).isoformat(timespec="minutes")[: len("2026-11-02T09:00")]


def json_money(money: money_pb2.Money) -> dict[str, str] | None:
    """Money as JSON has it; a message that was not set gives None."""
    if not money.currency:
        return None
    return {"amount": str(Money(money.minor_units, money.currency).amount), "currency": money.currency}


def ready_made(view: type[T], fields: dict[str, Any]) -> T:
    """Fields that stand as JSON takes them, in the place of a view: they are encoded without a model."""
    return cast(T, fields)


def optional_id(text: str) -> UUID | None:
    """An id from the wire; empty text gives None."""
    return UUID(text) if text else None


def blank(text: str) -> str | None:
    """Empty text of the wire as null."""
    return text or None
