"""Writes a pay group's components as Python functions of plain decimal arithmetic.

Only slot numbers, constants and operators that this module chose get into the text; names that people wrote never do,
but for component codes, whose alphabet is checked. Functions come in two forms, for employees whose facts are the same
all period (nearly everybody) and for several pieces; each form computes first, and writes the lines afterwards from
what the computation bound.
"""

import re
from typing import TYPE_CHECKING

from contexts.payroll.domain.catalog import FormulaScope, LineKind, PayComponent, TaxTreatment
from contexts.payroll.domain.formula import Name, Node, Number, Rounded
from contexts.payroll.domain.names import Origin, allowance_code, time_key

if TYPE_CHECKING:
    from contexts.payroll.domain.engine import Plan

_BINARY = frozenset({"+", "-", "*", "/", "<", "<=", ">", ">=", "==", "!=", "and", "or"})
# What a SEGMENT name means for the whole payslip: the sum over the pieces; every other one is of the last employed day.
_SUMMED = frozenset({"segment_days", "segment_working_days", "unemployed_days", "unpaid_minutes"})
_COUNTED = {
    "segment_days": "days",
    "segment_working_days": "working",
    "period_working_days": "whole_working",
    "employed_working_days": "employed_working",
    "unemployed_days": "unemployed",
    "standard_day_minutes": "day_minutes",
}
_INPUTS = ("input_amount", "input_quantity")
_STEP = "    "


def summed(name: str) -> bool:
    """Whether a segment's name is added up for the whole payslip."""
    return name in _SUMMED or name.startswith("minutes_")


def module_source(plan: "Plan") -> str:
    """The text of the module.

    `single(header, document, piece)` and `several(header, document, pieces)` give Computed; `write_single` and
    `write_several(header, document, bound)` give Written.
    """
    numbers: dict[str, str] = {}
    functions = [_Writer(plan, numbers, single).functions() for single in (True, False)]
    constants = "".join(f"{name} = D({text!r})\n" for text, name in numbers.items())
    return constants + "\n".join(functions)


# Locals of the computation that the written lines may need: amounts, texts, values and sums of the whole payslip.
_BOUND = re.compile(r"\b(?:[cqtp]\d+|[ed]\d+_[a-z]+|S|pieces|assessed|gross|net|deductions)\b")


