"""The payslip as a function: components compiled once per catalog version, then one call per employee.

The frozen inputs of an employee are plain JSON values with decimals as normalised strings (`facts.py` describes them).
A `Plan` turns them into lines, totals and the text of the stored document. Line traces hold bound values only, in the
order of `ComponentTrees.leaves`; their words are rendered from the catalog when somebody asks.
"""

import decimal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, NamedTuple

from contexts.payroll.domain import formula as language
from contexts.payroll.domain.arithmetic import ARITHMETIC, EXACT_DIGITS, ZERO, plain, shown
from contexts.payroll.domain.catalog import LineKind, PayComponent, Proration
from contexts.payroll.domain.compiler import module_source, slots
from contexts.payroll.domain.errors import Blocked, ComponentInvalid, FormulaCycle, FormulaInvalid
from contexts.payroll.domain.formula import Formula, Name, Node, Operation, Rounded
from contexts.payroll.domain.header import Header
from contexts.payroll.domain.names import LINE_SUMS, Meaning, Origin, known_names, meaning, time_key
from contexts.payroll.domain.segments import Piece, paid_ranges, split, time_slots
from contexts.payroll.domain.statutory_lines import Earned, Place, Statutory
from kernel.errors import DomainError
from kernel.money import minor_digits

MAX_COMPONENTS = 300

_SMALL = tuple(Decimal(number) for number in range(1441))  # days of a period, minutes of a day
_SMALL_TEXT = tuple(str(number) for number in range(1441))
_OWN_PARTS = {"quantity": "quantity_formula", "rate": "rate_formula", "base": "base_formula"}
_NEGATIVE_NET = "deductions exceed what is paid; enter a smaller deduction or spread it over later periods"
_MAX_TABLE_DAYS = 4096


class Computed(NamedTuple):
    """One payslip as numbers, in major units; `bound` is what its lines and traces are written from."""

    gross: Decimal
    net: Decimal
    deductions: Decimal  # employee deductions and taxes
    bound: tuple[Any, ...]


class Written(NamedTuple):
    """One payslip as it is stored: texts in canonical JSON, totals in minor units."""

    lines: str
    year_to_date: str
    gross: int
    net: int
    employer_cost: int
    deductions: int
    amounts: tuple[Decimal, ...]  # by component in the order of the payslip, in major units
    paid: tuple[tuple[str, int, int], ...]  # assignment, first day, day after the last (ordinals)


@dataclass(frozen=True, slots=True)
class ComponentTrees:
    """A component's formulas as trees: what is shown, and the amount with its proration.

    Invariants: `leaves` are the names that all trees read, derived ones replaced by what they are derived from, in the
    order of their first use; a stored trace holds their values in that order.
    """

    shown: tuple[tuple[str, Node], ...]  # "quantity", "rate", "base" where given
    amount: Node
    leaves: tuple[Meaning, ...]
    divides: bool


