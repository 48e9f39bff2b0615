"""What changed between two payslips of one employee, component by component, and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from itertools import pairwise
from typing import Any, NamedTuple

from contexts.payroll.domain.arithmetic import ZERO
from contexts.payroll.domain.catalog import LineKind, PayComponent, TaxTreatment
from contexts.payroll.domain.engine import Plan
from contexts.payroll.domain.header import Header
from contexts.payroll.domain.names import LINE_SUMS, allowance_code, time_key


class VarianceReason(Enum):
    """Why an amount differs, the most telling first."""

    REVERSAL = "REVERSAL"
    NO_PREVIOUS_RUN = "NO_PREVIOUS_RUN"
    JOINED = "JOINED"
    LEFT = "LEFT"
    BLOCKED = "BLOCKED"
    COMPENSATION_CHANGED = "COMPENSATION_CHANGED"
    TIME = "TIME"
    PAY_INPUT = "PAY_INPUT"
    PRORATION = "PRORATION"
    STATUTORY = "STATUTORY"
    COMPONENT_CHANGED = "COMPONENT_CHANGED"
    YEAR_TO_DATE = "YEAR_TO_DATE"
    OTHER = "OTHER"


_ORDER = {reason: place for place, reason in enumerate(VarianceReason)}
_DAYS = frozenset(
    {
        "segment_days", "segment_working_days", "period_working_days", "employed_working_days", "unemployed_days",
        "standard_day_minutes", "period_days", "employed_days",
    }
)  # fmt: skip
# The sums of lines that statutory rules name, as the earnings that they are made of.
_SUMS = {
    "TAXABLE_EARNINGS": TaxTreatment.WAGE,
    "ANNUAL_BONUS": TaxTreatment.SEPARATE_BONUS,
    "MULTI_MONTH_BONUS": TaxTreatment.SEPARATE_BONUS,
    "SEVERANCE": TaxTreatment.SEVERANCE,
}


class ComparedPayslip(NamedTuple):
    """One payslip as it is compared: its documents decoded, with the plan and header of its run."""

    plan: Plan
    header: Header
    inputs: Mapping[str, Any]
    lines: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class LineVariance:
    """One component that pays another amount; amounts in major units.

    Invariants: the amounts differ; there is at least one reason, the most telling first.
    """

    code: str
    kind: LineKind
    previous: Decimal
    current: Decimal
    reasons: tuple[VarianceReason, ...]


def compare(before: ComparedPayslip, after: ComparedPayslip) -> tuple[LineVariance, ...]:
    """Every component whose amount differs, in the order of the payslip."""
    return _Comparison(before, after).variances()


def all_of(payslip: ComparedPayslip, reason: VarianceReason, *, gone: bool) -> tuple[LineVariance, ...]:
    """Every amount of a payslip that has no counterpart; `gone` where it is the one before."""
    return tuple(
        LineVariance(
            line["code"],
            LineKind(line["kind"]),
            amount if gone else ZERO,
            ZERO if gone else amount,
            (reason,),
        )
        for line in payslip.lines
        if (amount := Decimal(line["amount"]))
    )


class _Comparison:
    """Two payslips of one employee.

    Invariants: pure; a reason is named only where what it stands for differs in the frozen inputs or the lines.
    """

    def __init__(self, before: ComparedPayslip, after: ComparedPayslip) -> None:
        self._sides = (before, after)
        self._lines = tuple({line["code"]: line for line in side.lines} for side in self._sides)
        self._partial = {reason for side in self._sides if (reason := _partial(side)) is not None}
        self._known: dict[str, frozenset[VarianceReason]] = {}

    def variances(self) -> tuple[LineVariance, ...]:
        """See `compare`."""
        before, after = self._lines
        found = []
        for code in dict.fromkeys((*after, *before)):
            line = after.get(code) or before[code]
            previous = Decimal(before[code]["amount"]) if code in before else ZERO
            current = Decimal(after[code]["amount"]) if code in after else ZERO
            if previous != current:
                reasons = sorted(self._reasons(code), key=_ORDER.__getitem__) or [VarianceReason.OTHER]
                found.append(LineVariance(code, LineKind(line["kind"]), previous, current, tuple(reasons)))
        return tuple(found)

    def _amount(self, code: str) -> tuple[Decimal, Decimal]:
        before, after = (Decimal(lines[code]["amount"]) if code in lines else ZERO for lines in self._lines)
        return before, after

    def _reasons(self, code: str) -> frozenset[VarianceReason]:
        """Why a component's amount differs; none where it does not."""
        known = self._known.get(code)
        if known is None:
            before, after = self._amount(code)
            self._known[code] = frozenset()  # components never need each other in a circle; formulas are checked
            known = self._known[code] = frozenset(self._found(code)) if before != after else frozenset()
        return known

    def _found(self, code: str) -> set[VarianceReason]:
        components = [_component(side.plan, code) for side in self._sides]
        before, after = components
        one = after or before
        if one is None:
            return {VarianceReason.COMPONENT_CHANGED}
        changed = before is None or after is None or _defined(before) != _defined(after)
        reasons = {VarianceReason.COMPONENT_CHANGED} if changed else set()
        return reasons | (self._statutory(code, one) if one.statutory_line else self._formula(one, changed))

    # ------------------------------------------------------------------------------------------------------ formulas

    def _formula(self, component: PayComponent, changed: bool) -> set[VarianceReason]:
        reasons: set[VarianceReason] = set()
        days = False
        for side in self._sides:
            if component.code not in side.plan.by_code or component.statutory_line:
                continue
            for leaf in side.plan.trees(component.code).leaves:
                if leaf.name in _DAYS:
                    days = True
                else:
                    reasons.update(self._because_of(leaf.name, component.code))
        # Days explain nothing where both periods are paid whole, unless nothing else does.
        if days and (self._partial or not (reasons or changed)) and self._days_differ():
            reasons |= self._partial or {VarianceReason.PRORATION}
        return reasons

    def _because_of(self, name: str, component: str) -> Iterable[VarianceReason]:
        if any(name in side.plan.by_code for side in self._sides):
            return self._reasons(name)
        if name in LINE_SUMS:
            return self._of_earnings(None if name == "gross" else TaxTreatment.WAGE)
        before, after = (self._fact(side, name, component) for side in self._sides)
        if before == after:
            return ()
        if name in ("monthly_wage", "fte") or name.startswith("allowance_"):
            return (VarianceReason.COMPENSATION_CHANGED,)
        if name == "unpaid_minutes" or name.startswith("minutes_"):
            return (VarianceReason.TIME,)
        if name in ("input_amount", "input_quantity"):
            return (VarianceReason.PAY_INPUT,)
        if name.startswith("prior_"):
            return (VarianceReason.YEAR_TO_DATE,)
        return (VarianceReason.STATUTORY,)

    def _fact(self, side: ComparedPayslip, name: str, component: str) -> object:
        """What a name reads, in a form that can be compared."""
        facts = side.inputs["facts"]
        if name == "monthly_wage":
            return sorted({(segment["amount"], segment["unit"]) for segment in facts["segments"]})
        if name == "fte":
            return sorted({segment["fte"] for segment in facts["segments"]})
        if name.startswith("allowance_"):
            code = allowance_code(name)
            return sorted({segment["allowances"].get(code, "0") for segment in facts["segments"]})
        if name == "unpaid_minutes":
            return sum((_minutes(line) * (1 - Decimal(line["paid_share"])) for line in facts["time"]), ZERO)
        if name.startswith("minutes_"):
            code, kind = time_key(name)
            return sum(
                _minutes(line) for line in facts["time"] if line["pay_code"] == code and kind in ("", line["day_kind"])
            )
        if name in ("input_amount", "input_quantity"):
            key = name.removeprefix("input_")
            return sum((Decimal(one[key] or 0) for one in side.inputs["inputs"] if one["component"] == component), ZERO)
        if name.startswith("statutory_"):
            return facts["statutory"]["values"].get(name.removeprefix("statutory_"))
        if name.startswith("prior_"):
            return _to_date(side, name.removeprefix("prior_"))
        statutory = side.plan.statutory
        return statutory.table_value(name, side.header.start)[0] if statutory is not None else None

    def _days_differ(self) -> bool:
        before, after = (
            [(segment["from"], segment["to"], segment["planned"]) for segment in side.inputs["facts"]["segments"]]
            for side in self._sides
        )
        same_period = self._sides[0].header.start == self._sides[1].header.start
        return before != after or not same_period

    def _of_earnings(self, treatment: TaxTreatment | None) -> set[VarianceReason]:
        reasons: set[VarianceReason] = set()
        for side in self._sides:
            for component in side.plan.components:
                if component.kind is LineKind.EARNING and treatment in (None, component.tax_treatment):
                    reasons |= self._reasons(component.code)
        return reasons

    # ----------------------------------------------------------------------------------------------- statutory lines

    def _statutory(self, code: str, component: PayComponent) -> set[VarianceReason]:
        reasons: set[VarianceReason] = set()
        lines = [lines.get(code) for lines in self._lines]
        shown = [line for line in lines if line is not None]
        both = len(shown) == 2
        statutory = self._sides[1].plan.statutory or self._sides[0].plan.statutory
        assert statutory is not None
        leaves = [_leaves(statutory, line) for line in shown]
        names = dict.fromkeys(name for found in leaves for name in found)
        for name in names:
            origin, of, value = next(found[name] for found in leaves if name in found)
            if both and all(name in found and found[name][2] == value for found in leaves):
                continue
            reasons.update(self._because_of_leaf(origin, of, both))
        rows_differ = both and (shown[0]["rule"], shown[0]["rows"]) != (shown[1]["rule"], shown[1]["rows"])
        # A tax bracket follows from what is taxed; any other row that differs is a change of the country's tables.
        if rows_differ and (component.kind is not LineKind.TAX or not reasons):
            reasons.add(VarianceReason.STATUTORY)
        if not reasons and not both and self._profiles_differ():
            reasons.add(VarianceReason.STATUTORY)
        return reasons

    def _because_of_leaf(self, origin: str, of: str, both: bool) -> Iterable[VarianceReason]:
        if origin == "LINE":
            if of in _SUMS:
                return self._of_earnings(_SUMS[of])
            return self._of_contributions()
        if of.startswith(("prior.", "header.")):
            return (VarianceReason.YEAR_TO_DATE,) if both or self._prior_differs() else ()
        if of.startswith("facts.statutory.values."):
            key = of.removeprefix("facts.statutory.values.").partition(" ")[0]
            before, after = (side.inputs["facts"]["statutory"]["values"].get(key) for side in self._sides)
            if before != after:
                return (VarianceReason.STATUTORY,)
            if before is None and (both or self._wages_differ()):
                return (VarianceReason.COMPENSATION_CHANGED,)
            # The month's special deductions count with its first payslip alone.
            return (VarianceReason.YEAR_TO_DATE,) if both else ()
        return (VarianceReason.STATUTORY,) if both else ()

    def _of_contributions(self) -> set[VarianceReason]:
        reasons: set[VarianceReason] = set()
        for side in self._sides:
            for component in side.plan.components:
                if component.kind is LineKind.DEDUCTION and component.statutory_line:
                    reasons |= self._reasons(component.code)
        return reasons

    def _wages_differ(self) -> bool:
        before, after = (self._fact(side, "monthly_wage", "") for side in self._sides)
        return before != after

    def _profiles_differ(self) -> bool:
        before, after = (side.inputs["facts"]["statutory"] for side in self._sides)
        return bool(before != after)

    def _prior_differs(self) -> bool:
        before, after = ((side.inputs["prior"] or {}).get("statutory") for side in self._sides)
        return bool(before != after)


