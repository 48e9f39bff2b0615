"""The language of pay formulas: exact decimal arithmetic with names, and nothing else.

    formula    = or
    or         = and { "or" and }
    and        = not { "and" not }
    not        = "not" not | comparison
    comparison = sum [ ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) sum ]
    sum        = product { ( "+" | "-" ) product }
    product    = sign { ( "*" | "/" ) sign }
    sign       = "-" sign | "+" sign | atom
    atom       = number | name | function "(" formula { "," formula } ")" | "(" formula ")"

Functions: if(condition, then, else), min(a, b, ...), max(a, b, ...), abs(a), floor(a), ceil(a) and
round(a, digits, MODE) with digits 0 to 6 and a mode of `kernel.money.Rounding`. There are no strings, attributes,
indexes or loops, so that a formula can neither reach anything nor run long.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import NoReturn

from contexts.payroll.domain.errors import FormulaInvalid
from kernel.money import Rounding

MAX_LENGTH = 1000  # characters
MAX_DEPTH = 40  # nested operators, brackets and calls
MAX_NODES = 300
MAX_DIGITS = 18  # digits of one number
MAX_ARGUMENTS = 10  # of min and max

_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)|(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<name>[A-Za-z][A-Za-z0-9_]*)"
    r"|(?P<operator><=|>=|==|!=|[-+*/<>(),])"
)
_COMPARISONS = frozenset({"<", "<=", ">", ">=", "==", "!="})
_ARGUMENTS = {"if": (3, 3), "min": (2, MAX_ARGUMENTS), "max": (2, MAX_ARGUMENTS), "abs": (1, 1), "round": (3, 3),
              "floor": (1, 1), "ceil": (1, 1)}  # fmt: skip
_WORDS = frozenset({"and", "or", "not"})
# Functions of statutory rules, which are written in the same language: clamp(a, low, high), half_up(a, digits).
_STATUTORY = {"clamp": (3, 3), "half_up": (2, 2)}


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written."""

    text: str
    position: int


@dataclass(frozen=True, slots=True)
class Name:
    """A value by its name."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator or function with its operands; `operator` is "neg" for a minus sign before one."""

    operator: str
    operands: "tuple[Node, ...]"
    position: int


@dataclass(frozen=True, slots=True)
class Rounded:
    """`round(operand, digits, MODE)`."""

    operand: "Node"
    digits: int
    rounding: Rounding
    position: int


Node = Number | Name | Operation | Rounded


@dataclass(frozen=True, slots=True)
class Formula:
    """A parsed formula: its text, its tree, and the names that it reads in the order of their first use.

    Invariants: the tree is a number (not a truth value), within the limits of this module.
    """

    text: str
    tree: Node
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


