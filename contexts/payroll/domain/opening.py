"""Opening balances: what another payroll paid and withheld in the tax year, as the payslip that ours go on from."""

import decimal
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from contexts.payroll.domain.arithmetic import plain
from contexts.payroll.domain.errors import OpeningBalanceInvalid
from contexts.payroll.domain.header import Header
from contexts.payroll.domain.payslip import Encode
from contexts.payroll.domain.statutory_lines import Statutory
from kernel.ids import EmployeeId

TOTALS = ("deductions", "gross", "net")


@dataclass(frozen=True, slots=True)
class OpeningBalance:
    """One employee's running totals by name, in major units as they were entered."""

    employee_id: EmployeeId
    totals: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OpeningSource:
    """Where balances come from."""

    text: str
    day: date


def opening_facts(
    balance: OpeningBalance, source: OpeningSource, header: Header, statutory: Statutory | None
) -> dict[str, Any]:
    """What an imported payslip freezes. Raises OpeningBalanceInvalid."""
    numbers = {name: _number(balance, name, text) for name, text in balance.totals.items()}
    missing = [name for name in TOTALS if name not in numbers]
    if missing:
        raise _invalid(balance, f"give {', '.join(missing)}")
    theirs = {name: value for name, value in numbers.items() if name not in TOTALS}
    problem = "" if statutory is None else statutory.opening_problem(theirs, header.pay_date)
    if statutory is None and theirs:
        problem = f"the pay group names no country that reads {', '.join(sorted(theirs))}"
    if problem:
        raise _invalid(balance, problem)
    return {
        "employee": str(balance.employee_id),
        "opening": {name: plain(value) for name, value in numbers.items()},
        "source": source.text,
        "source_date": source.day.isoformat(),
    }


def opening_year_to_date(header: Header, facts: Mapping[str, Any], encode: Encode) -> bytes:
    """The year to date of an imported payslip, from what it froze: the contributions of its month are taken."""
    totals: Mapping[str, str] = facts["opening"]
    statutory = {name: value for name, value in totals.items() if name not in TOTALS}
    if statutory:
        statutory["contribution_month"] = header.start.isoformat()[:7]
    return encode(
        {
            "statutory": statutory,
            "tax_period": header.tax_period,
            "tax_year": header.tax_year,
            "totals": {name: totals[name] for name in TOTALS},
        }
    )


def _number(balance: OpeningBalance, name: str, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except decimal.InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0:
        raise _invalid(balance, f"{name} is an amount of 0 or more")
    return number


def _invalid(balance: OpeningBalance, problem: str) -> OpeningBalanceInvalid:
    return OpeningBalanceInvalid(
        f"the opening balance of {balance.employee_id}: {problem}",
        field="balances.totals",
        employee_id=balance.employee_id,
    )
