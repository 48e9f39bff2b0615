"""Writes a pay group's components as Python functions of plain decimal arithmetic.

Only slot numbers, constants and operators that this module chose get into the text; names that people wrote never do,
but for component codes, whose alphabet is checked. Two functions are written: one for employees whose facts are the
same all period (nearly everybody) and one for several pieces.
"""

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
    """The text of the module: `single(header, document, piece)` and `several(header, document, pieces)`."""
    numbers: dict[str, str] = {}
    functions = [_Writer(plan, numbers, single).function() for single in (True, False)]
    constants = "".join(f"{name} = D({text!r})\n" for text, name in numbers.items())
    return constants + "\n".join(functions)


class _Writer:
    def __init__(self, plan: "Plan", numbers: dict[str, str], single: bool) -> None:
        self.plan = plan
        self.numbers = numbers
        self.single = single
        self.slots = _slots(plan)
        self.wide: dict[str, tuple[str, str]] = {}  # payslip-wide names whose value and text stand in locals
        self.out: list[str] = []
        self.assessed = False
        self.parts: dict[int, str] = {}  # trees whose value stands in a local already
        self.named = {
            leaf.name
            for component in plan.components
            if not component.statutory_line
            for leaf in plan.trees(component.code).leaves
        }

    def function(self) -> str:
        """The text of the function."""
        self.pieces()
        if any(component.pays_for_time for component in self.plan.components):
            self.add("paid = ranges(pieces)")
            self.add("paid_text = written_ranges(paid)")
        else:
            self.add("paid = ()")
        self.add("given = inputs_of(document['inputs'], INPUTS) if document['inputs'] else NOTHING")
        self.add("inputs_only = header.inputs_only")
        for index in self.plan.order:
            component = self.plan.components[index]
            if component.statutory_line:
                self.statutory(index)
            else:
                self.component(index, component)
        self.totals()
        name = "single(header, document, piece)" if self.single else "several(header, document, pieces)"
        return f"\ndef {name}:\n" + "\n".join(self.out) + "\n"

    def add(self, line: str, depth: int = 0) -> None:
        """One line of the function."""
        self.out.append(_STEP * (depth + 1) + line)

    def constant(self, text: str) -> str:
        """The name of a number."""
        return self.numbers.setdefault(text, f"K{len(self.numbers)}")

    # ------------------------------------------------------------------------------------------- facts into slots

    def pieces(self) -> None:
        """The slots as locals v and t where there is one piece; else one tuple per piece: values, texts, the piece."""
        if self.single:
            self.add("pieces = (piece,)")
            self.add("segment = piece.segment")
            for name in self.slots:
                self.fill(name, 0)
            return
        self.add("S = []")
        self.add("last = None")
        self.add("for piece in pieces:")
        self.add("segment = piece.segment", 1)
        for name in self.slots:
            self.fill(name, 1)
        values = "".join(f"v{slot}, " for slot in self.slots.values())
        texts = "".join(f"t{slot}, " for slot in self.slots.values())
        self.add(f"s = ({values}{texts}piece)", 1)
        self.add("S.append(s)", 1)
        self.add("if piece.days and (last is None or piece.high >= last[-1].high): last = s", 1)
        self.add("if last is None: last = s")

    def fill(self, name: str, depth: int) -> None:
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
        elif name in self.plan.tables:
            self.add(f"{value}, {text} = table({name!r}, piece.table_day)", depth)
        elif name.startswith("allowance_"):
            self.add(f"{text} = segment['allowances'].get({allowance_code(name)!r})", depth)
            self.add(f"if {text} is None: {value} = ZERO; {text} = '0'", depth)
            self.add(f"else: {value} = D({text})", depth)
        else:
            counted = (
                f"piece.{_COUNTED[name]}"
                if name in _COUNTED
                else f"piece.minutes[{self.plan.time_keys.index(time_key(name))}]"
            )
            self.add(f"n = {counted}", depth)
            self.add(f"if n < 1000: {value} = N[n]; {text} = NT[n]", depth)
            self.add(f"else: {value} = D(n); {text} = str(n)", depth)

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
        elif name == "gross":
            self.add(f"{value} = {self.sum_of(LineKind.EARNING)}; {text} = plain({value})")
        elif name == "taxable_wage":
            self.add(f"{value} = {self.taxed(TaxTreatment.WAGE)}; {text} = plain({value})")
        elif name == "period_days":
            self.add(f"n = (header.end - header.start).days; {value} = D(n); {text} = str(n)")
        elif name == "employed_days":
            self.add(f"n = sum([piece.days for piece in pieces]); {value} = D(n); {text} = str(n)")
        elif name.startswith("statutory_"):
            key = name.removeprefix("statutory_")
            self.add(f"{value} = number(document['facts']['statutory']['values'], {key!r}); {text} = plain({value})")
        elif name.startswith("prior_"):
            key = name.removeprefix("prior_")
            self.add(f"{value} = to_date(document['prior'], {key!r}); {text} = plain({value})")
        else:
            slot, width = self.slots[name], len(self.slots)
            if summed(name):
                self.add(f"{value} = sum([s[{slot}] for s in S]); {text} = plain({value})")
            else:
                self.add(f"{value} = last[{slot}]; {text} = last[{slot + width}]")
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
        """The amount, its text (where a formula or the line needs it) and its line: c, n and l with the index."""
        trees = self.plan.trees(component.code)
        looping = component.scope is FormulaScope.SEGMENT and not self.single
        width = len(self.slots)
        values: dict[str, str] = {}
        texts: dict[str, str] = {}
        loads: list[str] = []
        for leaf in trees.leaves:
            if looping and leaf.name in self.slots:
                slot = self.slots[leaf.name]
                values[leaf.name], texts[leaf.name] = f"x{slot}", f"y{slot}"
                loads.append(f"x{slot} = s[{slot}]; y{slot} = s[{slot + width}]")
            else:
                values[leaf.name], texts[leaf.name] = self.payslip_wide(component, leaf.name)
        nothing = [] if component.code in self.plan.input_components else ["inputs_only"]
        if component.hide_zero and not looping:
            zeroing = self.zeroing(trees.amount)
            nothing += [f"not {values[leaf.name]}" for leaf in trees.leaves if leaf.name in zeroing][:1]
        depth = 0
        if nothing:
            self.add(f"if {' or '.join(nothing)}: c{index} = ZERO; n{index} = '0'; l{index} = ''")
            self.add("else:")
            depth = 1
        trace = ",".join(f'"{{{texts[leaf.name]}}}"' for leaf in trees.leaves)
        if looping:
            self.add("a = ZERO; tr = []", depth)
            for name, _ in trees.shown:
                self.add(f"{name} = ZERO" if name == "quantity" else f"{name} = None; same_{name} = True", depth)
            self.add("for s in S:", depth)
            for load in loads:
                self.add(load, depth + 1)
            for name, tree in trees.shown:
                self.add(f"e_{name} = {self.expression(tree, values)}", depth + 1)
                if name == "quantity":
                    self.add("quantity += e_quantity", depth + 1)
                else:
                    same = f"same_{name} and ({name} is None or {name} == e_{name})"
                    self.add(f"same_{name} = {same}; {name} = e_{name}", depth + 1)
                self.parts[id(tree)] = f"e_{name}"
            self.add(f"a += {self.expression(trees.amount, values)}", depth + 1)
            self.add(f"tr.append(f'[{trace}]')", depth + 1)
            self.add("tr = ','.join(tr)", depth)
        else:
            for name, tree in trees.shown:
                self.add(f"e_{name} = {self.expression(tree, values)}", depth)
                self.parts[id(tree)] = f"e_{name}"
            self.add(f"a = {self.expression(trees.amount, values)}", depth)
        self.parts.clear()
        if trees.divides:
            self.add("a = a.quantize(EXACT)", depth)
        quantum = self.constant(_quantum(component.digits))
        self.add(f"c{index} = a.quantize({quantum}, {component.rounding.value!r})", depth)
        if component.hide_zero:
            self.add(f"if not c{index}: n{index} = '0'; l{index} = ''", depth)
            self.add("else:", depth)
            depth += 1
        self.add(f"n{index} = plain(c{index})", depth)
        shown = dict(trees.shown)
        for name in ("base", "quantity", "rate"):
            if name in shown and looping:
                condition = "" if name == "quantity" else f" if same_{name} else ''"
                self.add(f'w_{name} = f\',"{name}":"{{shown({name})}}"\'{condition}', depth)
            elif name in shown:
                self.add(f'w_{name} = f\',"{name}":"{{shown(e_{name})}}"\'', depth)
        line = f'{{{{"amount":"{{n{index}}}"' + ("{w_base}" if "base" in shown else "")
        line += f',"code":"{component.code}","kind":"{component.kind.value}"'
        line += "{paid_text}" if component.pays_for_time else ""
        line += "{w_quantity}" if "quantity" in shown else ""
        line += "{w_rate}" if "rate" in shown else ""
        line += f',"rounding":"{component.rounding.name}/{component.digits}"'
        line += ',"trace":[{tr}]}}' if looping else f',"trace":[[{trace}]]}}}}'
        self.add(f"l{index} = f'{line}'", depth)

    def statutory(self, index: int) -> None:
        """The lines that the country's pack gives, all at once before the first of them is needed."""
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
                "amounts, lines, statutory_totals = assess(header.start, header.pay_date, header.tax_period, "
                f"inputs_only, {wage}, document['facts']['statutory'], Earned({earned}), document['prior'])"
            )
            places = [str(place) for place, other in enumerate(self.plan.components) if other.statutory_line]
            self.add("".join(f"c{place}, " for place in places) + "= amounts")
            self.add("".join(f"l{place}, " for place in places) + "= lines")
        if self.plan.components[index].code in self.named:
            self.add(f"n{index} = plain(c{index})")

    # ------------------------------------------------------------------------------------------------------ totals

    def sum_of(self, *kinds: LineKind) -> str:
        """The sum of the amounts of some kinds."""
        parts = [f"c{index}" for index, component in enumerate(self.plan.components) if component.kind in kinds]
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
        """Net pay, the refusal of a negative one, and the answer."""
        scale = self.constant(str(10**self.plan.digits))
        count = len(self.plan.components)
        self.add(f"gross = {self.sum_of(LineKind.EARNING)}")
        self.add(f"deductions = {self.sum_of(LineKind.DEDUCTION, LineKind.TAX)}")
        self.add(f"net = gross - deductions + ({self.sum_of(LineKind.REIMBURSEMENT)})")
        self.add("if net < 0: raise Blocked('NEGATIVE_NET', NEGATIVE_NET, plain(net))")
        self.add(f"cost = gross + ({self.sum_of(LineKind.EMPLOYER_CONTRIBUTION)})")
        statutory = "statutory_totals" if self.assessed else "'{}'"
        self.add(f"to_date_text = year_to_date(header, document['prior'], gross, net, deductions, {statutory})")
        lines = "".join(f"l{index}, " for index in range(count))
        amounts = "".join(f"c{index}, " for index in range(count))
        self.add(f"return Computed('[' + ','.join([l for l in ({lines}) if l]) + ']', to_date_text, "
                 f"int(gross * {scale}), int(net * {scale}), int(cost * {scale}), int(deductions * {scale}), "
                 f"({amounts}), paid)")  # fmt: skip


def _slots(plan: "Plan") -> dict[str, int]:
    """The names that have a value per piece, with their places."""
    slots: dict[str, int] = {}
    if any(component.statutory_line for component in plan.components):
        slots["monthly_wage"] = 0
    for component in plan.components:
        if not component.statutory_line:
            for leaf in plan.trees(component.code).leaves:
                if leaf.origin in (Origin.SEGMENT, Origin.TABLE):
                    slots.setdefault(leaf.name, len(slots))
    return slots


def _quantum(digits: int) -> str:
    return "1" if digits == 0 else "0." + "0" * (digits - 1) + "1"