class _Parser:
    def __init__(self, text: str, component: str, part: str, functions: Mapping[str, tuple[int, int]]) -> None:
        self.text, self.component, self.part, self.functions = text, component, part, functions
        self.tokens = list(self._scan())
        self.index = 0
        self.nodes = 0
        self.names: dict[str, int] = {}

    def fail(self, reason: str, position: int) -> NoReturn:
        place = f"{self.component}: " if self.component else ""
        raise FormulaInvalid(
            f"{place}the {self.part} is wrong at character {position + 1}: {reason}",
            field=self.part,
            component=self.component,
            position=position + 1,
            problem=reason,
        )

    def _scan(self) -> Iterator[_Token]:
        if len(self.text) > MAX_LENGTH:
            self.fail(f"it is longer than {MAX_LENGTH} characters; split it into components", MAX_LENGTH)
        position = 0
        while position < len(self.text):
            match = _TOKEN.match(self.text, position)
            if match is None:
                self.fail(f"{self.text[position]!r} has no meaning here", position)
            kind = match.lastgroup or ""
            if kind != "space":
                if kind == "number" and len(match.group()) > MAX_DIGITS + 1:
                    self.fail(f"a number has at most {MAX_DIGITS} digits", position)
                if kind == "name" and len(match.group()) > 60:
                    self.fail("a name has at most 60 characters", position)
                yield _Token(kind, match.group(), position)
            position = match.end()
        yield _Token("end", "", len(self.text))

    @property
    def token(self) -> _Token:
        return self.tokens[self.index]

    def take(self, *texts: str) -> _Token | None:
        token = self.token
        if token.kind in ("operator", "name") and token.text in texts:
            self.index += 1
            return token
        return None

    def need(self, text: str) -> None:
        if self.take(text) is None:
            found = f"found {self.token.text!r}" if self.token.text else "the formula ends"
            self.fail(f"{text!r} is missing, {found}", self.token.position)

    def count(self) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self.fail(f"it has more than {MAX_NODES} parts; split it into components", self.token.position)

    def operation(self, operator: str, operands: tuple[Node, ...], position: int) -> Operation:
        self.count()
        return Operation(operator, operands, position)

    def whole(self) -> Formula:
        if self.token.kind == "end":
            self.fail("it is empty", 0)
        tree = self.either(0)
        if self.token.kind != "end":
            self.fail(f"{self.token.text!r} was not expected here", self.token.position)
        self.must_be_number(tree)
        if _depth(tree) > MAX_DEPTH:  # a long chain is deep without brackets
            self.fail(f"it is nested more than {MAX_DEPTH} deep; split it into components", 0)
        return Formula(self.text, tree, tuple(self.names))

    def either(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self.fail(f"it is nested more than {MAX_DEPTH} deep; split it into components", self.token.position)
        return self.joined(("or",), lambda: self.both(depth), self.must_be_truth)

    def both(self, depth: int) -> Node:
        return self.joined(("and",), lambda: self.negated(depth), self.must_be_truth)

    def negated(self, depth: int) -> Node:
        token = self.take("not")
        if token is None:
            return self.comparison(depth)
        if depth > MAX_DEPTH:
            self.fail(f"it is nested more than {MAX_DEPTH} deep", token.position)
        operand = self.negated(depth + 1)
        self.must_be_truth(operand)
        return self.operation("not", (operand,), token.position)

    def comparison(self, depth: int) -> Node:
        left = self.sum(depth)
        token = self.token
        if token.kind != "operator" or token.text not in _COMPARISONS:
            return left
        self.index += 1
        right = self.sum(depth)
        self.must_be_number(left)
        self.must_be_number(right)
        if self.token.text in _COMPARISONS:
            self.fail("comparisons cannot be chained; join them with 'and'", self.token.position)
        return self.operation(token.text, (left, right), token.position)

    def sum(self, depth: int) -> Node:
        return self.joined(("+", "-"), lambda: self.product(depth), self.must_be_number)

    def product(self, depth: int) -> Node:
        return self.joined(("*", "/"), lambda: self.sign(depth), self.must_be_number)

    def joined(self, operators: tuple[str, ...], operand: Callable[[], Node], check: Callable[[Node], None]) -> Node:
        left = operand()
        while (token := self.take(*operators)) is not None:
            check(left)
            right = operand()
            check(right)
            left = self.operation(token.text, (left, right), token.position)
        return left

    def sign(self, depth: int) -> Node:
        token = self.take("-", "+")
        if token is None:
            return self.atom(depth)
        if depth > MAX_DEPTH:
            self.fail(f"it is nested more than {MAX_DEPTH} deep", token.position)
        operand = self.sign(depth + 1)
        self.must_be_number(operand)
        return operand if token.text == "+" else self.operation("neg", (operand,), token.position)

    def atom(self, depth: int) -> Node:
        token = self.token
        self.index += 1
        if token.kind == "number":
            self.count()
            return Number(token.text, token.position)
        if token.kind == "operator" and token.text == "(":
            inner = self.either(depth + 1)
            self.need(")")
            return inner
        if token.kind == "name" and token.text not in _WORDS:
            if self.token.text == "(":
                return self.call(token, depth)
            self.count()
            self.names.setdefault(token.text, token.position)
            return Name(token.text, token.position)
        self.index -= 1
        if token.kind == "end":
            self.fail("the formula ends where a value should stand", token.position)
        self.fail(f"a value should stand here, found {token.text!r}", token.position)

    def call(self, name: _Token, depth: int) -> Node:
        if name.text not in self.functions:
            close = get_close_matches(name.text, self.functions, 1)
            meant = f"; did you mean {close[0]}?" if close else f"; there are {', '.join(sorted(self.functions))}"
            self.fail(f"there is no function {name.text!r}{meant}", name.position)
        self.need("(")
        fewest, most = self.functions[name.text]
        if name.text == "round":
            return self.rounded(name, depth)
        operands = [self.either(depth + 1)]
        while self.take(",") is not None:
            operands.append(self.either(depth + 1))
        self.need(")")
        if not fewest <= len(operands) <= most:
            wanted = f"{fewest}" if fewest == most else f"{fewest} to {most}"
            self.fail(f"{name.text} takes {wanted} values, not {len(operands)}", name.position)
        for index, operand in enumerate(operands):
            (self.must_be_truth if name.text == "if" and index == 0 else self.must_be_number)(operand)
        return self.operation(name.text, tuple(operands), name.position)

    def rounded(self, name: _Token, depth: int) -> Node:
        operand = self.either(depth + 1)
        self.must_be_number(operand)
        self.need(",")
        digits = self.token
        if digits.kind != "number" or digits.text not in {"0", "1", "2", "3", "4", "5", "6"}:
            self.fail("the digits of round are a whole number from 0 to 6", digits.position)
        self.index += 1
        self.need(",")
        mode = self.token
        if mode.text not in Rounding.__members__:
            self.fail(f"round needs one of {', '.join(Rounding.__members__)}", mode.position)
        self.index += 1
        self.need(")")
        self.count()
        return Rounded(operand, int(digits.text), Rounding[mode.text], name.position)

    def must_be_number(self, node: Node) -> None:
        if _is_truth(node):
            self.fail("a number is needed here, this is true or false", node.position)

    def must_be_truth(self, node: Node) -> None:
        if not _is_truth(node):
            self.fail("a comparison is needed here, this is a number", node.position)


def _is_truth(node: Node) -> bool:
    return isinstance(node, Operation) and (node.operator in _COMPARISONS or node.operator in _WORDS)


def _depth(node: Node) -> int:
    if isinstance(node, Operation):
        return 1 + max(map(_depth, node.operands))
    return 1 + _depth(node.operand) if isinstance(node, Rounded) else 1


def parse(text: str, *, component: str = "", part: str = "formula") -> Formula:
    """The formula that `text` says; `component` and `part` name it in errors. Raises FormulaInvalid."""
    return _Parser(text, component, part, _ARGUMENTS).whole()


def parse_rule(text: str) -> Formula:
    """A step of a statutory rule, which may also call clamp and half_up. Raises FormulaInvalid."""
    return _Parser(text, "", "rule", {**_ARGUMENTS, **_STATUTORY}).whole()


def names_in(node: Node) -> tuple[str, ...]:
    """The names that a tree reads, in the order of their first use."""
    found: dict[str, None] = {}

    def visit(node: Node) -> None:
        if isinstance(node, Name):
            found.setdefault(node.name)
        elif isinstance(node, Operation):
            for operand in node.operands:
                visit(operand)
        elif isinstance(node, Rounded):
            visit(node.operand)

    visit(node)
    return tuple(found)


def evaluate(node: Node, value_of: Callable[[str], Decimal]) -> Decimal:
    """The value of a tree, step by step in the caller's decimal context (for explanations, not for payslips)."""
    if isinstance(node, Number):
        return Decimal(node.text)
    if isinstance(node, Name):
        return value_of(node.name)
    if isinstance(node, Rounded):
        return node.rounding.to(evaluate(node.operand, value_of), node.digits)
    if node.operator == "if":
        chosen = node.operands[1] if holds(node.operands[0], value_of) else node.operands[2]
        return evaluate(chosen, value_of)
    values = [evaluate(operand, value_of) for operand in node.operands]
    return _APPLIED[node.operator](*values)


def holds(node: Node, value_of: Callable[[str], Decimal]) -> bool:
    """Whether a comparison is true."""
    if not isinstance(node, Operation):
        raise ValueError("a number is neither true nor false")
    if node.operator == "not":
        return not holds(node.operands[0], value_of)
    if node.operator == "and":
        return all(holds(operand, value_of) for operand in node.operands)
    if node.operator == "or":
        return any(holds(operand, value_of) for operand in node.operands)
    left, right = (evaluate(operand, value_of) for operand in node.operands)
    return _COMPARED[node.operator](left, right)


_COMPARED: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
_APPLIED: Mapping[str, Callable[..., Decimal]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "neg": lambda a: -a,
    "abs": abs,
    "min": min,
    "max": max,
    "floor": lambda a: Rounding.FLOOR.to(a, 0),
    "ceil": lambda a: Rounding.CEILING.to(a, 0),
    "clamp": lambda a, low, high: min(max(a, low), high),
    "half_up": lambda a, digits: Rounding.HALF_UP.to(a, int(digits)),
}
_STRENGTH = {"or": 1, "and": 2, "not": 3, **dict.fromkeys(_COMPARISONS, 4), "+": 5, "-": 5, "*": 6, "/": 6, "neg": 7}


def written(node: Node) -> str:
    """The text of a tree, with as few brackets as it needs."""
    return _written(node, 0)


def _written(node: Node, outer: int) -> str:
    if isinstance(node, Number):
        return node.text
    if isinstance(node, Name):
        return node.name
    if isinstance(node, Rounded):
        return f"round({_written(node.operand, 0)}, {node.digits}, {node.rounding.name})"
    strength = _STRENGTH.get(node.operator)
    if strength is None:
        return f"{node.operator}({', '.join(_written(operand, 0) for operand in node.operands)})"
    if node.operator in ("neg", "not"):
        text = ("-" if node.operator == "neg" else "not ") + _written(node.operands[0], strength)
    else:
        left, right = node.operands
        text = f"{_written(left, strength)} {node.operator} {_written(right, strength + 1)}"
    return f"({text})" if strength < outer else text