class Plan:
    """The components of one pay group at one catalog version, compiled.

    Invariants: immutable; equal components give an equal plan; a component's amount is computed after everything that
    its formula names.
    """

    def __init__(self, components: Sequence[PayComponent], currency: str, statutory: Statutory | None) -> None:
        """Compile. Raises FormulaInvalid, FormulaCycle, ComponentInvalid."""
        if len(components) > MAX_COMPONENTS:
            raise ComponentInvalid(f"a pay group has at most {MAX_COMPONENTS} components", field="code")
        self.components = tuple(components)
        self.currency = currency
        self.statutory = statutory
        self.digits = minor_digits(currency)
        self.by_code = {component.code: index for index, component in enumerate(self.components)}
        self.tables: Mapping[str, str] = statutory.tables if statutory is not None else {}
        self._trees: dict[str, ComponentTrees] = {}
        for component in self.components:
            self._check(component)
        for component in self.components:
            if not component.statutory_line:
                self._trees[component.code] = self._read(component)
        self.order = self._ordered()
        self.time_keys = self._time_keys()
        self._time_slots = time_slots(self.time_keys)
        self.input_components = frozenset(
            code
            for code, trees in self._trees.items()
            if any(leaf.name in ("input_amount", "input_quantity") for leaf in trees.leaves)
        )
        self.paying_for_time = tuple(
            (index, component) for index, component in enumerate(self.components) if component.pays_for_time
        )
        self.source = module_source(self)
        compiled = self._compile()
        self._single, self._several = compiled["single"], compiled["several"]
        self._write_single, self._write_several = compiled["write_single"], compiled["write_several"]

    # ------------------------------------------------------------------------------------------------------ reading

    def trees(self, code: str) -> ComponentTrees:
        """The trees of a component that has formulas."""
        return self._trees[code]

    def meaning(self, name: str) -> Meaning | None:
        """What a name means in this plan, components included."""
        if name in self.by_code:
            return Meaning(name, Origin.LINE, f"lines: {name}")
        return meaning(name, self.tables)

    def _check(self, component: PayComponent) -> None:
        component.check()
        if not component.fits(self.currency):
            raise ComponentInvalid(
                f"{component.code}: {self.currency} has {self.digits} digits after the point",
                field="digits",
                component=component.code,
            )
        if not component.statutory_line:
            return
        kinds: Mapping[str, LineKind] = self.statutory.kinds if self.statutory is not None else {}
        kind = kinds.get(component.statutory_line)
        if kind is None:
            there = f"there are {', '.join(sorted(kinds))}" if kinds else "the pay group names no country"
            raise ComponentInvalid(
                f"{component.code}: there is no statutory line {component.statutory_line!r}; {there}",
                field="statutory_line",
                component=component.code,
            )
        if component.kind is not kind:
            raise ComponentInvalid(
                f"{component.code}: the statutory line is of kind {kind.value}", field="kind", component=component.code
            )
        others = [other for other in self.components if other.statutory_line == component.statutory_line]
        if len(others) > 1:
            raise ComponentInvalid(
                f"{others[0].code} and {others[1].code} show the same statutory line",
                field="statutory_line",
                component=component.code,
            )

    def _read(self, component: PayComponent) -> ComponentTrees:
        parsed = {
            part: language.parse(text, component=component.code, part=part) for part, text in component.formulas.items()
        }
        displayed: list[tuple[str, Node]] = []
        own: dict[str, Node] = {}
        for name, part in _OWN_PARTS.items():
            if part in parsed:
                own[name] = self._inlined(component, part, parsed[part], own)
                displayed.append((name, own[name]))
        amount = prorated(self._inlined(component, "formula", parsed["formula"], own), component.proration)
        leaves: dict[str, Meaning] = {}
        for tree in (*(node for _, node in displayed), amount):
            for name in language.names_in(tree):
                self._leaf(component, name, leaves)
        return ComponentTrees(tuple(displayed), amount, tuple(leaves.values()), self._divides(amount))

    def _inlined(self, component: PayComponent, part: str, parsed: Formula, own: Mapping[str, Node]) -> Node:
        """The tree with `quantity`, `rate` and `base` replaced by their formulas; unknown names are refused."""

        def replaced(node: Node) -> Node:
            if isinstance(node, Operation):
                return Operation(node.operator, tuple(map(replaced, node.operands)), node.position)
            if isinstance(node, Rounded):
                return Rounded(replaced(node.operand), node.digits, node.rounding, node.position)
            if isinstance(node, Name):
                if node.name in own:
                    return own[node.name]
                self._must_be_known(component, part, node)
            return node

        return replaced(parsed.tree)

    def _must_be_known(self, component: PayComponent, part: str, name: Name) -> None:
        problem = ""
        found = self.meaning(name.name)
        if name.name in _OWN_PARTS:
            problem = f"the component has no {_OWN_PARTS[name.name]}"
        elif found is None:
            close = get_close_matches(name.name, (*self.by_code, *known_names(self.tables)), 1)
            problem = f"there is no {name.name!r}" + (f"; did you mean {close[0]}?" if close else "")
        elif name.name == component.code:
            problem = "a component cannot read its own amount"
        elif name.name in LINE_SUMS and component.kind is LineKind.EARNING:
            problem = f"an earning cannot read {name.name!r}, of which it may be a part"
        if problem:
            raise FormulaInvalid(
                f"{component.code}: the {part} is wrong at character {name.position + 1}: {problem}",
                field=part,
                component=component.code,
                position=name.position + 1,
                problem=problem,
            )

    def _leaf(self, component: PayComponent, name: str, leaves: dict[str, Meaning]) -> None:
        found = self.meaning(name)
        if found is None:  # a name that a proration or a derived name brought in, and only a country's tables give
            raise ComponentInvalid(
                f"{component.code}: {name!r} comes from the tables of a country, and the pay group names none",
                field="proration",
                component=component.code,
            )
        if found.formula is None:
            leaves.setdefault(name, found)
            return
        for inner in found.formula.names:
            self._leaf(component, inner, leaves)

    def _divides(self, node: Node) -> bool:
        if isinstance(node, Operation):
            return node.operator == "/" or any(map(self._divides, node.operands))
        if isinstance(node, Name):
            found = self.meaning(node.name)
            return found is not None and found.formula is not None
        return isinstance(node, Rounded) and self._divides(node.operand)

    # ---------------------------------------------------------------------------------------------------- the graph

    def _needs(self, component: PayComponent) -> tuple[str, ...]:
        """The components whose amounts this one reads, directly."""
        earnings = [other.code for other in self.components if other.kind is LineKind.EARNING]
        if component.statutory_line:
            return tuple(earnings)
        found: list[str] = []
        for leaf in self._trees[component.code].leaves:
            if leaf.name in self.by_code:
                found.append(leaf.name)
            elif leaf.name in LINE_SUMS:
                found.extend(earnings)
        return tuple(dict.fromkeys(found))

    def _ordered(self) -> tuple[int, ...]:
        needs = {component.code: self._needs(component) for component in self.components}
        done: dict[str, None] = {}
        path: dict[str, None] = {}

        def visit(code: str) -> None:
            if code in done:
                return
            if code in path:
                members = list(path)
                circle = " -> ".join([*members[members.index(code) :], code])
                raise FormulaCycle(f"these components need each other: {circle}", field="formula", path=circle)
            path[code] = None
            for needed in needs[code]:
                visit(needed)
            del path[code]
            done[code] = None

        for code in needs:
            visit(code)
        return tuple(self.by_code[code] for code in done)

    def _time_keys(self) -> tuple[tuple[str, str], ...]:
        names = {
            leaf.name for trees in self._trees.values() for leaf in trees.leaves if leaf.name.startswith("minutes_")
        }
        return tuple(time_key(name) for name in sorted(names))

    def reads_time(self, pay_code: str, paid_share: str) -> bool:
        """Whether minutes of this pay code can change a payslip: a formula names it, or they are not paid in full."""
        return paid_share != "1" or any(code == pay_code for code, _ in self.time_keys)

    # ---------------------------------------------------------------------------------------------------- computing

    def _compile(self) -> dict[str, Callable[..., Any]]:
        statutory = self.statutory
        places = [
            Place(component.statutory_line, component.code, component.kind, component.hide_zero)
            for component in self.components
            if component.statutory_line
        ]
        assessor = statutory.assessor(places) if statutory is not None else None
        space: dict[str, Any] = {
            "D": Decimal,
            "ZERO": ZERO,
            "N": _SMALL,
            "NT": _SMALL_TEXT,
            "EXACT": Decimal(1).scaleb(-EXACT_DIGITS),
            "INPUTS": self.input_components,
            "NOTHING": {},
            "NO_INPUT": (ZERO, "0", ZERO, "0"),
            "NEGATIVE_NET": _NEGATIVE_NET,
            "plain": plain,
            "shown": shown,
            "ranges": paid_ranges,
            "written_ranges": _written_ranges,
            "monthly": monthly_wage,
            "inputs_of": _inputs_of,
            "number": _number,
            "to_date": _to_date,
            "year_to_date": _year_to_date,
            "Blocked": Blocked,
            "Computed": Computed,
            "Written": Written,
            "Earned": Earned,
            "statutory": statutory,
            "assess": assessor.assess if assessor is not None else None,
            "amount_of": assessor.amount_of if assessor is not None else None,
            "write_statutory": assessor.written if assessor is not None else None,
            "tables": self._table_reader() if statutory is not None else None,
        }
        exec(compile(self.source, "<pay components>", "exec"), space)
        return {name: space[name] for name in ("single", "several", "write_single", "write_several")}

    def _table_reader(self) -> Callable[[int], tuple[Decimal | str, ...]]:
        """Values and texts of the table names that formulas use on a day, in the order of their slots."""
        statutory, names = self.statutory, [name for name in slots(self) if name in self.tables]
        assert statutory is not None
        known: dict[int, tuple[Decimal | str, ...]] = {}

        def tables(day: int) -> tuple[Decimal | str, ...]:
            found = known.get(day)
            if found is None:
                if len(known) >= _MAX_TABLE_DAYS:
                    known.clear()
                values = [statutory.table_value(name, date.fromordinal(day))[0] for name in names]
                found = known[day] = tuple(part for value in values for part in (value, plain(value)))
            return found

        return tables

    def compute(self, header: Header, document: Mapping[str, Any]) -> tuple[Computed, Written]:
        """One payslip from its frozen inputs. Raises Blocked."""
        with decimal.localcontext(ARITHMETIC):
            computed = self.compute_inside(header, document)
            return computed, self.write_inside(header, document, computed)

    def compute_inside(self, header: Header, document: Mapping[str, Any]) -> Computed:
        """The numbers of a payslip with everything that explains them, for a caller that has entered ARITHMETIC.

        Raises Blocked.
        """
        try:
            pieces = split(header, document["facts"], self._time_slots, len(self.time_keys))
            if len(pieces) == 1:
                computed: Computed = self._single(header, document, pieces[0])
            else:
                computed = self._several(header, document, pieces)
        except decimal.DivisionByZero:
            raise Blocked("FORMULA_DIVISION_BY_ZERO", "a formula divides by zero; guard it with if()") from None
        except (decimal.InvalidOperation, decimal.Overflow):
            raise Blocked("FORMULA_OUT_OF_RANGE", "a formula gives a number that no amount can hold") from None
        except DomainError as refused:
            raise Blocked(refused.reason, refused.message) from None
        return computed

    def write_inside(self, header: Header, document: Mapping[str, Any], computed: Computed) -> Written:
        """The stored texts of what `compute_inside` computed from this document. Raises Blocked."""
        several = len(document["facts"]["segments"]) > 1
        write = self._write_several if several else self._write_single
        written: Written = write(header, document, computed.bound)
        return written


