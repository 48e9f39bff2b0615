"""Field types of the published contract: one documented form each, with its bound and an example."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema

from kernel.money import Money, minor_digits

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
UUID_TEXT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

FIRST_YEAR, LAST_YEAR = 1900, 2199

UUID_PATTERN = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
DECIMAL_PATTERN = r"^-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,6})?$"
TEXT_PATTERN = "^[^\\u0000-\\u001f\\u007f]*$"


class Body(BaseModel):
    """What a client sends: unknown fields are refused, nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class View(BaseModel):
    """What a client receives."""

    model_config = ConfigDict(frozen=True)


class Query(BaseModel):
    """The query parameters of a read: unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Body):
    """An empty body: the operation takes all it needs from the path."""


def _civil_date(value: Any) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError("write a date as YYYY-MM-DD")
    try:
        day = date.fromisoformat(value)
    except ValueError:
        raise ValueError("this day does not exist; write a date as YYYY-MM-DD") from None
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(f"write a year from {FIRST_YEAR} to {LAST_YEAR}")
    return day


def _instant(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not INSTANT.fullmatch(value):
        raise ValueError("write an instant with its offset, such as 2026-11-23T09:00:00+08:00 (in a query + is %2B)")
    try:
        instant = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("this instant does not exist; write it such as 2026-11-23T09:00:00+08:00") from None
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise ValueError(f"write a year from {FIRST_YEAR} to {LAST_YEAR}")
    return instant


def _uuid(value: Any) -> Any:
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str) or not UUID_TEXT.fullmatch(value):
        raise ValueError("write an id with its hyphens, such as 019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071")
    return UUID(value)


CivilDate = Annotated[
    date,
    BeforeValidator(_civil_date),
    WithJsonSchema({"type": "string", "format": "date", "minLength": 10, "maxLength": 10, "examples": ["2026-11-23"]}),
]
Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "minLength": 20,
            "maxLength": 32,
            "examples": ["2026-11-23T01:00:00Z"],
        }
    ),
]
Id = Annotated[
    UUID,
    BeforeValidator(_uuid),
    WithJsonSchema(
        {
            "type": "string",
            "format": "uuid",
            "minLength": 36,
            "maxLength": 36,
            "pattern": UUID_PATTERN,
            "examples": ["019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"],
        }
    ),
]
Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
CODE_PATTERN = "^[A-Za-z0-9][A-Za-z0-9_.-]*$"
Code = Annotated[str, Field(min_length=1, max_length=40, pattern=CODE_PATTERN, examples=["ENG"])]
Text = Annotated[str, Field(max_length=200, pattern=TEXT_PATTERN, examples=["As agreed in the review"])]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=TEXT_PATTERN, examples=["Li Wei"])]
DecimalText = Annotated[
    str,
    Field(max_length=20, pattern=DECIMAL_PATTERN, examples=["1.5"]),
]
Currency = Annotated[str, Field(min_length=3, max_length=3, pattern="^[A-Z]{3}$", examples=["CNY"])]
CountryCode = Annotated[str, Field(min_length=2, max_length=2, pattern="^[A-Z]{2}$", examples=["CN"])]
PeriodName = Annotated[
    str,
    Field(
        min_length=7,
        max_length=8,
        pattern="^[0-9]{4}-(0[1-9]|1[0-2]|W(0[1-9]|[1-4][0-9]|5[0-3]))$",
        examples=["2026-11"],
    ),
]
Zone = Annotated[str, Field(min_length=1, max_length=64, pattern="^[A-Za-z0-9_+/-]+$", examples=["Asia/Shanghai"])]


def _exact_amount(body: "MoneyBody") -> "MoneyBody":
    digits = len(body.amount.partition(".")[2])
    if digits > minor_digits(body.currency):
        raise ValueError(f"{body.currency} has {minor_digits(body.currency)} digits after the point")
    return body


class MoneyBody(Body):
    """An amount in a currency; the amount is a decimal string in major units."""

    amount: Annotated[
        str,
        Field(
            description="Major units, as many digits after the point as the currency has, or fewer.",
            max_length=16,
            pattern=r"^-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,3})?$",
            examples=["1234.50"],
        ),
    ]
    currency: Annotated[Currency, Field(description="ISO 4217 code.")]

    def exact(self) -> Money:
        """As money."""
        return Money.exactly(Decimal(self.amount), self.currency)


Amount = Annotated[MoneyBody, AfterValidator(_exact_amount)]


class MoneyView(View):
    """An amount in a currency."""

    amount: Annotated[
        str,
        Field(
            description="Major units as a decimal string with the currency's digits.",
            max_length=20,
            examples=["1234.50"],
        ),
    ]
    currency: Annotated[Currency, Field(description="ISO 4217 code.")]

    @classmethod
    def of(cls, money: Money) -> "MoneyView":
        """As it is written in answers."""
        return cls.model_construct(amount=str(money.amount), currency=money.currency)
