"""The rules that stand in the protos (protovalidate), checked on every request before a handler sees it."""

from typing import Any

import protovalidate
from google.protobuf.message import Message

from chassis.rpc.error_map import InvalidRequest, Violation

_validator = protovalidate.Validator()


def validate(message: Message) -> None:
    """Check a request against the rules of its proto. Raises InvalidRequest with every violation."""
    found = _validator.collect_violations(message)
    if found:
        raise InvalidRequest(tuple(_violation(one.proto) for one in found))


def _violation(proto: Any) -> Violation:
    rule = proto.rule_id or "rule"
    return Violation(_path(proto.field), rule.upper().replace(".", "_"), proto.message or f"does not satisfy {rule}")


def _path(field: Any) -> str:
    """A dotted path with indexes: "employments[2].hire_date"; "" where the rule is about the whole message."""
    if field is None:
        return ""
    path = ""
    for element in field.elements:
        path += f".{element.field_name}" if path else element.field_name or ""
        if element.subscript is not None:
            path += f"[{element.subscript.value}]"
    return path
