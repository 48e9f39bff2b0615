"""Which bank accounts take every net pay whole."""

from decimal import Decimal

import pytest

from contexts.organization.domain.errors import FactOutOfRange
from contexts.organization.domain.pay_split import require_whole
from contexts.organization.domain.values import BankAccount
from kernel.money import Money


def an_account(part: str = "") -> BankAccount:
    """An account that takes "40%", "CNY 1000.00" or, without a part, the rest."""
    share = Decimal(part.removesuffix("%")) if part.endswith("%") else None
    currency, _, amount = part.partition(" ")
    fixed = Money.exactly(Decimal(amount), currency) if amount else None
    return BankAccount("Li Wei", "6222-1", "", "ICBC", share, fixed)


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [""],
        ["100%"],
        ["33.3333%", "66.6667%"],
        ["40%", ""],
        ["CNY 1000.00", ""],
        ["CNY 1000.00", "CNY 500.00", "40%", ""],
        ["CNY 1000.00", "40%", "60%"],
    ],
)
def test_every_part_of_the_net_pay_has_a_place_to_go(parts: list[str]) -> None:
    require_whole([an_account(part) for part in parts])


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (["99.9999%"], "sum to 99.9999"),
        (["60%", "60%"], "sum to 120"),
        (["0%", "100%"], "over 0"),
        (["-10%", ""], "over 0"),
        (["100%", ""], "leave nothing"),
        (["", ""], "one account takes the rest"),
        (["CNY 1000.00"], "sum to 0"),
        (["CNY 1000.00", "40%"], "sum to 40"),
        (["CNY 0.00", ""], "over 0"),
        (["CNY 1000.00", "USD 10.00", ""], "one currency"),
    ],
)
def test_a_split_that_does_not_add_up_is_refused(parts: list[str], says: str) -> None:
    with pytest.raises(FactOutOfRange, match=says) as refusal:
        require_whole([an_account(part) for part in parts])

    assert (refusal.value.field or "").startswith("bank_accounts.")


def test_an_account_takes_a_percentage_or_an_amount() -> None:
    both = BankAccount("Li Wei", "6222-1", "", "ICBC", Decimal(40), Money(100, "CNY"))

    with pytest.raises(FactOutOfRange, match="not both"):
        require_whole([both, an_account()])
