"""Problem documents (RFC 9457): the one shape of every answer that is not a success."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, Field
from starlette.responses import Response

from application.edge.problem_words import MEDIA_TYPE, title_of

MAX_ERRORS = 50

_FIELD_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class FieldProblem(BaseModel):
    """What is wrong with one input."""

    field: Annotated[
        str,
        Field(
            description="Dotted path of the input; list positions count from 0.", max_length=400, examples=["hire_date"]
        ),
    ]
    reason: Annotated[str, Field(description="Stable code, UPPER_SNAKE.", max_length=80, examples=["REQUIRED"])]
    message: Annotated[
        str,
        Field(
            description="What to do, for people; never the value that was sent.",
            max_length=500,
            examples=["this field is required"],
        ),
    ]


class Problem(BaseModel):
    """A refusal or a failure (RFC 9457)."""

    type: Annotated[
        str, Field(description="Where the reason is explained.", max_length=200, examples=["/problems/STALE_VERSION"])
    ]
    title: Annotated[
        str,
        Field(
            description="The reason in words; the same for every occurrence.",
            max_length=120,
            examples=["Stale version"],
        ),
    ]
    status: Annotated[int, Field(description="The HTTP status.", ge=400, le=599, examples=[412])]
    detail: Annotated[
        str,
        Field(description="What happened here and what to do about it.", max_length=1000, examples=["read it again"]),
    ]
    instance: Annotated[
        str,
        Field(
            description="This occurrence; name it when you report a problem.",
            max_length=200,
            examples=["urn:muster:request:9f1c2d"],
        ),
    ]
    reason: Annotated[
        str,
        Field(description="Stable code, UPPER_SNAKE; programs branch on this.", max_length=80, examples=["REQUIRED"]),
    ]
    errors: Annotated[
        list[FieldProblem], Field(description="The inputs at fault, if any; at most 50.", max_length=MAX_ERRORS)
    ]
    facts: Annotated[
        dict[str, str],
        Field(
            description="What the detail speaks of: ids, codes, dates; never personal data.",
            max_length=20,
            examples=[{"version": "3"}],
        ),
    ] = {}


def problem_response(
    status: int,
    reason: str,
    detail: str,
    *,
    trace_id: str,
    errors: Sequence[Mapping[str, str]] = (),
    facts: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer for one refusal or failure."""
    document: dict[str, Any] = {
        "type": f"/problems/{reason}",
        "title": title_of(reason),
        "status": status,
        "detail": detail,
        "instance": f"urn:muster:request:{trace_id}",
        "reason": reason,
        "errors": list(errors[:MAX_ERRORS]),
    }
    if facts:
        document["facts"] = dict(facts)
    return Response(orjson.dumps(document), status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def field_errors(errors: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """pydantic's findings in our words: its own messages may repeat what was sent."""
    found = []
    for error in errors:
        reason, message = _explained(str(error["type"]), error.get("ctx") or {})
        found.append({"field": _path(error["loc"]), "reason": reason, "message": message})
        if len(found) == MAX_ERRORS:
            break
    return found


def _path(loc: Sequence[Any]) -> str:
    parts = loc[1:] if loc and loc[0] in ("body", "query", "path", "header", "cookie") else loc
    # The name of an unknown field is the client's own text: it is shown only where it looks like a name.
    shown = [str(part) if isinstance(part, int) or _FIELD_NAME.fullmatch(str(part)) else "?" for part in parts]
    return ".".join(shown) or str(loc[0] if loc else "body")


def _explained(kind: str, ctx: Mapping[str, Any]) -> tuple[str, str]:
    match kind:
        case "missing":
            return "REQUIRED", "this field is required"
        case "extra_forbidden":
            return "UNKNOWN_FIELD", "this field is not known here; remove it or check its spelling"
        case "string_too_short":
            return "TOO_SHORT", f"write at least {ctx['min_length']} character(s)"
        case "string_too_long":
            return "TOO_LONG", f"write at most {ctx['max_length']} characters"
        case "too_short":
            return "TOO_SHORT", f"give at least {ctx['min_length']} item(s)"
        case "too_long":
            return "TOO_LONG", f"give at most {ctx['max_length']} items"
        case "string_pattern_mismatch":
            return "WRONG_FORM", f"write it in this form: {ctx['pattern']}"
        case "enum" | "literal_error":
            return "NOT_ALLOWED", f"write one of {ctx['expected']}"
        case "greater_than_equal":
            return "OUT_OF_BOUNDS", f"it must be at least {ctx['ge']}"
        case "greater_than":
            return "OUT_OF_BOUNDS", f"it must be more than {ctx['gt']}"
        case "less_than_equal":
            return "OUT_OF_BOUNDS", f"it must be at most {ctx['le']}"
        case "less_than":
            return "OUT_OF_BOUNDS", f"it must be less than {ctx['lt']}"
        case "value_error":
            # Only this package's own validators raise it, and they never repeat the value.
            return "WRONG_FORM", str(ctx.get("error", "the value is not valid here"))[:500]
        case "union_tag_invalid" | "union_tag_not_found":
            return "NOT_ALLOWED", f"name one of the documented kinds: {ctx.get('expected_tags', '')}"
        case "int_type" | "int_parsing" | "int_from_float" | "int_parsing_size":
            return "WRONG_TYPE", "send a whole number"
        case "string_type" | "string_sub_type" | "string_unicode":
            return "WRONG_TYPE", "send a string"
        case "bool_type" | "bool_parsing":
            return "WRONG_TYPE", "send true or false"
        case "list_type" | "tuple_type":
            return "WRONG_TYPE", "send a list"
        case "dict_type" | "model_type" | "model_attributes_type" | "dataclass_type":
            return "WRONG_TYPE", "send an object"
        case "none_required":
            return "WRONG_TYPE", "send null"
        case _:
            return "INVALID", "the value is not valid here; see the documented type and bounds"
