"""What codecs put into an answer is what the published view of it declares: ids as ids, absent as null."""

import inspect
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, get_type_hints
from uuid import UUID

import orjson
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from pydantic import BaseModel, TypeAdapter
from pydantic_core import PydanticSerializationError

from application.access import FieldClass
from application.identity import use_cases as identity
from application.pay import codec as pay
from application.people import codec as people
from application.time import codec as time

ID = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"
IDS = re.compile(r"(_id|_ids|^cancels|^supersedes|^duplicate_of)$")
OTHERS: dict[Any, Any] = {frozenset[FieldClass]: frozenset(FieldClass), str: ID, int: 1}  # by the parameter's type
INTERNAL = {"amount": "20000.00", "etag": "7"}  # texts that hold a number

View = Callable[..., Any]


def views_of(module: ModuleType) -> Iterator[View]:
    """The functions that make a published view of a message."""
    for name, function in vars(module).items():
        ours = inspect.isfunction(function) and function.__module__ == module.__name__
        if ours and name.endswith("_view") and not name.startswith("_"):
            yield function


def filled(kind: type[Message]) -> Message:
    """A message with something in every field; of a oneof in its first."""
    message = kind()
    _fill(message, 4)
    return message


def _fill(message: Any, depth: int) -> None:
    for field in message.DESCRIPTOR.fields:
        if field.containing_oneof is not None and field is not field.containing_oneof.fields[0]:
            continue
        if field.message_type is None:
            value = _scalar(field)
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)
        elif field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is None:
                getattr(message, field.name)["a"] = _scalar(field.message_type.fields_by_name["value"])
        elif depth:
            part = getattr(message, field.name)
            _fill_part(part.add() if field.is_repeated else part, depth)


def _fill_part(part: Any, depth: int) -> None:
    name = part.DESCRIPTOR.full_name
    if name == "google.protobuf.Timestamp":
        part.FromJsonString("2026-11-23T21:40:08Z")
    elif name == "google.type.Date":
        part.year, part.month, part.day = 2026, 11, 23
    elif name == "muster.type.v1.Money":
        part.currency, part.minor_units = "CNY", 100
    else:
        _fill(part, depth - 1)


def _scalar(field: FieldDescriptor) -> Any:
    if field.enum_type is not None:
        return field.enum_type.values[1].number
    if field.type == FieldDescriptor.TYPE_STRING:
        return ID if IDS.search(field.name) else INTERNAL.get(field.name, "A")
    if field.type == FieldDescriptor.TYPE_BYTES:
        return b"A"
    return True if field.type == FieldDescriptor.TYPE_BOOL else 1


def made_by(view: View) -> Any:
    """The view of a message in which every field is set."""
    hints = get_type_hints(view)
    arguments = [hints[name] for name in inspect.signature(view).parameters]
    return view(*[filled(one) if _is_message(one) else OTHERS[one] for one in arguments])


def _is_message(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Message)


def misfits(view: Any, declared: Any) -> str:
    """What of the view is not of the declared type; empty where all is."""
    if isinstance(view, dict):
        return ""  # stands as JSON already
    try:
        TypeAdapter(declared).dump_python(view, warnings="error")
    except PydanticSerializationError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "view",
    [view for module in (identity, pay, people, time) for view in views_of(module)],
    ids=lambda view: f"{view.__module__.split('.')[1]}.{view.__name__}",
)
def test_a_codec_gives_what_its_view_declares(view: View) -> None:
    declared = get_type_hints(view)["return"]

    made = made_by(view)

    assert misfits(made, declared) == ""
    if isinstance(made, dict):
        assert declared.model_validate_json(orjson.dumps(made)).model_dump(mode="json") == made


def test_an_id_that_stays_text_would_be_found() -> None:
    class Planted(BaseModel):
        id: UUID

    assert "uuid" in misfits(Planted.model_construct(id=ID), Planted)
    assert misfits(Planted.model_construct(id=UUID(ID)), Planted) == ""