def _component(plan: Plan, code: str) -> PayComponent | None:
    index = plan.by_code.get(code)
    return None if index is None else plan.components[index]


def _defined(component: PayComponent) -> tuple[object, ...]:
    """What of a component decides its amount."""
    return (
        component.formulas, component.statutory_line, component.scope, component.proration, component.rounding,
        component.digits,
    )  # fmt: skip


def _leaves(statutory: Any, line: Mapping[str, Any]) -> dict[str, tuple[str, str, str]]:
    """The bound leaves of a stored statutory line: origin, what of, and the value as stored."""
    given = iter(line["trace"][0])
    told = statutory.describe(line["rule"], line["rows"])
    return {name: (origin, of, next(given)) for name, origin, of in told.leaves if origin != "ROW"}


def _minutes(line: Mapping[str, Any]) -> int:
    return sum(minutes for _, minutes in line["days"])


def _to_date(side: ComparedPayslip, key: str) -> str | None:
    prior = side.inputs["prior"]
    if prior is None:
        return None
    found: str | None = prior["totals"].get(key) or prior["statutory"].get(key)
    return found


def _partial(side: ComparedPayslip) -> VarianceReason | None:
    """Why a payslip does not pay its whole period, None where it does."""
    start, end = side.header.start.isoformat(), side.header.end.isoformat()
    facts = side.inputs["facts"]
    segments = facts["segments"]
    first, stop = min(one["from"] for one in segments), max(one["to"] for one in segments)
    hired, left = facts["hired"], facts["left"]
    if first > start and hired is not None and hired > start:
        return VarianceReason.JOINED
    if stop < end and left is not None:
        return VarianceReason.LEFT
    gaps = any(before["to"] < after["from"] for before, after in pairwise(segments))
    return VarianceReason.PRORATION if first > start or stop < end or gaps else None
