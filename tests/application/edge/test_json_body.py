"""Odd JSON is refused, ordinary JSON is read as it stands."""

import contextlib
import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.edge.json_body import MAX_DEPTH, MAX_MEMBERS, canonical, decode
from application.edge.refusal import UnreadableBody

ODD = {
    "nothing": b"",
    "only spaces": b"  ",
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": Infinity}',
    "minus Infinity": b"[-Infinity]",
    "beyond a double": b'{"a": 1e400}',
    "an exponent bomb": b'{"a": 1e3000000}',
    "2 to the 63rd, far inside": b'{"x": [1, [-5, 9223372036854775808]]}',
    "beyond unsigned 64 bits": b"18446744073709551616",
    "a repeated key of colons": b'{":": "::", ":": ":"}',
    "a repeated key, apart from its colon": b'{"a": 1, "a" \n : 2}',
    "a repeated key, and an escaped colon for its own": b'{"a": 1, "a": "\\u003a"}',
    "a lone high surrogate": b'{"a": "\\ud800"}',
    "a lone low surrogate": b'{"a": "\\udc00\\ud800"}',
    "a surrogate in UTF-8": b'{"a": "\xed\xa0\x80"}',
    "a broken UTF-8 sequence": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a repeated key": b'{"a": 1, "a": 1}',
    "a repeated key, once escaped": b'{"a": 1, "\\u0061": 2}',
    "a repeated key far inside": b'{"x": [{"y": {"b": 1, "c": 2, "b": 3}}]}',
    "31 digits": b"1" * 31,
    "31 digits after the point": b"0." + b"1" * 30,
    "5000 digits": b"[" + b"9" * 5000 + b"]",
    "more than 64 bits": b"9223372036854775808",
    "33 levels": b"[" * 33 + b"]" * 33,
    "33 levels of objects": b'{"a":' * 33 + b"1" + b"}" * 33,
    "300 levels": b"[" * 300 + b"]" * 300,
    "1000 levels of objects": b'{"a":' * 1000 + b"1" + b"}" * 1000,
    "100000 levels": b"[" * 100_000,
    "a raw control character": b'{"a": "\x01"}',
    "a trailing comma": b'{"a": 1,}',
    "a comment": b'{"a": 1} // no',
    "two texts": b"{} {}",
    "a leading zero": b"[01]",
    "65 members": orjson.dumps({str(number): number for number in range(MAX_MEMBERS + 1)}),
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD.keys())
def test_odd_json_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableBody):
        decode(body)


def test_the_refusal_does_not_repeat_the_body() -> None:
    with pytest.raises(UnreadableBody) as refused:
        decode(b'{"secret-canary": 1, "secret-canary": 2}')

    assert "canary" not in refused.value.message


def test_32_levels_are_read() -> None:
    assert decode(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None


def test_brackets_inside_strings_are_no_levels() -> None:
    assert decode(b'{"a": "' + b"[" * 1000 + b'"}') == {"a": "[" * 1000}


def test_a_surrogate_pair_is_one_character() -> None:
    assert decode(b'"\\ud83d\\ude00"') == "\U0001f600"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_ordinary_json_is_read_as_it_stands(value: object) -> None:
    assert decode(json.dumps(value).encode()) == value
    assert decode(canonical(value)) == value


@given(VALUES)
def test_the_canonical_bytes_do_not_depend_on_key_order(value: object) -> None:
    assert canonical(value) == canonical(_backwards(value))


SPACE = st.sampled_from(["", " ", "\n\t"])
WORDS = st.text(st.sampled_from('ab:",{[é'), max_size=3)
MEMBERS = st.lists(st.tuples(WORDS, SPACE, SPACE, st.integers(-3, 3) | WORDS | st.lists(WORDS, max_size=2)), max_size=5)


@given(MEMBERS)
def test_an_object_is_read_where_no_key_comes_twice_and_refused_otherwise(
    members: list[tuple[str, str, str, object]],
) -> None:
    text = ",".join(f"{json.dumps(key)}{before}:{after}{json.dumps(value)}" for key, before, after, value in members)
    keys = [key for key, *_ in members]

    if len(set(keys)) == len(keys):
        assert decode(f"[{{{text}}}]".encode()) == [{key: value for key, _, _, value in members}]
    else:
        with pytest.raises(UnreadableBody):
            decode(f"[{{{text}}}]".encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(UnreadableBody):
        decode(body)


def _backwards(value: object) -> object:
    if isinstance(value, dict):
        return {key: _backwards(inner) for key, inner in reversed(value.items())}
    if isinstance(value, list):
        return [_backwards(inner) for inner in value]
    return value
