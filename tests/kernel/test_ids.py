"""Ids: version 7 sorts by time, version 5 is the same for the same parts."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.clock import strictly_after, utc
from kernel.ids import derived_id, uuid7

instants = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
entropy = st.binary(min_size=10, max_size=10)


@given(instants, entropy, entropy)
def test_a_later_millisecond_gives_a_greater_id(at: datetime, first: bytes, second: bytes) -> None:
    earlier, later = uuid7(at, first), uuid7(at + timedelta(milliseconds=1), second)

    assert earlier.bytes < later.bytes
    assert (earlier.version, earlier.variant) == (7, "specified in RFC 4122")


@given(instants, entropy)
def test_the_published_layout_holds_the_milliseconds_first(at: datetime, noise: bytes) -> None:
    assert int.from_bytes(uuid7(at, noise).bytes[:6], "big") == (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        milliseconds=1
    )


def test_what_stands_for_the_same_has_the_same_id() -> None:
    tenant = UUID(int=7)

    assert derived_id(tenant, "run", 1) == derived_id(tenant, "run", 1)
    assert derived_id(tenant, "run", 1) != derived_id(tenant, "run", 2)


def test_record_times_of_one_aggregate_never_tie() -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)

    assert strictly_after(now, None) == now
    assert strictly_after(now, now) == now + timedelta(microseconds=1)
    assert strictly_after(now, now + timedelta(hours=1)) == now + timedelta(hours=1, microseconds=1)


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        utc(datetime(2026, 11, 23))  # noqa: DTZ001
