"""Money in whole minor units, and the one place where a Decimal becomes money."""

import decimal
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from enum import Enum
from fractions import Fraction

# Digits after the decimal point. Source: ISO 4217:2015, list one (currencies not listed here have 2).
_MINOR_DIGITS = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0,
    "UGX": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0, "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3,
    "LYD": 3, "OMR": 3, "TND": 3,
}  # fmt: skip

MAX_MINOR = 10**15
_EXACT = Context(prec=60, traps=[decimal.InvalidOperation, decimal.Overflow, decimal.DivisionByZero])


class Rounding(Enum):
    """How a fraction of the smallest unit is decided; each statute and component names one."""

    HALF_UP = decimal.ROUND_HALF_UP
    HALF_DOWN = decimal.ROUND_HALF_DOWN
    HALF_EVEN = decimal.ROUND_HALF_EVEN
    UP = decimal.ROUND_UP
    DOWN = decimal.ROUND_DOWN
    CEILING = decimal.ROUND_CEILING
    FLOOR = decimal.ROUND_FLOOR

    def to(self, value: Decimal, digits: int) -> Decimal:
        """`value` with `digits` digits after the point."""
        return value.quantize(Decimal(1).scaleb(-digits), rounding=self.value, context=_EXACT)


def minor_digits(currency: str) -> int:
    """How many digits the currency has after the point."""
    return _MINOR_DIGITS.get(currency, 2)


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """A signed amount in whole minor units (fen, cents, pence).

    Invariants: currency is three upper-case letters; arithmetic stays within a currency; nothing is rounded silently.
    """

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int or abs(self.minor) > MAX_MINOR:
            raise ValueError(f"an amount is a whole number of minor units up to {MAX_MINOR}")
        if not (len(self.currency) == 3 and self.currency.isascii() and self.currency.isupper()):
            raise ValueError("a currency is three upper-case letters (ISO 4217)")

    @classmethod
    def zero(cls, currency: str) -> "Money":
        """Nothing, in that currency."""
        return cls(0, currency)

    @classmethod
    def exactly(cls, amount: Decimal, currency: str) -> "Money":
        """`amount` (in major units) as money. Raises ValueError where it has more digits than the currency."""
        scaled = amount.scaleb(minor_digits(currency), context=_EXACT)
        if scaled != scaled.to_integral_value():
            raise ValueError(f"{currency} has {minor_digits(currency)} digits after the point")
        return cls(int(scaled), currency)

    @classmethod
    def rounded(cls, amount: Decimal, currency: str, rounding: Rounding) -> "Money":
        """`amount` (in major units) as money, by the named rounding."""
        return cls.exactly(rounding.to(amount, minor_digits(currency)), currency)

    @property
    def amount(self) -> Decimal:
        """In major units, always with the currency's digits: 123450 fen are Decimal('1234.50')."""
        return Decimal(self.minor).scaleb(-minor_digits(self.currency), context=_EXACT)

    def _same(self, other: "Money") -> None:
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} cannot be combined")

    def __add__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    def __lt__(self, other: "Money") -> bool:
        self._same(other)
        return self.minor < other.minor

    def __le__(self, other: "Money") -> bool:
        self._same(other)
        return self.minor <= other.minor

    def times(self, factor: Decimal, *, rounding: Rounding) -> "Money":
        """This amount times `factor`, rounded by name."""
        return Money.rounded(_EXACT.multiply(self.amount, factor), self.currency, rounding)

    def split(self, weights: Sequence[Decimal | int]) -> tuple["Money", ...]:
        """Shares in proportion to `weights` by the largest remainder (earlier share first); they always sum to this.

        Raises ValueError for no weights, a negative one, or all zero.
        """
        total = sum((Fraction(weight) for weight in weights), Fraction(0))
        if total <= 0 or any(weight < 0 for weight in weights):
            raise ValueError("a split needs weights that are not negative and not all zero")
        sign = -1 if self.minor < 0 else 1
        exact = [abs(self.minor) * Fraction(weight) / total for weight in weights]
        shares = [int(share) for share in exact]
        by_remainder = sorted(range(len(exact)), key=lambda index: (shares[index] - exact[index], index))
        for index in by_remainder[: abs(self.minor) - sum(shares)]:
            shares[index] += 1
        return tuple(Money(sign * share, self.currency) for share in shares)

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


@dataclass(frozen=True, slots=True)
class Rate:
    """An unrounded amount per something (hour, day, month). It becomes money once, by a named rounding."""

    amount: Decimal
    currency: str

    def money(self, quantity: Decimal, *, rounding: Rounding) -> Money:
        """`quantity` of it as money."""
        return Money.rounded(_EXACT.multiply(self.amount, quantity), self.currency, rounding)