def prorated(tree: Node, rule: Proration) -> Node:
    """The amount of one segment with its share by the named rule."""

    def op(operator: str, *operands: Node) -> Node:
        return Operation(operator, operands, 0)

    def name(text: str) -> Node:
        return Name(text, 0)

    if rule is Proration.NONE:
        return tree
    if rule is Proration.CALENDAR_DAYS:
        return op("/", op("*", tree, name("segment_days")), name("period_days"))
    working, month = name("segment_working_days"), name("paid_days_per_month")
    if rule is Proration.WORKING_DAYS:
        return op("/", op("*", tree, working), name("period_working_days"))
    unpaid = op("/", name("unpaid_minutes"), name("standard_day_minutes"))
    if rule is Proration.PAID_DAYS_21_75:
        return op("/", op("*", tree, op("-", working, unpaid)), month)
    share = op("/", op("*", tree, working), name("employed_working_days"))
    missing = op("/", op("*", tree, op("+", unpaid, name("unemployed_days"))), month)
    return op("-", share, missing)


# ------------------------------------------------------------------------------- what the compiled function calls


def _written_ranges(paid: Sequence[tuple[str, int, int]]) -> str:
    iso = date.fromordinal
    days = [
        f'["{assignment}","{iso(first).isoformat()}","{iso(stop).isoformat()}"]' for assignment, first, stop in paid
    ]
    return f',"paid":[{",".join(days)}]'


