"""Recorded fields and chart entries as JSON bytes, and back."""

import base64
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import orjson

from contexts.organization.domain import org_chart
from contexts.organization.domain.history import ALLOWANCE, END_REASON
from contexts.organization.domain.values import (
    SEALED_FIELDS,
    Compensation,
    EmploymentType,
    EndReason,
    FieldValue,
    FlsaStatus,
    PayUnit,
    Person,
    Sealed,
)

_DETAILS: Mapping[int, Any] = {kind.value: detail for detail, kind in org_chart.KINDS.items()}


def _of_sealed(value: Sealed) -> dict[str, str]:
    document = {"ciphertext": base64.b64encode(value.ciphertext).decode()}
    if value.index:
        document["index"] = base64.b64encode(value.index).decode()
    return document


def _of_compensation(value: Compensation) -> dict[str, str]:
    return {"amount": str(value.amount), "currency": value.currency, "unit": value.unit.value}


def _of_enum(value: Enum) -> str:
    text: str = value.value
    return text


_WRITERS: dict[type, Callable[[Any], Any]] = {
    Sealed: _of_sealed,
    Compensation: _of_compensation,
    Decimal: str,
    date: date.isoformat,
    UUID: str,
    EmploymentType: _of_enum,
    EndReason: _of_enum,
    FlsaStatus: _of_enum,
}


def _plain(value: Any) -> Any:
    write = _WRITERS.get(type(value))
    return value if write is None else write(value)


def _sealed(value: Any) -> Sealed:
    return Sealed(base64.b64decode(value["ciphertext"]), base64.b64decode(value.get("index", "")))


def _compensation(value: Any) -> Compensation:
    return Compensation(Decimal(value["amount"]), value["currency"], PayUnit(value["unit"]))


_READERS: Mapping[str, Any] = {
    "birth_date": date.fromisoformat,
    "fte": Decimal,
    "assignment_id": UUID,
    "manager_id": UUID,
    "compensation": _compensation,
    "flsa_status": FlsaStatus,
    "employment_type": EmploymentType,
    END_REASON: EndReason,
} | dict.fromkeys(SEALED_FIELDS, _sealed)


def fields_to_json(fields: Mapping[str, FieldValue]) -> bytes:
    """A change's fields, in order of name."""
    return orjson.dumps({name: _plain(value) for name, value in fields.items()}, option=orjson.OPT_SORT_KEYS)


def fields_from_json(document: bytes) -> dict[str, FieldValue]:
    """What `fields_to_json` was given."""
    return {name: _field(name, value) for name, value in orjson.loads(document).items()}


def _field(name: str, value: Any) -> FieldValue:
    if value is None:
        return None
    read = _compensation if name.startswith(ALLOWANCE) else _READERS.get(name)
    found: FieldValue = value if read is None else read(value)
    return found


def sealed_to_json(person: Person) -> bytes | None:
    """A person's encrypted fields, None where there is none."""
    sealed = {name: _plain(value) for name in SEALED_FIELDS if (value := getattr(person, name)) is not None}
    return orjson.dumps(sealed, option=orjson.OPT_SORT_KEYS) if sealed else None


def sealed_from_json(document: bytes | None) -> dict[str, Sealed]:
    """What `sealed_to_json` was given."""
    return {} if document is None else {name: _sealed(value) for name, value in orjson.loads(document).items()}


def ids_to_json(ids: tuple[UUID, ...]) -> bytes | None:
    """Change ids, None where there is none."""
    return orjson.dumps([str(id) for id in ids]) if ids else None


def ids_from_json(document: bytes | None) -> tuple[UUID, ...]:
    """What `ids_to_json` was given."""
    return () if document is None else tuple(UUID(id) for id in orjson.loads(document))


def entry_to_json(entry: org_chart.Entry | None) -> bytes | None:
    """What a chart entry says, None where it is closed."""
    return None if entry is None else orjson.dumps({"name": entry.name, "detail": entry.detail})


def entry_from_json(kind: int, code: str, document: bytes | None) -> org_chart.Entry | None:
    """What `entry_to_json` was given."""
    if document is None:
        return None
    said = orjson.loads(document)
    return org_chart.Entry(code, said["name"], _DETAILS[kind](**said["detail"]))
