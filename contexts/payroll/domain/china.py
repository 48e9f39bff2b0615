"""China's statutory lines on a payslip: what the pack needs of the frozen inputs, and what it gives back."""

import decimal
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from contexts.payroll.domain.arithmetic import ZERO, plain
from contexts.payroll.domain.catalog import LineKind
from contexts.payroll.domain.errors import Blocked
from contexts.payroll.domain.statutory.cn.contributions import Enrolment
from contexts.payroll.domain.statutory.cn.income_tax import BasicDeduction, TaxPosition, YearToDate
from contexts.payroll.domain.statutory.cn.pack import ChinaPack, MonthAssessment, MonthPay
from contexts.payroll.domain.statutory.trace import LineSpec, RuleText
from contexts.payroll.domain.statutory_lines import Assessed, Assessor, Earned, Place, StatutoryLines

# Names that formulas may use, with the table and column that they stand for.
_TABLES = {
    "paid_days_per_month": ("labour.days", "paid_days_month"),
    "hours_per_day": ("labour.days", "hours_day"),
    "overtime_factor_workday": ("labour.overtime", "workday"),
    "overtime_factor_rest_day": ("labour.overtime", "rest_day"),
    "overtime_factor_holiday": ("labour.overtime", "holiday"),
}
# Where the pack's inputs stand in the frozen inputs.
_PLACES = {
    "enrolment.social_insurance_base": "facts.statutory.values.social_insurance_base (else the monthly wage)",
    "enrolment.housing_fund_base": "facts.statutory.values.housing_fund_base (else the monthly wage)",
    "enrolment.housing_fund_rate": "facts.statutory.values.housing_fund_rate",
    "enrolment.housing_fund_supplementary_rate": "facts.statutory.values.housing_fund_supplementary_rate",
    "enrolment.injury_rate": "facts.statutory.values.injury_rate",
    "tax_position.special_additional": "facts.statutory.values.special_additional_deduction",
    "tax_position.months": "prior.statutory.months, one more in a new tax period",
    "year_to_date.income": "prior.statutory.income",
    "year_to_date.contributions": "prior.statutory.contributions",
    "year_to_date.special_additional": "prior.statutory.special_additional",
    "year_to_date.tax": "prior.statutory.tax",
    "pay_date.month": "header.pay_date: its month",
}
_NOT_PAID = ""  # an empty base: this scheme is not paid
_OPENING = ("contributions", "income", "months", "special_additional", "tax")
_OPENING_BONUS = ("bonus_tax", "separate_bonus")
_new = tuple.__new__


class ChinaLines:
    """The pack of China as the engine sees it.

    Invariants: pure; what it keeps for speed never changes an answer.
    """

    def __init__(self, pack: ChinaPack) -> None:
        self._pack = pack
        self.version = pack.version
        self.kinds: Mapping[str, LineKind] = {code: LineKind(kind) for code, kind in pack.kinds.items()}
        self.tables: Mapping[str, str] = {name: f"{table} {column}" for name, (table, column) in _TABLES.items()}

    def table_value(self, name: str, day: date) -> tuple[Decimal, str]:
        """The value of a name on a day, and the key of its row. Raises StatutoryTableMissing."""
        table, column = _TABLES[name]
        row = self._pack.tables.row(table, day)
        return row[column], row.key

    def describe(self, rule: str, rows: Sequence[str]) -> RuleText:
        """A stored line's rule in words; its inputs are named by their place in the frozen inputs."""
        told = self._pack.describe(rule, rows)
        leaves = tuple(
            (name, origin, _PLACES.get(of, of) if origin == "INPUT" else of) for name, origin, of in told.leaves
        )
        return told._replace(leaves=leaves)

    def completed(self, values: Mapping[str, str], start: date) -> dict[str, str]:
        """A profile that names no injury rate gets that of the lowest industry class, as offices have it."""
        if "injury_rate" in values:
            return dict(values)
        return {**values, "injury_rate": plain(self._pack.social_insurance.injury_rate(1, start))}

    def opening_problem(self, totals: Mapping[str, Decimal], pay_date: date) -> str:
        """Cumulative withholding goes on from these, and from nothing else."""
        missing = [name for name in _OPENING if name not in totals]
        if missing:
            return f"give {', '.join(missing)}"
        unknown = sorted(set(totals) - {*_OPENING, *_OPENING_BONUS})
        if unknown:
            return f"nothing goes on from {', '.join(unknown)}"
        months = totals["months"]
        if months != months.to_integral_value() or not 1 <= months <= pay_date.month:
            return f"months is a whole number from 1 to {pay_date.month}, the month of the pay date"
        return ""

    def assessor(self, places: Sequence[Place]) -> Assessor:
        """For a plan that shows the lines in these places."""
        return _ChinaAssessor(self._pack, places)