def monthly_wage(amount: Decimal, piece: Piece, statutory: Statutory | None) -> Decimal:
    """A wage per hour, day, week or year as one per month. Raises Blocked where no table says what a month is."""
    unit = piece.segment["unit"]
    if unit == "YEAR":
        return amount / 12
    if unit == "WEEK":
        return amount * 52 / 12
    if statutory is None:
        raise Blocked(
            "WAGE_UNIT_UNKNOWN", "name the country of the pay group: its tables give the days of a month", unit
        )
    day = date.fromordinal(piece.table_day)
    month = amount * statutory.table_value("paid_days_per_month", day)[0]
    return month if unit == "DAY" else month * statutory.table_value("hours_per_day", day)[0]


def _number(values: Mapping[str, str], key: str) -> Decimal:
    text = values.get(key)
    if text is None:
        raise Blocked("STATUTORY_VALUE_MISSING", f"the statutory profile lacks {key}", key)
    try:
        return Decimal(text)
    except decimal.InvalidOperation:
        raise Blocked("STATUTORY_VALUE_INVALID", f"a formula reads {key} as a number, and it is none", key) from None


def _to_date(prior: Mapping[str, Any] | None, key: str) -> Decimal:
    text = None
    if prior is not None:
        text = prior["totals"].get(key) or prior["statutory"].get(key)
    return ZERO if text is None else Decimal(text)


def _inputs_of(
    inputs: Sequence[Mapping[str, Any]], known: frozenset[str]
) -> dict[str, tuple[Decimal, str, Decimal, str]]:
    sums: dict[str, tuple[Decimal, Decimal]] = {}
    for entry in inputs:
        code = entry["component"]
        if code not in known:
            raise Blocked("PAY_INPUT_UNREAD", "no formula of this component reads input_amount; cancel the input", code)
        amount, quantity = sums.get(code, (ZERO, ZERO))
        sums[code] = (amount + Decimal(entry["amount"]), quantity + Decimal(entry["quantity"] or 0))
    return {code: (amount, plain(amount), quantity, plain(quantity)) for code, (amount, quantity) in sums.items()}


def _year_to_date(
    header: Header, prior: Mapping[str, Any] | None, gross: Decimal, net: Decimal, deductions: Decimal, statutory: str
) -> str:
    if prior is not None:
        before = prior["totals"]
        gross += Decimal(before["gross"])
        net += Decimal(before["net"])
        deductions += Decimal(before["deductions"])
    return (
        f'{{"statutory":{statutory},"tax_period":{header.tax_period},"tax_year":{header.tax_year},"totals":'
        f'{{"deductions":"{plain(deductions)}","gross":"{plain(gross)}","net":"{plain(net)}"}}}}'
    )
