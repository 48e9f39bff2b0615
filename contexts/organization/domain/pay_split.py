"""How the net pay is split over bank accounts, so that every amount of it has a place to go."""

from collections.abc import Sequence
from decimal import Decimal

from contexts.organization.domain.errors import FactOutOfRange
from contexts.organization.domain.values import BankAccount

WHOLE = Decimal(100)


def require_whole(accounts: Sequence[BankAccount]) -> None:
    """The accounts take every net pay whole, whatever it comes to; no account at all is whole too.

    Fixed amounts go first, in order, as far as the net pay goes; percentages are of what they leave; one account may
    take the rest. Raises FactOutOfRange.
    """
    for account in accounts:
        _require_part(account)
    if len({account.amount.currency for account in accounts if account.amount is not None}) > 1:
        raise FactOutOfRange("write all fixed amounts in one currency", field="bank_accounts.amount.currency")
    shares = sum((account.share_percent for account in accounts if account.share_percent is not None), Decimal(0))
    resting = sum(account.takes_rest for account in accounts)
    if resting > 1:
        raise FactOutOfRange(
            "one account takes the rest: give each of the others a percentage or an amount",
            field="bank_accounts.share_percent",
        )
    if resting and shares >= WHOLE:
        raise FactOutOfRange(
            f"the percentages sum to {shares} and leave nothing for the account that takes the rest",
            field="bank_accounts.share_percent",
        )
    if accounts and not resting and shares != WHOLE:
        raise FactOutOfRange(
            f"the percentages sum to {shares}: make them 100, or leave one account without percentage and amount, "
            "which then takes the rest",
            field="bank_accounts.share_percent",
        )


def _require_part(account: BankAccount) -> None:
    if account.share_percent is not None and account.amount is not None:
        raise FactOutOfRange("an account takes a percentage or an amount, not both", field="bank_accounts.amount")
    if account.share_percent is not None and account.share_percent <= 0:
        raise FactOutOfRange(
            "a percentage is over 0: leave out an account that gets nothing", field="bank_accounts.share_percent"
        )
    if account.amount is not None and account.amount.minor <= 0:
        raise FactOutOfRange(
            "an amount is over 0: leave out an account that gets nothing", field="bank_accounts.amount.amount"
        )
