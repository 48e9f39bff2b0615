"""What commands do with a person's fields before the domain keeps them: check, seal."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from contexts.organization.domain.pay_split import require_whole
from contexts.organization.domain.values import SEALED_FIELDS, BankAccount, FieldValue
from contexts.organization.repository.port import Vault
from kernel.ids import EmployeeId

Told = Mapping[str, str | date | Sequence[BankAccount] | None]  # a person's fields as a caller gives them


def sealed_person(person: Told, employee_id: EmployeeId, vault: Vault) -> dict[str, FieldValue]:
    """The fields as the domain keeps them; what was given empty is none. Raises FactOutOfRange."""
    fields: dict[str, FieldValue] = {}
    for name, value in person.items():
        if name == "bank_accounts":
            value = _accounts(value)  # type: ignore[arg-type]
        if name in SEALED_FIELDS:
            fields[name] = vault.seal(employee_id, name, str(value)) if value else None
        else:
            fields[name] = value  # type: ignore[assignment]
    return fields


def _accounts(accounts: Sequence[BankAccount]) -> str:
    if not accounts:
        return ""
    require_whole(accounts)
    return json.dumps([_account(account) for account in accounts])


def _account(account: BankAccount) -> dict[str, Any]:
    document: dict[str, Any] = {
        "holder_name": account.holder_name,
        "account_number": account.account_number,
        "bank_code": account.bank_code,
        "bank_name": account.bank_name,
    }
    if account.share_percent is not None:
        document["share_percent"] = str(account.share_percent)
    if account.amount is not None:
        document["amount"] = {"currency": account.amount.currency, "minor_units": account.amount.minor}
    return document
