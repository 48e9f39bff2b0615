"""How payroll's values are written into stored documents, and read from them."""

from datetime import date
from decimal import Decimal
from typing import Any

import orjson

from contexts.payroll.domain.catalog import (
    CatalogEntry,
    Definition,
    EntryKind,
    FormulaScope,
    LineKind,
    PayComponent,
    PayDateRule,
    PayFrequency,
    PayGroup,
    Proration,
    TaxTreatment,
)
from contexts.payroll.domain.payslip import ComponentSum
from kernel.money import Money, Rounding


def canonical(value: Any) -> bytes:
    """Plain values as stored documents write them: sorted keys, no spaces, UTF-8."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def definition_document(definition: Definition) -> bytes:
    """A catalog definition as canonical JSON."""
    if isinstance(definition, PayGroup):
        return canonical(
            {
                "code": definition.code,
                "country": definition.country,
                "currency": definition.currency,
                "effective_date": definition.effective_date.isoformat(),
                "frequency": definition.frequency.value,
                "name": definition.name,
                "pay_date_day": definition.pay_date_rule.day,
                "pay_date_offset": definition.pay_date_rule.offset,
                "time_calendar": definition.time_calendar,
                "time_period_offset": definition.time_period_offset,
                "withholding_registration": definition.withholding_registration,
            }
        )
    return canonical(
        {
            "base_formula": definition.base_formula,
            "code": definition.code,
            "digits": definition.digits,
            "effective_date": definition.effective_date.isoformat(),
            "ended": definition.ended,
            "formula": definition.formula,
            "hide_zero": definition.hide_zero,
            "kind": definition.kind.value,
            "name": definition.name,
            "order": definition.order,
            "pay_groups": list(definition.pay_groups),
            "pays_for_time": definition.pays_for_time,
            "proration": definition.proration.value,
            "quantity_formula": definition.quantity_formula,
            "rate_formula": definition.rate_formula,
            "rounding": definition.rounding.name,
            "scope": definition.scope.value,
            "statutory_line": definition.statutory_line,
            "tax_treatment": definition.tax_treatment.value,
        }
    )


def entry_of(version: int, kind: str, document: bytes) -> CatalogEntry:
    """A catalog entry from its stored document."""
    found = orjson.loads(document)
    effective = date.fromisoformat(found["effective_date"])
    if EntryKind(kind) is EntryKind.PAY_GROUP:
        return CatalogEntry(
            version,
            PayGroup(
                code=found["code"],
                name=found["name"],
                withholding_registration=found["withholding_registration"],
                frequency=PayFrequency(found["frequency"]),
                currency=found["currency"],
                country=found["country"],
                time_calendar=found["time_calendar"],
                time_period_offset=found["time_period_offset"],
                pay_date_rule=PayDateRule(found["pay_date_offset"], found["pay_date_day"]),
                effective_date=effective,
            ),
        )
    return CatalogEntry(
        version,
        PayComponent(
            code=found["code"],
            name=found["name"],
            kind=LineKind(found["kind"]),
            formula=found["formula"],
            quantity_formula=found["quantity_formula"],
            rate_formula=found["rate_formula"],
            base_formula=found["base_formula"],
            statutory_line=found["statutory_line"],
            scope=FormulaScope(found["scope"]),
            proration=Proration(found["proration"]),
            rounding=Rounding[found["rounding"]],
            digits=found["digits"],
            tax_treatment=TaxTreatment(found["tax_treatment"]),
            pays_for_time=found["pays_for_time"],
            hide_zero=found["hide_zero"],
            order=found["order"],
            pay_groups=tuple(found["pay_groups"]),
            effective_date=effective,
            ended=found["ended"],
        ),
    )


def sums_document(sums: dict[str, ComponentSum]) -> bytes:
    """Sums per component as canonical JSON."""
    return canonical({code: [one.amount, one.lines] for code, one in sums.items()})


def sums_of(document: bytes) -> dict[str, ComponentSum]:
    """Sums per component from their stored document."""
    return {code: ComponentSum(amount, lines) for code, (amount, lines) in orjson.loads(document).items()}


def line_amounts(lines: bytes, currency: str) -> dict[str, int]:
    """The amounts of a stored payslip's lines by component, in minor units."""
    return {line["code"]: Money.exactly(Decimal(line["amount"]), currency).minor for line in orjson.loads(lines)}
