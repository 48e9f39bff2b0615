"""Reversals: a final payslip taken back line by line, from nothing but what it stored."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from contexts.payroll.domain.arithmetic import plain
from contexts.payroll.domain.header import Header
from contexts.payroll.domain.opening import TOTALS

Line = Mapping[str, Any]

_KEPT = ("base", "code", "kind", "rate")  # of a line; the rest says how it was computed, or which days it paid


def reversal_facts(
    employee: UUID, payslip: UUID, content_hash: bytes, lines: Sequence[Line], prior: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What a payslip of a reversal freezes: the one that it takes back, and the year to date before that one."""
    before = None if prior is None else {key: prior[key] for key in ("statutory", "tax_period", "tax_year", "totals")}
    return {
        "before": before,
        "employee": str(employee),
        "lines": [dict(line) for line in lines],
        "reverses": {"hash": content_hash.hex(), "payslip": str(payslip)},
    }


def reversed_lines(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The negated lines, taxes included: quantity and amount change their sign."""
    return [
        {
            **{key: line[key] for key in _KEPT if key in line},
            **{key: _negated(line[key]) for key in ("amount", "quantity") if line.get(key)},
        }
        for line in facts["lines"]
    ]


def reversed_year_to_date(header: Header, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The totals go back to what they were before the payslip that is taken back."""
    if facts["before"] is not None:
        return dict(facts["before"])
    return {
        "statutory": {},
        "tax_period": header.tax_period,
        "tax_year": header.tax_year,
        "totals": dict.fromkeys(TOTALS, "0"),
    }


def _negated(number: str) -> str:
    return plain(-Decimal(number))
