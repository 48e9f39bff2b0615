"""A second reading of the rules: evaluates their texts over bound values, apart from the code that made the lines."""

import ast
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

from contexts.payroll.domain.statutory.trace import Line

_ROUNDING = Context(prec=80, rounding=ROUND_HALF_UP)


def evaluated(line: Line, **changes: Decimal) -> Fraction:
    """The line's amount from its leaves alone, with some of them changed; steps are recomputed, never read."""
    known = {leaf.name: Fraction(line.bound()[leaf.name]) for leaf in line.spec.rule.leaves}
    known |= {name: Fraction(value) for name, value in changes.items()}
    for name, text in line.spec.rule.steps:
        known[name] = _value(ast.parse(text, mode="eval").body, known)
    return known["amount"]


def steps(line: Line) -> dict[str, Fraction]:
    """Every step but the amount, from the leaves alone."""
    known = {leaf.name: Fraction(line.bound()[leaf.name]) for leaf in line.spec.rule.leaves}
    for name, text in line.spec.rule.steps:
        known[name] = _value(ast.parse(text, mode="eval").body, known)
    return {name: known[name] for name, _ in line.spec.rule.steps[:-1]}


def _value(node: ast.expr, known: Mapping[str, Fraction]) -> Fraction:
    match node:
        case ast.Constant(value=int(number)):
            return Fraction(number)
        case ast.Name(id=name):
            return known[name]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _value(left, known) + _value(right, known)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _value(left, known) - _value(right, known)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _value(left, known) * _value(right, known)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _value(left, known) / _value(right, known)
        case ast.Call(func=ast.Name(id=name), args=args):
            return _called(name, [_value(argument, known) for argument in args])
    raise AssertionError(ast.dump(node))


def _called(name: str, values: list[Fraction]) -> Fraction:
    if name == "max":
        return max(values)
    if name == "min":
        return min(values)
    if name == "clamp":
        return min(max(values[0], values[1]), values[2])
    assert name == "half_up"
    scale = 10 ** int(values[1])
    scaled = abs(values[0]) * scale + Fraction(1, 2)
    sign = -1 if values[0] < 0 else 1
    return Fraction(sign * (scaled.numerator // scaled.denominator), scale)