class _Bound(NamedTuple):
    """What the lines of one month are written from."""

    assessed: MonthAssessment
    texts: dict[int, str]  # of numbers that several lines store, by identity; they live as long as this
    months: int
    insured: str | None  # the month whose contributions are taken
    bonus: Decimal  # taxed alone, in the year to date
    bonus_tax: Decimal


class _ChinaAssessor:
    """The statutory month of a payslip, for one plan."""

    def __init__(self, pack: ChinaPack, places: Sequence[Place]) -> None:
        self._pack = pack
        self._places = {place.statutory_line: (index, place) for index, place in enumerate(places)}
        self._empty_amounts = [ZERO] * len(places)
        self._empty_lines = [""] * len(places)
        self._shapes: dict[int, _Shape] = {}

    def assess(
        self,
        start: date,
        pay_date: date,
        tax_period: int,
        inputs_only: bool,
        monthly_wage: Decimal,
        wage_text: str,
        profile: Mapping[str, Any],
        earned: Earned,
        prior: Mapping[str, Any] | None,
    ) -> Assessed:
        """Contributions and taxes of one payslip, in yuan. Raises Blocked and what the pack refuses.

        Contributions of a month are taken once, by the regular run; tax is cumulated over all payslips of the year, and
        the month's special deductions count once, however many payslips the month has.
        """
        if profile["country"] != "CN":
            raise Blocked(
                "STATUTORY_PROFILE_MISSING", "give the employee a statutory profile for CN", profile["country"]
            )
        values: Mapping[str, str] = profile["values"]
        to_date: Mapping[str, str] = prior["statutory"] if prior is not None else _NOTHING
        month = start.isoformat()[:7]
        insured = to_date.get("contribution_month")
        contributes = not inputs_only and insured != month
        resident = values.get("tax_residency", "RESIDENT") == "RESIDENT"
        texts = {id(ZERO): "0"}
        before, months, special = _NOTHING_YET, 1, ZERO
        new_period = True
        if prior is not None:
            counted = int(to_date["months"])
            new_period = prior["tax_period"] != tax_period
            months = counted + 1 if new_period else counted
            before = _so_far(to_date, counted, texts)
        if new_period:
            special = _decimal(values, "special_additional_deduction", "0")
        bonus, bonus_tax = earned.separate_bonus, ZERO
        if "separate_bonus" in to_date:
            if bonus and resident:
                raise Blocked(
                    "SEPARATE_BONUS_TWICE", "a bonus is taxed alone once a year; pay this one as wage", "BONUS"
                )
            bonus += Decimal(to_date["separate_bonus"])
            bonus_tax = Decimal(to_date.get("bonus_tax", "0"))
        exempt_limit = ZERO
        if earned.severance:
            city = _text(values, "social_insurance_city")
            exempt_limit = self._pack.income_tax.severance_exempt_limit_of(city, pay_date)
        enrolment = _NO_CONTRIBUTIONS
        if contributes:
            enrolment = _enrolment(values, monthly_wage)
            insured = month
            texts[id(enrolment.social_insurance_base)] = values.get("social_insurance_base", wage_text)
            texts[id(enrolment.housing_fund_base)] = values.get("housing_fund_base", wage_text)
        assessed = self._pack.assess_month(
            enrolment,
            TaxPosition(resident, _basic_deduction(values), special, months, before),
            MonthPay(
                earned.wage,
                earned.separate_bonus if resident else ZERO,
                ZERO if resident else earned.separate_bonus,
                earned.severance,
                exempt_limit,
                earned.exempt,
            ),
            start,
            pay_date,
        )
        withheld = assessed.contributions.employee_total + assessed.iit
        if earned.separate_bonus or earned.severance:
            withheld += assessed.bonus_iit + assessed.severance_iit
            bonus_tax += assessed.bonus_iit
        bound = _new(_Bound, (assessed, texts, months, insured, bonus, bonus_tax))
        return _new(Assessed, (withheld, bound))

    def amount_of(self, assessed: Assessed, statutory_line: str) -> Decimal:
        """The amount of one line, 0 where there is none."""
        month: MonthAssessment = assessed.bound.assessed
        return next((line.amount for line in month.lines if line.spec.code == statutory_line), ZERO)

    def written(self, assessed: Assessed) -> StatutoryLines:
        """The lines, and the totals to date. Raises Blocked where no component shows an amount."""
        bound: _Bound = assessed.bound
        texts, shapes = bound.texts, self._shapes
        amounts, lines = self._empty_amounts.copy(), self._empty_lines.copy()
        for spec, amount, base, rate, _, values in bound.assessed.lines:
            shape = shapes.get(id(spec))
            if shape is None or shape.spec is not spec:
                shape = self._shape(spec)
            _, place, hide_zero, leaves, before, middle = shape
            if place < 0:
                if amount:
                    raise Blocked(
                        "STATUTORY_LINE_UNMAPPED", "define a pay component that shows this statutory line", spec.code
                    )
                continue
            amounts[place] = amount
            if hide_zero and not amount:
                continue
            trace = ""
            for index in leaves:
                value = values[index]
                text = texts.get(id(value))
                if text is None:
                    text = texts[id(value)] = plain(value) if isinstance(value, Decimal) else str(value)
                trace = f'{trace}","{text}' if trace else text
            base_text = texts.get(id(base))
            if base_text is None:
                base_text = plain(base) if base is not None else ""
            if middle is None:
                middle = f'{before}{texts.get(id(rate)) or plain(rate or ZERO)}",{spec.fragment},"trace":[["'
            lines[place] = f'{{"amount":"{plain(amount)}","base":"{base_text}",{middle}{trace}"]]}}'
        after = bound.assessed.year_to_date
        totals = (
            (f'{{"bonus_tax":"{plain(bound.bonus_tax)}",' if bound.bonus_tax else "{")
            + (f'"contribution_month":"{bound.insured}",' if bound.insured else "")
            + f'"contributions":"{plain(after.contributions)}","income":"{plain(after.income)}",'
            + f'"months":"{bound.months}",'
            + (f'"separate_bonus":"{plain(bound.bonus)}",' if bound.bonus else "")
            + f'"special_additional":"{plain(after.special_additional)}","tax":"{plain(after.tax)}"}}'
        )
        return _new(StatutoryLines, (amounts, lines, totals, bound.assessed.contributions.employer_total))

    def _shape(self, spec: LineSpec) -> "_Shape":
        """What all lines of a spec share: where it stands, which values are stored, and the text round them."""
        if len(self._shapes) >= _MAX_SHAPES:
            self._shapes.clear()
        place, shown = self._places.get(spec.code, (-1, _NOWHERE))
        leaves = spec.rule.leaves
        stored = tuple(index for index, leaf in enumerate(leaves) if leaf.origin != "ROW")
        before = f'"code":"{shown.component}","kind":"{shown.kind.value}","rate":"'
        middle = None
        rate = next((leaf for leaf in leaves if leaf.name == "rate"), None)
        if rate is not None and rate.origin == "ROW":
            row, _, column = rate.of.partition(".")
            middle = f'{before}{plain(spec.rows[int(row)][column])}",{spec.fragment},"trace":[["'
        shape = self._shapes[id(spec)] = _Shape(spec, place, shown.hide_zero, stored, before, middle)
        return shape


