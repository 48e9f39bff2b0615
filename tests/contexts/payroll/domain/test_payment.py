"""Net pay goes to bank accounts whole, whatever it comes to."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contexts.payroll.domain.errors import PaySplitInvalid
from contexts.payroll.domain.payment import Payment, PaymentStatus, SplitPart, arranged, shares_of
from contexts.payroll.domain.payroll_run import RunId
from contexts.payroll.domain.payslip import PayslipId
from kernel.ids import EmployeeId
from kernel.money import Money

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def yuan(minor: int) -> Money:
    return Money(minor, "CNY")


def fixed(account: int, minor: int) -> SplitPart:
    return SplitPart(account, yuan(minor), None)


def percent(account: int, share: str) -> SplitPart:
    return SplitPart(account, None, Decimal(share))


def rest(account: int) -> SplitPart:
    return SplitPart(account, None, None)


@pytest.mark.parametrize(
    ("net", "parts", "gives"),
    [
        (100000, [rest(1)], [(1, 100000)]),
        (100000, [fixed(1, 30000), rest(2)], [(1, 30000), (2, 70000)]),
        (100000, [rest(1), fixed(2, 30000)], [(1, 70000), (2, 30000)]),
        (20000, [fixed(1, 30000), rest(2)], [(1, 20000)]),
        (45000, [fixed(1, 30000), fixed(2, 30000), rest(3)], [(1, 30000), (2, 15000)]),
        (100001, [percent(1, "50"), percent(2, "50")], [(1, 50001), (2, 50000)]),
        (100000, [fixed(1, 10000), percent(2, "33.3333"), rest(3)], [(1, 10000), (2, 30000), (3, 60000)]),
        (1, [percent(1, "40"), rest(2)], [(2, 1)]),
    ],
)
def test_fixed_amounts_go_first_then_percentages_then_the_rest(
    net: int, parts: list[SplitPart], gives: list[tuple[int, int]]
) -> None:
    assert [(account, share.minor) for account, share in shares_of(yuan(net), parts)] == gives


@pytest.mark.parametrize(
    "parts",
    [
        [percent(1, "60")],
        [percent(1, "60"), percent(2, "60")],
        [fixed(1, 10)],
        [percent(1, "120"), rest(2)],
        [SplitPart(1, Money(10, "HKD"), None), rest(2)],
    ],
    ids=["too little", "too much", "nothing takes the rest", "over the whole", "another currency"],
)
def test_a_split_that_is_not_whole_is_refused(parts: list[SplitPart]) -> None:
    with pytest.raises(PaySplitInvalid):
        shares_of(yuan(1000), parts)


@given(
    st.integers(1, 10**9),
    st.lists(st.integers(1, 10**6), max_size=3),
    st.lists(st.integers(1, 3000), max_size=3),
)
def test_no_cent_is_lost(net: int, amounts: list[int], hundredths: list[int]) -> None:
    parts = [fixed(place, minor) for place, minor in enumerate(amounts, start=1)]
    parts += [percent(10 + place, str(Decimal(share).scaleb(-2))) for place, share in enumerate(hundredths)]
    parts.append(rest(20))

    shares = shares_of(yuan(net), parts)

    assert sum(share.minor for _, share in shares) == net
    assert all(share.minor > 0 for _, share in shares)


def test_the_same_split_keeps_its_payments_and_another_one_makes_new_ones() -> None:
    pending = Payment(
        PayslipId(UUID(int=1)), RunId(UUID(int=2)), EmployeeId(UUID(int=3)), yuan(1000), PaymentStatus.PENDING, ""
    )

    first = arranged([pending], [fixed(1, 300), rest(2)], NOW)
    same = arranged(first, [fixed(1, 300), rest(2)], NOW.replace(hour=5))
    other = arranged(first, [fixed(1, 400), rest(2)], NOW.replace(hour=5))
    none = arranged([pending], [], NOW)

    assert [(one.split, one.account, one.amount.minor) for one in first] == [(0, 1, 300), (1, 2, 700)]
    assert [one.id for one in same] == [one.id for one in first]
    assert {one.accounts_known_at for one in same} == {NOW.replace(hour=5)}
    assert {one.id for one in other}.isdisjoint({pending.id, *(one.id for one in first)})
    assert [(one.account, one.amount.minor, one.accounts_known_at) for one in none] == [(0, 1000, NOW)]
