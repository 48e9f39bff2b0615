"""What commands do with a person's fields before the domain keeps them: check, seal."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from contexts.organization.domain.errors import FactOutOfRange
from contexts.organization.domain.values import SEALED_FIELDS, BankAccount, FieldValue
from contexts.organization.repository.port import Vault
from kernel.ids import EmployeeId

WHOLE = Decimal(100)

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
    if any(account.share_percent <= 0 for account in accounts) or sum(a.share_percent for a in accounts) != WHOLE:
        raise FactOutOfRange(
            "the shares of the bank accounts must be over 0 and sum to 100 percent", field="bank_accounts.share_percent"
        )
    return json.dumps(
        [
            {
                "holder_name": account.holder_name,
                "account_number": account.account_number,
                "bank_code": account.bank_code,
                "bank_name": account.bank_name,
                "share_percent": str(account.share_percent),
            }
            for account in accounts
        ]
    )
