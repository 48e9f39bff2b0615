"""The one JSON decoder of the edge: a body has exactly one meaning, or it is refused."""

import json
from collections.abc import Callable
from itertools import chain
from typing import Any, NoReturn, TypeVar

import orjson

from application.edge.refusal import UnreadableBody

NumberT = TypeVar("NumberT", int, float)

MAX_DEPTH = 32
MAX_DIGITS = 30
MAX_MEMBERS = 64
MAX_WHOLE = 2**63 - 1
_PLAIN = frozenset({str, bool, type(None), int, dict, list})  # a float may have been anything


def decode(body: bytes) -> Any:
    """The value of a JSON text in UTF-8.

    Raises UnreadableBody for anything that RFC 8259 leaves open: NaN and Infinity, numbers beyond a double or of more
    than 30 digits, lone surrogates, repeated keys; and for more than 32 levels or 64 members of one object.
    """
    # orjson reads fast, but keeps the last of two equal keys and makes a double of a long number. Where it cannot be
    # seen that neither happened, the standard library reads the text again, which lets us see every pair and every
    # digit; what orjson refuses (surrogates, NaN), it would let through.
    try:
        value = orjson.loads(body)
        if _plain(body, value):
            return value
        value = json.loads(
            body.decode(),
            object_pairs_hook=_members,
            parse_int=_whole,
            parse_float=_fraction,
            parse_constant=_constant,
        )
    except (orjson.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        where = getattr(error, "pos", None)
        place = f" (at character {where})" if isinstance(where, int) else ""
        raise UnreadableBody(f"the body is not valid JSON in UTF-8{place}; send one JSON text") from None
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        _check_depth(value)
    return value


def _plain(body: bytes, value: Any) -> bool:
    """Whether this value, as orjson read it, is all that the text says, and within the limits."""
    # Without escapes a text has a colon per member and those inside strings, and so has what orjson writes of the
    # value: one more in the text is of a member that the value lost.
    try:
        if b"\\" in body or body.count(b":") != orjson.dumps(value).count(b":"):
            return False
    except orjson.JSONEncodeError:  # it is nested deeper than orjson writes
        return False
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        kinds = set(map(type, level))
        if not kinds <= _PLAIN or (int in kinds and max(one for one in level if type(one) is int) > MAX_WHOLE):
            return False
        objects = [part for part in level if type(part) is dict]
        lists = [part for part in level if type(part) is list]
        if not objects and not lists:
            return True
        if max(map(len, objects), default=0) > MAX_MEMBERS:
            return False
        level = list(chain(chain.from_iterable(map(dict.values, objects)), chain.from_iterable(lists)))
    return False


def canonical(value: Any) -> bytes:
    """The same bytes for the same decoded value: sorted keys, no spaces, UTF-8."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_MEMBERS:
        raise UnreadableBody(f"an object has more than {MAX_MEMBERS} members; send only the documented ones")
    members = dict(pairs)
    if len(members) != len(pairs):
        raise UnreadableBody("an object names the same key twice; name each key once")
    return members


def _whole(text: str) -> int:
    number = _bounded(text, int)
    if not -MAX_WHOLE - 1 <= number <= MAX_WHOLE:
        raise UnreadableBody("a number is beyond 64 bits; send amounts as decimal strings")
    return number


def _fraction(text: str) -> float:
    return _bounded(text, float)


def _bounded(text: str, read: Callable[[str], NumberT]) -> NumberT:
    if len(text) > MAX_DIGITS and sum(character.isdigit() for character in text) > MAX_DIGITS:
        raise UnreadableBody(f"a number has more than {MAX_DIGITS} digits; send amounts as decimal strings")
    return read(text)


def _constant(name: str) -> NoReturn:
    raise UnreadableBody(f"{name} is not a JSON number; leave the field out or send a number")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inside = [part for part in level if type(part) is dict or type(part) is list]
        if not inside:
            return
        level = [child for part in inside for child in (part.values() if type(part) is dict else part)]
    raise UnreadableBody(f"the body is nested deeper than {MAX_DEPTH} levels; flatten it")