class _Writer:
    def __init__(self, plan: "Plan", numbers: dict[str, str], single: bool) -> None:
        self.plan = plan
        self.numbers = numbers
        self.single = single
        self.slots = slots(plan)
        self.wide: dict[str, tuple[str, str]] = {}  # payslip-wide names whose value and text stand in locals
        self.out: list[str] = []
        self.later: list[str] = []
        self.assessed = False
        self.parts: dict[int, str] = {}  # trees whose value stands in a local already
        self.named = {
            leaf.name
            for component in plan.components
            if not component.statutory_line
            for leaf in plan.trees(component.code).leaves
        }

    def functions(self) -> str:
        """The text of both functions."""
        self.pieces()
        timed = any(component.pays_for_time for component in self.plan.components)
        self.write("paid = ranges(pieces)" if timed else "paid = ()")
        if timed:
            self.write("paid_text = written_ranges(paid)")
        self.add("given = inputs_of(document['inputs'], INPUTS) if document['inputs'] else NOTHING")
        self.add("inputs_only = header.inputs_only")
        for index in self.plan.order:
            component = self.plan.components[index]
            if component.statutory_line:
                self.statutory(index)
            else:
                self.component(index, component)
        self.totals()
        bound = "".join(f"{name}, " for name in self.bound())
        self.out[-1] += f"({bound}))"
        name, pieces = ("single", "piece") if self.single else ("several", "pieces")
        first = f"    {bound}= bound\n" if bound else ""
        return (
            f"\ndef {name}(header, document, {pieces}):\n" + "\n".join(self.out)
            + f"\n\ndef write_{name}(header, document, bound):\n{first}" + "\n".join(self.later) + "\n"
        )  # fmt: skip

    def bound(self) -> list[str]:
        """The locals of the computation that the written lines need."""
        assigned = {
            name
            for line in self.later
            for target in re.findall(r"(?:^|[;:])\s*((?:\w+, )*\w+,?) = ", line)
            for name in target.replace(",", " ").split()
        }
        used = dict.fromkeys(name for line in self.later for name in _BOUND.findall(line))
        return [name for name in used if name not in assigned]

    def add(self, line: str, depth: int = 0) -> None:
        """One line of the computation."""
        self.out.append(_STEP * (depth + 1) + line)

    def write(self, line: str, depth: int = 0) -> None:
        """One line of what is written afterwards."""
        self.later.append(_STEP * (depth + 1) + line)

    def constant(self, text: str) -> str:
        """The name of a number."""
        return self.numbers.setdefault(text, f"K{len(self.numbers)}")

    # ------------------------------------------------------------------------------------------- facts into slots

    def pieces(self) -> None:
        """The slots as locals v and t where there is one piece; else one tuple per piece: values, texts, the piece."""
        if self.single:
            self.add("pieces = (piece,)")
            self.fill(0)
            return
        self.add("S = []")
        self.add("last = None")
        self.add("for piece in pieces:")
        self.fill(1)
        values = "".join(f"v{slot}, " for slot in self.slots.values())
        texts = "".join(f"t{slot}, " for slot in self.slots.values())
        self.add(f"s = ({values}{texts}piece)", 1)
        self.add("S.append(s)", 1)
        self.add("if piece.days and (last is None or piece.high >= last[-1].high): last = s", 1)
        self.add("if last is None: last = s")

    def fill(self, depth: int) -> None:
        """Give the slots of a piece their values and texts."""
        self.add("segment = piece.segment", depth)
        tables = [f"v{slot}, t{slot}" for name, slot in self.slots.items() if name in self.plan.tables]
        if tables:
            self.add(f"{', '.join(tables)} = tables(piece.table_day)", depth)
        if any(name.startswith("allowance_") for name in self.slots):
            self.add("allowance = segment['allowances'].get", depth)
        if self.plan.time_keys:
            minutes = [f"m{place}" for place in range(len(self.plan.time_keys))]
            self.add(f"{', '.join(minutes)}, = piece.minutes", depth)
        for name in self.slots:
            if name not in self.plan.tables:
                self.fill_one(name, depth)

    def fill_one(self, name: str, depth: int) -> None:
        """Give one slot of a piece its value and text."""
        value, text = f"v{self.slots[name]}", f"t{self.slots[name]}"
        if name == "monthly_wage":
            self.add(f"{text} = segment['amount']; {value} = D({text})", depth)
            self.add("if segment['unit'] != 'MONTH':", depth)
            self.add(f"{value} = monthly({value}, piece, statutory); {text} = plain({value})", depth + 1)
        elif name == "fte":
            self.add(f"{text} = segment['fte']; {value} = D({text})", depth)
        elif name == "unpaid_minutes":
            self.add(f"if piece.unpaid: {value} = D(piece.unpaid); {text} = plain({value})", depth)
            self.add(f"else: {value} = ZERO; {text} = '0'", depth)
        elif name.startswith("allowance_"):
            self.add(f"{text} = allowance({allowance_code(name)!r})", depth)
            self.add(f"if {text} is None: {value} = ZERO; {text} = '0'", depth)
            self.add(f"else: {value} = D({text})", depth)
        elif name in _COUNTED:  # days of a period and minutes of a day are few
            self.add(f"n = piece.{_COUNTED[name]}; {value} = N[n]; {text} = NT[n]", depth)
        else:
            minutes = f"m{self.plan.time_keys.index(time_key(name))}"
            self.add(f"if {minutes} < 1000: {value} = N[{minutes}]; {text} = NT[{minutes}]", depth)
            self.add(f"else: {value} = D({minutes}); {text} = str({minutes})", depth)

    def payslip_wide(self, component: PayComponent, name: str) -> tuple[str, str]:
        """The locals that hold a name's value and text for the whole payslip, written before their first use."""
        plan = self.plan
        key = f"{component.code}.{name}" if name in _INPUTS else name
        if key in self.wide:
            return self.wide[key]
        if name in plan.by_code:
            index = plan.by_code[name]
            return f"c{index}", f"n{index}"
        if self.single and name in self.slots:
            return f"v{self.slots[name]}", f"t{self.slots[name]}"
        value, text = f"p{len(self.wide)}", f"q{len(self.wide)}"
        self.wide[key] = value, text
        if name in _INPUTS:
            at = 2 * _INPUTS.index(name)
            self.add(f"i = given.get({component.code!r}, NO_INPUT); {value} = i[{at}]; {text} = i[{at + 1}]")
            return value, text
        slot, width = self.slots.get(name, 0), len(self.slots)
        if name in self.slots and not summed(name):
            self.add(f"{value} = last[{slot}]; {text} = last[{slot + width}]")
            return value, text
        if name in self.slots:
            given = f"sum([s[{slot}] for s in S], ZERO)"
        elif name == "gross":
            given = self.sum_of(LineKind.EARNING)
        elif name == "taxable_wage":
            given = self.taxed(TaxTreatment.WAGE)
        elif name == "period_days":
            given = "N[(header.end - header.start).days]"
        elif name == "employed_days":
            given = "D(sum([piece.days for piece in pieces]))"
        elif name.startswith("statutory_"):
            given = f"number(document['facts']['statutory']['values'], {name.removeprefix('statutory_')!r})"
        else:
            given = f"to_date(document['prior'], {name.removeprefix('prior_')!r})"
        self.add(f"{value} = {given}")
        self.write(f"{text} = plain({value})")
        return value, text

    # ------------------------------------------------------------------------------------------------- expressions

    def expression(self, node: Node, values: dict[str, str]) -> str:
        """A tree as Python; `values` are the locals of its leaves."""
        if id(node) in self.parts:
            return self.parts[id(node)]
        if isinstance(node, Number):
            return self.constant(node.text)
        if isinstance(node, Name):
            found = self.plan.meaning(node.name)
            if found is not None and found.formula is not None:
                return self.expression(found.formula.tree, values)
            return values[node.name]
        if isinstance(node, Rounded):
            inner = self.expression(node.operand, values)
            return f"({inner}).quantize({self.constant(_quantum(node.digits))}, {node.rounding.value!r})"
        parts = [self.expression(operand, values) for operand in node.operands]
        if node.operator in _BINARY:
            return f"({parts[0]} {node.operator} {parts[1]})"
        if node.operator == "if":
            return f"({parts[1]} if {parts[0]} else {parts[2]})"
        if node.operator == "neg":
            return f"(-{parts[0]})"
        if node.operator == "not":
            return f"(not {parts[0]})"
        if node.operator in ("floor", "ceil"):
            mode = "ROUND_FLOOR" if node.operator == "floor" else "ROUND_CEILING"
            return f"({parts[0]}).to_integral_value({mode!r})"
        if node.operator in ("min", "max", "abs"):
            return f"{node.operator}({', '.join(parts)})"
        raise ValueError(node.operator)

    def zeroing(self, node: Node) -> frozenset[str]:
        """Leaves of which one being zero makes the tree zero, so that nothing has to be computed."""
        if isinstance(node, Name):
            found = self.plan.meaning(node.name)
            if found is not None and found.formula is not None:
                return self.zeroing(found.formula.tree)
            return frozenset({node.name})
        if isinstance(node, Rounded):
            return self.zeroing(node.operand)
        if isinstance(node, Number):
            return frozenset()
        parts = [self.zeroing(operand) for operand in node.operands]
        if node.operator == "*":
            return parts[0] | parts[1]
        if node.operator in ("/", "neg", "abs", "floor", "ceil"):
            return parts[0]
        if node.operator == "if":
            return parts[1] & parts[2]
        if node.operator in ("+", "-", "min", "max"):
            return frozenset.intersection(*parts)
        return frozenset()

    # -------------------------------------------------------------------------------------------------- components

    def component(self, index: int, component: PayComponent) -> None:
        """Computes the amount (c with the index) and what the line shows (e), and writes the line (l)."""
        trees = self.plan.trees(component.code)
        looping = component.scope is FormulaScope.SEGMENT and not self.single
        width = len(self.slots)
        values: dict[str, str] = {}
        texts: dict[str, str] = {}
        loads: list[str] = []
        for leaf in trees.leaves:
            if looping and leaf.name in self.slots:
                slot = self.slots[leaf.name]
                values[leaf.name], texts[leaf.name] = f"x{slot}", f"s[{slot + width}]"
                loads.append(f"x{slot} = s[{slot}]")
            else:
                values[leaf.name], texts[leaf.name] = self.payslip_wide(component, leaf.name)
        shown = {name: f"e{index}_{name}" for name, _ in trees.shown}
        nothing = [] if component.code in self.plan.input_components else ["inputs_only"]
        if component.hide_zero and not looping:
            zeroing = self.zeroing(trees.amount)
            nothing += [f"not {values[leaf.name]}" for leaf in trees.leaves if leaf.name in zeroing][:1]
        depth = 0
        if nothing:
            unshown = "".join(f"; {local} = None" for local in shown.values())
            unshown += "".join(f"; d{index}_{name} = False" for name in shown if looping)
            self.add(f"if {' or '.join(nothing)}: c{index} = ZERO{unshown}")
            self.add("else:")
            depth = 1
        if looping:
            self.add("a = ZERO", depth)
            for name, local in shown.items():
                self.add(f"{local} = {'ZERO' if name == 'quantity' else 'None'}; d{index}_{name} = True", depth)
            self.add("for s in S:", depth)
            for load in loads:
                self.add(load, depth + 1)
            for name, tree in trees.shown:
                local, same = shown[name], f"d{index}_{name}"
                self.add(f"e = {self.expression(tree, values)}", depth + 1)
                if name == "quantity":
                    self.add(f"{local} += e", depth + 1)
                else:
                    self.add(f"{same} = {same} and ({local} is None or {local} == e); {local} = e", depth + 1)
                self.add(f"e_{name} = e", depth + 1)
                self.parts[id(tree)] = f"e_{name}"
            self.add(f"a += {self.expression(trees.amount, values)}", depth + 1)
        else:
            for name, tree in trees.shown:
                self.add(f"{shown[name]} = {self.expression(tree, values)}", depth)
                self.parts[id(tree)] = shown[name]
            self.add(f"a = {self.expression(trees.amount, values)}", depth)
        self.parts.clear()
        exact = ".quantize(EXACT)" if trees.divides else ""
        quantum = self.constant(_quantum(component.digits))
        self.add(f"c{index} = a{exact}.quantize({quantum}, {component.rounding.value!r})", depth)
        self.line(index, component, [texts[leaf.name] for leaf in trees.leaves], shown, looping)

    def line(
        self, index: int, component: PayComponent, leaves: list[str], shown: dict[str, str], looping: bool
    ) -> None:
        """Writes the line of a component, keys in order; "" where it is hidden."""
        hidden = []
        if component.hide_zero:
            hidden.append(f"not c{index}")
        elif component.code not in self.plan.input_components:
            hidden.append("header.inputs_only")
        if component.code in self.named:
            self.write(f"n{index} = plain(c{index})")
        depth = 0
        if hidden:
            self.write(f"if {' or '.join(hidden)}: l{index} = ''")
            self.write("else:")
            depth = 1
        if component.code not in self.named:
            self.write(f"n{index} = plain(c{index})", depth)
        for name, local in shown.items():
            condition = f" if d{index}_{name} else ''" if looping and name != "quantity" else ""
            self.write(f'w_{name} = f\',"{name}":"{{shown({local})}}"\'{condition}', depth)
        trace = ",".join(f'"{{{leaf}}}"' for leaf in leaves)
        if looping:
            self.write(f"tr = ','.join([f'[{trace}]' for s in S])", depth)
            trace = "{tr}"
        else:
            trace = f"[{trace}]"
        line = f'{{{{"amount":"{{n{index}}}"' + ("{w_base}" if "base" in shown else "")
        line += f',"code":"{component.code}","kind":"{component.kind.value}"'
        line += "{paid_text}" if component.pays_for_time else ""
        line += "{w_quantity}" if "quantity" in shown else ""
        line += "{w_rate}" if "rate" in shown else ""
        line += f',"rounding":"{component.rounding.name}/{component.digits}","trace":[{trace}]}}}}'
        self.write(f"l{index} = f'{line}'", depth)

    def statutory(self, index: int) -> None:
        """The month that the country's pack computes, once, before the first of its lines is needed."""
        component = self.plan.components[index]
        if not self.assessed:
            self.assessed = True
            earned = ", ".join(
                self.taxed(treatment)
                for treatment in (
                    TaxTreatment.WAGE, TaxTreatment.SEPARATE_BONUS, TaxTreatment.SEVERANCE, TaxTreatment.EXEMPT,
                )
            )  # fmt: skip
            slot = self.slots["monthly_wage"]
            wage = f"v{slot}, t{slot}" if self.single else f"last[{slot}], last[{slot + len(self.slots)}]"
            self.add(
                "assessed = withheld, _ = assess(header.start, header.pay_date, header.tax_period, "
                f"inputs_only, {wage}, document['facts']['statutory'], Earned({earned}), document['prior'])"
            )
            places = [str(place) for place, other in enumerate(self.plan.components) if other.statutory_line]
            self.write("amounts, lines, statutory_totals, on_top = write_statutory(assessed)")
            self.write("".join(f"c{place}, " for place in places) + "= amounts")
            self.write("".join(f"l{place}, " for place in places) + "= lines")
        if component.code in self.named:
            self.add(f"c{index} = amount_of(assessed, {component.statutory_line!r})")
            self.write(f"n{index} = plain(c{index})")

    # ------------------------------------------------------------------------------------------------------ totals

    def sum_of(self, *kinds: LineKind) -> str:
        """The sum of the amounts of some kinds, without what the country's pack sums itself."""
        parts = [
            f"c{index}"
            for index, component in enumerate(self.plan.components)
            if component.kind in kinds and not component.statutory_line
        ]
        return " + ".join(parts) if parts else "ZERO"

    def taxed(self, treatment: TaxTreatment) -> str:
        """The sum of the earnings that are taxed in one way."""
        parts = [
            f"c{index}"
            for index, component in enumerate(self.plan.components)
            if component.kind is LineKind.EARNING and component.tax_treatment is treatment
        ]
        return " + ".join(parts) if parts else "ZERO"

    def totals(self) -> None:
        """Net pay, the refusal of a negative one, and the answers; the computation's still lacks what it bound."""
        scale = self.constant(str(10**self.plan.digits))
        count = len(self.plan.components)
        own, employers = ("withheld + ", "on_top + ") if self.assessed else ("", "")
        self.add(f"gross = {self.sum_of(LineKind.EARNING)}")
        self.add(f"deductions = {own}{self.sum_of(LineKind.DEDUCTION, LineKind.TAX)}")
        self.add(f"net = gross - deductions + {self.sum_of(LineKind.REIMBURSEMENT)}")
        self.add("if net < 0: raise Blocked('NEGATIVE_NET', NEGATIVE_NET, plain(net))")
        self.add("return Computed(gross, net, deductions, ")
        self.write(f"cost = gross + {employers}{self.sum_of(LineKind.EMPLOYER_CONTRIBUTION)}")
        statutory = "statutory_totals" if self.assessed else "'{}'"
        self.write(f"to_date_text = year_to_date(header, document['prior'], gross, net, deductions, {statutory})")
        lines = "".join(f"l{index}, " for index in range(count))
        amounts = "".join(f"c{index}, " for index in range(count))
        minor = "".join(f"int({name} * {scale}), " for name in ("gross", "net", "cost", "deductions"))
        text = f"'[' + ','.join(filter(None, ({lines}))) + ']'"
        self.write(f"return Written({text}, to_date_text, {minor}({amounts}), paid)")


def slots(plan: "Plan") -> dict[str, int]:
    """The names that have a value per piece, with their places."""
    places: dict[str, int] = {}
    if any(component.statutory_line for component in plan.components):
        places["monthly_wage"] = 0
    for component in plan.components:
        if not component.statutory_line:
            for leaf in plan.trees(component.code).leaves:
                if leaf.origin in (Origin.SEGMENT, Origin.TABLE):
                    places.setdefault(leaf.name, len(places))
    return places


def _quantum(digits: int) -> str:
    return "1" if digits == 0 else "0." + "0" * (digits - 1) + "1"
