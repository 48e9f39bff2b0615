"""The language of pay formulas."""

import decimal
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contexts.payroll.domain.arithmetic import ARITHMETIC
from contexts.payroll.domain.errors import FormulaInvalid
from contexts.payroll.domain.formula import MAX_DEPTH, MAX_LENGTH, evaluate, parse, written


def value_of(text: str, **names: str) -> Decimal:
    """What a formula gives."""
    with decimal.localcontext(ARITHMETIC):
        return evaluate(parse(text).tree, {name: Decimal(value) for name, value in names.items()}.__getitem__)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 4 - 3", "3"),
        ("12 / 4 / 3", "1"),
        ("-2 * -3", "6"),
        ("--2", "2"),
        ("+2", "2"),
        ("if(a > 1, 10, 20)", "10"),
        ("if(a > 1 and not b == 3, 10, 20)", "20"),
        ("if(a < 1 or b >= 3, 10, 20)", "10"),
        ("min(a, b, 1)", "1"),
        ("max(a, b, 1)", "3"),
        ("abs(a - b)", "1"),
        ("floor(2.7) + ceil(2.1) + floor(-2.1)", "2"),
        ("round(2.345, 2, HALF_UP)", "2.35"),
        ("round(2.345, 2, HALF_EVEN)", "2.34"),
        ("round(2.341, 2, UP)", "2.35"),
        ("if(a != b, if(a <= b, 1, 2), 3)", "1"),
    ],
)
def test_formulas_compute_as_they_read(text: str, value: str) -> None:
    assert value_of(text, a="2", b="3") == Decimal(value)


@pytest.mark.parametrize(
    ("text", "position", "problem"),
    [
        ("", 1, "it is empty"),
        ("   ", 1, "it is empty"),
        ("1 +", 4, "the formula ends where a value should stand"),
        ("1 + * 2", 5, "a value should stand here, found '*'"),
        ("a.b", 2, "'.' has no meaning here"),
        ("a[0]", 2, "'[' has no meaning here"),
        ("'x'", 1, '"\'" has no meaning here'),
        ("__import__", 1, "'_' has no meaning here"),
        ("open(1)", 1, "there is no function 'open'; there are abs, ceil, floor, if, max, min, round"),
        ("mim(1, 2)", 1, "there is no function 'mim'; did you mean min?"),
        ("1 < 2 < 3", 7, "comparisons cannot be chained; join them with 'and'"),
        ("1 + (2 > 1)", 8, "a number is needed here, this is true or false"),
        ("if(1, 2, 3)", 4, "a comparison is needed here, this is a number"),
        ("if(1 > 0, 2)", 1, "if takes 3 values, not 2"),
        ("min(1)", 1, "min takes 2 to 10 values, not 1"),
        ("round(1, 7, UP)", 10, "the digits of round are a whole number from 0 to 6"),
        ("round(1, 2, NEAREST)", 13, None),
        ("a b", 3, "'b' was not expected here"),
        ("(1", 3, "')' is missing, the formula ends"),
        ("1e5", 2, "'e5' was not expected here"),
        ("1234567890123456789012", 1, "a number has at most 18 digits"),
        ("2 > 1", 3, "a number is needed here, this is true or false"),
        ("if", 3, None),
    ],
)
def test_errors_name_component_position_and_problem(text: str, position: int, problem: str | None) -> None:
    with pytest.raises(FormulaInvalid) as error:
        parse(text, component="BONUS", part="formula") if text != "if" else parse("1 + not", component="BONUS")

    facts = error.value.facts
    assert error.value.reason == "FORMULA_INVALID"
    assert facts["component"] == "BONUS"
    if problem is not None:
        assert (facts["position"], facts["problem"]) == (position, problem)


@pytest.mark.parametrize(
    "text",
    [
        "(" * (MAX_DEPTH + 2) + "1" + ")" * (MAX_DEPTH + 2),
        "-" * (MAX_DEPTH + 2) + "1",
        "if(" + "not " * (MAX_DEPTH + 2) + "1 > 0, 1, 2)",
        "1" + " + 1" * (MAX_DEPTH + 2),
        "1" * (MAX_LENGTH + 1),
        "a+" * 400 + "a",
    ],
)
def test_formulas_are_bounded(text: str) -> None:
    with pytest.raises(FormulaInvalid):
        parse(text)


@given(st.text(alphabet="ab12.+-*/()<>=!, ifmnxroudHALF_UP", max_size=60))
def test_any_text_is_a_formula_or_refused(text: str) -> None:
    try:
        tree = parse(text).tree
    except FormulaInvalid:
        return

    assert parse(written(tree)).names == parse(text).names


numbers = st.integers(0, 999).map(str)
trees = st.recursive(
    numbers | st.sampled_from(["a", "b", "c"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(inner, inner).map(lambda parts: f"max({parts[0]}, {parts[1]})"),
        st.tuples(inner, inner, inner).map(lambda parts: f"if({parts[0]} < {parts[1]}, {parts[2]}, -{parts[0]})"),
    ),
    max_leaves=8,
)


@given(trees)
def test_a_tree_is_written_and_read_back_with_the_same_value(text: str) -> None:
    again = written(parse(text).tree)

    assert value_of(again, a="2", b="-3", c="0.5") == value_of(text, a="2", b="-3", c="0.5")