class _Shape(NamedTuple):
    spec: LineSpec  # kept alive: shapes are found by its identity
    place: int  # -1 where no component shows it
    hide_zero: bool
    leaves: tuple[int, ...]  # the values that are stored: those that no row gives
    before: str
    middle: str | None  # None where the rate is an input


_MAX_SHAPES = 4096
_NOWHERE = Place("", "", LineKind.INFORMATION, True)
_NOTHING: Mapping[str, str] = {}
_NOTHING_YET = YearToDate()
_NO_CONTRIBUTIONS = Enrolment("", None, None, ZERO, ZERO)


def _so_far(to_date: Mapping[str, str], months: int, texts: dict[int, str]) -> YearToDate:
    """The totals before this payslip, as the pack takes them; their texts are kept for the lines."""
    totals = [Decimal(to_date[name]) for name in ("income", "contributions", "special_additional", "tax")]
    for total, name in zip(totals, ("income", "contributions", "special_additional", "tax"), strict=True):
        texts[id(total)] = to_date[name]
    income, contributions, special, tax = totals
    return YearToDate(income, contributions, special, months, tax)


def _enrolment(values: Mapping[str, str], monthly_wage: Decimal) -> Enrolment:
    base = _base(values, "social_insurance_base", monthly_wage)
    fund = _base(values, "housing_fund_base", monthly_wage)
    return Enrolment(
        _text(values, "social_insurance_city"),
        base,
        fund,
        ZERO if fund is None else _decimal(values, "housing_fund_rate"),
        ZERO if base is None else _decimal(values, "injury_rate"),
        _decimal(values, "housing_fund_supplementary_rate", "0"),
        values.get("minimum_wage_zone") or None,
    )


