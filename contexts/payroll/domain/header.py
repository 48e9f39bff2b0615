"""What all payslips of one calculation share: the period, the dates that decide, and the versions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

ENGINE_VERSION = "1"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Header:
    """What every payslip of a run shares; its canonical JSON is the first part of each content hash.

    Invariants: never changes within an attempt.
    """

    pay_group: str
    period: str
    kind: str
    sequence: int
    start: date
    end: date  # the day after the last one
    pay_date: date
    tax_year: int
    tax_period: int
    registration: str
    currency: str
    country: str
    catalog_version: int
    statutory_version: str
    inputs_only: bool  # pays the inputs entered and nothing else
    engine_version: str = ENGINE_VERSION
    format_version: int = FORMAT_VERSION

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "catalog": self.catalog_version,
            "country": self.country,
            "currency": self.currency,
            "end": self.end.isoformat(),
            "engine": self.engine_version,
            "format_version": self.format_version,
            "inputs_only": self.inputs_only,
            "kind": self.kind,
            "pay_date": self.pay_date.isoformat(),
            "pay_group": self.pay_group,
            "period": self.period,
            "registration": self.registration,
            "sequence": self.sequence,
            "start": self.start.isoformat(),
            "statutory": self.statutory_version,
            "tax_period": self.tax_period,
            "tax_year": self.tax_year,
        }

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "Header":
        """From what `document()` gave."""
        return cls(
            pay_group=document["pay_group"],
            period=document["period"],
            kind=document["kind"],
            sequence=document["sequence"],
            start=date.fromisoformat(document["start"]),
            end=date.fromisoformat(document["end"]),
            pay_date=date.fromisoformat(document["pay_date"]),
            tax_year=document["tax_year"],
            tax_period=document["tax_period"],
            registration=document["registration"],
            currency=document["currency"],
            country=document["country"],
            catalog_version=document["catalog"],
            statutory_version=document["statutory"],
            inputs_only=document["inputs_only"],
            engine_version=document["engine"],
            format_version=document["format_version"],
        )
