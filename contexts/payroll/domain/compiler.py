"""Writes a pay group's components as one Python function of plain decimal arithmetic.

Only slot numbers, constants and operators that this module chose get into the text; names that people wrote never do.
"""

from typing import TYPE_CHECKING

from contexts.payroll.domain.catalog import FormulaScope, LineKind, PayComponent, TaxTreatment
from contexts.payroll.domain.formula import Name, Node, Number, Operation, Rounded
from contexts.payroll.domain.names import Origin, allowance_code, time_key

if TYPE_CHECKING:
    from contexts.payroll.domain.engine import Plan

_BINARY = {"+": "+", "-": "-", "*": "*", "/": "/", "<": "<", "<=": "<=", ">": ">", ">=": ">=", "==": "==", "!=": "!=",
           "and": "and", "or": "or"}  # fmt: skip
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


def summed(name: str) -> bool:
    """Whether a segment's name is added up for the whole payslip."""
    return name in _SUMMED or name.startswith("minutes_")


class Writer:
    """Writes `payslip(header, document)` for a plan."""

    def __init__(self, plan: "Plan") -> None:
        self.plan = plan
        self.slots: dict[str, int] = {}  # segment names and table names, by the place in a piece's tuple
        self.numbers: dict[str, str] = {}
        self.prepared: dict[str, tuple[str, str]] = {}  # payslip-wide names that stand in locals already
        self.out: list[str] = []
        self.assessed = False

    def source(self) -> str:
        """The module text."""
        with_formulas = [component for component in self.plan.components if not component.statutory_line]
        for component in with_formulas:
            for leaf in self.plan.trees(component.code).leaves:
                if leaf.origin in (Origin.SEGMENT, Origin.TABLE):
                    self.slots.setdefault(leaf.name, len(self.slots))
        if any(component.pays_for_time for component in self.plan.components):
            self.add("", "paid = ranges(pieces)")
            self.add("", "paid_text = ',\"paid\":[' + ','.join([f'[\"{a}\",\"{iso(b)}\",\"{iso(c)}\"]' "
                         "for a, b, c in paid]) + ']'")  # fmt: skip
        else:
            self.add("", "paid = ()")
        ranged, self.out = self.out, []
        self.pieces()
        self.out += ranged
        self.add("", "given = inputs_of(document['inputs'], INPUTS) if document['inputs'] else NOTHING")
        self.add("", "inputs_only = header.inputs_only")
        for index in self.plan.order:
            self.component(index)
        self.totals()
        constants = "".join(f"{name} = D({text!r})\n" for text, name in self.numbers.items())
        body = "\n".join(self.out)
        return f"{constants}\ndef payslip(header, document):\n{body}\n"

    def add(self, indent: str, line: str) -> None:
        """One line of the function."""
        self.out.append(f"    {indent}{line}")

    def constant(self, text: str) -> str:
        """The local name of a number."""
        return self.numbers.setdefault(text, f"K{len(self.numbers)}")

    # ------------------------------------------------------------------------------------------- facts into slots

    def pieces(self) -> None:
        """One tuple per piece: values, then texts, then the piece."""
        self.add("", "pieces = split(header, document, TIME_KEYS)")
        self.add("", "S = []")
        self.add("", "last = None")
        self.add("", "for piece in pieces:")
        self.add("    ", "segment = piece.segment")
        for name in self.slots:
            self.fill(name)
        values = "".join(f"v{slot}, " for slot in self.slots.values())
        texts = "".join(f"t{slot}, " for slot in self.slots.values())
        self.add("    ", f"s = ({values}{texts}piece)")
        self.add("    ", "S.append(s)")
        self.add("    ", "if piece.days and (last is None or piece.high >= last[-1].high): last = s")
        self.add("", "if last is None: last = s")
        self.add("", "single = len(S) == 1")

    def fill(self, name: str) -> None:
        """Give one slot of a piece its value and text."""
        value, text = f"v{self.slots[name]}", f"t{self.slots[name]}"
        into = "    "
        if name == "monthly_wage":
            self.add(into, f"{text} = segment['amount']; {value} = D({text})")
            self.add(into, "if segment['unit'] != 'MONTH':")
            self.add(into + into, f"{value} = monthly({value}, piece, statutory); {text} = plain({value})")
        elif name == "fte":
            self.add(into, f"{text} = segment['fte']; {value} = D({text})")
        elif name == "unpaid_minutes":
            self.add(into, f"if piece.unpaid: {value} = D(piece.unpaid); {text} = plain({value})")
            self.add(into, f"else: {value} = ZERO; {text} = '0'")
        elif name in self.plan.tables:
            self.add(into, f"{value}, {text} = table({name!r}, piece.table_day)")
        elif name.startswith("allowance_"):
            self.add(into, f"{text} = segment['allowances'].get({allowance_code(name)!r}, '0'); {value} = D({text})")
        else:
            counted = (
                f"piece.{_COUNTED[name]}"
                if name in _COUNTED
                else f"piece.minutes[{self.plan.time_keys.index(time_key(name))}]"
            )
            self.add(into, f"n = {counted}")
            self.add(into, f"if n < 1000: {value} = N[n]; {text} = NT[n]")
            self.add(into, f"else: {value} = D(n); {text} = str(n)")

    def payslip_wide(self, component: PayComponent, name: str) -> tuple[str, str]:
        """The locals that hold the value and text of a name for the whole payslip, written before their first use."""
        plan = self.plan
        key = f"{component.code}.{name}" if name in ("input_amount", "input_quantity") else name
        if key in self.prepared:
            return self.prepared[key]
        if name in plan.by_code:
            index = plan.by_code[name]
            return f"c{index}", f"n{index}"
        value, text = f"p{len(self.prepared)}", f"q{len(self.prepared)}"
        self.prepared[key] = value, text
        if name in ("input_amount", "input_quantity"):
            at = 0 if name == "input_amount" else 2
            self.add("", f"i = given.get({component.code!r}, NO_INPUT); {value} = i[{at}]; {text} = i[{at + 1}]")
        elif name == "gross":
            self.add("", f"{value} = {self.sum_of([LineKind.EARNING])}; {text} = plain({value})")
        elif name == "taxable_wage":
            self.add("", f"{value} = {self.taxed(TaxTreatment.WAGE)}; {text} = plain({value})")
        elif name == "period_days":
            self.add("", f"n = (header.end - header.start).days; {value} = D(n); {text} = str(n)")
        elif name == "employed_days":
            self.add("", f"n = sum([s[-1].days for s in S]); {value} = D(n); {text} = str(n)")
        elif name.startswith("statutory_"):
            key = name.removeprefix("statutory_")
            self.add("", f"{value} = number(document['statutory']['values'], {key!r}); {text} = plain({value})")
        elif name.startswith("prior_"):
            self.add("", f"{value} = to_date(document['prior'], {name.removeprefix('prior_')!r}); {text} = plain({value})")
        elif name in plan.tables:
            self.add("", f"{value}, {text} = table({name!r}, header.end.toordinal() - 1)")
        else:
            slot, width = self.slots[name], len(self.slots)
            self.add("", f"{value} = last[{slot}]; {text} = last[{slot + width}]")
            if summed(name):
                self.add("", f"if not single: {value} = sum([s[{slot}] for s in S]); {text} = plain({value})")
        return value, text

    # ------------------------------------------------------------------------------------------------- expressions

    def expression(self, node: Node, values: dict[str, str]) -> str:
        """A tree as Python; `values` are the locals of its leaves."""
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
            return f"({parts[0]} {_BINARY[node.operator]} {parts[1]})"
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

    # -------------------------------------------------------------------------------------------------- components

    def component(self, index: int) -> None:
        """The amount, its text and its line: c, n and l with the component's number."""
        component = self.plan.components[index]
        if component.statutory_line:
            self.statutory(index, component)
            return
        reads_inputs = component.code in self.plan.input_components
        trees = self.plan.trees(component.code)
        by_segment = component.scope is FormulaScope.SEGMENT
        width = len(self.slots)
        values: dict[str, str] = {}
        texts: dict[str, str] = {}
        loads: list[str] = []
        for leaf in trees.leaves:
            if by_segment and leaf.name in self.slots:
                slot = self.slots[leaf.name]
                values[leaf.name], texts[leaf.name] = f"x{slot}", f"y{slot}"
                loads.append(f"x{slot} = s[{slot}]; y{slot} = s[{slot + width}]")
            else:
                values[leaf.name], texts[leaf.name] = self.payslip_wide(component, leaf.name)
        into = ""
        if not reads_inputs:
            self.add("", f"if inputs_only: c{index} = ZERO; n{index} = '0'; l{index} = ''")
            self.add("", "else:")
            into = "    "
        trace = ",".join(f'"{{{texts[leaf.name]}}}"' for leaf in trees.leaves)
        if by_segment:
            inner = into + "    "
            self.add(into, "a = ZERO; tr = []")
            for name, _ in trees.shown:
                self.add(into, f"{name} = ZERO" if name == "quantity" else f"{name} = None; same_{name} = True")
            self.add(into, "for s in S:")
            for load in loads:
                self.add(inner, load)
            for name, tree in trees.shown:
                self.add(inner, f"e = {self.expression(tree, values)}")
                if name == "quantity":
                    self.add(inner, "quantity += e")
                else:
                    self.add(inner, f"same_{name} = same_{name} and ({name} is None or {name} == e); {name} = e")
            self.add(inner, f"a += {self.expression(trees.amount, values)}")
            self.add(inner, f"tr.append(f'[{trace}]')")
        else:
            for name, tree in trees.shown:
                self.add(into, f"{name} = {self.expression(tree, values)}; same_{name} = True")
            self.add(into, f"a = {self.expression(trees.amount, values)}")
        quantum = self.constant(_quantum(component.digits))
        if trees.divides:
            self.add(into, "a = a.quantize(EXACT)")
        self.add(into, f"c{index} = a.quantize({quantum}, {component.rounding.value!r})")
        self.add(into, f"n{index} = plain(c{index}) if c{index} else '0'")
        self.line(into, index, component, trace, by_segment)

    def line(self, into: str, index: int, component: PayComponent, trace: str, by_segment: bool) -> None:
        """The line's text, keys in order."""
        given = {name for name, _ in self.plan.trees(component.code).shown}
        if component.hide_zero:
            self.add(into, f"if not c{index}: l{index} = ''")
            self.add(into, "else:")
            into += "    "
        for name in ("base", "quantity", "rate"):
            if name in given:
                condition = "" if name == "quantity" and by_segment else f" if same_{name} else ''"
                self.add(into, f"w_{name} = f',\"{name}\":\"{{shown({name})}}\"'{condition}")
        amount = f'{{{{"amount":"{{n{index}}}"' + ("{w_base}" if "base" in given else "")
        middle = f',"code":"{component.code}","kind":"{component.kind.value}"'
        middle += "{paid_text}" if component.pays_for_time else ""
        middle += "{w_quantity}" if "quantity" in given else ""
        middle += "{w_rate}" if "rate" in given else ""
        middle += f',"rounding":"{component.rounding.name}/{component.digits}"'
        body = "{','.join(tr)}" if by_segment else f"[{trace}]"
        self.add(into, f"l{index} = f'{amount}{middle},\"trace\":[{body}]}}}}'")

    def statutory(self, index: int, component: PayComponent) -> None:
        """A line that the country's pack gives; the pack is asked once, before the first of them."""
        if not self.assessed:
            self.assessed = True
            earned = ", ".join(
                self.taxed(treatment)
                for treatment in (
                    TaxTreatment.WAGE, TaxTreatment.SEPARATE_BONUS, TaxTreatment.SEVERANCE, TaxTreatment.EXEMPT,
                )
            )  # fmt: skip
            self.add("", f"assessed = assess(header.start, header.pay_date, header.tax_period, inputs_only, "
                         f"document['statutory'], Earned({earned}), document['prior'])")  # fmt: skip
            self.add("", "by_code = {line.code: line for line in assessed.lines}")
        self.add("", f"x = by_code.pop({component.statutory_line!r}, None)")
        self.add("", f"if x is None: c{index} = ZERO; n{index} = '0'; l{index} = ''")
        self.add("", "else:")
        self.add("    ", f"c{index} = x.amount; n{index} = plain(c{index})")
        into = "    "
        if component.hide_zero:
            self.add(into, f"if not c{index}: l{index} = ''")
            self.add(into, "else:")
            into += "    "
        self.add(into, "b = f',\"base\":\"{x.base}\"' if x.base else ''")
        self.add(into, "q = f',\"quantity\":\"{x.quantity}\"' if x.quantity else ''")
        self.add(into, "r = f',\"rate\":\"{x.rate}\"' if x.rate else ''")
        self.add(
            into,
            f"l{index} = f'{{{{\"amount\":\"{{n{index}}}\"{{b}},\"code\":\"{component.code}\","
            f"\"kind\":\"{component.kind.value}\"{{q}}{{r}},{{x.fragment}},\"trace\":[[{{x.trace}}]]}}}}'",
        )

    # ------------------------------------------------------------------------------------------------------ totals

    def sum_of(self, kinds: list[LineKind]) -> str:
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
        if self.assessed:
            self.add("", "if by_code: unmapped(by_code)")
        self.add("", f"gross = {self.sum_of([LineKind.EARNING])}")
        self.add("", f"deductions = {self.sum_of([LineKind.DEDUCTION, LineKind.TAX])}")
        self.add("", f"net = gross - deductions + ({self.sum_of([LineKind.REIMBURSEMENT])})")
        self.add("", "if net < 0: raise Blocked('NEGATIVE_NET', NEGATIVE_NET, plain(net))")
        self.add("", f"cost = gross + ({self.sum_of([LineKind.EMPLOYER_CONTRIBUTION])})")
        totals = "assessed.totals" if self.assessed else "NOTHING"
        self.add("", f"to_date_text = year_to_date(header, document['prior'], gross, net, deductions, {totals})")
        lines = "".join(f"l{index}, " for index in range(count))
        minors = "".join(f"int(c{index} * {scale}), " for index in range(count))
        self.add("", f"return Computed('[' + ','.join([l for l in ({lines}) if l]) + ']', to_date_text, "
                     f"int(gross * {scale}), int(net * {scale}), int(cost * {scale}), int(deductions * {scale}), "
                     f"({minors}), paid)")  # fmt: skip


def _quantum(digits: int) -> str:
    return "1" if digits == 0 else "0." + "0" * (digits - 1) + "1"