def _base(values: Mapping[str, str], key: str, monthly_wage: Decimal) -> Decimal | None:
    """The declared base; the monthly wage where none is declared, None where it is declared to be nothing."""
    declared = values.get(key)
    if declared is None:
        return monthly_wage
    return None if declared == _NOT_PAID else _decimal(values, key)


def _text(values: Mapping[str, str], key: str) -> str:
    found = values.get(key)
    if not found:
        raise Blocked("STATUTORY_VALUE_MISSING", f"the statutory profile lacks {key}", key)
    return found


_known_numbers: dict[str, Decimal] = {"0": ZERO}  # rates and round amounts come again and again
_MAX_NUMBERS = 20_000


def _decimal(values: Mapping[str, str], key: str, otherwise: str | None = None) -> Decimal:
    text = values.get(key) or otherwise
    if text is None:
        raise Blocked("STATUTORY_VALUE_MISSING", f"the statutory profile lacks {key}", key)
    known = _known_numbers.get(text)
    if known is not None:
        return known
    try:
        number = Decimal(text)
    except decimal.InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0:
        raise Blocked("STATUTORY_VALUE_INVALID", f"{key} of the statutory profile is no amount or rate", key)
    if len(_known_numbers) < _MAX_NUMBERS:
        _known_numbers[text] = number
    return number


def _basic_deduction(values: Mapping[str, str]) -> BasicDeduction:
    named = values.get("basic_deduction_rule", "MONTHS_EMPLOYED")
    if named not in BasicDeduction.__members__:
        raise Blocked(
            "STATUTORY_VALUE_INVALID",
            f"basic_deduction_rule is one of {', '.join(BasicDeduction.__members__)}",
            "basic_deduction_rule",
        )
    return BasicDeduction[named]
