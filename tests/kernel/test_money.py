"""Money is exact, stays in its currency, and a split always sums."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.money import MAX_MINOR, Money, Rate, Rounding

amounts = st.integers(-(10**12), 10**12)
weights = st.lists(st.integers(0, 10**6), min_size=1, max_size=30).filter(any)


@given(amounts, weights)
def test_a_split_sums_to_the_whole_and_no_share_is_a_unit_away_from_its_part(minor: int, parts: list[int]) -> None:
    shares = Money(minor, "CNY").split(parts)

    assert sum(share.minor for share in shares) == minor
    for share, part in zip(shares, parts, strict=True):
        assert abs(share.minor - Fraction(minor * part, sum(parts))) < 1


def test_a_third_each_gives_the_odd_fen_to_the_first() -> None:
    assert [share.minor for share in Money(100, "CNY").split([1, 1, 1])] == [34, 33, 33]
    assert [share.minor for share in Money(-100, "CNY").split([1, 1, 1])] == [-34, -33, -33]


@pytest.mark.parametrize("parts", [[], [0, 0], [1, -1]])
def test_a_split_without_usable_weights_is_refused(parts: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        Money(100, "CNY").split(parts)


@given(amounts, amounts)
def test_adding_and_taking_away_gives_the_first_again(first: int, second: int) -> None:
    assert Money(first, "CNY") + Money(second, "CNY") - Money(second, "CNY") == Money(first, "CNY")


def test_currencies_never_mix() -> None:
    with pytest.raises(ValueError, match="cannot be combined"):
        Money(1, "CNY") + Money(1, "USD")
    with pytest.raises(ValueError, match="cannot be combined"):
        _ = Money(1, "CNY") < Money(1, "USD")


def test_a_fraction_of_the_smallest_unit_needs_a_named_rounding() -> None:
    with pytest.raises(ValueError, match="digits after the point"):
        Money.exactly(Decimal("1.005"), "CNY")

    assert Money.rounded(Decimal("1.005"), "CNY", Rounding.HALF_UP).minor == 101
    assert Money.rounded(Decimal("1.005"), "CNY", Rounding.HALF_DOWN).minor == 100
    assert Money.rounded(Decimal("-1.005"), "CNY", Rounding.HALF_UP).minor == -101


@given(amounts)
def test_the_amount_reads_back_exactly_and_shows_all_digits_of_the_currency(minor: int) -> None:
    assert Money.exactly(Money(minor, "CNY").amount, "CNY").minor == minor
    assert str(Money(123450, "CNY")) == "1234.50 CNY"
    assert str(Money(1234, "JPY")) == "1234 JPY"
    assert str(Money(1234, "KWD")) == "1.234 KWD"


def test_an_amount_beyond_the_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="minor units"):
        Money(MAX_MINOR + 1, "CNY")
    with pytest.raises(ValueError, match="upper-case"):
        Money(1, "cny")


def test_a_rate_becomes_money_once() -> None:
    hourly = Rate(Decimal(6000) / Decimal("21.75") / 8, "CNY")

    assert hourly.money(Decimal(3), rounding=Rounding.HALF_UP) == Money(10345, "CNY")
    assert Money(100, "CNY").times(Decimal("1.5"), rounding=Rounding.HALF_UP) == Money(150, "CNY")
